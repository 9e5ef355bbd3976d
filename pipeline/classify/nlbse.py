"""The benchmark NLBSE'24 (Kallis et al. 2024): 3,000 issues of five repositories, each a bug, a feature or a question."""

import re
import time
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedKFold

from pipeline.classify.gate import Gate
from pipeline.collect.tables import Row, read_csv
from pipeline.errors import RedefectError
from pipeline.thread import Thread

CLASSES = ("bug", "feature", "question")
TRAIN, TEST = "issues_train.csv", "issues_test.csv"
SETFIT = 0.8270
"""What the competition's best baseline reaches."""

_FOLDS = 10
_RESAMPLES = 2000
_SEED = 20240420
_REPOSITORY = re.compile(r"[^/\s]+/[^/\s]+")


@dataclass(frozen=True, slots=True)
class Split:
    """Issues and the class of each."""

    threads: list[Thread]
    labels: list[str]

    def __getitem__(self, rows: np.ndarray) -> "Split":
        """Return the issues at these places."""
        return Split([self.threads[row] for row in rows], [self.labels[row] for row in rows])

    @property
    def repositories(self) -> list[str]:
        """The repository of each issue."""
        return [thread.repository for thread in self.threads]


@dataclass(frozen=True, slots=True)
class RepositoryScore:
    """How well the issues of a repository were classified; tuples are in the order of `CLASSES`."""

    repository: str
    precision: tuple[float, ...]
    recall: tuple[float, ...]
    f1: tuple[float, ...]
    n: int

    @property
    def macro_f1(self) -> float:
        """The mean of the classes' F1."""
        return float(np.mean(self.f1))


@dataclass(frozen=True, slots=True)
class Score:
    """The competition's measure, the mean over repositories of macro F1, with a 95 % bootstrap interval over issues."""

    repositories: tuple[RepositoryScore, ...]
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Result:
    """The score on the test split, that of cross-validation within the training split, and the seconds that training took."""

    test: Score
    validated: Score | None
    seconds: float


def benchmark(folder: Path, *, dated: bool = False, embeddings: str | None = None, validate: bool = False) -> Result:
    """Train on the official training split, then read the test split and score on it.

    Parameters
    ----------
    dated
        Read the date of opening, too. Much of what it tells is how the benchmark's issues were drawn: each class of a
        repository is of other years.
    embeddings
        The folder of a sentence-transformers model that reads the texts, too; loading it and encoding are a part of training.
    validate
        Cross-validate within the training split, too, which takes ten trainings more.

    Raises
    ------
    RedefectError
        If one of the two files is missing or is not what it should be.
    """
    train = read_split(folder / TRAIN)
    begun = time.perf_counter()
    gate = Gate(dated=dated, embeddings=embeddings).fit(train.threads, train.labels)
    seconds = time.perf_counter() - begun
    validated = cross_validate(train, dated=dated, embeddings=embeddings) if validate else None
    test = read_split(folder / TEST)
    return Result(score(test, gate.predict(test.threads)), validated, seconds)


def cross_validate(split: Split, *, dated: bool = False, embeddings: str | None = None, seed: int = _SEED) -> Score:
    """Score predictions of each issue by a model that was trained without its tenth, repositories and classes being balanced."""
    strata = [f"{repository} {label}" for repository, label in zip(split.repositories, split.labels, strict=True)]
    predicted = np.empty(len(strata), dtype=object)
    for inside, outside in StratifiedKFold(_FOLDS, shuffle=True, random_state=seed).split(strata, strata):
        train = split[inside]
        gate = Gate(dated=dated, embeddings=embeddings).fit(train.threads, train.labels)
        predicted[outside] = gate.predict(split[outside].threads)
    return score(split, predicted)


def read_split(path: Path) -> Split:
    """Read one of the competition's two files; an issue's row stands for its number, which they do not tell.

    Raises
    ------
    RedefectError
        If the file is no such table, has a row that is no issue of a known class, or lacks a class.
    """
    rows = list(read_csv(path, ["repo", "created_at", "label", "title", "body"]))
    split = Split([_thread(row) for row in rows], [_label(row) for row in rows])
    if missing := [label for label in CLASSES if label not in split.labels]:
        raise RedefectError(f"{path}: has no issue labelled {' or '.join(missing)}; get it again.")
    return split


def _thread(row: Row) -> Thread:
    if not _REPOSITORY.fullmatch(row["repo"]):
        raise row.error(f"'{row['repo']}' is no repository; write owner/name.")
    day = row.time("created_at")
    if day is not None:
        day = day.replace(tzinfo=UTC) if day.tzinfo is None else day.astimezone(UTC)
    return Thread(repository=row["repo"], number=row.number, title=row["title"], body=row["body"], created_at=day)


def _label(row: Row) -> str:
    if row["label"] not in CLASSES:
        raise row.error(f"'{row['label']}' is no class of the benchmark; those are {', '.join(CLASSES)}.")
    return row["label"]


def score(split: Split, predicted: np.ndarray, seed: int = _SEED) -> Score:
    """Compare predicted classes with those of the split.

    The interval resamples the issues of each repository, whose number is the benchmark's choice.
    """
    names = sorted(set(split.repositories))
    counts = np.zeros((len(names), len(CLASSES), len(CLASSES)))
    for repository, label, said in zip(split.repositories, split.labels, predicted, strict=True):
        counts[names.index(repository), CLASSES.index(label), CLASSES.index(said)] += 1
    precision, recall, f1 = _measures(counts)
    generator = np.random.default_rng(seed)
    resampled = np.stack(
        [generator.multinomial(int(c.sum()), c.ravel() / c.sum(), size=_RESAMPLES).reshape(-1, *c.shape) for c in counts], axis=1
    )
    low, high = np.percentile(_measures(resampled)[2].mean(axis=(1, 2)), [2.5, 97.5])
    by_repository = [
        RepositoryScore(name, tuple(precision[row]), tuple(recall[row]), tuple(f1[row]), int(counts[row].sum()))
        for row, name in enumerate(names)
    ]
    return Score(tuple(by_repository), float(f1.mean()), float(low), float(high))


def _measures(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return precision, recall and F1 by class from tables of true by predicted class; nothing of nothing is 0."""
    right = np.diagonal(counts, axis1=-2, axis2=-1)
    true, said = counts.sum(axis=-1), counts.sum(axis=-2)
    return right / np.maximum(said, 1), right / np.maximum(true, 1), 2 * right / np.maximum(true + said, 1)
