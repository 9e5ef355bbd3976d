"""Small labellers with the interfaces of the real ones, for tests of what is built around these: naive Bayes on hashed words."""

import os
import re
import zlib
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple, Self

import numpy as np
import pandas as pd
from conftest import CHECKOUT

from pipeline.classify.facets import CANDIDATES, FacetClassifier
from pipeline.classify.features import vector_words
from pipeline.classify.habits import learn_habits
from pipeline.classify.lexicon import read_lexicon
from pipeline.classify.model_file import OWN_TYPES, Classifier, in_order
from pipeline.classify.text import Document, Origin, read_document
from pipeline.classify.vectors import WordVectors
from pipeline.importing import read_threads
from pipeline.taxonomy import read_taxonomy
from pipeline.thread import Thread

BUCKETS = 512
TYPES = (*OWN_TYPES, "standins.Facets", "standins.Gate")
FACETS = ["symptom", "stage", "root-cause"]


def counts(texts: Sequence[str]) -> np.ndarray:
    table = np.zeros((len(texts), BUCKETS))
    for row, text in enumerate(texts):
        for word in text.lower().split():
            table[row, zlib.crc32(word.encode()) % BUCKETS] = 1
    return table


def bayes(table: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    classes = np.unique(labels.astype(str))
    weights = np.stack([np.log(table[labels == c].sum(axis=0) + 0.5) - np.log((labels == c).sum() + 1.0) for c in classes])
    return classes, weights


def softmax(scores: np.ndarray) -> np.ndarray:
    exponents = np.exp(0.1 * (scores - scores.max(axis=1, keepdims=True)))
    return exponents / exponents.sum(axis=1, keepdims=True)


class Gate:
    def fit(self, threads: Sequence[Thread], labels: Sequence[str]) -> Self:
        self.classes_, self.weights_ = bayes(counts([t.title for t in threads]), np.array(labels))
        return self

    def predict_proba(self, threads: Sequence[Thread]) -> np.ndarray:
        return softmax(counts([t.title for t in threads]) @ self.weights_.T)


class Facets:
    def fit(self, documents: Sequence[Document], labels: pd.DataFrame) -> Self:
        self.facets_ = tuple(labels.columns)
        table = counts([d.text() for d in documents])
        learnt = []
        for facet in labels.columns:
            known = labels[facet].notna().to_numpy()
            learnt.append(bayes(table[known], labels[facet].to_numpy()[known]))
        self.classes_ = [classes for classes, _ in learnt]
        self.weights_ = [weights for _, weights in learnt]
        return self

    def predict_proba(self, documents: Sequence[Document]) -> list[np.ndarray]:
        table = counts([d.text() for d in documents])
        return [softmax(table @ weights.T) for weights in self.weights_]

    def best_guesses(self, probabilities: Sequence[np.ndarray]) -> np.ndarray:
        """Guess the last category, and no other, where it is nearly as likely as any."""
        columns = []
        for classes, rows in zip(self.classes_, probabilities, strict=True):
            raised = np.array(rows)
            raised[:, -1] += 0.05
            columns.append(classes[raised.argmax(axis=1)].astype(object))
        return np.stack(columns, axis=1)

    def contributions(self, document: Document, facet: str, category: str) -> "list[Contribution]":
        index = self.facets_.index(facet)
        weights = self.weights_[index] - self.weights_[index].mean(axis=0)
        row = weights[list(self.classes_[index]).index(category)]
        return [
            Contribution(
                (part.origin, part.comment, part.start + found.start(), part.start + found.end()),
                float(row[zlib.crc32(found[0].lower().encode()) % BUCKETS]),
            )
            for part in document.parts
            for found in re.finditer(r"\S+", part.text)
        ]


class Contribution(NamedTuple):
    place: tuple[Origin, int | None, int, int]
    weight: float


@cache
def demo_threads() -> list[Thread]:
    return list(read_threads(CHECKOUT / "data" / "demo" / "threads", lambda _: None))


@cache
def demo_labels() -> pd.DataFrame:
    """A row a demo thread that holds a defect, by repository and number, and a column a facet: the adjudicated label."""
    labels = pd.read_csv(CHECKOUT / "data" / "demo" / "labels.csv")
    labels = labels[(labels["round"] == "adjudicated") & (labels["defect"] == 1) & labels["facet"].isin(FACETS)]
    wide = labels.pivot(index=["repository", "number"], columns="facet", values="category")[FACETS]
    return wide.astype(object).where(wide.notna(), None)


@cache
def demo_classifier() -> Classifier:
    """A classifier that knows the demo corpus."""
    labels = demo_labels()
    habits = learn_habits(demo_threads())
    defects = [thread for thread in demo_threads() if (thread.repository, thread.number) in labels.index]
    rows = labels.loc[[(thread.repository, thread.number) for thread in defects]]
    told = ["bug" if t in defects else ("question", "feature")[t.number % 2] for t in demo_threads()]
    return Classifier(
        name="demo",
        gate=Gate().fit(demo_threads(), told),
        facets=Facets().fit([read_document(thread, habits) for thread in defects], rows),
        categories=in_order(read_taxonomy(CHECKOUT / "taxonomy" / "jiang2024.yaml"), FACETS),
        thresholds={"stage": 0.5, "symptom": 0.6},
        withheld=("root-cause",),
        habits=habits,
        data={"labels.csv": "0" * 64},
        versions={"redefect": "0.1.0"},
    )


class Fragile:
    """A gate that ends the process that it works in."""

    classes_ = np.array(["bug", "feature", "question"])

    def predict_proba(self, threads: Sequence[Thread]) -> np.ndarray:
        os._exit(1)


@cache
def real_facets() -> FacetClassifier:
    """The real labeller of facets, trained on the demo corpus, without choosing among candidates."""
    labels = demo_labels()
    documents = [read_document(t) for t in demo_threads() if (t.repository, t.number) in labels.index]
    rows = labels.loc[[(d.repository, d.number) for d in documents]].reset_index(drop=True)
    taxonomy = read_taxonomy(CHECKOUT / "taxonomy" / "jiang2024.yaml")
    lexicon = read_lexicon(CHECKOUT / "taxonomy" / "lexicons" / "jiang2024.yaml", taxonomy)
    vectors = WordVectors(20, min_df=3).fit([vector_words(document.text()) for document in documents])
    all_blocks = CANDIDATES["words, vectors and rules"]
    return FacetClassifier(lexicon, vectors, candidates={"all": all_blocks}, alphas=(0.3,)).fit(documents, rows)
