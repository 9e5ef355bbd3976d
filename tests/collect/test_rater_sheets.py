from pathlib import Path

import pytest
from openpyxl import Workbook

from pipeline.collect.rater_sheets import read_rater_sheets
from pipeline.errors import RedefectError
from pipeline.facts import Flaw, Rating
from pipeline.study import RaterSheet
from pipeline.taxonomy import Taxonomy

SHEETS = [RaterSheet(sheet="A", annotator="a", round="one"), RaterSheet(sheet="B", annotator="b", round="one")]


def workbook(tmp_path: Path, a: list[list[object]], b: list[list[object]], header_b: str = "Root Causes") -> Path:
    book = Workbook()
    book.remove(book.worksheets[0])
    for name, rows, cause in (("A", a, "Root Causes"), ("B", b, header_b)):
        sheet = book.create_sheet(name)
        for row in [["Issue #", "DL Stage", cause], *rows]:
            sheet.append(row)
    path = tmp_path / "sheets.xlsx"
    book.save(path)
    return path


def read(path: Path, taxonomy: Taxonomy) -> tuple[list[Rating], dict[str, str]]:
    flaws: list[Flaw] = []
    ratings = read_rater_sheets(path, SHEETS, taxonomy, flaws.append)
    return ratings, {flaw.where: f"{flaw.what}; {flaw.done}" for flaw in flaws}


def test_what_raters_wrote_is_kept_beside_its_category(tmp_path: Path, taxonomy: Taxonomy) -> None:
    rows: list[list[object]] = [[7, "training ", "Loss Function\xa0"], [8, "Nowhere", "N/A"]]
    ratings, flaws = read(workbook(tmp_path, rows, rows, "DL Specific Error Type"), taxonomy)
    of_a = [(r.row, r.number, r.facet, r.value, r.category) for r in ratings if r.annotator == "a"]
    assert of_a == [
        (2, "7", "stage", "training ", "training"),
        (2, "7", "root-cause", "Loss Function\xa0", "loss-function"),
        (3, "8", "stage", "Nowhere", None),
    ]
    assert flaws["sheet 'A', row 3"] == "'Nowhere' is no category of stage; kept as written, without category"
    assert flaws["sheet 'A'"] == "1 cells say n/a; read as empty: no rating"
    assert flaws["facet 'root-cause'"].startswith("has different column names: 'Root Causes' in A; 'DL Specific Error Type' in B")


def test_rows_without_an_issue_are_named(tmp_path: Path, taxonomy: Taxonomy) -> None:
    rows: list[list[object]] = [[None, None, None], [7, "Training", None], [None, "Modeling", None]]
    ratings, flaws = read(workbook(tmp_path, rows, rows), taxonomy)
    assert {rating.row for rating in ratings} == {3}
    assert flaws["sheet 'A', row 2"] == "are empty, amid or after the others; left out"
    assert flaws["sheet 'A', row 4"] == "have labels and no issue number; left out"


def test_raters_of_different_issues_are_an_error(tmp_path: Path, taxonomy: Taxonomy) -> None:
    with pytest.raises(RedefectError, match=r"round 'one': a and b rated different issues \(only one of them has 7, 8\)"):
        read(workbook(tmp_path, [[7, "Training", None]], [[8, "Training", None]]), taxonomy)


def test_rows_of_different_issues_that_meet_by_position_are_named(tmp_path: Path, taxonomy: Taxonomy) -> None:
    a: list[list[object]] = [[7, "Training", None], [7, "Training", None], [8, "Training", None]]
    b: list[list[object]] = [[7, "Training", None], [8, "Training", None], [8, "Training", None]]
    _, flaws = read(workbook(tmp_path, a, b), taxonomy)
    assert flaws["round 'one'"].startswith("matched by position, row 3 (issue 7) meets row 3 (issue 8)")


def test_a_workbook_that_is_none_or_lacks_something_is_one_sentence(tmp_path: Path, taxonomy: Taxonomy) -> None:
    with pytest.raises(RedefectError, match="there is no such file"):
        read(tmp_path / "none.xlsx", taxonomy)
    whole = workbook(tmp_path, [], []).read_bytes()
    (tmp_path / "cut.xlsx").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RedefectError, match="is truncated or no Excel workbook"):
        read(tmp_path / "cut.xlsx", taxonomy)
    book = Workbook()
    book.worksheets[0].title = "A"
    book.save(tmp_path / "empty.xlsx")
    with pytest.raises(RedefectError, match="sheet 'A': row 1: has no column 'Issue #'"):
        read(tmp_path / "empty.xlsx", taxonomy)
    book.worksheets[0].title = "C"
    book.save(tmp_path / "other.xlsx")
    with pytest.raises(RedefectError, match="has no sheet 'A'; it has C"):
        read(tmp_path / "other.xlsx", taxonomy)
