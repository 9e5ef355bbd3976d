"""Figures by matplotlib: bars, grouped bars and stacked bars.

Readable in grey and by colour-blind people: neighbours differ in lightness and in hatching, and each bar carries its n.
A new figure is a row in a study file, not a function here.
"""

import io
from itertools import cycle, islice
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from pipeline.analyze.results import Crosstab, Distribution
from pipeline.errors import RedefectError

# Okabe & Ito's palette, ordered so that lightness alternates.
_COLOURS = ["#0072B2", "#F0E442", "#D55E00", "#56B4E9", "#000000", "#CC79A7", "#009E73", "#E69F00"]
_HATCHES = ["", "///", "...", "xxx", "\\\\\\", "++", "oo", "--"]
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


class Chart(Figure):
    """A matplotlib figure that shows itself in a notebook and writes the same bytes each time."""

    def to_bytes(self, format: str) -> bytes:  # noqa: A002 (matplotlib's word)
        """Return the figure as a file's contents, `svg`, `pdf` or `png`, without any time stamp."""
        dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
        file = io.BytesIO()
        with mpl.rc_context(_STYLE):
            self.savefig(file, format=format, dpi=150, metadata=dates.get(format))
        return file.getvalue()

    def _repr_png_(self) -> bytes:
        return self.to_bytes("png")


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
        axes.invert_yaxis()
        axes.set_xlim(0, min(1.15, np.nanmax([*frame["high"], 0.1]) + 0.12))
        axes.xaxis.set_major_formatter(_percent)
        axes.set_xlabel("share of defects, with 95 % interval")
        axes.set_title(distribution.title)
    return figure


def grouped_bars(table: Crosstab, title: str | None = None) -> Chart:
    """Draw a group of bars for each column category with a bar for each row category, and n on each bar."""
    present = table.counts.loc[:, table.counts.sum() > 0]
    order = present.sum().sort_values(ascending=False, kind="stable").index
    rows = len(present.index)
    with mpl.rc_context(_STYLE):
        figure = Chart(figsize=(_WIDTH, 1.0 + 0.15 * (rows + 1) * len(order)), layout="constrained")
        axes = figure.subplots()
        height = 1 / (rows + 1)
        for i, (row, face) in enumerate(zip(present.index, _faces(rows), strict=True)):
            y = np.arange(len(order)) + (i - (rows - 1) / 2) * height
            drawn = axes.barh(y, present.loc[row, order], height, label=_legend(table, row), **face)
            axes.bar_label(drawn, padding=2, fontsize=7)
        axes.set_yticks(np.arange(len(order)), [table.columns.label(c) for c in order])
        axes.invert_yaxis()
        axes.set_xlabel("number of defects")
        axes.margins(x=0.08, y=0.01)
        axes.legend(title=table.rows.title, loc="lower right", frameon=False)
        axes.set_title(table.titled(title) if title else table.title)
    return figure


def stacked_bars(table: Crosstab, title: str | None = None) -> Chart:
    """Draw a bar for each row category, divided into the shares of the column categories, and n in each part."""
    present = table.counts.loc[:, table.counts.sum() > 0]
    totals = present.sum(axis=1)
    rows = totals.index[totals > 0]
    with mpl.rc_context(_STYLE):
        figure = Chart(figsize=(_WIDTH, 1.2 + 0.42 * len(rows)), layout="constrained")
        axes = figure.subplots()
        left = np.zeros(len(rows))
        for column, face in zip(present.columns, _faces(len(present.columns)), strict=True):
            shares = (present.loc[rows, column] / totals[rows]).to_numpy()
            drawn = axes.barh(np.arange(len(rows)), shares, left=left, label=table.columns.label(column), **face)
            numbers = [str(n) if n else "" for n in present.loc[rows, column]]
            box = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
            axes.bar_label(drawn, labels=numbers, label_type="center", fontsize=7, bbox=box)
            left += shares
        axes.set_yticks(np.arange(len(rows)), [_legend(table, row) for row in rows])
        axes.invert_yaxis()
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_formatter(_percent)
        axes.set_xlabel("share of the row's defects; numbers are defects")
        figure.legend(loc="outside lower center", ncols=4, frameon=False)
        axes.set_title(table.titled(title) if title else table.title)
    return figure


def _legend(table: Crosstab, row: str) -> str:
    return f"{table.rows.label(row)} (n = {table.counts.sum(axis=1)[row]})"


def _faces(count: int) -> list[dict[str, Any]]:
    return [
        {"color": colour, "hatch": hatch, "edgecolor": "black", "linewidth": 0.5}
        for colour, hatch in islice(zip(cycle(_COLOURS), cycle(_HATCHES), strict=False), count)
    ]


def _percent(share: float, _position: object = None) -> str:
    return f"{share:.0%}"
