"""Figures by matplotlib: bars, grouped bars and stacked bars; and of a classifier, how far to trust it.

Readable in grey and by colour-blind people: neighbours differ in lightness and in hatching, and each bar carries its n.
A new figure of a study is a row in its file, not a function here.
"""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.analyze.layout import SCREEN, Layout, legend_below, set_height
from pipeline.analyze.results import Crosstab, Distribution
from pipeline.errors import RedefectError
from pipeline.numerals import share_text

# Okabe & Ito's palette, ordered so that lightness alternates.
_COLOURS = ["#0072B2", "#F0E442", "#D55E00", "#56B4E9", "#000000", "#CC79A7", "#009E73", "#E69F00"]
_HATCHES = ["", "///", "---", "xxx", "\\\\\\", "++", "|||", "//"]  # lines only: dots and rings make an SVG three times as large
_GREYS = ["#8C8C8C", "#FFFFFF", "#595959", "#E0E0E0", "#262626", "#BFBFBF", "#737373", "#F2F2F2"]
_NAMES, _LABEL = 0.36, 0.6  # of a printed figure's width: what names of bars and what an axis's label may take
_TWO_PANELS = 6.0  # inches, from which groups of bars have room in two panels
_TOLD = 3  # of the largest values, so many in a description


class Chart(Figure):
    """A matplotlib figure that shows itself in a notebook, as SVG, and writes the same bytes each time.

    Attributes
    ----------
    title
        What it shows, with its n, as its caption says it; empty where the figure itself has a title.
    description
        What the figure shows, in words: for those who cannot see it. Every function that draws a chart sets it.
    """

    title: str = ""
    description: str = ""

    def to_bytes(self, format: str) -> bytes:  # noqa: A002 (matplotlib's word)
        """Return the figure as a file's contents, `svg`, `pdf` or `png`, without any time stamp."""
        dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
        file = io.BytesIO()
        with mpl.rc_context(SCREEN.style):
            self.savefig(file, format=format, dpi=150, metadata=dates.get(format))
        return file.getvalue()

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
        """Return the figure for a notebook, with its description for readers, too."""
        svg = {"image/svg+xml": self.to_bytes("svg").decode(), "text/plain": self.description or "a figure"}
        return svg, {"image/svg+xml": {"alt": svg["text/plain"]}}


def draw(table: Crosstab, style: str, title: str | None = None, layout: Layout = SCREEN) -> Chart:
    """Draw a cross table as `grouped` or `stacked` bars.

    Raises
    ------
    RedefectError
        If there is no such style, or the layout has no room.
    """
    styles = {"grouped": grouped_bars, "stacked": stacked_bars}
    if style not in styles:
        raise RedefectError(f"There is no figure style '{style}'; there are {' and '.join(styles)}.")
    return styles[style](table, title, layout)


def bars(distribution: Distribution, layout: Layout = SCREEN) -> Chart:
    """Draw how often each category occurs, with its n and the interval of its share."""
    frame = distribution.frame
    names = [layout.broken(label, _NAMES) for label in frame["label"]]
    with mpl.rc_context(layout.style):
        figure = Chart(figsize=(layout.width, 0.7 + 0.24 * len(frame)), layout="constrained")
        axes = figure.subplots()
        sizes = np.maximum(0.2, layout.lines(names) + 0.05) / 0.2 if layout.printed else np.ones(len(frame))
        y = np.cumsum(sizes) - sizes / 2 - 0.5
        axes.barh(y, frame["share"], color=_faces(4, layout)[3]["color"], edgecolor="black", linewidth=0.5)
        axes.hlines(y, frame["low"], frame["high"], color="black", linewidth=1)
        axes.set_yticks(y, names)
        axes.set_ylim(sizes.sum() - 0.4, -0.6)
        axes.xaxis.set_major_formatter(_percent)
        what = "share of defects, with 95 % interval"
        counts = [f"n = {n}" for n in frame["n"]]
        if layout.printed:
            axes.set_xlim(0, min(1, np.nanmax([*frame["high"], 0.1]) * 1.03))
            axes.set_xlabel(layout.broken(f"{what} {distribution.size}", _LABEL))
            side = axes.secondary_yaxis("right")
            side.set_yticks(y, counts)
            side.tick_params(length=0)
            side.spines["right"].set_visible(False)
            set_height(figure, axes, 0.2 * (sizes.sum() + 0.2), layout, distribution.title)
        else:
            for position, (high, count) in enumerate(zip(frame["high"].fillna(0), counts, strict=True)):
                axes.text(float(high) + 0.01, position, count, va="center")
            axes.set_xlim(0, min(1.15, np.nanmax([*frame["high"], 0.1]) + 0.12))
            axes.set_xlabel(what)
            axes.set_title(distribution.title)
    most = frame[frame["n"] > 0].sort_values("n", ascending=False, kind="stable").head(_TOLD)
    told = [
        f"{row['label']} {share_text(row['share'], row['low'], row['high'])} (n = {row['n']})" for row in most.to_dict("records")
    ]
    figure.title = distribution.title
    figure.description = f"Bar chart. {figure.title}. The most frequent of {len(frame)} categories: {', '.join(told)}."
    return figure


def grouped_bars(table: Crosstab, title: str | None = None, layout: Layout = SCREEN) -> Chart:
    """Draw a group of bars for each column category with a bar for each row category, and n on each bar.

    In print, bars of nothing are left out, and groups stand in two panels where these have room beside each other.
    """
    present = table.counts.loc[:, table.counts.sum() > 0]
    order = present.sum().sort_values(ascending=False, kind="stable").index
    present = present[order]
    shown = table.titled(title) if title else table.title
    bars_of, groups = [_legend(table, row) for row in present.index], [table.columns.label(c) for c in order]
    with mpl.rc_context(layout.style):
        if layout.printed:
            figure = _printed_groups(table, present, bars_of, groups, shown, layout)
        else:
            figure = Chart(figsize=(layout.width, _height_of_groups(*present.shape)), layout="constrained")
            axes = figure.subplots()
            _draw_groups(axes, present, bars_of, groups)
            axes.margins(x=0.08, y=0.01)
            axes.legend(title=table.rows.title, loc="lower right", frameon=False)
            axes.set_title(shown)
    told = [
        f"{table.columns.label(column)} {present[column].sum()}, of which "
        + ", ".join(f"{table.rows.label(row)} {n}" for row, n in _largest(present[column]))
        for column in order[:_TOLD]
    ]
    figure.title = shown
    figure.description = f"Grouped bars. {shown}. The largest of {len(order)} groups: {'; '.join(told)}."
    return figure


def stacked_bars(table: Crosstab, title: str | None = None, layout: Layout = SCREEN) -> Chart:
    """Draw a bar for each row category, divided into the shares of the column categories, and n in each part.

    In print, n is left out of a part that is too narrow for it.
    """
    present = table.counts.loc[table.counts.sum(axis=1) > 0, table.counts.sum() > 0]
    names = [layout.broken(_legend(table, row), _NAMES) for row in present.index]
    shown = table.titled(title) if title else table.title
    with mpl.rc_context(layout.style):
        figure = Chart(figsize=(layout.width, 1.2 + 0.42 * len(present)), layout="constrained")
        axes = figure.subplots()
        _draw_stacks(axes, present, [table.columns.label(column) for column in present.columns], layout)
        axes.set_yticks(np.arange(len(present)), names)
        if layout.printed:
            axes.set_xlabel(layout.broken(table.titled(axes.get_xlabel()), _LABEL))
            axes.set_ylim(len(present) - 0.5, -0.5)
        legend_below(figure, axes, layout)
        if layout.printed:
            set_height(figure, axes, max(0.32, layout.lines(names).max() + 0.06) * len(present), layout, shown)
            _only_what_fits(axes)
        else:
            axes.set_title(shown)
    told = [
        f"{_legend(table, row)}: "
        + ", ".join(f"{table.columns.label(column)} {n / present.loc[row].sum():.1%}" for column, n in _largest(present.loc[row]))
        for row in present.index
    ]
    figure.title = shown
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
    with mpl.rc_context(SCREEN.style):
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
    with mpl.rc_context(SCREEN.style):
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
    with mpl.rc_context(SCREEN.style):
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
    with mpl.rc_context(SCREEN.style):
        figure = Chart(figsize=(SCREEN.width, 1.6 + 0.22 * rows), layout="constrained")
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


def _printed_groups(
    table: Crosstab, counts: pd.DataFrame, bars_of: list[str], groups: list[str], title: str, layout: Layout
) -> Chart:
    """Draw groups for a page: without empty bars, and in two panels where there is room for them and one would be high."""
    pitch = 0.11 * layout.numbers / 7

    def place(part: slice, share: float) -> tuple[list[str], _Places]:
        names = [layout.broken(group, share * _NAMES) for group in groups[part]]
        return names, _places(counts.iloc[:, part], 0.8, empty=False, least=layout.lines(names) / pitch + 0.2)

    parts = [slice(None)]
    if layout.width >= _TWO_PANELS and len(groups) > 1 and pitch * place(parts[0], 1)[1].length > layout.width / 3:
        halves = [[slice(0, i), slice(i, None)] for i in range(1, len(groups))]
        parts = min(halves, key=lambda two: max(place(part, 0.5)[1].length for part in two))
    placed = [place(part, 1 / len(parts)) for part in parts]
    across, length, most = len(parts), max(places.length for _, places in placed), counts.to_numpy().max(initial=1)
    figure = Chart(figsize=(layout.width, 4), layout="constrained")
    panels = figure.subplots(1, across, sharex=True, squeeze=False).ravel()
    for axes, part, (names, places) in zip(panels, parts, placed, strict=True):
        _draw_groups(axes, counts.iloc[:, part], bars_of, names, layout, places)
        axes.set_ylim(length, 0)
        axes.set_xlim(0, most / (1 - layout.digits(len(str(most))) / (0.55 * layout.width / across)))
        axes.set_xlabel(layout.broken(table.titled(axes.get_xlabel()), _LABEL / across))
    legend_below(figure, panels[0], layout, table.rows.title)
    set_height(figure, panels[0], pitch * length, layout, title)
    return figure


@dataclass(frozen=True, slots=True)
class _Places:
    """Where grouped bars are, in units of a bar's thickness from the top: bars (NaN: left out), groups' middles, and the end."""

    bars: np.ndarray
    middles: np.ndarray
    length: float


def _places(counts: pd.DataFrame, gap: float = 1.0, *, empty: bool = True, least: np.ndarray | None = None) -> _Places:
    """Place a group of bars for each column, with a bar for each row, or only those that are not `empty`.

    Parameters
    ----------
    least
        How much each group takes at least, with its gap.
    """
    there = np.ones(counts.shape, dtype=bool) if empty else counts.to_numpy() > 0
    sizes = np.maximum(there.sum(axis=0) + gap, 0 if least is None else least)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    within = np.cumsum(there, axis=0) - 0.5 + (sizes - there.sum(axis=0)) / 2
    return _Places(np.where(there, starts[:-1] + within, np.nan), (starts[:-1] + starts[1:]) / 2, float(starts[-1]))


def _draw_groups(
    axes: Axes,
    counts: pd.DataFrame,
    names: list[str],
    groups: list[str],
    layout: Layout = SCREEN,
    places: _Places | None = None,
) -> None:
    """Draw a group of bars for each column, from the top down, with a bar for each row.

    Parameters
    ----------
    names
        Of the rows, in the legend.
    groups
        Of the columns, on the axis.
    """
    places = places or _places(counts)
    for row, y, name, face in zip(counts.index, places.bars, names, _faces(len(counts), layout), strict=True):
        drawn = axes.barh(y, counts.loc[row], 1, label=name, **face)
        shown = [str(n) if n else "" for n in counts.loc[row]]
        axes.bar_label(drawn, labels=shown, padding=2, fontsize=layout.numbers)
    axes.invert_yaxis()
    axes.set_yticks(places.middles, groups)
    axes.set_xlabel("number of defects")


def _draw_stacks(axes: Axes, counts: pd.DataFrame, names: list[str], layout: Layout = SCREEN) -> None:
    """Draw a bar for each row, from the top down, divided into its columns' shares, which `names` calls in the legend."""
    left, totals = np.zeros(len(counts)), counts.sum(axis=1).replace(0, 1)
    for column, name, face in zip(counts.columns, names, _faces(counts.shape[1], layout), strict=True):
        shares = (counts[column] / totals).to_numpy()
        drawn = axes.barh(np.arange(len(counts)), shares, left=left, label=name, **face)
        numbers = [str(n) if n else "" for n in counts[column]]
        box = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
        axes.bar_label(drawn, labels=numbers, label_type="center", fontsize=layout.numbers, bbox=box)
        left += shares
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(_percent)
    axes.set_xlabel("share of the row's defects; numbers are defects")


def _only_what_fits(axes: Axes) -> None:
    """Remove the numbers that are wider than the parts of bars that they stand in."""
    parts = [part for container in axes.containers for part in container]
    for part, number in zip(parts, list(axes.texts), strict=True):
        if part.get_window_extent().width < number.get_window_extent().width + 3:
            number.set_text("")


def _panels(titles: Mapping[str, str], table: pd.DataFrame) -> tuple[Chart, Iterator[tuple[Axes, pd.DataFrame]]]:
    """Return a chart with a panel a facet, and each panel with its rows."""
    across = min(4, len(titles))
    down = -(-len(titles) // across)
    figure = Chart(figsize=(SCREEN.width, 0.4 + 1.8 * down), layout="constrained")
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


def _faces(count: int, layout: Layout = SCREEN) -> list[dict[str, Any]]:
    return [
        {"color": colour, "hatch": hatch, "edgecolor": "black", "linewidth": 0.5}
        for colour, hatch in islice(zip(cycle(_GREYS if layout.grey else _COLOURS), cycle(_HATCHES), strict=False), count)
    ]


def _percent(share: float, _position: object = None) -> str:
    return f"{share:.0%}"
