"""What annotators, and the spreadsheet programs that they use, do to sheets: understood, or one sentence that names the cell."""

import csv
import datetime
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook, load_workbook
from openpyxl.worksheet.worksheet import Worksheet as Page

from pipeline.annotate.annotation import Annotation, Task, Worksheet
from pipeline.annotate.filled_sheets import FilledSheet, read_annotation_file, read_sheets
from pipeline.annotate.sheets import annotation_file, to_csv, to_xlsx
from pipeline.errors import RedefectError
from pipeline.facts import Flaw, IssueReference
from pipeline.taxonomy import Taxonomy

TWO_DEFECTS, NO_DEFECT, OPEN = IssueReference("a/b", 12), IssueReference("c/d", 7), IssueReference("e/f", 3)
COLUMNS = {
    column: letter
    for letter, column in [
        *zip("ABCDE", ["Batch", "Round", "Annotator", "Repository", "Number"], strict=True),
        *zip("FGHIJ", ["Title", "Link", "Reengineering defect", "Defect", "Framework"], strict=True),
        *zip("OPTU", ["Symptom", "Defect type", "Discuss", "Over ten minutes"], strict=True),
        *zip("VWX", ["Translated from", "Note", "Suggested"], strict=True),
    ]
}


def worksheet(taxonomy: Taxonomy) -> Worksheet:
    """Rows 2 and 3 are of an issue with two defects, row 4 of one without, row 5 is still to be filled in."""
    crash = {f.id: f.choices[0].id for f in taxonomy.defect_facets} | {"symptom": "crash"}
    both = Annotation(TWO_DEFECTS, "ada", "pilot", {"gate": "defect"}, (crash, crash | {"symptom": "hang"}), note="odd")
    none = Annotation(NO_DEFECT, "ada", "pilot", {"gate": "no-defect"}, ())
    tasks = (Task(TWO_DEFECTS, annotation=both), Task(NO_DEFECT, annotation=none), Task(OPEN))
    return Worksheet("demo", "first", "pilot", "ada", taxonomy, tasks)


class Sheets:
    """Files of annotators in one folder."""

    def __init__(self, folder: Path, taxonomy: Taxonomy, written: bytes) -> None:
        self.folder, self.taxonomy, self.written = folder, taxonomy, written
        self.flaws: list[Flaw] = []

    def xlsx(self, edit: Callable[[Page], object] = bool, name: str = "ada.xlsx") -> Path:
        book = load_workbook(io.BytesIO(self.written))
        edit(book.worksheets[0])
        book.save(self.folder / name)
        return self.folder / name

    def csv(self, edit: Callable[[list[list[str]]], object] = bool, name: str = "ada.csv", separator: str = ",") -> Path:
        rows = list(csv.reader(io.StringIO(to_csv(worksheet(self.taxonomy)).decode("utf-8-sig"))))
        edit(rows)
        with (self.folder / name).open("w", newline="") as file:
            csv.writer(file, delimiter=separator).writerows(rows)
        return self.folder / name

    def read(self, *paths: Path) -> list[FilledSheet]:
        self.flaws.clear()
        return read_sheets(paths, self.taxonomy, self.flaws.append)

    def complaint(self, *paths: Path) -> str:
        with pytest.raises(RedefectError) as caught:
            self.read(*paths)
        sentence = str(caught.value)
        assert "\n" not in sentence
        return sentence.replace(f"{self.folder}/", "")

    @property
    def expected(self) -> FilledSheet:
        return FilledSheet("first", "pilot", "ada", self.said, 1)

    @property
    def said(self) -> tuple[Annotation, ...]:
        return tuple(t.annotation for t in worksheet(self.taxonomy).tasks if t.annotation)


@pytest.fixture(scope="module")
def written(taxonomy: Taxonomy) -> bytes:
    return to_xlsx(worksheet(taxonomy))


@pytest.fixture
def sheets(tmp_path: Path, taxonomy: Taxonomy, written: bytes) -> Sheets:
    return Sheets(tmp_path, taxonomy, written)


def put(column: str, row: int, value: Any) -> Callable[[Page], None]:
    def edit(page: Page) -> None:
        page[f"{COLUMNS[column]}{row}"].value = value

    return edit


def test_the_sheet_is_as_these_tests_say(sheets: Sheets) -> None:
    header = load_workbook(sheets.xlsx())["ada"][1]
    assert {cell.value: cell.column_letter for cell in header}.items() >= COLUMNS.items()
    assert sheets.read(sheets.xlsx(), sheets.folder / "ada.xlsx") == [
        sheets.expected,
        FilledSheet("first", "pilot", "ada", (), 1),
    ]
    assert [(f.where, f.what) for f in sheets.flaws] == [
        ("sheet 'ada', row 2", f"repeats {sheets.folder}/ada.xlsx: sheet 'ada', row 2"),
        ("sheet 'ada', row 4", f"repeats {sheets.folder}/ada.xlsx: sheet 'ada', row 4"),
    ]


UNDERSTOOD: list[tuple[str, int, Any]] = [
    *[("Number", 2, value) for value in (12.0, "12 ", "#12", "12.0", " # 12\xa0", "12.00")],
    *[("Symptom", 2, value) for value in ("crash", "CRASH", "  Crash\xa0", "Crash\n")],
    *[("Repository", 2, value) for value in (" a/b ", "A/B", "a/b\xa0")],
    *[("Discuss", 2, value) for value in (False, "no", "No ", None, " ")],
    *[("Annotator", 2, "ada "), ("Batch", 3, "first\xa0"), ("Defect", 2, None), ("Defect", 3, "2.0"), ("Title", 2, "=1")],
    *[("Title", 2, datetime.datetime(2026, 1, 2)), ("Reengineering defect", 3, None), ("Link", 2, None)],
    *[("Link", 2, "https://github.com/a/b/issues/12#issuecomment-1"), ("Defect", 5, 1), ("Defect", 4, 1)],
]


@pytest.mark.parametrize(("column", "row", "value"), UNDERSTOOD)
def test_what_programs_and_people_change_without_harm_is_understood(sheets: Sheets, column: str, row: int, value: Any) -> None:
    (read,) = sheets.read(sheets.xlsx(put(column, row, value)))
    expected = sheets.expected.annotations
    assert read.unlabelled == 1
    assert [(a.answers, a.defects, a.discuss, a.issue.number) for a in read.annotations] == [
        (a.answers, a.defects, a.discuss, a.issue.number) for a in expected
    ]


@pytest.mark.parametrize(("column", "value"), [("Discuss", True), ("Discuss", "YES"), ("Over ten minutes", "x")])
def test_a_mark_may_be_made_on_any_row_of_the_issue(sheets: Sheets, column: str, value: Any) -> None:
    (read,) = sheets.read(sheets.xlsx(put(column, 3, value)))
    assert (read.annotations[0].discuss, read.annotations[0].slow) == (column == "Discuss", column != "Discuss")


DATE = datetime.datetime(2026, 2, 1)
WRONG: list[tuple[str, int, Any, str]] = [
    (
        "Symptom",
        3,
        "Crush",
        "'Crush' is no category that may be chosen of facet 'symptom' (was it renamed or dropped?); nearest are Crash",
    ),
    ("Symptom", 3, "Low frequency type", "'Low frequency type' is used by published tables alone"),
    ("Defect type", 2, "syntax-error", "'syntax-error' is used by published tables alone"),
    ("Symptom", 3, None, "is empty, and the row labels a defect"),
    ("Symptom", 3, " \xa0", "is empty, and the row labels a defect"),
    ("Symptom", 3, DATE, "holds the date 2026-02-01 00:00:00, which the spreadsheet program made of what was typed"),
    ("Symptom", 3, datetime.time(1, 2), "holds the date 01:02:00"),
    ("Symptom", 3, True, "'TRUE' is no category"),
    ("Symptom", 3, 3, "'3' is no category"),
    ("Symptom", 3, "#N/A", "holds the error #N/A"),
    ("Symptom", 3, '=HYPERLINK("http://evil")', "holds a formula"),
    ("Note", 2, "=1+1", "holds a formula"),
    ("Reengineering defect", 3, "No reengineering defect", "and row 2 says 'Defect' of the same issue; make them one"),
    ("Framework", 4, "PyTorch", "labels a defect of an issue that is said to have none ('No reengineering defect')"),
    ("Defect", 3, 1, "is defect 1 of a/b#12, and so is row 2"),
    ("Defect", 3, None, "is defect 1 of a/b#12, and so is row 2"),
    ("Defect", 3, 3, "is defect 3, and there is no defect 2 of the issue"),
    ("Defect", 3, "two", "'two' is no whole number from 1 on"),
    ("Defect", 3, DATE, "holds the date"),
    ("Number", 2, 12.5, "'12.5' is no whole number"),
    ("Number", 2, "1.2E+06", "'1.2e+06' was shortened by the spreadsheet program"),
    ("Number", 2, DATE, "holds the date"),
    ("Number", 2, None, "is empty; copy the whole row"),
    ("Number", 2, 0, "'0' is no whole number from 1 on"),
    ("Number", 2, -12, "'-12' is no whole number from 1 on"),
    ("Number", 2, True, "'true' is no whole number"),
    ("Number", 2, 13, "the row is of a/b#13, and its link leads to a/b#12"),
    ("Number", 2, 10**12, "'1000000000000' is no whole number"),
    ("Repository", 2, None, "is empty; copy the whole row"),
    ("Repository", 2, "a b", "'a b' is no repository; write owner/name"),
    ("Link", 2, "https://gitlab.com/a/b/issues/12", "is on gitlab.com"),
    ("Link", 2, "a/b#12", "is no address of an issue"),
    ("Annotator", 3, "bob", "says 'bob', and row 2 says 'ada'; a sheet is of one annotator"),
    ("Round", 3, "final", "says 'final', and row 2 says 'pilot'"),
    ("Batch", 3, None, "says '', and row 2 says 'first'"),
    ("Discuss", 2, "maybe", "'maybe' is neither yes nor empty"),
    ("Suggested", 2, "symptom=boom", "'symptom=boom' is no facet=category"),
    ("Suggested", 2, "stage", "'stage' is no facet=category"),
]


@pytest.mark.parametrize(("column", "row", "value", "sentence"), WRONG)
def test_a_cell_that_is_wrong_is_named(sheets: Sheets, column: str, row: int, value: Any, sentence: str) -> None:
    complaint = sheets.complaint(sheets.xlsx(put(column, row, value)))
    assert complaint.startswith(f"ada.xlsx: sheet 'ada', row {row}, column {COLUMNS[column]} ({column}): ")
    assert sentence in complaint


def both(*edits: Callable[[Page], object]) -> Callable[[Page], None]:
    def edit(page: Page) -> None:
        for one in edits:
            one(page)

    return edit


EDITED: list[tuple[Callable[[Page], object], str]] = [
    (put("Reengineering defect", 4, "Defect"), "row 4, column J (Framework): is empty, and the row labels a defect"),
    (put("Reengineering defect", 5, "Defect"), "row 5, column J (Framework): is empty, and the row labels a defect"),
    (both(put("Framework", 5, "PyTorch"), put("Reengineering defect", 5, None)), "row 5, column K (Project type): is empty"),
    (
        both(put("Reengineering defect", 2, None), put("Reengineering defect", 3, None)),
        "row 2, column H (Reengineering defect): is empty, and the issue has other answers",
    ),
    (
        both(put("Translated from", 2, "German"), put("Translated from", 3, "French")),
        "row 3, column V (Translated from): says 'French', and row 2 says 'German' of the same issue",
    ),
    (
        both(put("Suggested", 2, "stage=training"), put("Suggested", 3, "stage=modeling")),
        "row 3, column X (Suggested): 'stage=modeling' differs from what another row of the issue says",
    ),
    (
        both(*(put("Annotator", row, "eve") for row in range(2, 6))),
        "row 2, column C (Annotator): says 'eve', and the sheet is named 'ada'",
    ),
    (lambda page: setattr(page, "title", "eve"), "row 2, column C (Annotator): says 'ada', and the sheet is named 'eve'"),
    (lambda page: page.delete_cols(15), "row 1: has no column 'Symptom'; it has Batch, Round,"),
    (lambda page: page.delete_rows(1), "row 1: has no column"),
    (put("Title", 1, "symptom "), "row 1: has column 'Symptom' more than once (F and O)"),
    (put("Title", 1, "Impacts"), "row 1: has column 'Symptom' more than once (F and O)"),
    (lambda page: page.merge_cells("O2:O3"), "row 2, column O (Symptom): is merged with other cells (O2:O3)"),
    (lambda page: page.merge_cells("E3:E4"), "row 3, column E (Number): is merged with other cells (E3:E4)"),
    (
        lambda page: [setattr(page.cell(3, c), "value", None) for c in range(10, 20)],
        "row 3, column J (Framework): is empty, and the row labels a defect",
    ),
]


@pytest.mark.parametrize(("edit", "sentence"), EDITED)
def test_a_sheet_that_is_wrong_is_named_with_its_cell(sheets: Sheets, edit: Callable[[Page], object], sentence: str) -> None:
    complaint = sheets.complaint(sheets.xlsx(edit))
    assert complaint.startswith("ada.xlsx: sheet '")
    assert f", {sentence}" in complaint


def test_hidden_rows_and_sheets_are_read_and_empty_ones_are_none(sheets: Sheets) -> None:
    def hide(page: Page) -> None:
        page.row_dimensions[2].hidden = page.row_dimensions[3].hidden = True
        page.sheet_state = "hidden"
        page.parent.create_sheet("Sheet2")
        for cell in page["G"]:
            cell.hyperlink = None  # openpyxl would leave them where they are
        page.insert_rows(4, 3)
        page.cell(400, 3).value = "  "

    assert sheets.read(sheets.xlsx(hide)) == [sheets.expected]
    assert sheets.flaws == []


def test_a_note_without_labels_and_columns_of_one_s_own_are_reported(sheets: Sheets) -> None:
    def scribble(page: Page) -> None:
        put("Note", 5, "later")(page)
        page["Y1"].value, page["Y3"].value, page["Z3"].value = "Mine", "hm", "x"
        put("Symptom", 2, "Bad Performance (lower speed)")(page)

    (read,) = sheets.read(sheets.xlsx(scribble))
    assert read.unlabelled == 1
    assert read.annotations[0].defects[0]["symptom"] == "lower-speed"
    assert [(f.where, f.what) for f in sheets.flaws] == [
        ("sheet 'ada', column Y (Mine)", "is no column of a sheet"),
        ("sheet 'ada', column Z (without a name, Z)", "is no column of a sheet"),
        ("sheet 'ada', row 2", "'bad performance (lower speed)' stands for symptom 'lower-speed'"),
        ("sheet 'ada', row 5", "has a note or a mark and no answer"),
    ]


def test_an_issue_with_other_labels_in_a_second_sheet_is_refused(sheets: Sheets) -> None:
    other = sheets.xlsx(put("Symptom", 3, "Data corruption"), name="again.xlsx")
    assert sheets.complaint(sheets.xlsx(), other).startswith(
        "again.xlsx: sheet 'ada', row 2: says otherwise of a/b#12 than ada says in ada.xlsx: sheet 'ada', row 2; "
    )


def test_sheets_of_several_annotators_in_one_workbook_are_theirs(sheets: Sheets) -> None:
    def join(page: Page) -> None:
        (second := page.parent.copy_worksheet(page)).title = "bob"
        for row in range(2, 6):
            put("Annotator", row, "bob")(second)
        put("Symptom", 3, "Data corruption")(second)

    ada, bob = sheets.read(sheets.xlsx(join))
    assert ada == sheets.expected
    assert (bob.annotator, bob.annotations[0].defects[1]["symptom"]) == ("bob", "data-corruption")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (lambda whole: whole[:3000], "ada.xlsx: is truncated or no Excel workbook"),
        (lambda _: b"PK\3\4", "ada.xlsx: is truncated or no Excel workbook"),
        (lambda _: b"hello", "ada.xlsx: is truncated or no Excel workbook"),
        (lambda _: b"\xd0\xcf\x11\xe0old", "ada.xlsx: is truncated or no Excel workbook"),
        (lambda _: b"", "ada.xlsx: is truncated or no Excel workbook"),
    ],
)
def test_what_is_no_workbook_is_named(sheets: Sheets, content: Callable[[bytes], bytes], sentence: str) -> None:
    path = sheets.xlsx()
    path.write_bytes(content(path.read_bytes()))
    assert sentence in sheets.complaint(path)


def test_a_workbook_without_rows_or_a_missing_one_is_named(sheets: Sheets) -> None:
    Workbook().save(sheets.folder / "empty.xlsx")
    assert sheets.complaint(sheets.folder / "empty.xlsx") == "empty.xlsx: has no rows to read; is it another file?"
    assert sheets.complaint(sheets.xlsx(lambda page: page.delete_rows(2, 9))).startswith("ada.xlsx: has no rows to read")
    assert sheets.complaint(sheets.folder / "none.xlsx") == "none.xlsx: there is no such file."


def text(column: str, row: int, value: str) -> Callable[[list[list[str]]], None]:
    def edit(rows: list[list[str]]) -> None:
        rows[row - 1][rows[0].index(column)] = value

    return edit


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_csv_is_read_as_the_programs_of_any_country_write_it(sheets: Sheets, separator: str) -> None:
    assert sheets.read(sheets.csv(separator=separator)) == [sheets.expected]


def test_csv_may_lack_empty_cells_at_the_end_of_a_row_and_have_empty_rows(sheets: Sheets) -> None:
    def trim(rows: list[list[str]]) -> None:
        while not rows[2][-1]:
            rows[2].pop()
        rows.insert(1, [])
        rows.append([""] * len(rows[0]))

    assert sheets.read(sheets.csv(trim)) == [sheets.expected]


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (text("Number", 2, "01.12.2026"), "row 2, column E (Number): '01.12.2026' is no whole number"),
        (text("Number", 2, "1,20E+07"), "row 2, column E (Number): '1,20e+07' was shortened"),
        (text("Symptom", 3, "#NAME?"), "row 3, column O (Symptom): '#NAME?' is no category"),
        (text("Annotator", 3, "bob"), "row 3, column C (Annotator): says 'bob'"),
        (text("Symptom", 1, "Symptoms"), "row 1: has no column 'Symptom'"),
        (lambda rows: rows[2].append("x"), "row 3, column Y: stands beyond the header"),
    ],
)
def test_a_cell_of_csv_that_is_wrong_is_named(sheets: Sheets, edit: Callable[[list[list[str]]], object], sentence: str) -> None:
    assert sheets.complaint(sheets.csv(edit)).startswith(f"ada.csv: {sentence}")


def test_an_annotation_file_that_somebody_has_edited_is_checked_as_well(sheets: Sheets) -> None:
    path = sheets.folder / "kept.csv"
    kept = annotation_file(sheets.said, "first", sheets.taxonomy)
    path.write_bytes(kept.replace(b",hang,", b",hung,"))
    with pytest.raises(RedefectError, match=r"kept.csv: row 3, column M \(Symptom\): 'hung' is no category .*; nearest are Hang"):
        read_annotation_file(path, sheets.taxonomy, sheets.flaws.append)
    path.write_bytes(kept)
    assert read_annotation_file(path, sheets.taxonomy, sheets.flaws.append) == list(sheets.said)
