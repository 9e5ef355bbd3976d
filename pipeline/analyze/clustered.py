"""Shares among threads that come by repository: from sums that add up over any parts, and so of all of GitHub.

A repository's threads are alike, so an interval that takes them for independent is too narrow. The variance of a share is that of
a ratio of totals of clusters (Cochran 1977, section 3.12), and Wilson's interval is taken at the size of the simple random sample
that has it (as Korn & Graubard 1998 do with Clopper and Pearson's).
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import compress, repeat
from typing import Any

import numpy as np
import pandas as pd

from pipeline.intervals import wilson_of_clusters

KEYS = ["period", "facet", "category"]
_SUMS = ["threads", "squares", "products", "repositories"]
NO_SUMS = pd.DataFrame({key: pd.Series(dtype=object) for key in KEYS} | {name: pd.Series(dtype=np.int64) for name in _SUMS})
"""A frame of sums without rows."""

ALL = "all"
"""The period that all others are in."""

_BASE = ""


def cluster_sums(
    labels: Mapping[str, Sequence[Any]], gate: str, defect: str, facets: Sequence[str], missing: str
) -> pd.DataFrame:
    """Count labels by period, facet and category, with what it takes to know how uncertain their shares are.

    Parameters
    ----------
    labels
        Columns with a text a thread: `repository`, `period`, `gate`, and each of `facets`, where None is none. All threads of a
        repository are here.
    gate, defect
        The column whose categories are counted among all threads, and its category among whose threads the facets' are.
    missing
        As which a facet without a category is counted.

    Returns
    -------
    A frame with `KEYS`; with r for a repository, x for its threads of the category and n for all of its that were asked, of this
    period: `threads` (the sum of x), `squares` (x * x), `products` (x * n), and `repositories` (for how many x is not 0). A row
    whose category is empty has n for x. They add up over parts that share no repository.
    """
    is_defect = [of == defect for of in labels[gate]]
    sums: defaultdict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0] * len(_SUMS))
    for facet in (gate, *facets):
        asked = repeat(True) if facet == gate else is_defect
        repositories, periods, categories = (list(compress(labels[name], asked)) for name in ("repository", "period", facet))
        for period in (repeat(ALL), periods):
            pairs = list(zip(period, repositories, strict=False))
            of_repository = Counter(pairs)
            by_category = Counter(zip(pairs, categories, strict=True))
            each = [(pair, category or missing, x) for (pair, category), x in by_category.items()]
            each += [(pair, _BASE, n) for pair, n in of_repository.items()]
            for pair, category, x in each:
                of = sums[pair[0], facet, category]
                for at, value in enumerate((x, x * x, x * of_repository[pair], 1)):
                    of[at] += value
    rows = [(*key, *of) for key, of in sorted(sums.items())]
    return pd.DataFrame(rows, columns=KEYS + _SUMS).astype(NO_SUMS.dtypes)


def cluster_shares(sums: pd.DataFrame, categories: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Return the share of each category, with its interval.

    Parameters
    ----------
    sums
        Of all repositories: see `cluster_sums`.
    categories
        Of each facet, in the order wanted; those that do not occur have a row, too.

    Returns
    -------
    `period`, `facet`, `category`, `threads`, `of` (how many were asked), `repositories` (in how many there are such threads),
    `among` (in how many any were asked), `share`, `low`, `high`; the whole period first.
    """
    by_key = {row[:3]: [int(value) for value in row[3:]] for row in sums[KEYS + _SUMS].itertuples(index=False, name=None)}
    periods = sorted({str(period) for period in sums["period"]}, key=lambda period: (period != ALL, period))
    rows = []
    for period in periods:
        for facet, of_facet in categories.items():
            if (period, facet, _BASE) not in by_key:
                continue
            n, nn, _, among = by_key[period, facet, _BASE]
            for category in of_facet:
                x, xx, xn, repositories = by_key.get((period, facet, category), (0, 0, 0, 0))
                low, high = wilson_of_clusters(x, n, xx, xn, nn, among)
                rows.append((period, facet, category, x, n, repositories, among, x / n, low, high))
    names = ["period", "facet", "category", "threads", "of", "repositories", "among", "share", "low", "high"]
    return pd.DataFrame(rows, columns=names)
