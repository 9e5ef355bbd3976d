"""Writes to the store, inside a unit of work of `Store.writing`.

Everything here can be repeated: what the store already holds is left untouched, and each function tells how many rows
it added, changed or removed. Rows go in by SQLAlchemy Core, many at a time.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import Boolean, ColumnElement, Connection, Table, and_, bindparam, delete, func, insert, or_, select, update

from pipeline.errors import RedefectError
from pipeline.facts import Coding, IssueFacts, IssueReference, Label, Rating, Remark, RepositoryFacts, Turn
from pipeline.store.bulk import put_rows, put_rows_with_ids
from pipeline.store.schema import Base, storable
from pipeline.thread import Thread

_BATCH = 1000

_TABLES = Base.metadata.tables
_REPOSITORY, _ISSUE, _COMMENT = _TABLES["repository"], _TABLES["issue"], _TABLES["comment"]
_SAMPLE, _LABEL, _RATING, _REMARK, _RUN = (_TABLES[name] for name in ("sample", "label", "rating", "remark", "run"))
_TURN, _CODING = _TABLES["turn"], _TABLES["coding"]

_THREAD_COLUMNS = (
    "title", "body", "author", "state", "created_at", "updated_at", "closed_at", "fix", "comment_count", "tracker_labels",
)  # fmt: skip


@dataclass(slots=True)
class ThreadCounts:
    """What became of the threads of one import."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    comments: int = 0

    @property
    def total(self) -> int:
        """How many threads came in."""
        return self.added + self.changed + self.unchanged


class SampleRow(NamedTuple):
    """Why an issue is in a study."""

    issue: IssueReference
    rule: str
    stratum: str | None
    seed: int | None


def put_threads(connection: Connection, threads: Iterable[Thread], source: str) -> ThreadCounts:
    """Store threads as they come, a batch at a time, so that memory does not grow with their number.

    A thread that is already there unchanged is left alone; a changed one replaces what is known, and what it does not
    know (`None`) stays. Memory: one batch of threads, and a digest for each issue of the repositories that occur.

    Raises
    ------
    RedefectError
        If one issue comes twice with different contents.
    """
    counts = ThreadCounts()
    repositories = _Repositories(connection)
    known: dict[int, dict[int, tuple[int, str | None]]] = {}
    seen: dict[tuple[int, int], str] = {}
    incoming = iter(threads)
    while batch := list(islice(incoming, _BATCH)):
        added: dict[tuple[int, int], tuple[Thread, str]] = {}
        changed: list[tuple[int, Thread, str]] = []
        for thread in batch:
            repository = repositories.id(thread.repository, source)
            if repository not in known:
                rows = connection.execute(
                    select(_ISSUE.c.number, _ISSUE.c.id, _ISSUE.c.digest).where(_ISSUE.c.repository_id == repository)
                )
                known[repository] = {number: (issue, digest) for number, issue, digest in rows}
            key = (repository, thread.number)
            digest = hashlib.sha256(thread.model_dump_json().encode()).hexdigest()
            if seen.setdefault(key, digest) != digest:
                raise RedefectError(
                    f"{source}: {thread.repository}#{thread.number} comes twice with different contents; remove one of the two."
                )
            found = known[repository].get(thread.number)
            if key in added or (found is not None and found[1] == digest):
                counts.unchanged += 1
            elif found is None:
                added[key] = thread, digest
                counts.added += 1
            else:
                changed.append((found[0], thread, digest))
                known[repository][thread.number] = found[0], digest
                counts.changed += 1
            counts.comments += len(thread.comments or ())
        _insert_threads(connection, added, source)
        for (repository, number), (_, digest) in added.items():
            known[repository][number] = (0, digest)  # the id is not needed again: a second, equal one is unchanged
        _update_threads(connection, changed, source)
    return counts


def _insert_threads(connection: Connection, threads: dict[tuple[int, int], tuple[Thread, str]], source: str) -> None:
    if not threads:
        return
    rows = [
        {"repository_id": repository, "number": number, "source": source, "digest": digest, **_thread_row(thread)}
        for (repository, number), (thread, digest) in threads.items()
    ]
    ids = put_rows_with_ids(connection, _ISSUE, rows)
    comments = [row for id_, (thread, _) in zip(ids, threads.values(), strict=True) for row in _comment_rows(id_, thread)]
    put_rows(connection, _COMMENT, comments)


def _update_threads(connection: Connection, threads: list[tuple[int, Thread, str]], source: str) -> None:
    if not threads:
        return
    kept: dict[str, ColumnElement[Any]] = {
        name: func.coalesce(bindparam(f"new_{name}", type_=_ISSUE.c[name].type), _ISSUE.c[name]) for name in _THREAD_COLUMNS
    }
    kept["comments_complete"] = or_(bindparam("new_comments_complete", type_=Boolean()), _ISSUE.c.comments_complete)
    statement = (
        update(_ISSUE)
        .where(_ISSUE.c.id == bindparam("issue"))
        .values(source=bindparam("new_source"), digest=bindparam("new_digest"), **kept)
    )
    connection.execute(
        statement,
        [
            {"issue": issue, "new_source": source, "new_digest": digest}
            | {f"new_{name}": value for name, value in _thread_row(thread).items()}
            for issue, thread, digest in threads
        ],
    )
    replaced = [(issue, thread) for issue, thread, _ in threads if thread.comments is not None]
    _delete(connection, _COMMENT, _COMMENT.c.issue_id, [issue for issue, _ in replaced])
    put_rows(connection, _COMMENT, [row for issue, thread in replaced for row in _comment_rows(issue, thread)])


def _thread_row(thread: Thread) -> dict[str, Any]:
    return {
        "title": thread.title,
        "body": thread.body,
        "author": thread.author,
        "state": thread.state,
        "created_at": thread.created_at,
        "updated_at": thread.updated_at,
        "closed_at": thread.closed_at,
        "fix": thread.fix,
        "comment_count": None if thread.comments is None else len(thread.comments),
        "comments_complete": thread.comments is not None,
        "tracker_labels": None if thread.labels is None else list(thread.labels),
    }


def _comment_rows(issue: int, thread: Thread) -> Iterator[dict[str, Any]]:
    for position, comment in enumerate(thread.comments or (), start=1):
        yield {
            "issue_id": issue,
            "position": position,
            "author": comment.author,
            "created_at": comment.created_at,
            "body": comment.body,
        }


def put_repositories(
    connection: Connection, facts: Iterable[RepositoryFacts], source: str, *, authoritative: bool = False
) -> int:
    """Store what is known of repositories; only `authoritative` facts replace others, the rest fill gaps."""
    changed = 0
    for fact in facts:
        owner, name = fact.name.split("/")
        row = connection.execute(
            select(_REPOSITORY).where(
                func.lower(_REPOSITORY.c.owner) == owner.lower(), func.lower(_REPOSITORY.c.name) == name.lower()
            )
        ).one_or_none()
        known = {
            key: value
            for key in ("kind", "prototype", "framework", "architecture", "created_at")
            if (value := getattr(fact, key)) is not None
        }
        if row is None:
            connection.execute(insert(_REPOSITORY).values(owner=owner, name=name, source=source, **known))
            changed += 1
            continue
        old = row._mapping
        new = {k: v for k, v in known.items() if old[k] is None or (authoritative and old[k] != v)}
        if new:
            connection.execute(update(_REPOSITORY).where(_REPOSITORY.c.id == row.id).values(**new))
            changed += 1
    return changed


def put_issues(connection: Connection, facts: Iterable[IssueFacts], source: str) -> int:
    """Store what published tables tell of issues: unknown issues are added, and gaps of known ones filled."""
    facts = list(facts)
    issues = _Issues(connection, {fact.issue for fact in facts}, source)
    changed = issues.added
    for fact in facts:
        row = connection.execute(
            select(_ISSUE.c.created_at, _ISSUE.c.tracker_labels).where(_ISSUE.c.id == issues.id(fact.issue))
        ).one()
        known = {"created_at": fact.created_at, "tracker_labels": fact.tracker_labels}
        new = {k: v for k, v in known.items() if v is not None and row._mapping[k] is None}
        if new:
            connection.execute(update(_ISSUE).where(_ISSUE.c.id == issues.id(fact.issue)).values(**new))
            changed += 1
    return changed


def put_labels(connection: Connection, labels: Sequence[Label], source: str) -> int:
    """Make the store hold exactly these labels from this source.

    Raises
    ------
    RedefectError
        If another source has already said something else under the same annotator and round: nothing is overwritten.
    """
    issues = _Issues(connection, {label.issue for label in labels}, source)
    keys = ("issue_id", "defect", "facet", "annotator", "round")
    rows = [
        {
            "issue_id": issues.id(label.issue),
            "defect": label.defect,
            "facet": label.facet,
            "annotator": label.annotator,
            "round": label.round,
            "category": label.category,
            "value": label.value,
            "confidence": label.confidence,
            "note": label.note,
            "suggested": label.suggested,
            "source": source,
        }
        for label in labels
    ]
    for annotator, round_ in sorted({(label.annotator, label.round) for label in labels}):
        others = {
            tuple(row)
            for row in connection.execute(
                select(*(_LABEL.c[key] for key in keys)).where(
                    _LABEL.c.annotator == annotator, _LABEL.c.round == round_, _LABEL.c.source != source
                )
            )
        }
        for label, row in zip(labels, rows, strict=True):
            if others and tuple(row[key] for key in keys) in others:
                raise RedefectError(
                    f"{source}: the label of {label.issue.repository}#{label.issue.number} for facet '{label.facet}' by "
                    f"'{annotator}' in round '{round_}' is already there from another source; give this round another name."
                )
    return issues.added + _synchronise(connection, _LABEL, keys, rows, _LABEL.c.source == source)


def put_remarks(connection: Connection, remarks: Sequence[Remark], source: str) -> int:
    """Make the store hold exactly these remarks from this source."""
    issues = _Issues(connection, {remark.issue for remark in remarks}, source)
    rows = [
        {
            "issue_id": issues.id(r.issue), "annotator": r.annotator, "round": r.round, "discuss": r.discuss, "slow": r.slow,
            "translated": r.translated, "note": r.note, "source": source,
        }
        for r in remarks
    ]  # fmt: skip
    return _synchronise(connection, _REMARK, ("issue_id", "annotator", "round"), rows, _REMARK.c.source == source)


def put_ratings(connection: Connection, ratings: Iterable[Rating], source: str) -> int:
    """Make the store hold exactly these ratings from this source."""
    rows = [
        {
            "round": r.round, "annotator": r.annotator, "row": r.row, "number": r.number,
            "facet": r.facet, "value": r.value, "category": r.category, "source": source,
        }
        for r in ratings
    ]  # fmt: skip
    return _synchronise(connection, _RATING, ("round", "annotator", "row", "facet"), rows, _RATING.c.source == source)


def put_turns(connection: Connection, turns: Iterable[Turn], source: str) -> int:
    """Make the store hold exactly these turns of interviews from this source."""
    rows = [asdict(turn) | {"source": source} for turn in turns]
    return _synchronise(connection, _TURN, ("transcript", "turn"), rows, _TURN.c.source == source)


def put_codings(connection: Connection, codings: Iterable[Coding], source: str) -> int:
    """Make the store hold exactly these codings from this source."""
    rows = [asdict(coding) | {"source": source} for coding in codings]
    return _synchronise(connection, _CODING, ("transcript", "turn", "coder", "theme"), rows, _CODING.c.source == source)


def put_sample(connection: Connection, study: str, sample: Iterable[SampleRow], source: str, rules: Collection[str]) -> int:
    """Make the store hold exactly this sample of a study, as far as these rules go; what is in by other rules stays.

    Raises
    ------
    ValueError
        If a row is in by none of these rules: a second call could not tell that it belongs to the same sample.
    """
    sample = list(sample)
    if strange := {row.rule for row in sample} - set(rules):
        raise ValueError(f"no such rule here: {', '.join(sorted(strange))}")
    issues = _Issues(connection, {row.issue for row in sample}, source)
    rows = [
        {"study": study, "issue_id": issues.id(r.issue), "rule": r.rule, "stratum": r.stratum, "seed": r.seed} for r in sample
    ]
    scope = and_(_SAMPLE.c.study == study, _SAMPLE.c.rule.in_(sorted(rules)))
    return issues.added + _synchronise(connection, _SAMPLE, ("study", "issue_id", "rule"), rows, scope)


def put_run(
    connection: Connection,
    *,
    command: str,
    study: str,
    study_digest: str,
    version: str,
    inputs: dict[str, str],
    finished_at: datetime,
) -> None:
    """Record that a command changed the store."""
    connection.execute(
        insert(_RUN).values(
            command=command,
            study=study,
            study_digest=study_digest,
            version=version,
            inputs=inputs,
            finished_at=finished_at,
        )
    )


class _Repositories:
    """The ids of repositories by name, whatever its case; unknown ones are added."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        rows = connection.execute(select(_REPOSITORY.c.id, _REPOSITORY.c.owner, _REPOSITORY.c.name))
        self._ids: dict[str, int] = {f"{owner}/{name}".lower(): id_ for id_, owner, name in rows}

    def id(self, full_name: str, source: str) -> int:
        key = full_name.lower()
        if key not in self._ids:
            owner, name = full_name.split("/")
            new = insert(_REPOSITORY).values(owner=owner, name=name, source=source).returning(_REPOSITORY.c.id)
            self._ids[key] = int(self._connection.execute(new).scalar_one())
        return self._ids[key]


class _Issues:
    """The ids of issues by reference; unknown ones are added in sorted order, so that ids do not depend on a set's."""

    def __init__(self, connection: Connection, references: Collection[IssueReference], source: str) -> None:
        repositories = _Repositories(connection)
        self._keys = {r: (repositories.id(r.repository, source), r.number) for r in sorted(references)}
        wanted = sorted({repository for repository, _ in self._keys.values()})
        self._ids: dict[tuple[int, int], int] = {}
        for start in range(0, len(wanted), _BATCH):
            rows = connection.execute(
                select(_ISSUE.c.id, _ISSUE.c.repository_id, _ISSUE.c.number).where(
                    _ISSUE.c.repository_id.in_(wanted[start : start + _BATCH])
                )
            )
            self._ids |= {(repository, number): issue for issue, repository, number in rows}
        missing = list(dict.fromkeys(key for key in self._keys.values() if key not in self._ids))
        self.added = len(missing)
        if missing:
            rows = connection.execute(
                insert(_ISSUE).returning(_ISSUE.c.id, _ISSUE.c.repository_id, _ISSUE.c.number),
                [{"repository_id": repository, "number": number, "source": source} for repository, number in missing],
            )
            self._ids |= {(repository, number): issue for issue, repository, number in rows}

    def id(self, reference: IssueReference) -> int:
        return self._ids[self._keys[reference]]


def _synchronise(
    connection: Connection, table: Table, keys: tuple[str, ...], rows: list[dict[str, Any]], scope: ColumnElement[bool]
) -> int:
    """Make the rows of `table` within `scope` equal to `rows`, told apart by `keys`; return how many had to change."""
    columns = list(rows[0]) if rows else []
    rows = [{name: storable(value) if isinstance(value, str) else value for name, value in row.items()} for row in rows]
    wanted = {tuple(row[key] for key in keys): row for row in rows}
    present = {tuple(row[key] for key in keys): row for row in connection.execute(select(table).where(scope)).mappings().all()}
    stale = [
        row["id"]
        for key, row in present.items()
        if key not in wanted or any(row[column] != wanted[key][column] for column in columns)
    ]
    _delete(connection, table, table.c.id, stale)
    removed = set(stale)
    new = [row for key, row in wanted.items() if key not in present or present[key]["id"] in removed]
    put_rows(connection, table, new)
    return len({*(key for key, row in present.items() if row["id"] in removed), *(tuple(r[k] for k in keys) for r in new)})


def _delete(connection: Connection, table: Table, column: ColumnElement[int], values: list[int]) -> None:
    for start in range(0, len(values), _BATCH):
        connection.execute(delete(table).where(column.in_(values[start : start + _BATCH])))
