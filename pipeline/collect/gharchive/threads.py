"""Threads rebuilt from GH Archive's events, which come late, twice, out of order, or never.

What is known of an issue is its latest snapshot, and, of what that one does not know, the latest that does; so with a comment.
An issue that was deleted, or transferred elsewhere, is no thread any more where it was; a deleted comment is none.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pipeline.collect.gharchive.events import Event
from pipeline.thread import Comment, Thread

_GONE = {"deleted": "deleted", "transferred": "transferred"}
_STATES = {"closed": "closed", "opened": "open", "reopened": "open"}
_OF_THE_ISSUE = ("title", "body", "author", "state", "created_at", "updated_at", "closed_at", "tracker_labels")


@dataclass(slots=True)
class Rebuilt:
    """The threads of a repository, or of some of its issues, and what became of the issues that are none.

    Attributes
    ----------
    repository, repository_id
        The name that it had last, and GitHub's number of it.
    threads
        Sorted by number. The comments of one that misses some are None, as if none were known: a part would pass for the whole.
    incomplete
        How many threads these are.
    pull_requests, deleted, transferred, untitled
        Numbers of issues that are pull requests, are gone, or whose text no event holds (those of before 2015).
    repeated
        Events of an issue that came more than once.
    """

    repository: str
    repository_id: int | None
    threads: list[Thread] = field(default_factory=list)
    incomplete: int = 0
    pull_requests: int = 0
    deleted: int = 0
    transferred: int = 0
    untitled: int = 0
    repeated: int = 0


def rebuild(events: Iterable[Event]) -> list[Rebuilt]:
    """Rebuild the threads of repositories from all their events, in whatever order these are.

    A repository is known by GitHub's number of it, so that events from before and after a renaming meet; it goes by the name that
    it had last. Events without that number are taken for those of the repository that last had their name.

    Returns
    -------
    A `Rebuilt` a repository, sorted by name (case folded) and number.
    """
    of_repository: dict[int | str, list[Event]] = {}
    named: dict[str, tuple[datetime, int]] = {}
    nameless: list[Event] = []
    for event in events:
        if event.repository_id is None:
            nameless.append(event)
        else:
            of_repository.setdefault(event.repository_id, []).append(event)
            name = event.repository.casefold()
            named[name] = max(named.get(name, (event.at, 0)), (event.at, event.repository_id))
    for event in nameless:
        name = event.repository.casefold()
        of_repository.setdefault(named[name][1] if name in named else name, []).append(event)
    found = [_repository(events) for events in of_repository.values()]
    return sorted(found, key=lambda rebuilt: (rebuilt.repository.casefold(), rebuilt.repository_id or 0))


def _order(event: Event) -> tuple[datetime, datetime, int, bytes]:
    # By when the issue was as the event says; what else differs must order, too, or the result would depend on the files' order.
    return event.updated_at or event.at, event.at, event.event or 0, event.digest


def _repository(events: list[Event]) -> Rebuilt:
    events.sort(key=_order)
    latest = max(events, key=lambda event: (event.repository_id is not None, event.at, event.repository))
    rebuilt = Rebuilt(latest.repository, latest.repository_id)
    numbers: dict[int, int] = {}
    for event in events:
        if event.issue_id is not None and event.number is not None:
            numbers[event.issue_id] = max(numbers.get(event.issue_id, 0), event.number)
    issues: dict[int, list[Event]] = {}
    seen: set[tuple[int | None, int | bytes]] = set()
    digests: set[bytes] = set()
    for event in events:
        number = event.number
        if number is None and event.issue_id is not None:
            number = numbers.get(event.issue_id)
        known_as = number or event.issue_id, event.event if event.event is not None else event.digest
        rebuilt.repeated += known_as in seen
        seen.add(known_as)
        if number and event.digest not in digests:
            digests.add(event.digest)
            issues.setdefault(number, []).append(event)
    for number in sorted(issues):
        _issue(rebuilt, number, issues[number])
    return rebuilt


def _issue(rebuilt: Rebuilt, number: int, events: list[Event]) -> None:
    if any(event.pull_request for event in events):
        rebuilt.pull_requests += 1
        return
    gone = next((_GONE[event.action] for event in events if event.kind == "issue" and event.action in _GONE), None)
    if gone is not None:
        setattr(rebuilt, gone, getattr(rebuilt, gone) + 1)
        return
    known: dict[str, Any] = {}
    counted: Event | None = None
    for event in events:  # the latest last
        if event.title is None:
            known |= _told(event)
        else:  # a whole snapshot: what it leaves empty is empty
            known |= {"body": event.body, "closed_at": event.closed_at}
        known |= {name: value for name in _OF_THE_ISSUE if (value := getattr(event, name)) is not None}
        if event.comment_count is not None:
            counted = event
    if known.get("title") is None:
        rebuilt.untitled += 1
        return
    comments = _comments(events)
    complete = counted is not None and _all_there(counted, len(comments))
    rebuilt.incomplete += not complete
    rebuilt.threads.append(
        Thread(
            repository=rebuilt.repository,
            number=number,
            labels=known.pop("tracker_labels", None),
            comments=tuple(comments) if complete else None,
            **known,
        )
    )


def _all_there(counted: Event, known: int) -> bool:
    """Tell whether so many comments are all that the issue had; a count need not know of the comment that it comes with."""
    late = {"created": -1, "deleted": 1}.get(counted.action, 0) if counted.kind == "comment" else 0
    return counted.comment_count in (known, known + late)


def _told(event: Event) -> dict[str, Any]:
    """Return what an event says by what was done, where it has no snapshot of the issue."""
    if event.kind != "issue":
        return {}
    told: dict[str, Any] = {"state": _STATES[event.action]} if event.action in _STATES else {}
    if event.action == "opened":
        told |= {"author": event.actor, "created_at": event.at}
    if event.action in ("closed", "reopened"):
        told["closed_at"] = event.at if event.action == "closed" else None
    return told


def _comments(events: Iterable[Event]) -> list[Comment]:
    made = [event for event in events if event.comment_id is not None]
    made.sort(key=lambda event: (event.comment_updated_at or event.at, event.at, event.event or 0, event.digest))
    gone = {event.comment_id for event in made if event.action == "deleted"}
    latest: dict[int, dict[str, Any]] = {}
    for event in made:
        if event.comment_id is not None and event.comment_id not in gone:
            told = {"author": event.comment_author, "created_at": event.comment_created_at, "body": event.comment}
            latest.setdefault(event.comment_id, {}).update((key, value) for key, value in told.items() if value is not None)
    # GitHub numbers comments in the order in which they are made.
    return [Comment(**latest[comment]) for comment in sorted(latest) if "body" in latest[comment]]
