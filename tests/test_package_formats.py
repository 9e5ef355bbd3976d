import io
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import RedefectError
from pipeline.package_formats import read_csv, to_csv, to_parquet
from pipeline.package_tables import PackageTable, tables

TABLES = {table.name: table for table in tables(with_text=True)}

TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.sampled_from(
        ["", "=1+1", "'=1+1", "''", "-", "\t@", "a\r\nb", "a\nb", '"', ',"', "true", "null", "0", "\x00", "\u202e", "NA"]
    ),
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "string": TEXTS,
    "integer": st.integers(-(2**63), 2**63 - 1),
    "number": st.floats(allow_nan=False, allow_infinity=False),
    "boolean": st.booleans(),
    "time": st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)).map(lambda t: t.replace(microsecond=0, tzinfo=UTC)),
    "strings": st.lists(TEXTS, max_size=3),
}


@st.composite
def written(draw: st.DrawFn) -> tuple[PackageTable, pa.Table]:
    table = draw(st.sampled_from(list(TABLES.values())))
    cells = [st.none() | VALUES[field.type] if field.optional else VALUES[field.type] for field in table.fields]
    rows = draw(st.lists(st.tuples(*cells), max_size=5))
    columns = [pa.array([row[i] for row in rows], field.arrow.type) for i, field in enumerate(table.fields)]
    return table, pa.table(columns, schema=table.schema)


@given(written())
def test_csv_and_parquet_say_the_same_whatever_the_cells_hold(made: tuple[PackageTable, pa.Table]) -> None:
    table, rows = made
    assert read_csv(table, to_csv(table, rows)).equals(rows)
    assert pq.read_table(io.BytesIO(to_parquet(table, rows))).cast(table.schema).equals(rows)


def issue_texts(*titles: str) -> pa.Table:
    rows = [{"repository": "a/b", "number": i, "title": title, "body": None} for i, title in enumerate(titles, start=1)]
    return pa.Table.from_pylist(rows, TABLES["issue_texts"].schema)


def test_no_cell_of_a_csv_file_is_a_formula_and_readers_see_an_empty_text_and_a_missing_one() -> None:
    csv = to_csv(TABLES["issue_texts"], issue_texts("=cmd()", ""))
    assert csv.decode().splitlines()[1:] == ['"a/b",1,"\'=cmd()",,', '"a/b",2,"",,']
    assert pd.read_csv(io.BytesIO(csv)).columns.tolist() == ["repository", "number", "title", "body", "tracker_labels"]


def test_the_same_rows_give_the_same_bytes_however_they_lie_in_memory() -> None:
    whole = issue_texts(*(f"title {i % 7}" for i in range(100)))
    pieces = pa.concat_tables([whole.slice(0, 3), whole.slice(3, 50), whole.slice(53)]).replace_schema_metadata({"pandas": "{}"})
    coded = whole.set_column(2, "title", whole.column("title").dictionary_encode())
    for form in (to_csv, to_parquet):
        assert form(TABLES["issue_texts"], pieces) == form(TABLES["issue_texts"], coded) == form(TABLES["issue_texts"], whole)
    assert pq.read_schema(io.BytesIO(to_parquet(TABLES["issue_texts"], pieces))).metadata is None


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda csv: csv.replace("number", "n°", 1), "columns repository, n°,"),
        (lambda csv: csv.replace("true", "True", 1), "'pull_request'.*no boolean.*'True' is neither true nor false"),
        (lambda csv: csv.replace(",7,", ",seven,", 1), "'number'.*no integer"),
        (lambda csv: csv.replace("T12:", "T25:", 1), "'created_at'.*no time"),
        (lambda csv: csv.replace(",7,", ",,", 1), "'number'.*without a value"),
        (lambda csv: csv + "too few\n", "no CSV file of a data package"),
    ],
)
def test_a_file_that_is_none_of_ours_is_refused_in_a_sentence(change: Any, sentence: str) -> None:
    row = {
        "repository": "a/b", "number": 7, "created_at": datetime(2020, 1, 31, 12, tzinfo=UTC), "comments_complete": False,
        "pull_request": True, "source": "x",
    }  # fmt: skip
    table = TABLES["issues"]
    csv = to_csv(table, pa.Table.from_pylist([row], table.schema)).decode()
    with pytest.raises(RedefectError, match=f"^issues.csv: .*{sentence}"):
        read_csv(table, change(csv).encode())
