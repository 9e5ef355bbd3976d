from collections.abc import Sequence
from pathlib import Path

import pytest
from conftest import CHECKOUT, Run
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import html
from markdown_it import MarkdownIt

from pipeline.analyze.checklist import Checklist, Count, Example, Item, Phase
from pipeline.export.checklist import checklist_files
from pipeline.export.threads import Pseudonyms
from pipeline.openstudy import OpenStudy
from pipeline.study import Study, read_study
from pipeline.taxonomy import read_taxonomy

TAXONOMY = read_taxonomy(CHECKOUT / "taxonomy" / "jiang2024.yaml")
DEMO = read_study(CHECKOUT / "data" / "studies" / "demo.toml")
HOSTILE = [
    "<script>alert(1)</script>", "[x](javascript:alert(1))", "![x](https://evil.example/x.png)", "`code` **bold** _it_ ~~no~~",
    r"$\input{/etc/passwd}$", "\x1b[31mred\x1b[0m \x9b2J \u202egnp", "| a | b |", "https://evil.example www.evil.example",
    "<https://evil.example>", "&lt;img src=x onerror=alert(1)&gt;", "- [x] done", "# head", "]]>--><b>", "{{ 7 * 7 }}{% raw %}",
]  # fmt: skip


def with_example(example: Example) -> Checklist:
    phase, cause = TAXONOMY.facet("stage").values[0], TAXONOMY.facet("root-cause").values[0]
    item = Item(phase, cause, None, Count(3, 3), 1, (), (), (), (example,))
    return Checklist((Phase(phase, Count(3, 3), (item,), (), (), 0),), 3, 3, 1, 0)


def written(checklist: Checklist, study: Study = DEMO, people: Sequence[str] = ()) -> tuple[str, str]:
    files = checklist_files(checklist, study, TAXONOMY, Pseudonyms(people))
    return files["checklist.html"].decode(), files["checklist.md"].decode()


def shown(page: str, markdown: str) -> tuple[html.HtmlElement, html.HtmlElement]:
    """Return what a browser and GitHub make of the two forms."""
    rendered = MarkdownIt("gfm-like", {"linkify": False, "html": True}).render(markdown)
    return html.document_fromstring(page), html.document_fromstring(rendered)


def text_of(tree: html.HtmlElement) -> str:
    return " ".join(tree.xpath("string(//body)").split())


def links(tree: html.HtmlElement) -> list[str]:
    return [link.get("href") for link in tree.iter("a") if not link.get("href").startswith("#")]


def test_a_check_a_box_in_both_forms(demo: OpenStudy) -> None:
    checklist = demo.checklist()
    page, markdown = written(checklist, demo.study, demo.people)
    items = [item for phase in checklist.phases for item in phase.items]
    boxes = html.document_fromstring(page).xpath("//label[input[@type='checkbox']]/span/text()")
    assert boxes == [item.check for item in items]
    assert [line[8:-2] for line in markdown.splitlines() if line.startswith("- [ ] **")] == boxes


def test_both_forms_say_the_same(demo: OpenStudy) -> None:
    checklist = demo.checklist()
    page, markdown = shown(*written(checklist, demo.study, demo.people))
    assert links(page) == links(markdown)
    for tree in (page, markdown):
        text = text_of(tree)
        for phase in checklist.phases:
            assert str(phase.count) in text
            for item in phase.items:
                assert str(item.count) in text
                for counted in (*item.symptoms, *item.mistakes):
                    assert f"{counted.category.label} " in text
                    assert str(counted.count) in text
                    assert counted.category.definition in text
        assert "Only defects that somebody reported are counted" in text


def test_issues_and_what_fixed_them_are_links_to_github() -> None:
    example = Example("o/n", 12, "It fails", "o/n@3f2a91c0000000000000000000000000000000ff")
    for tree in shown(*written(with_example(example))):
        assert links(tree) == [
            "https://github.com/o/n/issues/12",
            "https://github.com/o/n/commit/3f2a91c0000000000000000000000000000000ff",
            TAXONOMY.source.url,
        ]
        assert "o/n#12: It fails (closed by commit 3f2a91c)" in text_of(tree)


def test_a_fictional_study_says_so_before_anything_else(demo: OpenStudy) -> None:
    for text in map(text_of, shown(*written(demo.checklist(), demo.study))):
        assert "Fictional data" in text
        assert text.index("Fictional data") < text.index("Before you re-use") < text.index("Where the defects lie")


def test_a_real_study_does_not_and_says_which_issues_it_drew(published: OpenStudy) -> None:
    for text in map(text_of, shown(*written(published.checklist(), published.study))):
        assert "Fictional" not in text
        assert "By 348 defects in 334 issues of 27 repositories" in text
        assert "Issues were drawn that are closed, with a known fix, with 10 comments or more." in text
        assert "the store does not know it, until redefect collect --study cv-reengineering --labelled has fetched them" in text


def check_harmless(page: str, markdown: str, text: str) -> None:
    said = " ".join(text.split())
    trees = shown(page, markdown)
    for tree in trees:
        assert not {"script", "img", "iframe", "svg", "object", "b"} & {element.tag for element in tree.iter()}
        assert all(link.startswith(("https://github.com/", TAXONOMY.source.url)) for link in links(tree))
        assert said in text_of(tree)
    assert "\x1b" not in page + markdown


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_a_stranger_wrote_becomes_mark_up(text: str) -> None:
    visible = "".join(c if c.isprintable() or c == " " else "\N{REPLACEMENT CHARACTER}" for c in text)
    check_harmless(*written(with_example(Example("o/n", 1, text, None))), visible)
    check_harmless(*written(with_example(Example(text, 1, None, f"{text}#1"))), f"{visible}#1")


@settings(max_examples=50)
@given(st.text(st.sampled_from("\\`*_[]()<>|#~$&;:/.-+=!1a \"'{}%@"), max_size=60))
def test_any_title_of_special_characters_is_shown_as_it_is(title: str) -> None:
    check_harmless(*written(with_example(Example("o/n", 1, title, None))), title)


def test_titles_are_short_and_name_nobody() -> None:
    page, markdown = written(with_example(Example("o/n", 1, f"@ann, it {'fails ' * 50}", None)), people=["bob", "Ann"])
    for text in (page, markdown):
        assert "@person-2, it fails" in text
        assert "@ann" not in text
        assert text.count("fails") < 20


def test_the_page_loads_and_runs_nothing(demo: OpenStudy) -> None:
    tree = html.document_fromstring(written(demo.checklist(), demo.study)[0])
    assert tree.get("lang") == "en"
    assert tree.xpath("//meta[@http-equiv='Content-Security-Policy']/@content") == [
        "default-src 'none'; style-src 'unsafe-inline'"
    ]
    assert tree.xpath("//@src | //link/@href | //script") == []
    targets = {link[1:] for link in tree.xpath("//a/@href") if link.startswith("#")}
    assert targets <= set(tree.xpath("//@id"))
    assert len(tree.xpath("//@id")) == len(set(tree.xpath("//@id")))


def test_the_command_writes_the_same_bytes_each_time(redefect: Run, demo: OpenStudy, tmp_path: Path) -> None:
    done = redefect("checklist", "--database", demo.study.database, "--folder", tmp_path / "one")
    assert done.stdout.endswith("one: checklist.html, checklist.md\n")
    here = checklist_files(demo.checklist(), demo.study, demo.taxonomy, Pseudonyms(demo.people))
    assert {path.name: path.read_bytes() for path in (tmp_path / "one").glob("checklist.*")} == here
