"""Two distributions of a facet compared, category by category: differences of shares with intervals.

A share may be counted among labels or estimated from a machine's. All that is taken of it is the share and its interval, from
which MOVER (`pipeline.intervals`) makes the interval of a difference. The two groups are taken for independent draws.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from pipeline.analyze.results import Distribution
from pipeline.intervals import LEVEL, Floats, mover
from pipeline.taxonomy import Facet

COUNTED = "counted"
"""The method of shares that were counted among labels."""

_SHARES = ["share", "low", "high"]
_COLUMNS = [
    "facet", "category", "method", "first", "first_low", "first_high", "second", "second_low", "second_high", "difference", "low",
    "high", "p", "holm",
]  # fmt: skip


@dataclass(frozen=True)
class Estimate:
    """The shares of a facet's categories in one group.

    Attributes
    ----------
    method
        `COUNTED`, or by what a machine's shares were corrected.
    frame
        A row a category: `category`, `share`, and its 95 % interval `low`, `high`.
    """

    facet: Facet
    method: str
    frame: pd.DataFrame


def counted(distribution: Distribution) -> Estimate:
    """Take the shares of a distribution for an estimate."""
    return Estimate(distribution.facet, COUNTED, distribution.frame[["category", *_SHARES]])


def differences(first: Sequence[Estimate], second: Sequence[Estimate]) -> pd.DataFrame:
    """Compare two groups in those of a facet's categories that both have a share of.

    Each estimate of one group is compared with that of the other by the same method, and with one that was counted.

    Returns
    -------
    A row a method and category: `facet`, `category`, `method`; the shares `first` and `second` with their intervals (`first_low`
    ...); `difference` (second less first) with its 95 % interval `low`, `high`; `p`, 1 less the level at which the interval would
    just reach 0 if it grew as a normal one does; and `holm`, p corrected by Holm (1979) for all of the facet's categories by this
    method.
    """
    tables = []
    for one in first:
        for two in second:
            if one.method != two.method and COUNTED not in (one.method, two.method):
                continue
            both = one.frame.merge(two.frame, on="category", suffixes=("_first", "_second"))
            both = both.sort_values("category", key=lambda ids: ids.map(one.facet.ids.index), ignore_index=True)
            sides = [both[[f"{column}_{side}" for column in _SHARES]].to_numpy(dtype=float) for side in ("first", "second")]
            gaps = mover(*sides)
            p = _p(gaps)
            table = pd.DataFrame(np.column_stack([*sides, gaps, p, holm(p)]), columns=_COLUMNS[3:])
            method = two.method if one.method == COUNTED else one.method
            tables.append(table.assign(facet=one.facet.id, category=both["category"], method=method)[_COLUMNS])
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=_COLUMNS)


def holm(p: Floats) -> Floats:
    """Return the p values of one family, corrected for their number by Holm's step-down procedure (1979)."""
    order = np.argsort(p, kind="stable")
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return corrected


def _p(gaps: Floats) -> Floats:
    size = np.abs(gaps[:, 0])
    reach = np.where(gaps[:, 0] > 0, gaps[:, 0] - gaps[:, 1], gaps[:, 2] - gaps[:, 0])
    ratio = np.divide(size, reach, out=np.where(size > 0, np.inf, 0.0), where=reach > 0)
    return np.asarray(2 * ndtr(-ratio * ndtri((1 + LEVEL) / 2)))
