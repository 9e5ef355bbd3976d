"""Writes of a crawl: what a page holds goes in together with where the crawl stands, and can go in again without harm."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Column, Connection, Select, and_, bindparam, delete, func, insert, select, update

from pipeline.facts import CrawledComment, CrawledIssue, CrawledRepository, IssueReference, ThreadPart
from pipeline.store.bulk import put_rows
from pipeline.store.schema import Base

_TABLES = Base.metadata.tables
_REPOSITORY, _ISSUE, _COMMENT, _CRAWL = (_TABLES[name] for name in ("repository", "issue", "comment", "crawl"))
_BATCH = 500
_THREAD = "comments of "

SOURCE = "github"


class CrawlState(NamedTuple):
    """Where the crawl of one resource of a repository stands.

    `counts` holds `complete` once a listing has been read to its end, and the numbers of issues and pull requests.
    """

    cursor: str | None = None
    etag: str | None = None
    counts: dict[str, Any] = {}


class IssueState(NamedTuple):
    """What the store holds of an issue's thread."""

    number: int
    comment_count: int | None
    complete: bool


def repository_id(connection: Connection, name: str) -> int:
    """Return the id of a repository by its `owner/name`, whatever its case; one that is not there is added."""
    found = _found(connection, name)
    if found is None:
        owner, short = name.split("/")
        new = insert(_REPOSITORY).values(owner=owner, name=short, source=SOURCE).returning(_REPOSITORY.c.id)
        found = connection.execute(new).scalar_one()
    return int(found)


def _found(connection: Connection, name: str) -> int | None:
    """Return the id of a repository, None when the store does not know it."""
    owner, short = name.lower().split("/")
    same = func.lower(_REPOSITORY.c.owner) == owner, func.lower(_REPOSITORY.c.name) == short
    return connection.execute(select(_REPOSITORY.c.id).where(*same)).scalar()


def knows(connection: Connection, name: str) -> bool:
    """Return whether there is a repository of this name in the store."""
    return _found(connection, name) is not None


def state(connection: Connection, repository: str, resource: str) -> CrawlState | None:
    """Return where a crawl stands; None when it was never begun."""
    row = connection.execute(
        select(_CRAWL.c.cursor, _CRAWL.c.etag, _CRAWL.c.counts).where(
            _CRAWL.c.repository_id == _found(connection, repository), _CRAWL.c.resource == resource
        )
    ).one_or_none()
    return None if row is None else CrawlState(*row)


def put_state(connection: Connection, repository: str, resource: str, new: CrawlState | None) -> None:
    """Store where a crawl stands; None forgets it."""
    old = state(connection, repository, resource)
    if old == new:
        return
    key = {"repository_id": repository_id(connection, repository), "resource": resource}
    if new is None:
        connection.execute(delete(_CRAWL).filter_by(**key))
    elif old is None:
        connection.execute(insert(_CRAWL).values(**key, **new._asdict()))
    else:
        connection.execute(update(_CRAWL).filter_by(**key).values(**new._asdict()))


def put_facts(connection: Connection, repositories: Iterable[CrawledRepository]) -> None:
    """Store what the tracker tells of repositories, which goes before what was known."""
    for facts in repositories:
        known = {"created_at": facts.created_at, "stars": facts.stars}
        if facts.closed_issues is not None:
            known["closed_issues"] = facts.closed_issues
        key = repository_id(connection, facts.name)
        connection.execute(update(_REPOSITORY).where(_REPOSITORY.c.id == key).values(**known))


def put_issues(connection: Connection, repository: str, issues: Collection[CrawledIssue], adds: str = "all") -> int:
    """Store issues as the tracker has them, and return how many were new or had changed.

    With `adds` (a state), issues of another state are passed over unless they are there already. So is one that is older than
    what is there.

    A thread whose issue changed is complete no more: its comments are to be fetched again, from the first one on.
    """
    key = repository_id(connection, repository)
    known = _by_number(connection, key, [issue.number for issue in issues])
    added, changed, restarted = [], [], []
    for issue in issues:
        row = {
            "title": issue.title,
            "body": issue.body,
            "author": issue.author,
            "state": issue.state,
            "created_at": issue.created_at,
            "updated_at": issue.updated_at,
            "closed_at": issue.closed_at,
            "comment_count": issue.comment_count,
            "pull_request": issue.pull_request,
            "tracker_labels": issue.tracker_labels,
            "source": SOURCE,
            "digest": None,
        }
        old = known.get(issue.number)
        if old is None and adds not in ("all", issue.state):
            continue
        if old is not None and old["source"] == SOURCE and old["updated_at"] and issue.updated_at < old["updated_at"]:
            continue  # another crawl has been told of a later state meanwhile
        if old is None:
            complete = issue.comment_count == 0
            added.append({"repository_id": key, "number": issue.number, "comments_complete": complete, "fix": issue.fix} | row)
            continue
        row["fix"] = issue.fix if issue.knows_fix else old["fix"]
        same_thread = (
            old["title"] is not None  # else of its comments, too, only references are known
            and old["updated_at"] == issue.updated_at
            and old["comment_count"] == issue.comment_count
        )
        row["comments_complete"] = issue.comment_count == 0 or (same_thread and old["comments_complete"])
        if any(old[name] != value for name, value in row.items()):
            changed.append({"b_id": old["id"], **row})
        if not same_thread:
            restarted.append(_thread_resource(issue.number))
    put_rows(connection, _ISSUE, added)
    if changed:
        columns = {name: bindparam(name, type_=_ISSUE.c[name].type) for name in changed[0] if name != "b_id"}
        connection.execute(update(_ISSUE).where(_ISSUE.c.id == bindparam("b_id")).values(**columns), changed)
        emptied = [row["b_id"] for row in changed if row["comment_count"] == 0]
        connection.execute(delete(_COMMENT).where(_COMMENT.c.issue_id.in_(emptied)))
    _forget(connection, key, restarted)
    return len(added) + len(changed)


def put_thread_parts(connection: Connection, parts: Iterable[ThreadPart]) -> int:
    """Store parts of threads, and return how many comments were new, had changed or went. The last part makes a thread complete.

    A part that is not the last keeps where the thread goes on, and which comments it had so far: those that are not among
    them when it ends are gone on the tracker, and leave the store. A later part that does not begin where the last one ended,
    for the issue changed since, an archive holds the part twice, or two crawls read the thread, is taken in, but completes
    nothing.
    """
    grouped: dict[str, list[ThreadPart]] = {}
    for part in parts:
        grouped.setdefault(part.issue.repository, []).append(part)
    return sum(_put_parts(connection, repository_id(connection, name), those) for name, those in grouped.items())


def _put_parts(connection: Connection, repository: int, parts: list[ThreadPart]) -> int:
    by_number = {part.issue.number: part for part in parts}
    query = select(_ISSUE.c.id, _ISSUE.c.number, _ISSUE.c.comments_complete).where(_ISSUE.c.repository_id == repository)
    issues = {row.number: (row.id, row.comments_complete) for row in _rows(connection, query, _ISSUE.c.number, list(by_number))}
    resources = [_thread_resource(number) for number in issues]
    query_states = select(_CRAWL.c.resource, _CRAWL.c.cursor, _CRAWL.c.counts).where(_CRAWL.c.repository_id == repository)
    states = _rows(connection, query_states, _CRAWL.c.resource, resources)
    begun = {row.resource: (row.cursor, row.counts["seen"]) for row in states}
    merges: dict[int, tuple[list[CrawledComment], set[int] | None]] = {}
    ended, completed, unfinished = [], [], []
    for number, (key, complete) in issues.items():
        part, resource = by_number[number], _thread_resource(number)
        ended_at, seen_before = begun.get(resource, (None, None))
        earlier = [] if part.begins is None else seen_before if part.begins == ended_at else None
        known = earlier is not None and not (complete and part.after is not None)
        seen = [*(earlier or ()), *(comment.tracker_id for comment in part.comments)]
        merges[key] = part.comments, set(seen) if known and part.after is None else None
        if not known:
            continue
        if resource in begun:
            ended.append(resource)
        if part.after is not None:
            unfinished.append({"repository_id": repository, "resource": resource, "cursor": part.after, "counts": {"seen": seen}})
        elif not complete:
            completed.append(key)
    _forget(connection, repository, ended)
    if unfinished:
        connection.execute(insert(_CRAWL), unfinished)
    for start in range(0, len(completed), _BATCH):
        these = completed[start : start + _BATCH]
        connection.execute(update(_ISSUE).where(_ISSUE.c.id.in_(these)).values(comments_complete=True))
    return _merge(connection, merges)


def put_comments(connection: Connection, repository: str, comments: Iterable[tuple[IssueReference, CrawledComment]]) -> int:
    """Store comments of issues of a repository, and return how many were new or had changed.

    Those of issues that are not here, pull requests for instance, are passed over.
    """
    grouped: dict[int, list[CrawledComment]] = {}
    for issue, comment in comments:
        grouped.setdefault(issue.number, []).append(comment)
    query = select(_ISSUE.c.id, _ISSUE.c.number).where(_ISSUE.c.repository_id == repository_id(connection, repository))
    known = _rows(connection, query, _ISSUE.c.number, sorted(grouped))
    return _merge(connection, {row.id: (grouped[row.number], None) for row in known})


def complete_by_count(connection: Connection, repository: str) -> None:
    """Mark threads as complete that hold as many comments as the tracker counts; to call when all comments were listed."""
    counted = select(func.count(_COMMENT.c.body)).where(_COMMENT.c.issue_id == _ISSUE.c.id).scalar_subquery()
    key = repository_id(connection, repository)
    there = and_(_ISSUE.c.repository_id == key, _ISSUE.c.comments_complete.is_(False), _ISSUE.c.comment_count == counted)
    numbers = connection.execute(select(_ISSUE.c.number).where(there)).scalars().all()
    connection.execute(update(_ISSUE).where(there).values(comments_complete=True))
    _forget(connection, key, [_thread_resource(number) for number in numbers])


def issue_states(connection: Connection, repository: str, numbers: Collection[int] | None = None) -> list[IssueState]:
    """Return what the store holds of the threads of a repository's issues, by number; those known only by a label left out."""
    query = select(_ISSUE.c.number, _ISSUE.c.comment_count, _ISSUE.c.comments_complete).order_by(_ISSUE.c.number)
    query = query.where(_ISSUE.c.repository_id == _found(connection, repository), _ISSUE.c.title.is_not(None))
    every: Iterable[Any] = connection.execute(query) if numbers is None else ()
    rows = every if numbers is None else _rows(connection, query, _ISSUE.c.number, sorted(set(numbers)))
    return [IssueState(row.number, row.comment_count or 0, row.comments_complete) for row in rows]


def unfinished_threads(connection: Connection, repository: str) -> dict[int, str]:
    """Return where threads go on that were read in part, by number."""
    query = select(_CRAWL.c.resource, _CRAWL.c.cursor).where(_CRAWL.c.repository_id == _found(connection, repository))
    rows = connection.execute(query.where(_CRAWL.c.resource.startswith(_THREAD)))
    return {int(row.resource.removeprefix(_THREAD)): row.cursor for row in rows}


class Held(NamedTuple):
    """How much the store holds of a repository's threads."""

    issues: int
    complete: int
    comments: int


def held(connection: Connection, repository: str) -> Held:
    """Count a repository's issues, those of them whose threads are complete, and their comments."""
    key = _found(connection, repository)
    there = and_(_ISSUE.c.repository_id == key, _ISSUE.c.title.is_not(None))
    issues = connection.execute(select(func.count()).where(there)).scalar_one()
    complete = connection.execute(select(func.count()).where(there, _ISSUE.c.comments_complete)).scalar_one()
    comments = connection.execute(
        select(func.count()).select_from(_COMMENT.join(_ISSUE, _COMMENT.c.issue_id == _ISSUE.c.id)).where(there)
    ).scalar_one()
    return Held(issues, complete, comments)


def put_closed_issues(connection: Connection, repository: str, count: int) -> None:
    """Store how many closed issues the tracker counts in a repository."""
    key = repository_id(connection, repository)
    connection.execute(update(_REPOSITORY).where(_REPOSITORY.c.id == key).values(closed_issues=count))


def comment_total(connection: Connection, repository: str) -> int:
    """Return how many comments the tracker counts in all listed issues of a repository."""
    total = select(func.coalesce(func.sum(_ISSUE.c.comment_count), 0)).where(
        _ISSUE.c.repository_id == _found(connection, repository)
    )
    return int(connection.execute(total).scalar_one())


def _thread_resource(number: int) -> str:
    return f"{_THREAD}{number}"


def _forget(connection: Connection, repository: int, resources: list[str]) -> None:
    for start in range(0, len(resources), _BATCH):
        these = _CRAWL.c.resource.in_(resources[start : start + _BATCH])
        connection.execute(delete(_CRAWL).where(_CRAWL.c.repository_id == repository, these))


def _by_number(connection: Connection, repository: int, numbers: list[int]) -> dict[int, Any]:
    query = select(_ISSUE).where(_ISSUE.c.repository_id == repository)
    return {row.number: row._mapping for row in _rows(connection, query, _ISSUE.c.number, numbers)}


def _rows(connection: Connection, query: Select[Any], column: Column[Any], values: list[Any]) -> Iterator[Any]:
    """Yield the rows of a query in which a column has one of these values, so many values at a time as any database takes."""
    for start in range(0, len(values), _BATCH):
        yield from connection.execute(query.where(column.in_(values[start : start + _BATCH])))


def _merge(connection: Connection, comments: Mapping[int, tuple[Iterable[CrawledComment], set[int] | None]]) -> int:
    """Add comments to those of issues, oldest first, and return how many had to change.

    With each issue's comments comes which ones are to be left in the end; None for all. Comments without the tracker's number
    came from an import: they are what is now fetched anew, and go.
    """
    columns = ("tracker_id", "author", "created_at", "updated_at", "body")
    query = select(_COMMENT.c.issue_id, *(_COMMENT.c[name] for name in columns)).order_by(
        _COMMENT.c.issue_id, _COMMENT.c.position
    )
    held: dict[int, list[tuple[Any, ...]]] = {}
    for row in _rows(connection, query, _COMMENT.c.issue_id, list(comments)):
        held.setdefault(row[0], []).append(tuple(row[1:]))
    count = 0
    stale: list[int] = []
    added: list[dict[str, Any]] = []
    for issue, (fetched, keep) in comments.items():
        old = held.get(issue, [])
        merged = {row[0]: row for row in old if row[0] is not None and (keep is None or row[0] in keep)}
        for c in fetched:
            if (there := merged.get(c.tracker_id)) is not None and there[3] is not None and c.updated_at < there[3]:
                continue
            merged[c.tracker_id] = (c.tracker_id, c.author, c.created_at, c.updated_at, c.body)
        new = sorted(merged.values(), key=lambda row: (row[2], row[0]))
        same = len(old) if new[: len(old)] == old else 0
        if old and not same:
            stale.append(issue)
        added += [
            {"issue_id": issue, "position": position} | dict(zip(columns, row, strict=True))
            for position, row in enumerate(new[same:], same + 1)
        ]
        count += len(set(old).symmetric_difference(new))
    for start in range(0, len(stale), _BATCH):
        connection.execute(delete(_COMMENT).where(_COMMENT.c.issue_id.in_(stale[start : start + _BATCH])))
    put_rows(connection, _COMMENT, added)
    return count
