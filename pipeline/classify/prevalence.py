"""Prevalence from imperfect labels: the share of each category when a classifier gave the labels.

Counting machine labels gives the classifier's distribution, not the world's. Each method here returns a share of each category
with an interval for the population that the unlabelled threads were drawn from. They differ in what they need and assume:

=========================  =============================================  ======================================================
method                     needs                                          assumes
=========================  =============================================  ======================================================
`naive_count`              machine labels                                 errors that cancel out (they rarely do)
`adjusted_count`           + held-out predictions with their labels       prior shift: P(text | category) as in the held-out data
`probabilistic_adjusted`   the same                                       prior shift
`adapted_count`            the same                                       prior shift
`expectation`              the same                                       prior shift, and a calibration map of the right form
`prediction_powered`       + a gold sample drawn at random from the       nothing of the classifier
                           same population
`gold_alone`               the gold sample only                           nothing
=========================  =============================================  ======================================================

Prior shift does not hold where the held-out threads are written differently from the unlabelled ones (other repositories, other
years): there, only the last two keep their word, whatever the intervals of the others look like. So: with a gold sample,
`prediction_powered`; without, `adapted_count`; the rest is for comparison. `make bench-prevalence` measures all of them.

Labels are numbers of categories, from 0; `unlabelled` and `held_out` hold a row of probabilities a thread, a column a category.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from pipeline.errors import RedefectError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LEVEL = 0.95
REPLICATES = 1_000

_NORMAL = float(ndtri((1 + LEVEL) / 2))
_CELLS_AT_ONCE = 4_000_000
_RIDGE = 0.1
_STEPS_OF_LEAST_SQUARES = 300


@dataclass(frozen=True)
class Prevalence:
    """The share of each category by one method.

    Attributes
    ----------
    method
        What the table calls the method.
    assumption
        What has to hold for the interval to keep its level.
    frame
        A row a category: `category`, `naive` (the share among machine labels; NaN when there are none), `corrected` (the
        method's share; these add up to 1), its interval `low`, `high`, `n_unlabelled`, and `n_gold` (the threads with known
        labels that the correction rests on: the held-out ones, or the gold sample).
    effective
        For each category, how many gold labels alone would be worth as much; None for methods without a gold sample.
    quantile
        Of the normal distribution, that the interval of a method with a gold sample is made with.
    """

    method: str
    assumption: str
    frame: pd.DataFrame
    effective: Floats | None = None
    quantile: float = _NORMAL

    def __str__(self) -> str:
        shown = self.frame[["category"]].copy()
        for column in ("naive", "corrected"):
            shown[column] = ["" if np.isnan(share) else f"{share:.1%}" for share in self.frame[column]]
        shown["95 % interval"] = [
            f"[{low:.1%}, {high:.1%}]" for low, high in zip(self.frame["low"], self.frame["high"], strict=True)
        ]
        shown["n unlabelled"] = self.frame["n_unlabelled"]
        shown["n gold"] = self.frame["n_gold"]
        return f"{self.method} (assumes {self.assumption})\n{shown.to_string(index=False)}"

    __repr__ = __str__


@dataclass(frozen=True)
class GoldSampleTooSmall:
    """A gold sample that leaves a share less certain than was asked for."""

    category: str
    half_width: float
    wanted: float
    n: int
    needed: int

    def __str__(self) -> str:
        return (
            f"The gold sample of {self.n} threads is too small for intervals of ±{self.wanted:.1%}: that of '{self.category}' is "
            f"±{self.half_width:.1%}. {self.needed} threads drawn at random would do: label {self.needed - self.n} more."
        )


def naive_count(unlabelled: Floats, categories: Sequence[str], *, seed: int, replicates: int = REPLICATES) -> Prevalence:
    """Count the most probable categories; the interval (bootstrap) holds the sampling error and none of the classifier's."""
    _check_unlabelled(categories, unlabelled)
    shares = _counted(unlabelled)
    draws = np.random.default_rng(seed).multinomial(len(unlabelled), shares, size=replicates) / len(unlabelled)
    return _prevalence(
        "Naive count", "errors that cancel out", categories, shares, shares, _percentiles(draws), len(unlabelled), 0
    )


def adjusted_count(
    unlabelled: Floats,
    held_out: Floats,
    truth: Integers,
    categories: Sequence[str],
    *,
    seed: int,
    replicates: int = REPLICATES,
) -> Prevalence:
    """Correct the count by the confusion rates of the held-out threads (Forman 2008; Saerens et al. 2002 for many categories).

    The shares are the point of the simplex whose expected counts are nearest to the seen ones (least squares), which for two
    categories is (positive rate - false positive rate) / (true positive rate - false positive rate), kept within 0 and 1.
    """
    _check_samples(categories, unlabelled, held_out, truth)
    generator = np.random.default_rng(seed)
    k, sizes = len(categories), np.bincount(truth, minlength=len(categories))
    counts = np.bincount(held_out.argmax(1) * k + truth, minlength=k * k).reshape(k, k)
    rates, seen = counts / sizes, _counted(unlabelled)
    drawn = np.maximum(sizes - 1, 1)  # see _resampled_means
    drawn_rates = np.stack([generator.multinomial(drawn[j], rates[:, j], size=replicates) / drawn[j] for j in range(k)], axis=2)
    drawn_seen = generator.multinomial(len(unlabelled), seen, size=replicates) / len(unlabelled)
    return _prevalence(
        "Adjusted count (ACC)", "prior shift", categories, seen, _unmixed(rates[None], seen[None])[0],
        _percentiles(_unmixed(drawn_rates, drawn_seen), rates), len(unlabelled), len(held_out),
    )  # fmt: skip


def probabilistic_adjusted(
    unlabelled: Floats,
    held_out: Floats,
    truth: Integers,
    categories: Sequence[str],
    *,
    seed: int,
    replicates: int = REPLICATES,
) -> Prevalence:
    """Correct the mean probabilities by those of the held-out threads of each category (Bella et al. 2010).

    The probabilities need not be calibrated, as those of both sides are biased alike. The shares are found as in
    `adjusted_count`.
    """
    _check_samples(categories, unlabelled, held_out, truth)
    return _adjusted(
        "Probabilistic adjusted count (PACC)",
        unlabelled,
        held_out,
        truth,
        categories,
        _counted(unlabelled),
        seed,
        replicates,
    )


def adapted_count(
    unlabelled: Floats,
    held_out: Floats,
    truth: Integers,
    categories: Sequence[str],
    *,
    seed: int,
    replicates: int = REPLICATES,
) -> Prevalence:
    """Adjust as PACC does, but probabilities that are first moved to the shares that EMQ finds.

    Where the calibration fits, this is nearly as sharp as EMQ; where it does not, EMQ is biased, and this is not: it solves
    PACC's equations, which hold for any function of the text (Garg et al. 2020 compare both families). A tenth of equal shares
    is mixed into EMQ's, so that no category loses its probability.
    """
    _check_samples(categories, unlabelled, held_out, truth)
    logits, held_logits = _logits(unlabelled), _logits(held_out)
    fitted, _ = _calibration(held_logits, truth)
    calibrated, prior = _ratios(fitted, logits, held_logits)
    weights = (0.9 * expectation_maximised(calibrated, prior) + 0.1 / len(categories)) / prior
    moved, held_moved = (rows * weights for rows in (calibrated, _scaled(fitted, held_logits)))
    moved, held_moved = (rows / rows.sum(1, keepdims=True) for rows in (moved, held_moved))
    return _adjusted("PACC on EMQ's probabilities", moved, held_moved, truth, categories, _counted(unlabelled), seed, replicates)


def _adjusted(
    method: str,
    unlabelled: Floats,
    held_out: Floats,
    truth: Integers,
    categories: Sequence[str],
    naive: Floats,
    seed: int,
    replicates: int,
) -> Prevalence:
    generator = np.random.default_rng(seed)
    groups = [held_out[truth == j] for j in range(len(categories))]
    rates, seen = np.stack([group.mean(0) for group in groups], axis=1), unlabelled.mean(0)
    drawn_rates = np.stack([_resampled_means(group, replicates, generator) for group in groups], axis=2)
    drawn_seen = _resampled_means(unlabelled, replicates, generator)
    return _prevalence(
        method, "prior shift", categories, naive, _unmixed(rates[None], seen[None])[0],
        _percentiles(_unmixed(drawn_rates, drawn_seen), rates), len(unlabelled), len(held_out),
    )  # fmt: skip


def expectation(
    unlabelled: Floats,
    held_out: Floats,
    truth: Integers,
    categories: Sequence[str],
    *,
    seed: int,
    replicates: int = REPLICATES,
) -> Prevalence:
    """Find the shares under which the unlabelled threads are most likely, by EM (EMQ; Saerens, Latinne & Decaestecker 2002).

    The probabilities are calibrated on the held-out threads first, by a temperature and a bias a category (Alexandari, Kundaje
    & Shrikumar 2020). The bootstrap draws both samples anew; the calibration follows by one Newton step.
    """
    _check_samples(categories, unlabelled, held_out, truth)
    generator = np.random.default_rng(seed)
    logits, held_logits = _logits(unlabelled), _logits(held_out)
    fitted, moves = _calibration(held_logits, truth)
    ratios, prior = _ratios(fitted, logits, held_logits)
    shares = expectation_maximised(ratios, prior, tolerance=1e-10)
    draws = np.empty((replicates, len(categories)))
    ordered, sizes = np.argsort(truth, kind="stable"), np.bincount(truth)
    size, first = np.repeat(sizes, sizes), np.repeat(np.cumsum(sizes) - sizes, sizes)
    for draw in draws:
        held = ordered[first + generator.integers(size)]  # as many of each category as there are
        moved = fitted + moves[held].sum(0) - moves.sum(0)
        sample = logits[generator.integers(len(logits), size=len(logits))]
        draw[:] = expectation_maximised(*_ratios(moved, sample, held_logits[held]), start=shares, tolerance=1e-6)
    return _prevalence(
        "EMQ", "prior shift and a fitting calibration", categories, _counted(unlabelled), shares, _percentiles(draws, ratios),
        len(unlabelled), len(held_out),
    )  # fmt: skip


def expectation_maximised(
    posteriors: Floats, prior: Floats, *, start: Floats | None = None, tolerance: float = 1e-8, steps: int = 10_000
) -> Floats:
    """Return the fixed point of Saerens et al.'s EM: the mean of the posteriors that it implies.

    Parameters
    ----------
    posteriors, prior
        Calibrated probabilities, and the shares of the categories in the data that they were calibrated on.
    """
    ratios = posteriors / prior

    def improved(shares: Floats) -> Floats:
        following = shares * ((1 / (ratios @ shares)) @ ratios)
        return np.asarray(following / following.sum())

    shares = prior if start is None else (start + 1e-3 * prior) / 1.001  # EM never leaves a share of 0
    for _ in range(steps):
        first = improved(shares)
        step = first - shares
        if np.abs(step).max() < tolerance:
            return first
        # EM walks slowly where categories look alike: jump along its path (SQUAREM; Varadhan & Roland 2008).
        second = improved(first)
        turn = second - first - step
        length = max(1.0, math.sqrt(float(step @ step) / max(float(turn @ turn), 1e-300)))
        jump = shares + 2 * length * step + length**2 * turn
        shares = improved(jump if jump.min() > 0 else second)
    return shares


def prediction_powered(
    unlabelled: Floats,
    gold: Floats,
    truth: Integers,
    categories: Sequence[str],
) -> Prevalence:
    """Correct the mean probabilities by their error on a gold sample (Angelopoulos et al. 2023; PPI++ 2023 for its weight).

    Each category has the weight of the machine's part that makes its variance least. The normal interval of these papers is
    too short where a category is rare in the gold sample (it has no width when there is none of it). This one is Wilson's,
    for the number of gold labels that would be worth as much, as surveys have it (Korn & Graubard 1998; Dean & Pagano 2015).
    The shares are moved to the nearest point of the simplex, and an interval is stretched to its share where it must be.

    Parameters
    ----------
    gold, truth
        Probabilities and labels of threads drawn at random from the population; none of them is among `unlabelled`.
    """
    _check_probabilities(categories, unlabelled, "unlabelled")
    _check_probabilities(categories, gold, "gold")
    _check_labels(categories, truth, len(gold))
    answers = np.eye(len(categories))[truth]
    shares, _, weights = powered_means(answers, gold, unlabelled)
    effective = _worth(answers, gold, unlabelled, weights)
    bounds = _wilson(np.clip(shares, 0, 1), effective, _NORMAL)
    made = _prevalence(
        "Prediction-powered (PPI++)", "a gold sample drawn at random", categories, _counted(unlabelled),
        _onto_simplex(shares[None])[0], bounds, len(unlabelled), len(truth),
    )  # fmt: skip
    return replace(made, effective=effective)


def powered_means(answers: Floats, gold: Floats, unlabelled: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the PPI++ estimate of each column's mean, its variance, and the weight of the machine's part (between 0 and 1)."""
    n, many = len(answers), len(unlabelled)
    if many == 0 or n < 2:
        return answers.mean(0), answers.var(0) / n, np.zeros(answers.shape[1])
    spread = np.concatenate([gold, unlabelled]).var(0, ddof=1)
    shared = ((answers - answers.mean(0)) * (gold - gold.mean(0))).mean(0)
    weights = np.clip(np.divide(shared, spread * (1 + n / many), out=np.zeros_like(spread), where=spread > 0), 0, 1)
    estimate = weights * unlabelled.mean(0) + (answers - weights * gold).mean(0)
    return estimate, (answers - weights * gold).var(0) / n + weights**2 * unlabelled.var(0) / many, weights


def gold_alone(truth: Integers, categories: Sequence[str], *, simultaneous: bool = False) -> Prevalence:
    """Return the shares in the gold sample with Wilson's intervals or, `simultaneous`, Goodman's (1965), which hold together."""
    _check_labels(categories, truth, len(truth))
    shares = np.bincount(truth, minlength=len(categories)) / len(truth)
    quantile = float(ndtri(1 - (1 - LEVEL) / 2 / len(categories))) if simultaneous else _NORMAL
    n = np.full(len(categories), float(len(truth)))
    made = _prevalence(
        "Gold sample alone", "a gold sample drawn at random", categories, np.full(len(categories), np.nan), shares,
        _wilson(shares, n, quantile), 0, len(truth),
    )  # fmt: skip
    return replace(made, effective=n, quantile=quantile)


def too_small(estimate: Prevalence, half_width: float) -> GoldSampleTooSmall | None:
    """Say if a gold sample leaves any share's interval wider than ± `half_width`, and what size would do; None if all are narrow.

    The size that would do takes the shares, and how well the classifier follows the labels, to be as they are estimated.
    """
    if estimate.effective is None:
        raise RedefectError(f"{estimate.method} uses no gold sample: ask `prediction_powered` or `gold_alone`.")
    if not 0 < half_width < 0.5:
        raise RedefectError(f"A half-width of {half_width} is none: state it as a share between 0 and 0.5.")
    frame = estimate.frame
    n, many = int(frame["n_gold"].iloc[0]), int(frame["n_unlabelled"].iloc[0])
    halves = (frame["high"].to_numpy() - frame["low"].to_numpy()) / 2
    wide = np.flatnonzero(halves > half_width)
    if not len(wide):
        return None
    shares = frame["corrected"].to_numpy()
    needed = {i: _with_machine(_size_for(shares[i], half_width, estimate.quantile), n, many, estimate.effective[i]) for i in wide}
    worst = max(wide, key=lambda i: needed[i])
    size = max(n + 1, math.ceil(needed[worst]))
    return GoldSampleTooSmall(str(frame["category"].iloc[worst]), float(halves[worst]), half_width, n, size)


def _size_for(share: float, half_width: float, z: float) -> float:
    """Return the size from which on Wilson's half-width is at most `half_width`: a quadratic equation in n."""
    # half² = z² (n p q + z²/4) / (n + z²)², so half² n² + (2 half² - p q) z² n + (half² - 1/4) z⁴ = 0.
    a, b, c = half_width**2, (2 * half_width**2 - share * (1 - share)) * z**2, (half_width**2 - 0.25) * z**4
    return (-b + math.sqrt(b * b - 4 * a * c)) / (2 * a)


def _with_machine(alone: float, n: int, many: int, effective: float) -> float:
    """Return how many gold labels are worth `alone` ones beside `many` machine labels, as `n` of them are worth `effective`."""
    if many == 0:
        return alone
    explained = min(1.0, max(0.0, (1 - n / effective) * (n + many) / many))
    # The variance of PPI++ is that of gold alone times 1 - explained * many / (n + many): solve for n.
    gap = alone - many
    return (gap + math.sqrt(gap * gap + 4 * alone * many * (1 - explained))) / 2


def _check_samples(categories: Sequence[str], unlabelled: Floats, held_out: Floats, truth: Integers) -> None:
    """Refuse what the methods that rest on held-out threads cannot use."""
    _check_unlabelled(categories, unlabelled)
    _check_probabilities(categories, held_out, "held-out")
    _check_labels(categories, truth, len(held_out))
    if missing := [categories[j] for j, n in enumerate(np.bincount(truth, minlength=len(categories))) if not n]:
        raise RedefectError(f"No held-out thread is of {', '.join(missing)}: label some, or leave these categories out.")


def _check_unlabelled(categories: Sequence[str], unlabelled: Floats) -> None:
    _check_probabilities(categories, unlabelled, "unlabelled")
    if not len(unlabelled):
        raise RedefectError("There are no unlabelled threads: without any, only a gold sample tells the shares.")


def _check_probabilities(categories: Sequence[str], rows: Floats, name: str) -> None:
    k = len(categories)
    if rows.ndim != 2 or rows.shape[1] != k:
        raise RedefectError(f"The {name} threads have probabilities of shape {rows.shape}: give a column a category ({k}).")
    if not (np.isfinite(rows).all() and (rows >= 0).all() and np.allclose(rows.sum(1), 1, atol=1e-3)):
        raise RedefectError(f"The {name} threads have rows that are no probabilities: each must add up to 1, with none below 0.")


def _check_labels(categories: Sequence[str], truth: Integers, n: int) -> None:
    k = len(categories)
    if k < 2:
        raise RedefectError("Shares need at least two categories.")
    if len(truth) != n or n == 0:
        raise RedefectError(f"There are {len(truth)} labels for {n} labelled threads: give one for each, and at least one.")
    if truth.min() < 0 or truth.max() >= k:
        raise RedefectError(f"Labels go from {truth.min()} to {truth.max()}: they are numbers of categories, 0 to {k - 1}.")


def _prevalence(
    method: str,
    assumption: str,
    categories: Sequence[str],
    naive: Floats,
    shares: Floats,
    bounds: tuple[Floats, Floats],
    n_unlabelled: int,
    n_gold: int,
) -> Prevalence:
    low, high = (np.clip(bound, 0, 1) for bound in bounds)
    frame = pd.DataFrame(
        {
            "category": list(categories),
            "naive": naive,
            "corrected": shares,
            "low": np.minimum(low, shares),
            "high": np.maximum(high, shares),
            "n_unlabelled": n_unlabelled,
            "n_gold": n_gold,
        }
    )
    return Prevalence(method, assumption, frame)


def _counted(probabilities: Floats) -> Floats:
    if not len(probabilities):
        return np.full(probabilities.shape[1], np.nan)
    return np.bincount(probabilities.argmax(1), minlength=probabilities.shape[1]) / len(probabilities)


def _percentiles(draws: Floats, evidence: Floats | None = None) -> tuple[Floats, Floats]:
    """Return the bounds of the middle of the draws; 0 and 1 for categories that the columns of `evidence` do not tell apart."""
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(draws, [tail, 1 - tail], axis=0, method="weibull")  # right for few replicates, too
    if evidence is not None:
        values, directions = np.linalg.eigh(evidence.T @ evidence)
        blind = np.abs(directions[:, values < 1e-9 * values[-1]]).max(axis=1, initial=0) > 1e-6
        low, high = np.where(blind, 0, low), np.where(blind, 1, high)
    return np.asarray(low), np.asarray(high)


def _resampled_means(rows: Floats, replicates: int, generator: np.random.Generator) -> Floats:
    """Return the mean row of each of `replicates` samples with replacement.

    Each sample is smaller than `rows` by one: only so has its mean the variance of theirs where they are few (Rao & Wu 1988).
    """
    n, size_drawn = len(rows), max(1, len(rows) - 1)
    means = np.empty((replicates, rows.shape[1]))
    for part in _parts(replicates, n):
        size = part.stop - part.start
        drawn = generator.integers(n, size=(size, size_drawn)) + n * np.arange(size)[:, None]
        means[part] = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n) @ rows / size_drawn
    return means


def _parts(replicates: int, n: int) -> Iterator[slice]:
    step = max(1, _CELLS_AT_ONCE // n)
    for start in range(0, replicates, step):
        yield slice(start, min(start + step, replicates))


def _unmixed(rates: Floats, seen: Floats) -> Floats:
    """Return, for each of several systems, the point p of the simplex with the least |rates p - seen|².

    Accelerated projected gradient (Beck & Teboulle 2009), from the point that the unconstrained solution projects to.
    """
    gram = rates.transpose(0, 2, 1) @ rates
    target = (rates.transpose(0, 2, 1) @ seen[..., None])[..., 0]
    step = 1 / np.linalg.eigvalsh(gram)[:, -1:]
    free = np.asarray(np.linalg.solve(gram + 1e-9 * np.eye(gram.shape[-1]), target[..., None])[..., 0], dtype=np.float64)
    point = _onto_simplex(free)
    ahead, momentum = point, 1.0
    for _ in range(_STEPS_OF_LEAST_SQUARES):
        before = point
        following = _onto_simplex(ahead - step * ((gram @ ahead[..., None])[..., 0] - target))
        turned = ((ahead - following) * (following - point)).sum(1, keepdims=True) > 0
        growing = (1 + math.sqrt(1 + 4 * momentum**2)) / 2
        ahead = following + np.where(turned, 0.0, (momentum - 1) / growing) * (following - point)
        point, momentum = following, growing
        if np.abs(point - before).max() < 1e-6:
            break
    return point


def _onto_simplex(points: Floats) -> Floats:
    """Return the nearest points whose coordinates are not negative and add up to 1 (Duchi et al. 2008)."""
    ordered = -np.sort(-points, axis=1)
    excess = (np.cumsum(ordered, axis=1) - 1) / np.arange(1, points.shape[1] + 1)
    kept = (ordered > excess).sum(1) - 1
    projected = np.maximum(points - np.take_along_axis(excess, kept[:, None], 1), 0)
    return np.asarray(projected / projected.sum(1, keepdims=True))


def _wilson(shares: Floats, n: Floats, z: float) -> tuple[Floats, Floats]:
    # That of `pipeline.analyze.intervals`, a later stage, for many shares at once.
    centre = (shares + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(shares * (1 - shares) / n + z**2 / (4 * n**2))
    return centre - half, centre + half


def _worth(answers: Floats, gold: Floats, unlabelled: Floats, weights: Floats) -> Floats:
    """Return how many gold labels alone have the variance of the prediction-powered estimate: never fewer than there are."""
    n, many = len(answers), len(unlabelled)
    worth = np.full(answers.shape[1], float(n))
    if many == 0 or n < 3:
        return worth
    alone = answers.var(0, ddof=1) / n
    # The weight was tuned on the same few labels: one more degree of freedom is spent.
    powered = (answers - weights * gold).var(0) / (n - 2) + weights**2 * unlabelled.var(0) / many
    worth = np.divide(n * alone, powered, out=worth, where=(powered > 0) & (alone > 0))
    return np.asarray(np.clip(worth, n, n + many))


def _logits(probabilities: Floats) -> Floats:
    logits = np.log(np.clip(probabilities, 1e-9, 1))
    return np.asarray(logits - logits.max(1, keepdims=True))


def _scaled(parameters: Floats, logits: Floats) -> Floats:
    # `logits` are at most 0, so that this softmax cannot overflow; the sum by a product is the fast one for short rows.
    scaled = np.exp(parameters[0] * logits + (parameters[1:] - parameters[1:].max()))
    return np.asarray(scaled / (scaled @ np.ones(scaled.shape[1]))[:, None])


def _ratios(parameters: Floats, logits: Floats, held_logits: Floats) -> tuple[Floats, Floats]:
    """Return the calibrated probabilities, and the shares that they have in the data that they were calibrated on."""
    return _scaled(parameters, logits), _scaled(parameters, held_logits).mean(0)


def _calibration(logits: Floats, truth: Integers) -> tuple[Floats, Floats]:
    """Fit inverse temperature and biases by Newton's method, with a slight ridge towards no change.

    Returns
    -------
    The parameters, and for each thread the step that they take when it is counted once more.
    """
    n, k = logits.shape
    answers = np.eye(k)[truth]
    neutral = np.concatenate([[1.0], np.zeros(k)])
    parameters = neutral

    def loss(at: Floats) -> float:
        chosen = _scaled(at, logits)[np.arange(n), truth]
        return float(-np.log(np.maximum(chosen, 1e-300)).sum() + _RIDGE / 2 * ((at - neutral) ** 2).sum())

    def slopes(at: Floats) -> tuple[Floats, Floats]:
        given = _scaled(at, logits)
        # A row a thread and category: how its score changes with each parameter.
        design = np.concatenate([logits[:, :, None], np.broadcast_to(np.eye(k), (n, k, k))], axis=2)
        mean = np.einsum("nk,nkp->np", given, design)
        curvature = np.einsum("nk,nkp,nkq->pq", given, design, design) - mean.T @ mean + _RIDGE * np.eye(k + 1)
        return np.einsum("nk,nkp->np", answers - given, design), curvature

    for _ in range(100):
        scores, curvature = slopes(parameters)
        step = np.linalg.solve(curvature, scores.sum(0) - _RIDGE * (parameters - neutral))
        size, before = 1.0, loss(parameters)
        while loss(parameters + size * step) > before and size > 1e-8:
            size /= 2
        parameters = parameters + size * step
        if np.abs(step).max() < 1e-8:
            break
    scores, curvature = slopes(parameters)
    return parameters, np.asarray(np.linalg.solve(curvature, scores.T).T, dtype=np.float64)
