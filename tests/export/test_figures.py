import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from browser.chromium import SWITCHES, find_chromium
from fontTools.ttLib import TTFont
from PIL import Image
from pypdf import PageObject, PdfReader
from pypdf.generic import IndirectObject

from pipeline.analyze.figures import Chart, bars, draw
from pipeline.analyze.layout import Layout
from pipeline.analyze.results import Crosstab, Distribution
from pipeline.export.figures import figure_files, to_pdf, to_svg
from pipeline.export.numbers import numbers, to_json, to_latex
from pipeline.export.venues import VENUES
from pipeline.export_commands import export_figures
from pipeline.openstudy import OpenStudy

SVG = "{http://www.w3.org/2000/svg}"
ROOMS = [(venue.name, columns) for venue in VENUES.values() for columns in (1, 2) if columns == 1 or venue.both > venue.column]


class Drawn:
    """Figures whose numbers are counted once."""

    def __init__(self, study: OpenStudy, names: list[str]) -> None:
        self.tables: dict[str, tuple[Crosstab, str, str] | Distribution] = {}
        for figure in study.study.figures:
            if figure.name in names:
                self.tables[figure.name] = (study.crosstab(figure.rows, figure.columns), figure.style, figure.title)
        for name in names:
            if name not in self.tables:
                self.tables[name] = study.distribution(name.removeprefix("distribution-"))

    def __call__(self, name: str, room: Layout) -> Chart:
        table = self.tables[name]
        return bars(table, room) if isinstance(table, Distribution) else draw(*table, room)


@pytest.fixture(scope="module")
def drawn(demo: OpenStudy) -> Drawn:
    """The demo's figure of each kind that has the most in it."""
    return Drawn(demo, ["figure-05", "figure-10", "distribution-root-cause"])


def words(pdf: bytes, folder: Path) -> list[tuple[str, float, float, float, float]]:
    """Return the words of a file with their boxes, in points, as poppler sees them."""
    if shutil.which("pdftotext") is None:
        pytest.skip("poppler is not installed")
    (folder / "figure.pdf").write_bytes(pdf)
    told = subprocess.run(["pdftotext", "-bbox", folder / "figure.pdf", "-"], capture_output=True, text=True, check=True).stdout
    found = re.findall(r'<word xMin="(.*?)" yMin="(.*?)" xMax="(.*?)" yMax="(.*?)">(.*?)</word>', told)
    return [(text, *map(float, box)) for *box, text in found]  # type: ignore[misc]


def check_words(pdf: bytes, chart: Chart, folder: Path) -> None:
    """Check that all of a figure's text is on the page, and none on other text."""
    (page,) = PdfReader(io.BytesIO(pdf)).pages
    found = words(pdf, folder)
    shown = [text for artist in chart.findobj(lambda a: hasattr(a, "get_text")) for text in artist.get_text().split()]
    assert len(found) > 10
    assert {unescape(text) for text, *_ in found} <= set(shown)
    for text, left, top, right, bottom in found:
        assert left > -0.5, text
        assert top > -0.5, text
        assert right < float(page.mediabox.width) + 0.5, text
        assert bottom < float(page.mediabox.height) + 0.5, text
    for (a, left, top, right, bottom), (b, left_b, top_b, right_b, bottom_b) in combinations(found, 2):
        across, down = min(right, right_b) - max(left, left_b), min(bottom, bottom_b) - max(top, top_b)
        assert across < 0.5 or down < 1.5, (a, b)  # letters are lower than their line


def sizes(page: PageObject) -> set[float]:
    """Return the sizes of a page's letters, in points, as they are printed."""
    found: set[float] = set()

    def look(text: str, _: Any, matrix: list[float], font: Any, size: float) -> None:
        if text.strip():
            found.add(round(size * matrix[3], 3))

    page.extract_text(visitor_text=look)
    return found


@pytest.mark.parametrize(("venue", "columns"), ROOMS)
def test_a_figure_is_as_wide_as_the_venues_columns_and_its_text_is_in_it_whole_and_as_large_as_asked_for(
    drawn: Drawn, venue: str, columns: int, tmp_path: Path
) -> None:
    room = VENUES[venue].layout(columns)
    for name in drawn.tables:
        chart = drawn(name, room)
        pdf = to_pdf(chart)
        (page,) = PdfReader(io.BytesIO(pdf)).pages
        assert float(page.mediabox.width) == pytest.approx(72 * room.width, abs=0.01)
        assert float(page.mediabox.height) <= 72 * VENUES[venue].highest
        assert sizes(page) == {VENUES[venue].letters}
        check_words(pdf, chart, tmp_path)


@pytest.mark.parametrize(("venue", "columns"), [("a4", 1), ("lncs", 1), ("ieee", 2)])
def test_so_are_the_figures_of_the_published_study(published: OpenStudy, venue: str, columns: int, tmp_path: Path) -> None:
    all_of_them = Drawn(published, ["figure-07", "figure-08", "figure-10", "distribution-root-cause"])
    for name in all_of_them.tables:
        chart = all_of_them(name, VENUES[venue].layout(columns))
        check_words(to_pdf(chart), chart, tmp_path)


def objects(pdf: PdfReader) -> Iterator[Any]:
    for number in range(1, pdf.trailer["/Size"]):
        yield pdf.get_object(IndirectObject(number, 0, pdf))


def test_a_pdf_brings_its_font_as_truetype_and_tells_what_it_shows_but_no_time(drawn: Drawn) -> None:
    chart = drawn("figure-10", VENUES["acm"].layout(1))
    pdf = PdfReader(io.BytesIO(to_pdf(chart)))
    fonts = [o for o in objects(pdf) if isinstance(o, dict) and o.get("/Type") == "/Font"]
    assert {font["/Subtype"] for font in fonts} == {"/Type0", "/CIDFontType2"}
    described = [font["/FontDescriptor"].get_object() for font in fonts if "/FontDescriptor" in font]
    assert described
    for descriptor in described:
        assert len(descriptor["/FontFile2"].get_object().get_data()) < 60_000
        assert re.match(r"/[A-Z]{6}\+DejaVuSans$", descriptor["/FontName"])
    about = pdf.metadata
    assert about is not None
    assert (about.title, about.subject) == (chart.title, chart.description)
    assert chart.title == "Root cause by stage (n = 152; fictional data)"
    assert not [key for key in about if "Date" in key]


def svg_font(svg: ET.Element) -> tuple[str, TTFont]:
    (style,) = svg.iter(f"{SVG}style")
    face = re.search(r"font-family:'(.*?)';src:url\(data:font/ttf;base64,(.*?)\)", style.text or "")
    assert face
    return face[1], TTFont(io.BytesIO(b64decode(face[2])))


def test_the_text_of_an_svg_is_text_in_a_font_that_comes_with_it_and_has_just_its_letters(drawn: Drawn) -> None:
    families = set()
    for name in drawn.tables:
        chart = drawn(name, VENUES["acm"].layout(1))
        svg = ET.fromstring(to_svg(chart))
        texts = ["".join(text.itertext()) for text in svg.iter(f"{SVG}text")]
        family, font = svg_font(svg)
        families.add(family)
        assert {ord(c) for c in "".join(texts)} | {0x20} == set(font.getBestCmap()) | {0x20}
        assert all(f"'{family}'" in text.get("style", "") for text in svg.iter(f"{SVG}text"))
        assert "Stage" in texts or name != "figure-10"
        assert svg.get("role") == "img"
        assert [svg.findtext(f"{SVG}{part}") for part in ("title", "desc")] == [chart.title, chart.description]
        assert svg.get("width") == f"{72 * VENUES['acm'].column:.6f}pt"
    assert len(families) == 3


def test_a_browser_shows_text_as_it_shows_the_outlines_of_its_letters(drawn: Drawn, tmp_path: Path) -> None:
    chart = drawn("figure-10", VENUES["ieee"].layout(2))
    pictures = []
    browser = [find_chromium(), "--headless", "--hide-scrollbars", f"--user-data-dir={tmp_path / 'profile'}", *SWITCHES]
    own = to_svg(chart).decode().replace(", 'DejaVu Sans', sans-serif", ", serif")  # which would show if its own were not used
    for name, svg in (("text", own), ("outlines", chart.to_bytes("svg").decode())):
        (tmp_path / f"{name}.svg").write_text(svg, encoding="utf-8")
        subprocess.run(
            [*browser, "--window-size=700,450", f"--screenshot={tmp_path / name}.png", (tmp_path / f"{name}.svg").as_uri()],
            check=True, capture_output=True, timeout=60,
        )  # fmt: skip
        pictures.append(np.asarray(Image.open(tmp_path / f"{name}.png").convert("L"), dtype=float))
    assert pictures[0].std() > 20
    blurred = [picture.reshape(picture.shape[0] // 5, 5, -1, 5).mean(axis=(1, 3)) for picture in pictures]
    assert np.abs(blurred[0] - blurred[1]).max() < 40  # hinting moves an edge, another font all letters


def test_grey_figures_have_no_colour_and_neighbours_that_differ(drawn: Drawn) -> None:
    svg = to_svg(drawn("figure-10", VENUES["ieee"].layout(1, grey=True))).decode()
    colours = set(re.findall(r"#[0-9a-f]{6}\b", svg))
    assert {"#8c8c8c", "#ffffff", "#595959", "#e0e0e0"} <= colours
    assert all(colour[1:3] == colour[3:5] == colour[5:7] for colour in colours)


def test_in_print_a_title_is_left_to_the_caption_which_figures_tex_has_with_a_description(drawn: Drawn) -> None:
    chart = drawn("figure-05", VENUES["ieee"].layout(1))
    assert [axes.get_title() for axes in chart.axes] == [""]
    assert "(n = 152; fictional data)" in chart.axes[0].get_xlabel().replace("\n", " ")
    files = figure_files({"figure-05": chart})
    assert set(files) == {"figures.tex", "figure-05.pdf", "figure-05.svg"}
    text = files["figures.tex"].decode()
    assert r"\newcommand*{\FigureZeroFiveCaption}{Manifestation by project type (n = 152; fictional data).}" in text
    assert r"\newcommand*{\FigureZeroFiveAlt}{Stacked bars. Manifestation by project type" in text
    assert r"75.7\%" in text


def test_latex_takes_what_figures_tex_says_and_figures_as_they_are(drawn: Drawn, tmp_path: Path) -> None:
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed")
    chart = drawn("figure-05", VENUES["ieee"].layout(1))
    chart.title += r" & 50 % _of_ #1 {a} \b ~ ^"
    for name, content in figure_files({"figure-05": chart}).items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "paper.tex").write_text(PAPER, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-2000:]
    assert "Overfull" not in run.stdout
    (width,) = re.findall(r"^width ([0-9.]+)pt$", run.stdout, re.MULTILINE)
    assert float(width) == pytest.approx(252, abs=0.01)


def test_what_taxonomies_call_their_categories_is_shown_as_it_is(demo: OpenStudy, tmp_path: Path) -> None:
    odd = ["a $x$ & <b>", r"\alpha_1 #%", "Größe {}", "~^"]
    counted = demo.distribution("stage")
    chart = bars(replace(counted, frame=counted.frame.assign(label=odd)), VENUES["ieee"].layout(2))
    texts = ["".join(text.itertext()) for text in ET.fromstring(to_svg(chart)).iter(f"{SVG}text")]
    assert set(odd) <= set(texts)
    assert set(" ".join(odd).split()) <= {unescape(word) for word, *_ in words(to_pdf(chart), tmp_path)}


def test_a_number_is_left_out_of_a_part_of_a_bar_that_is_narrower(drawn: Drawn) -> None:
    narrow, wide = (drawn("figure-05", Layout(width, 9, 8, 8)).axes[0] for width in (2.0, 6.5))
    there = [[text.get_text() for text in axes.texts if text.get_text()] for axes in (narrow, wide)]
    assert sorted(there[1], key=int) == ["1", "1", "1", "10", "16", "16", "26", "81"]
    assert set(there[0]) == {"10", "16", "26", "81"}


PAPER = r"""
\documentclass{article}
\usepackage[textwidth=252pt]{geometry}
\usepackage{graphicx}
\input{figures}
\begin{document}
\begin{figure}\includegraphics[alt={\FigureZeroFiveAlt}]{figure-05}\caption{\FigureZeroFiveCaption}\end{figure}
\newsavebox\drawn\savebox\drawn{\includegraphics{figure-05}}\typeout{width \the\wd\drawn}
\end{document}
"""


_BOTH = """
import hashlib, sys, pipeline
from pipeline.export.figures import figure_files
from pipeline.export.numbers import numbers, to_json, to_latex
from pipeline.export.numbers import numbers, to_json, to_latex
from pipeline.export.venues import layout
study = pipeline.open_study(sys.argv[1], sys.argv[2])
files = figure_files({name: study.figure(name, layout("acm", 1)) for name in ("figure-05", "distribution-stage")})
found = numbers(study)
files |= {"numbers.tex": to_latex("demo", found), "numbers.json": to_json("demo", found)}
for name, content in files.items():
    print(f"{hashlib.sha256(content).hexdigest()}  {name}")
"""


def test_figures_and_numbers_are_the_same_bytes_in_any_process_time_zone_and_locale(demo: OpenStudy) -> None:
    elsewhere = {"PYTHONHASHSEED": "7", "TZ": "Asia/Kathmandu", "LC_ALL": "tr_TR.UTF-8"}
    command = [sys.executable, "-c", _BOTH, str(demo.study.path), str(demo.study.database)]
    told = subprocess.run(command, env=os.environ | elsewhere, capture_output=True, text=True, check=True).stdout
    files = figure_files({name: demo.figure(name, VENUES["acm"].layout(1)) for name in ("figure-05", "distribution-stage")})
    found = numbers(demo)
    files |= {"numbers.tex": to_latex("demo", found), "numbers.json": to_json("demo", found)}
    here = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items())
    assert told == here


def test_the_command_writes_single_figures_beside_what_is_there(demo: OpenStudy, tmp_path: Path) -> None:
    (tmp_path / "other.pdf").touch()
    only, study, database = ["figure-05", "distribution-stage"], str(demo.study.path), str(demo.study.database)
    export_figures(venue="ieee", columns=2, figure=only, grey=True, study=study, database=database, folder=tmp_path)
    made = [f"{name}.{form}" for name in sorted(only) for form in ("pdf", "svg")]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*made, "other.pdf"])
    assert PdfReader(tmp_path / "figure-05.pdf").pages[0].mediabox.width == pytest.approx(516 / 72.27 * 72, abs=0.01)
