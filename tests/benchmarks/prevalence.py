"""Do the intervals of prevalence keep their word, and what is a correction worth? `make bench-prevalence`.

Each resample draws shares from a flat Dirichlet distribution, unlabelled threads with these shares, held-out threads with the
shares of the training data, and a gold sample from the same population as the unlabelled ones. Coverage is of the drawn shares,
over all categories and resamples. Synthetic classifiers come first; then, where `../shared` is, the out-of-fold predictions of
a TF-IDF logistic regression on the annotated threads are the population that all samples are drawn from, with replacement.
"""

import argparse
import csv
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from pipeline.classify.prevalence import (
    adapted_count,
    adjusted_count,
    expectation,
    gold_alone,
    naive_count,
    powered_means,
    prediction_powered,
    probabilistic_adjusted,
)

SHARED = Path(os.environ.get("REDEFECT_SHARED", Path(__file__).parents[3] / "shared"))
ARCHIVE = SHARED / "corpora" / "denchmark" / "denchmark-stage2-bugreports.tar.xz"
LABELS = SHARED / "annotations" / "labels.csv"
HELD_OUT, UNLABELLED, GOLD, REPLICATES = 600, 1000, 100, 200
RAREST = 15
TRAINING = np.array([0.30, 0.22, 0.16, 0.12, 0.08, 0.06, 0.04, 0.02])

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Classifier:
    """Texts as points around a centre a category, and what a model with its own idea of the centres makes of them."""

    centres: Floats
    believed: Floats
    sharpness: float = 1.0

    @property
    def training(self) -> Floats:
        return TRAINING

    def predict(self, labels: Integers, generator: np.random.Generator, moved: Floats | float = 0.0) -> Floats:
        points = self.centres[labels] + moved + generator.normal(size=(len(labels), self.centres.shape[1]))
        scores = points @ self.believed.T - (self.believed**2).sum(1) / 2 + np.log(TRAINING)
        probabilities: Floats = softmax(self.sharpness * scores, axis=1)
        return probabilities


@dataclass(frozen=True)
class Annotated:
    """Predictions for threads whose labels are known: samples are drawn from them with replacement."""

    probabilities: Floats
    labels: Integers

    @property
    def training(self) -> Floats:
        return np.bincount(self.labels) / len(self.labels)

    def predict(self, labels: Integers, generator: np.random.Generator, moved: Floats | float = 0.0) -> Floats:
        rows = np.empty(len(labels), dtype=np.int64)
        for label in np.unique(labels):
            here = labels == label
            rows[here] = generator.choice(np.flatnonzero(self.labels == label), here.sum())
        return self.probabilities[rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--resamples", type=int, default=500)
    parser.add_argument("--only", default="", help="a part of the name of the populations to take")
    arguments = parser.parse_args()
    print(
        f"{arguments.resamples} resamples of {HELD_OUT} held-out, {UNLABELLED} unlabelled and {GOLD} gold threads; "
        f"{REPLICATES} bootstrap replicates; level 95 %, aim 93 to 97 %.\n"
    )
    print("| population | method | coverage | verdict | mean absolute error | of the naive count's | mean width |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for name, (made, moved, broken) in POPULATIONS.items():
        if arguments.only in name:
            if (population := made()) is None:
                print(f"{name}: left out, as the annotated threads are not here: {SHARED}", file=sys.stderr)
            else:
                report(name, population, moved, broken, arguments.resamples)


def classifier(wrong: float = 0.0, sharpness: float = 1.0) -> Classifier:
    generator = np.random.default_rng(20240401)
    centres = generator.normal(size=(8, 10))
    centres *= 1.65 / np.linalg.norm(centres, axis=1, keepdims=True)
    return Classifier(centres, centres + wrong * generator.normal(size=centres.shape), sharpness)


def report(name: str, population: Classifier | Annotated, moved: Floats | float, broken: str, resamples: int) -> None:
    k = len(population.training)
    categories = [str(i) for i in range(k)]
    covered: dict[str, list[Floats]] = {}
    errors: dict[str, list[float]] = {}
    widths: dict[str, list[float]] = {}
    right: list[float] = []
    began = time.perf_counter()
    for seed in range(resamples):
        generator = np.random.default_rng([20240402, seed])
        shares = generator.dirichlet(np.ones(k))
        held_labels = generator.choice(k, HELD_OUT, p=population.training)
        while len(np.unique(held_labels)) < k:
            held_labels = generator.choice(k, HELD_OUT, p=population.training)
        held = population.predict(held_labels, generator)
        unlabelled = population.predict(generator.choice(k, UNLABELLED, p=shares), generator, moved)
        truth = generator.choice(k, GOLD, p=shares)
        gold = population.predict(truth, generator, moved)
        right.append(float((held.argmax(1) == held_labels).mean()))
        how = {"seed": seed, "replicates": REPLICATES}
        made = [
            naive_count(unlabelled, categories, **how),
            adjusted_count(unlabelled, held, held_labels, categories, **how),
            probabilistic_adjusted(unlabelled, held, held_labels, categories, **how),
            adapted_count(unlabelled, held, held_labels, categories, **how),
            expectation(unlabelled, held, held_labels, categories, **how),
            prediction_powered(unlabelled, gold, truth, categories),
            gold_alone(truth, categories),
        ]
        rows = [(m.method, *(m.frame[c].to_numpy() for c in ("corrected", "low", "high"))) for m in made]
        means, variances, _ = powered_means(np.eye(k)[truth], gold, unlabelled)
        half = 1.959964 * np.sqrt(variances)
        rows.insert(6, ("PPI++ with its normal interval", means, means - half, means + half))
        for method, estimate, low, high in rows:
            covered.setdefault(method, []).append((low <= shares) & (shares <= high))
            errors.setdefault(method, []).append(float(np.abs(estimate - shares).mean()))
            widths.setdefault(method, []).append(float((high - low).mean()))
    naive = np.mean(errors["Naive count"])
    title = f"{name} ({k} categories, accuracy {np.mean(right):.2f})"
    for method in covered:
        coverage = float(np.mean(covered[method]))
        verdict = "held" if 0.93 <= coverage <= 0.97 else "below" if coverage < 0.93 else "above"
        if broken == "prior shift" and method.startswith(("Adj", "PACC", "Prob", "EMQ")):
            verdict += ", prior shift does not hold"
        if broken == "calibration" and method == "EMQ":
            verdict += ", the calibration need not fit"
        print(
            f"| {title} | {method} | {coverage:.1%} | {verdict} | {np.mean(errors[method]):.4f} "
            f"| {np.mean(errors[method]) / naive:.2f} | {np.mean(widths[method]):.3f} |",
            flush=True,
        )
    print(f"{name}: {time.perf_counter() - began:.0f} s", file=sys.stderr)


@cache
def annotated_texts() -> dict[tuple[str, int], str]:
    from pipeline.importing import read_threads

    with LABELS.open(encoding="utf-8", newline="") as file:
        wanted = {(row["repository"].casefold(), int(row["number"])) for row in csv.DictReader(file)}
    return {
        (thread.repository.casefold(), thread.number): f"{thread.title}\n{thread.body or ''}"
        for thread in read_threads(ARCHIVE, lambda _: None)
        if (thread.repository.casefold(), thread.number) in wanted
    }


def out_of_fold(facet: str) -> Annotated | None:
    """Predict each annotated thread by a model trained without it; categories with fewer than 15 threads are left out."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline

    if not (ARCHIVE.exists() and LABELS.exists()):
        return None
    texts = annotated_texts()
    with LABELS.open(encoding="utf-8", newline="") as file:
        labelled = {
            (row["repository"].casefold(), int(row["number"])): row["category"]
            for row in csv.DictReader(file)
            if row["facet"] == facet and row["round"] in ("adjudicated", "single")
        }
    known = sorted(key for key in labelled if key in texts)
    _, numbers, counts = np.unique([labelled[key] for key in known], return_inverse=True, return_counts=True)
    kept = np.flatnonzero(counts[numbers] >= RAREST)
    labels = np.unique(numbers[kept], return_inverse=True)[1]
    model = make_pipeline(
        TfidfVectorizer(sublinear_tf=True, min_df=2, max_features=20_000),
        LogisticRegression(C=10, class_weight="balanced", max_iter=1000),
    )
    probabilities = cross_val_predict(
        model,
        [texts[known[i]] for i in kept],
        labels,
        cv=StratifiedKFold(5, shuffle=True, random_state=0),
        method="predict_proba",
    )
    return Annotated(np.asarray(probabilities, dtype=np.float64), labels.astype(np.int64))


POPULATIONS: dict[str, tuple[Callable[[], Classifier | Annotated | None], Floats | float, str]] = {
    "synthetic, calibrated": (classifier, 0.0, ""),
    "synthetic, miscalibrated": (lambda: classifier(0.15, 2.5), 0.0, "calibration"),
    "synthetic, texts that shift": (classifier, 0.3 * np.random.default_rng(3).normal(size=10), "prior shift"),
    "annotations, symptom": (lambda: out_of_fold("symptom"), 0.0, "calibration"),
    "annotations, stage": (lambda: out_of_fold("stage"), 0.0, "calibration"),
}


if __name__ == "__main__":
    main()
