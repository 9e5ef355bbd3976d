"""The gate: whether a thread tells of a bug, asks for a feature or asks a question, before its facets are looked for."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Self

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer

from pipeline.thread import Thread

_FENCED = re.compile(r"(```|~~~).*?(\1|\Z)", re.DOTALL)
_REMARK = re.compile(r"<!--.*?(-->|\Z)", re.DOTALL)
_URL = re.compile(r"https?://[^\s)\]>]+")
_HASH = re.compile(r"\b(0x)?[0-9a-f]{7,}\b")
_NUMBER = re.compile(r"\d+")
_SENTENCE_END = re.compile(r"[.!?\n]+\s")

_MOST = 8000  # characters: what a thread is about stands in its beginning, and logs may be long
_NOTHING = "nothing"  # stands for a part that a thread has not, so that each part has words in any corpus

_WORD = r"(?u)\b\w+\b|[?!]"
_WORD_OR_VERSION = r"(?u)\w+(?:\.\w+)*|[?!]"

# Each part of a thread, how its words are counted, and how much they weigh. Lines tell the template that was filled in, and what
# was chosen in it; the first words of sentences tell who asks, wishes and reports. Weights are round numbers, since
# cross-validation does not tell finer ones apart.
_PARTS: list[tuple[str, str, float, dict[str, Any]]] = [
    ("title words", "title", 1.0, {"ngram_range": (1, 3), "token_pattern": _WORD}),
    ("title characters", "title", 1.0, {"ngram_range": (2, 5), "analyzer": "char_wb"}),
    ("prose", "prose", 1.0, {"ngram_range": (1, 2), "token_pattern": _WORD}),
    ("opening", "opening", 0.8, {"ngram_range": (1, 2), "token_pattern": _WORD}),
    ("body", "body", 0.5, {"ngram_range": (1, 2), "token_pattern": _WORD_OR_VERSION}),
    ("lines", "lines", 0.5, {"tokenizer": str.splitlines, "token_pattern": None}),
    ("starts", "starts", 1.0, {"token_pattern": r"\S+"}),
    ("code", "code", 0.3, {"token_pattern": r"\w+"}),
]
_DATE = ("date", "date", 1.0, {"token_pattern": r"\S+"})


class Gate(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is not typed
    """Kernel ridge regression on the words of each part of a thread, as a linear model.

    What is learnt of a word is shared by all repositories, and corrected in each (Daume 2007): threads of one repository are
    twice as alike as the same threads of two. Probabilities are the softmax of the scores, scaled such that those of each
    training thread, had it been left out, are likeliest. There is no chance in it: one training is like another.

    Parameters
    ----------
    alpha
        How strongly weights are held back.
    dated
        Whether the date of opening is read, too. It says nothing of dates that lie after the training's.
    """

    def __init__(self, *, alpha: float = 0.8, dated: bool = False) -> None:
        self.alpha = alpha
        self.dated = dated

    def fit(self, threads: Sequence[Thread], labels: Sequence[str]) -> Self:
        """Learn from threads and the class of each."""
        self.classes_, targets = np.unique(np.asarray(labels), return_inverse=True)
        parts = [*_PARTS, _DATE] if self.dated else _PARTS
        whole = sum(weight for _, _, weight, _ in parts)
        self.words_ = ColumnTransformer(
            [(name, TfidfVectorizer(sublinear_tf=True, min_df=2, **how), column) for name, column, _, how in parts],
            transformer_weights={name: np.sqrt(weight / whole) for name, _, weight, _ in parts},
            sparse_threshold=1.0,
        )
        found = self.words_.fit_transform(_table(threads))
        repository = np.array([thread.repository for thread in threads])
        alike = (found @ found.T).toarray() * (1 + (repository[:, None] == repository)) / 2
        inverse = np.linalg.inv(alike + self.alpha * np.eye(len(threads)))
        wanted = np.eye(len(self.classes_))[targets] - 1 / len(self.classes_)
        dual = inverse @ wanted
        self.shared_ = found.T @ dual / 2
        self.own_ = {str(name): found[repository == name].T @ dual[repository == name] / 2 for name in np.unique(repository)}
        left_out = wanted - dual / np.diag(inverse)[:, None]  # the scores of each thread by a model of all others
        rows = np.arange(len(threads))
        self.scale_ = float(
            minimize_scalar(
                lambda scale: -float(log_softmax(scale * left_out, axis=1)[rows, targets].mean()),
                bounds=(0.1, 100),
                method="bounded",
            ).x
        )
        return self

    def predict_proba(self, threads: Sequence[Thread]) -> np.ndarray:
        """Return a row a thread, with a probability for each of `classes_`."""
        found = self.words_.transform(_table(threads))
        scores = found @ self.shared_
        repository = np.array([thread.repository for thread in threads])
        for name, weights in self.own_.items():
            scores[repository == name] += found[repository == name] @ weights
        return np.asarray(softmax(self.scale_ * scores, axis=1))

    def predict(self, threads: Sequence[Thread]) -> np.ndarray:
        """Return the likeliest class of each thread."""
        return np.asarray(self.classes_[self.predict_proba(threads).argmax(axis=1)])


def _table(threads: Sequence[Thread]) -> pd.DataFrame:
    return pd.DataFrame([{name: text.strip() or _NOTHING for name, text in _parts(thread).items()} for thread in threads])


def _parts(thread: Thread) -> dict[str, str]:
    body = (thread.body or "").replace("\r", "")
    title = _plain(thread.title)
    prose = _plain(_FENCED.sub(" codeblock ", _REMARK.sub(" ", body)))[:_MOST]
    lines = [_plain(line).strip(" *#-_:\t") for line in body.split("\n") if line.strip()][:400]
    pairs = [f"{line} > {following}" for line, following in pairwise([*lines, "end"])]
    ends = [f"first {lines[0]}", f"last {lines[-1]}"] if lines else []
    sentences = [sentence.split()[:3] for sentence in _SENTENCE_END.split(f"{title}\n{prose}")[:40]]
    return {
        "title": title,
        "prose": prose,
        "opening": prose[:500],
        "body": body[:_MOST],
        "lines": "\n".join(sorted({*lines, *pairs, *ends})),
        "starts": " ".join("_".join(words[: n + 1]) for words in sentences for n in range(len(words))),
        "code": "\n".join(block[0] for block in _FENCED.finditer(body))[:_MOST],
        "date": f"{day:%Y} {day:%Y}-q{(day.month + 2) // 3} {day:%Y-%m}" if (day := thread.created_at) else "",
    }


def _plain(text: str) -> str:
    """Write what differs from thread to thread alike: addresses, hashes, numbers, capitals."""
    return _NUMBER.sub("0", _HASH.sub(" hash ", _URL.sub(" url ", text).lower()))
