"""Sheets that people fill in, as workbooks or as CSV, read row by row: every cell has a place, and none is guessed."""

import datetime
import re
import warnings
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cells import rearm
from pipeline.collect.tables import Row, column_letter, csv_lines
from pipeline.errors import RedefectError
from pipeline.taxonomy import normalise

if TYPE_CHECKING:
    from openpyxl import Workbook
    from openpyxl.cell import Cell, MergedCell
    from openpyxl.worksheet.worksheet import Worksheet

_WORKBOOKS = {".xlsx", ".xlsm"}
_ESCAPED_CONTROL = re.compile(r"_x00[01][0-9A-Fa-f]_")  # how a workbook writes a control character
_FORMULA = "holds a formula; put its value there instead (copy it, then paste values only)."
_ERROR = "holds the error {}; write there what is meant."
_DATE = "holds the date {}, which the spreadsheet program made of what was typed; format the cell as text and type it again."
_MERGED = "is merged with other cells ({}); unmerge them and fill in each."


@contextmanager
def open_workbook(path: Path, *, read_only: bool = False, values_only: bool = False) -> Iterator["Workbook"]:
    """Open an Excel workbook; of what it holds besides cells (macros, links, pictures) nothing is run or followed.

    Parameters
    ----------
    read_only
        Read its rows one by one, which is quicker and does not tell which cells are merged.
    values_only
        Give a formula's last value for it.

    Raises
    ------
    RedefectError
        If the file is missing or no workbook.
    """
    from openpyxl import load_workbook  # takes a quarter of a second, and only studies with sheets need it

    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise RedefectError(f"{path}: there is no such file.") from None
    except OSError as error:
        raise RedefectError(f"{path}: cannot be read ({error.strerror}).") from None
    with file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on features of Excel that are not read
        try:
            book = load_workbook(file, read_only=read_only, data_only=values_only, keep_links=False)
        except Exception as error:  # a broken file makes openpyxl raise whatever it stumbles over
            raise RedefectError(f"{path}: is truncated or no Excel workbook ({error}); get it again, saved as .xlsx.") from None
        yield book
        book.close()


def read_spreadsheet(path: Path, columns: Mapping[str, Iterable[str]], skip: Collection[str] = ()) -> dict[str, list[Row]]:
    """Read the rows of each sheet of a workbook, or of a CSV file, whose sheet is called ''.

    Rows and sheets that are empty are left out; hidden ones are read. Nothing is evaluated: a cell that holds a formula, an
    error or a date, or is merged, makes an error once it is asked for.

    Parameters
    ----------
    columns
        The columns that each sheet must have, with other names for each, in any case and spacing. Rows have them under these
        keys, and others that are there under their own names.
    skip
        The sheets that are not read.

    Raises
    ------
    RedefectError
        If the file is missing or none of the two, or a sheet lacks a column or has it twice.
    """
    if path.suffix.lower() in _WORKBOOKS or _begins_like_a_workbook(path):
        with open_workbook(path) as book:
            sheets = {sheet.title: _cells(sheet) for sheet in book.worksheets if sheet.title not in skip}
    else:
        sheets = {"": [[(rearm(cell), "") for cell in line] for line in csv_lines(path)]}
    rows = {name: _rows(path, name, cells, columns) for name, cells in sheets.items() if any(map(_is_filled, cells))}
    if not any(rows.values()):
        raise RedefectError(f"{path}: has no rows to read; is it another file?")
    return rows


_Cell = tuple[str, str]  # its text, and why it has none
_Cells = list[list[_Cell]]


def _begins_like_a_workbook(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) in (b"PK\3\4", b"\xd0\xcf\x11\xe0")  # a zip file; one of Excel before 2007, or with a password
    except OSError:
        return False  # reading it as CSV says why


def _cells(sheet: "Worksheet") -> _Cells:
    table = [[_read(cell) for cell in row] for row in sheet.iter_rows()]
    for area in sheet.merged_cells.ranges:
        for row, column in area.cells:
            table[row - 1][column - 1] = ("", _MERGED.format(area.coord))
    return table


def _read(cell: "Cell | MergedCell") -> _Cell:
    value = cell.value
    if value is None:
        return "", ""
    if cell.data_type == "f":
        return "", _FORMULA
    if cell.data_type == "e":
        return "", _ERROR.format(value)
    if isinstance(value, datetime.datetime | datetime.date | datetime.time | datetime.timedelta):
        return "", _DATE.format(value)
    if isinstance(value, bool):
        return str(value).upper(), ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value)), ""
    return rearm(_ESCAPED_CONTROL.sub("", str(value))), ""


def _is_filled(cells: list[_Cell]) -> bool:
    return any(text.strip() or why for text, why in cells)


def _rows(path: Path, sheet: str, table: _Cells, columns: Mapping[str, Iterable[str]]) -> list[Row]:
    names = {normalise(name): column for column, others in columns.items() for name in (column, *others)}
    where = Row(path, 1, {}, sheet).place
    places: dict[str, list[int]] = defaultdict(list)
    for place, (text, _) in enumerate(table[0]):
        if written := " ".join(text.split()):
            places[names.get(normalise(written), written)].append(place)
        elif any(_is_filled(cells[place : place + 1]) for cells in table[1:]):
            places[f"without a name, {column_letter(place)}"].append(place)
    if missing := [column for column in columns if column not in places]:
        raise RedefectError(
            f"{where}: has no column {', '.join(map(repr, missing))}; it has {', '.join(places) or 'none'}. Put the header back, "
            "or remove the sheet if it is another one."
        )
    for column, (first, *more) in places.items():
        if more:
            twice = " and ".join(column_letter(place) for place in (first, *more))
            raise RedefectError(f"{where}: has column '{column}' more than once ({twice}); remove or rename all but one.")
    letters = {column: column_letter(place) for column, (place,) in places.items()}
    rows: list[Row] = []
    for number, cells in enumerate(table[1:], start=2):
        if not _is_filled(cells):
            continue
        if strange := [place for place, cell in enumerate(cells) if place >= len(table[0]) and _is_filled([cell])]:
            raise RedefectError(
                f"{path}: row {number}, column {column_letter(strange[0])}: stands beyond the header; is a quotation "
                "mark missing before it?"
            )
        # Spreadsheet programs leave out cells at the end of a row of CSV when they are empty.
        found = {c: cells[place] if place < len(cells) else ("", "") for c, (place,) in places.items()}
        unreadable = {column: why for column, (_, why) in found.items() if why}
        rows.append(Row(path, number, {column: text for column, (text, _) in found.items()}, sheet, letters, unreadable))
    return rows
