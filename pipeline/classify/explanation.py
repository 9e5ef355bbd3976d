"""Why a thread was labelled as it was: the phrases that carried each prediction, as text and on a page.

What the model added up for a category is known feature by feature, and where each feature stands in the thread. Here it is
shared out to the words in these places, and words of weight that stand together make a phrase.
"""

import html
import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from operator import itemgetter
from typing import Any, Literal, NamedTuple, Protocol

from pipeline.classify.model_file import Classifier, Prediction
from pipeline.classify.text import Origin
from pipeline.thread import Thread

_MOST_PHRASES = 5
_MOST_WORDS = 8  # of a phrase
_LEAST_SHARE = 0.1
"""Of the heaviest word's weight, that a word must have to be part of a phrase."""

_WORD = re.compile(r"\w{1,60}(?:[._]\w{1,60}){0,4}|[^\w\s]")
_GLUE = re.compile(r"[ \t.,:;()\[\]'\"`=/_-]{0,3}")
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_COLOURS = ("#fde2a7", "#c7e9c0", "#c6dbef", "#dadaeb", "#fdd0c5", "#d9d9d9", "#cdeeea", "#f7d4e9")
_COLOUR_OF_SEVERAL = "#ffffb3"

_Where = Literal["title", "body"] | int
"""Which of a thread's texts: a number is a comment's position."""


class Contribution(Protocol):
    """What a feature of a thread adds at a place to the score of a category: what the facets' labeller tells of a prediction."""

    @property
    def place(self) -> tuple[Origin, int | None, int, int]:
        """Which of the thread's texts (see `pipeline.classify.text.Part`), start and end."""

    @property
    def weight(self) -> float:
        """How much; what speaks against the category is less than nothing."""


class Phrase(NamedTuple):
    """Words of a thread that speak for a category, with what they add to its score, and where they stand."""

    text: str
    weight: float
    origin: Origin
    comment: int | None
    start: int
    end: int


def explain(classifier: Classifier, thread: Thread, prediction: Prediction) -> dict[str, list[Phrase]]:
    """Return for each facet the phrases that carried its best guess."""
    document = classifier.read([thread])[0]
    return {
        facet: phrases(thread, classifier.facets.contributions(document, facet, guess.category))
        for facet, guess in prediction.facets.items()
    }


def phrases(thread: Thread, contributions: Iterable[Contribution], most: int = _MOST_PHRASES) -> list[Phrase]:
    """Return the phrases that carried a prediction, those that carried most first.

    What a feature adds at a place is shared out evenly among its words; what speaks against the category is set off against
    what speaks for it. A phrase that occurs several times is told once, by its first place.
    """
    texts = {where: _Words(_text(thread, where)) for where in _wheres(thread)}
    origins: dict[_Where, Origin] = {}
    for contribution in contributions:
        origin, comment, start, end = contribution.place
        where = _where(origin, comment)
        origins[where] = origin
        texts[where].add(start, end, contribution.weight)
    heaviest = max((weight for words in texts.values() for weight in words.weights.values()), default=0.0)
    found: dict[str, Phrase] = {}
    for where, words in texts.items():
        for start, end, weight in words.phrases(_LEAST_SHARE * heaviest) if heaviest > 0 else ():
            text = words.text[start:end]
            first = found.get(text.casefold())
            if first is None:
                comment = where if isinstance(where, int) else None
                found[text.casefold()] = Phrase(text, weight, origins[where], comment, start, end)
            else:
                found[text.casefold()] = first._replace(weight=first.weight + weight)
    return sorted(found.values(), key=lambda phrase: -phrase.weight)[:most]  # equals stay in reading order


class _Words:
    """The words of a text, and what each weighs."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.weights: dict[int, float] = defaultdict(float)

    @cached_property
    def _spans(self) -> list[tuple[int, int]]:
        return [found.span() for found in _WORD.finditer(self.text)]

    def add(self, start: int, end: int, weight: float) -> None:
        """Share a weight out among the words that are in a place, be it in part."""
        first = bisect_right(self._spans, start, key=itemgetter(1))
        last = bisect_left(self._spans, end, key=itemgetter(0))
        for word in range(first, last):
            self.weights[word] += weight / (last - first)

    def phrases(self, least: float) -> Iterator[tuple[int, int, float]]:
        """Yield where words of this weight at least stand together, and what they weigh."""
        group: list[int] = []
        for word in sorted(word for word, weight in self.weights.items() if weight >= least):
            if group and (len(group) == _MOST_WORDS or not self._touch(group[-1], word)):
                yield self._phrase(group)
                group = []
            group.append(word)
        if group:
            yield self._phrase(group)

    def _touch(self, word: int, following: int) -> bool:
        return _GLUE.fullmatch(self.text, self._spans[word][1], self._spans[following][0]) is not None

    def _phrase(self, group: list[int]) -> tuple[int, int, float]:
        return self._spans[group[0]][0], self._spans[group[-1]][1], sum(self.weights[word] for word in group)


def _wheres(thread: Thread) -> list[_Where]:
    return ["title", "body", *range(len(thread.comments or ()))]


def _where(origin: Origin, comment: int | None) -> _Where:
    return comment if comment is not None else "title" if origin == "title" else "body"


def _text(thread: Thread, where: _Where) -> str:
    if isinstance(where, int):
        return (thread.comments or ())[where].body
    return thread.title if where == "title" else thread.body or ""


def visible(text: str) -> str:
    """Put a sign in place of each character that steers a terminal or turns the reading direction; places stay as they are."""
    return _UNSEEN.sub(_REPLACEMENT, text.replace("\r", " "))  # which ends lines of texts that were written in a browser


def page(thread: Thread, prediction: Prediction, found: Mapping[str, Sequence[Phrase]], shown: Sequence[str]) -> str:
    """Return a page (HTML) with the thread's text, in which the phrases are marked that carried each facet's best guess.

    Everything that comes from the thread or the model is escaped, and the page loads and runs nothing.

    Parameters
    ----------
    found
        The phrases of each facet.
    shown
        The facets to show, in this order.
    """
    colours = {facet: _COLOURS[i % len(_COLOURS)] for i, facet in enumerate(shown)}
    marks: dict[_Where, list[tuple[int, int, str]]] = defaultdict(list)
    for facet in shown:
        for phrase in found.get(facet, ()):
            marks[_where(phrase.origin, phrase.comment)].append((phrase.start, phrase.end, facet))
    headings: dict[_Where, str] = {"title": "Title", "body": "Text"}
    sections = [
        f"<h2>{headings.get(where) or f'Comment {int(where) + 1}'}</h2>\n{_marked(_text(thread, where), marks[where], colours)}"
        for where in _wheres(thread)
    ]
    facets = "\n".join(_row(facet, prediction, found.get(facet, ()), colours[facet]) for facet in shown)
    gate = ", ".join(f"{_escaped(name)} {probability:.2f}" for name, probability in prediction.gate.items())
    return _PAGE.format(title=_escaped(thread.title), gate=gate, facets=facets, sections="\n".join(sections))


def _row(facet: str, prediction: Prediction, found: Sequence[Phrase], colour: str) -> str:
    guess = prediction.facets[facet]
    sure = "not sure enough to say" if guess.abstained else ""
    quoted = ", ".join(f"<q>{_escaped(p.text)}</q>" for p in found)
    return (
        f'<tr><th style="background: {colour}">{_escaped(facet)}</th><td>{_escaped(guess.category)}</td>'
        f'<td>{guess.probability:.2f}</td><td>{sure}</td><td dir="auto">{quoted}</td></tr>'
    )


def stretches(length: int, marks: Sequence[tuple[int, int, str]]) -> Iterator[tuple[int, int, list[str]]]:
    """Yield the start and end of each stretch of a text, and the facets for which it is marked, in the marks' order."""
    edges = sorted({0, length, *(edge for start, end, _ in marks for edge in (start, end))})
    for start, end in pairwise(edges):
        yield start, end, list(dict.fromkeys(facet for begin, stop, facet in marks if begin <= start and end <= stop))


def _marked(text: str, marks: Sequence[tuple[int, int, str]], colours: Mapping[str, str]) -> str:
    """Return a text by displaCy, each stretch that carried something marked with the names of the facets."""
    from spacy import displacy

    spans: list[dict[str, Any]] = []
    for start, end, facets in stretches(len(text), marks):
        if facets:
            names = ", ".join(sorted(facets, key=list(colours).index))
            colour = colours[facets[0]] if len(facets) == 1 else _COLOUR_OF_SEVERAL
            spans.append({"start": start, "end": end, "label": _escaped(names), "params": {"bg": colour}})
    options = {"template": _MARK}
    parsed = {"text": visible(text), "ents": spans, "title": None}
    return displacy.render(parsed, style="ent", manual=True, page=False, jupyter=False, options=options)


def _escaped(text: str) -> str:
    return html.escape(visible(text))


_MARK = '<mark class="entity" style="background: {bg}">{text}<small>{label}</small></mark>'

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
th, td {{ text-align: left; padding: .2rem .8rem .2rem .4rem; vertical-align: top; }}
.entities {{ white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: plaintext; }}
mark {{ padding: .1em .2em; border-radius: .3em; }}
mark small {{ font-weight: bold; margin-left: .4em; }}
</style>
</head>
<body>
<h1 dir="auto">{title}</h1>
<p>{gate}</p>
<table>
<tr><th>facet</th><th>best guess</th><th>probability</th><th></th><th>carried by</th></tr>
{facets}
</table>
{sections}
</body>
</html>
"""


def to_dict(prediction: Prediction, found: Mapping[str, Sequence[Phrase]]) -> dict[str, Any]:
    """Return a prediction as JSON's types, each facet with the phrases that carried it."""
    value = prediction.to_dict()
    for facet, of in value["facets"].items():
        of["phrases"] = [phrase._asdict() | {"weight": round(phrase.weight, 4)} for phrase in found.get(facet, ())]
    return value
