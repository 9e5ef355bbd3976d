"""The result objects that notebooks, figures, findings and exports all use: how often categories occur, alone or in pairs.

Both carry their n and intervals, print as a table, and can draw themselves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import chi2_contingency

from pipeline.intervals import cramers_v, wilson
from pipeline.numerals import share_text, with_interval
from pipeline.taxonomy import Facet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PERMUTATIONS = 9_999
_INTERVAL = re.compile(r"[-+]?[\d.]+(?: %)? \[[-+]?[\d.]+, [-+]?[\d.]+\]")


@dataclass(frozen=True)
class Distribution:
    """How often each category of a facet occurs.

    Attributes
    ----------
    facet
        The facet.
    frame
        A row a category, in the taxonomy's order: `category` (id), `label`, `n`, `share`, and its 95 % Wilson interval
        `low`, `high`. Categories that only published tables use are left out when they do not occur.
    n
        Number of defects that have an answer.
    missing
        Number of defects without one.
    note
        What to say of the data wherever they are shown, for instance that they are fictional.
    """

    facet: Facet
    frame: pd.DataFrame
    n: int
    missing: int
    note: str = ""

    @property
    def title(self) -> str:
        """What the table shows, with its n."""
        return f"{self.facet.title} {self.size}"

    @property
    def size(self) -> str:
        """Its n, in brackets, with what to say of it."""
        return _size(self.n, f"{self.missing} without an answer" if self.missing else "", self.note)

    def plot(self) -> Figure:
        """Draw the distribution as bars with their n."""
        from pipeline.analyze.figures import bars

        return bars(self)

    def __str__(self) -> str:
        return f"{self.title}\n{_percent(self.frame).to_string(index=False)}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return _html(self.title, _percent(self.frame))


@dataclass(frozen=True)
class Independence:
    """A test of independence of a cross table's facets, and how strong their association is.

    Attributes
    ----------
    chi2, freedom
        Pearson's statistic and its degrees of freedom, empty rows and columns left out.
    p
        Of a permutation test with that statistic: valid for the small counts that such tables have.
    permutations
        Number of random permutations behind `p`, which is at least 1 / (permutations + 1).
    v, v_low, v_high
        Cramer's V and its 95 % interval.
    """

    chi2: float
    freedom: int
    p: float
    permutations: int
    v: float
    v_low: float
    v_high: float

    @property
    def p_bound(self) -> str:
        """The p value as it is written: `= 0.0123`, or `< 0.0002` when no permutation reached the statistic."""
        return f"= {self.p:.4f}" if self.p > 1 / (self.permutations + 1) else f"< {2 / (self.permutations + 1):.4f}"

    def __str__(self) -> str:
        return (
            f"chi2({self.freedom}) = {self.chi2:.1f}, p {self.p_bound} ({self.permutations} permutations), "
            f"Cramer's V = {with_interval(self.v, self.v_low, self.v_high)}"
        )


@dataclass(frozen=True)
class Crosstab:
    """How often the categories of two facets occur together.

    Attributes
    ----------
    rows, columns
        The facets.
    counts
        Counts with row categories as index and column categories as columns (ids, in the taxonomy's order).
    cells
        A row a cell: `row`, `column` (ids), `row_label`, `column_label`, `n`, `row_n`, and the `share` of the row with its 95 %
        Wilson interval `low`, `high`.
    n
        Number of defects that have an answer to both.
    independence
        Whether the facets are independent, and their association.
    note
        What to say of the data wherever they are shown, for instance that they are fictional.
    """

    rows: Facet
    columns: Facet
    counts: pd.DataFrame
    cells: pd.DataFrame
    n: int
    independence: Independence
    note: str = ""

    @property
    def title(self) -> str:
        """What the table shows, with its n."""
        return self.titled(f"{self.columns.title} by {self.rows.title.lower()}")

    def titled(self, title: str) -> str:
        """Return a title of one's own with the table's n."""
        return f"{title} {_size(self.n, self.note)}"

    @property
    def shares(self) -> pd.DataFrame:
        """Counts as shares of their row; NaN in an empty row."""
        return self.counts.div(self.counts.sum(axis=1).replace(0, np.nan), axis=0)

    def plot(self, style: str = "grouped") -> Figure:
        """Draw the table as `grouped` or `stacked` bars with their n."""
        from pipeline.analyze.figures import draw

        return draw(self, style)

    def labelled(self) -> pd.DataFrame:
        """Return the counts under the categories' labels, with totals."""
        table = self.counts.copy()
        table["Total"] = table.sum(axis=1)
        table.loc["Total"] = table.sum()
        table.index = pd.Index([self.rows.label(i) for i in self.counts.index] + ["Total"], name=self.rows.title)
        table.columns = pd.Index([self.columns.label(i) for i in self.counts.columns] + ["Total"], name=self.columns.title)
        return table

    def __str__(self) -> str:
        return f"{self.title}\n{self.labelled().to_string()}\n{self.independence}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"{_html(self.title, self.labelled(), index=True)}<p>{self.independence}</p>"


def distribution(defects: pd.DataFrame, facet: Facet, note: str = "") -> Distribution:
    """Count the categories of a facet.

    Parameters
    ----------
    defects
        The frame of defects, with a column named by the facet's id.
    """
    answers = defects[facet.id].dropna()
    counts = answers.value_counts()
    rows = []
    for category in facet.values:
        count = int(counts.get(category.id, 0))
        if count or not category.published_only:
            rows.append(
                (
                    category.id,
                    category.label,
                    count,
                    count / len(answers) if len(answers) else np.nan,
                    *wilson(count, len(answers)),
                )
            )
    frame = pd.DataFrame(rows, columns=["category", "label", "n", "share", "low", "high"])
    return Distribution(facet, frame, len(answers), len(defects) - len(answers), note)


def crosstab(defects: pd.DataFrame, rows: Facet, columns: Facet, seed: int, note: str = "") -> Crosstab:
    """Count how often the categories of two facets occur together, and test whether the facets are independent.

    Parameters
    ----------
    defects
        The frame of defects, with a column named by each facet's id.
    seed
        Of the permutation test.
    """
    counts = cross_counts(defects, rows, columns)
    cells = []
    for row in counts.index:
        total = int(counts.loc[row].sum())
        for column in counts.columns:
            n = int(counts.loc[row, column])
            share = n / total if total else np.nan
            cells.append((row, column, rows.label(row), columns.label(column), n, total, share, *wilson(n, total)))
    names = ["row", "column", "row_label", "column_label", "n", "row_n", "share", "low", "high"]
    table = pd.DataFrame(cells, columns=names)
    return Crosstab(rows, columns, counts, table, int(counts.to_numpy().sum()), independence(counts, seed), note)


class Sentences(tuple[str, ...]):
    """What a notebook concludes or misses: sentences that were computed, which show themselves as text or as HTML.

    They are text: whatever data they name, it is escaped where they show as HTML.
    """

    __slots__ = ()

    def __str__(self) -> str:
        return "\n".join(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return "".join(f"<p>{escape(sentence)}</p>" for sentence in self)


@dataclass(frozen=True)
class TitledFrame:
    """A frame that is ready to read, under a title that tells what it holds and of how many.

    Attributes
    ----------
    frame
        Cells are as they are shown; columns have a person's names.
    note
        What to know when reading it.
    index
        Whether the frame's index is a column to read.
    """

    title: str
    frame: pd.DataFrame
    note: str = ""
    index: bool = False

    def __str__(self) -> str:
        return "\n".join(filter(None, [self.title, self.frame.to_string(index=self.index), self.note]))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        with pd.option_context("display.max_colwidth", None):  # else long cells are cut off
            table = _html(self.title, self.frame, index=self.index)
        unbroken = _INTERVAL.sub(lambda text: text[0].replace(" ", "\N{NO-BREAK SPACE}"), table)
        return unbroken + (f"<p>{escape(self.note)}</p>" if self.note else "")


class Gallery(tuple[object, ...]):
    """Results that are shown one after the other, each as an output of its own: charts, tables, sentences."""

    __slots__ = ()

    def __str__(self) -> str:
        return "\n\n".join(str(result) for result in self)

    __repr__ = __str__

    def _ipython_display_(self) -> None:
        from IPython.display import display

        for result in self:
            display(result)


def cross_counts(defects: pd.DataFrame, rows: Facet, columns: Facet) -> pd.DataFrame:
    """Count the defects in each pair of categories (ids, in the taxonomy's order), without those that lack an answer.

    Categories that only published tables use are left out when they do not occur.
    """
    both = defects[[rows.id, columns.id]].dropna()
    index, names = (
        [c.id for c in facet.values if not c.published_only or (both[facet.id] == c.id).any()] for facet in (rows, columns)
    )
    counts = pd.crosstab(both[rows.id].astype(str), both[columns.id].astype(str))
    return counts.reindex(index=pd.Index(index, name=rows.id), columns=pd.Index(names, name=columns.id), fill_value=0).astype(int)


def independence(counts: pd.DataFrame, seed: int) -> Independence:
    """Test the independence of a table's rows and columns by permutation, and measure their association.

    Parameters
    ----------
    counts
        A table of counts; empty rows and columns do not matter.
    """
    table = counts.loc[counts.sum(axis=1) > 0, counts.sum() > 0].to_numpy()
    return _independence(tuple(map(tuple, table.tolist())), seed)


@lru_cache(maxsize=64)  # a table is shown, drawn, exported and told of; its permutations take a quarter of a second
def _independence(rows: tuple[tuple[int, ...], ...], seed: int) -> Independence:
    table = np.array(rows)
    n = int(table.sum())
    if min(table.shape, default=0) < 2:
        return Independence(np.nan, 0, np.nan, 0, np.nan, np.nan, np.nan)
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / n
    statistic, _, freedom, _ = chi2_contingency(table, correction=False)
    row_of = np.repeat(np.arange(table.shape[0]), table.sum(axis=1))
    column_of = np.concatenate([np.repeat(np.arange(table.shape[1]), row) for row in table])
    generator = np.random.default_rng(seed)
    at_least = 0
    for _ in range(_PERMUTATIONS):
        flat = np.bincount(row_of * table.shape[1] + generator.permutation(column_of), minlength=table.size)
        permuted = ((flat.reshape(table.shape) - expected) ** 2 / expected).sum()
        at_least += permuted >= statistic * (1 - 1e-12)
    v, low, high = cramers_v(float(statistic), n, *table.shape)
    return Independence(float(statistic), int(freedom), (at_least + 1) / (_PERMUTATIONS + 1), _PERMUTATIONS, v, low, high)


def _size(n: int, *notes: str) -> str:
    return f"({'; '.join([f'n = {n}', *filter(None, notes)])})"


def _percent(frame: pd.DataFrame) -> pd.DataFrame:
    """Write shares for a person to read, each with its interval."""
    shares = [share_text(*row) for row in frame[["share", "low", "high"]].itertuples(index=False, name=None)]
    return pd.DataFrame({"Category": frame["label"], "n": frame["n"], "Share [95 % interval]": shares})


def _html(title: str, frame: pd.DataFrame, *, index: bool = False) -> str:
    return f"<p><b>{escape(title)}</b></p>{frame.to_html(index=index, escape=True)}"
