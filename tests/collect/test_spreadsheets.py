import datetime
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook, load_workbook

from pipeline.collect.spreadsheets import open_workbook, read_spreadsheet
from pipeline.errors import RedefectError

COLUMNS = {"Name": ["Who"], "Age": []}


def workbook(path: Path, *rows: list[Any], **more: list[list[Any]]) -> Path:
    book = Workbook()
    book.worksheets[0].title = "first"
    for row in rows:
        book["first"].append(row)
    for title, others in more.items():
        page = book.create_sheet(title)
        for row in others:
            page.append(row)
    book.save(path)
    return path


def test_each_sheet_has_its_rows_with_their_places(tmp_path: Path) -> None:
    first = [["  WHO ", "age", "Shoe  size"], ["ada", 36.0, 38.5], [None, " "], ["bob", True, "\u00a0x"]]
    path = workbook(tmp_path / "t.xlsx", *first, second=[["Age", "Name"], [1, "c"]], empty=[], left=[["no header"]])
    sheets = read_spreadsheet(path, COLUMNS, skip=["left"])
    assert {name: [row.cells for row in rows] for name, rows in sheets.items()} == {
        "first": [{"Name": "ada", "Age": "36", "Shoe size": "38.5"}, {"Name": "bob", "Age": "TRUE", "Shoe size": "\u00a0x"}],
        "second": [{"Name": "c", "Age": "1"}],
    }
    last = sheets["first"][1]
    assert (last.number, last["Shoe size"], last.letters["Shoe size"]) == (4, "x", "C")
    assert str(last.error("is odd.", "Age")) == f"{path}: sheet 'first', row 4, column B (Age): is odd."


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("=1+1", "holds a formula; put its value there instead (copy it, then paste values only)."),
        ("#REF!", "holds the error #REF!; write there what is meant."),
        (
            datetime.datetime(2026, 3, 2),
            "holds the date 2026-03-02 00:00:00, which the spreadsheet program made of what was typed",
        ),
        (datetime.date(2026, 3, 2), "holds the date 2026-03-02"),
        (datetime.timedelta(hours=30), "holds the date 1 day, 6:00:00"),
    ],
)
def test_a_cell_that_holds_neither_text_nor_number_is_an_error_once_it_is_asked_for(
    tmp_path: Path, value: Any, sentence: str
) -> None:
    ((row,),) = read_spreadsheet(workbook(tmp_path / "t.xlsx", ["Name", "Age"], ["ada", value]), COLUMNS).values()
    assert row["Name"] == "ada"
    with pytest.raises(RedefectError) as caught:
        row["Age"]
    assert str(caught.value).startswith(f"{tmp_path}/t.xlsx: sheet 'first', row 2, column B (Age): {sentence}")


def test_a_formula_in_the_header_is_no_name(tmp_path: Path) -> None:
    with pytest.raises(RedefectError, match=r"sheet 'first', row 1: has no column 'Age'; it has Name, without a name, B"):
        read_spreadsheet(workbook(tmp_path / "t.xlsx", ["Name", '="Age"'], ["ada", 1]), COLUMNS)


@pytest.mark.parametrize("coordinates", ["A2:A3", "A2:B3"])
def test_merged_cells_are_an_error_wherever_they_are_asked_for(tmp_path: Path, coordinates: str) -> None:
    path = workbook(tmp_path / "t.xlsx", ["Name", "Age"], ["ada", 1], [None, 2])
    book = load_workbook(path)
    book["first"].merge_cells(coordinates)
    book.save(path)
    (rows,) = read_spreadsheet(path, COLUMNS).values()
    for row in rows:
        with pytest.raises(
            RedefectError, match=rf"row {row.number}, column A \(Name\): is merged with other cells \({coordinates}\)"
        ):
            row["Name"]


def test_codes_of_control_characters_are_left_out(tmp_path: Path) -> None:
    ((row,),) = read_spreadsheet(workbook(tmp_path / "t.xlsx", ["Name", "Age"], ["a_x000D_\nb", 1]), COLUMNS).values()
    assert row["Name"] == "a\nb"


@pytest.mark.parametrize("name", ["t.csv", "t.txt"])
@pytest.mark.parametrize(
    "text", ["\ufeffName,Age\r\n'=1,2\r\n", "Name;Age\n'=1;2\n\n;\n", "Age\tName\n2\t'=1\n"], ids=["comma", "semicolon", "tab"]
)
def test_csv_of_any_country_is_one_sheet_without_a_name(tmp_path: Path, name: str, text: str) -> None:
    (path := tmp_path / name).write_text(text, newline="")
    ((sheet, (row,)),) = read_spreadsheet(path, COLUMNS).items()
    assert (sheet, row.cells) == ("", {"Name": "=1", "Age": "2"})
    assert row.place == f"{path}: row 2"


def test_other_columns_are_under_their_own_names_and_cells_may_be_left_out_at_the_end(tmp_path: Path) -> None:
    (path := tmp_path / "t.csv").write_text("Name,Age,x,X,,\nada,1,2,3,,z\nbob,2\n")
    ada, bob = read_spreadsheet(path, COLUMNS)[""]
    assert ada.cells == {"Name": "ada", "Age": "1", "x": "2", "X": "3", "without a name, F": "z"}
    assert bob.cells == dict.fromkeys(ada.cells, "") | {"Name": "bob", "Age": "2"}


def test_a_workbook_is_known_by_its_content_whatever_it_is_called(tmp_path: Path) -> None:
    path = workbook(tmp_path / "t.xlsx", ["Name", "Age"], ["ada", 1]).rename(tmp_path / "t.csv")
    assert list(read_spreadsheet(path, COLUMNS)) == ["first"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Name\nada\n", "row 1: has no column 'Age'; it has Name."),
        ("Name,Age,who\nada,1,2\n", "row 1: has column 'Name' more than once (A and C)"),
        ("Name,Age\nada,1,,x\n", "row 2, column D: stands beyond the header"),
        ("Name,Age\n", "has no rows to read; is it another file?"),
        (",\n,\n", "has no rows to read; is it another file?"),
        ('Name,Age\nada,"1\n', "is not valid CSV near row"),
        (b"Name,Age\n\xe9,1\n", "byte 9 is not UTF-8"),
        (b"\xff\xfeN\0", "byte 0 is not UTF-8"),
        ("", "is empty"),
    ],
)
def test_csv_that_is_wrong_is_named(tmp_path: Path, text: str | bytes, sentence: str) -> None:
    (path := tmp_path / "t.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(RedefectError) as caught:
        read_spreadsheet(path, COLUMNS)
    assert str(caught.value).startswith(f"{path}: {sentence}")


@pytest.mark.parametrize("content", [b"", b"PK\3\4rest", b"\xd0\xcf\x11\xe0rest", b"<html>"])
def test_what_is_no_workbook_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    (path := tmp_path / "t.xlsx").write_bytes(content)
    with pytest.raises(RedefectError) as caught, open_workbook(path):
        pass
    assert str(caught.value).startswith(f"{path}: is truncated or no Excel workbook")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_missing_or_a_folder_is_named(tmp_path: Path) -> None:
    for name in ("none.xlsx", "none.csv"):
        with pytest.raises(RedefectError, match=f"{name}: there is no such file"):
            read_spreadsheet(tmp_path / name, COLUMNS)
    with pytest.raises(RedefectError, match="cannot be read"):
        read_spreadsheet(tmp_path, COLUMNS)
