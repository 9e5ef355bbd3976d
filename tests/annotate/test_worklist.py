import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from openpyxl import load_workbook

from pipeline.annotate.adjudication import DROP, EXISTS, KEEP, Case, Decision, cases, decide
from pipeline.annotate.annotation import Annotation
from pipeline.annotate.worklist import read_worklist, to_csv, to_xlsx
from pipeline.errors import RedefectError
from pipeline.facts import IssueReference
from pipeline.taxonomy import Taxonomy

ISSUE, OTHER = IssueReference("a/b", 7), IssueReference("c/d", 1)
MACHINE = {ISSUE: {"symptom": ("hang", 0.625), "stage": ("training", 0.9)}}
CRASH, HANG = {"stage": "training", "symptom": "crash"}, {"stage": "training", "symptom": "hang"}
NAN = {"stage": "modeling", "symptom": "numerical-instability"}


@pytest.fixture(scope="module")
def small(taxonomy: Taxonomy) -> Taxonomy:
    facets = [taxonomy.facet(name) for name in ("gate", "stage", "symptom")]
    return Taxonomy(id=taxonomy.id, title=taxonomy.title, source=taxonomy.source, facets=facets)


@pytest.fixture(scope="module")
def found(small: Taxonomy) -> list[Case]:
    """Two questions of one issue (the symptom of its first defect, whether there is a second), and one of another."""

    def by(annotator: str, issue: IssueReference, *defects: dict[str, str], note: str = "") -> Annotation:
        return Annotation(issue, annotator, "final", {"gate": "defect" if defects else "no-defect"}, defects, note=note)

    said = [by("ann", ISSUE, CRASH, NAN, note="=1+1"), by("bob", ISSUE, HANG), by("ann", OTHER, CRASH), by("bob", OTHER)]
    return cases(said, small, seed=1)


WRITERS = {"list.xlsx": to_xlsx, "list.csv": to_csv}
Edit = Callable[[list[dict[str, str]]], object]


def written(path: Path, found: list[Case], taxonomy: Taxonomy, edit: Edit) -> Path:
    """A worklist that an adjudicator has gone through."""
    path.write_bytes(WRITERS[path.name](found, "demo", "judged", taxonomy, MACHINE))
    if path.suffix == ".csv":
        rows = list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig"))))
        edit(rows)
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return path
    book = load_workbook(path)
    page = book.worksheets[0]
    titles = [cell.value for cell in page[1]]
    rows = [
        {t: "" if c.value is None else str(c.value) for t, c in zip(titles, row, strict=True)}
        for row in page.iter_rows(min_row=2)
    ]
    edit(rows)
    for cells, row in zip(page.iter_rows(min_row=2), rows, strict=True):
        for cell, title in zip(cells, titles, strict=True):
            cell.value = row[title] or None
    book.save(path)
    return path


def put(*values: tuple[int, str, str]) -> Edit:
    """Set cells by row, as a spreadsheet counts it, and column."""

    def edit(rows: list[dict[str, str]]) -> None:
        for row, column, value in values:
            rows[row - 2][column] = value

    return edit


def test_a_worklist_asks_without_names_and_shows_the_machine_s_view_last(found: list[Case], small: Taxonomy) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(found, "demo", "judged", small, MACHINE).decode("utf-8-sig"))))
    assert [(r["Repository"], r["Number"], r["Defect"], r["Question"], r["Decision"], r["Machine"]) for r in rows] == [
        ("a/b", "7", "1", "Symptom", "", "Hang (0.62)"),
        ("a/b", "7", "2", "Is there such a defect?", "", ""),
        ("c/d", "1", "0", "Reengineering defect", "", ""),
    ]
    assert list(rows[0])[-1] == "Machine"
    assert {rows[0]["Label 1"], rows[0]["Label 2"]} == {"Crash", "Hang"}
    assert rows[0]["Notes"] == "'=1+1"
    assert not {"ann", "bob"} & {cell for row in rows for cell in row.values()}


def test_a_workbook_lists_for_each_question_what_may_be_decided(found: list[Case], small: Taxonomy) -> None:
    page = load_workbook(io.BytesIO(to_xlsx(found, "demo", "judged", small, MACHINE)))["Worklist"]
    decision = next(cell.column_letter for cell in page[1] if cell.value == "Decision")
    lists = {str(rule.sqref): rule.formula1 for rule in page.data_validations.dataValidation}
    assert lists[f"{decision}2"] == "Categories!$B$8:$B$16"
    assert lists[f"{decision}3"] == '"keep,drop"'
    assert lists[f"{decision}4"] == "Categories!$B$2:$B$3"
    assert page.freeze_panes == "E2"
    assert {cell.column for row in page for cell in row if cell.hyperlink} == {5}
    assert "f" not in {cell.data_type for row in page for cell in row}


@pytest.mark.parametrize("name", WRITERS)
def test_what_is_decided_is_read_with_its_place_and_reason(found: list[Case], small: Taxonomy, tmp_path: Path, name: str) -> None:
    decided = put(
        (2, "Decision", "hang"),
        (2, "Reason", "It waits;\nsee the log"),
        (3, "Decision", "Drop"),
        (4, "Decision", "No reengineering defect"),
    )
    path = written(tmp_path / name, found, small, decided)
    round_, decisions = read_worklist(path, "demo", small)
    assert round_ == "judged"
    assert decisions == [
        Decision(ISSUE, 1, "symptom", "hang"),
        Decision(ISSUE, 2, EXISTS, DROP),
        Decision(OTHER, 0, "gate", "no-defect"),
    ]
    assert [d.reason for d in decisions] == ["It waits;\nsee the log", "", ""]
    sheet = "sheet 'Worklist', " if name.endswith("xlsx") else ""
    assert decisions[0].where == f"{path}: {sheet}row 2"
    first, second = decide(found, decisions, small, "judge", round_)
    assert (first.defects, second.defects) == ((HANG,), ())


@pytest.mark.parametrize("name", WRITERS)
def test_a_worklist_that_nobody_has_gone_through_decides_nothing(
    found: list[Case], small: Taxonomy, tmp_path: Path, name: str
) -> None:
    assert read_worklist(written(tmp_path / name, found, small, bool), "demo", small) == ("judged", [])


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize(
    ("edit", "place", "sentence"),
    [
        (put((2, "Study", "other")), "row 2, column A (Study)", "is a worklist of study 'other', not of 'demo'"),
        (put((3, "Round", "second")), "row 3, column B (Round)", "is of round 'second', and rows before it of 'judged'"),
        (
            put((2, "Decision", "crush")),
            "row 2, column K (Decision)",
            "'crush' is no category that may be chosen; nearest are Crash",
        ),
        (put((2, "Decision", "low-frequency-type")), "row 2, column K (Decision)", "is no category that may be chosen"),
        (put((2, "Decision", KEEP)), "row 2, column K (Decision)", "'keep' is no category"),
        (put((3, "Decision", "yes")), "row 3, column K (Decision)", "'yes' is neither 'keep' nor 'drop'"),
        (put((2, "Question", "Symptoms?"), (2, "Decision", "Hang")), "row 2, column G (Question)", "'Symptoms?' is no question"),
        (put((2, "Repository", "b"), (2, "Decision", "Hang")), "row 2, column C (Repository)", "'b' is no repository"),
        (put((2, "Number", "7.5"), (2, "Decision", "Hang")), "row 2, column D (Number)", "'7.5' is no whole number"),
        (put((2, "Number", "²"), (2, "Decision", "Hang")), "row 2, column D (Number)", "'²' is no whole number"),
        (put((2, "Defect", ""), (2, "Decision", "Hang")), "row 2, column F (Defect)", "'' is no whole number"),
        (
            put((2, "Decision", "Hang"), (3, "Question", "Symptom"), (3, "Defect", "1"), (3, "Decision", "Crash")),
            "row 3, column K (Decision)",
            "decides otherwise what a row before it decides",
        ),
    ],
)
def test_a_cell_that_is_wrong_is_named(
    found: list[Case], small: Taxonomy, tmp_path: Path, name: str, edit: Edit, place: str, sentence: str
) -> None:
    path = written(tmp_path / name, found, small, edit)
    with pytest.raises(RedefectError) as caught:
        read_worklist(path, "demo", small)
    sheet = "sheet 'Worklist', " if name.endswith("xlsx") else ""
    assert str(caught.value).startswith(f"{path}: {sheet}{place}: ")
    assert sentence in str(caught.value)


def test_a_file_that_is_no_worklist_is_named(small: Taxonomy, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("Repository,Number\na/b,1\n")
    with pytest.raises(
        RedefectError, match=r"t.csv: row 1: has no column 'Study', 'Round', 'Defect', 'Question', 'Decision', 'Reason'"
    ):
        read_worklist(path, "demo", small)
