"""Turns of interviews that may be worth coding, found by a theme's cues; and how well that does against codings.

spaCy's matcher looks for the cues. No model is downloaded: words are told apart by rules, and Chinese characters stand alone, so
that transcripts that mix languages are read, too.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import product

import numpy as np
import pandas as pd
import spacy
from spacy.matcher import Matcher

from pipeline.annotate.coefficients import RESAMPLES, interval
from pipeline.intervals import wilson
from pipeline.themes import Theme, Themes

_HAN = re.compile(r"([\u3400-\u9fff])")
_CHOICE = re.compile(r"\(([^()]*)\)")
_COMMA = re.compile(r",(?![^()]*\))")


class CueMatcher:
    """Proposes themes for what is said.

    Parameters
    ----------
    themes
        The code book whose cues are looked for.
    """

    def __init__(self, themes: Themes) -> None:
        self._least_words = themes.least_words
        self._nlp = spacy.blank("en")
        self._matcher = Matcher(self._nlp.vocab)
        for theme in themes.themes:
            for cue in cues(theme):
                patterns = [self._pattern(words) for words in wordings(cue)]
                self._matcher.add(f"{theme.id}\t{cue}", patterns)

    def found(self, texts: Iterable[str]) -> Iterator[dict[str, list[str]]]:
        """Yield for each text the cues that are in it by their themes; none for a text of too few words."""
        for doc in self._nlp.pipe(map(_apart, texts)):
            hits: dict[str, list[str]] = {}
            if sum(token.is_alpha for token in doc) >= self._least_words:
                for key in sorted({self._nlp.vocab.strings[match] for match, _, _ in self._matcher(doc)}):
                    theme, _, cue = key.partition("\t")
                    hits.setdefault(theme, []).append(cue)
            yield hits

    def _pattern(self, words: str) -> list[dict[str, object]]:
        pattern: list[dict[str, object]] = []
        for word in _apart(words).split():
            if word == "*":
                pattern.append({"IS_ALPHA": True})
                continue
            begun = word.endswith("*")
            *before, last = (token.lower_ for token in self._nlp.make_doc(word.removesuffix("*")))
            pattern += [{"LOWER": token} for token in before]
            pattern.append({"LOWER": {"REGEX": f"^{re.escape(last)}"}} if begun else {"LOWER": last})
        return pattern


def cues(theme: Theme) -> list[str]:
    """Return a theme's cues, one by one."""
    return list(dict.fromkeys(cue for part in _COMMA.split(theme.cues) if (cue := " ".join(part.split()))))


def wordings(cue: str) -> list[str]:
    """Return all that a cue with choices, `(a|b|)`, stands for."""
    parts = [part.split("|") if i % 2 else [part] for i, part in enumerate(_CHOICE.split(cue))]
    return list(dict.fromkeys(" ".join("".join(chosen).split()) for chosen in product(*parts)))


def proposals(turns: pd.DataFrame, matcher: CueMatcher) -> pd.DataFrame:
    """Propose turns to code.

    Parameters
    ----------
    turns
        Columns `transcript`, `turn`, `text`, of those who answer.

    Returns
    -------
    A row for each turn and theme: `transcript`, `turn`, `theme`, `cues` (joined by "; "), in the order of the turns.
    """
    rows = [
        (turn.transcript, turn.turn, theme, "; ".join(found))
        for turn, hits in zip(turns.itertuples(index=False), matcher.found(turns["text"]), strict=True)
        for theme, found in hits.items()
    ]
    return pd.DataFrame(rows, columns=["transcript", "turn", "theme", "cues"])


def evaluate(turns: pd.DataFrame, proposed: pd.DataFrame, coded: pd.DataFrame, themes: Sequence[str], seed: int) -> pd.DataFrame:
    """Compare proposals with codings.

    Parameters
    ----------
    turns
        Columns `transcript`, `turn`: all that could be proposed.
    proposed, coded
        Columns `transcript`, `turn`, `theme`.
    themes
        Those to compare; the row `any` is of turns with any of them, which are worth reading.

    Returns
    -------
    A row a theme, and one for `any`: `theme`, `n` (turns), `coded`, `proposed`, `right`; `precision` and `recall` with
    their 95 % Wilson intervals (`precision_low` and so on), and `f1` with the percentile bootstrap's over
    interviews (missing for one interview).
    """
    unit = list(zip(turns["transcript"], turns["turn"], strict=True))
    clusters, names = pd.factorize(turns["transcript"], sort=True)
    share = np.full(len(names), 1 / max(len(names), 1))
    weights = np.random.default_rng(seed).multinomial(len(names), share, size=RESAMPLES) if len(names) > 1 else None

    def has(frame: pd.DataFrame, wanted: Sequence[str]) -> np.ndarray:
        of = frame[frame["theme"].isin(wanted)]
        there = set(zip(of["transcript"], of["turn"], strict=True))
        return np.array([turn in there for turn in unit], dtype=bool)

    rows = []
    for theme, wanted in [*((theme, [theme]) for theme in themes), ("any", list(themes))]:
        said, guessed = has(coded, wanted), has(proposed, wanted)
        right = said & guessed
        sums = np.stack([np.bincount(clusters, x, len(names)) for x in (right, said, guessed)])
        hits, positives, guesses = (int(x) for x in sums.sum(axis=1))
        low, high = np.nan, np.nan
        if weights is not None:
            drawn = weights @ sums.T
            with np.errstate(invalid="ignore", divide="ignore"):
                low, high = interval((2 * drawn[:, 0] / (drawn[:, 1] + drawn[:, 2]))[:, None])[:, 0]
        both = positives + guesses
        rows.append(
            (
                theme, len(unit), positives, guesses, hits,
                hits / guesses if guesses else np.nan, *wilson(hits, guesses),
                hits / positives if positives else np.nan, *wilson(hits, positives),
                2 * hits / both if both else np.nan, low, high,
            )
        )  # fmt: skip
    measures = [f"{name}{end}" for name in ("precision", "recall", "f1") for end in ("", "_low", "_high")]
    return pd.DataFrame(rows, columns=["theme", "n", "coded", "proposed", "right", *measures])


def _apart(text: str) -> str:
    """Set Chinese characters apart, each a word of its own."""
    return " ".join(_HAN.sub(r" \1 ", text).split())
