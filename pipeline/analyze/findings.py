"""Published findings beside what the labels at hand say, with n, interval and verdict; and figures, cell by cell."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.analyze.reference import (
    AnyFinding,
    CountFinding,
    DiversityFinding,
    KappaFinding,
    PublishedFigures,
    ShareFinding,
)
from pipeline.analyze.results import cross_counts
from pipeline.annotate.coefficients import estimate
from pipeline.annotate.units import ROW_INDEX, by_position, from_ratings
from pipeline.errors import RedefectError
from pipeline.intervals import wilson
from pipeline.taxonomy import Taxonomy, Where, normalise

_RESAMPLES = 2000

REPRODUCED, DIFFERS, NO_DATA = "reproduced", "differs", "no data"


@dataclass(frozen=True, slots=True)
class Evidence:
    """The frames that findings are computed from, and what is needed to read them."""

    taxonomy: Taxonomy
    defects: pd.DataFrame
    issues: pd.DataFrame
    ratings: pd.DataFrame
    agreement_facets: list[str]
    seed: int


@dataclass(frozen=True, slots=True)
class _Reproduced:
    value: float | int | str
    n: int
    low: float = np.nan
    high: float = np.nan
    support: float = np.nan


def matching(frame: pd.DataFrame, where: Where, taxonomy: Taxonomy, place: str) -> pd.Series:
    """Return which rows match: in each facet named, one of the categories.

    Raises
    ------
    RedefectError
        If the taxonomy has no such facet or category; the sentence begins with `place`.
    """
    mask = pd.Series(data=True, index=frame.index)
    for facet_id, categories in where.items():
        facet = taxonomy.facet(facet_id, place)
        if unknown := [c for c in categories if c not in facet.ids]:
            raise RedefectError(
                f"{place}: facet '{facet_id}' has no category '{unknown[0]}'; nearest: {', '.join(facet.nearest(unknown[0]))}."
            )
        mask &= frame[facet_id].isin(categories)
    return mask


def findings_table(findings: list[AnyFinding], evidence: Evidence) -> pd.DataFrame:
    """Compute findings from the labels at hand.

    Returns
    -------
    A row a finding: `id`, `statement`, `source`, `published`, `reproduced` (text, as it is shown), `n`, the 95 % interval `low`
    and `high` (of a share: Wilson; of kappa: bootstrap over issues; NaN for counts), `support` (of the most diverse group: the
    share of bootstrap resamples of issues in which it stays first), `verdict` and `must_hold`.
    """
    rows = []
    for finding in findings:
        got = _reproduce(finding, evidence)
        rows.append(
            (
                finding.id, finding.statement, finding.source, _shown(finding, finding.published), _shown(finding, got.value),
                got.n, got.low, got.high, got.support, _verdict(finding, got), finding.must_hold,
            )
        )  # fmt: skip
    columns = [
        "id",
        "statement",
        "source",
        "published",
        "reproduced",
        "n",
        "low",
        "high",
        "support",
        "verdict",
        "must_hold",
    ]
    return pd.DataFrame(rows, columns=columns)


def broken(table: pd.DataFrame) -> list[str]:
    """Return the ids of the findings that must hold and do not."""
    return list(table.loc[table["must_hold"] & (table["verdict"] != REPRODUCED), "id"])


def _reproduce(finding: AnyFinding, evidence: Evidence) -> _Reproduced:
    place = f"finding '{finding.id}'"
    if isinstance(finding, KappaFinding):
        ratings = evidence.ratings[evidence.ratings["round"] == finding.round]
        if ratings.empty:
            return _Reproduced(np.nan, 0)
        units = by_position(from_ratings(ratings), row_index=finding.row_index)
        kappa = estimate(units[units["facet"].isin([*evidence.agreement_facets, ROW_INDEX])], evidence.seed)["cohen"]
        return _Reproduced(kappa.value, kappa.n, kappa.low, kappa.high)
    if isinstance(finding, DiversityFinding):
        return _most_diverse(evidence.defects, finding, evidence.taxonomy, evidence.seed)
    if isinstance(finding, ShareFinding):
        among = evidence.defects[matching(evidence.defects, finding.among, evidence.taxonomy, place)]
        count = int(matching(among, finding.of, evidence.taxonomy, place).sum())
        return _Reproduced(count / len(among) if len(among) else np.nan, len(among), *wilson(count, len(among)))
    frame = evidence.issues if finding.unit == "sampled issue" else evidence.defects
    chosen = frame[matching(frame, finding.of, evidence.taxonomy, place)]
    unit = {"issue": ["repository", "number"], "repository": ["repository"]}.get(finding.unit)
    count = len(chosen.drop_duplicates(unit)) if unit else len(chosen)
    return _Reproduced(count, count)


def _most_diverse(defects: pd.DataFrame, finding: DiversityFinding, taxonomy: Taxonomy, seed: int) -> _Reproduced:
    facet, by = taxonomy.facet(finding.facet), taxonomy.facet(finding.by)
    known = defects[["repository", "number", facet.id, by.id]].dropna()
    if known.empty:
        return _Reproduced("", 0)
    groups, kinds = known[by.id].cat.codes.to_numpy(), known[facet.id].cat.codes.to_numpy()
    issues = known.groupby(["repository", "number"], sort=True).ngroup().to_numpy()
    shape = (len(by.ids), len(facet.ids))
    counts = np.zeros((issues.max() + 1, *shape))
    np.add.at(counts, (issues, groups, kinds), 1)
    generator = np.random.default_rng(seed)
    weights = generator.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size=_RESAMPLES)
    first = int(np.nanargmax(evenness(counts.sum(axis=0))))
    resampled = np.nanargmax(evenness(np.tensordot(weights, counts, axes=1)), axis=-1)
    return _Reproduced(by.ids[first], int((groups == first).sum()), support=float((resampled == first).mean()))


def evenness(counts: np.ndarray) -> np.ndarray:
    """Return the Shannon entropy of the last axis, as a share of the largest possible (Pielou 1966); NaN if it is empty."""
    totals = counts.sum(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = counts / totals
        terms = np.where(shares > 0, shares * np.log(shares), 0)
    return np.where(totals[..., 0] > 0, -terms.sum(axis=-1) / np.log(counts.shape[-1]), np.nan)


def _verdict(finding: AnyFinding, got: _Reproduced) -> str:
    if got.n == 0 and not isinstance(finding, CountFinding):
        return NO_DATA
    if isinstance(finding, ShareFinding | KappaFinding):
        holds = abs(float(got.value) - finding.published) <= finding.tolerance
    else:
        holds = got.value == finding.published
    return REPRODUCED if holds else DIFFERS


def _shown(finding: AnyFinding, value: float | int | str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(finding, CountFinding):
        return str(value)
    if np.isnan(value):
        return ""
    return f"{value:.1%}" if isinstance(finding, ShareFinding) else f"{value:.3f}"


def figure_cells(published: PublishedFigures, defects: pd.DataFrame, taxonomy: Taxonomy, place: str) -> pd.DataFrame:
    """Compare published figures with the labels at hand, cell by cell.

    Returns
    -------
    A row a cell: `figure`, `row`, `column` (category ids), `published`, `reproduced`, `difference`. A category that the figure
    does not show counts as published 0.
    """
    rows = []
    for figure in published.figures:
        row_facet, column_facet = taxonomy.facet(figure.rows, place), taxonomy.facet(figure.columns, place)
        where = f"{place}: {figure.name}"
        columns = [column_facet.canonicalise(label, where) for label in figure.column_labels]
        cells = {
            (row_facet.canonicalise(label, where), column): number
            for label, numbers in figure.cells.items()
            for column, number in zip(columns, numbers, strict=True)
        }
        counts = cross_counts(defects, row_facet, column_facet)
        for row in counts.index:
            for column in counts.columns:
                shown, own = cells.pop((row, column), 0), int(counts.loc[row, column])
                rows.append((figure.name, row, column, shown, own, own - shown))
        rows += [(figure.name, row, column, shown, 0, -shown) for (row, column), shown in cells.items()]
    return pd.DataFrame(rows, columns=["figure", "row", "column", "published", "reproduced", "difference"])


def figure_differences(
    published: PublishedFigures, cells: pd.DataFrame, labels: pd.DataFrame, taxonomy: Taxonomy, place: str
) -> pd.DataFrame:
    """List where the published figures and the published data differ: in numbers, and in what categories are called.

    Parameters
    ----------
    cells
        What `figure_cells` returns.
    labels
        Labels of the published table: columns `facet`, `category`, `value`.

    Returns
    -------
    A row a difference: `figure`, `where`, `published`, `data`.
    """
    rows = [
        (cell.figure, f"{cell.row} x {cell.column}", str(cell.published), str(cell.reproduced))
        for cell in cells[cells["difference"] != 0].itertuples()
    ]
    written: dict[tuple[str, str], list[str]] = {
        (str(facet_id), str(category)): sorted(set(group))
        for (facet_id, category), group in labels.groupby(["facet", "category"], observed=True)["value"]
    }
    for figure in published.figures:
        sides: Mapping[str, list[str]] = {figure.rows: list(figure.cells), figure.columns: figure.column_labels}
        for facet_id, names in sides.items():
            facet = taxonomy.facet(facet_id, place)
            for name in names:
                spellings = written.get((facet_id, facet.canonicalise(name, place)), [])
                if spellings and normalise(name) not in {normalise(s) for s in spellings}:
                    rows.append((figure.name, f"name of a category of {facet_id}", name, " / ".join(spellings)))
    return pd.DataFrame(rows, columns=["figure", "where", "published", "data"])


def sensitivity_table(findings: list[AnyFinding], evidence: Evidence) -> pd.DataFrame:
    """Compute each share anew under other choices, to see whether a finding hangs on one of them.

    Returns
    -------
    Columns `id`, `choice`, `n`, `share`, `low`, `high`. Choices: all defects; without one repository (the two whose absence moves
    the share lowest and highest); one vote an issue, which its defects split; solo repositories only; zoos only.
    """
    rows = []
    for finding in findings:
        if not isinstance(finding, ShareFinding):
            continue
        place = f"finding '{finding.id}'"
        among = evidence.defects[matching(evidence.defects, finding.among, evidence.taxonomy, place)]
        hits = matching(among, finding.of, evidence.taxonomy, place)

        def row(choice: str, count: float, n: int, finding: ShareFinding = finding) -> None:
            rows.append((finding.id, choice, n, count / n if n else np.nan, *wilson(count, n)))

        row("all defects", int(hits.sum()), len(hits))
        without = sorted(
            (float(hits[among["repository"] != name].mean()), name)
            for name in among["repository"].unique()
            if (among["repository"] != name).any()
        )
        for word, (_, name) in (("lowest", without[0]), ("highest", without[-1])) if without else ():
            rest = hits[among["repository"] != name]
            row(f"without one repository, {word}: {name}", int(rest.sum()), len(rest))
        votes = hits.astype(float).groupby([among["repository"], among["number"]]).mean()
        row("one vote an issue", float(votes.sum()), len(votes))
        for kind in ("solo", "zoo"):
            part = hits[among["kind"] == kind]
            row(f"{kind} repositories only", int(part.sum()), len(part))
    return pd.DataFrame(rows, columns=["id", "choice", "n", "share", "low", "high"])
