"""What stores hold, to compare them: rows by what they are about, without the numbers that a database gives them."""

from typing import Any

from sqlalchemy import select

from pipeline.store.schema import Base
from pipeline.store.session import Store

_NUMBERED = {"repository_id": "repository", "issue_id": "issue", "model_id": "model"}
_NAMED_BY = {"repository": ("owner", "name"), "issue": ("repository_id", "number"), "model": ("name", "facet", "digest")}


def rows(store: Store) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each table, sorted; of runs, not when they ended."""
    found: dict[str, list[dict[str, Any]]] = {}
    names: dict[str, dict[int, tuple[Any, ...]]] = {}
    with store.reading() as connection:
        for table in Base.metadata.sorted_tables:
            found[table.name] = []
            for row in map(dict, connection.execute(select(table)).mappings()):
                row |= {column: names[of][row[column]] for column, of in _NUMBERED.items() if column in row}
                if table.name in _NAMED_BY:
                    names.setdefault(table.name, {})[row["id"]] = tuple(row[column] for column in _NAMED_BY[table.name])
                del row["id"]
                row.pop("finished_at", None)
                found[table.name].append(row)
    return {table: sorted(of, key=lambda row: repr(list(row.values()))) for table, of in found.items()}
