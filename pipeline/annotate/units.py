"""Units: what several annotators said of the same thing. Agreement is computed over them.

`from_ratings` and `from_labels` bring what annotators said into one form; `by_position`, `by_number` and `by_best_assignment`
say which of it is about the same thing. All of them return columns

`item`
    The thing: a defect, or an issue as a whole; with `facet`, the unit.
`cluster`
    The issue, over which intervals resample: its defects, and the facets of a defect, depend on each other.
`facet`, `annotator`, `category`
    Who said what. What an annotator did not say has no row.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

ROW_INDEX = "row index"

_COLUMNS = ["item", "cluster", "facet", "annotator", "category"]
_ORDER = ["item", "facet", "annotator"]

_Said = Mapping[str, str]
"""The category by facet that an annotator gives a defect."""


def from_ratings(ratings: pd.DataFrame, *, canonical: bool = False) -> pd.DataFrame:
    """Bring raters' sheets into the form that units are made from.

    Parameters
    ----------
    ratings
        Columns `round`, `annotator`, `row`, `number`, `facet`, `value`, `category`.
    canonical
        Take the taxonomy's categories for what the raters wrote, so that spelling variants are one. What is in no category is
        kept as it was written (case folded, as in the study's own computation): to leave it out would leave out disagreement.

    Returns
    -------
    Columns `round`, `annotator`, `cluster` (the issue's number), `defect` (1, 2, ... within it), `facet`, `category`; and
    `row`, with its `position` (from 0) among the rows of the sheet.
    """
    written = ratings["value"].str.casefold()
    sheet, issue = ratings.groupby(["round", "annotator"]), ratings.groupby(["round", "annotator", "number"])
    said = ratings.assign(
        cluster=ratings["number"],
        position=sheet["row"].rank(method="dense").astype(int) - 1,
        defect=issue["row"].rank(method="dense").astype(int),
        category=ratings["category"].fillna(written) if canonical else written,
    )
    return said[["round", "annotator", "cluster", "defect", "facet", "category", "row", "position"]]


def from_labels(labels: pd.DataFrame) -> pd.DataFrame:
    """Bring labels into the form that units are made from.

    Parameters
    ----------
    labels
        Columns `repository`, `number`, `defect` (0 for the issue as a whole), `facet`, `category`, `annotator`, `round`; and
        `suggested`, if machine suggestions were shown.

    Returns
    -------
    Columns `round`, `annotator`, `cluster` (the issue; a repository is one whatever its case), `defect`, `facet`, `category`,
    `suggested`.
    """
    cluster = labels["repository"].str.casefold() + "#" + labels["number"].astype(str)
    said = labels.assign(cluster=cluster).reindex(
        columns=["round", "annotator", "cluster", "defect", "facet", "category", "suggested"]
    )
    return said.reset_index(drop=True)


def between(said: pd.DataFrame, first: tuple[str, str], second: tuple[str, str]) -> pd.DataFrame:
    """Return what two annotators said, each in a round, as if they were two annotators of one round, on the issues of both.

    Parameters
    ----------
    first, second
        Annotator and round. If the annotator is one and the same, the rounds' names stand for the two.
    """
    both = []
    for annotator, round_ in (first, second):
        own = said[(said["annotator"] == annotator) & (said["round"] == round_)]
        name = round_ if first[0] == second[0] else annotator
        both.append(own.assign(annotator=name, round=" and ".join(dict.fromkeys((first[1], second[1])))))
    shared = set(both[0]["cluster"]) & set(both[1]["cluster"])
    return pd.concat([own[own["cluster"].isin(shared)] for own in both], ignore_index=True)


def by_position(said: pd.DataFrame, *, row_index: bool = False) -> pd.DataFrame:
    """Match the rows of the sheets of one round by their position, as the study did.

    Where the raters list another number of defects for an issue, what follows meets another issue's: the cluster of a unit
    is the issue of the first rater's row.

    Parameters
    ----------
    row_index
        Add the sheets' row index to each row as if it were one more label. No measure of agreement, but the only way to the
        published figures.
    """
    said = said.sort_values(["annotator", "row"], kind="stable")
    if row_index:
        rows = said.drop_duplicates(["annotator", "row"])
        said = pd.concat([said, rows.assign(facet=ROW_INDEX, category=rows["row"].astype(str))])
    cluster = said.drop_duplicates("position").set_index("position")["cluster"]
    return _units(said.assign(item=said["position"], cluster=said["position"].map(cluster)))


def by_number(said: pd.DataFrame) -> pd.DataFrame:
    """Match the defects of an issue by their numbers, which are the order in which each annotator lists them."""
    return _units(said.assign(item=said["cluster"] + ":" + said["defect"].astype(str)))


def by_best_assignment(said: pd.DataFrame) -> pd.DataFrame:
    """Match the defects of an issue so that as many labels as possible agree, whatever their order (Kuhn 1955).

    The annotator with the most defects (of several the first by name) gives the first items; the others follow in the same
    order, each matched at once to the items so far by the number of labels that equal those of each earlier annotator; what
    remains are items of their own. Among matchings that are as good, the one nearest to the order of the lists is taken.

    This is the best case: it makes agreement no smaller than any other matching does, as `by_number` may make it too small.
    """
    defects = said[said["defect"] > 0]
    many = set(defects.loc[defects["defect"] > 1, "cluster"])
    place = dict.fromkeys(zip(defects["cluster"], defects["annotator"], defects["defect"], strict=True), 1)
    for cluster, of_issue in defects[defects["cluster"].isin(many)].groupby("cluster", sort=True):
        lists: dict[str, dict[int, dict[str, str]]] = {}
        rows = of_issue.sort_values(["annotator", "defect"], kind="stable")
        for annotator, defect, facet, category in rows[["annotator", "defect", "facet", "category"]].itertuples(index=False):
            lists.setdefault(annotator, {}).setdefault(defect, {})[facet] = category
        for (annotator, defect), item in assign(lists).items():
            place[cluster, annotator, defect] = item
    keys = zip(said["cluster"], said["annotator"], said["defect"], strict=True)
    return _units(said.assign(item=[f"{cluster}:{place.get((cluster, who, defect), 0)}" for cluster, who, defect in keys]))


def assign(lists: Mapping[str, Mapping[int, _Said]]) -> dict[tuple[str, int], int]:
    """Return the number of the item (1, 2, ...) that each defect of each annotator of an issue is."""
    items: list[list[_Said]] = []
    found: dict[tuple[str, int], int] = {}
    for annotator in sorted(lists, key=lambda name: (-len(lists[name]), name)):
        own = lists[annotator]
        alike = np.array([[sum(_equal(answers, other) for other in item) for item in items] for answers in own.values()])
        if items:
            apart = np.abs(np.subtract.outer(np.arange(len(own)), np.arange(len(items))))
            rows, columns = linear_sum_assignment(alike * (apart.size + 1) - apart, maximize=True)
            chosen = dict(zip(rows.tolist(), columns.tolist(), strict=True))
        else:
            chosen = {}
        for row, (defect, answers) in enumerate(own.items()):
            if row not in chosen:
                chosen[row] = len(items)
                items.append([])
            items[chosen[row]].append(answers)
            found[annotator, defect] = chosen[row] + 1
    return found


def _equal(first: _Said, second: _Said) -> int:
    return sum(second.get(facet) == category for facet, category in first.items())


def unmatched(units: pd.DataFrame) -> int:
    """Count the defects that an annotator of an issue listed and another annotator of the issue did not, for each of those."""
    annotators = units.groupby("cluster")["annotator"].nunique()
    items = units.groupby(["cluster", "item"])["annotator"].nunique()
    return int((annotators.loc[items.index.get_level_values("cluster")].to_numpy() - items.to_numpy()).sum())


def _units(said: pd.DataFrame) -> pd.DataFrame:
    return said[_COLUMNS].sort_values(_ORDER, ignore_index=True)
