"""What a spreadsheet program, here openpyxl, finds in a workbook that was written."""

import io

import pytest
from openpyxl import Workbook, load_workbook
from openpyxl.utils import range_boundaries
from openpyxl.worksheet.worksheet import Worksheet as Page

from pipeline.annotate.annotation import Annotation, Task, Worksheet
from pipeline.annotate.sheets import to_xlsx
from pipeline.annotate.workbooks import Column, TableSheet, table_xlsx
from pipeline.errors import RedefectError
from pipeline.facts import IssueReference
from pipeline.taxonomy import Taxonomy
from pipeline.thread import Thread

TITLES = [
    '=HYPERLINK("http://evil.example")',
    "https://github.com/evil",
    "http://evil.example",
    "internal:Categories!A1",
    "mailto:a@evil.example",
    "{=1+1}",
    "12",
    "",
    "<b>bold</b>\0",
]


def opened(content: bytes) -> Workbook:
    return load_workbook(io.BytesIO(content))


@pytest.fixture(scope="module")
def book(taxonomy: Taxonomy) -> Workbook:
    issues = [IssueReference("a/b", number) for number in range(1, len(TITLES) + 1)]
    threads = [Thread(repository="a/b", number=i.number, title=t) for i, t in zip(issues, TITLES, strict=True)]
    said = Annotation(issues[0], "ada", "pilot", {"gate": "no-defect"}, (), note="https://github.com/evil", translated="=1+1")
    tasks = [Task(issue, thread, said if issue == said.issue else None) for issue, thread in zip(issues, threads, strict=True)]
    return opened(to_xlsx(Worksheet("demo", "first", "pilot", "ada", taxonomy, tuple(tasks))))


def column(page: Page, title: str) -> int:
    return next(cell.column for cell in page[1] if cell.value == title)


def rule(page: Page, row: int, place: int) -> str:
    """What the drop-down list of a cell is made from, or nothing."""
    lists = [v for v in page.data_validations.dataValidation if page.cell(row, place).coordinate in v.sqref]
    assert all(v.type == "list" and v.showErrorMessage and v.allowBlank for v in lists)
    return str(lists[-1].formula1) if lists else ""


def test_the_annotator_s_sheet_comes_first_and_its_header_stays_in_sight(book: Workbook) -> None:
    assert book.sheetnames == ["ada", "Categories", "About"]
    assert [page.freeze_panes for page in book] == ["F2", "A2", "A2"]


def test_only_a_link_is_a_link_and_no_text_is_a_formula(book: Workbook) -> None:
    page = book["ada"]
    linked = [cell for row in page for cell in row if cell.hyperlink]
    assert {cell.column for cell in linked} == {column(page, "Link")}
    assert [c.hyperlink.target for c in linked] == [f"https://github.com/a/b/issues/{n}" for n in range(1, len(TITLES) + 1)]
    assert [cell.value for cell in linked] == [cell.hyperlink.target for cell in linked]
    for sheet in book:
        types = {(cell.data_type, cell.column) for row in sheet for cell in row if cell.value is not None}
        assert {kind for kind, _ in types} <= {"s", "n"}
        assert sheet.title != "ada" or {place for kind, place in types if kind == "n"} == {column(page, "Number")}
    assert not [cell for other in ("Categories", "About") for row in book[other] for cell in row if cell.hyperlink]


def test_a_title_is_disarmed_text_as_it_is_in_csv(book: Workbook) -> None:
    page = book["ada"]
    titles = [page.cell(row, column(page, "Title")).value for row in range(2, len(TITLES) + 2)]
    assert titles[:2] == ["''=HYPERLINK(\"http://evil.example\")", "https://github.com/evil"]
    assert titles[-3:] == ["12", None, "<b>bold</b>\ufffd"]


def test_what_is_typed_stays_text(book: Workbook) -> None:
    for page in book:
        texts = [d for d in page.column_dimensions.values() if d.number_format == "@"]
        assert [place for d in texts for place in range(d.min, d.max + 1)] == [cell.column for cell in page[1]]


def test_each_facet_has_the_list_of_its_own_categories_in_spare_rows_as_well(book: Workbook, taxonomy: Taxonomy) -> None:
    page, categories = book["ada"], book["Categories"]
    for facet in taxonomy.facets:
        for row in (2, len(TITLES) + 1, len(TITLES) + 201):
            sheet, _, area = rule(page, row, column(page, facet.title)).partition("!")
            assert sheet == "Categories"
            left, top, right, bottom = range_boundaries(area)
            assert (left, right) == (2, 2)
            listed = [(categories.cell(r, 1).value, categories.cell(r, 2).value) for r in range(top, bottom + 1)]
            assert listed == [(facet.title, category.label) for category in facet.choices]
        assert rule(page, 1, column(page, facet.title)) == ""
        assert page.cell(1, column(page, facet.title)).comment.text.startswith(facet.question)
    assert rule(page, 2, column(page, "Discuss")) == '"yes"'
    assert rule(page, 2, column(page, "Note")) == ""


def test_how_to_label_is_said(book: Workbook, taxonomy: Taxonomy) -> None:
    said = {(row[0].value, row[1].value) for row in book["About"].iter_rows(min_row=2)}
    assert {("Study", "demo"), ("Annotator", "ada"), *(("Rule", rule) for rule in taxonomy.rules)} <= said


def test_single_cells_may_have_lists_of_their_own() -> None:
    sheet = TableSheet("s", [Column("a", choices="=s!$B$1:$B$2"), Column("b")], [["x", 1], ["y", 2]], {(1, "b"): ["no", "yes"]})
    (page,) = opened(table_xlsx([sheet]))
    assert [[rule(page, row, place) for place in (1, 2)] for row in (2, 3, 4)] == [
        ["s!$B$1:$B$2", ""],
        ["s!$B$1:$B$2", '"no,yes"'],
        ["", ""],
    ]


def test_a_table_without_rows_is_a_header() -> None:
    (page,) = opened(table_xlsx([TableSheet("s", [Column("a", choices=["x"])], [])]))
    assert [[cell.value for cell in row] for row in page] == [["a"]]


def test_a_text_that_no_cell_holds_is_named() -> None:
    longest = "🙂" * 16_383 + "x"
    (page,) = opened(table_xlsx([TableSheet("s", [Column("a")], [[longest]])]))
    assert page["A2"].value == longest
    with pytest.raises(RedefectError, match=r"sheet 's', row 3, column 'a': the text is longer than the 32,767 characters"):
        table_xlsx([TableSheet("s", [Column("a")], [[""], [longest + "x"]])])
