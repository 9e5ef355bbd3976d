"""Each rater beside the others, and beside what the same rater said in another round.

All functions take what `units.from_ratings` or `units.from_labels` returns, `said`, and match defects by best assignment.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from pipeline.annotate.agreement import changes
from pipeline.annotate.coefficients import COEFFICIENTS, RESAMPLES, coefficients, interval, resamples
from pipeline.annotate.units import between, by_best_assignment
from pipeline.intervals import wilson
from pipeline.numerals import with_interval


def profiles(said: pd.DataFrame, seed: int, verdict: tuple[str, str] | None = None) -> pd.DataFrame:
    """Describe each rater of each round with several, by facet.

    Parameters
    ----------
    verdict
        Annotator and round of the final word on each defect, such as of the adjudicated labels.

    Returns
    -------
    Columns `round`, `annotator`, `facet`, and

    `n`
        Things that the rater labelled.
    `entropy`, `others_entropy`
        Of the rater's categories, in bits, and of the others' on the same things: who uses fewer has the smaller one.
    `kappa`, `low`, `high`
        Mean of Cohen's kappa with each other rater, with its bootstrap interval over issues.
    `final_n`, `final`, `final_low`, `final_high`
        Share of the final labels that are the rater's, with Wilson's interval. Whoever adjudicates sees the raters' labels, so
        this is no independent measure of how right they are.
    `suggested_n`, `followed`, `followed_low`, `followed_high`
        Share of the machine's suggestions, of those that the rater saw, that the rater took.
    """
    rows = []
    for round_, of_round in _rounds_with_several(said):
        units = by_best_assignment(of_round)
        for annotator in sorted(of_round["annotator"].unique()):
            own = of_round[of_round["annotator"] == annotator]
            with_final = pd.DataFrame(columns=units.columns)
            if verdict is not None and verdict != (annotator, round_):
                with_final = by_best_assignment(between(said, (annotator, round_), verdict))
            for facet in own["facet"].drop_duplicates():
                of_facet = units[units["facet"] == facet]
                kappa, low, high = _mean_kappa(of_facet, annotator, seed)
                mine, others = _beside_others(of_facet, annotator)
                suggested = own[(own["facet"] == facet) & own.get("suggested", pd.Series(index=own.index, dtype=object)).notna()]
                followed = int((suggested["category"] == suggested["suggested"]).sum()) if len(suggested) else 0
                rows.append(
                    (
                        round_, annotator, facet, int((of_facet["annotator"] == annotator).sum()),
                        _entropy(mine["category"].value_counts()), _entropy(others["category"].value_counts()),
                        kappa, low, high, *_kept(with_final[with_final["facet"] == facet]), *_share(followed, len(suggested)),
                    )
                )  # fmt: skip
    columns = [
        "round", "annotator", "facet", "n", "entropy", "others_entropy", "kappa", "low", "high", "final_n", "final", "final_low",
        "final_high", "suggested_n", "followed", "followed_low", "followed_high",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def leanings(said: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Tell which categories each rater of each round uses more, and less, than the others do on the same things.

    Returns
    -------
    Columns `round`, `annotator`, `facet`, `category`, `n` (things that the rater and another labelled), `share` of them to which
    the rater gave the category, `others` (their share, each thing counting once), `difference`, and its bootstrap interval over
    issues, `low`, `high`. Each interval is for itself: of twenty, one misses by chance. Facets of a single issue are left out.
    """
    rows = []
    for round_, of_round in _rounds_with_several(said):
        units = by_best_assignment(of_round)
        for annotator in sorted(of_round["annotator"].unique()):
            for facet in units["facet"].drop_duplicates():
                mine, others = _beside_others(units[units["facet"] == facet], annotator)
                categories = sorted({*mine["category"], *others["category"]})
                clusters = sorted(mine["cluster"].unique())
                if len(clusters) < 2:
                    continue
                own = _table(mine, clusters, categories)
                theirs = _table(others, clusters, categories, 1 / others.groupby("item")["category"].transform("size").to_numpy())
                things = own.sum(axis=1)
                weights = _weights(len(clusters), seed)
                drawn = (weights @ (own - theirs)) / (weights @ things)[:, None]
                low, high = interval(drawn)
                share, other = own.sum(axis=0) / things.sum(), theirs.sum(axis=0) / things.sum()
                rows += [
                    (round_, annotator, facet, category, int(things.sum()), *values)
                    for category, *values in zip(categories, share, other, share - other, low, high, strict=True)
                ]
    columns = ["round", "annotator", "facet", "category", "n", "share", "others", "difference", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def drift(said: pd.DataFrame, rounds: Sequence[str], pooled: list[str], facets: list[str], seed: int) -> pd.DataFrame:
    """Estimate how agreement changed from each round with several raters to the next.

    Returns
    -------
    Columns `before_round`, `after_round`, and those of `changes`.
    """
    units = {round_: by_best_assignment(of_round) for round_, of_round in _rounds_with_several(said)}
    tables = [
        changes(units[before], units[after], pooled, facets, seed).assign(before_round=before, after_round=after)
        for before, after in pairwise(round_ for round_ in rounds if round_ in units)
    ]
    if not tables:
        return pd.DataFrame(columns=["before_round", "after_round", *changes(said.iloc[:0], said.iloc[:0], [], [], seed)])
    table = pd.concat(tables, ignore_index=True)
    return table[["before_round", "after_round", *table.columns.drop(["before_round", "after_round"])]]


def shifts(said: pd.DataFrame, rounds: Sequence[str], seed: int) -> pd.DataFrame:
    """Tell how each rater changed from each round to the rater's next one, by facet.

    Returns
    -------
    Columns `annotator`, `before_round`, `after_round`, `facet`, and

    `n`, `kept`, `low`, `high`
        Things that the rater labelled in both, and the share of them that got the same category, with Wilson's interval.
    `shift`, `p`
        Total variation distance between the shares of categories in the two rounds, and how often it is as large when rounds
        are exchanged at random: of each issue, if the rounds have the same issues; else between issues, and then it is as much
        the issues as the rater that may have changed.
    """
    rows = []
    for annotator in sorted(said["annotator"].unique()):
        own = said[said["annotator"] == annotator]
        for before, after in pairwise(round_ for round_ in rounds if (own["round"] == round_).any()):
            both = by_best_assignment(between(own, (annotator, before), (annotator, after)))
            for facet in own.loc[own["round"].isin([before, after]), "facet"].drop_duplicates():
                parts = [own[(own["round"] == round_) & (own["facet"] == facet)] for round_ in (before, after)]
                if any(part.empty for part in parts):
                    continue
                kept = _kept(both[both["facet"] == facet])
                rows.append((annotator, before, after, facet, *kept, *_shift(parts[0], parts[1], seed)))
    columns = ["annotator", "before_round", "after_round", "facet", "n", "kept", "low", "high", "shift", "p"]
    return pd.DataFrame(rows, columns=columns)


def profiles_shown(table: pd.DataFrame) -> pd.DataFrame:
    """Return profiles as they are printed, estimates with their intervals."""
    return pd.DataFrame(
        {
            **{column: table[column] for column in ("round", "annotator", "facet", "n")},
            "entropy": table["entropy"].map("{:.2f}".format),
            "of the others": table["others_entropy"].map("{:.2f}".format),
            "mean kappa": _texts(table, "kappa", "low", "high"),
            "final labels": table["final_n"],
            "as the final": _texts(table, "final", "final_low", "final_high"),
            "suggestions": table["suggested_n"],
            "followed": _texts(table, "followed", "followed_low", "followed_high"),
        }
    )


def leanings_shown(table: pd.DataFrame) -> pd.DataFrame:
    """Return the leanings whose interval excludes no difference, as they are printed, the largest first in each facet."""
    clear = table[(table["low"] > 0) | (table["high"] < 0)]
    clear = clear.assign(size=clear["difference"].abs()).sort_values(
        ["round", "annotator", "facet", "size"], ascending=[True, True, True, False], kind="stable"
    )
    return pd.DataFrame(
        {
            **{column: clear[column] for column in ("round", "annotator", "facet", "category", "n")},
            "share": clear["share"].map("{:.2f}".format),
            "of the others": clear["others"].map("{:.2f}".format),
            "difference": _texts(clear, "difference", "low", "high", signed=True),
        }
    ).reset_index(drop=True)


def shifts_shown(table: pd.DataFrame) -> pd.DataFrame:
    """Return shifts as they are printed."""
    return pd.DataFrame(
        {
            **{column: table[column] for column in ("annotator", "before_round", "after_round", "facet", "n")},
            "kept": _texts(table, "kept", "low", "high"),
            "shift": table["shift"].map("{:.2f}".format),
            "p": table["p"].map("{:.3f}".format),
        }
    ).rename(columns={"before_round": "before", "after_round": "after"})


def _texts(table: pd.DataFrame, *columns: str, signed: bool = False) -> list[str]:
    values = zip(*(table[column] for column in columns), strict=True)
    return [with_interval(*row, signed=signed) for row in values]


def _rounds_with_several(said: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    for round_ in said["round"].drop_duplicates():
        of_round = said[said["round"] == round_]
        if of_round["annotator"].nunique() > 1:
            yield round_, of_round


def _beside_others(units: pd.DataFrame, annotator: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what an annotator said, and what others said, of the things of which both said something."""
    own = units["annotator"] == annotator
    shared = set(units.loc[own, "item"]) & set(units.loc[~own, "item"])
    both = units["item"].isin(shared)
    return units[own & both], units[~own & both]


def _mean_kappa(units: pd.DataFrame, annotator: str, seed: int) -> tuple[float, float, float]:
    clusters = sorted(units["cluster"].unique())
    values, draws = [], []
    for other in sorted(set(units["annotator"]) - {annotator}):
        two = units[units["annotator"].isin([annotator, other])]
        values.append(coefficients(two)["cohen"])
        draws.append(resamples(two, clusters, seed)[:, list(COEFFICIENTS).index("cohen")])
    defined = np.isfinite(values)
    if not defined.any():
        return np.nan, np.nan, np.nan
    low, high = interval(np.mean(np.array(draws)[defined], axis=0)[:, None])
    return float(np.mean(np.array(values)[defined])), float(low[0]), float(high[0])


def _kept(units: pd.DataFrame) -> tuple[int, float, float, float]:
    said = units.groupby("item")["category"].agg(["size", "nunique"])
    both = said[said["size"] == 2]
    return _share(int((both["nunique"] == 1).sum()), len(both))


def _share(count: int, n: int) -> tuple[int, float, float, float]:
    return n, count / n if n else np.nan, *wilson(count, n)


def _entropy(counts: pd.Series) -> float:
    shares = counts.to_numpy() / counts.sum()
    return float(-(shares * np.log2(shares)).sum()) if len(shares) else np.nan


def _weights(clusters: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).multinomial(clusters, np.full(clusters, 1 / clusters), size=RESAMPLES)


def _shift(before: pd.DataFrame, after: pd.DataFrame, seed: int) -> tuple[float, float]:
    categories = sorted({*before["category"], *after["category"]})
    clusters = [sorted(part["cluster"].unique()) for part in (before, after)]
    tables = [_table(part, own, categories) for part, own in zip((before, after), clusters, strict=True)]
    both = np.concatenate(tables)
    generator = np.random.default_rng(seed)
    if clusters[0] == clusters[1]:
        swapped = generator.integers(0, 2, size=(RESAMPLES, len(clusters[0])))
        first = np.concatenate([1 - swapped, swapped], axis=1)
    else:
        first = generator.permuted(np.tile(np.arange(len(both)) < len(tables[0]), (RESAMPLES, 1)), axis=1).astype(int)

    def distance(chosen: np.ndarray) -> np.ndarray:
        one, other = chosen @ both, (1 - chosen) @ both
        return np.asarray(
            np.abs(one / one.sum(axis=-1, keepdims=True) - other / other.sum(axis=-1, keepdims=True)).sum(axis=-1) / 2
        )

    observed = float(distance((np.arange(len(both)) < len(tables[0])).astype(int)))
    as_large = int((distance(first) >= observed - 1e-12).sum())
    return observed, (as_large + 1) / (RESAMPLES + 1)


def _table(said: pd.DataFrame, clusters: list[str], categories: list[str], parts: np.ndarray | float = 1) -> np.ndarray:
    """Count labels by cluster (rows) and category (columns), each as the part of one that is given."""
    table = np.zeros((len(clusters), len(categories)))
    rows, columns = pd.Index(clusters), pd.Index(categories)
    np.add.at(table, (rows.get_indexer(pd.Index(said["cluster"])), columns.get_indexer(pd.Index(said["category"]))), parts)
    return table
