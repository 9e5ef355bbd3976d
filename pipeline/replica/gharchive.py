"""Hourly files as GH Archive has them, made from any issue threads, any number of times over, with the flaws of the real ones.

Every event of every thread is written once into a spool, with gaps for what differs between copies: owner, numbers and times. An
hour is then put together from pieces of the spool, so that memory holds an hour and an index of the threads once, whatever the
number of copies. What an issue and its comments say of their times stays; only when events were recorded is spread over a period.

All other events, and whatever is wrong, are fiction.
"""

import random
import zlib
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from pipeline.errors import RedefectError
from pipeline.files import explained, write
from pipeline.processes import Workers
from pipeline.thread import Comment, Thread

_OWNER, _ID, _TIME, _OLD = b"\x01", b"\x02", b"\x03", b"\x04"
"""Gaps for the copy's part of an owner's name, the copy's digits of a number, the time, and what only a former name has."""

_PACIFIC = timedelta(hours=-8)
_COMPRESSION = 1
_PAGE = b"<html><head><title>502 Bad Gateway</title></head><body>The server could not give this hour.</body></html>\n"
_SNAPSHOT_KEYS = ("labels", "user")
"""Keys that a snapshot may miss when a later one has them."""


@dataclass(frozen=True, slots=True)
class Flaws:
    """How often what is wrong with the real files is wrong with these, as shares.

    Attributes
    ----------
    repeated, late
        Events that come again, or come later, within six hours.
    shuffled
        Hours in which the events are out of order.
    malformed
        Lines before which a broken one stands, or that are glued to the one before by NULs.
    incomplete
        Snapshots that lack keys.
    edited
        Threads of which earlier snapshots have other texts.
    renamed
        Repositories that have another name at first.
    deleted, transferred
        Issues, beside those of the threads, that end so; comments, too, are deleted.
    pull_requests
        Pull requests, beside the threads, that are commented on.
    uncounted
        Threads whose snapshots do not count the comment that they come with.
    missing, truncated, pages, single
        Hours without a file, with one that breaks off, with a page of HTML instead, or with a single event: these lose events.
    """

    repeated: float = 0.02
    late: float = 0.02
    shuffled: float = 0.5
    malformed: float = 0.001
    incomplete: float = 0.02
    edited: float = 0.1
    renamed: float = 0.1
    deleted: float = 0.02
    transferred: float = 0.01
    pull_requests: float = 0.1
    uncounted: float = 0.5
    missing: float = 0.01
    truncated: float = 0.01
    pages: float = 0.005
    single: float = 0.005

    def without(self, *names: str) -> "Flaws":
        """Return the same flaws but these."""
        return Flaws(**{f.name: 0.0 if f.name in names else getattr(self, f.name) for f in fields(self)})

    @classmethod
    def none(cls) -> "Flaws":
        """Return no flaws at all."""
        return cls(**{field.name: 0.0 for field in fields(cls)})


FLAWS = tuple(field.name for field in fields(Flaws))
LOSSY = ("missing", "truncated", "pages", "single")
"""The flaws by which events are lost."""


@dataclass(frozen=True, slots=True)
class Made:
    """What was written: files, events, those of issues and comments among them, threads, and bytes."""

    files: int
    events: int
    issue_events: int
    threads: int
    bytes: int


@dataclass(frozen=True, slots=True)
class _Plan:
    spool: Path
    output: Path
    begin: datetime
    hours: int
    copies: int
    span: int
    seed: int
    share: float
    flaws: Flaws
    timeline: bool

    def shift(self, copy: int) -> int:
        """Return by how many seconds the events of a copy are later than those of the first."""
        return 0 if copy == 0 else (self.hours * 3600 - self.span) * copy // (self.copies - 1)


def write_archive(
    threads: Iterable[Thread],
    output: Path,
    begin: datetime,
    hours: int,
    *,
    spool: Path,
    copies: int = 1,
    seed: int = 2011,
    issue_share: float = 0.12,
    flaws: Flaws | None = None,
    jobs: int = 1,
) -> Made:
    """Write the hourly files of a period; the same arguments give the same bytes, whatever `jobs`.

    Parameters
    ----------
    begin, hours
        The period: its first hour, in UTC, and how many it has. Before 2015 events have the form of then, without texts.
    spool
        An empty folder on the same disk, for as much text as the events of the threads have once.
    copies
        How many times to write all threads; see `archived` for what differs.
    issue_share
        The share of events that are of issues or comments; about 0.12 in GH Archive. 1 leaves all others out.
    """
    flaws = flaws or Flaws()
    span = hours * (3600 if copies == 1 else 1800)
    plan = _Plan(spool, output, begin, hours, copies, span, seed, issue_share, flaws, begin.year < 2015)
    count = _write_spool(plan, threads)
    with Workers(jobs) as workers:
        done = list(workers.map(partial(_write_hour, plan), range(hours)))
    return Made(
        sum(size > 0 for _, _, size in done), sum(n for n, _, _ in done), sum(n for _, n, _ in done), count * copies,
        sum(size for _, _, size in done),
    )  # fmt: skip


def archived(thread: Thread, copy: int = 0) -> Thread:
    """Return a thread as it is in the archive: without its fix, labels sorted; in copies, the owner has the copy's number."""
    owner, name = thread.repository.split("/")
    repository = f"{owner}{_copied(copy)}/{name}"
    labels = None if thread.labels is None else tuple(sorted(thread.labels))
    return thread.model_copy(update={"repository": repository, "labels": labels, "fix": None})


def _copied(copy: int) -> str:
    return f"-copy{copy}" if copy else ""


def _write_spool(plan: _Plan, threads: Iterable[Thread]) -> int:
    recorded, filed, offset, length, repository = array("q"), array("q"), array("q"), array("l"), array("l")
    writer = _Writer(plan)
    at = count = 0
    with explained(plan.spool), (plan.spool / "lines").open("wb") as file:
        for thread in threads:
            count += 1
            for event in writer.events(thread):
                chance = _chance(plan.seed, f"{event.id}")
                file.write(event.line)
                late = chance.random() < plan.flaws.late
                for again in range(1 + (chance.random() < plan.flaws.repeated)):
                    delay = chance.randrange(6 * 3600) if late or again else 0
                    recorded.append(event.at)
                    filed.append(min(event.at + delay, plan.span - 1))
                    offset.append(at)
                    length.append(len(event.line))
                    repository.append(event.repository)
                at += len(event.line)
    if not count:
        raise RedefectError("There are no threads to make files of; give others.")
    order = np.argsort(np.array(filed, dtype=np.int64), kind="stable")
    times, of = np.array(recorded, dtype=np.int64), np.array(repository, dtype=np.int64)
    renamed_until = np.zeros(len(writer.repositories) + 1, dtype=np.int64)
    np.maximum.at(renamed_until, of, times)
    for number in writer.repositories.values():
        chance = _chance(plan.seed, f"repository/{number}")
        renamed_until[number] = renamed_until[number] * chance.random() if chance.random() < plan.flaws.renamed else -1
    index = np.empty(len(order), dtype=[("filed", "i8"), ("recorded", "i8"), ("offset", "i8"), ("length", "i4"), ("old", "?")])
    index["filed"], index["recorded"] = np.array(filed, dtype=np.int64)[order], times[order]
    index["offset"], index["length"] = np.array(offset, dtype=np.int64)[order], np.array(length, dtype=np.int32)[order]
    index["old"] = (times < renamed_until[of])[order]
    with explained(plan.spool):
        np.save(plan.spool / "index.npy", index)
    return count


def _chance(seed: int, what: str) -> random.Random:
    return random.Random(f"{seed}/{what}")  # noqa: S311  # to be the same again, not to be secret


@lru_cache(maxsize=1)
def _index(spool: Path) -> Any:
    return np.load(spool / "index.npy")


def _write_hour(plan: _Plan, which: int) -> tuple[int, int, int]:
    """Write an hour's file; return how many events it holds, how many of them of issues, and how many bytes it has."""
    chance = _chance(plan.seed, f"hour/{which}")
    fate = chance.random()
    flaws = plan.flaws
    hour = plan.begin + timedelta(hours=which)
    path = plan.output / f"{hour:%Y-%m-%d}-{hour.hour}.json.gz"
    if (fate := fate - flaws.missing) < 0:
        return 0, 0, 0
    if (fate := fate - flaws.pages) < 0:
        write(path, _PAGE)
        return 0, 0, len(_PAGE)
    lines = list(_issue_lines(plan, which))
    issues = len(lines)
    if plan.share < 1:
        lines += _other_lines(plan, which, round((issues + 1) * (1 - plan.share) / plan.share), chance)
    if chance.random() < flaws.shuffled:
        chance.shuffle(lines)
    else:
        lines.sort(key=lambda line: line[0])
    if (fate := fate - flaws.single) < 0:
        lines = lines[:1]
    if flaws.malformed:
        lines = list(_with_malformed(lines, flaws.malformed, chance))
    packer = zlib.compressobj(_COMPRESSION, wbits=31)  # whose header tells no time
    content = b"".join([*(packer.compress(line) for _, line in lines), packer.flush()])
    if fate < flaws.truncated:
        content = content[: chance.randrange(2, len(content))]
    write(path, content)
    return len(lines), issues, len(content)


def _issue_lines(plan: _Plan, which: int) -> Iterator[tuple[int, bytes]]:
    index = _index(plan.spool)
    width = len(str(plan.copies - 1)) if plan.copies > 1 else 0
    with (plan.spool / "lines").open("rb") as text:
        for copy in range(plan.copies):
            shift = plan.shift(copy)
            low, high = np.searchsorted(index["filed"], [which * 3600 - shift, (which + 1) * 3600 - shift])
            owner, digits = _copied(copy).encode(), f"{copy:0{width}}".encode() if width else b""
            for _, recorded, offset, length, old in index[low:high].tolist():
                at = recorded + shift
                text.seek(offset)
                line = text.read(length)
                line = line.replace(_OWNER, owner).replace(_ID, digits).replace(_OLD, b"-before" if old else b"")
                yield at, line.replace(_TIME, _stamp(plan.begin + timedelta(seconds=at), plan.timeline))


def _stamp(at: datetime, timeline: bool) -> bytes:
    if timeline:
        return f"{at + _PACIFIC:%Y-%m-%dT%H:%M:%S}-08:00".encode()
    return f"{at:%Y-%m-%dT%H:%M:%SZ}".encode()


def _with_malformed(lines: list[tuple[int, bytes]], share: float, chance: random.Random) -> Iterator[tuple[int, bytes]]:
    for at, line in lines:
        if chance.random() < share:
            kind = chance.randrange(3)
            if kind == 0:
                yield at, line[: chance.randrange(40, max(41, len(line) - 1))] + b"\n"
            elif kind == 1:
                yield at, b'{"type":"IssuesEvent","payload":{"action":"opened","issue":"none"},"created_at":7}\n'
            else:
                yield at, line[:-1] + bytes(chance.randrange(1, 1500))
                continue
        yield at, line


@dataclass(frozen=True, slots=True)
class _Event:
    id: int
    at: int
    repository: int
    line: bytes


class _Writer:
    """Writes the events of threads with gaps, and numbers what occurs in them."""

    def __init__(self, plan: _Plan) -> None:
        self._plan = plan
        self.repositories: dict[str, int] = {}
        self._events = self._issues = self._comments = 0

    def events(self, thread: Thread) -> Iterator[_Event]:
        """Yield the events of a thread, and of issues beside it that are none in the end."""
        chance = _chance(self._plan.seed, f"{thread.repository.casefold()}#{thread.number}")
        yield from self._of_issue(thread, chance)
        flaws = self._plan.flaws
        for share, first, end, pull_request in (
            (flaws.deleted, 10**9, "deleted", False),
            (flaws.transferred, 11 * 10**8, "transferred", False),
            (flaws.pull_requests, 12 * 10**8, None, True),
        ):
            if chance.random() < share:
                beside = Thread(
                    repository=thread.repository, number=first + thread.number, title="An issue beside", state="open",
                    body="Fiction.", author="ada", comments=(Comment(author="bob", body="A comment beside."),), labels=(),
                )  # fmt: skip
                yield from self._of_issue(beside, chance, end, pull_request=pull_request)

    def _of_issue(
        self, thread: Thread, chance: random.Random, end: str | None = None, *, pull_request: bool = False
    ) -> Iterator[_Event]:
        flaws = self._plan.flaws
        self._issues += 1
        issue, first_comment = self._issues, self._comments + 1
        comments = thread.comments or ()
        steps: list[tuple[str, int | None]] = [] if pull_request else [("opened", None)]  # what is done, and to which comment
        steps += [("created", position) for position in range(len(comments))]
        if thread.state == "closed":
            steps.append(("closed", None))
        if end is not None:
            steps.append((end, None))
        if not pull_request and end is None and chance.random() < flaws.deleted:
            place = chance.randint(1, len(steps))
            steps[place:place] = [("created", len(comments)), ("deleted", len(comments))]
            comments += (Comment(author="eve", body="A comment that is deleted."),)
        start = chance.randrange(self._plan.span)
        left = self._plan.span - 1 - start
        times = sorted(start + int(left * chance.random() ** 3) for _ in steps[1:])
        edited = chance.randint(1, len(steps) - 1) if len(steps) > 1 and chance.random() < flaws.edited else 0
        uncounted = chance.random() < flaws.uncounted
        known = 0
        latest: datetime | None = None
        closed = False
        for step, (at, (action, position)) in enumerate(zip([start, *times], steps, strict=True)):
            last = step == len(steps) - 1
            closed = closed or last or action == "closed"
            comment = None if position is None else comments[position]
            change = 0 if comment is None else 1 if action == "created" else -1
            known += change
            if thread.updated_at is not None:
                when = (comment.created_at if comment else thread.created_at) or thread.updated_at
                latest = thread.updated_at if last else min(max(latest or when, when), thread.updated_at)
            snapshot = self._issue(thread, issue, latest, closed=closed, draft=step < edited)
            if thread.comments is not None:
                snapshot["comments"] = known - change if uncounted else known
            if pull_request:
                snapshot["pull_request"] = {"url": "https://api.github.com/pull", "html_url": "https://github.com/pull"}
            if not last and chance.random() < flaws.incomplete:
                snapshot.pop(chance.choice(_SNAPSHOT_KEYS), None)
            commented = None
            if comment is not None and position is not None:
                commented = self._comment(thread, comment, first_comment + position)
            self._events += 1
            yield self._event(thread, at, action, snapshot, commented)
        self._comments += len(comments)

    def _event(self, thread: Thread, at: int, action: str, issue: dict[str, Any], comment: dict[str, Any] | None) -> _Event:
        repository = self.repositories.setdefault(thread.repository.casefold(), len(self.repositories) + 1)
        owner, name = (part.encode() for part in thread.repository.split("/"))
        full = owner + _OWNER + b"/" + name + _OLD
        actor = (comment["user"] if comment is not None else issue.get("user")) or {"login": "ghost"}
        type_ = "IssuesEvent" if comment is None else "IssueCommentEvent"
        payload: dict[str, Any]
        if self._plan.timeline:
            payload = {"action": action, "issue": issue["id"], "number": thread.number}
            if comment is not None:
                payload = {"comment_id": comment["id"], "issue_id": issue["id"]}
            place = f"/issues/{thread.number}".encode() + (
                b"" if comment is None else b"#issuecomment-" + orjson.dumps(comment["id"])
            )
            line = {
                "created_at": _raw(b'"' + _TIME + b'"'),
                "payload": payload,
                "public": True,
                "type": type_,
                "url": _raw(b'"https://github.com/' + full + place + b'"'),
                "actor": actor["login"],
                "actor_attributes": {"login": actor["login"], "type": "User"},
                "repository": {
                    "id": _number(repository), "name": _raw(b'"' + name + _OLD + b'"'),
                    "owner": _raw(b'"' + owner + _OWNER + b'"'), "private": False,
                },
            }  # fmt: skip
        else:
            payload = {"action": action, "issue": issue}
            if comment is not None:
                payload["comment"] = comment
            line = {
                "id": _raw(b'"%d' % (10**7 + self._events) + _ID + b'"'),
                "type": type_,
                "actor": {"id": 1, "login": actor["login"], "display_login": actor["login"], "gravatar_id": ""},
                "repo": {
                    "id": _number(repository), "name": _raw(b'"' + full + b'"'),
                    "url": _raw(b'"https://api.github.com/repos/' + full + b'"'),
                },
                "payload": payload,
                "public": True,
                "created_at": _raw(b'"' + _TIME + b'"'),
            }  # fmt: skip
        return _Event(self._events, at, repository, orjson.dumps(line, option=orjson.OPT_UTC_Z) + b"\n")

    def _issue(self, thread: Thread, issue: int, updated: datetime | None, *, closed: bool, draft: bool) -> dict[str, Any]:
        base = b'"https://api.github.com/repos/' + thread.repository.replace("/", "\x01/").encode() + _OLD
        place = base + b"/issues/%d" % thread.number
        snapshot: dict[str, Any] = {
            "url": _raw(place + b'"'),
            "repository_url": _raw(base + b'"'),
            "labels_url": _raw(place + b'/labels{/name}"'),
            "comments_url": _raw(place + b'/comments"'),
            "events_url": _raw(place + b'/events"'),
            "html_url": _raw(place.replace(b"api.github.com/repos", b"github.com") + b'"'),
            "id": _number(issue),
            "node_id": f"MDU6SXNzdWU{issue:010}",
            "number": thread.number,
            "title": "Draft: " + thread.title if draft else thread.title,
            "user": _user(thread.author),
            "state": None if thread.state is None else thread.state if closed else "open",
            "locked": False,
            "assignee": None,
            "assignees": [],
            "milestone": None,
            "created_at": thread.created_at,
            "closed_at": thread.closed_at if closed else None,
            "author_association": "NONE",
            "active_lock_reason": None,
            "body": "To be written." if draft else thread.body,
            "reactions": {"total_count": 0, "+1": 0, "-1": 0, "laugh": 0, "hooray": 0, "confused": 0, "heart": 0, "rocket": 0},
            "performed_via_github_app": None,
        }
        if updated is not None:
            snapshot["updated_at"] = updated
        if thread.labels is not None:
            snapshot["labels"] = [
                {"id": 1, "node_id": "MDU6TGFiZWwx", "name": label, "color": "d73a4a", "default": False, "description": ""}
                for label in thread.labels
            ]
        return snapshot

    def _comment(self, thread: Thread, comment: Comment, number: int) -> dict[str, Any]:
        place = b'"https://api.github.com/repos/' + thread.repository.replace("/", "\x01/").encode() + _OLD
        return {
            "url": _raw(place + b"/issues/comments/%d" % number + _ID + b'"'),
            "issue_url": _raw(place + b'/issues/%d"' % thread.number),
            "id": _number(number),
            "node_id": f"MDEyOklzc3VlQ29tbWVudDE{number:010}",
            "user": _user(comment.author),
            "created_at": comment.created_at,
            "updated_at": comment.created_at,
            "author_association": "NONE",
            "body": comment.body,
            "performed_via_github_app": None,
        }


def _raw(contents: bytes) -> orjson.Fragment:
    return orjson.Fragment(contents)


def _number(number: int) -> orjson.Fragment:
    return orjson.Fragment(b"%d" % number + _ID)


@lru_cache(maxsize=4096)
def _user(login: str | None) -> dict[str, Any] | None:
    if login is None:
        return None
    here, page = f"https://api.github.com/users/{login}", f"https://github.com/{login}"
    parts = ("followers", "following{/other_user}", "gists{/gist_id}", "starred{/owner}{/repo}", "subscriptions", "orgs", "repos")
    urls = {f"{part.partition('{')[0]}_url": f"{here}/{part}" for part in (*parts, "events{/privacy}", "received_events")}
    return {"login": login, "id": 1, "avatar_url": f"{page}.png", "gravatar_id": "", "url": here, "html_url": page, **urls,
            "type": "User", "site_admin": False}  # fmt: skip


_WORDS = [
    "add",
    "fix",
    "update",
    "remove",
    "test",
    "build",
    "model",
    "layer",
    "loss",
    "loader",
    "config",
    "script",
    "merge",
    "release",
]
_OTHERS = {  # their shares among the events that are not of issues, about, and how much text they hold, in words
    "PushEvent": (58, 90), "CreateEvent": (15, 8), "PullRequestEvent": (9, 1900), "WatchEvent": (7, 2), "DeleteEvent": (4, 3),
    "PullRequestReviewEvent": (2.5, 1900), "PullRequestReviewCommentEvent": (2, 1900), "ForkEvent": (1.5, 600),
    "ReleaseEvent": (0.6, 300), "GollumEvent": (0.2, 30), "MemberEvent": (0.2, 90),
}  # fmt: skip


@lru_cache(maxsize=1)
def _others(seed: int) -> tuple[list[bytes], list[float]]:
    """Return events of other types with gaps, and how often each is to occur."""
    chance = _chance(seed, "others")
    lines, weights = [], []
    for kind, (share, words) in _OTHERS.items():
        for _ in range(40):
            text = [" ".join(chance.choices(_WORDS, k=30)) for _ in range(max(1, int(words * chance.uniform(0.3, 1.7) / 30)))]
            login = f"{chance.choice(_WORDS)}-{chance.randrange(10**5)}"
            payload = {
                "sha": f"{chance.getrandbits(160):040x}",
                "parts": [{"message": part, "sha": f"{chance.getrandbits(160):040x}", "distinct": True} for part in text],
            }
            line = {
                "id": _raw(b'"9' + _ID + b'"'), "type": kind, "actor": {"id": 2, "login": login},
                "repo": {"id": 2, "name": f"{login}/{chance.choice(_WORDS)}"}, "payload": payload, "public": True,
                "created_at": _raw(b'"' + _TIME + b'"'),
            }  # fmt: skip
            lines.append(orjson.dumps(line) + b"\n")
            weights.append(share / 40)
    return lines, weights


def _other_lines(plan: _Plan, which: int, count: int, chance: random.Random) -> Iterator[tuple[int, bytes]]:
    lines, weights = _others(plan.seed)
    stamps = [_stamp(plan.begin + timedelta(seconds=which * 3600 + second), plan.timeline) for second in range(3600)]
    for number, line in enumerate(chance.choices(lines, weights, k=count)):
        second = int(3600 * chance.random())
        identified = line.replace(_ID, b"%d" % (which * 10**8 + number), 1)
        yield which * 3600 + second, identified.replace(_TIME, stamps[second])
