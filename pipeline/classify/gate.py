"""The gate: whether a thread tells of a bug, asks for a feature or asks a question, before its facets are looked for."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, Self

import numpy as np
from scipy import sparse
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.feature_extraction import FeatureHasher

from pipeline.classify.embeddings import load_encoder
from pipeline.thread import Thread

_FENCED = re.compile(r"(```|~~~).*?(\1|\Z)", re.DOTALL)
_REMARK = re.compile(r"<!--.*?(-->|\Z)", re.DOTALL)
_URL = re.compile(r"https?://[^\s)\]>]+")
_NUMBER = re.compile(r"[0-9]+")
_SENTENCE_END = re.compile(r"[.!?\n]+\s")
_WORD = re.compile(r"\w+|[?!]")

# Characters of a body: what a thread is about stands in its beginning, and logs may be long.
_MOST = 3000
_MOST_PROSE = 1500
_OPENING = 90  # words
_SENTENCES = 40
_LINES = 100

# What is counted of a thread, and how much each weighs. Lines tell the template that was filled in, and what was chosen in it;
# the first words of sentences tell who asks, wishes and reports. Weights are round numbers, since cross-validation does not
# tell finer ones apart.
_PARTS = {"title": 1.0, "prose": 1.0, "opening": 0.8, "starts": 1.0, "lines": 0.5, "code": 0.3}
_DATE = {"date": 1.0}
_EMBEDDINGS = 0.3  # of a whole of 1

_HASHER = FeatureHasher(2**18, input_type="dict", alternate_sign=False, dtype=np.float32)
_FEWEST_OF_A_CLASS = 10


class Gate(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is not typed
    """Kernel ridge regression on the hashed words of each part of a thread, as a linear model.

    What is learnt of a word is shared by all repositories, and corrected in each that has ten threads of every class (Daume
    2007): threads of one repository are twice as alike as the same threads of two. Probabilities are the softmax of the
    scores, scaled such that those of each training thread, had it been left out, are likeliest. There is no chance in it: one
    training is like another. Words are kept as hashes only, and weights in half precision, so that a gate is small.

    Parameters
    ----------
    alpha
        How strongly weights are held back.
    fewest
        In how many threads a word has to be.
    dated
        Whether the date of opening is read, too. It says nothing of dates that lie after the training's.
    embeddings
        The folder of a sentence-transformers model whose vectors are read, too; needed again where the gate is used.
    """

    def __init__(self, *, alpha: float = 0.8, fewest: int = 4, dated: bool = False, embeddings: str | None = None) -> None:
        self.alpha = alpha
        self.fewest = fewest
        self.dated = dated
        self.embeddings = embeddings

    def fit(self, threads: Sequence[Thread], labels: Sequence[str], targets: np.ndarray | None = None) -> Self:
        """Learn from threads and the class of each.

        Parameters
        ----------
        targets
            A row a thread, with the probability of each class in sorted order, where a label says too much; rows that are
            certain are those of the labels.
        """
        self.classes_, codes = np.unique(np.asarray(labels), return_inverse=True)
        wanted = np.eye(len(self.classes_))[codes] if targets is None else np.asarray(targets, dtype=float)
        self._learn_words(threads)
        found = self._features(threads)
        repository = np.array([thread.repository.casefold() for thread in threads])
        own = _with_every_class(repository, wanted)
        alike = (found @ found.T).toarray().astype(float) / 2
        for name in own:
            rows = np.flatnonzero(repository == name)
            alike[np.ix_(rows, rows)] *= 2
        inverse = np.linalg.inv(alike + self.alpha * np.eye(len(threads)))
        centred = wanted - 1 / len(self.classes_)
        dual = inverse @ centred
        self.shared_ = (found.T @ dual / 2).astype(np.float16)
        self.own_ = {name: (found[repository == name].T @ dual[repository == name] / 2).astype(np.float16) for name in own}
        left_out = centred - dual / np.diag(inverse)[:, None]  # the scores of each thread by a model of all others
        self.scale_ = float(
            minimize_scalar(
                lambda scale: -float((wanted * log_softmax(scale * left_out, axis=1)).sum()), bounds=(0.1, 100), method="bounded"
            ).x
        )
        return self

    def predict_proba(self, threads: Sequence[Thread]) -> np.ndarray:
        """Return a row a thread, with a probability for each of `classes_`."""
        if not threads:
            return np.empty((0, len(self.classes_)))
        found = self._features(threads)
        scores = np.asarray(found @ self.shared_.astype(np.float32))
        repository = np.array([thread.repository.casefold() for thread in threads])
        for name, weights in self.own_.items():
            rows = np.flatnonzero(repository == name)
            if len(rows):
                scores[rows] += found[rows] @ weights.astype(np.float32)
        return np.asarray(softmax(self.scale_ * scores.astype(float), axis=1))

    def predict(self, threads: Sequence[Thread]) -> np.ndarray:
        """Return the likeliest class of each thread."""
        return np.asarray(self.classes_[self.predict_proba(threads).argmax(axis=1)])

    def _learn_words(self, threads: Sequence[Thread]) -> None:
        self.words_ = {}
        self.rarity_ = {}
        for name, counts in _counted(threads, self._parts()).items():
            threads_with = np.bincount(counts.indices, minlength=counts.shape[1])
            kept = np.flatnonzero(threads_with >= self.fewest)
            self.words_[name] = kept.astype(np.int32)
            self.rarity_[name] = (np.log((1 + len(threads)) / (1 + threads_with[kept])) + 1).astype(np.float16)
        if self.embeddings:
            vectors = _vectors(threads, self.embeddings)
            self.centre_, self.spread_ = vectors.mean(axis=0), np.maximum(vectors.std(axis=0), 1e-6)

    def _features(self, threads: Sequence[Thread]) -> sparse.csr_array:
        """Return a row a thread: its words by part, each part as long as its weight says, and its vector."""
        parts = self._parts()
        whole = sum(parts.values()) / (1 - _EMBEDDINGS if self.embeddings else 1)
        blocks = []
        for name, counts in _counted(threads, parts).items():
            found = counts[:, self.words_[name]]
            found.data = (1 + np.log(found.data)) * self.rarity_[name].astype(np.float32)[found.indices]
            row = np.repeat(np.arange(len(threads)), np.diff(found.indptr))
            length = np.sqrt(np.bincount(row, found.data**2, minlength=len(threads)) * whole / parts[name])
            found.data = (found.data / length[row]).astype(np.float32)
            blocks.append(found)
        if self.embeddings:
            vectors = (_vectors(threads, self.embeddings) - self.centre_) / self.spread_
            vectors *= np.sqrt(_EMBEDDINGS / vectors.shape[1]) / np.linalg.norm(vectors, axis=2, keepdims=True)
            blocks.append(sparse.csr_array(vectors.reshape(len(threads), -1)))
        return sparse.csr_array(sparse.hstack(blocks, format="csr"))

    def _parts(self) -> dict[str, float]:
        return _PARTS | _DATE if self.dated else _PARTS


def train_gate(
    threads: Sequence[Thread], labels: Sequence[str], annotated: Sequence[Thread], defects: Sequence[bool], *, fewest: int = 8
) -> Gate:
    """Train on issues whose class is known, and on threads of which it is only known whether they tell of a defect.

    One that tells of none is a feature's or a question's as much as a gate takes it for one that learnt from the issues alone.
    """
    gate = Gate(fewest=fewest).fit(threads, labels)
    defect = np.array(defects, dtype=bool)
    bug = gate.classes_ == "bug"
    guessed = np.where(bug, 0, gate.predict_proba(annotated))
    targets = np.where(defect[:, None], bug, guessed / guessed.sum(axis=1, keepdims=True))
    names = [*labels, *gate.classes_[targets.argmax(axis=1)]]
    known = np.eye(len(gate.classes_))[np.searchsorted(gate.classes_, np.asarray(labels))]
    return Gate(fewest=fewest).fit([*threads, *annotated], names, np.vstack([known, targets]))


def _with_every_class(repository: np.ndarray, wanted: np.ndarray) -> list[str]:
    """Return the repositories that have enough threads of each class that any has."""
    certain = wanted.max(axis=1) == 1
    counts = Counter(zip(repository[certain].tolist(), wanted[certain].argmax(axis=1).tolist(), strict=True))
    classes = {code for _, code in counts}
    return [str(name) for name in np.unique(repository) if all(counts[name, code] >= _FEWEST_OF_A_CLASS for code in classes)]


def _counted(threads: Sequence[Thread], parts: Iterable[str]) -> dict[str, Any]:
    read = [_read(thread) for thread in threads]
    return {name: _HASHER.transform([Counter(words[name]) for words in read]) for name in parts}


def _vectors(threads: Sequence[Thread], folder: str) -> np.ndarray:
    return load_encoder(folder).encode([f"{thread.title}\n{_prose(thread.body or '')[:2500]}" for thread in threads])


def _prose(body: str) -> str:
    return _URL.sub(" url ", _FENCED.sub(" ", _REMARK.sub(" ", body)))


def _read(thread: Thread) -> dict[str, list[str]]:
    title = _plain(thread.title[:_MOST])
    body = _plain((thread.body or "")[:_MOST].replace("\r", ""))
    fenced = "```" in body or "~~~" in body
    prose = _REMARK.sub(" ", body) if "<!--" in body else body
    prose = (_FENCED.sub(" codeblock ", prose) if fenced else prose)[:_MOST_PROSE]
    lines = [line for line in (line.strip(" *#-_:\t") for line in body.split("\n", _LINES)[:_LINES]) if line]
    titled, words = _WORD.findall(title), _WORD.findall(prose)
    pairs = _pairs(words)
    day = thread.created_at
    return {
        "title": titled + _pairs(titled) + [" ".join(three) for three in zip(titled, titled[1:], titled[2:], strict=False)],
        "prose": words + pairs,
        "opening": words[:_OPENING] + pairs[: _OPENING - 1],
        "starts": _starts(f"{title}\n{prose}"),
        "lines": [*{*lines, *(f"{line} > {following}" for line, following in pairwise([*lines, "end"]))}],
        "code": [word for block in (_FENCED.finditer(body) if fenced else ()) for word in _WORD.findall(block[0])],
        "date": [f"{day:%Y}", f"{day:%Y}-q{(day.month + 2) // 3}", f"{day:%Y-%m}"] if day else [],
    }


def _pairs(words: list[str]) -> list[str]:
    return [f"{word} {following}" for word, following in pairwise(words)]


def _starts(text: str) -> list[str]:
    """Return the first word, two words and three of each sentence."""
    sentences = [sentence.split(maxsplit=3)[:3] for sentence in _SENTENCE_END.split(text)[:_SENTENCES]]
    return ["_".join(words[:n]) for words in sentences for n in range(1, len(words) + 1)]


def _plain(text: str) -> str:
    """Write what differs from thread to thread alike: addresses, numbers, capitals."""
    return _NUMBER.sub("0", _URL.sub(" url ", text).lower())
