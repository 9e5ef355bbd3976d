"""The tables of a data package as files: the same rows as CSV, which everything reads, and as Parquet, which keeps them exact.

Both are the same bytes for the same rows. `read_csv` undoes `to_csv`, so that a reader can see that the two files agree.
"""

import io
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from pipeline.cells import disarm, rearm
from pipeline.errors import RedefectError
from pipeline.package_tables import PackageTable

if TYPE_CHECKING:
    Column = pa.Array[Any]

TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
_ROWS_OF_A_GROUP = 100_000


def to_csv(table: PackageTable, rows: pa.Table) -> bytes:
    """Return rows as CSV.

    UTF-8, commas, lines that end with a line feed, a header. What is not known is an empty cell, an empty text is `""`; every
    text stands in quotes. Times are `2020-01-31T12:00:00Z`, lists are JSON, and texts that a spreadsheet would run as formulas
    begin with `'` (`pipeline.cells.disarm`).
    """
    rows = _checked(table, rows)
    columns = [_written(rows.column(field.name).combine_chunks(), field.type) for field in table.fields]
    file = io.BytesIO()
    pyarrow.csv.write_csv(pa.table(columns, names=rows.column_names), file)
    return file.getvalue()


def read_csv(table: PackageTable, content: bytes, where: str = "") -> pa.Table:
    """Return the rows of a table's CSV file: the inverse of `to_csv`.

    Parameters
    ----------
    where
        The file, for what is said of it when it is wrong.

    Raises
    ------
    RedefectError
        If it is no such file: not CSV, other columns, or a value that its column cannot hold.
    """
    where = where or f"{table.name}.csv"
    names = [field.name for field in table.fields]
    try:
        read = pyarrow.csv.read_csv(
            io.BytesIO(content),
            pyarrow.csv.ReadOptions(block_size=len(content) + 1, use_threads=False),  # a row may be as long as the file
            pyarrow.csv.ParseOptions(newlines_in_values=True),
            pyarrow.csv.ConvertOptions(
                column_types={name: pa.string() for name in names},
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                null_values=[""],
            ),
        )
    except pa.ArrowInvalid as error:
        raise RedefectError(f"{where}: is no CSV file of a data package ({_first_line(error)}).") from None
    if read.column_names != names:
        raise RedefectError(f"{where}: has the columns {', '.join(read.column_names)}; they must be {', '.join(names)}.")
    columns = []
    for field in table.fields:
        column = read.column(field.name).combine_chunks()
        try:
            columns.append(_READ[field.type](column))
        except (pa.ArrowInvalid, ValueError) as error:
            raise RedefectError(f"{where}: column '{field.name}' holds what is no {field.type} ({_first_line(error)}).") from None
    return _checked(table, pa.table(columns, names=names), where)


def to_parquet(table: PackageTable, rows: pa.Table) -> bytes:
    """Return rows as Parquet: the columns of the table's schema, no metadata of any library's own but its name and version."""
    file = io.BytesIO()
    pyarrow.parquet.write_table(
        _checked(table, rows).combine_chunks(),
        file,
        row_group_size=_ROWS_OF_A_GROUP,
        version="2.6",
        data_page_version="1.0",
        compression="zstd",
        compression_level=9,
        use_dictionary=True,
        write_statistics=True,
        store_schema=False,  # Arrow's own copy of the schema, which nobody else reads
    )
    return file.getvalue()


def _checked(table: PackageTable, rows: pa.Table, where: str = "") -> pa.Table:
    """Return rows with the table's types, without metadata.

    Raises
    ------
    RedefectError
        If a value that is required is missing.
    """
    rows = rows.select([field.name for field in table.fields])
    for field in table.fields:
        if not field.optional and rows.column(field.name).null_count:
            raise RedefectError(f"{where or table.name}: column '{field.name}' has a row without a value, and each needs one.")
    return rows.cast(table.schema)


def _written(column: "Column", kind: str) -> "Column":
    if kind == "time":
        return pc.strftime(column, format=TIME_FORMAT)
    if kind == "strings":
        texts = [None if items is None else json.dumps(items, ensure_ascii=False) for items in column.to_pylist()]
        return pa.array(texts, pa.string())
    return _each(column, disarm) if kind == "string" else column


def _each(column: "Column", change: Callable[[str], str]) -> "Column":
    """Change texts, each different one once."""
    coded = column.dictionary_encode()
    changed = pa.array([change(str(text)) for text in coded.dictionary.to_pylist()], pa.string())
    return changed.take(coded.indices)


def _booleans(column: "Column") -> "Column":
    values = {None: None, "true": True, "false": False}
    try:
        return pa.array([values[text] for text in column.to_pylist()], pa.bool_())
    except KeyError as error:
        raise ValueError(f"{error} is neither true nor false") from None


def _times(column: "Column") -> "Column":
    return pc.assume_timezone(pc.strptime(column, format=TIME_FORMAT, unit="s"), "UTC")


def _strings(column: "Column") -> "Column":
    return pa.array([None if text is None else json.loads(text) for text in column.to_pylist()], pa.list_(pa.string()))


_READ: dict[str, Callable[["Column"], "Column"]] = {
    "string": lambda column: _each(column, rearm),
    "integer": lambda column: column.cast(pa.int64()),
    "number": lambda column: column.cast(pa.float64()),
    "boolean": _booleans,
    "time": _times,
    "strings": _strings,
}


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split("\n")[0].split())[:200]
