"""Whatever annotators say comes back as it was said, from each kind of sheet."""

import csv
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from annotate.annotations import annotations
from conftest import CHECKOUT
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook

from pipeline.annotate.annotation import Annotation, Task, Worksheet
from pipeline.annotate.filled_sheets import FilledSheet, read_annotation_file, read_sheets
from pipeline.annotate.sheets import annotation_file, to_csv, to_xlsx
from pipeline.cells import cell_text
from pipeline.errors import RedefectError
from pipeline.facts import Flaw, IssueReference
from pipeline.taxonomy import Taxonomy, read_taxonomy
from pipeline.thread import Thread

TAXONOMIES = [read_taxonomy(CHECKOUT / "taxonomy" / name) for name in ("jiang2024.yaml", "humbatova2020.yaml")]
NASTY = st.sampled_from(
    [
        "=1+1",
        "'=1",
        "'",
        "+1",
        "-",
        "@a",
        " =1",
        "a\r\nb",
        "\n",
        "\t",
        "a,b;c",
        '"',
        "é\u2028日本🙂",
        "\0\x1b\x85",
        "_x000A_",
        "1.0",
        "TRUE",
    ]
)
WRITERS = {"sheet.xlsx": to_xlsx, "sheet.csv": to_csv}


def no_complaint(flaw: Flaw) -> None:
    raise AssertionError(flaw)


def sheet_of(taxonomy: Taxonomy, said: list[Annotation]) -> Worksheet:
    seen = [{facet: (category, 0.5) for facet, category in a.suggested.items()} for a in said]
    tasks = [Task(a.issue, annotation=a, suggested=s) for a, s in zip(said, seen, strict=True)]
    return Worksheet("demo", "first", "pilot", "ada", taxonomy, tuple(tasks))


def held(annotation: Annotation) -> Annotation:
    return replace(annotation, translated=cell_text(annotation.translated), note=cell_text(annotation.note))


def all_that(taxonomy: Taxonomy) -> st.SearchStrategy[list[Annotation]]:
    return st.lists(
        annotations(taxonomy, st.text() | NASTY),
        min_size=1,
        max_size=4,
        unique_by=lambda a: (a.issue.repository.casefold(), a.issue.number),
    )


@pytest.mark.parametrize("taxonomy", TAXONOMIES, ids=lambda t: t.id)
@pytest.mark.parametrize("name", WRITERS)
@settings(max_examples=25)
@given(data=st.data())
def test_what_is_said_in_a_sheet_is_read_from_it(taxonomy: Taxonomy, name: str, data: st.DataObject) -> None:
    said = data.draw(all_that(taxonomy))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(WRITERS[name](sheet_of(taxonomy, said)))
        (sheet,) = read_sheets([path], taxonomy, no_complaint)
    assert sheet == FilledSheet("first", "pilot", "ada", tuple(map(held, said)), 0)


@pytest.mark.parametrize("taxonomy", TAXONOMIES, ids=lambda t: t.id)
@settings(max_examples=25)
@given(data=st.data())
def test_what_is_kept_in_a_file_is_read_from_it(taxonomy: Taxonomy, data: st.DataObject) -> None:
    said = data.draw(all_that(taxonomy))
    written = annotation_file(said, "first", taxonomy)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ada.csv"
        path.write_bytes(written)
        read = read_annotation_file(path, taxonomy, no_complaint)
    order = sorted(said, key=lambda a: (a.issue.repository.casefold(), a.issue.number))
    assert read == list(map(held, order))
    assert annotation_file(read, "first", taxonomy) == written == annotation_file(reversed(said), "first", taxonomy)


@pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice is not here")
def test_a_real_spreadsheet_program_changes_nothing_by_saving(taxonomy: Taxonomy, tmp_path: Path) -> None:
    answers = {f.id: f.choices[0].id for f in taxonomy.defect_facets}
    notes = [
        "=1+1",
        "'=1",
        " =1",
        "-1",
        "'",
        "@a",
        "a\nb",
        "é日本🙂",
        "  x ",
        " ",
        '=HYPERLINK("http://evil.example")',
        "x,y;z",
        "＝1",
    ]
    unsafe = ["1.0", "1/2", "TRUE"]  # what a program makes something else of, where nothing tells it that it is text
    said = [
        Annotation(IssueReference("a/b", number), "ada", "pilot", {"gate": "defect"}, (answers, answers), note=note)
        for number, note in enumerate([*notes, *unsafe], start=1)
    ]
    sheet, known = sheet_of(taxonomy, said), sheet_of(taxonomy, said[: len(notes)])
    as_csv = ("csv:Text - txt - csv (StarCalc):44,34,76,1", "--infilter=CSV:44,34,76,1,,0,false,true,false,false,false,0,true")
    (tmp_path / "a.xlsx").write_bytes(to_xlsx(sheet))
    (tmp_path / "b.xlsx").write_bytes(to_xlsx(known))
    (tmp_path / "c.csv").write_bytes(to_csv(known))
    for source, target, *options in (("a.xlsx", "xlsx"), ("b.xlsx", as_csv[0]), ("c.csv", *as_csv), ("c.csv", "xlsx", as_csv[1])):
        profile = f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}"
        command = ["soffice", "--headless", profile, *options, "--convert-to", target, "--outdir", str(tmp_path / "saved")]
        subprocess.run([*command, str(tmp_path / source)], check=True, capture_output=True, timeout=120)
    (read,) = read_sheets([tmp_path / "saved" / "a.xlsx"], taxonomy, no_complaint)
    assert read.annotations == tuple(said)
    for name in ("b.csv", "c.csv"):
        (read,) = read_sheets([tmp_path / "saved" / name], taxonomy, no_complaint)
        assert read.annotations == tuple(said[: len(notes)])
    book = load_workbook(tmp_path / "saved" / "c.xlsx")
    assert not [cell for row in book.worksheets[0] for cell in row if cell.data_type == "f"]
    book.worksheets[0].title = "ada"
    book.save(tmp_path / "ada.xlsx")
    (read,) = read_sheets([tmp_path / "ada.xlsx"], taxonomy, no_complaint)
    assert read.annotations == tuple(said[: len(notes)])


SAME = """
import sys
from pathlib import Path
from pipeline.annotate.filled_sheets import read_sheets
from pipeline.annotate.annotation import Task, Worksheet
from pipeline.annotate.sheets import annotation_file, to_csv, to_xlsx
from pipeline.taxonomy import read_taxonomy
taxonomy = read_taxonomy(Path(sys.argv[2]))
(sheet,) = read_sheets([Path(sys.argv[1])], taxonomy, print)
tasks = tuple(Task(a.issue, annotation=a) for a in sheet.annotations)
worksheet = Worksheet("demo", sheet.batch, sheet.round, sheet.annotator, taxonomy, tasks)
sys.stdout.buffer.write(to_xlsx(worksheet) + to_csv(worksheet) + annotation_file(sheet.annotations, "first", taxonomy))
"""


def test_the_same_labels_make_the_same_bytes_everywhere(taxonomy: Taxonomy, tmp_path: Path) -> None:
    answers = {f.id: f.choices[0].id for f in taxonomy.defect_facets}
    said = [Annotation(IssueReference("a/b", n), "ada", "pilot", {"gate": "defect"}, (answers,), note="é") for n in (1, 2)]
    sheet = sheet_of(taxonomy, said)
    (path := tmp_path / "sheet.csv").write_bytes(to_csv(sheet))
    command = [sys.executable, "-c", SAME, str(path), str(CHECKOUT / "taxonomy" / "jiang2024.yaml")]
    environment = {"PYTHONPATH": str(CHECKOUT), "TZ": "Pacific/Chatham", "PYTHONHASHSEED": "7", "LC_ALL": "C"}
    there = subprocess.run(command, env=environment, capture_output=True, check=True).stdout
    assert there == to_xlsx(sheet) + to_csv(sheet) + annotation_file(said, "first", taxonomy)


def test_a_title_is_no_formula_in_csv_and_stands_in_no_kept_file(taxonomy: Taxonomy) -> None:
    titled = Task(IssueReference("a/b", 1), Thread(repository="a/b", number=1, title='=HYPERLINK("http://evil")\n;=1|@x'))
    worksheet = Worksheet("demo", "first", "pilot", "ada", taxonomy, (titled,))
    (row,) = csv.DictReader(to_csv(worksheet).decode("utf-8-sig").splitlines())
    assert row["Title"] == """''=HYPERLINK("http://evil") ;'=1|'@x"""
    said = Annotation(titled.issue, "ada", "pilot", {"gate": "no-defect"}, ())
    assert b"Title" not in annotation_file([said], "first", taxonomy)


def test_a_defect_has_a_row_and_what_is_said_of_the_issue_stands_on_the_first(taxonomy: Taxonomy) -> None:
    answers = {f.id: f.choices[0].id for f in taxonomy.defect_facets}
    said = Annotation(
        IssueReference("a/b", 1), "ada", "pilot", {"gate": "defect"}, (answers, answers), True, True, "French", "why"
    )
    first, second = csv.DictReader(to_csv(sheet_of(taxonomy, [said])).decode("utf-8-sig").splitlines())
    once = {"Discuss": "yes", "Over ten minutes": "yes", "Translated from": "French", "Note": "why"}
    assert once.items() <= first.items()
    assert second == first | dict.fromkeys(once, "") | {"Defect": "2"}
    assert (first["Reengineering defect"], first["Defect"], first["Link"]) == ("Defect", "1", "https://github.com/a/b/issues/1")


@pytest.mark.parametrize("name", ["Categories", "about", "History"])
def test_an_annotator_is_not_named_like_another_sheet(taxonomy: Taxonomy, name: str) -> None:
    with pytest.raises(RedefectError, match=f"annotator '{name}': no sheet of a workbook can be named so"):
        to_xlsx(Worksheet("demo", "first", "pilot", name, taxonomy, ()))
