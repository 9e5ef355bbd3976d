"""Analysis tables as CSV and LaTeX: sorted, the same bytes each time, and safe to open and to compile."""

import io
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline.analyze.results import Crosstab, Distribution
from pipeline.annotate.agreement import agreement_shown, changes_shown, history
from pipeline.annotate.raters import leanings_shown, profiles_shown, shifts_shown
from pipeline.cells import disarm
from pipeline.openstudy import OpenStudy
from pipeline.study import Study

_THREE_PLACES = {"kappa"}
_ROWS_OF_A_PAGE = 40
_LATEX = str.maketrans(
    {character: "\\" + character for character in "&%$#_{}"}
    | {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
    }
)


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a paper: what it is called and what it shows.

    `frame` holds the values as they are; `shown`, if given, replaces it in print.
    """

    name: str
    caption: str
    frame: pd.DataFrame
    shown: pd.DataFrame | None = None

    def to_csv(self) -> bytes:
        """Return the table as CSV, shares to six places; texts that a spreadsheet would run as formulas begin with '."""
        safe = self.frame.copy()
        for column in safe.columns:
            if not pd.api.types.is_numeric_dtype(safe[column]):
                safe[column] = safe[column].astype(object).map(lambda value: disarm(value) if isinstance(value, str) else value)
        file = io.StringIO()
        safe.to_csv(file, index=False, float_format="%.6f", lineterminator="\n", date_format="%Y-%m-%dT%H:%M:%SZ")
        return file.getvalue().encode()

    def to_latex(self) -> bytes:
        """Return the table as a LaTeX table (packages booktabs and, where it has many rows, longtable), every text escaped."""
        shown = self._printed()
        numbers = [pd.api.types.is_numeric_dtype(shown[c]) or c in ("share", "95 % interval") for c in shown.columns]
        shown = shown.map(lambda value: latex_text(value) if isinstance(value, str) else value)
        shown.columns = [latex_text(str(column)) for column in shown.columns]
        long = len(shown) > _ROWS_OF_A_PAGE
        text = shown.to_latex(
            index=False,
            escape=False,
            longtable=long,
            column_format="".join("r" if number else "l" for number in numbers),
            caption=latex_text(self.caption),
            label=f"tab:{self.name}",
            position=None if long else "tb",
        )
        return text.encode()

    def _printed(self) -> pd.DataFrame:
        if self.shown is not None:
            return self.shown.map(_plain_line)
        frame = self.frame.copy()
        for column in frame.columns:
            if pd.api.types.is_float_dtype(frame[column]):
                places = "{:.3f}" if column in _THREE_PLACES or _THREE_PLACES & set(frame.columns) else "{:.1%}"
                frame[column] = [("" if pd.isna(v) else places.format(v)) for v in frame[column]]
        if {"low", "high"} <= set(frame.columns):
            frame.insert(
                list(frame.columns).index("low"), "95 % interval",
                [f"[{low}, {high}]" if low else "" for low, high in zip(frame["low"], frame["high"], strict=True)],
            )  # fmt: skip
            frame = frame.drop(columns=["low", "high"])
        frame.columns = [column.replace("_", " ") for column in frame.columns]
        return frame.map(_plain_line)


def study_tables(study: OpenStudy) -> list[Table]:
    """Return all tables of a study: its defects by reference, distributions, cross tables, tests, findings and agreement."""
    said = f" ({study.note})" if study.note else ""
    facets = [facet.id for facet in study.taxonomy.defect_facets]
    known = ["repository", "number", "defect", "url", *facets, "kind", "prototype", "created_at"]
    tables = [
        Table("defects", f"The defects of {study.study.title} (n = {len(study.defects)}).", study.defects[known]),
        *(_distribution_table(study.distribution(d.facet)) for d in study.study.distributions),
    ]
    crosstabs = [study.crosstab(wanted.rows, wanted.columns) for wanted in study.study.crosstabs]
    tables += [*map(_crosstab_table, crosstabs), _independence_table(crosstabs, said)]
    findings = study.findings()
    tables += [
        Table("findings", f"Published findings beside those reproduced{said}.", findings, findings_shown(findings)),
        Table("sensitivity", f"Shares under other choices{said}.", study.sensitivity()),
        *agreement_tables(study),
    ]
    if study.study.reference.figures:
        tables += [
            Table("figure-cells", "Cells of the published figures beside those reproduced.", study.figure_cells()),
            Table("figure-differences", "Where published figures and published data differ.", study.figure_differences()),
        ]
    return tables


def findings_shown(findings: pd.DataFrame) -> pd.DataFrame:
    """Return the table of findings as it is printed: the interval in one column, in the units of the finding."""

    def interval(row: Any) -> str:
        low, high, support = row.low, row.high, row.support
        if pd.notna(support):
            return f"first in {support:.0%} of resamples"
        if pd.isna(low):
            return ""
        percent = row.reproduced.endswith("%")
        return f"[{low:.1%}, {high:.1%}]" if percent else f"[{low:.3f}, {high:.3f}]"

    return pd.DataFrame(
        {
            "finding": findings["statement"],
            "published": findings["published"],
            "reproduced": findings["reproduced"],
            "n": findings["n"].astype(int),
            "95 % interval": [interval(row) for row in findings.itertuples()],
            "verdict": findings["verdict"] + findings["must_hold"].map({True: " (must hold)", False: ""}),
        }
    )


def agreement_tables(study: OpenStudy, other: Study | None = None) -> list[Table]:
    """Return the tables of annotators' agreement that have rows.

    Parameters
    ----------
    other
        The study whose verdict annotators are compared with, instead of this study's own.
    """
    said = f" ({study.note})" if study.note else ""
    agreement, drift, verdict = study.agreement(), study.drift(), study.agreement_with_verdict(other)
    past, choices = history(agreement), study.agreement_choices()
    profiles, leanings, shifts = study.rater_profiles(), study.rater_leanings(), study.rater_shifts()
    intervals = "with 95 % bootstrap intervals over issues"
    made = [
        Table("agreement", f"Agreement of annotators, {intervals}{said}.", agreement, agreement_shown(agreement)),
        Table("agreement-history", f"Agreement of annotators by round, {intervals}{said}.", past, past),
        Table(
            "agreement-with-verdict",
            f"Agreement of annotators with the verdict of {(other or study.study).name}, {intervals}{said}.",
            verdict,
            agreement_shown(verdict),
        ),
        Table("agreement-choices", f"Change of agreement by how labels are compared{said}.", choices, changes_shown(choices)),
        Table("agreement-drift", f"Change of agreement from round to round, {intervals}{said}.", drift, changes_shown(drift)),
        Table("raters", f"Raters beside each other{said}.", profiles, profiles_shown(profiles)),
        Table("rater-leanings", f"Categories by which raters differ, {intervals}{said}.", leanings, leanings_shown(leanings)),
        Table("rater-shifts", f"Raters beside themselves in the round before{said}.", shifts, shifts_shown(shifts)),
    ]
    return [table for table in made if len(table.frame) or table.name == "agreement"]


def _distribution_table(d: Distribution) -> Table:
    return Table(f"distribution-{d.facet.id}", f"{d.title}: share of defects with 95 % Wilson interval.", d.frame)


def _crosstab_table(t: Crosstab) -> Table:
    shown = t.labelled()
    if shown.shape[1] > shown.shape[0]:
        shown = shown.T  # a page is higher than it is wide
    shown = shown.reset_index()
    shown.columns.name = None
    return Table(f"crosstab-{t.rows.id}-{t.columns.id}", f"{t.title}; {t.independence}.", t.cells, shown)


def _independence_table(crosstabs: list[Crosstab], said: str) -> Table:
    tests = [(t.rows.id, t.columns.id, t.n, t.independence) for t in crosstabs]
    frame = pd.DataFrame(
        [(*who, i.chi2, i.freedom, i.p, i.permutations, i.v, i.v_low, i.v_high) for *who, i in tests],
        columns=["rows", "columns", "n", "chi2", "freedom", "p", "permutations", "v", "v_low", "v_high"],
    )
    shown = pd.DataFrame(
        [(*who, f"{i.chi2:.1f}", i.freedom, i.p_bound, f"{i.v:.2f} [{i.v_low:.2f}, {i.v_high:.2f}]") for *who, i in tests],
        columns=["rows", "columns", "n", "chi2", "freedom", "p", "V with 95 % interval"],
    )
    return Table("independence", f"Association of facets: permutation test and Cramer's V{said}.", frame, shown)


def _plain_line(value: object) -> object:
    return " ".join(value.split()) if isinstance(value, str) else value


def latex_text(text: str) -> str:
    """Escape what LaTeX would take for a command, and `<` and `>`, which its oldest fonts lack."""
    return text.translate(_LATEX)
