"""What a study rests on: its repositories, the way from all issues to its defects, time, texts, and flaws of the data."""

import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import quantile_test

from pipeline.analyze.corpus_figures import closing_times, issues_by_year
from pipeline.analyze.results import Gallery, Sentences, TitledFrame
from pipeline.facts import Flaw
from pipeline.intervals import wilson
from pipeline.numerals import counted_share
from pipeline.selection import RULES, Drawn, margin_reached, sample_size, sample_sizes, select_issues
from pipeline.study import Selection, Study
from pipeline.taxonomy import Taxonomy

_REASONS = {
    "labels": "a file of labels names it",
    "label-table": "stands in the published table of defects",
    "set-aside-table": "stands in the published table of issues set aside",
    "annotations": "an annotator of this study labelled it",
}
"""Why an issue is in a sample by a rule that draws nothing."""

_YES_NO = {True: "yes", False: "no"}
_WAITING = "No verdict yet"
_KEY = ["repository", "number"]
_QUOTED = re.compile(r"(?<!\w)'.*?'(?!\w)")
_NUMBER = re.compile(r"(?<![\w.])\d+(\.\d+)?")


@dataclass(frozen=True)
class Corpus:
    """A study's data before any finding: each attribute shows one side of it, and says so where there is nothing to show.

    Attributes
    ----------
    study, taxonomy
        The study's description, and what its labels mean.
    listed
        What the store knows of the study's repositories: see `pipeline.store.read.repositories`.
    issues, defects
        The sampled issues, and the defects that people labelled.
    sample, texts
        See `pipeline.store.read`: `sample` and `text_sizes`.
    drawn
        What the study's criteria select of the issues in the store; None if the store holds no text to select from.
    found
        The flaws that the import found in the study's sources; None if it left no list.
    """

    study: Study
    taxonomy: Taxonomy
    listed: pd.DataFrame
    issues: pd.DataFrame
    defects: pd.DataFrame
    sample: pd.DataFrame
    texts: pd.DataFrame
    drawn: Drawn | None
    found: list[Flaw] | None

    @property
    def repositories(self) -> TitledFrame:
        """The repositories, a row each, with what is known of them and how many issues and defects come from it."""
        table = self.listed.copy()
        counted = {"Sampled issues": self.issues, "Defects": self.defects}
        for name, frame in counted.items():
            table[name] = table["repository"].map(frame["repository"].value_counts()).fillna(0).astype(int)
        n = len(self.defects)
        table["Share of defects"] = [counted_share(count, n) for count in table["Defects"]]
        table["created_at"] = table["created_at"].dt.year.astype("Int64")
        names = {
            "repository": "Repository", "kind": "Kind", "prototype": "Prototype", "framework": "Framework",
            "architecture": "Architecture", "created_at": "Since", "stars": "Stars", "closed_issues": "Closed issues",
        }  # fmt: skip
        unknown = [names[column] for column in names if table[column].isna().all()]
        frameworks = {c.id: c.label for facet in self.taxonomy.facets if facet.id == "framework" for c in facet.values}
        table["framework"] = table["framework"].map(lambda framework: frameworks.get(framework, framework))
        table["prototype"] = table["prototype"].map(_YES_NO)
        table = table.drop(columns="texts").rename(columns=names).drop(columns=unknown)
        table = table.sort_values(["Defects", "Sampled issues"], ascending=False, kind="stable")
        note = f"Not known to the store of any repository: {', '.join(unknown).lower()}." if unknown else ""
        title = f"Repositories ({len(table)}; {len(self.issues)} sampled issues, {n} defects{self._fiction})"
        return TitledFrame(title, table.astype(object).where(table.notna(), ""), note)

    @property
    def kinds(self) -> TitledFrame:
        """How many repositories of each kind there are, and how many issues and defects come from them."""
        rows = []
        for name, column in (("Kind", "kind"), ("Prototype", "prototype")):
            values = self.listed[column].map(lambda value: _YES_NO.get(value, value)).fillna("not known")
            of_repository = dict(zip(self.listed["repository"], values, strict=True))
            for value in sorted(set(of_repository.values())):
                repositories = sum(v == value for v in of_repository.values())
                issues = int((self.issues["repository"].map(of_repository) == value).sum())
                defects = int((self.defects["repository"].map(of_repository) == value).sum())
                rows.append((name, value, repositories, issues, defects, counted_share(defects, len(self.defects))))
        columns = ["What", "Value", "Repositories", "Sampled issues", "Defects", "Share of defects"]
        return TitledFrame(f"Kinds of repositories (n = {len(self.listed)}{self._fiction})", pd.DataFrame(rows, columns=columns))

    @property
    def funnel(self) -> TitledFrame:
        """The way from the sample to the defects: what the gate set aside, and what was left."""
        n = len(self.issues)
        rows: list[tuple[str, int, int, int | str]] = [("Issues in the sample", n, self.issues["repository"].nunique(), "")]
        for facet in self.taxonomy.issue_facets:
            for category in facet.values:
                part = self.issues[self.issues[facet.id] == category.id]
                aside = " (set aside)" if category.final else ""
                rows.append((f"verdict: {category.label}{aside}", len(part), part["repository"].nunique(), ""))
        waiting = self.issues[self._outcome == _WAITING]
        if len(waiting):
            rows.append(("no verdict yet", len(waiting), waiting["repository"].nunique(), ""))
        with_defects = self.defects.drop_duplicates(_KEY)
        rows.append(("Issues with labelled defects", len(with_defects), with_defects["repository"].nunique(), len(self.defects)))
        frame = pd.DataFrame(rows, columns=["Step", "Issues", "Repositories", "Defects"])
        frame.insert(2, "Share of the sample", ["", *(counted_share(count, n) for count in frame["Issues"][1:])])
        return TitledFrame(f"From the sample to the defects (n = {n} issues{self._fiction})", frame)

    @property
    def selection(self) -> TitledFrame | Sentences:
        """What the study's criteria leave of all issues in the store, step by step; and whether that is the stored sample."""
        words = [step.criterion for step in select_issues(self.study.selection, [], [], self.study.seeds.sample).steps[1:-1]]
        if self.drawn is None:
            told = [f"The study's criteria for issues are: {'; '.join(words)}."] if words else []
            return Sentences(
                [
                    *told,
                    f"The store holds no text of an issue of study '{self.study.name}', so they cannot be applied here: crawl "
                    "its repositories (`redefect collect`) or import their threads to see what each of them leaves.",
                ]
            )
        steps = [
            (
                step.criterion, step.issues, step.repositories, "" if step.dropped is None else step.dropped,
                f"{step.unknown} ({'kept' if step.unknown_kept else 'not kept'})" if step.unknown else "",
            )
            for step in self.drawn.steps
        ]  # fmt: skip
        frame = pd.DataFrame(steps, columns=["Step", "Issues left", "Repositories", "Dropped", "Nothing known to decide by"])
        stored = self.sample[self.sample["rule"].isin(RULES)]
        if self.study.selection == Selection():
            note = "The study file has no criteria for issues: what its sources label is its sample."
        elif stored.empty:
            note = "This was not drawn into the study's sample: `redefect select issues` does it."
        elif {
            (r.casefold(), n, rule) for r, n, rule in zip(stored["repository"], stored["number"], stored["rule"], strict=True)
        } == {(d.issue.repository.casefold(), d.issue.number, d.rule) for d in self.drawn.sample}:
            note = "The stored sample is exactly what this draws."
        else:
            note = "The stored sample is not what this draws now: run `redefect select issues` anew."
        return TitledFrame(f"From all issues in the store to what is drawn{self._fictional}", frame, note)

    @property
    def samples(self) -> TitledFrame:
        """By which rule, from which stratum and with which seed issues came into the sample; one issue may be in by two rules."""
        told = self.sample.assign(
            seed=self.sample["seed"].map(str, na_action="ignore").astype(object).fillna(""),
            stratum=self.sample["stratum"].fillna("not known"),
        )
        rows = [
            (
                rule, self._reason(str(rule)), stratum, seed, len(part), part["repository"].nunique(),
                counted_share(len(part), len(self.issues)),
            )
            for (rule, stratum, seed), part in told.groupby(["rule", "stratum", "seed"], sort=True)
        ]  # fmt: skip
        columns = ["Rule", "Why an issue is in", "Stratum", "Seed", "Issues", "Repositories", "Share of the sample"]
        return TitledFrame(f"Samples (n = {len(self.issues)} issues{self._fiction})", pd.DataFrame(rows, columns=columns))

    @property
    def reasons(self) -> pd.DataFrame:
        """Why each issue is in the sample: a row an issue and rule."""
        why: dict[tuple[str, int, str], str] = {}
        if self.drawn is not None:
            why = {(d.issue.repository.casefold(), d.issue.number, d.rule): d.why for d in self.drawn.sample}
        rows = [
            (repository, number, rule, why.get((repository.casefold(), number, rule), self._reason(rule)))
            for repository, number, rule in zip(*(self.sample[c] for c in [*_KEY, "rule"]), strict=True)
        ]
        return pd.DataFrame(rows, columns=["Repository", "Issue", "Rule", "Why it is in the sample"])

    def sample_sizes(self, margin: float = 0.05) -> TitledFrame:
        """Tell in each stratum how large a sample a margin of error asks for, and which margin the sample at hand reaches."""
        shown = [f"Needed for ± {100 * margin:g} points", "Margin reached (points)"]
        note = (
            "Of a share of one half, which asks for the most, at 95 % confidence (Cochran 1977). It holds of a random sample; "
            "the most commented issues, and those that a table happens to hold, are none."
        )
        if self.drawn is not None and self.sample["rule"].isin(RULES).any():
            sizes = [(s.stratum, s.population, s.drawn, s.needed, _points(s.margin)) for s in sample_sizes(self.drawn, margin)]
            frame = pd.DataFrame(sizes, columns=["Stratum", "Issues that meet the criteria", "Drawn", *shown])
            return TitledFrame(f"Sample sizes by stratum{self._fictional}", frame, note)
        kinds = self.issues["kind"].fillna("not known")
        counts = [(kind, int((kinds == kind).sum())) for kind in sorted(kinds.unique())] + [("all", len(kinds))]
        rows = [(kind, n, sample_size(sys.maxsize, margin), _points(margin_reached(sys.maxsize, n))) for kind, n in counts]
        frame = pd.DataFrame(rows, columns=["Stratum", "Sampled", *shown])
        return TitledFrame(
            f"Sample sizes by stratum{self._fictional}",
            frame,
            f"{note} How many issues there were to draw from is not known here; this takes them for very many.",
        )

    @property
    def years(self) -> Gallery | Sentences:
        """How many of the sampled issues were opened in each year, and what share of them hold a defect."""
        opened = self.issues.assign(year=self.issues["created_at"].dt.year, outcome=self._outcome).dropna(subset=["created_at"])
        if opened.empty:
            return self._missing("when its issues were opened")
        counts = pd.crosstab(opened["outcome"], opened["year"].astype(int))
        years = [int(year) for year in counts.columns]
        counts = counts.reindex(index=[name for name in self._outcomes if name in counts.index])
        counts = counts.reindex(columns=range(min(years), max(years) + 1), fill_value=0)
        title = f"Sampled issues by the year in which they were opened (n = {len(opened)}{self._fiction})"
        table = counts.T.rename_axis(index=None, columns=None)
        totals = table.sum(axis=1)
        shares = {
            f"Share: {name}": [counted_share(k, int(n)) for k, n in zip(table[name], totals, strict=True)] for name in table
        }
        frame = pd.concat([table, totals.rename("All"), pd.DataFrame(shares, index=table.index)], axis=1)
        unknown = len(self.issues) - len(opened)
        note = f"Of {unknown} sampled issues the store does not know when they were opened." if unknown else ""
        frame = frame.rename_axis("Year").reset_index()
        return Gallery([issues_by_year(counts, title), TitledFrame(title, frame, note)])

    @property
    def closing(self) -> Gallery | Sentences:
        """How long it took until the sampled issues were closed, by what was found in them."""
        closed = self.issues.assign(outcome=self._outcome).dropna(subset=["created_at", "closed_at"])
        if closed.empty:
            return self._missing("when its issues were closed")
        closed["days"] = (closed["closed_at"] - closed["created_at"]).dt.total_seconds() / 86_400
        parts = [("All", closed["days"], len(self.issues))]
        for name in self._outcomes:
            days = closed.loc[closed["outcome"] == name, "days"]
            if len(days):
                parts.append((name, days, int((self._outcome == name).sum())))
        rows = [
            (name, len(days), n - len(days), median_text(days), *(f"{days.quantile(q):.1f}" for q in (0.25, 0.75, 0.9)))
            for name, days, n in parts
        ]
        columns = ["Issues", "Closed", "Not closed, or not known", "Median days", "First quartile", "Third quartile", "90 %"]
        title = f"Days from opening to closing (n = {len(closed)} closed issues{self._fiction})"
        note = "Median with its 95 % interval from order statistics. Issues that are still open would make all of these longer."
        curves = {f"{name} (n = {len(days)})": days for name, days, _ in (parts[1:] or parts)}
        return Gallery([closing_times(curves, title), TitledFrame(title, pd.DataFrame(rows, columns=columns), note)])

    @property
    def text(self) -> TitledFrame | Sentences:
        """How much text the sampled issues hold: title, body, comments."""
        if self.texts.empty:
            return self._missing("the texts of its issues")
        rows = []
        for name, column in (
            ("Title (characters)", "title"), ("Body (characters)", "body"), ("Comments (number)", "comments"),
            ("Comments together (characters)", "answers"),
        ):  # fmt: skip
            sizes = self.texts[column]
            quartiles = (f"{sizes.quantile(q):,.0f}" for q in (0.25, 0.75))
            rows.append((name, median_text(sizes, 0), *quartiles, f"{sizes.max():,.0f}", int((sizes == 0).sum())))
        columns = ["Part of the thread", "Median", "First quartile", "Third quartile", "Largest", "Issues without any"]
        without = len(self.issues) - len(self.texts)
        note = f"Of {without} sampled issues the store holds no text." if without else ""
        title = f"Texts of the sampled issues (n = {len(self.texts)}{self._fiction})"
        return TitledFrame(title, pd.DataFrame(rows, columns=columns), note)

    @property
    def flaws(self) -> TitledFrame | Sentences:
        """What was amiss in the study's sources, grouped by cause: findings that differ in names and numbers only are one."""
        if self.found is None:
            return Sentences(
                [
                    f"There is no list of flaws of study '{self.study.name}': `redefect import study --study {self.study.name}` "
                    "writes it (flaws.csv in the study's build folder)."
                ]
            )
        if not self.found:
            return Sentences([f"The import found no flaw in the sources of study '{self.study.name}'."])
        causes: dict[tuple[str, str, str], list[Flaw]] = {}
        for flaw in self.found:
            what, done = (cause(text, self.listed["repository"]) for text in (flaw.what, flaw.done))
            causes.setdefault((flaw.source, what, done), []).append(flaw)
        rows = [(*key, len(flaws), f"{flaws[0].where}: {flaws[0].what}") for key, flaws in causes.items()]
        frame = pd.DataFrame(rows, columns=["Source", "What was found", "What was done", "Findings", "For instance"])
        frame = frame.sort_values(["Findings", "Source", "What was found"], ascending=[False, True, True])
        title = f"Flaws of the data by cause ({len(self.found)} findings, {len(frame)} causes{self._fiction})"
        return TitledFrame(title, frame, "A finding may concern many rows; the import's own list names them all.")

    @property
    def conclusion(self) -> Sentences:
        """What the data are, in three sentences at most."""
        issues, defects = len(self.issues), len(self.defects)
        of_defects = self.defects["repository"].value_counts()
        told = [
            f"The study holds {defects} labelled defects of {len(self.defects.drop_duplicates(_KEY))} issues in "
            f"{of_defects.size} repositories; of the {issues} issues sampled, {self._set_aside}."
        ]
        if defects:
            low, high = wilson(defects / 2, defects)
            names = sorted(str(name) for name, count in of_defects.items() if count == of_defects.max())
            most = counted_share(of_defects.max(), defects) + (f"; {names[0]}" if len(names) == 1 else "")
            told.append(
                f"No repository gives more than {of_defects.max()} of the {defects} defects "
                f"({most}). If they were a random sample, a share of all {defects} "
                f"would be known to within {50 * (high - low):.1f} points or better."
            )
        opened = self.issues["created_at"].dropna().dt.year.astype(int)
        if len(opened):
            half = int(opened.quantile(0.5, "lower"))
            told.append(
                f"The issues were opened from {opened.min()} to {opened.max()}, half of them by {half} (n = {len(opened)})."
            )
        return Sentences(told)

    @property
    def _set_aside(self) -> str:
        final = [category.label for facet in self.taxonomy.issue_facets for category in facet.values if category.final]
        told = int((self._outcome != _WAITING).sum())
        aside = int(self._outcome.isin(final).sum())
        return f"{told} have a verdict, and {aside} of these were set aside as holding none ({counted_share(aside, told)})"

    @property
    def _outcomes(self) -> list[str]:
        return [*(category.label for facet in self.taxonomy.issue_facets[:1] for category in facet.values), _WAITING]

    @property
    def _outcome(self) -> pd.Series:
        """What the first question about issues as a whole found of each of them, by its label."""
        for facet in self.taxonomy.issue_facets:
            return self.issues[facet.id].astype(object).map(facet.label, na_action="ignore").fillna(_WAITING)
        return pd.Series(_WAITING, index=self.issues.index)

    @property
    def _fiction(self) -> str:
        return "; fictional data" if self.study.fictional else ""

    @property
    def _fictional(self) -> str:
        return " (fictional data)" if self.study.fictional else ""

    def _reason(self, rule: str) -> str:
        return _REASONS.get(rule, "drawn by the study's criteria")

    def _missing(self, what: str) -> Sentences:
        return Sentences(
            [
                f"The store of study '{self.study.name}' does not hold {what}, because none of its sources tells. "
                "Crawl them (`redefect collect`) or import their threads to see this."
            ]
        )


def cause(text: str, repositories: Iterable[str] = ()) -> str:
    """Return a sentence on a flaw without what is particular to one place: quoted words, numbers, repositories become `…`."""
    for name in repositories:
        text = text.replace(name, "…")
    return _NUMBER.sub("…", _QUOTED.sub("'…'", text))


def median_text(values: pd.Series, digits: int = 1) -> str:
    """Return a median with its 95 % interval from order statistics (Conover 1999), as text; without one if there are too few."""
    middle: Callable[[float], str] = f"{{:,.{digits}f}}".format
    test = quantile_test(values.to_numpy(dtype=float), q=float(values.median()), p=0.5)
    interval: Any = test.confidence_interval(0.95)  # scipy's stubs take it for a number
    known = np.isfinite([interval.low, interval.high]).all()
    return middle(values.median()) + (f" [{middle(interval.low)}, {middle(interval.high)}]" if known else "")


def _points(margin: float) -> str:
    return "" if np.isnan(margin) else f"± {100 * margin:.1f}"
