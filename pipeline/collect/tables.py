"""Tables that people publish and share: CSV files read row by row, with the row's number for every complaint."""

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pipeline.errors import RedefectError
from pipeline.facts import IssueReference

csv.field_size_limit(2**31 - 1)  # a cell may hold an issue's whole text, which may be longer than the 131,072 of the default

_ISSUE_URL = re.compile(r"https?://(?P<host>[^/\s]+)/(?P<repository>[^/\s]+/[^/\s]+)/issues/(?P<number>\d+)(?P<rest>.*)")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table: its cells by column, and where it stands.

    Attributes
    ----------
    number
        The row as a spreadsheet counts it: the header is row 1.
    sheet
        The sheet of the workbook, if it is one.
    letters
        What a spreadsheet calls each column.
    unreadable
        By column, why a cell holds no text: a formula, a date, an error.
    """

    path: Path
    number: int
    cells: dict[str, str]
    sheet: str = ""
    letters: Mapping[str, str] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, column: str) -> str:
        """Return the cell, without white space around it."""
        return self.text(column).strip()

    def text(self, column: str) -> str:
        """Return the cell as it is.

        Raises
        ------
        RedefectError
            If it holds something else than text, a number, or yes or no.
        """
        if column in self.unreadable:
            raise self.error(self.unreadable[column], column)
        return self.cells[column]

    @property
    def place(self) -> str:
        """Where the row stands, in words."""
        sheet = f"sheet '{self.sheet}', " if self.sheet else ""
        return f"{self.path}: {sheet}row {self.number}"

    def error(self, message: str, column: str = "") -> RedefectError:
        """Return an error that begins with the place of the row, or of its cell in `column`."""
        return RedefectError(f"{self.place}{f', column {self.letters[column]} ({column})' if column else ''}: {message}")

    def issue(self, column: str) -> tuple[IssueReference, str]:
        """Return the issue whose address stands in `column`, and what follows the number in that address.

        Raises
        ------
        RedefectError
            If there is no address, one of another host, or one of something else than an issue.
        """
        text = self[column]
        if not text:
            raise self.error("is empty; give the issue's address (https://github.com/owner/name/issues/1).", column)
        match = _ISSUE_URL.fullmatch(text)
        if match is None:
            raise self.error(f"'{text}' is no address of an issue (https://github.com/owner/name/issues/1).", column)
        if match["host"].lower() != "github.com":
            raise self.error(f"'{text}' is on {match['host']}; only issues on github.com are known here.", column)
        return IssueReference(match["repository"], int(match["number"])), match["rest"]

    def time(self, column: str) -> datetime | None:
        """Return the time that stands in `column`, or None if it is empty."""
        text = self[column]
        if not text:
            return None
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            raise self.error(f"'{text}' is no time like 2020-01-31T12:00:00Z.", column) from None


def read_csv(path: Path, columns: list[str]) -> Iterator[Row]:
    """Yield the rows of a CSV file (UTF-8, with a header).

    Parameters
    ----------
    columns
        The columns that must be there; others may be, too.

    Raises
    ------
    RedefectError
        If the file is missing, empty, truncated or not CSV, lacks a column, or has a row with more or fewer cells.
    """
    lines = csv_lines(path)
    header = next(lines)
    if missing := [column for column in columns if column not in header]:
        raise RedefectError(f"{path}: row 1: has no column {', '.join(repr(c) for c in missing)}; it has {', '.join(header)}.")
    letters = {column: column_letter(place) for place, column in enumerate(header)}
    for number, cells in enumerate(lines, start=2):
        if len(cells) != len(header):
            raise RedefectError(
                f"{path}: row {number}: has {len(cells)} cells instead of {len(header)}; the file may be truncated, get it again."
            )
        yield Row(path, number, dict(zip(header, cells, strict=True)), letters=letters)


def csv_lines(path: Path) -> Iterator[list[str]]:
    """Yield the cells of each row of a CSV file, the header first; as in some countries, ; or tab may separate them.

    Raises
    ------
    RedefectError
        If the file is missing, empty or not CSV.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            separator = max(",;\t", key=first.count)
            file.seek(0)
            reader = csv.reader(file, strict=True, delimiter=separator)
            header = next(reader, None)
            if header is None:
                raise RedefectError(f"{path}: is empty; get it again.")
            yield header
            yield from reader
    except FileNotFoundError:
        raise RedefectError(f"{path}: there is no such file.") from None
    except UnicodeDecodeError as error:
        raise RedefectError(f"{path}: byte {error.start} is not UTF-8; save the table as CSV in UTF-8.") from None
    except csv.Error as error:
        raise RedefectError(f"{path}: is not valid CSV near row {reader.line_num} ({error}); get it again.") from None
    except OSError as error:
        raise RedefectError(f"{path}: cannot be read ({error.strerror}).") from None


def column_letter(place: int) -> str:
    """Return what a spreadsheet calls the column at a place, counted from 0: A, B, ..., Z, AA, ..."""
    return (column_letter(place // 26 - 1) if place >= 26 else "") + chr(ord("A") + place % 26)


def rows_in_words(numbers: list[int], most: int = 8) -> str:
    """Write row numbers for a person: `row 3`, `rows 3 and 5`, `rows 3, 5, 8 and 12 more`."""
    numbers = sorted(numbers)
    if len(numbers) == 1:
        return f"row {numbers[0]}"
    shown = [str(n) for n in numbers[:most]]
    last = f"{len(numbers) - most} more" if len(numbers) > most else shown.pop()
    return f"rows {', '.join(shown)} and {last}"
