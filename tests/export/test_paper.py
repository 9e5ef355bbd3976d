import io
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import make_root
from pypdf import PdfReader

from pipeline.errors import RedefectError
from pipeline.export.latex import prose
from pipeline.export.paper import paper
from pipeline.export.typeset import DEBIAN_PACKAGES, typeset
from pipeline.files import write_folder
from pipeline.openstudy import OpenStudy
from pipeline.store.session import Store
from pipeline.study import read_study

TITLE = r"50% & #1 \input{/etc/passwd} ^^41 ~{_$x$ 漢" + " \N{GRINNING FACE}"


@pytest.fixture(scope="module")
def hostile(demo: OpenStudy, tmp_path_factory: pytest.TempPathFactory) -> OpenStudy:
    """The demo under a title that LaTeX would run."""
    path = make_root(tmp_path_factory.mktemp("hostile") / "root") / "data" / "studies" / "demo.toml"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(
        "".join(f"title = '{TITLE}'\n" if line.startswith("title") and i < 5 else line for i, line in enumerate(lines))
    )
    return OpenStudy(read_study(path), Store(str(demo.study.database)))


@pytest.fixture(scope="module")
def files(hostile: OpenStudy) -> dict[str, bytes]:
    return paper(hostile)


@pytest.fixture(scope="module")
def pdf(files: dict[str, bytes]) -> bytes:
    if not all(map(shutil.which, ("latexmk", "lualatex"))):
        pytest.skip(f"LaTeX is not installed (on Debian: {' '.join(DEBIAN_PACKAGES)})")
    return typeset(files)


@pytest.fixture(scope="module")
def pages(pdf: bytes) -> list[str]:
    return [" ".join(page.extract_text().split()) for page in PdfReader(io.BytesIO(pdf)).pages]


def test_all_tables_and_all_figures_are_read_once_and_referred_to_in_the_text(
    hostile: OpenStudy, files: dict[str, bytes]
) -> None:
    article = files["article.tex"].decode()
    text = article[: article.index(r"\appendix")]
    tables = {name.removeprefix("tables/").removesuffix(".tex") for name in files if name.startswith("tables/")}
    assert {"defects", "findings", "sensitivity", "independence", "agreement", "raters"} < tables
    assert len(tables) > 6 + len(hostile.study.distributions) + len(hostile.study.crosstabs)
    assert sorted(re.findall(r"\\input\{tables/(.*?)\}", article)) == sorted(tables)
    assert set(re.findall(r"\\ref\{tab:(.*?)\}", text)) == tables
    assert {f"figures/{name}.pdf" for name in hostile.figure_names} < set(files)
    assert sorted(re.findall(r"\\includegraphics\{figures/(.*?)\}", article)) == sorted(hostile.figure_names)
    assert set(re.findall(r"\\ref\{fig:(.*?)\}", text)) == set(hostile.figure_names)


def test_no_number_of_the_data_is_typed_into_the_text(hostile: OpenStudy, files: dict[str, bytes]) -> None:
    article = files["article.tex"].decode()
    text = article[article.index(r"\begin{abstract}") : article.index(r"\bibliographystyle")]
    for told in (hostile.study.title, hostile.study.description):  # the study file's own words
        text = text.replace(prose(told), "")
    text = re.sub(r"one after the other:.*?Issues that its sources", "", text, flags=re.DOTALL)
    text = text.replace(r"95\,\%", "").replace("SHA-256", "")
    commands = r"\\(?:ref|label|input|includegraphics|redefectalt|cite[pt])\{.*?\}|\\caption\{.*\}|\\setlength.*"
    text = re.sub(commands, "", text)
    assert re.findall(r".*\d.*", text) == []


def test_every_number_is_printed_as_it_is_in_the_json(files: dict[str, bytes], pages: list[str]) -> None:
    first = next(i for i, page in enumerate(pages) if "F Numbers" in page)
    printed = re.sub(r"\s", "", "".join(pages[first:]))
    numbers = json.loads(files["numbers.json"])["numbers"]
    assert len(numbers) > 300
    for number in numbers:
        assert re.sub(r"\s", "", f"{number['key']}{number['text']}{number['interval']}") in printed


def test_a_title_is_text_wherever_it_stands(pdf: bytes, pages: list[str]) -> None:
    shown = re.sub(r"\s", "", TITLE).removesuffix("\N{GRINNING FACE}")  # which is a picture
    assert re.sub(r"\s", "", pages[0]).startswith(shown)
    about = PdfReader(io.BytesIO(pdf)).metadata
    assert about is not None
    assert about.title == f"{TITLE} – fictional data"
    assert not any("root:" in page for page in pages)


def test_the_article_says_that_the_demo_is_fiction_and_what_its_tables_are(pages: list[str]) -> None:
    assert "All data are fictional" in pages[0]
    assert "Fictional data." in pages[0]
    text = " ".join(pages)
    for heading in (
        "1 Introduction",
        "3 Agreement",
        "7 Challenges that engineers name",
        "9 Data availability",
        "References",
        "F Numbers",
    ):
        assert heading in text
    assert "??" not in text
    body = next(i for i, page in enumerate(pages) if page.startswith("A Agreement"))
    assert 4 <= body <= 8


def test_a_reader_that_sees_no_figure_is_told_what_it_shows(pdf: bytes, hostile: OpenStudy) -> None:
    reader = PdfReader(io.BytesIO(pdf))
    contents = b"".join(page.get_contents().get_data() for page in reader.pages if page.get_contents() is not None)
    told = [bytes.fromhex(code.decode()).decode("utf-16") for code in re.findall(rb"/Alt\s*<([0-9A-Fa-f]+)>", contents)]
    assert len(told) == len(hostile.figure_names)
    assert hostile.figure("figure-05").description in told
    assert reader.trailer["/Root"]["/Lang"] == "en"
    assert len(reader.outline) >= 10


def test_two_builds_in_two_places_with_other_settings_give_the_same_bytes(
    demo: OpenStudy,
    hostile: OpenStudy,
    files: dict[str, bytes],
    pdf: bytes,
    tmp_path: Path,
    redefect: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    write_folder(tmp_path / "here", files | {"article.pdf": pdf})
    elsewhere = tmp_path / "another place" / "paper"
    done = redefect(
        "paper", "--study", hostile.study.path, "--database", demo.study.database, "--folder", elsewhere,
        TZ="Pacific/Chatham", LC_ALL="tr_TR.UTF-8", PYTHONHASHSEED="7", SOURCE_DATE_EPOCH="1", TMPDIR=str(tmp_path),
    )  # fmt: skip
    assert f"open {elsewhere / 'article.pdf'}" in done.stdout
    assert (elsewhere / "SHA256SUMS").read_text() == (tmp_path / "here" / "SHA256SUMS").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["another place", "here", "root"]


def test_a_study_without_defects_makes_no_article(demo: OpenStudy) -> None:
    empty = OpenStudy(demo.study, Store(str(demo.study.database)))
    empty.defects = demo.defects.iloc[:0]
    with pytest.raises(RedefectError, match="Study 'demo' has no labelled defects yet"):
        paper(empty)
