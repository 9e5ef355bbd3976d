"""The classifier of facets: which category each facet of a thread's defect has, how sure that is, and what it rests on.

Two steps. The first is kernel ridge regression over blocks of terms (`pipeline.classify.features`), one linear model for all
facets. Its scores for each thread by a model without the threads of that repository's owner cost one inverse, for all owners
(Pahikkala et al. 2006): so the blocks are chosen, and the second step is learnt, from scores that no thread had a part in.
The second step makes probabilities of scores, with four numbers a facet: the scale of the scores, the weight of the
categories' shares, how far to believe the rules as they are written, and how far to believe what the other facets say (which
root causes go with which stages).

The best guess is not always the likeliest category. Where nine defects of ten are of one category, naming it always is right
nine times of ten, and says nothing. The guess weighs probabilities by the shares, so that it agrees with the labels as far
beyond chance (Cohen's kappa) as it can.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
import scipy.sparse as sparse
from scipy.linalg import lapack
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import cohen_kappa_score
from sklearn.preprocessing import normalize

from pipeline.classify.features import Blocks, Place, blocks, places
from pipeline.classify.lexicon import Lexicon
from pipeline.classify.terms import HashedTerms, RowScaled
from pipeline.classify.text import Document
from pipeline.classify.vectors import WordVectors

Matrix = Any
"""A dense or a sparse matrix, whose types have nothing in common."""

_SPARSE = ("opening", "comments", "signals", "rules")
"""Blocks of single terms."""

_MIN_DF = 3
"""In how many threads a term has to stand."""

_VECTORS = ("opening vectors", "comment vectors", "all vectors")
_WITH_VECTORS, _ANY_WORDS = ("opening_words", "comment_words"), "any words"

_WORDS = {"opening": 1.0, "comments": 1.0, "signals": 1.0}
_MEANINGS = dict.fromkeys(_VECTORS, 1.0)
CANDIDATES: Mapping[str, Mapping[str, float]] = {
    "rules": {"rules": 1.0},
    "words": _WORDS,
    "words and rules": {**_WORDS, "rules": 1.0},
    "words and vectors": {**_WORDS, **_MEANINGS},
    "words, vectors and rules": {**_WORDS, **_MEANINGS, "rules": 2.0},
}
"""What a facet's model may read: blocks and their weights, of which `fit` takes for each facet the one that serves it best."""

ALPHAS = (0.5, 1.0, 2.0)
"""How strongly weights may be held back."""

_BALANCE = 0.4
"""The power of a category's share by which its probability is divided for the best guess. Between 0.3 and 0.5 it makes little
difference on the annotated threads."""

_LEAST_TOGETHER = 2.0
"""Threads that two categories are thought to share, or as many as chance would have, beside those that they do share."""


class Contribution(NamedTuple):
    """What a term at a place adds to the log-odds of a category."""

    term: str
    place: Place
    weight: float


@dataclass(frozen=True)
class Calibration:
    """The second step's numbers for one facet.

    `lift` holds for each other facet the log of how much more often than by chance two categories meet, an array (categories
    of this facet, categories of that one).
    """

    scale: float
    prior: float
    rules: float
    others: float
    shares: np.ndarray
    lift: dict[str, np.ndarray] = field(default_factory=dict)


class FacetClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is not typed
    """Labels the facets of a thread's defect.

    Parameters
    ----------
    lexicon
        The written rules, if there are any for the taxonomy.
    vectors
        Fitted word vectors.
    candidates
        Blocks and their weights, by name, to choose from.
    alphas
        Penalties to choose from.

    Attributes
    ----------
    facets_, classes_
        The facets, and the categories of each, sorted.
    candidates_
        What was tried: `facet`, `candidate`, `alpha`, `n`, `log_loss`, `kappa` (both on threads of owners left out), `chosen`.
    left_out_
        Of each facet, probabilities for the training's rows by a model without the row's owner; NaN where the facet is not
        known.
    """

    def __init__(
        self,
        lexicon: Lexicon | None,
        vectors: WordVectors,
        *,
        candidates: Mapping[str, Mapping[str, float]] = CANDIDATES,
        alphas: Sequence[float] = ALPHAS,
    ) -> None:
        self.lexicon = lexicon
        self.vectors = vectors
        self.candidates = candidates
        self.alphas = alphas

    def __getstate__(self) -> dict[str, Any]:
        """Give what predictions take: neither a file nor another process needs what was tried and left out."""
        return {name: value for name, value in self.__dict__.items() if name not in ("candidates_", "left_out_")}

    def __sklearn_clone__(self) -> Self:
        """Return an unfitted classifier with the same fitted vectors and the same rules, which nothing changes."""
        return type(self)(**self.get_params(deep=False))

    def fit(self, documents: Sequence[Document], labels: pd.DataFrame) -> Self:
        """Learn from documents, a row a defect, and a column of categories a facet (None where nobody answered).

        Raises
        ------
        ValueError
            If a facet has no label at all.
        """
        self.facets_ = tuple(str(column) for column in labels.columns)
        known = [labels[facet].notna().to_numpy() for facet in self.facets_]
        if empty := [facet for facet, rows in zip(self.facets_, known, strict=True) if not rows.any()]:
            raise ValueError(f"no label of {', '.join(empty)}")
        self.classes_ = [np.unique(labels[facet].dropna().to_numpy(dtype=str)) for facet in self.facets_]
        answers = [
            (labels[facet].to_numpy(dtype=str)[:, None] == classes).astype(float)
            for facet, classes in zip(self.facets_, self.classes_, strict=True)
        ]
        read = [blocks(document, self.lexicon) for document in documents]
        found = self._fit_blocks(read)
        owners = _owners(documents)
        tried = list(self._tried(found, known, answers, owners))
        self.candidates_ = pd.DataFrame(
            [(facet, t.candidate, t.alpha, t.n, t.log_loss, t.kappa) for facet, t in tried],
            columns=["facet", "candidate", "alpha", "n", "log_loss", "kappa"],
        )
        best = [min((t for f, t in tried if f == facet), key=lambda t: t.log_loss) for facet in self.facets_]
        self.candidates_["chosen"] = [
            (t.candidate, t.alpha) == (best[self.facets_.index(f)].candidate, best[self.facets_.index(f)].alpha) for f, t in tried
        ]
        self._keep_weights(found, best)
        self._fit_probabilities([t.left_out for t in best], self._votes(read), known, answers)
        return self

    def predict_proba(self, documents: Sequence[Document]) -> list[np.ndarray]:
        """Return of each facet an array (documents, categories); rows add up to 1."""
        read = [blocks(document, self.lexicon) for document in documents]
        return [np.exp(logs) for logs in self._log_probabilities(self._scores(read), self._votes(read))]

    def predict(self, documents: Sequence[Document]) -> np.ndarray:
        """Return the best guesses, an array (documents, facets) of categories."""
        return self.best_guesses(self.predict_proba(documents))

    def best_guesses(self, probabilities: Sequence[np.ndarray]) -> np.ndarray:
        """Return the best guesses that follow from probabilities."""
        guesses = [
            classes[(rows / calibration.shares**_BALANCE).argmax(axis=1)]
            for classes, rows, calibration in zip(self.classes_, probabilities, self.calibrations_, strict=True)
        ]
        return np.stack([guess.astype(object) for guess in guesses], axis=1)

    def _scores(self, read: list[Blocks]) -> list[np.ndarray]:
        """Return the first step's scores, of each facet an array (documents, categories)."""
        scores = np.zeros((len(read), sum(map(len, self.classes_))), dtype=np.float32)
        for name, block in self._blocks(read).items():
            scores += block @ self.weights_[name].values
        return self._by_facet(scores)

    def contributions(self, document: Document, facet: str, category: str) -> list[Contribution]:
        """Return what each term adds to a category, against what it adds to the others (weighed by their probabilities).

        Terms that stand in several blocks at one place stand there several times.
        """
        index = self.facets_.index(facet)
        start = sum(map(len, self.classes_[:index]))
        columns = slice(start, start + len(self.classes_[index]))
        probabilities = self.predict_proba([document])[index][0]
        wanted = (self.classes_[index] == category).astype(np.float32) - probabilities
        calibration = self.calibrations_[index]
        read = [blocks(document, self.lexicon)]
        worth: dict[str, dict[str, float]] = {}
        for name, weights in self.weights_.items():
            direction = weights.values[:, columns] @ (calibration.scale * wanted)
            block, terms, each = self._each_term(name, read, direction)
            for term in terms:
                worth.setdefault(term, {}).setdefault(block, 0.0)
                worth[term][block] += each.get(term, 0.0)
        for rule in dict.fromkeys(read[0].rules):
            votes = self._votes([read[0]._replace(rules=[rule])])[index][0]
            of_rule = worth.setdefault(rule, {})
            of_rule["rules"] = of_rule.get("rules", 0.0) + calibration.rules * float(votes @ wanted)
        counts: dict[tuple[str, str], int] = {}
        where = list(places(document, self.lexicon))
        for block, term, _ in where:
            counts[block, term] = counts.get((block, term), 0) + 1
        return [
            Contribution(term, place, weight)
            for block, term, place in where
            for weight in [self._at(worth.get(term, {}), block, term, counts)]
            if weight
        ]

    def _each_term(self, name: str, read: list[Blocks], direction: np.ndarray) -> tuple[str, list[str], dict[str, float]]:
        """Return what each term of a document adds along a direction of a block, and by which terms of `places` to find it."""
        if name in _SPARSE:
            terms = sorted(set(getattr(read[0], name)))
            return name, terms, self.terms_[name].shares(terms, self.terms_[name].transform([getattr(read[0], name)]), direction)
        block, text = {
            "opening vectors": ("opening_words", read[0].opening_words),
            "comment vectors": ("comment_words", read[0].comment_words),
            "all vectors": (_ANY_WORDS, [*read[0].opening_words, *read[0].comment_words]),
        }[name]
        row = self.vectors.terms_.transform([text])
        length = float(np.linalg.norm(row @ self.vectors.vectors_.values - self.means_[name])) or 1.0
        words = sorted(set(text))
        return block, words, self.vectors.terms_.shares(words, row, self.vectors.vectors_.values @ direction / length)

    @staticmethod
    def _at(worth: dict[str, float], block: str, term: str, counts: dict[tuple[str, str], int]) -> float:
        """Return what a term adds at one of its places in a block: all places of a block share alike."""
        weight = worth.get(block, 0.0) / counts[block, term]
        if block in _WITH_VECTORS:
            weight += worth.get(_ANY_WORDS, 0.0) / sum(counts.get((other, term), 0) for other in _WITH_VECTORS)
        return weight

    def _fit_blocks(self, read: list[Blocks]) -> dict[str, Matrix]:
        wanted = {name for weights in self.candidates.values() for name in weights}
        self.terms_ = {name: HashedTerms(_MIN_DF).fit([getattr(of, name) for of in read]) for name in _SPARSE if name in wanted}
        self.means_ = {name: rows.mean(axis=0) for name, rows in self._vectors(read, wanted).items()}
        return self._blocks(read)

    def _blocks(self, read: list[Blocks]) -> dict[str, Matrix]:
        """Return the matrices of the blocks that the model reads, a row a document."""
        found: dict[str, Matrix] = {
            name: terms.transform([getattr(of, name) for of in read]) for name, terms in self.terms_.items()
        }
        for name, rows in self._vectors(read, self.means_).items():
            found[name] = normalize(rows - self.means_[name]) if len(rows) else rows
        return found

    def _vectors(self, read: list[Blocks], names: Collection[str]) -> dict[str, np.ndarray]:
        if not set(names) & set(_VECTORS):
            return {}
        opening, comments = (
            self.vectors.terms_.counts(texts) for texts in ([of.opening_words for of in read], [of.comment_words for of in read])
        )
        counts = dict(zip(_VECTORS, (opening, comments, opening + comments), strict=True))
        return {name: self.vectors.of_counts(of) for name, of in counts.items() if name in names}

    def _tried(
        self, found: dict[str, Matrix], known: list[np.ndarray], answers: list[np.ndarray], owners: np.ndarray
    ) -> Iterator[tuple[str, "_Tried"]]:
        kernels = {name: _inner(block) for name, block in found.items()}
        alike: dict[bytes, list[int]] = {}
        for index, rows in enumerate(known):
            alike.setdefault(rows.tobytes(), []).append(index)
        for candidate, weights in self.candidates.items():
            whole = sum(weights.values())
            kernel: Any = sum(weight / whole * kernels[name] for name, weight in weights.items())
            for alpha in self.alphas:
                for facets in alike.values():
                    rows = np.flatnonzero(known[facets[0]])
                    wanted = np.hstack([answers[i][rows] - answers[i][rows].mean(axis=0) for i in facets])
                    dual, left_out = _ridge(kernel[np.ix_(rows, rows)], wanted, owners[rows], alpha)
                    ends = np.cumsum([0, *(len(self.classes_[i]) for i in facets)])
                    for i, (start, end) in zip(facets, pairwise(ends), strict=True):
                        yield (
                            self.facets_[i],
                            _Tried.of(candidate, alpha, rows, dual[:, start:end], left_out[:, start:end], answers[i][rows]),
                        )

    def _keep_weights(self, found: dict[str, Matrix], best: list["_Tried"]) -> None:
        self.weights_ = {}
        for name, block in found.items():
            columns = []
            for facet, tried in enumerate(best):
                weights = self.candidates[tried.candidate]
                share = weights.get(name, 0.0) / sum(weights.values())
                columns.append(
                    share * (block[tried.rows].T @ tried.dual) if share else np.zeros((block.shape[1], len(self.classes_[facet])))
                )
            together = np.hstack(columns)
            if together.any():
                self.weights_[name] = RowScaled.of(together)
        self.terms_ = {name: terms for name, terms in self.terms_.items() if name in self.weights_}
        self.means_ = {name: mean for name, mean in self.means_.items() if name in self.weights_}

    def _fit_probabilities(
        self, scores: list[np.ndarray], votes: list[np.ndarray], known: list[np.ndarray], answers: list[np.ndarray]
    ) -> None:
        self.calibrations_ = [
            _calibrated(score, answer[rows], voted[rows])
            for score, voted, rows, answer in zip(scores, votes, known, answers, strict=True)
        ]
        everywhere = [np.full((len(rows), score.shape[1]), np.nan) for score, rows in zip(scores, known, strict=True)]
        for whole, score, rows in zip(everywhere, scores, known, strict=True):
            whole[rows] = score
        alone = self._alone(everywhere, votes)
        settled = []
        for index, calibration in enumerate(self.calibrations_):
            lift = {
                other: _lift(answers[index], answers[j], known[index] & known[j])
                for j, other in enumerate(self.facets_)
                if j != index and (known[index] & known[j]).any()
            }
            rows = known[index]
            said = self._said(lift, alone, len(calibration.shares))[rows]
            settled.append(_calibrated(scores[index], answers[index][rows], votes[index][rows], said, lift, calibration))
        self.calibrations_ = settled
        self.left_out_ = [np.exp(logs) for logs in self._log_probabilities(everywhere, votes)]

    def _log_probabilities(self, scores: list[np.ndarray], votes: list[np.ndarray]) -> list[np.ndarray]:
        alone = self._alone(scores, votes)
        return [
            np.asarray(log_softmax(_logits(c, s, v) + c.others * self._said(c.lift, alone, len(c.shares)), axis=1))
            for c, s, v in zip(self.calibrations_, scores, votes, strict=True)
        ]

    def _alone(self, scores: list[np.ndarray], votes: list[np.ndarray]) -> list[np.ndarray]:
        """Return the log probabilities of each facet for itself, before it hears what the others say."""
        return [log_softmax(_logits(c, s, v), axis=1) for c, s, v in zip(self.calibrations_, scores, votes, strict=True)]

    def _votes(self, read: list[Blocks]) -> list[np.ndarray]:
        """Return what the rules that hit say as they are written, of each facet an array (documents, categories)."""
        votes = [np.zeros((len(read), len(classes))) for classes in self.classes_]
        column = {(f, str(c)): (i, j) for i, f in enumerate(self.facets_) for j, c in enumerate(self.classes_[i])}
        for row, of in enumerate(read):
            for key, weight in self.lexicon.votes(of.rules).items() if self.lexicon else ():
                if key in column:
                    facet, category = column[key]
                    votes[facet][row, category] = weight
        return votes

    def _said(self, lift: dict[str, np.ndarray], alone: list[np.ndarray], categories: int) -> np.ndarray:
        """Return what the other facets say of each category: the log of how likely they make it, against chance, added up."""
        said = np.zeros((len(alone[0]), categories))
        for other, meets in lift.items():
            logs = alone[self.facets_.index(other)]
            said += np.nan_to_num(_log_sum_exp(logs[:, None, :] + meets))  # a facet that nobody asked for says nothing
        return said

    def _by_facet(self, together: np.ndarray) -> list[np.ndarray]:
        return np.split(together, np.cumsum([len(classes) for classes in self.classes_])[:-1], axis=1)


@dataclass(frozen=True)
class _Tried:
    """A candidate's model of one facet, before its probabilities."""

    candidate: str
    alpha: float
    rows: np.ndarray
    dual: np.ndarray
    left_out: np.ndarray
    log_loss: float
    kappa: float

    @property
    def n(self) -> int:
        return len(self.rows)

    @classmethod
    def of(
        cls, candidate: str, alpha: float, rows: np.ndarray, dual: np.ndarray, left_out: np.ndarray, answers: np.ndarray
    ) -> "_Tried":
        calibration = _calibrated(left_out, answers)
        logs = log_softmax(_logits(calibration, left_out), axis=1)
        truth, guess = answers.argmax(axis=1), (logs - _BALANCE * np.log(calibration.shares)).argmax(axis=1)
        kappa = float(cohen_kappa_score(truth, guess)) if answers.shape[1] > 1 else float("nan")
        return cls(candidate, alpha, rows, dual, left_out, -float(logs[answers > 0].mean()), kappa)


def _ridge(kernel: np.ndarray, wanted: np.ndarray, owners: np.ndarray, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """Return kernel ridge regression's dual weights, and each row's scores by a regression without its owner's rows."""
    factor, _ = lapack.dpotrf(kernel + alpha * np.eye(len(kernel)), lower=1)
    half, _ = lapack.dpotri(factor, lower=1)  # half the time of inverting a matrix that is not symmetric
    inverse = np.tril(half) + np.tril(half, -1).T
    dual = inverse @ wanted
    left_out = np.empty_like(wanted)
    for owner in np.unique(owners):
        rows = np.flatnonzero(owners == owner)
        left_out[rows] = wanted[rows] - np.linalg.solve(inverse[np.ix_(rows, rows)], dual[rows])
    return dual, left_out


def _owners(documents: Sequence[Document]) -> np.ndarray:
    """Return a number for the owner of each row's repository, whose other repositories have the same forms and maintainers.

    If there is one owner alone, threads stand for owners.
    """
    names = [document.repository.casefold().partition("/")[0] for document in documents]
    if len(set(names)) < 2:  # leaving the only one out would leave nothing
        names = [f"{document.repository.casefold()}#{document.number}" for document in documents]
    return np.unique(names, return_inverse=True)[1]


def _inner(block: Matrix) -> np.ndarray:
    product = block @ block.T
    return np.asarray(product.toarray() if sparse.issparse(product) else product, dtype=float)  # type: ignore[attr-defined]  # its stubs lack it


def _logits(calibration: Calibration, scores: np.ndarray, votes: Any = 0.0) -> np.ndarray:
    return np.asarray(calibration.scale * scores + calibration.prior * np.log(calibration.shares) + calibration.rules * votes)


def _calibrated(
    scores: np.ndarray,
    answers: np.ndarray,
    votes: Any = 0.0,
    said: Any = 0.0,
    lift: dict[str, np.ndarray] | None = None,
    start: Calibration | None = None,
) -> Calibration:
    """Find the numbers under which the answers are likeliest; what other facets say (`said`) counts if `lift` is given."""
    shares = answers.mean(axis=0)
    truth = answers.argmax(axis=1)
    logs = np.log(shares)

    def loss(numbers: np.ndarray) -> float:
        logits = np.exp(numbers[0]) * scores + numbers[1] * logs + numbers[2] * votes
        if lift:
            logits = logits + numbers[3] * said
        right = log_softmax(logits, axis=1)[np.arange(len(truth)), truth]
        return float(-right.mean() + 1e-3 * (numbers[1] - 1) ** 2)  # with two categories of one size, any weight will do

    first = [np.log(start.scale), start.prior, start.rules, 0.0] if start and lift else [1.5, 1.0, 0.0]
    best = minimize(loss, first, method="L-BFGS-B", bounds=[(-5, 8), (-1, 3), (0, 2), (0, 2)][: len(first)]).x
    scale, prior, rules, *others = map(float, best)
    return Calibration(float(np.exp(scale)), prior, rules, others[0] if others else 0.0, shares, lift or {})


def _log_sum_exp(terms: np.ndarray) -> np.ndarray:
    """Return SciPy's `logsumexp` over the last of three axes, to the last digit, in half the time: for finite numbers and NaN."""
    top = terms.max(axis=2, keepdims=True)
    of_top = terms == top
    with np.errstate(divide="ignore", invalid="ignore"):  # rows of NaN have no largest term
        count = of_top.sum(axis=2, dtype=float)
        rest = np.exp(np.where(of_top, -np.inf, terms) - top).sum(axis=2)
        return np.asarray(np.log1p(rest / count) + np.log(count) + top[..., 0])


def _lift(these: np.ndarray, those: np.ndarray, both: np.ndarray) -> np.ndarray:
    together = these[both].T @ those[both]
    chance = np.outer(these[both].sum(axis=0), those[both].sum(axis=0)) / both.sum()
    more = np.minimum(chance, 1) * _LEAST_TOGETHER + 1e-9
    return np.asarray(np.log(together + more) - np.log(chance + more))
