"""Writes of a crawl: what a page holds goes in together with where the crawl stands, and can go in again without harm."""

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, bindparam, delete, func, insert, select, update

from pipeline.facts import CrawledComment, CrawledIssue, CrawledRepository, IssueReference, ThreadPart
from pipeline.store.schema import Base

_TABLES = Base.metadata.tables
_REPOSITORY, _ISSUE, _COMMENT, _CRAWL = (_TABLES[name] for name in ("repository", "issue", "comment", "crawl"))
_BATCH = 500

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
    comment_count: int
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
    key = {"repository_id": repository_id(connection, repository), "resource": resource}
    old = state(connection, repository, resource)
    if old == new:
        return
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

    With `adds` (a state), issues of another state are passed over unless they are there already.

    A thread whose issue changed is complete no more: its comments are to be fetched again.
    """
    key = repository_id(connection, repository)
    known = _by_number(connection, key, [issue.number for issue in issues])
    added, changed = [], []
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
        if old is None:
            complete = issue.comment_count == 0
            added.append({"repository_id": key, "number": issue.number, "comments_complete": complete, "fix": issue.fix} | row)
            continue
        row["fix"] = issue.fix if issue.knows_fix else old["fix"]
        same_thread = old["updated_at"] == issue.updated_at and old["comment_count"] == issue.comment_count
        row["comments_complete"] = issue.comment_count == 0 or (same_thread and old["comments_complete"])
        if any(old[name] != value for name, value in row.items()):
            changed.append({"b_id": old["id"], **row})
    if added:
        connection.execute(insert(_ISSUE), added)
    if changed:
        columns = {name: bindparam(name, type_=_ISSUE.c[name].type) for name in changed[0] if name != "b_id"}
        connection.execute(update(_ISSUE).where(_ISSUE.c.id == bindparam("b_id")).values(**columns), changed)
        emptied = [row["b_id"] for row in changed if row["comment_count"] == 0]
        connection.execute(delete(_COMMENT).where(_COMMENT.c.issue_id.in_(emptied)))
    return len(added) + len(changed)


def put_thread_parts(connection: Connection, parts: Iterable[ThreadPart]) -> int:
    """Store parts of threads, and return how many comments were new, had changed or went. The last part makes a thread complete.

    A part that is not the last keeps where the thread goes on, and which comments it had so far: those that are not among
    them when it ends are gone on the tracker, and leave the store.
    """
    count = 0
    for part in parts:
        key = repository_id(connection, part.issue.repository)
        issue = _by_number(connection, key, [part.issue.number]).get(part.issue.number)
        if issue is None:
            continue
        resource = _thread_resource(part.issue.number)
        earlier = None if part.first else state(connection, part.issue.repository, resource)
        seen = [*(earlier.counts["seen"] if earlier else ()), *(comment.tracker_id for comment in part.comments)]
        if part.after is not None:
            count += _merge(connection, issue["id"], part.comments, keep=None)
            put_state(connection, part.issue.repository, resource, CrawlState(part.after, None, {"seen": seen}))
            continue
        count += _merge(connection, issue["id"], part.comments, keep=set(seen))
        if earlier is not None or part.first:
            put_state(connection, part.issue.repository, resource, None)
        if not issue["comments_complete"]:
            connection.execute(update(_ISSUE).where(_ISSUE.c.id == issue["id"]).values(comments_complete=True))
    return count


def put_comments(connection: Connection, repository: str, comments: Iterable[tuple[IssueReference, CrawledComment]]) -> int:
    """Store comments of issues of a repository, and return how many were new or had changed.

    Those of issues that are not here, pull requests for instance, are passed over.
    """
    grouped: dict[int, list[CrawledComment]] = {}
    for issue, comment in comments:
        grouped.setdefault(issue.number, []).append(comment)
    known = _by_number(connection, repository_id(connection, repository), list(grouped))
    count = 0
    for number, row in sorted(known.items()):
        count += _merge(connection, row["id"], grouped[number], keep=None)
    return count


def complete_by_count(connection: Connection, repository: str) -> None:
    """Mark threads as complete that hold as many comments as the tracker counts; to call when all comments were listed."""
    counted = select(func.count()).where(_COMMENT.c.issue_id == _ISSUE.c.id).scalar_subquery()
    connection.execute(
        update(_ISSUE)
        .where(
            _ISSUE.c.repository_id == repository_id(connection, repository),
            _ISSUE.c.comments_complete.is_(False),
            _ISSUE.c.comment_count == counted,
        )
        .values(comments_complete=True)
    )


def issue_states(connection: Connection, repository: str, numbers: Collection[int] | None = None) -> list[IssueState]:
    """Return what the store holds of the threads of a repository's issues, by number; those known only by a label left out."""
    where = [_ISSUE.c.repository_id == _found(connection, repository), _ISSUE.c.title.is_not(None)]
    rows = connection.execute(
        select(_ISSUE.c.number, _ISSUE.c.comment_count, _ISSUE.c.comments_complete).where(and_(*where)).order_by(_ISSUE.c.number)
    )
    wanted = None if numbers is None else set(numbers)
    return [IssueState(n, count or 0, complete) for n, count, complete in rows if wanted is None or n in wanted]


def unfinished_thread(connection: Connection, issue: IssueReference) -> str | None:
    """Return where a thread goes on that was read in part; None to begin at its first comment."""
    found = state(connection, issue.repository, _thread_resource(issue.number))
    return None if found is None else found.cursor


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
    return f"comments of {number}"


def _by_number(connection: Connection, repository: int, numbers: list[int]) -> dict[int, Any]:
    known: dict[int, Any] = {}
    for start in range(0, len(numbers), _BATCH):
        rows = connection.execute(
            select(_ISSUE).where(_ISSUE.c.repository_id == repository, _ISSUE.c.number.in_(numbers[start : start + _BATCH]))
        )
        known |= {row.number: row._mapping for row in rows}
    return known


def _merge(connection: Connection, issue: int, comments: Iterable[CrawledComment], keep: set[int] | None) -> int:
    """Add comments to an issue's, oldest first, and return how many had to change; with `keep`, leave only those in it.

    Comments without the tracker's number came from an import: they are what is now fetched anew, and go.
    """
    columns = ("tracker_id", "author", "created_at", "updated_at", "body")
    rows = connection.execute(
        select(*(_COMMENT.c[name] for name in columns)).where(_COMMENT.c.issue_id == issue).order_by(_COMMENT.c.position)
    )
    old = [tuple(row) for row in rows]
    merged = {row[0]: row for row in old if row[0] is not None and (keep is None or row[0] in keep)}
    for c in comments:
        merged[c.tracker_id] = (c.tracker_id, c.author, c.created_at, c.updated_at, c.body)
    new = sorted(merged.values(), key=lambda row: (row[2], row[0]))
    same = len(old) if new[: len(old)] == old else 0
    if not same and old:
        connection.execute(delete(_COMMENT).where(_COMMENT.c.issue_id == issue))
    if new[same:]:
        connection.execute(
            insert(_COMMENT),
            [
                {"issue_id": issue, "position": p} | dict(zip(columns, row, strict=True))
                for p, row in enumerate(new[same:], same + 1)
            ],
        )
    return len(set(old).symmetric_difference(new))
