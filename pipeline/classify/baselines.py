"""What a classifier has to beat: the commonest category, chance, and the plainest model of words."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from pipeline.classify.text import Document


class FacetByFacet(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is not typed
    """One of scikit-learn's classifiers for each facet, each learnt from the rows that have an answer to it.

    Parameters
    ----------
    classifier
        The classifier, unfitted.
    words
        What makes numbers of the documents' texts, unfitted; None if the classifier does not look at them.
    """

    def __init__(self, classifier: Any, words: Any = None) -> None:
        self.classifier = classifier
        self.words = words

    def fit(self, documents: Sequence[Document], labels: pd.DataFrame) -> Self:
        """Learn from documents and their labels, a column a facet; None is no answer."""
        self.facets_ = tuple(str(column) for column in labels.columns)
        self.words_ = None if self.words is None else clone(self.words).fit(_texts(documents))
        features = self._features(documents)
        self.classifiers_ = []
        for facet in self.facets_:
            answered = np.flatnonzero(labels[facet].notna())
            categories = labels[facet].iloc[answered].to_numpy(dtype=str)
            several = len(np.unique(categories)) > 1
            classifier = clone(self.classifier) if several else DummyClassifier(strategy="prior")
            self.classifiers_.append(classifier.fit(features[answered], categories))
        self.classes_ = [classifier.classes_ for classifier in self.classifiers_]
        return self

    def predict_proba(self, documents: Sequence[Document]) -> list[np.ndarray]:
        """Return for each facet a row a document, with a probability for each of its `classes_`."""
        features = self._features(documents)
        return [classifier.predict_proba(features) for classifier in self.classifiers_]

    def predict(self, documents: Sequence[Document]) -> np.ndarray:
        """Return a row a document, with a category for each facet."""
        features = self._features(documents)
        return np.column_stack([classifier.predict(features) for classifier in self.classifiers_])

    def _features(self, documents: Sequence[Document]) -> Any:
        return np.zeros((len(documents), 1)) if self.words_ is None else self.words_.transform(_texts(documents))


def majority() -> FacetByFacet:
    """Return what always says the commonest category; its probabilities are the categories' shares."""
    return FacetByFacet(DummyClassifier(strategy="prior"))


def stratified_random(seed: int) -> FacetByFacet:
    """Return what draws a category by the categories' shares, and is sure of it."""
    return FacetByFacet(DummyClassifier(strategy="stratified", random_state=seed))


def plain_words() -> FacetByFacet:
    """Return a logistic regression on the tf-idf of all words, whatever part of the thread they stand in."""
    return FacetByFacet(
        LogisticRegression(C=10, class_weight="balanced", solver="newton-cg"),
        TfidfVectorizer(sublinear_tf=True, min_df=2),
    )


def _texts(documents: Sequence[Document]) -> list[str]:
    return [document.text() for document in documents]
