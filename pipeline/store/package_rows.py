"""What the store holds as the tables of a data package (`pipeline.package_tables`), and such tables put into an empty store.

Each way is the other's inverse. What no table has stays behind: what was said in interviews, where crawls stand, the times at
which commands ran, and the samples of other studies.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection, Select, func, insert, or_, select

from pipeline.errors import RedefectError
from pipeline.package_tables import PackageTable
from pipeline.package_tables import tables as package_tables
from pipeline.store.schema import Base

_BATCH = 5000

_TABLES = Base.metadata.tables
_REPOSITORY, _ISSUE, _MODEL = _TABLES["repository"], _TABLES["issue"], _TABLES["model"]
_NAME = _REPOSITORY.c.owner + "/" + _REPOSITORY.c.name

_STORED = {
    "repositories": "repository", "issues": "issue", "comments": "comment", "samples": "sample", "labels": "label",
    "remarks": "remark", "ratings": "rating", "codings": "coding", "models": "model", "predictions": "prediction", "runs": "run",
    "issue_texts": "issue", "comment_texts": "comment", "label_notes": "label", "remark_notes": "remark",
}  # fmt: skip
"""Which of the store's tables a package's table is of."""

_KEYS = {table.name: table.key for table in package_tables(with_text=True)}

_ELSEWHERE = {"repository": _NAME, "number": _ISSUE.c.number, "model": _MODEL.c.name, "digest": _MODEL.c.digest}
"""What a table of the store has by reference, or under another name."""


def rows(connection: Connection, table: PackageTable, study: str) -> pa.Table:
    """Return what the store holds as a table of a package: logins and texts as they are stored, rows sorted by the table's key.

    Memory: this table, once as the database sends it and once more while it is sorted.

    Parameters
    ----------
    study
        Of whose sample to tell; all else is told of the whole store.
    """
    if table.name == "runs":
        return _runs(connection, table)
    result = connection.execute(_query(table, study), execution_options={"yield_per": _BATCH})
    arrow = [field.arrow.type for field in table.fields]
    batches = [
        pa.record_batch([pa.array(c, t) for c, t in zip(zip(*part, strict=True), arrow, strict=True)], schema=table.schema)
        for part in result.partitions()
    ]
    return _sorted(pa.Table.from_batches(batches, table.schema), table.key)


def _query(table: PackageTable, study: str) -> Select[Any]:
    stored = _TABLES[_STORED[table.name]]
    query = select(*(stored.c[f.name] if f.name in stored.c else _ELSEWHERE[f.name] for f in table.fields)).select_from(stored)
    if "model_id" in stored.c:
        query = query.join(_MODEL, stored.c.model_id == _MODEL.c.id)
    if "issue_id" in stored.c:
        query = query.join(_ISSUE, stored.c.issue_id == _ISSUE.c.id)
    if "issue_id" in stored.c or "repository_id" in stored.c:
        query = query.join(_REPOSITORY, _ISSUE.c.repository_id == _REPOSITORY.c.id)
    match table.name:
        case "samples":
            return query.where(stored.c.study == study)
        case "issue_texts":
            return query.where(or_(*(stored.c[name].is_not(None) for name in ("title", "body", "tracker_labels"))))
        case "comment_texts":
            return query.where(stored.c.body.is_not(None))
        case "label_notes":
            return query.where(stored.c.note.is_not(None))
        case "remark_notes":
            return query.where(stored.c.note != "")
    return query


def _runs(connection: Connection, table: PackageTable) -> pa.Table:
    run = _TABLES["run"].c
    columns = (run.command, run.study, run.study_digest, run.version, run.inputs)
    found = [
        {"run": place, **row._asdict(), "inputs": [f"{digest}  {name}" for name, digest in sorted(row.inputs.items())]}
        for place, row in enumerate(connection.execute(select(*columns).order_by(run.id)), 1)
    ]
    return pa.Table.from_pylist(found, table.schema)


def _sorted(table: pa.Table, key: tuple[str, ...]) -> pa.Table:
    """Sort by the key: repositories as people sort names (case folded), all else by code points, whatever the database's way."""
    if not table.num_rows:
        return table
    order = {name: table[name] for name in key}
    if "repository" in order:
        names = sorted(set(table["repository"].to_pylist()), key=lambda name: (str(name).casefold(), name))
        order["repository"] = pa.chunked_array([pc.index_in(table["repository"].combine_chunks(), pa.array(names))])
    places = pc.sort_indices(pa.Table.from_pydict(order), [(name, "ascending") for name in key])
    return table.take(places).combine_chunks()


def put_rows(connection: Connection, tables: Mapping[str, pa.Table]) -> None:
    """Put the tables of a package into an empty store, so that `rows` returns them again.

    Commands' runs get the time of now, which no package tells. Without the tables of texts, issues and comments are stored by
    reference: their texts are None. Memory: the texts of these tables, a batch of rows, and the ids of issues.

    Parameters
    ----------
    tables
        By their names, with the schemas of `pipeline.package_tables`; every reference leads to a row.

    Raises
    ------
    RedefectError
        If the store holds anything already.
    """
    if (held := occupied(connection)) is not None:
        raise RedefectError(f"The store has {held} already, and a package goes into an empty one; give another --database.")
    _insert(connection, "repository", map(_repository, _dicts(tables, "repositories")))
    repositories = {name: id_ for id_, name in connection.execute(select(_REPOSITORY.c.id, _NAME))}
    nothing = {"title": None, "body": None, "tracker_labels": None}
    issue_rows = _with_texts(tables, "issues", "issue_texts", nothing)
    _insert(connection, "issue", ({"repository_id": repositories[row.pop("repository")], **row} for row in issue_rows))
    query = select(_NAME, _ISSUE.c.number, _ISSUE.c.id).join(_REPOSITORY, _ISSUE.c.repository_id == _REPOSITORY.c.id)
    issues = {(repository, number): id_ for repository, number, id_ in connection.execute(query)}

    def of_issues(found: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        return ({"issue_id": issues[row.pop("repository"), row.pop("number")], **row} for row in found)

    _insert(connection, "comment", of_issues(_with_texts(tables, "comments", "comment_texts", {"body": None})))
    _insert(connection, "sample", of_issues(_dicts(tables, "samples")))
    _insert(connection, "label", of_issues(_with_texts(tables, "labels", "label_notes", {"note": None})))
    _insert(connection, "remark", of_issues(_with_texts(tables, "remarks", "remark_notes", {"note": ""})))
    _insert(connection, "rating", _dicts(tables, "ratings"))
    _insert(connection, "coding", _dicts(tables, "codings"))
    _insert(connection, "model", ({"name": row.pop("model"), **row} for row in _dicts(tables, "models")))
    columns = (_MODEL.c.name, _MODEL.c.digest, _MODEL.c.facet, _MODEL.c.id)
    models = {(name, digest, facet): id_ for name, digest, facet, id_ in connection.execute(select(*columns))}
    said = of_issues(_dicts(tables, "predictions"))
    _insert(
        connection,
        "prediction",
        ({"model_id": models[row.pop("model"), row.pop("digest"), row["facet"]], **row} for row in said),
    )
    now = datetime.now(UTC)
    _insert(connection, "run", (_run(row) | {"finished_at": now} for row in _dicts(tables, "runs")))


def occupied(connection: Connection) -> str | None:
    """Return what a store holds, such as `27 rows in its table 'repository'`; None if it is empty."""
    for name in dict.fromkeys([*_STORED.values(), *_TABLES]):
        if count := connection.execute(select(func.count()).select_from(_TABLES[name])).scalar_one():
            return f"{count:,} rows in its table '{name}'"
    return None


def _repository(row: dict[str, Any]) -> dict[str, Any]:
    owner, _, name = row.pop("repository").partition("/")
    return row | {"owner": owner, "name": name}


def _run(row: dict[str, Any]) -> dict[str, Any]:
    del row["run"]
    digests = (line.partition("  ") for line in row["inputs"])
    return row | {"inputs": {name: digest for digest, _, name in digests}}


def _with_texts(tables: Mapping[str, pa.Table], name: str, texts: str, unknown: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table with what the table of its texts says of them."""
    key = _KEYS[texts]
    said = {tuple(row.pop(name) for name in key): row for row in _dicts(tables, texts)}
    for row in _dicts(tables, name):
        yield {**row, **said.get(tuple(row[name] for name in key), unknown)}


def _dicts(tables: Mapping[str, pa.Table], name: str) -> Iterator[dict[str, Any]]:
    if name in tables:
        for batch in tables[name].to_batches(max_chunksize=_BATCH):
            yield from batch.to_pylist()


def _insert(connection: Connection, table: str, values: Iterator[dict[str, Any]]) -> None:
    while batch := list(islice(values, _BATCH)):
        connection.execute(insert(_TABLES[table]), batch)
