"""What the replica serves: repositories, issues and comments in a SQLite file of its own, and the changes that a tracker sees."""

# ruff: noqa: S608 (statements are put together from this module's own words; values are always bound)

import hashlib
import itertools
import json
import queue
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from pipeline.errors import RedefectError
from pipeline.thread import Comment, Thread

_SCHEMA = """
CREATE TABLE repository (
    id INTEGER PRIMARY KEY, owner TEXT NOT NULL, name TEXT NOT NULL, created_at TEXT NOT NULL, stars INTEGER NOT NULL,
    blocked INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE repository_name (key TEXT PRIMARY KEY, repository INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE issue (
    id INTEGER PRIMARY KEY, repository INTEGER NOT NULL, number INTEGER NOT NULL, pull INTEGER NOT NULL, title TEXT NOT NULL,
    body TEXT, state TEXT NOT NULL, author TEXT, created_at TEXT NOT NULL, updated_at TEXT NOT NULL, closed_at TEXT,
    fix TEXT, labels TEXT NOT NULL, comments INTEGER NOT NULL, UNIQUE (repository, number)
);
CREATE INDEX issue_created ON issue (repository, created_at, number, state, pull);
CREATE INDEX issue_updated ON issue (repository, updated_at, number, state, pull);
CREATE TABLE comment (
    id INTEGER PRIMARY KEY, issue INTEGER NOT NULL, repository INTEGER NOT NULL, author TEXT, created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL, body TEXT NOT NULL
);
CREATE INDEX comment_issue ON comment (issue);
CREATE INDEX comment_repository ON comment (repository);
CREATE INDEX comment_updated ON comment (repository, updated_at);
CREATE TABLE gone (
    repository INTEGER NOT NULL, number INTEGER NOT NULL, issue INTEGER, PRIMARY KEY (repository, number)
) WITHOUT ROWID;
CREATE TABLE person (key TEXT PRIMARY KEY, login TEXT NOT NULL) WITHOUT ROWID;
"""
_BATCH = 2_000
_FIRST_TIME = datetime(2015, 1, 1, tzinfo=UTC)
_MOST_HOURS = 100_000  # numbers above get one and the same time, else the largest would be after the year 9999
_HOUR = timedelta(hours=1)


class RepositoryRow(NamedTuple):
    """A repository as it is served."""

    id: int
    owner: str
    name: str
    created_at: str
    stars: int
    blocked: int

    @property
    def full_name(self) -> str:
        """`owner/name`, as it is now."""
        return f"{self.owner}/{self.name}"


class IssueRow(NamedTuple):
    """An issue or pull request as it is served; `labels` is JSON, `comments` their number."""

    id: int
    repository: int
    number: int
    pull: int
    title: str
    body: str | None
    state: str
    author: str | None
    created_at: str
    updated_at: str
    closed_at: str | None
    fix: str | None
    labels: str
    comments: int


class CommentRow(NamedTuple):
    """A comment as it is served."""

    id: int
    issue: int
    author: str | None
    created_at: str
    updated_at: str
    body: str


class Gone(NamedTuple):
    """What is left of an issue that was deleted (`None`) or transferred to where it is now."""

    issue: IssueRow | None


@dataclass(frozen=True, slots=True)
class Selection:
    """Which issues of a repository to list, and in which order; `after` is the sort value and number of the last one seen."""

    state: str | None = None
    since: str | None = None
    labels: tuple[str, ...] = ()
    pulls: bool = False
    sort: str = "created_at"
    descending: bool = False
    after: tuple[str | int, int] | None = None


class World:
    """Everything that the replica serves, in a SQLite file that is made anew; threads may use it at the same time.

    What the threads given do not know is made up, always the same way: see `add`.

    Raises
    ------
    RedefectError
        If the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            for ending in ("", "-wal", "-shm"):
                path.with_name(path.name + ending).unlink(missing_ok=True)
        except OSError as error:
            raise RedefectError(f"{path}: cannot be made anew ({error.strerror}); give another file.") from None
        self._lock = threading.Lock()
        self._readers: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        self._writer = self._connect()
        self._writer.executescript("PRAGMA journal_mode = WAL;" + _SCHEMA)
        # Numbers are given once and never again, as trackers do it, also when what had the last one is gone.
        self._issue_ids = itertools.count(1)
        self._comment_ids = itertools.count(1)

    def close(self) -> None:
        """Close all connections; the file stays."""
        with self._lock:
            while not self._readers.empty():
                self._readers.get().close()
            self._writer.close()

    def __enter__(self) -> "World":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=60, isolation_level=None, check_same_thread=False, cached_statements=512)
        connection.execute("PRAGMA synchronous = OFF")  # the file is worth nothing after the process
        connection.execute("PRAGMA cache_size = -32000")
        return connection

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._readers.get_nowait()
        except queue.Empty:
            connection = self._connect()
        try:
            yield connection
        finally:
            self._readers.put(connection)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException as error:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                if isinstance(error, sqlite3.IntegrityError):
                    reason = "one number would belong to two issues of a repository; give each once"
                    raise RedefectError(f"{self._path}: {reason}.") from None
                if isinstance(error, sqlite3.OperationalError):
                    raise RedefectError(f"{self._path}: cannot be written ({error}).") from None
                raise

    # Filling

    def add(self, threads: Iterable[Thread], *, stars: Mapping[str, int] = MappingProxyType({})) -> None:
        """Take in threads, batch by batch; a repository that only `stars` names is there too, without issues.

        What a thread does not know is made up:

        - created: 2015-01-01 and as many hours as its number says, or earlier when something in it happened earlier
        - state: closed; closed at: with the last comment, but not after the last update
        - updated: the latest of all other times
        - comments: an hour after what was before, or less when the last update leaves less room
        - ids: counted up as threads and their comments are given
        - repository: made on 2015-01-01 or, if that is earlier, a day before its first issue; 1,000 to 9,999 stars, by its name

        Raises
        ------
        RedefectError
            If a thread is here already.
        """
        given = {name.casefold(): count for name, count in stars.items()}
        known: dict[str, int] = {}
        remaining = iter(threads)
        while batch := list(itertools.islice(remaining, _BATCH)):
            with self._writing() as connection:
                self._add_batch(connection, batch, given, known)
        with self._writing() as connection:
            for name in stars:
                self._put_repository(connection, name, given)
            connection.execute(
                "UPDATE repository SET created_at = min(created_at, coalesce((SELECT strftime('%Y-%m-%dT%H:%M:%SZ',"
                " min(issue.created_at), '-1 day') FROM issue WHERE issue.repository = repository.id), created_at))"
            )

    def _add_batch(
        self, connection: sqlite3.Connection, batch: list[Thread], stars: Mapping[str, int], known: dict[str, int]
    ) -> None:
        issues: list[tuple[Any, ...]] = []
        comments: list[tuple[Any, ...]] = []
        people: set[str] = set()
        for thread in batch:
            repository = known.get(thread.repository)
            if repository is None:
                repository = known[thread.repository] = self._put_repository(connection, thread.repository, stars)
            number = next(self._issue_ids)
            created, updated, closed, times = _times(thread)
            remarks: Sequence[Comment] = thread.comments or ()
            issues.append(
                (
                    number, repository, thread.number, 0, thread.title, thread.body, thread.state or "closed", thread.author,
                    stamp(created), stamp(updated), stamp(closed) if closed else None, thread.fix,
                    json.dumps(thread.labels or (), ensure_ascii=False), len(remarks),
                )
            )  # fmt: skip
            if thread.author:
                people.add(thread.author)
            for remark, time in zip(remarks, times, strict=True):
                when = stamp(time)
                comments.append((next(self._comment_ids), number, repository, remark.author, when, when, remark.body))
                if remark.author:
                    people.add(remark.author)
        connection.executemany("INSERT INTO issue VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", issues)
        connection.executemany("INSERT INTO comment VALUES (?, ?, ?, ?, ?, ?, ?)", comments)
        _put_people(connection, people)

    def _put_repository(self, connection: sqlite3.Connection, full_name: str, stars: Mapping[str, int]) -> int:
        key = full_name.casefold()
        found = connection.execute("SELECT repository FROM repository_name WHERE key = ?", (key,)).fetchone()
        if found:
            return int(found[0])
        owner, _, name = full_name.partition("/")
        count = stars.get(key, 1_000 + fingerprint(key) % 9_000)
        number = connection.execute(
            "INSERT INTO repository (owner, name, created_at, stars) VALUES (?, ?, ?, ?)",
            (owner, name, stamp(_FIRST_TIME), count),
        ).lastrowid
        assert number is not None  # noqa: S101 (an INSERT always has one)
        connection.execute("INSERT INTO repository_name VALUES (?, ?)", (key, number))
        _put_people(connection, {owner})
        return number

    # Changes

    def comment(self, repository: str, number: int, author: str | None, body: str, at: datetime) -> None:
        """Add a comment at the end of a thread."""
        with self._writing() as connection:
            self._comment(connection, self._issue_row(connection, repository, number), author, body, stamp(at))

    def edit(
        self,
        repository: str,
        number: int,
        *,
        title: str | None = None,
        body: str | None = None,
        state: str | None = None,
        at: datetime,
    ) -> None:
        """Change what is given of an issue or pull request; closing sets when it was closed, reopening forgets it."""
        with self._writing() as connection:
            row = self._issue_row(connection, repository, number)
            closed_at = row.closed_at
            if state is not None and state != row.state:
                closed_at = stamp(at) if state == "closed" else None
            connection.execute(
                "UPDATE issue SET title = ?, body = ?, state = ?, closed_at = ? WHERE id = ?",
                (
                    row.title if title is None else title,
                    row.body if body is None else body,
                    state or row.state,
                    closed_at,
                    row.id,
                ),
            )
            _bump(connection, row.id, stamp(at))

    def touch(self, repository: str, share: float, seed: int, at: datetime | None = None) -> list[int]:
        """Let a share of a repository's issues, one at least, get a new comment; return their numbers.

        Parameters
        ----------
        at
            When; an hour after whatever happened last in the repository unless given.
        """
        with self._writing() as connection:
            found = self._repository_id(connection, repository)
            numbers = [
                n
                for (n,) in connection.execute("SELECT number FROM issue WHERE repository = ? AND NOT pull", (found,)).fetchall()
            ]
            count = max(1, round(share * len(numbers)))
            drawn = sorted(sorted(numbers, key=lambda number: fingerprint(f"{seed}:{number}"))[:count])
            when = stamp(at or _read_stamp(self._latest(connection, found)) + _HOUR)
            for number in drawn:
                row = self._issue_row(connection, repository, number)
                self._comment(connection, row, "passer-by", f"Is there any news on this? ({seed})", when)
        return drawn

    def delete_comment(self, repository: str, number: int, position: int, at: datetime) -> None:
        """Delete the comment at a position, counted from 0."""
        with self._writing() as connection:
            row = self._issue_row(connection, repository, number)
            found = connection.execute(
                "SELECT id FROM comment WHERE issue = ? ORDER BY id LIMIT 1 OFFSET ?", (row.id, position)
            ).fetchone()
            if found is None:
                raise RedefectError(f"{repository}#{number}: has no comment at position {position}.")
            connection.execute("DELETE FROM comment WHERE id = ?", found)
            connection.execute("UPDATE issue SET comments = comments - 1 WHERE id = ?", (row.id,))
            _bump(connection, row.id, stamp(at))

    def delete_issue(self, repository: str, number: int) -> None:
        """Delete an issue with its comments, for good."""
        with self._writing() as connection:
            row = self._issue_row(connection, repository, number)
            connection.execute("DELETE FROM comment WHERE issue = ?", (row.id,))
            connection.execute("DELETE FROM issue WHERE id = ?", (row.id,))
            connection.execute("UPDATE gone SET issue = NULL WHERE issue = ?", (row.id,))
            connection.execute("INSERT OR REPLACE INTO gone VALUES (?, ?, NULL)", (row.repository, number))

    def rename(self, old: str, new: str) -> None:
        """Give a repository a new name; the old one goes on leading to it."""
        with self._writing() as connection:
            found = self._repository_id(connection, old)
            owner, _, name = new.partition("/")
            connection.execute("UPDATE repository SET owner = ?, name = ? WHERE id = ?", (owner, name, found))
            connection.execute("INSERT OR REPLACE INTO repository_name VALUES (?, ?)", (new.casefold(), found))
            _put_people(connection, {owner})

    def transfer(self, repository: str, number: int, to_repository: str, to_number: int, at: datetime | None = None) -> None:
        """Move an issue with its comments to another repository, which is made when it is not here.

        Parameters
        ----------
        at
            When; with whatever happened last in the other repository unless given.
        """
        with self._writing() as connection:
            row = self._issue_row(connection, repository, number)
            target = self._put_repository(connection, to_repository, {})
            when = stamp(at) if at else max(row.updated_at, self._latest(connection, target))
            connection.execute("UPDATE issue SET repository = ?, number = ? WHERE id = ?", (target, to_number, row.id))
            connection.execute("UPDATE comment SET repository = ? WHERE issue = ?", (target, row.id))
            connection.execute("INSERT OR REPLACE INTO gone VALUES (?, ?, ?)", (row.repository, number, row.id))
            _bump(connection, row.id, when)

    def block(self, repository: str) -> None:
        """Block all access to a repository, as trackers do on legal demand."""
        with self._writing() as connection:
            connection.execute("UPDATE repository SET blocked = 1 WHERE id = ?", (self._repository_id(connection, repository),))

    def add_pull_request(self, repository: str, number: int, title: str, at: datetime) -> None:
        """Open a pull request, which shares its numbers with the issues."""
        with self._writing() as connection:
            found = self._repository_id(connection, repository)
            when = stamp(at)
            row = (
                next(self._issue_ids), found, number, 1, title, None, "open", "contributor", when, when, None, None, "[]", 0,
            )  # fmt: skip
            connection.execute("INSERT INTO issue VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            _put_people(connection, {"contributor"})

    def _comment(self, connection: sqlite3.Connection, row: IssueRow, author: str | None, body: str, when: str) -> None:
        comment = (next(self._comment_ids), row.id, row.repository, author, when, when, body)
        connection.execute("INSERT INTO comment VALUES (?, ?, ?, ?, ?, ?, ?)", comment)
        connection.execute("UPDATE issue SET comments = comments + 1 WHERE id = ?", (row.id,))
        _bump(connection, row.id, when)
        if author:
            _put_people(connection, {author})

    def _repository_id(self, connection: sqlite3.Connection, full_name: str) -> int:
        found = connection.execute("SELECT repository FROM repository_name WHERE key = ?", (full_name.casefold(),)).fetchone()
        if found is None:
            raise RedefectError(f"{full_name}: is not in the replica.")
        return int(found[0])

    def _issue_row(self, connection: sqlite3.Connection, repository: str, number: int) -> IssueRow:
        found = connection.execute(
            "SELECT * FROM issue WHERE repository = ? AND number = ?", (self._repository_id(connection, repository), number)
        ).fetchone()
        if found is None:
            raise RedefectError(f"{repository}#{number}: is not in the replica.")
        return IssueRow._make(found)

    def _latest(self, connection: sqlite3.Connection, repository: int) -> str:
        latest = connection.execute("SELECT max(updated_at) FROM issue WHERE repository = ?", (repository,)).fetchone()[0]
        return str(latest or stamp(_FIRST_TIME))

    # Reading

    def repository(self, owner: str, name: str) -> RepositoryRow | None:
        """Return the repository that has or had this name, whatever its case."""
        key = f"{owner}/{name}".casefold()
        return self._repository("JOIN repository_name ON repository = repository.id WHERE key = ?", key)

    def repository_with_id(self, number: int) -> RepositoryRow | None:
        """Return the repository with this id."""
        return self._repository("WHERE id = ?", number)

    def _repository(self, where: str, value: str | int) -> RepositoryRow | None:
        with self._reading() as connection:
            row = connection.execute(
                f"SELECT id, owner, name, created_at, stars, blocked FROM repository {where}",
                (value,),
            ).fetchone()
        return RepositoryRow._make(row) if row else None

    def issue(self, repository: int, number: int) -> IssueRow | Gone | None:
        """Return the issue or pull request with this number, or what is left of it."""
        with self._reading() as connection:
            row = connection.execute("SELECT * FROM issue WHERE repository = ? AND number = ?", (repository, number)).fetchone()
            if row:
                return IssueRow._make(row)
            gone = connection.execute(
                "SELECT issue FROM gone WHERE repository = ? AND number = ?", (repository, number)
            ).fetchone()
            if gone is None:
                return None
            moved = connection.execute("SELECT * FROM issue WHERE id = ?", gone).fetchone()
        return Gone(IssueRow._make(moved) if moved else None)

    def issues(self, repository: int, selection: Selection, limit: int, offset: int = 0) -> list[IssueRow]:
        """Return a repository's issues, those with equal sort values ordered by number."""
        condition, values = _condition(repository, selection)
        way, beyond = ("DESC", "<") if selection.descending else ("ASC", ">")
        sort = selection.sort
        if selection.after is not None:
            condition += f" AND ({sort}, number) {beyond} (?, ?)"
            values += selection.after
        with self._reading() as connection:
            rows = connection.execute(
                f"SELECT * FROM issue WHERE {condition} ORDER BY {sort} {way}, number {way} LIMIT ? OFFSET ?",
                (*values, limit, offset),
            ).fetchall()
        return [IssueRow._make(row) for row in rows]

    def count_issues(self, repository: int, selection: Selection) -> int:
        """Return how many issues a repository has of this selection, wherever a listing stands."""
        condition, values = _condition(repository, selection)
        with self._reading() as connection:
            return int(connection.execute(f"SELECT count(*) FROM issue WHERE {condition}", values).fetchone()[0])

    def first_comments(self, issues: Sequence[int], first: int, after: int = 0) -> dict[int, list[CommentRow]]:
        """Return the first comments of each issue, oldest first, of those whose ids are above `after`."""
        found: dict[int, list[CommentRow]] = {issue: [] for issue in issues}
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT id, issue, author, created_at, updated_at, body FROM ("
                "SELECT *, row_number() OVER (PARTITION BY issue ORDER BY id) AS place FROM comment"
                f" WHERE issue IN ({', '.join('?' * len(issues))}) AND id > ?) WHERE place <= ? ORDER BY id",
                (*issues, after, first),
            )
            for row in rows:
                found[row[1]].append(CommentRow._make(row))
        return found

    def comments(
        self, *, issue: int | None = None, repository: int | None = None, since: str | None, sort: str = "id",
        descending: bool = False, limit: int, offset: int,
    ) -> tuple[int, list[CommentRow]]:  # fmt: skip
        """Return how many comments an issue or repository has, and a page of them."""
        column, value = ("issue", issue) if issue is not None else ("repository", repository)
        condition = f"{column} = ?"
        values: list[int | str | None] = [value]
        if since is not None:
            condition += " AND updated_at >= ?"
            values.append(since)
        way = "DESC" if descending else "ASC"
        with self._reading() as connection:
            total = connection.execute(f"SELECT count(*) FROM comment WHERE {condition}", values).fetchone()[0]
            rows = connection.execute(
                "SELECT id, issue, author, created_at, updated_at, body FROM comment"
                f" WHERE {condition} ORDER BY {sort} {way}, id {way} LIMIT ? OFFSET ?",
                (*values, limit, offset),
            ).fetchall()
        return int(total), [CommentRow._make(row) for row in rows]

    def comment_with_id(self, number: int) -> CommentRow | None:
        """Return the comment with this id."""
        with self._reading() as connection:
            row = connection.execute(
                "SELECT id, issue, author, created_at, updated_at, body FROM comment WHERE id = ?", (number,)
            ).fetchone()
        return CommentRow._make(row) if row else None

    def places(self, issues: Iterable[int]) -> dict[int, tuple[int, int]]:
        """Return the number of each issue, and whether it is a pull request."""
        ids = sorted(set(issues))
        with self._reading() as connection:
            rows = connection.execute(
                f"SELECT id, number, pull FROM issue WHERE id IN ({', '.join('?' * len(ids))})",
                ids,
            ).fetchall()
        return {row[0]: (row[1], row[2]) for row in rows}

    def open_issues(self, repository: int) -> int:
        """Return how many issues and pull requests are open."""
        return self.count_issues(repository, Selection(state="open", pulls=True))

    def person(self, login: str) -> str | None:
        """Return somebody's login in its own case, if there is somebody of that name."""
        with self._reading() as connection:
            row = connection.execute("SELECT login FROM person WHERE key = ?", (login.casefold(),)).fetchone()
        return str(row[0]) if row else None

    def search_repositories(
        self, words: Sequence[str], least: int, most: int | None, descending: bool, limit: int, offset: int
    ) -> tuple[int, list[RepositoryRow]]:
        """Return how many repositories have all words in their name and so many stars, and a page of them by stars."""
        condition = "NOT blocked AND stars BETWEEN ? AND ?" + " AND instr(lower(name), ?)" * len(words)
        values = (least, most if most is not None else 2**62, *(word.lower() for word in words))
        way = "DESC" if descending else "ASC"
        with self._reading() as connection:
            total = connection.execute(f"SELECT count(*) FROM repository WHERE {condition}", values).fetchone()[0]
            rows = connection.execute(
                f"SELECT * FROM repository WHERE {condition} ORDER BY stars {way}, id LIMIT ? OFFSET ?",
                (*values, limit, offset),
            ).fetchall()
        return int(total), [RepositoryRow._make(row) for row in rows]

    def search_issues(
        self, repository: int | None, words: Sequence[str], state: str | None, pull: bool | None, limit: int, offset: int
    ) -> tuple[int, list[IssueRow]]:
        """Return how many issues have all words in their title, and a page of them, newest first."""
        condition, values = "repository NOT IN (SELECT id FROM repository WHERE blocked)", list[Any]()
        for column, value in (("repository", repository), ("state", state), ("pull", pull)):
            if value is not None:
                condition += f" AND {column} = ?"
                values.append(value)
        condition += " AND instr(lower(title), ?)" * len(words)
        values += [word.lower() for word in words]
        with self._reading() as connection:
            total = connection.execute(f"SELECT count(*) FROM issue WHERE {condition}", values).fetchone()[0]
            rows = connection.execute(
                f"SELECT * FROM issue WHERE {condition} ORDER BY created_at DESC, id DESC LIMIT ? OFFSET ?",
                (*values, limit, offset),
            ).fetchall()
        return int(total), [IssueRow._make(row) for row in rows]


def stamp(time: datetime) -> str:
    """Write a time as trackers do: 2020-01-31T12:00:00Z."""
    return (time if time.tzinfo is UTC else time.astimezone(UTC)).isoformat()[:19] + "Z"


def fingerprint(text: str) -> int:
    """Return a number below 2^31 that is always the same for a text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) >> 1


def _read_stamp(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _times(thread: Thread) -> tuple[datetime, datetime, datetime | None, list[datetime]]:
    """Return when a thread was created, updated, closed and commented on; see `World.add` for what is made up."""
    comments: Sequence[Comment] = thread.comments or ()
    created = thread.created_at
    if created is None:
        known = [time for time in (thread.updated_at, thread.closed_at, *(c.created_at for c in comments)) if time is not None]
        created = min([_FIRST_TIME + _HOUR * min(thread.number, _MOST_HOURS), *known])
    step = _HOUR
    if thread.updated_at is not None:
        room = max(thread.updated_at - created, timedelta())
        step = min(_HOUR, timedelta(seconds=room.total_seconds() // (len(comments) + 1)))
    times: list[datetime] = []
    last = created
    for comment in comments:
        time = comment.created_at
        if time is None:
            time = last + step if thread.updated_at is None else max(created, min(last + step, thread.updated_at))
        times.append(time)
        last = max(last, time)
    closed = None
    if thread.state != "open":
        closed = thread.closed_at or (last if thread.updated_at is None else max(created, min(last, thread.updated_at)))
    return created, thread.updated_at or max(last, closed or last), closed, times


def _bump(connection: sqlite3.Connection, issue: int, when: str) -> None:
    connection.execute("UPDATE issue SET updated_at = max(updated_at, ?) WHERE id = ?", (when, issue))


def _put_people(connection: sqlite3.Connection, logins: Iterable[str]) -> None:
    rows = [(login.casefold(), login) for login in sorted(logins)]
    connection.executemany("INSERT OR IGNORE INTO person VALUES (?, ?)", rows)


def _condition(repository: int, selection: Selection) -> tuple[str, tuple[Any, ...]]:
    condition, values = "repository = ?", list[Any]((repository,))
    if not selection.pulls:
        condition += " AND NOT pull"
    if selection.state is not None:
        condition += " AND state = ?"
        values.append(selection.state)
    if selection.since is not None:
        condition += " AND updated_at >= ?"
        values.append(selection.since)
    for label in selection.labels:
        condition += " AND EXISTS (SELECT 1 FROM json_each(labels) WHERE lower(value) = ?)"
        values.append(label.lower())
    return condition, tuple(values)
