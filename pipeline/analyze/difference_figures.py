"""Figures of two groups compared: their shares side by side, and the differences of these."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from pipeline.analyze.figures import _COLOURS, Chart, _percent
from pipeline.analyze.layout import SCREEN
from pipeline.taxonomy import Facet

_MARKS: list[dict[str, Any]] = [  # they differ in form and in lightness
    {"marker": "o", "markerfacecolor": "black"},
    {"marker": "D", "markerfacecolor": "#999999"},
    {"marker": "s", "markerfacecolor": _COLOURS[1]},
    {"marker": "^", "markerfacecolor": _COLOURS[2]},
    {"marker": "v", "markerfacecolor": _COLOURS[3]},
]
_SIDES = {"first": _MARKS[:2], "second": _MARKS[2:]}


def paired_dots(tables: Mapping[str, pd.DataFrame], facet: Facet, names: Mapping[str, tuple[str, str]]) -> Chart:
    """Draw two groups' shares of a facet's categories, and beside them their differences, all with 95 % intervals.

    Parameters
    ----------
    tables
        By the name of each comparison, what `pipeline.analyze.differences.differences` returned for the facet; a band each.
    names
        What to call the two groups of each comparison.
    """
    shown = {name: table[_occurs(table)] for name, table in tables.items()}
    heights = [0.75 + table["category"].nunique() * (0.14 + 0.1 * table["method"].nunique()) for table in shown.values()]
    with mpl.rc_context(SCREEN.style):
        figure = Chart(figsize=(SCREEN.width, sum(heights) + 0.3), layout="constrained")
        grid = figure.subplots(len(shown), 2, squeeze=False, sharey="row", height_ratios=heights)
        for (shares, gaps), (name, table), height in zip(grid, shown.items(), heights, strict=True):
            order = [category for category in facet.ids if category in set(table["category"])]
            _draw_shares(shares, table, order, names[name])
            _draw_differences(gaps, table, order)
            shares.set_yticks(np.arange(len(order)), [facet.label(category) for category in order])
            shares.set_ylim(len(order) - 0.4, -0.6)
            shares.set_title(f"{facet.title}: share")
            gaps.set_title(f"{names[name][1]} less {names[name][0]}")
            for axes in (shares, gaps):
                axes.grid(axis="x", linewidth=0.3)
                axes.tick_params(axis="y", length=0)
            shares.legend(loc="upper left", bbox_to_anchor=(-0.3, -0.25 / (height - 0.5)), fontsize=7, frameon=False)
    figure.description = " ".join(_told(table, facet, *names[name]) for name, table in shown.items())
    return figure


def _draw_shares(axes: Axes, table: pd.DataFrame, order: list[str], names: tuple[str, str]) -> None:
    lanes = []
    for side, name in zip(_SIDES, names, strict=True):
        columns = [side, f"{side}_low", f"{side}_high"]
        by_method = {str(method): _rows(of, order)[columns] for method, of in table.groupby("method", sort=False)}
        if _counted(table, side):
            by_method = {"": _rows(table.drop_duplicates("category"), order)[columns]}
        for (method, rows), mark in zip(by_method.items(), _SIDES[side], strict=False):
            lanes.append((f"{name}, corrected by {method}" if method else name, rows.to_numpy(), mark))
    for lane, (label, values, mark) in enumerate(lanes):
        _draw_dots(axes, values, _offset(lane, len(lanes)), mark, label)
    axes.set_xlim(left=-0.015)
    axes.xaxis.set_major_formatter(_percent)


def _draw_differences(axes: Axes, table: pd.DataFrame, order: list[str]) -> None:
    axes.axvline(0, color="grey", linewidth=0.7, linestyle="--")
    methods = table["method"].unique()
    marks = _SIDES["first"] if _counted(table, "second") and not _counted(table, "first") else _SIDES["second"]
    for lane, (method, mark) in enumerate(zip(methods, marks, strict=False)):
        rows = _rows(table[table["method"] == method], order)[["difference", "low", "high"]].to_numpy()
        _draw_dots(axes, rows, _offset(lane, len(methods)), mark, None)
    axes.xaxis.set_major_formatter(_points)
    axes.set_xlabel("percentage points, with 95 % interval")


def _draw_dots(axes: Axes, rows: np.ndarray, offset: float, mark: dict[str, Any], label: str | None) -> None:
    y = np.arange(len(rows)) + offset
    axes.hlines(y, rows[:, 1], rows[:, 2], color="black", linewidth=0.8)
    axes.plot(rows[:, 0], y, linestyle="", markersize=4.5, markeredgecolor="black", markeredgewidth=0.6, label=label, **mark)


def _occurs(table: pd.DataFrame) -> "pd.Series[bool]":
    """Tell of each row whether its category occurs, in either group and by any method."""
    return table.groupby("category")[["first", "second"]].transform("max").max(axis=1) > 0


def _counted(table: pd.DataFrame, side: str) -> bool:
    """Tell whether a group has but one share of each category: it was counted, or corrected in one way."""
    return not table.groupby("category")[side].nunique().gt(1).any()


def _rows(table: pd.DataFrame, order: list[str]) -> pd.DataFrame:
    return table.set_index("category").reindex(order)


def _offset(lane: int, lanes: int) -> float:
    return 0.7 * ((lane + 0.5) / max(2, lanes) - 0.5) if lanes > 1 else 0.0


def _points(difference: float, _position: object = None) -> str:
    return f"{100 * difference:+.0f}" if round(100 * difference) else "0"


def _told(table: pd.DataFrame, facet: Facet, first: str, second: str) -> str:
    """Tell the largest differences of a comparison in words."""
    order = np.argsort(-table["difference"].abs().to_numpy(), kind="stable")[:3]
    largest = "; ".join(
        f"{facet.label(str(row['category']))} {row['first']:.1%} and {row['second']:.1%}, difference "
        f"{100 * row['difference']:+.1f} points [{100 * row['low']:+.1f}, {100 * row['high']:+.1f}] ({row['method']})"
        for row in table.iloc[order].to_dict("records")
    )
    clear = int(((table["low"] > 0) | (table["high"] < 0)).sum())
    return (
        f"Dots with intervals. {facet.title}, {first} beside {second}: shares of {table['category'].nunique()} categories and "
        f"their differences. {clear} of {len(table)} intervals of differences leave out 0. The largest: {largest}."
    )
