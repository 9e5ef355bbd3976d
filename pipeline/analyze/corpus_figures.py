"""Figures of a corpus: when its issues were opened, and how long they stayed open."""

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd

from pipeline.analyze.figures import _COLOURS, Chart, _faces, _percent
from pipeline.analyze.layout import SCREEN


def issues_by_year(counts: pd.DataFrame, title: str) -> Chart:
    """Draw how many issues were opened in each year, divided by what was found in them.

    Parameters
    ----------
    counts
        A row for what was found, a column a year, without gaps.
    """
    totals = counts.sum()
    with mpl.rc_context(SCREEN.style):
        figure = Chart(figsize=(SCREEN.width, 2.8), layout="constrained")
        axes = figure.subplots()
        x, bottom = np.arange(counts.shape[1]), np.zeros(counts.shape[1])
        for (name, row), face in zip(counts.iterrows(), _faces(len(counts)), strict=True):
            axes.bar(x, row, 0.75, bottom=bottom, label=f"{name} (n = {row.sum()})", **face)
            bottom += row.to_numpy()
        for position, total in enumerate(totals):
            axes.text(position, total, str(total), ha="center", va="bottom", fontsize=7)
        axes.set_xticks(x, [str(year) for year in counts.columns])
        axes.set_ylabel("issues")
        axes.margins(y=0.08)
        figure.legend(loc="outside lower center", ncols=3, frameon=False)
        axes.set_title(title)
    parts = "; ".join(f"{year}: {total}" for year, total in totals.items())
    figure.description = f"Bar chart. {title}. The most were opened in {totals.idxmax()} ({totals.max()}). By year: {parts}."
    return figure


def closing_times(days: Mapping[str, pd.Series], title: str) -> Chart:
    """Draw which share of issues was closed within how many days, a line a group.

    Parameters
    ----------
    days
        From opening to closing, by the group's name.
    """
    longest = max(float(values.max()) for values in days.values())
    with mpl.rc_context(SCREEN.style):
        figure = Chart(figsize=(SCREEN.width, 2.8), layout="constrained")
        axes = figure.subplots()
        styles = zip([_COLOURS[0], _COLOURS[2], _COLOURS[4]], ["-", "--", ":"], strict=True)
        for (name, values), (colour, line) in zip(days.items(), styles, strict=False):
            axes.ecdf(values.clip(lower=1 / 24), label=name, color=colour, linestyle=line, linewidth=1.3)
        axes.set_xscale("log")
        marks = {1 / 24: "1 hour", 1: "1 day", 7: "1 week", 30: "30 days", 365: "1 year", 1826: "5 years"}
        shown = {at: name for at, name in marks.items() if at <= longest * 1.2}
        axes.set_xticks(list(shown), list(shown.values()))
        axes.set_xticks([], minor=True)
        axes.set_ylim(0, 1)
        axes.yaxis.set_major_formatter(_percent)
        axes.set_xlabel("time from opening to closing")
        axes.set_ylabel("closed by then")
        axes.legend(loc="upper left", frameon=False)
        axes.set_title(title)
    middles = "; ".join(f"{name}: half within {values.median():.1f} days" for name, values in days.items())
    figure.description = f"Line chart of the share of issues closed by time. {title}. {middles}."
    return figure
