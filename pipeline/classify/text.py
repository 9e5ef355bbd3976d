"""A thread as models read it: its parts by kind and origin, and the signals in them, each with its place."""

import sys
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, NamedTuple

from pipeline.classify.habits import NO_HABITS, Habits
from pipeline.classify.parts import KINDS, Kind, Span, split
from pipeline.classify.signals import SIGNAL_KINDS, Mention, SignalKind, find
from pipeline.thread import Thread

Origin = Literal["title", "body", "comment", "answer"]
ORIGINS: tuple[Origin, ...] = ("title", "body", "comment", "answer")
"""`answer` is a comment by someone who answers many threads of the repository; who is unknown comments."""

_OTHERS_WORDS: tuple[Kind, ...] = ("quote", "boilerplate")
_FULL_OF_NUMBERS: tuple[Kind, ...] = ("code", "traceback")


class Part(NamedTuple):
    """A stretch of a thread's text. Named tuples, since a corpus makes millions of them.

    `comment` is the position in the thread's comments, None in title and body; `start` and `end` are places in that text.
    """

    kind: Kind
    origin: Origin
    comment: int | None
    start: int
    end: int
    text: str


class Signal(NamedTuple):
    """What a text names, by its normalised name, at its first place in that text; see `Part`."""

    name: str
    origin: Origin
    comment: int | None
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Document:
    """A thread's parts in reading order (title, body, comments), and its signals in the same order."""

    repository: str
    number: int
    parts: tuple[Part, ...]
    signals: tuple[Signal, ...]

    def text(self, kinds: Collection[Kind] = KINDS, origins: Collection[Origin] = ORIGINS) -> str:
        """Return the text of the parts of these kinds and origins, a line break between two."""
        return "\n".join(part.text for part in self.parts if part.kind in kinds and part.origin in origins)

    def names(self, kinds: Collection[SignalKind] = SIGNAL_KINDS, origins: Collection[Origin] = ORIGINS) -> list[str]:
        """Return the names of the signals of these kinds and origins, once for each text that holds them."""
        wanted = tuple(f"{kind}:" for kind in kinds)
        return [signal.name for signal in self.signals if signal.origin in origins and signal.name.startswith(wanted)]


def read_document(thread: Thread, habits: Habits = NO_HABITS, *, most: int | None = None) -> Document:
    """Read a thread.

    Parameters
    ----------
    habits
        What they say of the thread's repository tells boilerplate and maintainers' answers apart.
    most
        How many characters of the body, and of all comments together, are read; None for all. Logs may be long.
    """
    recurring = habits.recurring(thread.repository)
    parts: list[Part] = []
    signals: list[Signal] = []
    for origin, comment, text in _texts(thread, habits, most or sys.maxsize):
        spans = split(text, recurring) if origin != "title" else _title(text)
        parts += [Part(kind, origin, comment, start, end, text[start:end]) for kind, start, end in spans]
        signals += [Signal(name, origin, comment, start, end) for name, start, end in mentions(text, spans)]
    return Document(thread.repository, thread.number, tuple(parts), tuple(signals))


def mentions(text: str, spans: Iterable[tuple[str, int, int]]) -> list[Mention]:
    """Return the signals of a text, each name once; those that the writer did not name (quotes, boilerplate) are left out."""
    first: dict[str, Mention] = {}
    for numbers, start, end in _stretches(spans):
        for name, begin, stop in find(text[start:end], numbers=numbers):
            if name not in first:
                first[name] = Mention(name, start + begin, start + stop)
    return list(first.values())


def _stretches(spans: Iterable[tuple[str, int, int]]) -> Iterator[tuple[bool, int, int]]:
    """Join neighbours whose signals are looked for alike, which is quicker; yield whether numbers tell something in them."""
    for key, group in groupby(spans, key=lambda span: None if span[0] in _OTHERS_WORDS else span[0] not in _FULL_OF_NUMBERS):
        if key is not None:
            members = list(group)
            yield key, members[0][1], members[-1][2]


def _texts(thread: Thread, habits: Habits, most: int) -> Iterator[tuple[Origin, int | None, str]]:
    yield "title", None, thread.title
    if thread.body:
        yield "body", None, thread.body[:most]
    for position, comment in enumerate(thread.comments or ()):
        if most <= 0:
            return
        answers = comment.author != thread.author and habits.is_maintainer(thread.repository, comment.author)
        yield "answer" if answers else "comment", position, comment.body[:most]
        most -= len(comment.body)


def _title(text: str) -> list[Span]:
    """Take a title for prose, whatever it looks like: people put an error's name there, and no traceback."""
    end = len(text.rstrip())
    return [Span("prose", end - len(text[:end].lstrip()), end)] if end else []
