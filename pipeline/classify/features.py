"""What models read in a document: terms by block. Where a term stands can be asked, so that a prediction can be explained."""

import re
from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise
from string import ascii_lowercase
from typing import NamedTuple

from pipeline.classify.lexicon import Hit, Lexicon
from pipeline.classify.parts import Kind
from pipeline.classify.text import Document, Origin

_WORD = re.compile(r"\w+|[?!]")
_BEGINS_NAME = frozenset(ascii_lowercase + "_")
MOST_CHARACTERS = 6_000
"""Of the body, and of all comments, that models need (`read_document`): what a thread is about stands in its beginning."""

_MOST: dict[Origin, int] = {"title": 1_000, "body": 4_000, "comment": MOST_CHARACTERS, "answer": MOST_CHARACTERS}
"""Characters whose words are read."""

_WRITTEN: tuple[Kind, ...] = ("prose", "traceback")
_OWN: tuple[Kind, ...] = ("prose", "code", "traceback", "log", "versions")
"""Not quotes and boilerplate, which are other people's words."""

_OPENING: tuple[Origin, ...] = ("title", "body")
_COMMENTS: tuple[Origin, ...] = ("comment", "answer")


class Blocks(NamedTuple):
    """A document's terms by block.

    Attributes
    ----------
    opening
        Words of title and body, and pairs of neighbours, of prose and tracebacks.
    comments
        Words of the comments.
    signals
        Exceptions, APIs, versions and so on that title and body name (`pipeline.classify.signals`).
    rules
        The written rules that hit (`pipeline.classify.lexicon`).
    opening_words, comment_words
        What may have a vector (`pipeline.classify.vectors`): words of title and body, of code and logs, too; of the comments.
    """

    opening: Sequence[str]
    comments: Sequence[str]
    signals: Sequence[str]
    rules: Sequence[str]
    opening_words: Sequence[str]
    comment_words: Sequence[str]


class Place(NamedTuple):
    """Where a term stands: see `pipeline.classify.text.Part`."""

    origin: Origin
    comment: int | None
    start: int
    end: int


def blocks(document: Document, lexicon: Lexicon | None) -> Blocks:
    """Return the terms of a document."""
    read: dict[tuple[int, int], list[str]] = {}
    written = [words for _, words in _words(document, _OPENING, _WRITTEN, read)]
    opening = [word for _, words in _words(document, _OPENING, _OWN, read) for word in words]
    comments = [word for _, words in _words(document, _COMMENTS, _OWN) for word in words]
    return Blocks(
        opening=[term for words in written for term in (*words, *map(" ".join, pairwise(words)))],
        comments=comments,
        signals=document.names(origins=_OPENING),
        rules=lexicon.rules_that_hit(document) if lexicon else [],
        opening_words=with_vectors(opening),
        comment_words=with_vectors(comments),
    )


def places(document: Document, lexicon: Lexicon | None) -> Iterator[tuple[str, str, Place]]:
    """Yield block, term and place of all terms of a document."""
    for kinds, block in ((_WRITTEN, "opening"), (_OWN, "opening_words")):
        for place, words in _word_places(document, _OPENING, kinds):
            yield from ((block, word, at) for word, at in zip(words, place, strict=True))
            if block == "opening":
                for (first, begin), (second, end) in pairwise(zip(words, place, strict=True)):
                    yield block, f"{first} {second}", begin._replace(end=end.end)
    for place, words in _word_places(document, _COMMENTS, _OWN):
        for word, at in zip(words, place, strict=True):
            yield "comments", word, at
            yield "comment_words", word, at
    for signal in document.signals:
        if signal.origin in _OPENING:
            yield "signals", signal.name, Place(*signal[1:])
    for hit in lexicon.hits(document) if lexicon else ():
        yield "rules", hit.rule, _place(hit)


def vector_words(text: str) -> list[str]:
    """Return the words of a text that may have a vector."""
    return with_vectors(_WORD.findall(_lower(text)))


def with_vectors(words: Collection[str]) -> list[str]:
    """Keep of a text's words those that may have a vector: names and words, no numbers."""
    return [word for word in words if len(word) > 1 and word[0] in _BEGINS_NAME]


def _words(
    document: Document,
    origins: Collection[Origin],
    kinds: Collection[Kind],
    read: dict[tuple[int, int], list[str]] | None = None,
) -> Iterator[tuple[int, list[str]]]:
    """Yield the words of each part, with where the part stands among the document's; `read` keeps them for another time."""
    read = {} if read is None else read
    left = {origin: _MOST[origin] for origin in origins}
    for number, part in enumerate(document.parts):
        if part.origin in origins and part.kind in kinds and left[part.origin] > 0:
            text = part.text[: left[part.origin]]
            key = number, len(text)
            if key not in read:
                read[key] = _WORD.findall(_lower(text))
            yield number, read[key]
            left[part.origin] -= len(part.text)


def _word_places(
    document: Document, origins: Collection[Origin], kinds: Collection[Kind]
) -> Iterator[tuple[list[Place], list[str]]]:
    """Yield the places of each part's words, and the words."""
    for number, words in _words(document, origins, kinds):
        part = document.parts[number]
        found = _WORD.finditer(_lower(part.text))
        yield (
            [
                Place(part.origin, part.comment, part.start + match.start(), part.start + match.end())
                for match, _ in zip(found, words, strict=False)
            ],
            words,
        )


def _place(hit: Hit) -> Place:
    return Place(hit.origin, hit.comment, hit.start, hit.end)


def _lower(text: str) -> str:
    """Lower a text without changing its length, so that places stay right."""
    lower = text.lower()
    return lower if len(lower) == len(text) else "".join(low if len(low := letter.lower()) == 1 else letter for letter in text)
