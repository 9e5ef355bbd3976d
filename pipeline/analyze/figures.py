"""Figures by matplotlib: bars, grouped bars and stacked bars; and of a classifier, how far to trust it.

Readable in grey and by colour-blind people: neighbours differ in lightness and in hatching, and each bar carries its n.
A new figure of a study is a row in its file, not a function here.
"""

import io
from collections.abc import Iterator, Mapping
from itertools import cycle, islice
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.analyze.results import Crosstab, Distribution, share_text
from pipeline.errors import RedefectError

# Okabe & Ito's palette, ordered so that lightness alternates.
_COLOURS = ["#0072B2", "#F0E442", "#D55E00", "#56B4E9", "#000000", "#CC79A7", "#009E73", "#E69F00"]
_HATCHES = ["", "///", "---", "xxx", "\\\\\\", "++", "|||", "//"]  # lines only: dots and rings make an SVG three times as large
_STYLE: dict[Any, Any] = {  # keys are matplotlib's own
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same on every machine
    "font.size": 8,
    "hatch.linewidth": 0.4,
    "svg.hashsalt": "redefect",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_WIDTH = 7.0  # inches: the text width of common journals
_TOLD = 3  # of the largest values, so many in a description


class Chart(Figure):
    """A matplotlib figure that shows itself in a notebook, as SVG, and writes the same bytes each time.

    Attributes
    ----------
    description
        What the figure shows, in words: for those who cannot see it. Every function that draws a chart sets it.
    """

    description: str = ""

    def to_bytes(self, format: str) -> bytes:  # noqa: A002 (matplotlib's word)
        """Return the figure as a file's contents, `svg`, `pdf` or `png`, without any time stamp."""
        dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
        file = io.BytesIO()
        with mpl.rc_context(_STYLE):
            self.savefig(file, format=format, dpi=150, metadata=dates.get(format))
        return file.getvalue()

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
        """Return the figure for a notebook, with its description for readers, too."""
        svg = {"image/svg+xml": self.to_bytes("svg").decode(), "text/plain": self.description or "a figure"}
        return svg, {"image/svg+xml": {"alt": svg["text/plain"]}}


def draw(table: Crosstab, style: str, title: str | None = None) -> Chart:
    """Draw a cross table as `grouped` or `stacked` bars."""
    styles = {"grouped": grouped_bars, "stacked": stacked_bars}
    if style not in styles:
        raise RedefectError(f"There is no figure style '{style}'; there are {' and '.join(styles)}.")
    return styles[style](table, title)


def bars(distribution: Distribution) -> Chart:
    """Draw how often each category occurs, with its n and the interval of its share."""
    frame = distribution.frame
    with mpl.rc_context(_STYLE):
        figure = Chart(figsize=(_WIDTH, 0.7 + 0.24 * len(frame)), layout="constrained")
        axes = figure.subplots()
        y = np.arange(len(frame))
        axes.barh(y, frame["share"], color=_COLOURS[3], edgecolor="black", linewidth=0.5)
        axes.hlines(y, frame["low"], frame["high"], color="black", linewidth=1)
        for position, (high, n) in enumerate(zip(frame["high"].fillna(0), frame["n"], strict=True)):
            axes.text(float(high) + 0.01, position, f"n = {n}", va="center")
        axes.set_yticks(y, frame["label"])
        axes.set_ylim(len(frame) - 0.4, -0.6)
        axes.set_xlim(0, min(1.15, np.nanmax([*frame["high"], 0.1]) + 0.12))
        axes.xaxis.set_major_formatter(_percent)
        axes.set_xlabel("share of defects, with 95 % interval")
        axes.set_title(distribution.title)
    most = frame[frame["n"] > 0].sort_values("n", ascending=False, kind="stable").head(_TOLD)
    told = [
        f"{row['label']} {share_text(row['share'], row['low'], row['high'])} (n = {row['n']})" for row in most.to_dict("records")
    ]
    figure.description = f"Bar chart. {distribution.title}. The most frequent of {len(frame)} categories: {', '.join(told)}."
    return figure


def grouped_bars(table: Crosstab, title: str | None = None) -> Chart:
    """Draw a group of bars for each column category with a bar for each row category, and n on each bar."""
    present = table.counts.loc[:, table.counts.sum() > 0]
    order = present.sum().sort_values(ascending=False, kind="stable").index
    with mpl.rc_context(_STYLE):
        figure = Chart(figsize=(_WIDTH, _height_of_groups(*present.shape)), layout="constrained")
        axes = figure.subplots()
        _draw_groups(axes, present[order], [_legend(table, row) for row in present.index])
        axes.set_yticks(np.arange(len(order)), [table.columns.label(c) for c in order])
        axes.margins(x=0.08, y=0.01)
        axes.legend(title=table.rows.title, loc="lower right", frameon=False)
        axes.set_title(table.titled(title) if title else table.title)
    told = [
        f"{table.columns.label(column)} {present[column].sum()}, of which "
        + ", ".join(f"{table.rows.label(row)} {n}" for row, n in _largest(present[column]))
        for column in order[:_TOLD]
    ]
    shown = table.titled(title) if title else table.title
    figure.description = f"Grouped bars. {shown}. The largest of {len(order)} groups: {'; '.join(told)}."
    return figure


def stacked_bars(table: Crosstab, title: str | None = None) -> Chart:
    """Draw a bar for each row category, divided into the shares of the column categories, and n in each part."""
    present = table.counts.loc[table.counts.sum(axis=1) > 0, table.counts.sum() > 0]
    with mpl.rc_context(_STYLE):
        figure = Chart(figsize=(_WIDTH, 1.2 + 0.42 * len(present)), layout="constrained")
        axes = figure.subplots()
        _draw_stacks(axes, present, [table.columns.label(column) for column in present.columns])
        axes.set_yticks(np.arange(len(present)), [_legend(table, row) for row in present.index])
        figure.legend(loc="outside lower center", ncols=4, frameon=False)
        axes.set_title(table.titled(title) if title else table.title)
    told = [
        f"{_legend(table, row)}: "
        + ", ".join(f"{table.columns.label(column)} {n / present.loc[row].sum():.1%}" for column, n in _largest(present.loc[row]))
        for row in present.index
    ]
    shown = table.titled(title) if title else table.title
    figure.description = f"Stacked bars. {shown}. The largest parts: {'; '.join(told)}."
    return figure


def reliability_diagram(table: pd.DataFrame, titles: Mapping[str, str]) -> Chart:
    """Draw for each facet how often answers are right against how sure the classifier was, with intervals and n.

    Parameters
    ----------
    table
        What `pipeline.classify.reliability.reliability` returns, for several facets.
    titles
        Of the facets, in the order of their panels.
    """
    with mpl.rc_context(_STYLE):
        figure, panels = _panels(titles, table)
        for axes, rows in panels:
            axes.plot([0, 1], [0, 1], color="grey", linewidth=0.7, linestyle="--")
            axes.vlines(rows["confidence"], rows["low"], rows["high"], color="black", linewidth=0.7)
            axes.plot(rows["confidence"], rows["right"], "o-", color=_COLOURS[0], markersize=3, linewidth=0.8)
            axes.set(xlim=(0, 1), ylim=(0, 1))
            axes.text(0.03, 0.97, f"n = {rows['n'].sum()}", va="top", transform=axes.transAxes)
            axes.xaxis.set_major_formatter(_percent)
            axes.yaxis.set_major_formatter(_percent)
        figure.supxlabel("probability of the answer")
        figure.supylabel("answers that are right")
    told = []
    for facet, title in _shown(titles, table):
        rows = table[table["facet"] == facet]
        gap = np.average((rows["right"] - rows["confidence"]).abs(), weights=rows["n"])
        told.append(f"{title} {gap:.1%} (n = {rows['n'].sum()})")
    figure.description = (
        "Reliability diagrams: how often answers are right, against their probability, in bins. On the diagonal, probabilities "
        f"mean what they say. Mean distance from it: {', '.join(told)}."
    )
    return figure


def precision_by_coverage(table: pd.DataFrame, titles: Mapping[str, str]) -> Chart:
    """Draw for each facet how many answers are right when only the surest share of threads gets one, with the interval.

    Parameters
    ----------
    table
        What `pipeline.classify.reliability.coverage` returns, for several facets.
    titles
        Of the facets, in the order of their panels.
    """
    with mpl.rc_context(_STYLE):
        figure, panels = _panels(titles, table)
        for axes, rows in panels:
            axes.fill_between(rows["coverage"], rows["low"], rows["high"], color=_COLOURS[3], alpha=0.4, linewidth=0)
            axes.plot(rows["coverage"], rows["precision"], color=_COLOURS[0], linewidth=1)
            axes.set(xlim=(0, 1), ylim=(0, 1))
            axes.text(0.03, 0.03, f"n = {rows['n'].max()}", transform=axes.transAxes)
            axes.xaxis.set_major_formatter(_percent)
            axes.yaxis.set_major_formatter(_percent)
        figure.supxlabel("threads that get an answer")
        figure.supylabel("answers that are right")
    told = []
    for facet, title in _shown(titles, table):
        rows = table[table["facet"] == facet].sort_values("coverage")
        half = rows["precision"].iloc[(rows["coverage"] - 0.5).abs().argmin()]
        told.append(f"{title} {half:.1%} and {rows['precision'].iloc[-1]:.1%} (n = {rows['n'].max()})")
    figure.description = (
        "Precision by coverage: how many answers are right when only the surest threads get one. For the surest half, and for "
        f"all: {', '.join(told)}."
    )
    return figure


def learning_curves(table: pd.DataFrame, titles: Mapping[str, str]) -> Chart:
    """Draw for each facet kappa on repositories left out against the number of threads learnt from, with the interval.

    Parameters
    ----------
    table
        The frame of a `pipeline.classify.learning_curve.LearningCurve`.
    titles
        Of the facets, in the order of their panels.
    """
    with mpl.rc_context(_STYLE):
        figure, panels = _panels(titles, table)
        for axes, rows in panels:
            axes.fill_between(rows["threads"], rows["low"], rows["high"], color=_COLOURS[3], alpha=0.4, linewidth=0)
            axes.plot(rows["threads"], rows["kappa"], "o-", color=_COLOURS[0], markersize=3, linewidth=1)
            axes.axhline(0, color="grey", linewidth=0.7, linestyle="--")
            axes.set(xlim=(0, None), ylim=(min(-0.05, rows["low"].min()), 1))
        figure.supxlabel("labelled threads learnt from")
        figure.supylabel("kappa")
    last = table.sort_values("threads", kind="stable").groupby("facet").last()
    told = [
        f"{title} {last['kappa'][f]:.2f} [{last['low'][f]:.2f}, {last['high'][f]:.2f}]"
        for f, title in titles.items()
        if f in last.index
    ]
    figure.description = f"Learning curves, a panel a facet. Kappa after {last['threads'].max():.0f} threads: {', '.join(told)}."
    return figure


def most_confused(counts: pd.DataFrame, most: int) -> list[tuple[str, str, float]]:
    """Return what is taken most often for something else, for what, and how often.

    Parameters
    ----------
    counts
        A table of what is so (rows) by what was said (columns), with the same names in the same order.
    """
    wrong = counts.to_numpy(dtype=float) * ~np.eye(len(counts), dtype=bool)
    places = np.argsort(-wrong, axis=None, kind="stable")[:most]
    named = [
        (str(counts.index[i]), str(counts.columns[j]), float(wrong[i, j]))
        for i, j in zip(*np.unravel_index(places, wrong.shape), strict=True)
    ]
    return [pair for pair in named if pair[2] > 0]


def confusion_matrix(counts: pd.DataFrame, title: str) -> Chart:
    """Draw a table of what is so (rows) by what was said (columns): numbers are counts, shades are shares of the row."""
    shares = counts.div(counts.sum(axis=1).replace(0, np.nan), axis=0).fillna(0).to_numpy()
    rows, columns = counts.shape
    with mpl.rc_context(_STYLE):
        figure = Chart(figsize=(_WIDTH, 1.6 + 0.22 * rows), layout="constrained")
        axes = figure.subplots()
        axes.pcolormesh(shares, cmap="Greys", vmin=0, vmax=1, edgecolors="lightgrey", linewidth=0.3)
        for row, column in zip(*np.nonzero(counts.to_numpy() >= 0.5), strict=True):
            colour = "white" if shares[row, column] > 0.5 else "black"
            n = f"{counts.iloc[row, column]:.0f}"
            axes.text(column + 0.5, row + 0.5, n, ha="center", va="center", color=colour, fontsize=6)
        axes.set_xticks(np.arange(columns) + 0.5, [str(name) for name in counts.columns], rotation=45, ha="right")
        axes.set_yticks(np.arange(rows) + 0.5, [f"{name} (n = {n:.0f})" for name, n in counts.sum(axis=1).items()])
        axes.invert_yaxis()
        axes.set_xlabel("said")
        axes.set_ylabel("labelled")
        axes.set_title(title)
    largest = ", ".join(f"{so} taken for {said} ({n:.0f})" for so, said, n in most_confused(counts, 3))
    figure.description = (
        f"{title}: a table of what is so by what was said, n = {counts.to_numpy().sum():.0f}, of which "
        f"{np.trace(counts.to_numpy()):.0f} agree. Most often confused: {largest or 'nothing'}."
    )
    return figure


def _height_of_groups(bars: int, groups: int) -> float:
    return 1.0 + 0.11 * (bars + 1) * groups


def _draw_groups(axes: Axes, counts: pd.DataFrame, names: list[str]) -> None:
    """Draw a group of bars for each column, from the top down, with a bar for each row, which `names` calls in the legend."""
    rows = len(counts)
    height = 1 / (rows + 1)
    for i, (row, name, face) in enumerate(zip(counts.index, names, _faces(rows), strict=True)):
        y = np.arange(counts.shape[1]) + (i - (rows - 1) / 2) * height
        drawn = axes.barh(y, counts.loc[row], height, label=name, **face)
        axes.bar_label(drawn, labels=[str(n) if n else "" for n in counts.loc[row]], padding=2, fontsize=7)
    axes.invert_yaxis()
    axes.set_xlabel("number of defects")


def _draw_stacks(axes: Axes, counts: pd.DataFrame, names: list[str]) -> None:
    """Draw a bar for each row, from the top down, divided into its columns' shares, which `names` calls in the legend."""
    left, totals = np.zeros(len(counts)), counts.sum(axis=1).replace(0, 1)
    for column, name, face in zip(counts.columns, names, _faces(counts.shape[1]), strict=True):
        shares = (counts[column] / totals).to_numpy()
        drawn = axes.barh(np.arange(len(counts)), shares, left=left, label=name, **face)
        numbers = [str(n) if n else "" for n in counts[column]]
        box = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
        axes.bar_label(drawn, labels=numbers, label_type="center", fontsize=7, bbox=box)
        left += shares
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(_percent)
    axes.set_xlabel("share of the row's defects; numbers are defects")


def _panels(titles: Mapping[str, str], table: pd.DataFrame) -> tuple[Chart, Iterator[tuple[Axes, pd.DataFrame]]]:
    """Return a chart with a panel a facet, and each panel with its rows."""
    across = min(4, len(titles))
    down = -(-len(titles) // across)
    figure = Chart(figsize=(_WIDTH, 0.4 + 1.8 * down), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False).ravel()
    for empty in grid[len(titles) :]:
        empty.set_axis_off()
    for axes, title in zip(grid, titles.values(), strict=False):
        axes.set_title(title)
    return figure, ((axes, table[table["facet"] == facet]) for axes, facet in zip(grid, titles, strict=False))


def _largest(counts: "pd.Series[int]") -> list[tuple[str, int]]:
    most = counts[counts > 0].sort_values(ascending=False, kind="stable").head(_TOLD)
    return [(str(category), int(n)) for category, n in most.items()]


def _shown(titles: Mapping[str, str], table: pd.DataFrame) -> list[tuple[str, str]]:
    return [(facet, title) for facet, title in titles.items() if (table["facet"] == facet).any()]


def _legend(table: Crosstab, row: str) -> str:
    return f"{table.rows.label(row)} (n = {table.counts.sum(axis=1)[row]})"


def _faces(count: int) -> list[dict[str, Any]]:
    return [
        {"color": colour, "hatch": hatch, "edgecolor": "black", "linewidth": 0.5}
        for colour, hatch in islice(zip(cycle(_COLOURS), cycle(_HATCHES), strict=False), count)
    ]


def _percent(share: float, _position: object = None) -> str:
    return f"{share:.0%}"
