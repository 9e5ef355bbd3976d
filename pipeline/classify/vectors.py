"""Word vectors from unlabelled threads: which words stand beside which tells what a thread is about, though few are labelled.

Positive pointwise mutual information of words that stand near each other, reduced to a few dimensions (Bullinaria & Levy 2007;
Levy, Goldberg & Dagan 2015). A model holds hashes of words, no words.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Self

import numpy as np
import scipy.sparse as sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.preprocessing import normalize
from sklearn.utils.extmath import randomized_svd

from pipeline.classify.terms import HashedTerms, RowScaled

_THREADS_AT_ONCE = 3_000
_MOST_WORDS = 500
"""Of a text, that vectors are learnt from: the longest texts are logs."""

_SMOOTHING = 0.75
"""The power to which a neighbour's frequency is raised, so that rare words do not take all."""


class WordVectors(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is not typed
    """Texts as weighted sums of their words' vectors.

    Parameters
    ----------
    dimensions
        Of a vector.
    window
        How many words to each side of a word are its neighbours.
    min_df
        In how many texts a word has to stand to have a vector.
    power
        To which singular values are raised: below 1, large dimensions count less.
    seed
        Of the randomised decomposition.
    """

    def __init__(self, dimensions: int = 200, *, window: int = 5, min_df: int = 10, power: float = 0.25, seed: int = 0) -> None:
        self.dimensions = dimensions
        self.window = window
        self.min_df = min_df
        self.power = power
        self.seed = seed

    def fit(self, texts: Iterable[Sequence[str]], y: None = None) -> Self:
        """Learn from texts, each a sequence of words; they are gone through twice."""
        self.terms_ = HashedTerms(min_df=self.min_df).fit(texts)
        size = len(self.terms_.buckets_)
        if not size:
            self.vectors_ = RowScaled.of(np.zeros((0, self.dimensions)))
            return self
        together: Any = sparse.csr_matrix((size, size), dtype=np.float32)  # type: ignore[arg-type]  # its stubs lack shapes
        rows = iter(texts)
        while chunk := list(islice(rows, _THREADS_AT_ONCE)):
            left, right = zip(*self._neighbours(chunk), strict=True)
            first, second = np.concatenate(left), np.concatenate(right)
            together = together + sparse.coo_matrix(
                (np.ones(len(first), dtype=np.float32), (first, second)), shape=together.shape
            )
        both: Any = sparse.coo_matrix(together + together.T, dtype=np.float64)
        frequency = np.asarray(both.sum(axis=1)).ravel()
        beside = frequency**_SMOOTHING / (frequency**_SMOOTHING).sum()
        information = np.log(both.data / (frequency[both.row] * beside[both.col]))
        kept = information > 0
        positive = sparse.csr_matrix((information[kept], (both.row[kept], both.col[kept])), shape=both.shape)
        dimensions = min(self.dimensions, size)
        _, values, vectors = randomized_svd(positive, dimensions, n_iter=2, random_state=self.seed)
        self.vectors_ = RowScaled.of(normalize(vectors.T * values**self.power))
        return self

    def transform(self, texts: Sequence[Sequence[str]]) -> np.ndarray:
        """Return an array (texts, dimensions)."""
        return self.of_counts(self.terms_.counts(texts))

    def of_counts(self, counts: sparse.csr_matrix) -> np.ndarray:
        """Return an array (texts, dimensions) for counts of `terms_`."""
        return np.asarray(self.terms_.weighed(counts) @ self.vectors_.values)

    def _neighbours(self, texts: Iterable[Sequence[str]]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for text in texts:
            places = self.terms_.places(text[:_MOST_WORDS])
            for distance in range(1, self.window + 1):
                yield places[:-distance], places[distance:]
