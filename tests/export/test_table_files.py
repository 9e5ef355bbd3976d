"""Titles of issues as people write them come out right in every format, opened by the programs that people open them with."""

import csv
import io
import re
import shutil
import subprocess
import unicodedata
from collections import Counter
from pathlib import Path

import lxml.html
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from openpyxl import load_workbook
from pyarrow import parquet

from pipeline.cells import cell_text, rearm
from pipeline.export import latex
from pipeline.export.table import Column, Table, files

PIECES = [
    *"_&%$#{}~^\\|<>\"'`*[]()=+-@!/:;,.? ",
    *("\t", "\n", "\r", "\r\n", "\x00", "\x1b[31m", "\x85", "\N{NO-BREAK SPACE}"),
    *("\N{GRINNING FACE}", "\U0001f469\u200d\U0001f4bb", "\U0001f1e9\U0001f1ea", "1\ufe0f\u20e3", "\u2764\ufe0f"),
    *("\u200f", "\u202e", "\u202c", "\u2066", "\u2069", "שלום", "مرحبا", "漢字", "Привет", "λ", "é", "ﬁ", "e\u0301\u0323"),
    *("--", "``", "''", "<<", "?`", "${x}", "\\input{/etc/passwd}", "%s", "a_b", "https://example.org/a?b=1#c", "&amp;", "<b>"),
    *("www.example.org", "`code`", "=1+1", '=HYPERLINK("http://a.example")', "x" * 40, "CUDA_ERROR", "word", "crash", "1.", "- "),
]
TITLES = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=12).map("".join),
    st.builds(lambda opener, text: opener + text, st.sampled_from(list("=+-@\t\r＝")), st.text(max_size=8)),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.builds(lambda piece: (piece * 500)[:500], st.sampled_from(["x", "ab_", "漢", "é", "😀", "W", "/", "ا"])),
)


def table(titles: list[str]) -> Table:
    frame = pd.DataFrame({"n": range(1, len(titles) + 1), "title": pd.Series(titles, dtype=object), "share": 0.5})
    columns = (Column("n", "No.", "number"), Column("title", "Title"), Column("share", "Share", "share"))
    return Table("titles", "Titles & more_", frame, columns, "A note of 100 %.")


def one_line(text: str) -> str:
    return " ".join(cell_text(text).split())


@given(st.lists(TITLES, min_size=1, max_size=6))
def test_a_program_reads_a_title_as_it_is(titles: list[str]) -> None:
    made = table(titles)
    assert parquet.read_table(io.BytesIO(made.to_bytes("parquet"))).column("title").to_pylist() == titles
    rows = list(csv.DictReader(io.StringIO(made.to_bytes("csv").decode(), newline="")))
    assert [rearm(row["title"]) for row in rows] == [cell_text(title) for title in titles]
    assert not [row["title"] for row in rows if row["title"].lstrip().startswith(("=", "+", "-", "@"))]


@settings(max_examples=40)
@given(st.lists(TITLES, min_size=1, max_size=6))
def test_a_workbook_holds_titles_as_texts_and_numbers_as_numbers(titles: list[str]) -> None:
    page = load_workbook(io.BytesIO(table(titles).to_bytes("excel"))).active
    assert page is not None
    assert [cell.value for cell in page[3]] == ["No.", "Title", "Share"]
    for place, title in enumerate(titles, start=4):
        number, cell, share = page[place]
        assert (number.value, cell.value or "", share.value) == (place - 3, cell_text(title), 0.5)
        assert cell.data_type in "sn"
        assert share.number_format == "0.0%"
    assert page.freeze_panes == "A4"


@given(st.lists(TITLES, min_size=1, max_size=6))
def test_a_browser_shows_a_title_and_runs_nothing_of_it(titles: list[str]) -> None:
    page = lxml.html.document_fromstring(table(titles).to_bytes("html").decode())
    shown = [cell.text_content() for cell in page.xpath("//tbody//td[2]/bdi")]
    assert shown == [cell_text(title) for title in titles]
    assert {element.tag for element in page.xpath("//table//*")} <= {"caption", "thead", "tbody", "tr", "th", "td", "bdi"}


@given(st.lists(TITLES, min_size=1, max_size=6))
def test_github_shows_a_title_and_takes_nothing_of_it_for_mark_up(titles: list[str]) -> None:
    page = lxml.html.fromstring(
        MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(table(titles).to_bytes("markdown").decode())
    )
    assert [one_line(cell.text_content()) for cell in page.xpath("//tbody/tr/td[2]")] == [one_line(title) for title in titles]
    assert not page.xpath("//a|//img|//td//em|//td//strong|//td//code|//td//del")


def sample(count: int) -> list[str]:
    """Titles like those of the properties, the same each time: programs that take long to start open one file of them."""
    found: list[str] = []

    @settings(max_examples=count, derandomize=True, database=None)
    @given(TITLES)
    def collect(title: str) -> None:
        found.append(title)

    collect()
    return [*found, *PIECES]


@pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice is not here")
def test_a_real_spreadsheet_program_shows_every_title_of_a_workbook_and_of_csv(tmp_path: Path) -> None:
    titles = sample(150)
    made = files([table(titles)], ["csv", "excel"])
    for name, content in made.items():
        (tmp_path / name).write_bytes(content)
    profile = f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}"
    command = ["soffice", "--headless", profile, "--infilter=CSV:44,34,76,1,1/1/2/2/3/1,0,false,false"]
    command += ["--convert-to", "xlsx:Calc MS Excel 2007 XML", "--outdir", "saved"]
    (tmp_path / "text.csv").write_bytes(made["titles.csv"])
    for name in ("titles.xlsx", "text.csv"):
        subprocess.run(
            [*(command[:3] if name.endswith("xlsx") else command[:4]), *command[4:], name],
            cwd=tmp_path,
            check=True,
            capture_output=True,
            timeout=180,
        )
    for name, first in (("titles.xlsx", 4), ("text.xlsx", 2)):
        page = load_workbook(tmp_path / "saved" / name).active
        assert page is not None
        shown = [str(row[1].value or "") for row in page.iter_rows(min_row=first, max_row=first + len(titles) - 1)]
        assert [rearm(text) if first == 2 else text for text in shown] == [cell_text(title) for title in titles]
        assert not [cell for row in page for cell in row if cell.data_type == "f"]


def printed(text: str) -> str:
    """Return what is left of a text in print: without spaces and pictures, letters as Unicode writes them at their simplest."""
    text = re.sub("[0-9#*]\ufe0f?\u20e3", "", text)
    clean = latex._JOINS.sub("", latex._EMOJI.sub("", latex._SILENT.sub("", text)))
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", clean)).replace("’", "'")


def decoded(text: str, original: str) -> str:
    """Return a text without the codes that stand for characters of the original which no font has."""
    for character in sorted(set(unicodedata.normalize("NFC", original)), reverse=True):
        text = text.replace(f"U+{ord(character):04X}", character)
    return text


@pytest.mark.parametrize("engine", ["lualatex", "pdflatex"])
def test_latex_prints_every_title_and_no_line_is_too_long(engine: str, tmp_path: Path) -> None:
    for program in (engine, "pdftotext"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    titles = [title for title in sample(150) if engine == "pdflatex" or len(title) < 600]
    marks = [f"Q{place}" for place in range(len(titles))]
    frame = pd.DataFrame({"from": [f"{m}A" for m in marks], "title": titles, "to": [f"{m}Z" for m in marks], "share": 0.5})
    for name, content in files([Table("titles", titles[0], frame)], ["latex"]).items():
        (tmp_path / name).write_bytes(content)
    paper = r"\documentclass{article}\usepackage{redefect}\begin{document}\input{titles}\end{document}"
    (tmp_path / "paper.txt").write_text(paper)
    command = [engine, "-interaction=nonstopmode", "-halt-on-error", "-jobname=paper", "paper.txt"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=300, check=False)
    log = (tmp_path / "paper.log").read_text(errors="replace")
    assert done.returncode == 0, log[-2000:]
    assert not re.findall(r"^(?:Overfull|Missing character).*", log, re.MULTILINE)
    text = subprocess.run(["pdftotext", "-raw", "paper.pdf", "-"], cwd=tmp_path, capture_output=True, check=True).stdout.decode()
    for mark, title in zip(marks, titles, strict=True):
        found = re.search(rf"{mark}A(.*?){mark}Z", text, re.DOTALL)
        assert found is not None, mark
        expected, seen = printed(cell_text(title)), printed(decoded(found[1], cell_text(title)))
        assert Counter(seen) == Counter(expected), (title, found[1])
        if not latex._LEFTWARD.search(title) and not re.search(r"\d", title):
            assert seen == expected
