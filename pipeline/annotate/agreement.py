"""How well annotators agree: Cohen's kappa, by facet and pooled over facets, with bootstrap intervals."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

_RESAMPLES = 2000
_ROW_INDEX = "row index"


@dataclass(frozen=True, slots=True)
class Kappa:
    """Cohen's kappa of two annotators with a 95 % interval, and the number of pairs of labels that it rests on."""

    value: float
    low: float
    high: float
    agreement: float
    """Share of the pairs that are equal."""
    n: int


def pair_by_position(ratings: pd.DataFrame, round_: str, *, canonical: bool = False, row_index: bool = False) -> pd.DataFrame:
    """Pair two raters' sheets of a round row by row, in the order of the sheets, as the study did.

    Parameters
    ----------
    ratings
        Columns `round`, `annotator`, `row`, `facet`, `value`, `category`.
    canonical
        Compare the taxonomy's categories instead of what the raters wrote. What they wrote is compared case folded,
        other spelling variants counting as different, as in the study's own computation.
    row_index
        Add the sheets' row index to each row as if it were one more label. No measure of agreement, but the only way to
        the published figures.

    Returns
    -------
    Columns `item` (position of the row, from 0), `facet`, `first`, `second`; pairs with a blank are left out.
    """
    of_round = ratings[ratings["round"] == round_]
    sides: list[pd.DataFrame] = []
    for _, sheet in of_round.groupby("annotator", sort=True):
        rows = np.sort(sheet["row"].unique())
        side = pd.DataFrame(
            {
                "item": np.searchsorted(rows, sheet["row"]),
                "facet": sheet["facet"],
                "said": sheet["category"] if canonical else sheet["value"].str.casefold(),
            }
        )
        if row_index:
            side = pd.concat([side, pd.DataFrame({"item": range(len(rows)), "facet": _ROW_INDEX, "said": rows.astype(str)})])
        sides.append(side.dropna())
    if len(sides) != 2:
        raise ValueError(f"round '{round_}' has {len(sides)} raters, and Cohen's kappa is of two")
    paired = sides[0].merge(sides[1], on=["item", "facet"], suffixes=("_first", "_second"))
    return paired.rename(columns={"said_first": "first", "said_second": "second"}).sort_values(
        ["item", "facet"], ignore_index=True
    )


def pair_by_defect(labels: pd.DataFrame, first: str, second: str, round_: str) -> pd.DataFrame:
    """Pair the labels that two annotators gave in a round to the same facet of the same defect.

    Parameters
    ----------
    labels
        Columns `repository`, `number`, `defect`, `facet`, `category`, `annotator`, `round`.

    Returns
    -------
    Columns `item` (number of the defect, from 0), `facet`, `first`, `second`.
    """
    key = ["repository", "number", "defect"]
    a, b = (labels[(labels["annotator"] == who) & (labels["round"] == round_)] for who in (first, second))
    paired = a[[*key, "facet", "category"]].merge(b[[*key, "facet", "category"]], on=[*key, "facet"])
    paired["item"] = paired.groupby(key, sort=True).ngroup()
    paired = paired.rename(columns={"category_x": "first", "category_y": "second"})
    return paired[["item", "facet", "first", "second"]].sort_values(["item", "facet"], ignore_index=True)


def pooled_kappa(pairs: pd.DataFrame, facets: list[str], seed: int) -> Kappa:
    """Return Cohen's kappa over all pairs of some facets, as if they were one (Cohen 1960).

    The interval is the percentile bootstrap's over items, since labels of one item depend on each other.

    Parameters
    ----------
    pairs
        Columns `item`, `facet`, `first`, `second`.
    facets
        The facets to pool; the row index counts with them when `pairs` has it.
    """
    chosen = pairs[pairs["facet"].isin([*facets, _ROW_INDEX])]
    if chosen.empty:
        return Kappa(np.nan, np.nan, np.nan, np.nan, 0)
    codes = pd.Categorical(pd.concat([chosen["first"], chosen["second"]])).codes
    first, second = np.split(codes, 2)
    items = pd.factorize(chosen["item"])[0]
    shape = (items.max() + 1, codes.max() + 1)
    marginal_first, marginal_second, agreed = np.zeros(shape), np.zeros(shape), np.zeros(shape[0])
    np.add.at(marginal_first, (items, first), 1)
    np.add.at(marginal_second, (items, second), 1)
    np.add.at(agreed, items, first == second)

    def kappa(weights: np.ndarray) -> np.ndarray:
        a, b = weights @ marginal_first, weights @ marginal_second
        n = a.sum(axis=-1)
        observed, expected = weights @ agreed / n, (a * b).sum(axis=-1) / n**2
        with np.errstate(invalid="ignore"):  # both annotators used one and the same label throughout: undefined
            return np.asarray((observed - expected) / (1 - expected))

    generator = np.random.default_rng(seed)
    resamples = generator.multinomial(shape[0], np.full(shape[0], 1 / shape[0]), size=_RESAMPLES).astype(float)
    low, high = np.nanpercentile(kappa(resamples), [2.5, 97.5]) if shape[0] > 1 else (np.nan, np.nan)
    return Kappa(float(kappa(np.ones(shape[0]))), float(low), float(high), float(agreed.sum() / len(chosen)), len(chosen))


def agreement_table(pairings: dict[tuple[str, str], pd.DataFrame], facets: list[str], seed: int) -> pd.DataFrame:
    """Return kappa for each pairing, pooled and by facet.

    Parameters
    ----------
    pairings
        Frames of pairs by (round, how they were compared).
    facets
        The facets to list and to pool.

    Returns
    -------
    Columns `round`, `compared`, `facet` ('pooled' first), `n`, `agreement`, `kappa`, `low`, `high`.
    """
    rows = []
    for (round_, compared), pairs in pairings.items():
        indexed = (pairs["facet"] == _ROW_INDEX).any()  # it changes what is pooled, and no facet by itself
        for name, chosen in [("pooled", facets), *((facet, [facet]) for facet in facets if not indexed)]:
            part = pairs if name == "pooled" else pairs[pairs["facet"] == name]
            k = pooled_kappa(part, chosen, seed)
            rows.append((round_, compared, name, k.n, k.agreement, k.value, k.low, k.high))
    columns = ["round", "compared", "facet", "n", "agreement", "kappa", "low", "high"]
    return pd.DataFrame(rows, columns=columns)
