"""Many new rows at once: by COPY on PostgreSQL, by an insert of many rows elsewhere, in the unit of work of the connection."""

from typing import Any

from sqlalchemy import Connection, Table, insert, text

FEW = 20
"""Fewer rows than these are inserted: that is one statement, and COPY is three messages."""


def put_rows(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Add rows, all with the same columns, in their order."""
    if connection.dialect.name == "postgresql" and len(rows) >= FEW:
        _copy(connection, table, rows)
    elif rows:
        connection.execute(insert(table), rows)


def put_rows_with_ids(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> list[int]:
    """Add rows as `put_rows` does, and return their ids."""
    if not rows:
        return []
    if connection.dialect.name != "postgresql":
        returning = insert(table).returning(table.c.id, sort_by_parameter_order=True)
        return list(connection.execute(returning, rows).scalars())
    drawn = text("SELECT nextval(pg_get_serial_sequence(:name, 'id')) FROM generate_series(1, :count)")
    ids = list(connection.execute(drawn, {"name": table.name, "count": len(rows)}).scalars())
    put_rows(connection, table, [{"id": id_, **row} for id_, row in zip(ids, rows, strict=True)])
    return ids


def _copy(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    columns = list(rows[0])
    dialect = connection.dialect
    processed = [(column, table.c[column].type.dialect_impl(dialect).bind_processor(dialect)) for column in columns]
    names = ", ".join(f'"{column}"' for column in columns)
    cursor: Any = connection.connection.cursor()  # psycopg's: it can do what no other driver's can
    with cursor, cursor.copy(f'COPY "{table.name}" ({names}) FROM STDIN') as copy:
        for row in rows:
            copy.write_row([row[column] if process is None else process(row[column]) for column, process in processed])
