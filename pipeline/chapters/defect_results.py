"""A study's defects as its notebooks show them: distributions, figures and findings, beside what was published."""

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pipeline.analyze.comparison import cell_table, differences_table, independence_table, published_beside, share_table
from pipeline.analyze.findings import DIFFERS, NO_DATA, REPRODUCED
from pipeline.analyze.results import Crosstab, Distribution, Gallery, Sentences, TitledFrame
from pipeline.numerals import share_text

if TYPE_CHECKING:
    from pipeline.openstudy import OpenStudy


class DefectResults:
    """A study's defects: how often what occurs, beside what was published.

    Parameters
    ----------
    study
        The study, which computes all of it.
    """

    def __init__(self, study: "OpenStudy") -> None:
        self._study = study

    @property
    def distributions(self) -> Gallery | Sentences:
        """How often each category occurs, for each facet that the study file names: a chart and a table each."""
        found = [self._study.distribution(wanted.facet) for wanted in self._study.study.distributions]
        if not found:
            return self._unnamed("distributions", "facet")
        return Gallery(shown for distribution in found for shown in (distribution.plot(), distribution))

    @property
    def figures(self) -> Gallery | Sentences:
        """Each figure that the study file names: as published beside its reproduction, and both cell by cell.

        Where nothing is published, the reproduction alone.
        """
        shown: list[object] = []
        cells = self._cells
        for figure in self._study.study.figures:
            table = self._crosstab(figure.rows, figure.columns)
            own = cells[cells["figure"] == figure.name]
            number = figure.name.replace("-0", "-").replace("-", " ").capitalize()
            title = f"{number}: {figure.title}"
            if own.empty:
                shown += [self._study.figure(figure.name), table]
            else:
                shown += [
                    published_beside(own, table.rows, table.columns, figure.style, title),
                    cell_table(own, table.rows, table.columns, title),
                ]
        if not shown:
            return self._unnamed("figures", "rows and columns")
        return Gallery(shown if len(cells) else [self._nothing_published, *shown])

    @property
    def differences(self) -> TitledFrame | Sentences:
        """Where the published figures differ from the published data, in numbers and in names."""
        if self._cells.empty:
            return self._nothing_published
        return differences_table(self._differences, self._cells, self._study.taxonomy)

    @property
    def shares(self) -> Gallery | Sentences:
        """The shares of each cross table that the study file names, with intervals."""
        return Gallery(share_table(table) for table in self._crosstabs) or self._unnamed("crosstabs", "rows and columns")

    @property
    def independence(self) -> TitledFrame | Sentences:
        """Whether the facets of each cross table are independent, and how strong their association is."""
        if not self._crosstabs:
            return self._unnamed("crosstabs", "rows and columns")
        return independence_table(self._crosstabs, f" ({self._study.note})" if self._study.note else "")

    @property
    def findings(self) -> TitledFrame | Sentences:
        """The published findings beside what the labels at hand say."""
        table = self._findings
        if table.empty:
            return self._no_findings
        count = table["verdict"].value_counts()
        size = ", ".join(f"{count[verdict]} {verdict}" for verdict in (REPRODUCED, DIFFERS, NO_DATA) if verdict in count)
        frame = pd.DataFrame(
            {
                "Finding": table["statement"],
                "Published": table["published"].str.replace("%", " %"),
                "Reproduced": table["reproduced"].str.replace("%", " %"),
                "n": table["n"],
                "95 % interval": [_interval(row) for _, row in table.iterrows()],
                "Verdict": table["verdict"],
                "Source": table["source"],
            }
        )
        return TitledFrame(f"Findings ({len(table)}: {size}{self._note})", frame)

    @property
    def sensitivity(self) -> TitledFrame | Sentences:
        """Each share among the findings under other choices: a row a finding, a column a choice."""
        table = self._study.sensitivity()
        if table.empty:
            return self._no_findings
        statements = dict(zip(self._findings["id"], self._findings["statement"], strict=True))
        published = dict(zip(self._findings["id"], self._findings["published"].str.replace("%", " %"), strict=True))
        rows: dict[str, dict[str, str]] = {}
        for name, choice, n, share, low, high in table.itertuples(index=False, name=None):
            head, _, repository = choice.partition(": ")
            text = f"{share_text(share, low, high)}, n = {n}" if n else "none"
            column = {"all defects": "All defects"}.get(head, head[0].upper() + head[1:])
            rows.setdefault(name, {"Finding": statements[name], "Published": published[name]})
            rows[name][column] = f"{text} (without {repository})" if repository else text
        frame = pd.DataFrame(list(rows.values())).fillna("")
        note = "One vote an issue: an issue's defects share one vote. Intervals: Wilson, 95 %."
        return TitledFrame(f"Shares among the findings under other choices (n of each beside it{self._note})", frame, note)

    @property
    def conclusion(self) -> Sentences:
        """What the defects tell, and whether that is what was published."""
        told = []
        if len(self._cells):
            equal = int((self._cells["difference"] == 0).sum())
            names = len(self._differences) - (len(self._cells) - equal)
            told.append(
                f"{equal} of the {len(self._cells)} cells of the published figures are reproduced "
                f"from n = {len(self._study.defects)} labelled defects; {names} categories have another name in the figures than "
                "in the data."
            )
        else:
            told += self._nothing_published
        if len(self._findings):
            held = int((self._findings["verdict"] == REPRODUCED).sum())
            told.append(
                f"{held} of {len(self._findings)} findings are reproduced"
                + (f"; not as published are: {self._differing}." if held < len(self._findings) else ".")
            )
        most = [_most_frequent(self._study.distribution(wanted.facet)) for wanted in self._study.study.distributions]
        if any(most):
            told.append(f"Most frequent are, by facet: {'; '.join(filter(None, most))}{self._note}.")
        return Sentences(told)

    @property
    def _differing(self) -> str:
        rows = self._findings[self._findings["verdict"] != REPRODUCED]
        return "; ".join(
            f"“{row['statement'].rstrip('.')}” (published {row['published']}, here {row['reproduced'] or 'no data'}"
            f"{_interval(row).replace('[', ' [').replace('first', ', first')}, n = {row['n']})"
            for _, row in rows.iterrows()
        )

    @cached_property
    def _findings(self) -> pd.DataFrame:
        return self._study.findings()

    @cached_property
    def _cells(self) -> pd.DataFrame:
        return self._study.figure_cells()

    @cached_property
    def _differences(self) -> pd.DataFrame:
        return self._study.figure_differences()

    @cached_property
    def _tables(self) -> dict[tuple[str, str], Crosstab]:
        return {}

    def _crosstab(self, rows: str, columns: str) -> Crosstab:
        if (rows, columns) not in self._tables:
            self._tables[rows, columns] = self._study.crosstab(rows, columns)
        return self._tables[rows, columns]

    @property
    def _crosstabs(self) -> list[Crosstab]:
        return [self._crosstab(wanted.rows, wanted.columns) for wanted in self._study.study.crosstabs]

    @property
    def _note(self) -> str:
        return f"; {self._study.note}" if self._study.note else ""

    @property
    def _nothing_published(self) -> Sentences:
        name = self._study.study.name
        return Sentences([f"No published figures are at hand for study '{name}': there is nothing to compare its figures with."])

    @property
    def _no_findings(self) -> Sentences:
        return Sentences(
            [
                f"No published findings are at hand for study '{self._study.study.name}': add a file of them as "
                "`reference.findings` to its study file."
            ]
        )

    def _unnamed(self, what: str, keys: str) -> Sentences:
        name = self._study.study.name
        return Sentences([f"Study '{name}' names no {what}: add [[{what}]] with {keys} to its study file to see some here."])


def _interval(finding: pd.Series) -> str:
    """Return a finding's interval as text, or how surely the most diverse group comes first."""
    low, high, support = (float(str(finding[name])) for name in ("low", "high", "support"))
    if not np.isnan(support):
        return f"first in {100 * support:.0f} % of resamples"
    if np.isnan(low):
        return ""
    shares = str(finding["reproduced"]).endswith("%")
    return f"[{100 * low:.1f}, {100 * high:.1f}] %" if shares else f"[{low:.2f}, {high:.2f}]"


def _most_frequent(distribution: Distribution) -> str:
    frame = distribution.frame
    if not distribution.n:
        return ""
    first = frame.iloc[int(frame["n"].to_numpy().argmax())]
    share = share_text(*(float(first[name]) for name in ("share", "low", "high")))
    return f"{distribution.facet.title.lower()} {first['label']} ({share}, n = {distribution.n})"
