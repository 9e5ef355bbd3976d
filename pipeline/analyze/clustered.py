"""Shares among threads that come by repository: from sums that add up over any parts, and so of all of GitHub.

A repository's threads are alike, so an interval that takes them for independent is too narrow. The variance of a share is that of
a ratio of totals of clusters (Cochran 1977, section 3.12), and Wilson's interval is taken at the size of the simple random sample
that has it (as Korn & Graubard 1998 do with Clopper and Pearson's).
"""

from collections.abc import Mapping, Sequence

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


def cluster_sums(labels: pd.DataFrame, gate: str, defect: str, facets: Sequence[str], missing: str) -> pd.DataFrame:
    """Count labels by period, facet and category, with what it takes to know how uncertain their shares are.

    Parameters
    ----------
    labels
        A row a thread: `repository`, `period`, `gate`, and of each of `facets` a column. All threads of a repository are here.
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
    asked = [(gate, labels, labels[gate])]
    defects = labels[labels[gate] == defect]
    asked += [(facet, defects, defects[facet].fillna(missing)) for facet in facets]
    long = pd.concat(
        [
            pd.DataFrame({"period": period, "facet": facet, "category": of, "repository": rows["repository"]})
            for facet, rows, of in asked
            for period in (ALL, rows["period"])
        ],
        ignore_index=True,
    ).astype(object)
    x = long.groupby(["period", "facet", "category", "repository"]).size().rename("x").reset_index()
    n = x.groupby(["period", "facet", "repository"])["x"].sum().rename("n").reset_index()
    x = pd.concat([x.merge(n), n.assign(category=_BASE, x=n["n"])], ignore_index=True)
    x = x.assign(threads=x["x"], squares=x["x"] ** 2, products=x["x"] * x["n"], repositories=1)
    return x.groupby(KEYS, as_index=False)[_SUMS].sum().astype(dict.fromkeys(_SUMS, np.int64))


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
