"""Excel workbooks to be filled in: tables with drop-down lists, the same bytes each time, in which no text is ever a formula."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from pipeline.cells import cell_text, disarm
from pipeline.errors import RedefectError

if TYPE_CHECKING:
    from xlsxwriter.worksheet import Worksheet

Choices = str | Sequence[str]
"""What a cell may hold: the range that lists it (`=Categories!$B$2:$B$9`), or a short list itself; anything, if empty."""

_LONGEST_CELL = 32_767  # in UTF-16, as Excel counts
_MOST_LINKS = 65_530
_CREATED = datetime(1980, 1, 1)  # a workbook has to say when it was made, and the same content must make the same bytes
_LINE = 15  # points
_MOST_LINES = 20
_GIVEN, _ASKED = "#E7E6E6", "#DDEBF7"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its header, and what people are to do with it.

    Attributes
    ----------
    comment
        What shows when the pointer is on the header.
    asked
        Whether people fill it in; its header has another colour then.
    linked
        Whether its cells are addresses that open when they are pressed. No other text becomes a link, whatever it says.
    """

    title: str
    width: int = 12
    comment: str = ""
    choices: Choices = ""
    asked: bool = False
    linked: bool = False


@dataclass(frozen=True, slots=True)
class TableSheet:
    """A sheet of a workbook: a table with a header that stays in sight.

    Attributes
    ----------
    rows
        Texts and whole numbers.
    choices
        What single cells may hold, by row (from 0) and column, where it is not what their column says.
    frozen
        How many columns stay in sight.
    spare
        How many empty rows below have drop-down lists, too.
    """

    name: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[str | int]]
    choices: Mapping[tuple[int, str], Choices] = field(default_factory=dict)
    frozen: int = 0
    spare: int = 0


def table_xlsx(sheets: Sequence[TableSheet]) -> bytes:
    """Return a workbook with these sheets.

    Raises
    ------
    RedefectError
        If a text is longer than a cell can hold.
    """
    from xlsxwriter import Workbook  # only who writes workbooks waits for it

    file = io.BytesIO()
    book = Workbook(
        file, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    )
    book.set_properties({"created": _CREATED})
    top = {"valign": "top", "text_wrap": True}
    # Formatted as text, a cell stays text when somebody edits it: neither a date nor a formula is made of it.
    text, number = book.add_format(top | {"num_format": "@"}), book.add_format(top | {"num_format": "0", "align": "left"})
    link = book.add_format({"valign": "top", "font_color": "#0563C1", "underline": 1})
    header = {"bold": True, "border": 1, "border_color": "#A6A6A6"} | top
    given, asked = (book.add_format(header | {"bg_color": colour}) for colour in (_GIVEN, _ASKED))
    for sheet in sheets:
        page = book.add_worksheet(sheet.name)
        page.freeze_panes(1, sheet.frozen)
        for place, column in enumerate(sheet.columns):
            page.set_column(place, place, column.width, text)
            page.write_string(0, place, cell_text(column.title), asked if column.asked else given)
            if column.comment:
                page.write_comment(0, place, cell_text(column.comment), {"x_scale": 2.5, "y_scale": 1.5})
        page.set_row(0, 2 * _LINE)
        links = 0
        for index, row in enumerate(sheet.rows, start=1):
            page.set_row(index, _LINE * _lines(row, sheet.columns))
            for place, (column, cell) in enumerate(zip(sheet.columns, row, strict=True)):
                if isinstance(cell, int):
                    page.write_number(index, place, cell, number)
                elif column.linked and (links := links + 1) <= _MOST_LINKS:
                    page.write_url(index, place, cell, link, cell)
                elif cell:
                    page.write_string(index, place, _fitting(cell, sheet, index, place), text)
        page.autofilter(0, 0, max(len(sheet.rows), 1), len(sheet.columns) - 1)
        _validate(page, sheet)
        page.set_landscape()
        page.fit_to_pages(1, 0)
        page.repeat_rows(0)
    book.close()
    return file.getvalue()


def _lines(row: Sequence[str | int], columns: Sequence[Column]) -> int:
    """Return how many lines a row takes; not every program finds out when it opens a workbook."""
    cells = [(cell, column) for cell, column in zip(row, columns, strict=True) if isinstance(cell, str) and not column.linked]
    lines = [sum(1 + len(line) // column.width for line in cell_text(cell).split("\n")) for cell, column in cells]
    return min(max(lines, default=1), _MOST_LINES)


def _fitting(cell: str, sheet: TableSheet, index: int, place: int) -> str:
    cell = disarm(cell_text(cell))  # no text is run in a workbook, but somebody may save it as CSV
    if len(cell.encode("utf-16-le")) // 2 > _LONGEST_CELL:
        raise RedefectError(
            f"sheet '{sheet.name}', row {index + 1}, column '{sheet.columns[place].title}': the text is longer than the "
            f"{_LONGEST_CELL:,} characters that a cell of a workbook can hold; write CSV instead."
        )
    return cell


def _validate(page: "Worksheet", sheet: TableSheet) -> None:
    last = len(sheet.rows) + sheet.spare
    for place, column in enumerate(sheet.columns):
        if column.choices and last:
            page.data_validation(1, place, last, place, _rule(column.title, column.choices))
    places = {column.title: place for place, column in enumerate(sheet.columns)}
    for (index, title), choices in sheet.choices.items():
        page.data_validation(index + 1, places[title], index + 1, places[title], _rule(title, choices))


def _rule(title: str, choices: Choices) -> dict[str, object]:
    return {
        "validate": "list",
        "source": choices,
        "error_title": "Not in the list",
        "error_message": f"Choose an entry of the list for '{title[:60]}', or leave the cell empty.",
    }
