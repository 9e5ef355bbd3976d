"""Crawls that are broken in every way and killed at random moments, compared with undisturbed ones: `make stress-crawl`.

Each seed gives a small world, a way of crawling it, a plan of faults and moments to be killed at. Crawlers are processes that
are forked from one that has imported everything, and die by SIGKILL: at a random time, or at a given event (a request, an
answer just archived, a page just stored). The seed repeats a failure, as far as its timing can be repeated:
`python tests/crawl_stress.py --seed 17`.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pipeline.collect.github.archive import Archive
from pipeline.collect.github.budget import Budget
from pipeline.collect.github.client import Client, Patience, Unwatched
from pipeline.collect.github.questions import Question
from pipeline.crawling import Crawl, Wish
from pipeline.errors import RedefectError
from pipeline.facts import IssueReference
from pipeline.intake import rebuild
from pipeline.replica import Faults, Limits, Replica, World
from pipeline.replica.faults import ALL
from pipeline.store.session import Store
from pipeline.study import Repository, Selection, Study, find_study, read_study
from pipeline.thread import Comment, Thread

FORK = get_context("fork")  # not the interpreter's start but its whole state is what a crawler needs, and at once
BEGIN = datetime(2020, 1, 1, tzinfo=UTC)
CHANGES_BEGIN = BEGIN + timedelta(days=400)
LARGE, SMALL, OLD, EMPTY = "stress/large", "stress/small", "stress/old-name", "stress/empty"
NEW, BLOCKED, MISSING, ELSEWHERE = "stress/new-name", "stress/blocked", "stress/never-was", "stress/elsewhere"
GONE = {LARGE: (3, 5)}
"""Numbers of an issue that is deleted and of one that is transferred before any crawl."""
_MOST_SECONDS = 90.0
_GAVE_UP = 3


@dataclass(frozen=True)
class Way:
    """How a world is crawled."""

    whole: bool
    tokens: tuple[str, ...]
    limits: Limits
    selection: Selection
    repositories: tuple[str, ...]
    named: tuple[IssueReference, ...]

    @property
    def state(self) -> str:
        """The state of the issues that are listed."""
        return "all" if self.whole else self.selection.state

    @property
    def words(self) -> str:
        how = f"{len(self.tokens)} tokens" if self.tokens else "anonymous"
        what = "labelled" if not self.repositories else "whole" if self.whole else f"selected, state {self.selection.state}"
        return f"{how}, {what}, budget {self.limits.graphql}/{self.limits.core}/{self.limits.anonymous}"


@dataclass(frozen=True)
class Plan:
    """Everything that a seed decides."""

    seed: int
    way: Way
    faults: Faults
    patience: Patience
    kills: tuple[int | float, ...]
    """Moments of dying: the number of an event, or seconds."""
    kills_of_refresh: tuple[int | float, ...]
    changes_meanwhile: int
    changes_between: int


@dataclass
class Outcome:
    """What came of a seed."""

    seed: int
    words: str = ""
    kills: int = 0
    refreshes: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)
    seconds: float = 0.0


def plan_of(seed: int) -> Plan:
    """Draw what a seed stands for."""
    draw = random.Random(f"plan {seed}")
    has_token = draw.random() < 0.6
    tokens = tuple(f"token-{i}" for i in range(draw.choice((1, 1, 2)))) if has_token else ()
    small = draw.random() < 0.3
    limits = Limits(
        core=draw.randint(8, 30) if small else 5_000,
        graphql=draw.randint(8, 40) if small else 5_000,
        anonymous=draw.randint(20, 60) if small else 100_000,
        search=100,
        window=1.0 if small else 3_600.0,
        pagination=draw.choice((10_000, 10_000, 400)),
    )
    what = draw.choice(("whole", "whole", "selected", "selected", "labelled"))
    state = draw.choice(("all", "all", "closed"))
    selection = Selection(
        state=state,
        minimum_comments=draw.choice((0, 1, 3)),
        most_commented=draw.choice((None, 5, 30)),
        random_share_of_largest_zoos=draw.choice((0.0, 0.2)),
        pull_requests=draw.random() < 0.1,
        with_fix=has_token and draw.random() < 0.2,
        minimum_closed_issues=draw.choice((0, 0, 1)),
    )
    if what == "whole":
        selection = Selection(state=state, pull_requests=draw.random() < 0.1)
    numbers = draw.sample(range(1, 60), 6)
    named = [IssueReference(LARGE, n) for n in sorted({*numbers[:3], *GONE[LARGE]})] + [IssueReference(OLD, numbers[3])]
    named += [IssueReference(SMALL, numbers[4] % 20 + 1), IssueReference(MISSING, 7), IssueReference(SMALL, 9_999)]
    repositories = [LARGE, SMALL, OLD, EMPTY, BLOCKED, MISSING]
    draw.shuffle(repositories)
    changes = what != "labelled" and draw.random() < 0.6
    hang = draw.choice((0.05, 0.05, 0.05, 1.2))  # the connection ends without an answer, or the client's patience does
    return Plan(
        seed,
        Way(
            what == "whole", tokens, limits, selection, () if what == "labelled" else tuple(repositories),
            tuple(named) if what != "whole" or draw.random() < 0.5 else (),
        ),
        Faults(seed, draw.uniform(0.0, 0.3), ALL, hang=hang, reset_after=0.0),
        Patience(first_wait=0.002, read=1.0, attempts=15),
        _moments(draw, 8),
        _moments(draw, 3),
        draw.randint(1, 6) if changes and draw.random() < 0.5 else 0,
        draw.randint(1, 8) if changes else 0,
    )  # fmt: skip


def _moments(draw: random.Random, most: int) -> tuple[int | float, ...]:
    return tuple(
        round(draw.expovariate(1 / 40)) if draw.random() < 0.6 else 0.01 + draw.expovariate(1 / 0.3)
        for _ in range(draw.randint(0, most))
    )


def make_world(path: Path, seed: int) -> World:
    """Make a seed's world: several pages, pages of one second, long threads, pull requests, and what is gone or elsewhere."""
    draw = random.Random(f"world {seed}")
    world = World(path)
    count = draw.randint(120, 420)
    second = BEGIN + timedelta(days=draw.randint(100, 300))
    burst = set(draw.sample(range(1, count + 1), draw.choice((0, 40, 110, min(count, 230)))))
    lengths = {n: draw.choice((99, 100, 101, 140, 230)) for n in draw.sample(range(6, count + 1), draw.randint(0, 4))}
    world.add(_threads(draw, LARGE, range(1, count + 1), lengths, dict.fromkeys(burst, second)))
    world.add(_threads(draw, SMALL, range(1, draw.randint(20, 60)), {}, {}))
    world.add(_threads(draw, OLD, range(1, draw.randint(60, 150)), {7: 101}, {}), stars={EMPTY: 5})
    world.add(_threads(draw, BLOCKED, range(1, 3), {}, {}))
    world.add(_threads(draw, ELSEWHERE, range(1, 3), {}, {}))
    for number in range(count + 1, count + 1 + draw.choice((0, 5, 130))):
        at = BEGIN + timedelta(days=draw.randint(1, 350)) if draw.random() < 0.5 else second
        world.add_pull_request(LARGE, number, f"Change {number}", at)
        for _ in range(draw.choice((0, 0, 0, 1, 3))):
            world.comment(LARGE, number, "reviewer", "Looks good.", at)
    deleted, transferred = GONE[LARGE]
    world.delete_issue(LARGE, deleted)
    world.transfer(LARGE, transferred, ELSEWHERE, 77, at=BEGIN + timedelta(days=350))
    world.rename(OLD, NEW)
    world.block(BLOCKED)
    return world


def _threads(
    draw: random.Random, repository: str, numbers: Sequence[int], lengths: Mapping[int, int], updates: Mapping[int, datetime]
) -> Iterator[Thread]:
    for number in numbers:
        length = lengths.get(number, draw.choice((0, 0, 1, 2, 5, 8)))
        opened = BEGIN + timedelta(minutes=97 * number)
        last = updates.get(number) or opened + timedelta(seconds=draw.randint(0, 90) * 86_400)
        together = draw.random() < 0.2
        comments = tuple(
            Comment(
                author=draw.choice(("ann", "ben", "ci[bot]", None)),
                body=f"Remark {i} on {repository}#{number}. \N{SNAKE}\r\n",
                created_at=last if together else None,
            )
            for i in range(length)
        )
        state = draw.choice(("open", "closed", "closed"))
        fix = f"{repository}@{number:07x}" if state == "closed" and draw.random() < 0.5 else None
        yield Thread(
            repository=repository, number=number, title=f"Title {number}", body=draw.choice((None, "", "Body\n")), state=state,
            author=draw.choice(("ann", "cat", None)), created_at=opened, updated_at=last,
            closed_at=last if state == "closed" else None, fix=fix, labels=tuple(draw.sample(("bug", "question", "gpu"), 2)),
            comments=comments,
        )  # fmt: skip


def change_world(world: World, seed: int, number: int, *, deletes: bool) -> None:
    """Let something happen, later than all that happened before."""
    draw = random.Random(f"change {seed} {number}")
    at = CHANGES_BEGIN + timedelta(hours=number)
    name = draw.choice((LARGE, LARGE, SMALL, NEW))
    row = world.repository(*name.split("/"))
    issue = draw.randint(6, 15)
    what = draw.choice(("touch", "touch", "edit", "close", "comment", "new", "many") + ("delete",) * 2 * deletes)
    if what == "touch":
        world.touch(name, draw.choice((0.01, 0.1, 0.6)), seed + number, at)
    elif what == "edit":
        world.edit(name, issue, title=f"Another title {number}", body="Another body", at=at)
    elif what == "close":
        world.edit(name, issue, state=draw.choice(("open", "closed")), at=at)
    elif what == "comment":
        world.comment(name, issue, "dan", f"One more {number}", at)
    elif what == "many":
        for i in range(120):
            world.comment(name, issue, "dan", f"One of many {i}", at)
    elif what == "new":
        world.add([Thread(repository=name, number=50_000 + number, title="New", state="open", created_at=at, comments=())])
    elif what == "delete":
        found = world.issue(row.id, issue) if row else None
        count = getattr(found, "comments", 0)
        if count:
            world.delete_comment(name, issue, draw.randrange(count), at)


# Processes


class Served:
    """A world in a process of its own, served twice: with faults and limits, and well."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self._pipe, other = FORK.Pipe()
        self._process = FORK.Process(target=_serve, args=(plan, folder, other, self._pipe))
        self._process.start()
        other.close()
        self.bad, self.good = self._ask("addresses")

    def _ask(self, *request: object) -> Any:
        self._pipe.send(request)
        return self._pipe.recv()

    def change(self, number: int, *, deletes: bool) -> None:
        self._ask("change", number, deletes)

    def requests(self) -> int:
        """How many requests came to the server with faults."""
        return int(self._ask("requests"))

    def close(self) -> None:
        self._process.kill()
        self._process.join()


def _serve(plan: Plan, folder: Path, pipe: Connection, parents: Connection) -> None:
    parents.close()
    generous = Limits(core=10**6, graphql=10**6, search=10**6, anonymous=10**6)
    with (
        make_world(folder / "world.sqlite", plan.seed) as world,
        Replica(world, plan.way.limits, plan.faults) as bad,
        Replica(world, generous) as good,
    ):
        while True:
            try:
                request = pipe.recv()
            except EOFError:
                return
            if request[0] == "change":
                pipe.send(change_world(world, plan.seed, request[1], deletes=request[2]))
            elif request[0] == "requests":
                pipe.send(bad.statistics()["requests"])
            else:
                pipe.send((bad.url, good.url))


class Mortal(Unwatched):
    """A watch that kills its process at an event, counted from 0."""

    def __init__(self, dies_at: int | None) -> None:
        self._left = dies_at

    def event(self) -> None:
        if self._left is not None:
            if self._left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)
            self._left -= 1

    def requested(self, resource: str, budget: Budget, total: int) -> None:
        self.event()

    def asking(self, about: str) -> None:
        self.event()

    def stored(self, issues: int, comments: int) -> None:
        self.event()


class WatchedArchive(Archive):
    """An archive that tells when an answer is in it, which is before it is stored."""

    def __init__(self, folder: Path, watch: Mortal) -> None:
        super().__init__(folder)
        self._watch = watch

    def add(self, question: Question, text: str, headers: Mapping[str, str]) -> None:
        super().add(question, text, headers)
        self._watch.event()


def crawl(plan: Plan, study: Study, url: str, database: Path, archive: Path | None, dies_at: int | None) -> None:
    """Crawl as the command does, in this process."""
    watch = Mortal(dies_at)
    store = Store(str(database))
    client = Client(url, list(plan.way.tokens), plan.patience, watch)
    kept = WatchedArchive(archive, watch) if archive else None
    report = Crawl(store, study, client, archive=kept, watch=watch).run(
        Wish(list(plan.way.repositories), plan.way.whole, plan.way.named)
    )
    store.close()
    lacking = {r.repository: r.wanted - r.complete for r in report.repositories}
    database.with_suffix(".lacking.json").write_text(json.dumps(lacking, sort_keys=True))


def replay(archive: Path, database: Path) -> None:
    store = Store(str(database))
    rebuild(store, archive)
    store.close()


def _told(errors: Path, work: Callable[..., None], *arguments: object) -> None:
    """Do some work in this process, and end it with what came of that."""
    try:
        work(*arguments)
    except RedefectError as error:
        errors.write_text(str(error))
        os._exit(_GAVE_UP)
    except BaseException:
        errors.write_text(traceback.format_exc())
        os._exit(1)
    os._exit(0)


class FailedError(Exception):
    """A process did not end as it should."""


def in_process(folder: Path, seconds: float, work: Callable[..., None], *arguments: object) -> int | None:
    """Do some work in a process; return how it ended, or None when it was killed after so many seconds."""
    errors = folder / "errors.txt"
    process = FORK.Process(target=_told, args=(errors, work, *arguments))
    process.start()
    process.join(seconds)
    if process.exitcode is None:
        process.kill()
        process.join()
        return None
    if process.exitcode not in (0, _GAVE_UP, -signal.SIGKILL):
        raise FailedError(errors.read_text() if errors.exists() else f"exit code {process.exitcode}")
    return process.exitcode


# Stores


def contents(database: Path) -> dict[str, dict[tuple[Any, ...], dict[str, Any]]]:
    """Return what a store holds by natural keys, but for what cannot be the same: ETags, and when crawls ran."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        connection.row_factory = sqlite3.Row
        problems = [tuple(row) for row in connection.execute("PRAGMA integrity_check")]
        problems += [tuple(row) for row in connection.execute("PRAGMA foreign_key_check")]
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        tables = [row["name"] for row in names if "_fts" not in row["name"]]
        rows = {table: [dict(row) for row in connection.execute(f"SELECT * FROM {table}")] for table in tables}
    repositories = {row["id"]: f"{row['owner']}/{row['name']}" for row in rows["repository"]}
    issues = {row["id"]: (repositories[row["repository_id"]], row["number"]) for row in rows["issue"]}
    found: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {"problems": {p: {} for p in problems if p != ("ok",)}}
    for table in set(tables) - {"run", "alembic_version"}:
        keyed: dict[tuple[Any, ...], dict[str, Any]] = {}
        for row in rows[table]:
            del row["id"]
            key: tuple[Any, ...] = ()
            if "repository_id" in row:
                key += (repositories[row.pop("repository_id")],)
            if "issue_id" in row:
                key += issues[row.pop("issue_id")]
            key += tuple(row.pop(name) for name in ("number", "position", "resource", "owner", "name") if name in row)
            row.pop("etag", None)
            if key in keyed:
                found["problems"][table, *key] = {}
            keyed[key] = row
        found[table] = keyed
    return found


def differences(
    ours: Mapping[str, Mapping[tuple[Any, ...], Mapping[str, Any]]], theirs: Mapping[str, Mapping[tuple[Any, ...], Any]]
) -> list[str]:
    """Tell where two stores differ, row by row."""
    lines = []
    for table in sorted(set(ours) | set(theirs)):
        one, other = ours.get(table, {}), theirs.get(table, {})
        for key in sorted(set(one) | set(other), key=str):
            place = f"{table} {key}"
            if key not in other:
                lines.append(f"{place}: only in the disturbed: {_short(one[key])}")
            elif key not in one:
                lines.append(f"{place}: missing in the disturbed: {_short(other[key])}")
            elif one[key] != other[key]:
                names = [name for name in one[key] if one[key][name] != other[key].get(name)]
                lines += [f"{place}: {n} is {_short(one[key][n])}, undisturbed {_short(other[key][n])}" for n in names]
    return lines


def lacking(database: Path) -> Mapping[tuple[Any, ...], Any]:
    """Return how many threads each repository's last crawl wanted and did not get."""
    return {(name,): {"threads": n} for name, n in json.loads(database.with_suffix(".lacking.json").read_text()).items()}


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 150 else text[:150] + "..."


def _killed(plan: Plan, ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    if plan.way.state != "all":  # a crawl that goes on after a listing's end meets issues of the other state, too
        ours, theirs = ({**store, "crawl": _without_cursor_of_issues(store["crawl"])} for store in (ours, theirs))
    return differences(ours, theirs)


def _without_cursor_of_issues(crawl: Mapping[tuple[Any, ...], Mapping[str, Any]]) -> dict[tuple[Any, ...], Any]:
    return {key: {**row, "cursor": None} if key[1].endswith("issues") else row for key, row in crawl.items()}


def comparable(store: dict[str, Any], other: dict[str, Any], plan: Plan) -> dict[str, Any]:
    """Return what must be the same in two stores that were crawled by different ways, or at different times.

    Both must have got all threads that are wanted. But each holds others: those that came along, those that were wanted before
    the world changed, and issues in a state that is not asked for any more. Ways depend on numbers that change, so that of the
    crawl itself only the listing of issues is compared, and threads that were read in part. How many closed issues there are
    is learned anew only where it comes along, and a fix only with a thread where the listing (REST) does not tell it.
    """
    complete = {key for key, row in store["issue"].items() if row["comments_complete"] and _is_complete(other, key)}
    state, selection = plan.way.state, plan.way.selection
    comes_along = plan.way.tokens and not selection.pull_requests
    kept: dict[str, Any] = {"problems": store["problems"], "lacking": store["lacking"]}
    kept["repository"] = {key: row if comes_along else {**row, "closed_issues": None} for key, row in store["repository"].items()}
    kept["issue"] = {
        key: {**row, "comments_complete": None} | ({"fix": None} if selection.pull_requests else {})
        for key, row in store["issue"].items()
        if key in other["issue"] or state in ("all", row["state"])
    }
    kept["comment"] = {key: row for key, row in store["comment"].items() if key[:2] in complete}
    kept["crawl"] = {
        key: {**row, "counts": json.loads(row["counts"]).get("complete"), "cursor": None if key[1] == "facts" else row["cursor"]}
        for key, row in _without_cursor_of_issues(store["crawl"]).items()
        if key[1] != "comments"
    }
    if state == "all":
        for key, row in kept["crawl"].items():
            if key[1].endswith("issues"):
                row["cursor"] = store["crawl"][key]["cursor"]
    return kept


def _is_complete(store: Mapping[str, Any], issue: tuple[Any, ...]) -> bool:
    return bool(store["issue"].get(issue, {}).get("comments_complete"))


# A seed


def run_seed(seed: int, folder: Path | None = None) -> Outcome:
    """Crawl a seed's world, disturbed and not, and compare."""
    plan = plan_of(seed)
    outcome = Outcome(seed, f"{plan.way.words}, faults {plan.faults.rate:.2f}")
    start = time.monotonic()
    with tempfile.TemporaryDirectory(dir=folder) as name:
        served = Served(plan, Path(name))
        try:
            _compare(plan, served, Path(name), outcome)
        except (FailedError, EOFError) as error:
            outcome.differences.append(f"failed: {error}")
        finally:
            served.close()
    outcome.seconds = time.monotonic() - start
    return outcome


def _study(plan: Plan) -> Study:
    repositories = [
        Repository(name=name, kind="zoo" if name in (LARGE, OLD) else "solo", architecture=None)
        for name in sorted(plan.way.repositories)
    ]
    return read_study(find_study("demo")).model_copy(update={"selection": plan.way.selection, "repositories": repositories})


def _compare(plan: Plan, served: Served, folder: Path, outcome: Outcome) -> None:
    study = _study(plan)
    empty = folder / "empty.sqlite"
    if in_process(folder, 60, lambda: Store(str(empty)).close()) != 0:
        raise FailedError("no store could be made")

    def fresh(name: str) -> Path:
        return Path(shutil.copy(empty, folder / f"{name}.sqlite"))

    def undisturbed(name: str) -> dict[str, Any]:
        database = fresh(name)
        if (code := in_process(folder, _MOST_SECONDS, crawl, plan, study, served.good, database, None, None)) != 0:
            raise FailedError(f"the undisturbed crawl ended with {code}: {_read(folder / 'errors.txt')}")
        return compared(database)

    def compared(database: Path) -> dict[str, Any]:
        return contents(database) | {"lacking": lacking(database)}

    disturbed, archive = fresh("disturbed"), folder / "archive"
    before = undisturbed("before")
    draw = random.Random(f"changes {plan.seed}")
    changes = iter(range(10**6))

    def meanwhile() -> None:
        served.change(next(changes), deletes=False)

    _disturb(plan, study, served, disturbed, archive, outcome, plan.kills, meanwhile if plan.changes_meanwhile else None)
    if not plan.changes_meanwhile:
        _note(outcome, "killed and broken", _killed(plan, compared(disturbed), before))
    if plan.changes_between:
        for _ in range(plan.changes_between):
            served.change(next(changes), deletes=True)
        after = undisturbed("after")
        _disturb(plan, study, served, disturbed, archive, outcome, plan.kills_of_refresh, None)
        outcome.refreshes += 1
        mine = compared(disturbed)
        _note(outcome, "refreshed", differences(comparable(mine, after, plan), comparable(after, mine, plan)))
        if draw.random() < 0.5:  # once more, when there is nothing new
            _disturb(plan, study, served, disturbed, archive, outcome, plan.kills_of_refresh[:1], None)
            again = compared(disturbed)
            _note(outcome, "refreshed again", differences(again | {"crawl": {}}, mine | {"crawl": {}}))
    replayed = fresh("replayed")
    if in_process(folder, _MOST_SECONDS, replay, archive, replayed) != 0:
        raise FailedError(f"the archive cannot be replayed: {_read(folder / 'errors.txt')}")
    _note(outcome, "rebuilt from the archive", differences(contents(replayed), contents(disturbed)))
    for number in range(served.requests()):
        if fault := plan.faults.decide(number):
            outcome.faults[fault.kind] += 1


def _disturb(
    plan: Plan, study: Study, served: Served, database: Path, archive: Path, outcome: Outcome, kills: Sequence[int | float],
    meanwhile: Callable[[], None] | None,
) -> None:  # fmt: skip
    """Crawl until it ends by itself, being killed on the way."""
    folder = database.parent
    changes = plan.changes_meanwhile if meanwhile else 0
    gave_up = 0
    moments = list(kills)
    while True:
        moment = moments.pop(0) if moments else None
        seconds = moment if isinstance(moment, float) else _MOST_SECONDS
        dies_at = moment if isinstance(moment, int) else None
        code = in_process(folder, seconds, crawl, plan, study, served.bad, database, archive, dies_at)
        if code is None and not isinstance(moment, float):
            raise FailedError(f"the crawl did not end in {_MOST_SECONDS:.0f} s")
        if code in (None, -signal.SIGKILL):
            outcome.kills += 1
        if changes and meanwhile:
            meanwhile()
            changes -= 1
        if code == 0 and not (changes and moments):
            return
        if code == _GAVE_UP:
            gave_up += 1
            if gave_up > 5:
                raise FailedError(f"the crawl gave up again and again: {_read(folder / 'errors.txt')}")


def _note(outcome: Outcome, when: str, lines: Sequence[str]) -> None:
    outcome.differences += [f"{when}: {line}" for line in lines]


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else "nothing told"


def report_failure(outcome: Outcome) -> str:
    """Tell what differs, and how to see it again."""
    shown = outcome.differences[:20]
    more = len(outcome.differences) - len(shown)
    lines = [f"seed {outcome.seed} ({outcome.words}): {len(outcome.differences)} differences", *(f"  {line}" for line in shown)]
    lines += [f"  and {more} more"] if more else []
    return "\n".join([*lines, f"  again: python tests/crawl_stress.py --seed {outcome.seed}"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--crawls", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, action="append", help="only this seed; may be repeated")
    parser.add_argument("--processes", type=int, default=2 * (os.cpu_count() or 1))
    options = parser.parse_args()
    seeds = options.seed or list(range(options.first, options.first + options.crawls))
    start = time.monotonic()
    outcomes = []
    with ProcessPoolExecutor(min(options.processes, len(seeds)), FORK) as pool:
        for outcome in pool.map(run_seed, seeds):
            outcomes.append(outcome)
            if outcome.differences:
                print(report_failure(outcome), flush=True)
            elif options.seed:
                print(f"seed {outcome.seed} ({outcome.words}): {outcome.kills} kills, {outcome.seconds:.1f} s, no difference")
    faults = sum((outcome.faults for outcome in outcomes), Counter[str]())
    failed = [outcome.seed for outcome in outcomes if outcome.differences]
    print(
        f"{len(outcomes)} crawls, {sum(o.refreshes for o in outcomes)} of them refreshed after changes, in "
        f"{time.monotonic() - start:.0f} s: {sum(o.kills for o in outcomes)} kills; {faults.total()} faults ("
        + ", ".join(f"{kind} {count}" for kind, count in sorted(faults.items()))
        + f"); differences in {len(failed)}{': seeds ' + ', '.join(map(str, failed)) if failed else ''}"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
