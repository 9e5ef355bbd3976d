"""Published figures beside what the labels at hand give: cell by cell as tables, and side by side as charts."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from pipeline.analyze.figures import Chart, _draw_groups, _draw_stacks, _height_of_groups
from pipeline.analyze.layout import SCREEN
from pipeline.analyze.results import Crosstab, TitledFrame
from pipeline.numerals import share_text, with_interval
from pipeline.taxonomy import Facet, Taxonomy

SIDES = ("published", "reproduced")
_SHORT = ("publ.", "repr.", "diff.")


def published_beside(cells: pd.DataFrame, rows: Facet, columns: Facet, style: str, title: str) -> Chart:
    """Draw a published figure (left) and its reproduction (right) alike, on the same scale.

    Parameters
    ----------
    cells
        Those of one figure, of `pipeline.analyze.findings.figure_cells`.
    style
        `grouped` or `stacked`, as in `pipeline.analyze.figures.draw`.
    """
    tables = _tables(cells, rows, columns)
    labels = {facet.id: [facet.label(i) for i in ids] for facet, ids in zip((rows, columns), tables[0].axes, strict=True)}
    with mpl.rc_context(SCREEN.style):
        if style == "stacked":
            figure = Chart(figsize=(SCREEN.width, 1.5 + 0.38 * len(tables[0])), layout="constrained")
            for axes, table in zip(figure.subplots(1, 2, sharey=True), tables, strict=True):
                _draw_stacks(axes, table, labels[columns.id])
                for position, n in enumerate(table.sum(axis=1)):
                    axes.text(1.02, position, f"n = {n}", va="center", fontsize=7)
                axes.set_xlabel("share of the row's defects")
            figure.axes[0].set_yticks(np.arange(len(tables[0])), [rows.label(name) for name in tables[0].index])
        else:
            tables = [table[_by_size(tables)] for table in tables]
            figure = Chart(figsize=(SCREEN.width, 0.6 + _height_of_groups(*tables[0].shape)), layout="constrained")
            most = max(table.to_numpy().max(initial=1) for table in tables)
            for axes, table in zip(figure.subplots(1, 2, sharey=True), tables, strict=True):
                _draw_groups(axes, table, labels[rows.id], [columns.label(name) for name in table.columns])
                axes.set_xlim(0, 1.15 * most)
                axes.margins(y=0.01)
        side_axes: list[Axes] = figure.axes
        side_axes[0].set_ylim(max(side_axes[0].get_ylim()), min(side_axes[0].get_ylim()))  # both panels turned the shared axis
        side_axes[1].tick_params(axis="y", left=False)
        for axes, side, table in zip(side_axes, SIDES, tables, strict=True):
            axes.set_title(f"{side} (n = {table.to_numpy().sum()})", fontsize=8)
        handles, texts = side_axes[0].get_legend_handles_labels()
        figure.legend(handles, texts, loc="outside lower center", ncols=4, frameon=False)
        figure.suptitle(title, fontsize=9)
    figure.description = _described(cells, tables, rows, columns, title)
    return figure


def cell_table(cells: pd.DataFrame, rows: Facet, columns: Facet, title: str) -> TitledFrame:
    """Return the cells of one figure to read: published number, reproduced number and their difference, in each cell.

    The figure's columns are the table's rows, since they are more; its rows are groups of three columns.
    """
    published, reproduced = _tables(cells, rows, columns)
    parts = {}
    for row in published.index:
        pair = published.loc[row], reproduced.loc[row]
        for name, numbers in zip(_SHORT, (*pair, pair[1] - pair[0]), strict=True):
            parts[rows.label(row), name] = numbers
    frame = pd.DataFrame(parts)
    frame.loc["Total"] = frame.sum()
    frame.index = pd.Index([*(columns.label(column) for column in published.columns), "Total"])
    for part in frame.columns:
        if part[1] == _SHORT[-1]:
            frame[part] = [f"{n:+d}" if n else "0" for n in frame[part]]
    frame.columns = pd.MultiIndex.from_tuples(list(parts), names=[rows.title, columns.title])
    equal = int((cells["difference"] == 0).sum())
    n = " and ".join(f"{table.to_numpy().sum()} {side}" for side, table in zip(SIDES, (published, reproduced), strict=True))
    size = f"{equal} of {len(cells)} cells equal; n = {n}"
    note = "publ.: published; repr.: reproduced; diff.: reproduced less published."
    return TitledFrame(f"{title}, cell by cell ({size})", frame, note, index=True)


def differences_table(differences: pd.DataFrame, cells: pd.DataFrame, taxonomy: Taxonomy) -> TitledFrame:
    """Return the differences between published figures and published data to read: see `figure_differences`."""
    facets = {f"name of a category of {facet.id}": facet.title for facet in taxonomy.facets}
    where = [f"name of a category ({facets[text]})" if text in facets else text for text in differences["where"]]
    frame = pd.DataFrame(
        {
            "Figure": differences["figure"],
            "What differs": where,
            "In the published figure": differences["published"],
            "In the published data": differences["data"],
        }
    )
    equal = int((cells["difference"] == 0).sum())
    in_names = int(differences["where"].isin(list(facets)).sum())
    size = f"{equal} of {len(cells)} cells equal; {len(differences) - in_names} numbers and {in_names} names differ"
    return TitledFrame(f"Published figures against published data ({size})", frame)


def share_table(table: Crosstab) -> TitledFrame:
    """Return a cross table's shares to read, with Wilson's 95 % intervals: the categories of its rows are columns here."""
    totals = table.counts.sum(axis=1)
    frame = pd.DataFrame(index=[table.columns.label(column) for column in table.counts.columns])
    for row in table.counts.index:
        cells = table.cells[table.cells["row"] == row]
        texts = [
            f"{share_text(share, low, high)}, n = {n}" if n else "0"
            for share, low, high, n in zip(cells["share"], cells["low"], cells["high"], cells["n"], strict=True)
        ]
        frame[f"{table.rows.label(row)} (n = {totals[row]})"] = texts
    frame = frame.loc[[bool(table.counts[column].sum()) for column in table.counts.columns]]
    return TitledFrame(table.title, frame.rename_axis(index=table.columns.title), index=True)


def independence_table(tables: Sequence[Crosstab], note: str = "") -> TitledFrame:
    """Return the tests of independence of cross tables, and how strong each association is."""
    rows = [
        (
            f"{table.columns.title} by {table.rows.title.lower()}", table.n,
            f"{test.chi2:.1f} ({test.freedom})", test.p_bound.removeprefix("= "),
            with_interval(test.v, test.v_low, test.v_high),
        )
        for table in tables
        for test in [table.independence]
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["Facets", "n", "χ² (degrees of freedom)", "p", "Cramér's V [95 % interval]"])
    permutations = max((table.independence.permutations for table in tables), default=0)
    how = f"p by {permutations:,} random permutations; the interval of V by inverting the noncentral χ² distribution."
    by_design = [
        f"{table.columns.title} and {table.rows.title.lower()} are associated by design: which categories of the one were "
        "offered depended on the other."
        for table in tables
        if table.columns.narrowed_by == table.rows.id or table.rows.narrowed_by == table.columns.id
    ]
    return TitledFrame(f"Are the facets independent?{note}", frame, " ".join([how, *by_design]))


def _tables(cells: pd.DataFrame, rows: Facet, columns: Facet) -> list[pd.DataFrame]:
    """Return the published and the reproduced counts, in the taxonomy's order, without columns that are empty in both."""
    tables = [cells.pivot(index="row", columns="column", values=side) for side in SIDES]
    index = [category for category in rows.ids if category in tables[0].index]
    used = {column for table in tables for column in table.columns[table.sum() > 0]}
    return [table.reindex(index=index, columns=[c for c in columns.ids if c in used]).fillna(0).astype(int) for table in tables]


def _by_size(tables: list[pd.DataFrame]) -> pd.Index:
    """Return the columns, those with the most on both sides first."""
    return (tables[0].sum() + tables[1].sum()).sort_values(ascending=False, kind="stable").index


def _described(cells: pd.DataFrame, tables: list[pd.DataFrame], rows: Facet, columns: Facet, title: str) -> str:
    differing = cells[cells["difference"] != 0]
    largest = [
        f"{rows.label(str(row))}: " + ", ".join(f"{columns.label(str(c))} {n}" for c, n in counts.nlargest(3).items() if n)
        for row, counts in tables[1].iterrows()
    ]
    said = f"All {len(cells)} cells are equal" if differing.empty else f"{len(differing)} of {len(cells)} cells differ"
    return (
        f"Two bar charts of {title}: as published (n = {tables[0].to_numpy().sum()}), left, and as reproduced "
        f"(n = {tables[1].to_numpy().sum()}), right. {said}. The largest reproduced numbers: {'; '.join(largest)}."
    )
