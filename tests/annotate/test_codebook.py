import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pipeline.annotate.codebook import Codebook, examples
from pipeline.facts import IssueReference
from pipeline.study import Verdict
from pipeline.taxonomy import Category, Facet, Source, Taxonomy, read_taxonomy

FOLDER = Path(__file__).parent.parent.parent / "taxonomy"
FILES = [path for path in sorted(FOLDER.glob("*.yaml")) if path.name != "challenges.yaml"]  # which is a code book for interviews
JIANG = read_taxonomy(FOLDER / "jiang2024.yaml")
FINAL = Verdict(annotator="judge", round="final")


class Page(HTMLParser):
    """What a browser makes of a page: its tags, and its text with one space for each run of white space."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self._texts: list[str] = []
        self._in_cell = False
        self.feed(page)
        self.close()
        self.text = " ".join("".join(self._texts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        self._in_cell &= tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        self._texts.append(data)
        if self._in_cell:
            self.rows[-1][-1] += data

    @property
    def links(self) -> list[str]:
        return [str(attributes["href"]) for tag, attributes in self.tags if tag == "a"]


def as_github_shows(markdown: str) -> Page:
    return Page(MarkdownIt("gfm-like", {"linkify": False, "html": True}).render(markdown))


def taxonomy_of(text: str) -> Taxonomy:
    category = Category(id="a", label=f"A {text}", definition=text, variants=[f"{text} x"] if text.strip() else [], parent="g")
    group = Category(id="g", label=f"G {text}", definition=text, group=True)
    old = Category(id="old", label=f"Old {text}", definition=text, published_only=True)
    facet = Facet(
        id="f", title=text, question=text, source=text, rules=[text, f"{text}{text}"], categories=[group, category, old]
    )
    of_issue = Facet(
        id="gate", title=text, question=text, source=text, level="issue",
        categories=[Category(id="no", label=f"No {text}", definition=text, final=True)],
    )  # fmt: skip
    return Taxonomy(id=text, title=text, source=Source(citation=text, url=text), rules=[text], facets=[of_issue, facet])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_word_of_a_taxonomy_file_that_annotators_need_is_in_both_forms(path: Path) -> None:
    taxonomy = read_taxonomy(path)
    book = Codebook(taxonomy)
    for page in (Page(book.to_html()), as_github_shows(book.to_markdown())):
        for text in (taxonomy.title, taxonomy.source.citation, taxonomy.source.url, *taxonomy.rules):
            assert text in page.text
        for facet in taxonomy.facets:
            for text in (facet.title, facet.question, facet.source, *facet.rules):
                assert text in page.text
            for category in facet.choices:
                rows = [r for r in page.rows if r[:2] == [f"{category.label} {category.id}", category.definition]]
                assert any("; ".join(category.variants) in [*row, ""] for row in rows)
            for category in facet.categories:
                assert category.label in page.text
                assert category.definition in page.text


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_both_forms_say_the_same(path: Path) -> None:
    book = Codebook(read_taxonomy(path), {("stage", "training"): [IssueReference("a/b", 1)]})
    body = book.to_html().partition("<body>")[2].partition("</body>")[0]
    assert Page(body).text == as_github_shows(book.to_markdown()).text


def test_the_order_of_decisions_is_told_issue_first_with_what_ends_it_and_what_narrows() -> None:
    text = Page(Codebook(JIANG).to_html()).text
    order = text[text.index("What to decide") : text.index("1. Reengineering defect")]
    places = [order.index(facet.question) for facet in [*JIANG.issue_facets, *JIANG.defect_facets]]
    assert places == sorted(places)
    assert "The answer No reengineering defect ends the issue" in order
    assert "Look first in the group named like the answer to Stage." in order


def test_what_only_published_tables_use_stands_apart_and_in_no_table_of_choices() -> None:
    page = Page(Codebook(JIANG).to_html())
    assert "Not to be chosen, although published data have them: Low frequency type low-frequency-type:" in page.text
    assert not [row for row in page.rows if "low-frequency-type" in row[0] or "syntax-error" in row[0]]


def test_categories_stand_under_the_groups_that_hold_them() -> None:
    text = Page(Codebook(read_taxonomy(FILES[0].with_name("humbatova2020.yaml"))).to_html()).text
    group = text[text.index("Model / Layers Faults in single layers.") : text.index("Training Faults in everything")]
    assert "layer-properties" in group
    assert "activation-function" in group
    assert "loss-function" not in group
    assert "gpu-usage" in text[text.index("In no group") :]


HOSTILE = [
    "<script>alert(1)</script>",
    "a | b || \\| c \\",
    "`code` ``` *x* **y** __z__ ~~s~~ _u_",
    "[click](javascript:alert(1)) ![i](http://evil.example/x.png) <https://evil.example> [r]: http://evil.example",
    "https://evil.example www.evil.example me@evil.example",
    "# heading # ## | --- | --- |",
    "1. one\n2. two\n\n- three\n+ four\n> five\n    code\n---\n===",
    "&lt;b&gt; &amp; &#124; & &copy",
    "{{ 7 * 7 }} {% raw %} {0} %s $x$",
    "</style></title><!-- --> <![CDATA[ ]]>",
    '" onmouseover="alert(1)',
    "\\",
]


def check_harmless(text: str) -> None:
    book = Codebook(taxonomy_of(text), {("f", "a"): [IssueReference("o/n)(<|`x", 7)]})
    shown = " ".join(text.replace("\0", "\N{REPLACEMENT CHARACTER}").split())
    for page in (Page(book.to_html().partition("<body>")[2]), as_github_shows(book.to_markdown())):
        assert {tag for tag, _ in page.tags} <= {
            "h1", "h2", "h3", "p", "ul", "ol", "li", "strong", "code", "a", "table", "thead", "tbody", "tr", "th", "td",
        }  # fmt: skip
        assert page.links == ["https://github.com/o/n%29%28%3C%7C%60x/issues/7"]
        heads = ["Category", "Meaning", *(["Other spellings"] if shown else []), "Examples"]
        assert heads in page.rows
        row = page.rows[-1]
        assert len(row) == len(heads)
        assert row[1] == shown
        assert row[-1] == "o/n)(<|`x#7"
        assert page.text.count(shown) >= 15


@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_stands_in_a_taxonomy_is_shown_and_is_no_mark_up(text: str) -> None:
    check_harmless(text)


@given(st.text(st.sampled_from("\\`*_[]()<>|#~$&;:/.-+=!1a \n\t\"'{}")))
def test_any_text_of_markdown_s_own_characters_is_shown_as_it_is(text: str) -> None:
    check_harmless(text)


def test_the_page_runs_and_loads_nothing() -> None:
    html = Codebook(taxonomy_of("<script src=//evil.example></script>")).to_html()
    page = Page(html)
    policy = next(a["content"] for _, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"
    assert not {"script", "img", "link", "iframe"} & {tag for tag, _ in page.tags}


def test_links_lead_to_github_and_to_the_taxonomy_s_source_alone() -> None:
    book = Codebook(JIANG, {("stage", "training"): [IssueReference("a/b", 1), IssueReference("c/d", 2)]})
    assert Page(book.to_html()).links == [
        JIANG.source.url,
        "https://github.com/a/b/issues/1",
        "https://github.com/c/d/issues/2",
    ]


@pytest.mark.parametrize("url", ["javascript:alert(1)", "http://x.example", "https://x.example/ y", "https://x>y", "data:,x"])
def test_a_source_that_is_no_address_of_a_page_is_no_link(url: str) -> None:
    taxonomy = JIANG.model_copy(update={"source": Source(citation="c", url=url)})
    assert Page(Codebook(taxonomy).to_html()).links == []


def labels(*rows: tuple[str, int, str, str]) -> pd.DataFrame:
    """Label the stage of first defects: repository, number, category, annotator (the judge in the final round)."""
    frame = pd.DataFrame(rows, columns=["repository", "number", "category", "annotator"])
    rounds = ["final" if annotator == "judge" else "first" for annotator in frame["annotator"]]
    return frame.assign(defect=1, facet="stage", round=rounds)


def test_examples_are_issues_whose_annotators_agreed_before_others() -> None:
    said = labels(
        ("o/a", 1, "training", "judge"), ("o/a", 1, "training", "x"), ("o/a", 1, "modeling", "y"),
        ("o/b", 2, "training", "judge"),
        ("o/c", 3, "training", "judge"), ("o/c", 3, "training", "x"), ("o/c", 3, "training", "y"),
        ("o/d", 4, "modeling", "judge"), ("o/d", 4, "training", "x"),
    )  # fmt: skip
    assert examples(said, FINAL) == {
        ("stage", "training"): [IssueReference("o/c", 3), IssueReference("o/b", 2)],
        ("stage", "modeling"): [IssueReference("o/d", 4)],
    }


def test_examples_are_of_different_repositories_where_these_are_as_clear() -> None:
    said = labels(*((f"o/{'a' if n < 50 else 'b'}", n, "training", who) for n in range(51) for who in ("judge", "x", "y")))
    chosen = examples(said, FINAL)["stage", "training"]
    assert {issue.repository for issue in chosen} == {"o/a", "o/b"}
    assert len(chosen) == 2


@given(st.permutations(range(12)))
def test_examples_do_not_depend_on_the_order_of_labels(order: list[int]) -> None:
    said = labels(*(("o/a", n // 2, "training", "judge" if n % 2 else "x") for n in range(12)))
    assert examples(said.iloc[order], FINAL) == examples(said, FINAL)


def test_a_study_without_labels_has_a_codebook_without_examples() -> None:
    none = examples(labels(), FINAL)
    assert none == {}
    assert "Examples" not in Codebook(JIANG, none).to_markdown()


def test_an_example_of_what_may_not_be_chosen_is_not_shown() -> None:
    book = Codebook(JIANG, {("symptom", "low-frequency-type"): [IssueReference("a/b", 1)]})
    assert "a/b" not in book.to_markdown()


def test_the_same_taxonomy_and_examples_give_the_same_text() -> None:
    said = labels(*(("o/a", n, "training", "judge") for n in range(9)))
    assert Codebook(JIANG, examples(said, FINAL)).to_html() == Codebook(JIANG, examples(said, FINAL)).to_html()
    assert not re.search(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", Codebook(JIANG).to_markdown())
