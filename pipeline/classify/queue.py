"""Which issues to label next: those from which a classifier would learn most, so that annotators spend their hours well.

An issue teaches much when the classifier is unsure of it, when many others are like it, and when none of those before it in
the queue is. The simulation in `tests/benchmarks/label_queue.py` chose among such rules, and tells what this one is worth.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

from pipeline.classify.model_file import FacetPrediction, Prediction
from pipeline.facts import IssueReference
from pipeline.thread import Thread

_MOST_TEXT = 8000  # characters: what an issue is about stands in its beginning, and logs may be long
_WORDS = HashingVectorizer(n_features=2**15, alternate_sign=False, norm=None, ngram_range=(1, 2), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Queued:
    """An issue to label.

    Attributes
    ----------
    uncertainty
        The share of its facets that the classifier's best guesses are expected to get wrong, times the probability that there is
        a defect at all.
    why
        The facet whose two likeliest categories are closest.
    uncertain_facets
        Those of which the classifier abstains.
    """

    issue: IssueReference
    uncertainty: float
    why: str
    uncertain_facets: tuple[str, ...]


def queued(prediction: Prediction) -> Queued:
    """Return what a prediction tells of the worth of labelling its issue."""
    return Queued(
        IssueReference(prediction.repository, prediction.number),
        round(uncertainty(prediction), 4),
        _why(prediction),
        tuple(facet for facet, of in prediction.facets.items() if of.abstained),
    )


def uncertainty(prediction: Prediction) -> float:
    """Return how unsure a classifier is of a thread, from 0 to 1."""
    doubts = [1 - of.probability for of in prediction.facets.values()]
    return prediction.gate["defect"] * sum(doubts) / max(len(doubts), 1)


def vectors(threads: Sequence[Thread]) -> csr_matrix:
    """Return the counts of the words of title and body, a row a thread: what `ranked` compares issues by."""
    counts: csr_matrix = _WORDS.transform([f"{thread.title}\n{(thread.body or '')[:_MOST_TEXT]}" for thread in threads])
    return counts


def ranked(doubts: Sequence[float], counts: csr_matrix, size: int, groups: Sequence[str] | None = None) -> list[int]:
    """Return the rows of the issues to label, the first first; one from which the same would be learnt comes after others.

    Each next one is that with the most doubt times the root of its likeness to all issues times its distance from the nearest
    one before it. There is no chance in it.

    Parameters
    ----------
    doubts
        How unsure the classifier is of each issue.
    counts
        See `vectors`.
    groups
        Of each issue, for instance its repository: of each group as many are taken as of any other, while it has some.
    """
    weighted = TfidfTransformer(sublinear_tf=True).fit_transform(counts)  # rows of length 1: products are likenesses
    central = np.asarray(weighted @ np.asarray(weighted.mean(axis=0)).ravel())
    worth = np.asarray(doubts) * np.sqrt(np.maximum(central, 0))
    distance = np.ones(len(worth))
    free = np.ones(len(worth), dtype=bool)
    members = {group: np.array([other == group for other in groups]) for group in sorted(set(groups))} if groups else {}
    taken = dict.fromkeys(members, 0)
    chosen: list[int] = []
    while len(chosen) < min(size, len(worth)):
        open_ = free.copy()
        if groups is not None:
            least = min(taken[group] for group, of in members.items() if (of & free).any())
            open_ &= np.logical_or.reduce([of for group, of in members.items() if taken[group] == least])
        best = int(np.where(open_, worth * distance, -1.0).argmax())
        chosen.append(best)
        free[best] = False
        if groups is not None:
            taken[groups[best]] += 1
        likeness = np.asarray((weighted @ weighted[best].T).todense()).ravel()
        distance = np.minimum(distance, 1 - np.clip(likeness, 0, 1))
    return chosen


def _why(prediction: Prediction) -> str:
    def two(of: FacetPrediction) -> list[tuple[str, float]]:
        return sorted(of.probabilities.items(), key=lambda item: -item[1])[:2]

    close = {facet: two(of) for facet, of in prediction.facets.items() if len(of.probabilities) > 1}
    if not close:
        return ""
    facet = min(close, key=lambda name: close[name][0][1] - close[name][1][1])
    (first, p), (second, q) = close[facet]
    return f"{facet}: {first} {p:.2f} or {second} {q:.2f}"
