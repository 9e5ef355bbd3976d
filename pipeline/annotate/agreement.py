"""How well annotators agree: by round, by facet and pooled, and in what they differ."""

from collections.abc import Iterable
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from pipeline.annotate.coefficients import COEFFICIENTS, change, estimate
from pipeline.annotate.units import ROW_INDEX, unmatched
from pipeline.numerals import with_interval
from pipeline.taxonomy import Facet

POOLED = "pooled"


class Comparison(NamedTuple):
    """Units of a round, how defects were matched, and what was compared: what was written, or categories."""

    round: str
    matched: str
    compared: str
    units: pd.DataFrame


_KEYS = ["round", "matched", "compared"]


def agreement_table(comparisons: Iterable[Comparison], pooled: list[str], facets: list[str], seed: int) -> pd.DataFrame:
    """Estimate agreement for each comparison, pooled over facets and by facet.

    Parameters
    ----------
    pooled, facets
        The facets to pool, and those to list.

    Returns
    -------
    A row for each comparison, facet ('pooled' first) and coefficient (see `COEFFICIENTS`): `round`, `matched`, `compared`,
    `annotators` (their names), `facet`, `coefficient`, `value`, and its 95 % bootstrap interval `low`, `high`; `n`, the units
    that two annotators or more labelled, their `pairs` of labels, and the `issues` that they are of; and of all facets,
    `unmatched`, the defects that one annotator of an issue lists and another does not.
    """
    rows = []
    for *key, units in comparisons:
        about = dict(zip(_KEYS, key, strict=True)) | {"annotators": ", ".join(sorted(units["annotator"].unique()))}
        for facet, part in _parts(units, pooled, facets):
            labels = part.groupby(["cluster", "item", "facet"])["annotator"].size()
            several = labels[labels > 1]
            counts = {
                "pairs": int((several * (several - 1) // 2).sum()),
                "issues": several.index.get_level_values("cluster").nunique(),
                "unmatched": unmatched(units),
            }
            rows += [
                about | {"facet": facet, "coefficient": name, **found._asdict(), **counts}
                for name, found in estimate(part, seed).items()
            ]
    columns = [*_KEYS, "annotators", "facet", "coefficient", "value", "low", "high", "n", "pairs", "issues", "unmatched"]
    return pd.DataFrame(rows, columns=columns)


def changes(before: pd.DataFrame, after: pd.DataFrame, pooled: list[str], facets: list[str], seed: int) -> pd.DataFrame:
    """Estimate by how much agreement differs between two comparisons, pooled and by facet.

    Returns
    -------
    A row for each facet and coefficient: `facet`, `coefficient`, and what `change` returns.
    """
    other = dict(_parts(after, pooled, facets))
    rows = [
        change(part, other[facet], seed).reset_index().assign(facet=facet)
        for facet, part in _parts(before, pooled, facets)
        if facet in other
    ]
    columns = ["facet", "coefficient", "before", "after", "change", "low", "high"]
    return pd.concat(rows, ignore_index=True)[columns] if rows else pd.DataFrame(columns=columns)


def _parts(units: pd.DataFrame, pooled: list[str], facets: list[str]) -> list[tuple[str, pd.DataFrame]]:
    """Return the units of all pooled facets, and of each listed one of which two annotators say anything."""
    index = units["facet"] == ROW_INDEX  # it changes what is pooled, and no facet by itself
    parts = [(POOLED, units[units["facet"].isin(pooled) | index])]
    if not index.any():
        parts += [(facet, units[units["facet"] == facet]) for facet in facets]
    return [(name, part) for name, part in parts if part["annotator"].nunique() > 1]


def agreement_shown(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of agreement as it is printed: a row a comparison and facet, a column a coefficient."""
    return _wide(table, [*_KEYS, "annotators", "facet", "n"], "coefficient").rename(columns=COEFFICIENTS)


def changes_shown(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of changes as it is printed: a row a facet, a column a coefficient."""
    keys = [column for column in table.columns if column not in ("coefficient", "before", "after", "change", "low", "high")]
    return _wide(table.rename(columns={"change": "value"}), keys, "coefficient", signed=True).rename(columns=COEFFICIENTS)


def history(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of agreement as a study reports it: a row a round, a column a facet, `n` of all facets that are pooled.

    The coefficient is Cohen's kappa of two annotators, and Krippendorff's alpha of more.
    """
    two = table["annotators"].str.count(", ") == 1
    chosen = table[table["coefficient"] == np.where(two, "cohen", "krippendorff")].replace({"coefficient": COEFFICIENTS})
    n = chosen["n"].where(chosen["facet"] == POOLED, 0).groupby([chosen[key] for key in _KEYS]).transform("max")
    chosen = chosen.assign(n=n)
    return _wide(chosen, ["matched", "compared", "round", "n", "coefficient"], "facet")


def _wide(table: pd.DataFrame, keys: list[str], column: str, *, signed: bool = False) -> pd.DataFrame:
    """Return a row for each combination of keys, and a column for each value of a column, in the order in which they come."""
    numbers = zip(table["value"], table["low"], table["high"], strict=True)
    texts = table.assign(shown=[with_interval(*row, signed=signed) for row in numbers])
    rows: dict[tuple[object, ...], dict[str, str]] = {}
    for key, name, text in zip(texts[keys].itertuples(index=False, name=None), texts[column], texts["shown"], strict=True):
        rows.setdefault(key, {})[name] = text
    wide = pd.DataFrame(list(rows), columns=keys)
    for name in texts[column].drop_duplicates():
        wide[name] = [row.get(name, "") for row in rows.values()]
    return wide


def confusion(units: pd.DataFrame, facet: Facet, first: str, second: str) -> pd.DataFrame:
    """Count what two annotators said of the same things.

    Returns
    -------
    A row a category of the first, a column one of the second: those that either used, in the taxonomy's order; what is in no
    taxonomy comes last, sorted.
    """
    said = units[units["facet"] == facet.id].pivot(index="item", columns="annotator", values="category")
    both = said.reindex(columns=[first, second]).dropna()
    used = set(both[first]) | set(both[second])
    names = [name for name in facet.ids if name in used] + sorted(used - set(facet.ids))
    counts = pd.crosstab(both[first], both[second]).reindex(index=names, columns=names, fill_value=0)
    return counts.rename_axis(index=first, columns=second)


def disagreements(units: pd.DataFrame) -> pd.DataFrame:
    """Count which two categories annotators give to the same thing, the most frequent first, whoever gave which.

    Returns
    -------
    Columns `facet`, `one`, `other` (categories, sorted), `n` (pairs of annotators who differ so), and `share` of all pairs of
    the facet.
    """
    columns = ["facet", "one", "other"]
    pairs = [
        (facet, *sorted(pair))
        for (_, facet), said in units.groupby(["item", "facet"], sort=True)["category"]
        for pair in combinations(said, 2)
    ]
    frame = pd.DataFrame(pairs, columns=columns)
    of_facet = frame.groupby("facet").size()
    counts = frame[frame["one"] != frame["other"]].groupby(columns, as_index=False).size().rename(columns={"size": "n"})
    counts["share"] = counts["n"] / counts["facet"].map(of_facet)
    return counts.sort_values(["n", *columns], ascending=[False, True, True, True], ignore_index=True)
