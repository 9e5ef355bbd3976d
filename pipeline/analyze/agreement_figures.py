"""Figures of agreement: how well annotators agree on each facet in each round, and what they take for what."""

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import pandas as pd

from pipeline.analyze.figures import _COLOURS, Chart, confusion_matrix, most_confused
from pipeline.analyze.layout import SCREEN

_MARKERS = ["o", "s", "D", "^", "v", "P"]
_SHADES = [_COLOURS[4], _COLOURS[7], _COLOURS[0], _COLOURS[3], _COLOURS[2], _COLOURS[1]]


def agreement_by_facet(table: pd.DataFrame, titles: Mapping[str, str], coefficient: str, title: str) -> Chart:
    """Draw agreement on each facet (rows) in each round (markers), with 95 % intervals and n.

    Parameters
    ----------
    table
        Rows of `pipeline.annotate.agreement.agreement_table`, of one coefficient and one comparison a round.
    titles
        Of the facets, in the order of their rows; those without an estimate are left out.
    coefficient
        What it is called.
    """
    known = table.dropna(subset=["value"])
    facets = [facet for facet in titles if (known["facet"] == facet).any()]
    rounds = list(known["round"].drop_duplicates())
    step = 0.8 / max(len(rounds), 1)
    with mpl.rc_context(SCREEN.style):
        figure = Chart(figsize=(SCREEN.width, 1.1 + len(facets) * (0.12 + 0.13 * len(rounds))), layout="constrained")
        axes = figure.subplots()
        for i, round_ in enumerate(rounds):
            rows = known[known["round"] == round_].set_index("facet")
            there = [facet for facet in facets if facet in rows.index]
            y = [facets.index(facet) + (i - (len(rounds) - 1) / 2) * step for facet in there]
            rows = rows.loc[there]
            axes.hlines(y, rows["low"], rows["high"], color="black", linewidth=0.9)
            marker, colour = _MARKERS[i % len(_MARKERS)], _SHADES[i % len(_SHADES)]
            points = axes.scatter(rows["value"], y, s=24, marker=marker, label=f"round {round_}", zorder=3)
            points.set(facecolor=colour, edgecolor="black", linewidth=0.5)
            for position, n in zip(y, rows["n"], strict=True):
                axes.text(1.02, position, f"n = {n}", va="center", fontsize=6, transform=axes.get_yaxis_transform())
        for border in np.arange(len(facets) - 1) + 0.5:
            axes.axhline(border, color="lightgrey", linewidth=0.5)
        axes.axvline(0, color="grey", linewidth=0.7, linestyle="--")
        axes.set_yticks(np.arange(len(facets)), [titles[facet] for facet in facets])
        axes.set_ylim(len(facets) - 0.5, -0.5)
        axes.set_xlim(min(-0.02, known["low"].min() - 0.02), 1.02)
        axes.set_xlabel(f"{coefficient}, with 95 % interval")
        if len(rounds) > 1:
            figure.legend(loc="outside lower center", ncols=4, frameon=False)
        axes.set_title(title)
    parts = []
    for round_ in rounds:
        ordered = known[(known["round"] == round_) & known["facet"].isin(facets)].sort_values("value", ascending=False)
        values = ", ".join(
            f"{titles[f]} {v:.2f} (n = {n})" for f, v, n in zip(*(ordered[c] for c in ("facet", "value", "n")), strict=True)
        )
        parts.append(f"Round {round_}: {values}")
    figure.description = f"Points with intervals. {title}: {coefficient} by facet, the highest first. {'. '.join(parts)}."
    return figure


def confusions(counts: pd.DataFrame, labels: Mapping[str, str], title: str) -> Chart:
    """Draw what two annotators said of the same defects.

    Parameters
    ----------
    counts
        What `pipeline.annotate.agreement.confusion` returns: the first annotator's categories are rows, the second's columns.
    labels
        Of the categories; one without any shows as it was written.
    """
    first, second = counts.index.name, counts.columns.name
    names = pd.Index([labels.get(name, name.strip()) for name in counts.index])  # written with spaces or without, it is the same
    named = counts.groupby(names, sort=False).sum().T.groupby(names, sort=False).sum().T
    figure = confusion_matrix(named, title)
    figure.axes[0].set_xlabel(str(second))
    figure.axes[0].set_ylabel(str(first))
    said = "; ".join(f"{one} for {first} and {other} for {second}: {n:.0f}" for one, other, n in most_confused(named, 3))
    same, n = np.trace(named.to_numpy()), named.to_numpy().sum()
    figure.description = (
        f"Matrix of counts. {title}. {first} and {second} say the same of {same} of {n} things"
        f"{'; the most frequent differences: ' if said else ''}{said}."
    )
    return figure
