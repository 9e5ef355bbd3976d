"""Written rules: phrases that people use for a category, each with its reason, in a file that can be read and argued with.

No code knows a particular rule; the rules of a taxonomy are a file in `taxonomy/lexicons/`. Phrases are looked for in the title,
and in the beginning of the body and of the first comments, which is where people say what is wrong. All of them lie in one tree
of words, which is gone down from the words of a text that begin any: most words do not.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from functools import lru_cache
from itertools import chain, pairwise, product
from math import prod
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import pandas as pd
from pydantic import Field
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin

from pipeline.classify.parts import KINDS, Kind
from pipeline.classify.signals import SIGNAL_KINDS
from pipeline.classify.text import Document, Origin, Part
from pipeline.documents import Document as Written
from pipeline.documents import Location, read_yaml
from pipeline.errors import RedefectError
from pipeline.taxonomy import Taxonomy

Force = Literal["strong", "medium", "weak"]
FORCES: tuple[Force, ...] = ("strong", "medium", "weak")

Place = Literal["title", "body", "comment"]
"""Where a rule looks; `comment` means the maintainers' answers, too."""

_WORD = re.compile(r"\w+(?:\.\w+)*+|[^\w\s]")
_BAR = re.compile(r"\s*\|\s*")
_GLOB = re.compile(r"[*?\[]")
_BREAK = "\n"
"""Between two stretches of text."""


class Rule(Written):
    """One rule: what it looks for, and for which category of which facets it then votes, strongly, medium or weakly.

    Phrases stand between commas. Each is a run of words, whatever their case; `(a|b|)` stands for a, b or nothing, and `...`
    for up to four words. A signal is a name as `pipeline.classify.signals` writes it, where `*` and `?` stand for anything.
    A kind is one of `pipeline.classify.parts`: some part of the text is of that kind. The rule hits where any of these is
    found; but only if all the rules in `all_of` hit the thread, too, and none of those in `none_of`. A rule that looks for
    nothing hits by these alone. `example` is a text that it hits, `counterexample` one that looks alike and that it does not.
    """

    id: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    reason: str = Field(min_length=10)
    strong: dict[str, str] = {}
    medium: dict[str, str] = {}
    weak: dict[str, str] = {}
    places: list[Place] = Field(default=["title", "body", "comment"], min_length=1)
    phrases: str = ""
    signals: list[str] = []
    kinds: list[Kind] = []
    all_of: list[str] = []
    none_of: list[str] = []
    example: str = ""
    counterexample: str = ""

    @property
    def each_phrase(self) -> list[str]:
        """The phrases, one by one."""
        phrases = _BAR.sub("|", self.phrases).split(",")
        return [phrase for part in phrases if (phrase := " ".join(part.split()))]

    @property
    def votes(self) -> Iterator[tuple[Force, str, str]]:
        """Yield how strongly the rule votes, in which facet, for which category."""
        for force in FORCES:
            for facet, category in getattr(self, force).items():
                yield force, facet, category


class Weights(Written):
    """By how much a vote raises the logarithm of a category's odds."""

    strong: float = Field(gt=0)
    medium: float = Field(gt=0)
    weak: float = Field(gt=0)


class Rules(Written):
    """A lexicon as written: the taxonomy whose categories its rules vote for, and what is to be known of how they were made.

    `seen` are the repositories whose threads were looked at; on these the rules look better than they are.
    """

    taxonomy: str
    about: str
    seen: list[str] = []
    weights: Weights
    rules: list[Rule] = Field(min_length=1)

    def contradictions(self) -> Iterator[tuple[Location, str]]:
        """Yield ids that stand twice, rules that look for nothing, and patterns that nothing could match."""
        known: set[str] = set()
        for number, rule in enumerate(self.rules):
            here: Location = ("rules", number)
            if rule.id in known:
                yield (*here, "id"), f"there is a rule '{rule.id}' above; ids are unique"
            if not any((rule.phrases, rule.signals, rule.kinds, rule.all_of, rule.none_of)):
                yield here, f"rule '{rule.id}' looks for nothing; give it phrases, signals, kinds, all_of or none_of"
            for name in ("all_of", "none_of"):
                for other in getattr(rule, name):
                    if other not in known:
                        yield (*here, name), f"no rule '{other}' stands above rule '{rule.id}'"
            for phrase in rule.each_phrase:
                if flaw := _flaw(phrase):
                    yield (*here, "phrases"), f"phrase '{phrase}' of rule '{rule.id}' {flaw}"
            for signal in rule.signals:
                if signal.partition(":")[0] not in SIGNAL_KINDS or not signal.partition(":")[2]:
                    yield (
                        (*here, "signals"),
                        f"'{signal}' is no signal; one begins with {', '.join(f'{k}:' for k in SIGNAL_KINDS)}",
                    )
            known.add(rule.id)


class Hit(NamedTuple):
    """A rule hit here: at `text[start:end]` of the title, the body, or the comment at this position; see `Part`."""

    rule: str
    origin: Origin
    comment: int | None
    start: int
    end: int


class _Piece(NamedTuple):
    """What is read of a part, lowered, and where it begins in its text."""

    origin: Origin
    comment: int | None
    start: int
    text: str


class _Slot(NamedTuple):
    """Words of which one must stand here, and how many others may stand before it."""

    words: frozenset[str]
    gap: int


@dataclass(slots=True)
class _Run:
    """What may follow the first words of a run, and the numbers of the rules that look for these words alone."""

    following: dict[str, "_Run"] = field(default_factory=dict)
    numbers: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Pair:
    """What two words may begin, one after the other: runs, and phrases that are looked for place by place."""

    run: _Run | None = None
    by_place: list[tuple[int, list[_Slot]]] = field(default_factory=list)


_Key = tuple[int, Origin, int | None]
"""The number of a rule, and the text that it hits."""

_Found = tuple[_Key, int, int]
"""A rule in a text, and where it begins and ends there."""


class Lexicon:
    """Rules made ready to look for all their phrases at once."""

    def __init__(self, written: Rules) -> None:
        self.rules = tuple(written.rules)
        self.weights = written.weights
        self.seen = frozenset(name.casefold() for name in written.seen)
        self._written = written
        self._places = [frozenset(("answer", *rule.places) if "comment" in rule.places else rule.places) for rule in self.rules]
        self._ids = [rule.id for rule in self.rules]
        self._numbers = {rule.id: number for number, rule in enumerate(self.rules)}
        self._votes = {r.id: [(facet, cat, getattr(self.weights, force)) for force, facet, cat in r.votes] for r in self.rules}
        runs = _Run()
        self._begun: dict[str, list[tuple[int, list[_Slot]]]] = {}
        self._pairs: dict[str, dict[str, _Pair]] = {}
        for number, rule in enumerate(self.rules):
            for wording in dict.fromkeys(wording for phrase in rule.each_phrase for wording in _wordings(phrase)):
                slots = _slots(wording)
                if any(slot.gap for slot in slots) or prod(len(slot.words) for slot in slots) > _MOST_WORDINGS:
                    for word in slots[0].words:
                        if len(slots) > 1 and not slots[1].gap:
                            for following in slots[1].words:
                                self._pair(word, following).by_place.append((number, slots))
                        else:
                            self._begun.setdefault(word, []).append((number, slots))
                else:
                    for run in product(*wording):
                        here = runs
                        for word in run:
                            here = here.following.setdefault(word, _Run())
                        if number not in here.numbers:
                            here.numbers.append(number)
        self._alone = {word: run.numbers for word, run in runs.following.items() if run.numbers}
        for word, begun in runs.following.items():
            for following, rest in begun.following.items():
                self._pair(word, following).run = rest
        self._named: dict[str, list[int]] = {}
        self._globs: dict[str, list[tuple[re.Pattern[str], int]]] = {kind: [] for kind in SIGNAL_KINDS}
        for number, rule in enumerate(self.rules):
            for signal in rule.signals:
                if _GLOB.search(signal):
                    self._globs[signal.partition(":")[0]].append((re.compile(translate(signal)), number))
                else:
                    self._named.setdefault(signal, []).append(number)
        self._some_glob = re.compile("|".join(glob.pattern for globs in self._globs.values() for glob, _ in globs) or "(?!)")
        self._of_signal = lru_cache(maxsize=2**16)(self._rules_of)
        self._of_kind = {kind: [n for n, rule in enumerate(self.rules) if kind in rule.kinds] for kind in KINDS}
        self._dependent = [
            (number, {self._numbers[other] for other in rule.all_of}, {self._numbers[other] for other in rule.none_of})
            for number, rule in enumerate(self.rules)
            if rule.all_of or rule.none_of
        ]
        self._by_others = {n for n, rule in enumerate(self.rules) if not (rule.phrases or rule.signals or rule.kinds)}

    def __getstate__(self) -> dict[str, Any]:
        """Give the rules as written: matchers are made of them anew."""
        return {"rules": self._written.model_dump_json(exclude_defaults=True)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make ready what `__getstate__` gave."""
        Lexicon.__init__(self, Rules.model_validate_json(state["rules"]))

    def hits(self, document: Document) -> list[Hit]:
        """Return where rules hit: of each rule the first and longest place in each text, in the order of the file."""
        first: dict[_Key, tuple[int, int]] = {}
        for key, start, end in self._found(document):
            if key[1] in self._places[key[0]]:
                best = first.get(key)
                if best is None or (start, -end) < (best[0], -best[1]):
                    first[key] = (start, end)
        self._settle(document, first)
        return [Hit(self._ids[key[0]], key[1], key[2], *first[key]) for key in sorted(first, key=_in_order)]

    def rules_that_hit(self, document: Document) -> list[str]:
        """Return the rules of `hits`, as often and in the same order; that takes less time than their places do."""
        pieces = list(_pieces(document.parts))
        ends, matches = self._matches(pieces)
        texts = [(piece.origin, piece.comment) for piece in pieces]
        found: Iterator[_Key] = chain(
            ((number, part.origin, part.comment) for part in document.parts for number in self._of_kind[part.kind]),
            ((number, sign.origin, sign.comment) for sign in document.signals for number in self._of_signal(sign.name)),
            ((number, *texts[bisect_right(ends, start)]) for number, start, _ in matches),
        )
        first = dict.fromkeys((key for key in found if key[1] in self._places[key[0]]), (0, 0))
        self._settle(document, first)
        return [self._ids[number] for number in sorted(key[0] for key in first)]

    def _pair(self, first: str, second: str) -> _Pair:
        return self._pairs.setdefault(first, {}).setdefault(second, _Pair())

    def votes(self, rules: Iterable[str]) -> dict[tuple[str, str], float]:
        """Return what rules (their ids) say together: of each facet and category that one votes for, the sum of the weights.

        The votes of a rule are counted once, however often it hits.
        """
        votes: dict[tuple[str, str], float] = {}
        for rule in dict.fromkeys(rules):
            for facet, category, weight in self._votes[rule]:
                votes[facet, category] = votes.get((facet, category), 0.0) + weight
        return votes

    def _rules_of(self, signal: str) -> tuple[int, ...]:
        numbers = dict.fromkeys(self._named.get(signal, ()))
        if self._some_glob.match(signal):  # few signals match any
            numbers |= dict.fromkeys(n for glob, n in self._globs[signal.partition(":")[0]] if glob.match(signal))
        return tuple(numbers)

    def _found(self, document: Document) -> Iterator[_Found]:
        for part in document.parts:
            for number in self._of_kind[part.kind]:
                yield (number, part.origin, part.comment), part.start, part.end
        for signal in document.signals:
            for number in self._of_signal(signal.name):
                yield (number, signal.origin, signal.comment), signal.start, signal.end
        yield from self._in_words(document)

    def _in_words(self, document: Document) -> Iterator[_Found]:
        pieces = list(_pieces(document.parts))
        ends, matches = self._matches(pieces)
        spans: dict[int, list[tuple[int, int]]] = {}
        for number, start, end in matches:
            index = bisect_right(ends, start)
            piece = pieces[index]
            if index not in spans:
                spans[index] = [found.span() for found in _WORD.finditer(piece.text)]
            before = ends[index - 1] if index else 0
            first, last = spans[index][start - before], spans[index][end - 1 - before]
            yield (number, piece.origin, piece.comment), piece.start + first[0], piece.start + last[1]

    def _matches(self, pieces: Iterable[_Piece]) -> tuple[list[int], list[tuple[int, int, int]]]:
        """Return how many words there are up to each piece's end, and what is found: rules, from which word and to which."""
        words: list[str] = []
        ends: list[int] = []
        for piece in pieces:
            words += _WORD.findall(piece.text)
            words.append(_BREAK)
            ends.append(len(words))
        matches: list[tuple[int, int, int]] = []
        alone, begun, pairs = self._alone, self._begun, self._pairs
        for place, (word, following) in enumerate(pairwise(words)):
            phrases = begun.get(word, ())
            if word in alone:
                matches += [(number, place, place + 1) for number in alone[word]]
            if word in pairs and following in pairs[word]:
                pair = pairs[word][following]
                phrases = (*phrases, *pair.by_place)
                run, end = pair.run, place + 2
                while run:
                    if run.numbers:
                        matches += [(number, place, end) for number in run.numbers]
                    run = run.following.get(words[end])  # no run holds a break, with which all words end
                    end += 1
            for number, slots in phrases:
                if end := _reached(words, place, slots):
                    matches.append((number, place, end))
        return ends, matches

    def _settle(self, document: Document, first: dict[_Key, tuple[int, int]]) -> None:
        """Take away and add what other rules' hits decide, in the order of the file, since rules name only those above."""
        hit = {key[0] for key in first}
        for number, needed, barred in self._dependent:
            if not (needed <= hit and barred.isdisjoint(hit)):
                if number in hit:
                    hit.remove(number)
                    for key in [key for key in first if key[0] == number]:
                        del first[key]
            elif number in self._by_others and document.parts:
                if self.rules[number].all_of:
                    leading = self._numbers[self.rules[number].all_of[0]]
                    shown = min((key for key in first if key[0] == leading), key=_in_order)
                    first[number, shown[1], shown[2]] = first[shown]
                else:
                    part = document.parts[0]
                    first[number, part.origin, part.comment] = (part.start, part.end)
                hit.add(number)


def read_lexicon(path: Path, taxonomy: Taxonomy) -> Lexicon:
    """Read rules, and check them against the taxonomy.

    Raises
    ------
    RedefectError
        If the file is missing or not valid, or if a rule names a facet or a category that the taxonomy does not have.
    """
    written = read_yaml(path, Rules)
    if written.taxonomy != taxonomy.id:
        raise RedefectError(
            f"{path}: these rules are for taxonomy '{written.taxonomy}', and the taxonomy here is '{taxonomy.id}'."
        )
    for rule in written.rules:
        for _, facet_id, category in rule.votes:
            facet = taxonomy.facet(facet_id, f"{path}: rule '{rule.id}'")
            if category not in facet.ids:
                raise RedefectError(
                    f"{path}: rule '{rule.id}': facet '{facet_id}' has no category '{category}'; nearest are "
                    f"{', '.join(facet.nearest(category))}."
                )
    return Lexicon(written)


class LexicalModel(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is not typed
    """Labels by written rules alone: the shares of the categories, and what the rules that hit say for each.

    Nothing but the shares is learnt.

    Parameters
    ----------
    lexicon
        The rules.
    """

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon = lexicon

    def fit(self, documents: Sequence[Document], labels: pd.DataFrame) -> Self:
        """Learn which categories there are in each facet, and their shares."""
        self.facets_ = tuple(str(column) for column in labels.columns)
        self.classes_: list[np.ndarray] = []
        self.shares_: list[np.ndarray] = []
        for facet in self.facets_:
            known = labels[facet].dropna()
            classes, counts = np.unique(known.to_numpy(dtype=str), return_counts=True)
            self.classes_.append(classes)
            self.shares_.append(counts / max(1, counts.sum()))
        return self

    def predict_proba(self, documents: Sequence[Document]) -> list[np.ndarray]:
        """Return of each facet a row a document, with a probability for each of its classes."""
        place = {(f, str(c)): (i, j) for i, f in enumerate(self.facets_) for j, c in enumerate(self.classes_[i])}
        scores = [np.tile(np.log(shares), (len(documents), 1)) for shares in self.shares_]
        for row, document in enumerate(documents):
            for category, votes in self.lexicon.votes(self.lexicon.rules_that_hit(document)).items():
                if category in place:
                    facet, column = place[category]
                    scores[facet][row, column] += votes
        return [np.asarray(softmax(score, axis=1)) if score.size else score for score in scores]

    def predict(self, documents: Sequence[Document]) -> np.ndarray:
        """Return a row a document with the likeliest category of each facet."""
        found = [classes[p.argmax(axis=1)] for classes, p in zip(self.classes_, self.predict_proba(documents), strict=True)]
        return np.array(found, dtype=object).T.reshape(len(documents), len(self.facets_))


def _in_order(key: _Key) -> tuple[int, bool, int]:
    """Sort by rule, then as a thread is read: title, body, comments."""
    rule, origin, comment = key
    return rule, origin != "title", -1 if comment is None else comment


# How much is read of what: people say what is wrong in the first words, and an error is named in a traceback's last line.
_TITLE, _PROSE, _ERROR, _COMMENT = 300, 1200, 240, 250
_MOST_ERRORS, _MOST_COMMENTS = 3, 3


def _pieces(parts: Sequence[Part]) -> Iterator[_Piece]:
    prose, errors = _PROSE, _MOST_ERRORS
    left: dict[int, int] = {}
    for kind, origin, comment, start, end, text in parts:
        if origin == "title":
            yield _Piece(origin, comment, start, _lower(text[:_TITLE]))
        elif origin == "body":
            if kind == "prose" and prose > 0:
                yield _Piece(origin, comment, start, _lower(text[:prose]))
                prose -= len(text)
            elif kind in ("traceback", "log") and errors:
                yield _Piece(origin, comment, max(start, end - _ERROR), _lower(text[-_ERROR:]))
                errors -= 1
        elif comment is not None and comment < _MOST_COMMENTS and kind == "prose":
            room = left.get(comment, _COMMENT)
            if room > 0:
                yield _Piece(origin, comment, start, _lower(text[:room]))
                left[comment] = room - len(text)


def _lower(text: str) -> str:
    """Lower a text such that places stay right: a few letters grow when they are lowered."""
    if not text.isascii():
        lowered = text.encode("utf-8", "surrogatepass").lower()  # of bytes, only those of ASCII's letters
        return lowered.decode("utf-8", "surrogatepass").replace("’", "'").replace("‘", "'")
    return text.lower()


_Wording = tuple[tuple[str, ...], ...]
"""For each place of a run of words, the words that may stand there."""

_SLOT = re.compile(r"(?:\([^()]*\)|[^\s()])+")
_CHOICE = re.compile(r"\(([^()]*)\)")
_GAP = ("...",)
_IN_A_GAP = 4
_ENDS = (_BREAK, ".")
"""What no gap goes beyond."""

_MOST_WORDINGS = 64
"""A phrase that stands for more runs of words is looked for place by place, which is slower, and not run by run."""


def _flaw(phrase: str) -> str:
    if any(mark in _CHOICE.sub(" ", phrase) for mark in "()|"):
        return "has a parenthesis or a bar that belongs to no choice"
    if any(not words or words[0] == _GAP or words[-1] == _GAP for words in _wordings(phrase)):
        return "may stand for nothing, or begin or end in a gap"
    return ""


def _wordings(phrase: str) -> list[_Wording]:
    """Return the runs of words for which a phrase stands; those that differ in one word of a choice are one wording."""
    slots: list[list[_Wording]] = []
    for slot in _SLOT.findall(phrase):
        pieces = [piece.split("|") if at % 2 else [piece] for at, piece in enumerate(_CHOICE.split(slot))]  # the odd are choices
        runs = list(dict.fromkeys(_words("".join(chosen)) for chosen in product(*pieces)))
        single = tuple(sorted(run[0] for run in runs if len(run) == 1))
        slots.append([*([(single,)] if single else []), *(tuple((word,) for word in run) for run in runs if len(run) != 1)])
    return list(dict.fromkeys(tuple(chain.from_iterable(chosen)) for chosen in product(*slots)))


def _words(text: str) -> tuple[str, ...]:
    return _GAP if text == _GAP[0] else tuple(_WORD.findall(_lower(text)))


def _slots(wording: _Wording) -> list[_Slot]:
    before = [(), *wording]
    return [
        _Slot(frozenset(words), _IN_A_GAP if gap == _GAP else 0)
        for gap, words in zip(before, wording, strict=False)
        if words != _GAP
    ]


def _reached(words: Sequence[str], start: int, slots: Sequence[_Slot]) -> int:
    """Return where a run of words ends that begins at `start` and fits the slots, or 0."""
    if not slots:
        return start
    slot, rest = slots[0], slots[1:]
    for place in range(start, min(start + slot.gap + 1, len(words))):
        word = words[place]
        if word in slot.words and (end := _reached(words, place + 1, rest)):
            return end
        if word in _ENDS:
            break
    return 0
