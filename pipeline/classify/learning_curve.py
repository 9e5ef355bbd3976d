"""How much better a facet is told the more threads are labelled, and what the next hundred would be worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline.classify.evaluation import Floats, Predicted, cluster_sums, evaluate, measures_of
from pipeline.classify.groups import Fold, Groups, checked, several_repositories_out
from pipeline.classify.labelled import Labelled

SIZES = (100, 200, 400, 800)

_RESAMPLES = 1000
_EXPONENTS = np.linspace(0.05, 1.5, 30)


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """How an estimator's scores rise with the threads that it learns from.

    Attributes
    ----------
    frame
        Columns `facet`, `threads` (the mean over folds), `n` (rows scored), `kappa` (pooled over folds and repeats) with its 95 %
        interval `low`, `high`, and `macro_f1`.
    drawn
        Of each facet, the kappas of resamples of both repeats and repositories: a column a number of threads.
    """

    frame: pd.DataFrame
    drawn: Mapping[str, Floats]


def learning_curve(
    labelled: Labelled,
    estimator: Any,
    groups: Groups,
    *,
    seed: int,
    sizes: Sequence[int] = SIZES,
    folds: int = 5,
    repeats: int = 5,
    jobs: int = 1,
) -> LearningCurve:
    """Score an estimator that learns from ever more threads on repositories that it saw none of.

    The smaller sets of a fold are parts of the larger ones, so that curves rise by what was added and not by whom chance drew.

    Parameters
    ----------
    sizes
        Threads to learn from (near-duplicates count as one); all that a fold allows come last. Where there are too few
        threads for two sizes, an eighth, a quarter and half of them.
    """
    cells: dict[str, list[list[Predicted]]] = {}  # by facet, by repeat, by size
    sizes_drawn: list[list[float]] = []
    drawn = [
        list(several_repositories_out(groups, labelled.labels, folds=folds, seed=seed + repeat)) for repeat in range(repeats)
    ]
    fewest = min(len(np.unique(groups.duplicates[fold.train])) for split in drawn for fold in split)
    fitting = [size for size in sizes if size < fewest]
    steps = [*(fitting if len(fitting) > 1 else [fewest // 8, fewest // 4, fewest // 2]), None]
    for repeat, split in enumerate(drawn):
        generator = np.random.default_rng(seed + repeat)
        orders = [generator.permutation(np.unique(groups.duplicates[fold.train])) for fold in split]
        sizes_drawn.append([float(np.mean([len(order[:size]) for order in orders])) for size in steps])
        for size in steps:
            parts = [_part(fold, order[:size], groups) for fold, order in zip(split, orders, strict=True)]
            made = evaluate("learning curve", labelled, {"": estimator}, parts, groups.families, jobs=jobs).predicted[""]
            for facet, predicted in made.items():
                of_repeats = cells.setdefault(facet, [[] for _ in range(repeats)])
                of_repeats[repeat].append(predicted)
    threads = np.mean(sizes_drawn, axis=0)
    rows, resamples = [], {}
    for facet, of_repeats in cells.items():
        sums = np.array([[cluster_sums(predicted) for predicted in steps] for steps in of_repeats])
        k, n = len(of_repeats[0][0].classes), of_repeats[0][0].n
        resamples[facet] = kappas = np.column_stack([_resampled(sums[:, step], k, seed) for step in range(sums.shape[1])])
        for step, all_of in enumerate(sums.sum(axis=(0, 2))):
            of = measures_of(all_of[None], k)
            low, high = np.percentile(kappas[:, step], [2.5, 97.5])
            rows.append(
                (facet, float(threads[step]), n, float(of["kappa"][0]), float(low), float(high), float(of["macro_f1"][0]))
            )
    return LearningCurve(pd.DataFrame(rows, columns=["facet", "threads", "n", "kappa", "low", "high", "macro_f1"]), resamples)


def _resampled(sums: Floats, k: int, seed: int) -> Floats:
    """Return the kappas of resamples of repeats (the first axis) and clusters (the second); each number of threads alike."""
    repeats, clusters = sums.shape[:2]
    generator = np.random.default_rng(seed)
    by_repeat, by_cluster = (
        generator.multinomial(size, np.full(size, 1 / size), size=_RESAMPLES).astype(float) for size in (repeats, clusters)
    )
    pooled = np.einsum("br,brs->bs", by_repeat, np.einsum("bc,rcs->brs", by_cluster, sums, optimize=True), optimize=True)
    return np.nan_to_num(measures_of(pooled, k)["kappa"])


def _part(fold: Fold, members: np.ndarray, groups: Groups) -> Fold:
    kept = np.isin(groups.duplicates[fold.train], members)
    return checked(Fold(fold.train[kept], fold.test), groups.duplicates, groups.families)


@dataclass(frozen=True, slots=True)
class Worth:
    """What more labelled threads would add to a facet's kappa, by its learning curve.

    Attributes
    ----------
    facet
        The facet.
    threads, kappa
        How many threads are labelled, and the kappa that the curve has there.
    more
        How many would be added.
    gain, low, high
        What they would add to kappa, with a 95 % interval: from resamples of the curve's repeats and of repositories.
    """

    facet: str
    threads: int
    kappa: float
    more: int
    gain: float
    low: float
    high: float

    def __str__(self) -> str:
        if self.high < 0.001:
            return f"{self.facet}: {self.more} more labelled threads would not change kappa ({self.kappa:.2f}) noticeably."
        return (
            f"{self.facet}: {self.more} more labelled threads would add about {self.gain:.3f} to kappa ({self.kappa:.2f} with "
            f"{self.threads:,}), 95 % interval {self.low:.3f} to {self.high:.3f}."
        )


def worth_of_more(curve: LearningCurve, threads: int, *, more: int = 100) -> list[Worth]:
    """Extend each facet's curve by an inverse power law, kappa = a - b * threads ** -c, fitted to it and to its resamples.

    Parameters
    ----------
    threads
        How many threads are labelled now.
    """
    found = []
    for facet, drawn in curve.drawn.items():
        of = curve.frame[curve.frame["facet"] == facet]
        means = np.vstack([of["kappa"].fillna(0), drawn])
        now, then = (_extended(of["threads"].to_numpy(), means, x) for x in (threads, threads + more))
        low, high = np.percentile((then - now)[1:], [2.5, 97.5])
        found.append(Worth(facet, threads, float(now[0]), more, float(then[0] - now[0]), float(low), float(high)))
    return found


def _extended(at: Floats, means: Floats, x: float) -> Floats:
    """Fit the law to each row of means by least squares, curves that fall being taken for flat, and return its values at x."""
    best = np.full(len(means), np.inf)
    values = means.mean(axis=1)
    for exponent in _EXPONENTS:
        shrunk = at**-exponent
        centred = shrunk - shrunk.mean()
        slope = np.maximum(0, -(means @ centred) / (centred @ centred))
        fitted = means.mean(axis=1)[:, None] - slope[:, None] * centred
        error = ((means - fitted) ** 2).sum(axis=1)
        better = error < best - 1e-12
        best = np.where(better, error, best)
        values = np.where(better, means.mean(axis=1) - slope * (x**-exponent - shrunk.mean()), values)
    return np.asarray(values)
