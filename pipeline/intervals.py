"""Intervals: how uncertain a share and an effect size are."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtri
from scipy.stats import ncx2

LEVEL = 0.95

Floats = NDArray[np.float64]


def wilson(count: float, n: float, level: float = LEVEL) -> tuple[float, float]:
    """Return Wilson's score interval of a share (Wilson 1927; Brown, Cai & DasGupta 2001 on why not Wald's).

    Parameters
    ----------
    count, n
        How many of how many. `count` may be a fraction, as when each issue has one vote that its defects split.

    Returns
    -------
    Bounds between 0 and 1; both are NaN when `n` is 0.
    """
    if n <= 0:
        return math.nan, math.nan
    z = float(ndtri((1 + level) / 2))
    share = count / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def wilson_of_clusters(x: int, n: int, xx: int, xn: int, nn: int, clusters: int, level: float = LEVEL) -> tuple[float, float]:
    """Return an interval of a share among things that come in clusters, which are a sample of clusters.

    The share's variance is that of a ratio of totals (Cochran 1977, section 3.12); the interval is Wilson's, of as many
    independent things as would have it (as Korn & Graubard 1998 do with Clopper and Pearson's), and of no more than there are.

    Parameters
    ----------
    x, n
        How many of how many.
    xx, xn, nn
        The sums over clusters of products of these numbers, as they are in each cluster.
    clusters
        How many clusters have any. Where all have the same share, so that nothing tells how clusters vary, they count as things.

    Returns
    -------
    Bounds between 0 and 1; both are NaN when `n` is 0.
    """
    if n <= 0:
        return math.nan, math.nan
    # In whole numbers, or what is left of large squares would be noise: n * n times the sum over clusters of (x - share * n)^2.
    residual = xx * n * n - 2 * x * xn * n + x * x * nn
    if residual <= 0 or clusters < 2:
        size = float(min(clusters, n))
    else:
        # share * (1 - share) / variance; the variance is residual / n^4 * clusters / (clusters - 1)
        size = min(float(n), x * (n - x) * n * n * (clusters - 1) / (residual * clusters))
    return wilson(x / n * size, size, level)


def mover(first: Floats, second: Floats) -> Floats:
    """Return the differences of independent estimates, second less first, with their intervals.

    By MOVER, the method of variance estimates recovery (Zou & Donner 2008), which takes no more than intervals of the estimates.

    Parameters
    ----------
    first, second
        Arrays (n, 3): an estimate a row, and the bounds of its interval.

    Returns
    -------
    An array (n, 3) like these; the intervals have the level of those of the estimates.
    """
    (one, one_low, one_high), (two, two_low, two_high) = first.T, second.T
    difference = two - one
    below, above = np.hypot(two - two_low, one_high - one), np.hypot(two_high - two, one - one_low)
    return np.column_stack([difference, difference - below, difference + above])


def newcombe(count: float, n: float, other: float, other_n: float, level: float = LEVEL) -> tuple[float, float]:
    """Return Newcombe's interval of the difference of two independent shares (Newcombe 1998, method 10: MOVER from Wilson's).

    Parameters
    ----------
    count, n
        How many of how many.
    other, other_n
        Of the group whose share is taken off.

    Returns
    -------
    Bounds between -1 and 1; both are NaN when a group is empty.
    """
    (low, high), (other_low, other_high) = wilson(count, n, level), wilson(other, other_n, level)
    if math.isnan(low) or math.isnan(other_low):
        return math.nan, math.nan
    taken, share = np.array([[other / other_n, other_low, other_high]]), np.array([[count / n, low, high]])
    ((_, below, above),) = mover(taken, share)
    return max(-1.0, float(below)), min(1.0, float(above))


def cramers_v(chi2: float, n: int, rows: int, columns: int, level: float = LEVEL) -> tuple[float, float, float]:
    """Return Cramer's V and its interval.

    The interval comes from inverting the noncentral chi-square distribution (Smithson 2003): its bounds are the
    noncentralities for which the observed statistic is just not too large, or not too small. The degrees of freedom are
    not added back, so that the lower bound is 0 exactly when a test at half of 1 - `level` does not reject independence.

    Parameters
    ----------
    chi2, n
        Pearson's statistic of the table, and the number of observations in it.
    rows, columns
        The table's shape, without empty rows and columns.

    Returns
    -------
    V and its bounds, all between 0 and 1; NaN when the table has a single row or column.
    """
    smaller = min(rows, columns) - 1
    if smaller < 1 or n == 0:
        return math.nan, math.nan, math.nan
    freedom = (rows - 1) * (columns - 1)
    tail = (1 - level) / 2

    def noncentrality(probability: float) -> float:
        def excess(nc: float) -> float:
            return float(ncx2.cdf(chi2, freedom, nc)) - probability

        if excess(1e-9) <= 0:
            return 0.0
        upper = chi2 + 10 * math.sqrt(chi2 + freedom) + 10
        return float(brentq(excess, 1e-9, upper))

    def v(statistic: float) -> float:
        return float(np.clip(math.sqrt(statistic / (n * smaller)), 0, 1))

    return v(chi2), v(noncentrality(1 - tail)), v(noncentrality(tail))
