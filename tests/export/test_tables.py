"""Tables of studies: what each holds, what people and programs read of it, and how rows and columns are chosen."""

import csv
import io
import re
import shutil
import subprocess
from pathlib import Path

import lxml.html
import pandas as pd
import pytest
from conftest import Run
from pyarrow import parquet

from pipeline.errors import RedefectError
from pipeline.export.table import Table, files
from pipeline.export.tables import defect_table, study_table, study_tables
from pipeline.openstudy import OpenStudy
from pipeline.store.session import Store


@pytest.fixture(scope="module")
def tables(demo: OpenStudy) -> dict[str, Table]:
    return {table.name: table for table in study_tables(demo)}


def markdown(table: Table) -> list[list[str]]:
    lines = [line for line in table.to_bytes("markdown").decode().splitlines() if line.startswith("|")]
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines
        if not line.startswith("|:-") and "-:|" not in line
    ]


def test_all_tables_of_a_study_have_names_of_their_own_and_tell_their_size_date_and_that_they_are_fictional(
    tables: dict[str, Table], demo: OpenStudy
) -> None:
    assert len(tables) == len(study_tables(demo))
    assert {"defects", "findings", "sensitivity", "agreement", "independence", "crosstab-stage-symptom"} <= set(tables)
    for table in tables.values():
        assert f"Date of the data: {demo.date_of_data}." in table.as_printed.note
        assert "Fictional data." in table.as_printed.note
    assert tables["defects"].note.startswith("n = 152 defects.")


def test_nothing_undefined_is_printed(tables: dict[str, Table]) -> None:
    for form in ("latex", "markdown", "html"):
        for table in tables.values():
            assert not re.search(rb"\bnan\b|\bNone\b|\bNaT\b", table.to_bytes(form)), table.name


def test_the_date_of_the_data_is_their_latest_time(demo: OpenStudy) -> None:
    assert demo.date_of_data >= f"{demo.defects['created_at'].max():%Y-%m-%d}"
    empty = OpenStudy(demo.study, Store("sqlite://"))
    assert empty.date_of_data == "not known"


def test_the_table_of_defects_refers_to_issues_and_holds_no_text_and_no_login(tables: dict[str, Table]) -> None:
    table = tables["defects"]
    assert "title" not in table.frame
    assert "author" not in table.frame
    assert len(table.frame) == 152


def test_titles_are_shown_when_asked_for_with_pseudonyms_for_those_whom_they_mention(demo: OpenStudy) -> None:
    demo = OpenStudy(demo.study, demo._store)
    person = demo.people[0]
    demo.defects["title"] = [f"for @{person}: {title}" for title in demo.defects["title"]]
    table = defect_table(demo, titles=True)
    assert table.frame["title"].str.startswith("for @person-1: ").all()


def test_people_read_categories_in_the_papers_spelling_and_programs_their_ids(tables: dict[str, Table]) -> None:
    table = tables["distribution-project-type"]
    assert [row[0] for row in markdown(table)] == ["Project type", 'User "fork"', "Major replication", "Research prototype"]
    rows = list(csv.DictReader(io.StringIO(table.to_bytes("csv").decode())))
    assert [row["category"] for row in rows] == ["user-fork", "major-replication", "research-prototype"]


def test_numbers_are_exact_for_programs_and_written_with_their_interval_for_people(tables: dict[str, Table]) -> None:
    table = tables["distribution-stage"]
    assert markdown(table)[:2] == [
        ["Stage", "n", "Share (%)", "95 % interval"],
        ["Environment", "63", "41.4", "[33.9, 49.4]"],
    ]
    (row, *_) = csv.DictReader(io.StringIO(table.to_bytes("csv").decode()))
    assert float(row["share"]) == table.frame["share"][0] == 63 / 152
    assert parquet.read_table(io.BytesIO(table.to_bytes("parquet")))["low"][0].as_py() == table.frame["low"][0]


def test_the_longer_side_of_a_cross_table_runs_down_the_page_with_totals(tables: dict[str, Table]) -> None:
    rows = markdown(tables["crosstab-stage-root-cause"])
    assert rows[0] == ["Root cause", "Environment", "Data pipeline", "Modeling", "Training", "Total"]
    assert (rows[-1][0], rows[-1][-1]) == ("Total", "152")
    assert markdown(tables["crosstab-project-type-manifestation"])[0][0] == "Project type"


def test_columns_rows_order_and_groups_can_be_chosen(tables: dict[str, Table]) -> None:
    chosen = tables["defects"].select(
        columns=["number", "repository", "symptom"],
        where=["stage=training", "stage=Modeling", "symptom=Crash"],
        sort=["repository", "-number"],
        by=["stage"],
        rename=["symptom=What was seen"],
    )
    rows = markdown(chosen)
    assert rows[0] == ["Issue", "Repository", "What was seen"]
    headings = [row[0] for row in rows if row[1:] == ["", ""]]
    assert headings == ["**Modeling**", "**Training**"]  # in the taxonomy's order
    assert {row[2] for row in rows[1:] if row[1]} == {"Crash"}
    inner = [(row[1], -int(row[0].replace(",", ""))) for row in rows[2 : rows.index(["**Training**", "", ""])]]
    assert inner == sorted(inner, key=lambda row: (row[0].casefold(), row[1]))
    assert "of 152 rows; stage: Training or Modeling; symptom: Crash." in chosen.note
    assert len(markdown(tables["defects"].select(rows=20))) == 21


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"columns": ["framwork"]}, "Table 'defects' has no column 'framwork'; it has repository, number, defect, "),
        ({"where": ["stage=nowhere"]}, "Column 'stage' of table 'defects' has no 'nowhere'; it has data-pipeline, environment, "),
        ({"where": ["stage"]}, "--where: 'stage' is no COLUMN=VALUE."),
    ],
)
def test_a_choice_that_cannot_be_made_is_answered_with_those_that_can(
    tables: dict[str, Table], choice: dict[str, list[str]], said: str
) -> None:
    with pytest.raises(RedefectError, match=re.escape(said)):
        tables["defects"].select(**choice)


def test_the_command_writes_one_table_and_lists_all(redefect: Run, root: Path) -> None:
    redefect("import", "threads", "data/demo/threads")
    redefect("import", "study")
    assert "crosstab-stage-symptom" in redefect("export", "table").stdout
    shown = redefect("export", "table", "defects", "--columns", "title,stage", "--where", "stage=training", "--rows", "3").stdout
    assert shown.count("| Training |") == 3
    assert shown.splitlines()[2].split("|")[1].strip() == "Title"
    done = redefect("export", "table", "findings", "-o", "a/findings.tex")
    assert done.stdout == "made a/findings.tex\nmade a/redefect.sty\n"
    assert {path.name for path in (root / "a").iterdir()} == {"findings.tex", "redefect.sty"}
    assert "its ending tells no format" in redefect("export", "table", "defects", "-o", "a.pdf", expect=1).stderr


def test_a_table_that_is_not_there_is_told_with_those_that_are(demo: OpenStudy) -> None:
    with pytest.raises(RedefectError, match="Study 'demo' has no table 'nothing'; it has defects, distribution-framework,"):
        study_table(demo, "nothing")


def test_all_tables_in_all_formats_are_the_same_bytes_each_time(demo: OpenStudy) -> None:
    some = [defect_table(demo), *study_tables(OpenStudy(demo.study, demo._store))[1:4]]
    assert files(some, ["latex", "csv", "markdown", "html", "excel", "parquet"]) == files(
        [defect_table(OpenStudy(demo.study, demo._store)), *some[1:]], ["latex", "csv", "markdown", "html", "excel", "parquet"]
    )


def test_a_page_does_without_columns_that_hold_nothing_and_breaks_no_word_at_its_comma(tables: dict[str, Table]) -> None:
    page = tables["raters"].to_bytes("latex").decode()
    assert tables["raters"].frame["followed"].isna().all()
    assert "Suggestions" in page
    assert "Followed" not in page
    assert r"\RDgroup{independent, demo-a}" in page


def compile_all(folder: Path, made: dict[str, bytes], engine: str) -> str:
    """Put tables into a paper, and return what the engine logs in the last of the runs that long tables take."""
    for name, content in made.items():
        (folder / name).write_bytes(content)
    body = "".join(rf"\input{{{name}}}\clearpage" for name in made if name.endswith(".tex"))
    paper = rf"\documentclass{{article}}\usepackage{{redefect}}\begin{{document}}{body}\end{{document}}"
    (folder / "paper.txt").write_text(paper)
    command = [engine, "-interaction=nonstopmode", "-halt-on-error", "-jobname=paper", "paper.txt"]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=300, check=False)
    log = (folder / "paper.log").read_text(errors="replace")
    assert done.returncode == 0, log[-2000:]
    return log


@pytest.mark.parametrize("engine", ["lualatex", "pdflatex"])
def test_all_tables_of_a_study_compile_and_nothing_is_too_wide(
    published: OpenStudy, tables: dict[str, Table], tmp_path: Path, engine: str
) -> None:
    if shutil.which(engine) is None:
        pytest.skip(f"{engine} is not installed")
    made = files(tables.values() if engine == "lualatex" else study_tables(published), ["latex"])
    log = compile_all(tmp_path, made, engine)
    assert not re.findall(r"^(?:Overfull|Missing character|LaTeX Warning: (?:Ref|Cit|Font)).*", log, re.MULTILINE)


def test_html_is_a_page_of_its_own_in_which_headings_say_what_they_are_headings_of(tables: dict[str, Table]) -> None:
    page = lxml.html.fromstring(tables["agreement"].to_bytes("html"))
    assert page.findtext(".//caption") == "Agreement of annotators"
    assert {th.get("scope") for th in page.iter("th")} == {"col", "colgroup", "rowgroup", "row"}
    assert not page.xpath("//script|//link|//img|//@src")
    assert page.get("lang") == "en"


def test_a_table_may_hold_no_rows_at_all(tables: dict[str, Table]) -> None:
    empty = Table("t", "Nothing", pd.DataFrame({"repository": pd.Series(dtype=str), "share": pd.Series(dtype=float)}))
    for form in ("latex", "csv", "markdown", "html", "excel", "parquet"):
        assert empty.to_bytes(form)
