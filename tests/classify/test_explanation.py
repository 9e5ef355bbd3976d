import re
from html.parser import HTMLParser

import pytest
import standins
from standins import Contribution

from pipeline.classify.explanation import Phrase, explain, page, phrases, to_dict, visible
from pipeline.classify.model_file import FacetPrediction, Prediction
from pipeline.classify.text import Origin
from pipeline.thread import Comment, Thread


def thread(title: str = "", body: str | None = None, *comments: str) -> Thread:
    return Thread(repository="a/b", number=1, title=title, body=body, comments=tuple(Comment(body=c) for c in comments))


def at(text: str, words: str, weight: float, origin: Origin = "body", comment: int | None = None) -> list[Contribution]:
    return [Contribution((origin, comment, *found.span()), weight) for found in re.finditer(re.escape(words), text)]


def test_words_of_weight_that_stand_together_make_a_phrase() -> None:
    body = "At the third epoch the loss becomes NaN, as ever."
    evidence = [
        *at(body, "loss", 1.0),
        *at(body, "loss becomes", 2.0),
        *at(body, "NaN", 3.0),
        *at(body, "epoch", 0.5),
        *at(body, "At", 0.1),
    ]
    start = body.index("loss")
    assert phrases(thread("", body), evidence) == [
        Phrase("loss becomes NaN", 6.0, "body", None, start, start + 16),
        Phrase("epoch", 0.5, "body", None, body.index("epoch"), body.index("epoch") + 5),
    ]


def test_a_place_within_a_word_weighs_for_the_word() -> None:
    body = "torch.cuda.is_available() says no"
    assert [p.text for p in phrases(thread("", body), at(body, "cuda", 1.0))] == ["torch.cuda.is_available"]


def test_what_speaks_against_is_set_off_and_alone_is_no_phrase() -> None:
    body = "slow and wrong"
    evidence = [*at(body, "slow", 1.0), *at(body, "slow", -1.5), *at(body, "wrong", -2.0)]
    assert phrases(thread("", body), evidence) == []
    assert phrases(thread("", body), []) == []


def test_a_phrase_that_recurs_is_told_once_with_all_its_weight() -> None:
    issue = thread("Hangs forever", "It hangs.", "hangs", "It does")
    found = [*at("Hangs forever", "Hangs", 1.0, "title"), *at("It hangs.", "hangs", 1.0), *at("hangs", "hangs", 1.0, "answer", 0)]
    assert phrases(issue, found) == [Phrase("Hangs", 3.0, "title", None, 0, 5)]


def test_phrases_end_with_their_line_and_after_some_words() -> None:
    body = "one\ntwo " + "again and " * 30
    evidence = [Contribution(("body", None, 0, len(body)), 1.0)]
    found = phrases(thread("", body), evidence, most=100)
    assert all("\n" not in p.text and len(p.text.split()) <= 8 for p in found)
    assert all(body[p.start : p.end] == p.text for p in found)


def test_no_more_phrases_than_asked_for_the_heaviest_first() -> None:
    body = ", 1 ; ".join("abcdefgh")
    evidence = [c for weight, letter in enumerate("abcdefgh", start=10) for c in at(body, letter, weight)]
    assert [p.text for p in phrases(thread("", body), evidence, most=3)] == ["h", "g", "f"]


def test_a_mark_without_words_can_carry_something() -> None:
    assert [p.text for p in phrases(thread("Why?"), at("Why?", "?", 1.0, "title"))] == ["?"]


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</title></style></body><script>1</script>",
    "{facets} {0} %s ${x} {{ 7 * 7 }}",
    "&lt;b&gt; &#x202e; &amp;",
    "\u202egnp.exe\u202c \u2066x\u2069 שלום עולם مرحبا",
    "NUL\0 bell\a escape\x1b[31m red \x9b1m",
    "'onmouseover='alert(1)",
    "``` \n<!-- --> <![CDATA[ ]]>",
]


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def prediction(category: str = "training", facet: str = "stage") -> Prediction:
    guess = FacetPrediction(category, 0.7, False, {category: 0.7, "modeling": 0.3})
    return Prediction("a/b", 1, {"defect": 0.9, "question": 0.1, "feature": 0.0}, {facet: guess})


@pytest.mark.parametrize("text", HOSTILE)
def test_a_page_runs_and_loads_nothing_whatever_stands_in_a_thread(text: str) -> None:
    issue = thread(text, text, text)
    middle = len(issue.title) // 2
    marks = [Phrase(issue.title[:middle], 1.0, o, c, 0, middle) for o, c in (("title", None), ("body", None), ("answer", 0))]  # type: ignore[list-item]
    written = page(issue, prediction(text, text), {text: marks}, [text])
    read = Page()
    read.feed(written)
    assert {tag for tag, _ in read.tags} <= {
        "html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "table", "tr", "th", "td", "q", "div", "mark", "small",
        "br",
    }  # fmt: skip
    assert not {name for _, attributes in read.tags for name in attributes if name.startswith(("on", "src", "href"))}
    policy = next(a["content"] for _, a in read.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"
    assert "http:" not in written
    assert "https:" not in written
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", written)


def test_a_page_holds_the_whole_text_and_marks_each_phrase_with_its_facets() -> None:
    body = "Out of memory & <pain>\n  in line 2"
    issue = thread("OOM", body, "me too")
    guess = FacetPrediction("x", 0.5, True, {"x": 0.5, "y": 0.5})
    both = Prediction("a/b", 1, {"defect": 1.0, "question": 0.0, "feature": 0.0}, {"stage": guess, "symptom": guess})
    found = {
        "stage": [Phrase("Out of memory", 2.0, "body", None, 0, 13)],
        "symptom": [Phrase("memory", 1.0, "body", None, 7, 13), Phrase("too", 1.0, "comment", 0, 3, 6)],
    }
    written = page(issue, both, found, ["stage", "symptom"])
    marks = re.findall(r"<mark[^>]*>(.*?)<small>(.*?)</small></mark>", written)
    assert marks == [("Out of ", "stage"), ("memory", "stage, symptom"), ("too", "symptom")]
    assert "&amp; &lt;pain&gt;<br>  in line 2" in written
    assert "not sure enough to say" in written


def test_lines_that_were_written_in_a_browser_look_like_others() -> None:
    issue = thread("T", "one\r\ntwo\r\n")
    assert "one <br>two <br>" in page(issue, prediction(), {}, [])
    assert "\N{REPLACEMENT CHARACTER}" not in page(issue, prediction(), {}, [])


def test_a_long_text_makes_a_page_too() -> None:
    body = "<b>word</b> & \u202e " * 12_000
    evidence = at(body, "word", 1.0)
    issue = thread("Long", body)
    found = phrases(issue, evidence)
    assert [p.text for p in found] == ["word"]
    assert len(page(issue, prediction(), {"stage": found}, ["stage"])) > 200_000


def test_what_steers_a_terminal_is_shown_as_a_sign_in_its_place() -> None:
    assert visible("a\x1b[31mb\u202ec\td\n") == "a\N{REPLACEMENT CHARACTER}[31mb\N{REPLACEMENT CHARACTER}c\td\n"


def test_a_prediction_is_explained_by_what_the_labeller_added_up() -> None:
    issue = standins.demo_threads()[0]
    classifier = standins.demo_classifier()
    guess = classifier.predict([issue])[0]
    found = explain(classifier, issue, guess)
    assert list(found) == list(guess.facets)
    texts = {"title": issue.title, "body": issue.body or ""}
    for these in found.values():
        assert these == sorted(these, key=lambda phrase: -phrase.weight)
        for phrase in these:
            text = texts.get(phrase.origin) or (issue.comments or ())[phrase.comment or 0].body
            assert text[phrase.start : phrase.end] == phrase.text
    value = to_dict(guess, found)
    assert [p["text"] for p in value["facets"]["stage"]["phrases"]] == [p.text for p in found["stage"]]
    written = page(issue, guess, found, list(guess.facets))
    assert all(f">{facet}<" in written for facet in guess.facets)
