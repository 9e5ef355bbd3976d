"""Terms as numbers: TF-IDF of hashed terms, so that a model holds no word of anybody's text."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import scipy.sparse as sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction import FeatureHasher
from sklearn.utils import murmurhash3_32
from sklearn.utils.sparsefuncs_fast import inplace_csr_row_normalize_l2

_BUCKETS = 2**22
"""So many that two terms of a corpus seldom fall into one."""

_MOST_CODE = 127


class HashedTerms(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is not typed
    """TF-IDF (sublinear, rows of length 1) of terms by their hashes, those in fewer than `min_df` texts left out."""

    def __init__(self, min_df: int = 2) -> None:
        self.min_df = min_df

    def fit(self, texts: Iterable[Sequence[str]], y: None = None) -> Self:
        """Learn which terms there are and how rare each is, from texts that are sequences of terms."""
        found = self._hashed(texts)
        frequency = np.bincount(found.indices, minlength=_BUCKETS)
        self.buckets_ = np.flatnonzero(frequency >= self.min_df).astype(np.int32)
        self.idf_ = (np.log((1 + found.shape[0]) / (1 + frequency[self.buckets_])) + 1).astype(np.float32)
        return self

    def transform(self, texts: Sequence[Sequence[str]]) -> sparse.csr_matrix:
        """Return a sparse matrix (texts, terms), float32."""
        return self.weighed(self.counts(texts))

    def counts(self, texts: Sequence[Sequence[str]]) -> sparse.csr_matrix:
        """Return how often each text holds each of the known terms, a sparse matrix (texts, terms)."""
        found = self._hashed(texts)
        column = np.searchsorted(self.buckets_, found.indices)
        column[column == len(self.buckets_)] = 0
        known = self.buckets_[column] == found.indices if len(self.buckets_) else np.zeros(len(column), dtype=bool)
        ends = np.concatenate([[0], np.cumsum(known)])[found.indptr]
        return sparse.csr_matrix((found.data[known], column[known], ends), shape=(len(texts), len(self.buckets_)))

    def weighed(self, counts: sparse.csr_matrix) -> sparse.csr_matrix:
        """Return TF-IDF of counts."""
        if not counts.nnz:
            return counts
        values = (1 + np.log(counts.data)) * self.idf_[counts.indices]
        found = sparse.csr_matrix((values, counts.indices, counts.indptr), shape=counts.shape)
        inplace_csr_row_normalize_l2(found)
        return found

    def places(self, terms: Sequence[str]) -> np.ndarray:
        """Return the columns of those of the terms that are known, in their order."""
        hashes = np.array([abs(murmurhash3_32(term)) % _BUCKETS for term in terms], dtype=np.int32)
        column = np.searchsorted(self.buckets_, hashes)
        column[column == len(self.buckets_)] = 0
        return column[self.buckets_[column] == hashes] if len(self.buckets_) else column[:0]

    def shares(self, terms: Sequence[str], row: sparse.csr_matrix, direction: np.ndarray) -> dict[str, float]:
        """Return what each of a text's terms adds to its product with a direction; `row` is the text's, as transformed."""
        values = row.toarray()[0] * direction
        found = {}
        for term in terms:
            if len(column := self.places([term])):
                found[term] = float(values[column[0]])
        return found

    @staticmethod
    def _hashed(texts: Iterable[Sequence[str]]) -> sparse.csr_matrix:
        hasher = FeatureHasher(_BUCKETS, input_type="dict", alternate_sign=False, dtype=np.float32)
        return sparse.csr_matrix(hasher.transform(map(Counter, texts)))


@dataclass(frozen=True)
class RowScaled:
    """A matrix in a byte a value: each row's values are multiples of a step of its own, a 127th of its largest."""

    codes: np.ndarray
    steps: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> "RowScaled":
        """Round a matrix."""
        steps = (np.abs(values).max(axis=1, initial=0) / _MOST_CODE).astype(np.float32)
        codes = np.divide(values, steps[:, None], out=np.zeros_like(values), where=steps[:, None] > 0)
        return cls(np.rint(codes).astype(np.int8), steps)

    def __getstate__(self) -> dict[str, np.ndarray]:
        """Give what a file or another process needs: no `values`."""
        return {"codes": self.codes, "steps": self.steps}

    @cached_property
    def values(self) -> np.ndarray:
        """The matrix, float32; kept, since making it takes longer than what a hundred threads ask of it."""
        return np.asarray(self.codes.astype(np.float32) * self.steps[:, None])
