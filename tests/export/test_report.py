"""What the report shows, and that nothing in it does what a stranger wrote. How it looks and acts is in tests/browser."""

import re
from pathlib import Path

import lxml.html
import pytest
from conftest import Run
from reports import ELSEWHERE, FORMULA, NUMBER, READABLE, SAFE, Told, tell

from pipeline.errors import RedefectError
from pipeline.export.report import notebook_page, report
from pipeline.export.tables import study_tables
from pipeline.models import shipped_model
from pipeline.openstudy import OpenStudy
from pipeline.store.session import Store
from pipeline.study import Reference

STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]|\\u001b|\\u009b")


@pytest.fixture(scope="module")
def pages(harmful: Told) -> dict[str, lxml.html.HtmlElement]:
    return {path.name: lxml.html.fromstring(path.read_bytes().decode()) for path in sorted(harmful.report.glob("*.html"))}


def rows(page: lxml.html.HtmlElement, place: str) -> list[list[str]]:
    return [[" ".join(cell.text_content().split()) for cell in row] for row in page.xpath(f"{place}//tbody/tr")]


def test_there_is_a_page_a_notebook_and_every_link_and_picture_leads_to_a_file(
    harmful: Told, pages: dict[str, lxml.html.HtmlElement]
) -> None:
    assert {f"{path.stem}.html" for path in harmful.notebooks.glob("*.ipynb")} < set(pages)
    for page in pages.values():
        for link in page.xpath("//@href | //@src"):
            if not link.startswith(("https://", "#")):
                assert (harmful.report / link).is_file(), link
            elif link.startswith("#"):
                assert page.get_element_by_id(link[1:]) is not None


def test_every_defect_has_a_row_that_links_to_its_issue_and_tells_its_labels(
    harmful: Told, pages: dict[str, lxml.html.HtmlElement]
) -> None:
    found = rows(pages["defects.html"], "//table")
    assert len(found) == len(harmful.study.defects)
    links = pages["defects.html"].xpath("//tbody//a")
    assert {link.get("href").partition("/issues/")[0] for link in links} == {
        f"https://github.com/{name}" for name in harmful.study.defects["repository"].unique() if name != ELSEWHERE
    }
    assert {link.get("rel") for link in links} == {"noopener noreferrer"}
    (row,) = [row for row in found if row[0] == f"{SAFE}#{NUMBER}"]
    assert row[1].startswith(READABLE)
    assert row[2:] == [
        harmful.study.taxonomy.facet(f.id).label(harmful.study.defects[f.id].iloc[0])
        for f in harmful.study.taxonomy.defect_facets
    ]


def test_the_overview_holds_the_findings_and_what_each_notebook_found(
    harmful: Told, pages: dict[str, lxml.html.HtmlElement]
) -> None:
    findings = rows(pages["index.html"], "//table")
    assert [row[0] for row in findings] == harmful.study.findings()["statement"].tolist()
    said = pages["index.html"].xpath("//section[h3/a[@href='90-harm.html']]//li")
    assert [item.text_content() for item in said][-1] == "The last word."
    assert "fictional" in pages["index.html"].text_content()


def test_headers_of_tables_say_what_they_head_and_pictures_what_they_show(pages: dict[str, lxml.html.HtmlElement]) -> None:
    for name, page in pages.items():
        assert page.xpath("//th[not(@scope)]") == [], name
        if name != "checklist.html":  # has narrow tables only
            assert page.xpath("//table[not(ancestor::*[@role='region'][@tabindex='0'])]") == [], name
        assert page.xpath("//img[not(normalize-space(@alt)) or @alt='a figure']") == [], name


def test_no_page_runs_or_loads_what_a_stranger_wrote_and_all_of_it_can_be_read(pages: dict[str, lxml.html.HtmlElement]) -> None:
    for name, page in pages.items():
        scripts = [script.get("src") for script in page.iter("script")]
        assert scripts == (["report.js"] if name == "defects.html" else []), name
        assert page.xpath("//iframe | //object | //embed | //svg | //@style | //@*[starts-with(name(), 'on')]") == [], name
        assert [link for link in page.xpath("//@href") if "javascript" in link.lower()] == [], name
        policy = page.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")
        own = "style-src 'unsafe-inline'" if name == "checklist.html" else "img-src 'self'; style-src 'self'; script-src 'self'"
        assert policy == [f"default-src 'none'; {own}"], name
    assert f"{READABLE} </title>" in pages["04-challenges.html"].text_content()
    for name in ("defects.html", "90-harm.html"):
        assert READABLE in pages[name].text_content()
        assert "<script>window.ran = 1; alert(1)</script>" in pages[name].text_content()
        assert FORMULA in pages[name].text_content()


def test_nothing_steers_a_terminal_and_no_name_of_a_person_is_told(harmful: Told) -> None:
    made = [*harmful.report.glob("*.html"), *harmful.notebooks.glob("*.ipynb")]
    assert made
    for path in made:
        text = path.read_text(encoding="utf-8")
        assert STEERING.search(text) is None, path
    for path in harmful.report.glob("*.html"):
        assert "@ada" not in path.read_text(encoding="utf-8"), path


def test_tables_for_papers_and_spreadsheets_hold_what_means_harm_as_text(harmful: Told) -> None:
    tables = study_tables(harmful.study)
    assert any(ELSEWHERE.encode() in table.to_bytes("csv").replace(b'""', b'"') for table in tables)
    for table in tables:
        data, paper = table.to_bytes("csv").decode(), table.to_bytes("latex").decode()
        assert STEERING.search(data.replace("\n", "")) is None
        assert STEERING.search(paper.replace("\n", "")) is None
        assert not re.search(r'(^|,)"?=cmd', data, re.MULTILINE), table.name
        assert r"\input" not in paper
        assert "<b>" not in paper


def test_a_report_is_the_same_bytes_again(harmful: Told) -> None:
    executed = {path.name: path.read_bytes() for path in sorted(harmful.notebooks.glob("*.ipynb"))}
    again = report(harmful.study, executed, shipped_model())
    there = {path.name: path.read_bytes() for path in harmful.report.iterdir() if path.name != "SHA256SUMS"}
    assert again == there


def test_the_first_page_is_small_and_none_is_large(harmful: Told) -> None:
    sizes = {path.name: path.stat().st_size for path in harmful.report.glob("*.html")}
    assert sizes["index.html"] < 500_000
    assert max(sizes.values()) < 1_500_000


def test_the_published_study_is_told_without_texts_and_no_notebook_warns(published: OpenStudy, tmp_path: Path) -> None:
    tell(published, tmp_path)
    for path in (tmp_path / "notebooks").glob("*.ipynb"):
        assert '"name": "stderr"' not in path.read_text(), path
    page = lxml.html.fromstring((tmp_path / "report" / "classifier.html").read_bytes().decode())
    assert "The store holds no texts of this study's issues" in page.text_content()
    assert len(rows(page, "//table")) == 7
    for path in (tmp_path / "report").glob("*.html"):
        assert path.stat().st_size < (500_000 if path.name == "index.html" else 1_500_000), path
        assert (
            lxml.html.fromstring(path.read_bytes().decode()).xpath("//img[not(normalize-space(@alt)) or @alt='a figure']") == []
        )


def test_a_study_of_another_taxonomy_than_the_models_says_so(harmful: Told) -> None:
    study = harmful.study.study.model_copy(update={"taxonomy": "humbatova2020", "reference": Reference()})
    study._path = harmful.study.study.path
    page = report(OpenStudy(study, Store(str(study.database))), {}, shipped_model())
    assert (
        "The model jiang2024 labels by another taxonomy than this study&#39;s, humbatova2020." in page["classifier.html"].decode()
    )
    assert "checklist.html" not in page


def test_defects_whose_titles_are_not_known_have_rows_too(harmful: Told, pages: dict[str, lxml.html.HtmlElement]) -> None:
    study = OpenStudy(harmful.study.study, Store(str(harmful.study.study.database)))
    study.defects.loc[0, "title"] = None
    page = lxml.html.fromstring(report(study, {}, shipped_model())["defects.html"].decode())
    assert rows(page, "//table")[0][1] == ""
    assert rows(page, "//table")[1:] == rows(pages["defects.html"], "//table")[1:]


def test_what_is_no_notebook_is_named() -> None:
    with pytest.raises(RedefectError, match=r"01-corpus\.ipynb: is no Jupyter notebook"):
        notebook_page("01-corpus.ipynb", b'{"cells": 1}')


def test_a_report_without_executed_notebooks_asks_for_them(redefect: Run) -> None:
    done = redefect("report", expect=1)
    assert "data/build/demo/notebooks: there is no such folder; run `redefect notebooks --study demo` first." in done.stderr
