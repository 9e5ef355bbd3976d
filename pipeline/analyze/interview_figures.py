"""Figures of interviews: where themes are seen, when nothing new comes, and what challenges look like in the tracker."""

from collections.abc import Mapping
from textwrap import fill

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from pipeline.analyze.figures import _COLOURS, Chart, _faces, _percent
from pipeline.analyze.layout import SCREEN

_MARKERS = ["o", "s", "^", "D"]


def shares_by_group(table: pd.DataFrame, themes: Mapping[str, str], groups: Mapping[str, str], title: str) -> Chart:
    """Draw for each theme in which share of each group's turns it is seen, as a point with its interval.

    Parameters
    ----------
    table
        Columns `theme`, `group`, `share`, `low`, `high`, `turns`, `n`.
    themes, groups
        What themes are called, from the top down, and groups in the legend.
    """
    with mpl.rc_context(SCREEN.style):
        figure = Chart(figsize=(SCREEN.width, 1.1 + 0.32 * len(themes)), layout="constrained")
        axes = figure.subplots()
        for i, (group, name) in enumerate(groups.items()):
            rows = table[table["group"] == group].set_index("theme").loc[list(themes)]
            y = np.arange(len(themes)) + (i - (len(groups) - 1) / 2) * 0.6 / max(len(groups), 1)
            axes.hlines(y, rows["low"], rows["high"], color=_COLOURS[2 * i % len(_COLOURS)], linewidth=1)
            axes.plot(
                rows["share"], y, _MARKERS[i % len(_MARKERS)], color=_COLOURS[2 * i % len(_COLOURS)], markersize=4,
                label=f"{name} (n = {rows['n'].max()})", markeredgecolor="black", markeredgewidth=0.4,
            )  # fmt: skip
        axes.set_yticks(np.arange(len(themes)), list(themes.values()))
        axes.invert_yaxis()
        axes.grid(axis="y", linewidth=0.3, color="lightgrey")
        axes.set_xlim(0, None)
        axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter(_percent)
        axes.set_xlabel("share of turns in which any coder sees it, with 95 % interval")
        figure.legend(loc="outside lower center", ncols=4, frameon=False)
        axes.set_title(title)
    parts = []
    for group, name in groups.items():
        top = table[table["group"] == group].sort_values("share", ascending=False, kind="stable").head(3)
        largest = ", ".join(f"{themes[str(row.theme)]} {row.share:.0%}" for row in top.itertuples())
        parts.append(f"{name} (n = {top['n'].max()} turns): {largest}")
    figure.description = f"Points with intervals. {title}. The largest shares: {'; '.join(parts)}."
    return figure


def saturation_curve(table: pd.DataFrame, title: str) -> Chart:
    """Draw how many themes have come up after each interview, and how many new ones each brings.

    Parameters
    ----------
    table
        What `pipeline.analyze.coded_turns.saturation` returns.
    """
    with mpl.rc_context(SCREEN.style):
        figure = Chart(figsize=(SCREEN.width, 2.8), layout="constrained")
        axes = figure.subplots()
        x = table["interviews"]
        axes.bar(
            x, table["mean_new"], 0.5, color=_COLOURS[1], edgecolor="black", linewidth=0.5, label="new, mean of random orders"
        )
        axes.fill_between(
            x, table["low"], table["high"], color=_COLOURS[3], alpha=0.4, linewidth=0, label="95 % of random orders"
        )
        axes.plot(x, table["mean"], color=_COLOURS[0], linewidth=1.2, label="so far, mean of random orders")
        axes.plot(x, table["seen"], "o", color="black", markersize=3.5, label="so far, in the transcripts' order")
        axes.set_xticks(x)
        axes.set_ylim(0, table["seen"].max() * 1.08)
        axes.set_xlabel("interviews")
        axes.set_ylabel("themes")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        figure.legend(loc="outside lower center", ncols=2, frameon=False)
        axes.set_title(title)
    total = int(table["seen"].iloc[-1])
    full = int(table.loc[table["mean"] >= 0.95 * total, "interviews"].iloc[0])
    figure.description = (
        f"Line with band over bars. {title}. Of {total} themes, {table['mean'].iloc[0]:.1f} come up in the first (mean), "
        f"95 % of them have after {full} of {len(table)}; the last interview brings {table['mean_new'].iloc[-1]:.1f} new ones."
    )
    return figure


def stacks(tables: Mapping[str, pd.DataFrame], title: str) -> Chart:
    """Draw tables of counts under each other, a bar a row, divided into its columns' shares, with n in each part that has room.

    Parameters
    ----------
    tables
        By panel title, the same rows in each: counts with names as index and columns.
    """
    with mpl.rc_context(SCREEN.style):
        rows = max(len(table) for table in tables.values())
        figure = Chart(figsize=(SCREEN.width, 0.6 + (1.1 + 0.27 * rows) * len(tables)), layout="constrained")
        grid = figure.subplots(len(tables), 1, squeeze=False).ravel()
        box = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
        for axes, (panel, table) in zip(grid, tables.items(), strict=True):
            totals = table.sum(axis=1)
            left = np.zeros(len(table))
            for (name, counts), face in zip(table.items(), _faces(table.shape[1]), strict=True):
                shares = (counts / totals.replace(0, 1)).to_numpy()
                drawn = axes.barh(np.arange(len(table)), shares, 0.75, left=left, label=str(name), **face)
                numbers = [str(n) if share > 0.035 else "" for n, share in zip(counts, shares, strict=True)]
                axes.bar_label(drawn, labels=numbers, label_type="center", fontsize=7, bbox=box)
                left += shares
            axes.set_yticks(np.arange(len(table)), [f"{fill(str(name), 26)}\n(n = {totals[name]})" for name in table.index])
            axes.invert_yaxis()
            axes.set_xlim(0, 1)
            axes.xaxis.set_major_formatter(_percent)
            axes.set_title(panel)
            axes.legend(loc="upper center", bbox_to_anchor=(0.4, -0.12), ncols=3, frameon=False, fontsize=7)
        figure.supxlabel("share of the row's defects; numbers are defects")
        figure.suptitle(title)
    parts = []
    for panel, table in tables.items():
        parted = table.div(table.sum(axis=1).replace(0, np.nan), axis=0)
        tops = [f"{name}: {row.idxmax()} {row.max():.0%}" for name, row in parted.iterrows() if row.notna().any()]
        parts.append(f"{panel}, most frequent in {'; in '.join(tops)}")
    figure.description = f"Stacked bars. {title}. {'. '.join(parts)}."
    return figure
