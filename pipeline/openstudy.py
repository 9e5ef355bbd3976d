"""A study opened for analysis: its frames, and everything that is computed from them.

import pipeline
study = pipeline.open_study("cv-reengineering")
study.distribution("stage")
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING

import pandas as pd

from pipeline.analyze import findings as analysis
from pipeline.analyze.checklist import Checklist, make_checklist, read_checks
from pipeline.analyze.corpus import Corpus
from pipeline.analyze.figures import Chart, bars, draw
from pipeline.analyze.interviews import Interviews
from pipeline.analyze.layout import SCREEN, Layout
from pipeline.analyze.reference import Findings, KappaFinding, PublishedFigures
from pipeline.analyze.results import Crosstab, Distribution, Sentences, crosstab, distribution
from pipeline.annotate import raters
from pipeline.annotate.agreement import Comparison, agreement_table, changes, confusion, disagreements, history
from pipeline.annotate.coefficients import coefficients
from pipeline.annotate.units import ROW_INDEX, between, by_best_assignment, by_number, by_position, from_labels, from_ratings
from pipeline.chapters.annotators import Annotators
from pipeline.chapters.defect_results import DefectResults
from pipeline.documents import read_toml
from pipeline.errors import RedefectError
from pipeline.facts import Flaw
from pipeline.importing import read_flaws, study_labels
from pipeline.store import read
from pipeline.store.session import Store, database_url
from pipeline.study import Study, find_study, read_study
from pipeline.taxonomy import Taxonomy
from pipeline.themes import read_themes
from pipeline.thread import Thread

if TYPE_CHECKING:
    from pipeline.chapters.comparisons import Comparisons
    from pipeline.chapters.machine import Machine
    from pipeline.chapters.trust import Trust


class OpenStudy:
    """A study and the store that holds its data, which is read when it is first asked for.

    Parameters
    ----------
    study
        The study's description.
    store
        The database into which `redefect import study` has written.
    """

    def __init__(self, study: Study, store: Store) -> None:
        self.study = study
        self.taxonomy: Taxonomy = study.read_taxonomy()
        self.note = "fictional data" if study.fictional else ""
        self._store = store

    @property
    def heading(self) -> Sentences:
        """The study's title, what it is, and its size: what a notebook opens with."""
        about = [f"{self.study.title} ({self.study.name})", self.study.description]
        if self.study.fictional:
            about.append("All of it is fictional: what follows shows the method, and tells nothing about anything.")
        return Sentences(about)

    @cached_property
    def defects(self) -> pd.DataFrame:
        """The tidy frame of defects: a row a defect, a column a facet, with what is known of its issue and repository."""
        with self._store.reading() as connection:
            return read.defects(connection, self.study.name, self.taxonomy, self.study.verdict)

    @cached_property
    def issues(self) -> pd.DataFrame:
        """The study's sampled issues, a row an issue, those set aside included."""
        with self._store.reading() as connection:
            return read.issues(connection, self.study.name, self.taxonomy, self.study.verdict)

    @cached_property
    def labels(self) -> pd.DataFrame:
        """All labels of the study's issues, a row a label, of all annotators and rounds."""
        with self._store.reading() as connection:
            return read.labels(connection, self.study.name)

    @cached_property
    def ratings(self) -> pd.DataFrame:
        """What the raters' sheets say, a row a rating; empty for a study without sheets."""
        with self._store.reading() as connection:
            sheets = [source for source in self.study.sources if source.kind == "rater-sheets"]
            return read.ratings(connection, sheets, self.taxonomy)

    @cached_property
    def corpus(self) -> Corpus:
        """What the study rests on: repositories, the way to its defects, samples, time, texts, flaws."""
        from pipeline.selecting import draw as draw_sample  # loads all that crawls

        study, names = self.study, [repository.name for repository in self.study.repositories]
        with self._store.reading() as connection:
            listed = read.repositories(connection, sorted({*names, *self.issues["repository"]}))
            sample, texts = read.sample(connection, study.name), read.text_sizes(connection, study.name)
            drawn, there = draw_sample(connection, study, names)
        return Corpus(
            study, self.taxonomy, listed, self.issues, self.defects, sample, texts, drawn if there else None, read_flaws(study)
        )

    @cached_property
    def annotators(self) -> Annotators:
        """Who labelled, and how far they agree, as notebooks show it."""
        return Annotators(self)

    @cached_property
    def results(self) -> DefectResults:
        """The defects' distributions, figures and findings, as notebooks show them."""
        return DefectResults(self)

    @cached_property
    def people(self) -> list[str]:
        """The logins of all who write in the store's threads, in the order in which they first do: for pseudonyms."""
        with self._store.reading() as connection:
            return read.people(connection)

    @cached_property
    def date_of_data(self) -> str:
        """The day of the latest time in the study's data, `2020-01-31`, or `not known`: when they were fetched, no data tell."""
        with self._store.reading() as connection:
            newest = read.newest(connection, self.study.name)
        return "not known" if newest is None else f"{newest:%Y-%m-%d}"

    def checklist(self) -> Checklist:
        """Choose what to check before re-engineering a model, phase by phase: see `make_checklist`."""
        return make_checklist(self.defects, self.taxonomy, read_checks(self.study.checks_path, self.taxonomy))

    def threads(self, issues: Iterable[tuple[str, int]]) -> list[Thread]:
        """Return those of the issues (repository and number) whose text the store holds, sorted."""
        wanted = set(issues)
        with self._store.reading() as connection:
            found = read.threads(connection, sorted({repository for repository, _ in wanted}))
            return [thread for thread in found if (thread.repository, thread.number) in wanted]

    @cached_property
    def interviews(self) -> Interviews:
        """What is said in the study's interviews, what coders see in it, and what of it shows in the tracker."""
        study = self.study
        with self._store.reading() as connection:
            turns = read.turns(connection, [source.path for source in study.transcripts])
            codings = read.codings(connection, [source.path for source in study.codings])
        themes = [read_themes(study.themes_path(source)) for source in study.codings]
        return Interviews(study, self.taxonomy, themes[0] if themes else None, turns, codings, self.defects)

    @cached_property
    def machine(self) -> "Machine":
        """What a classifier says of the study's threads."""
        from pipeline.chapters.machine import Machine  # only here: a classifier takes long to import

        return Machine(self.study, self._store, self.defects)

    @cached_property
    def trust(self) -> "Trust":
        """How far that can be trusted."""
        from pipeline.chapters.trust import Trust

        return Trust(self.machine)

    @cached_property
    def comparisons(self) -> "Comparisons":
        """The comparisons with other studies, of periods and of kinds of repositories that the study file asks for."""
        from pipeline.chapters.comparisons import Comparisons

        return Comparisons(self, open_study)

    def distribution(self, facet: str) -> Distribution:
        """Count how often each category of a facet occurs."""
        return distribution(self.defects, self.taxonomy.facet(facet), self.note)

    def crosstab(self, rows: str, columns: str) -> Crosstab:
        """Count how often the categories of two facets occur together."""
        seed = self.study.seeds.resampling
        return crosstab(self.defects, self.taxonomy.facet(rows), self.taxonomy.facet(columns), seed, self.note)

    @property
    def figure_names(self) -> list[str]:
        """The figures that `figure` draws: those that the study file names, and its distributions."""
        return [f.name for f in self.study.figures] + [f"distribution-{d.facet}" for d in self.study.distributions]

    def figure(self, name: str, layout: Layout = SCREEN) -> Chart:
        """Draw one of the figures that the study file names, or a facet's distribution, `distribution-stage`.

        Raises
        ------
        RedefectError
            If the study has no such figure, or the layout has no room for it.
        """
        for figure in self.study.figures:
            if figure.name == name:
                return draw(self.crosstab(figure.rows, figure.columns), figure.style, figure.title, layout)
        facet = name.removeprefix("distribution-")
        if name in self.figure_names:
            return bars(self.distribution(facet), layout)
        raise RedefectError(f"Study '{self.study.name}' has no figure '{name}'; it has {', '.join(self.figure_names) or 'none'}.")

    def findings(self) -> pd.DataFrame:
        """Compute the study's published findings from the labels at hand: see `findings_table`."""
        return analysis.findings_table(self._findings.findings, self._evidence)

    def sensitivity(self) -> pd.DataFrame:
        """Compute each share among the findings under other choices: see `sensitivity_table`."""
        return analysis.sensitivity_table(self._findings.findings, self._evidence)

    def figure_cells(self) -> pd.DataFrame:
        """Compare the published figures with the labels at hand, cell by cell: see `figure_cells`."""
        return analysis.figure_cells(self._figures, self.defects, self.taxonomy, str(self.study.reference.figures))

    def figure_differences(self) -> pd.DataFrame:
        """List where the published figures and the published data differ: see `figure_differences`."""
        verdict = self.study.verdict
        published = self.labels[(self.labels["annotator"] == verdict.annotator) & (self.labels["round"] == verdict.round)]
        place = str(self.study.reference.figures)
        return analysis.figure_differences(self._figures, self.figure_cells(), published, self.taxonomy, place)

    @cached_property
    def said(self) -> pd.DataFrame:
        """What annotators said, by category, in all rounds of labels and of raters' sheets: see `pipeline.annotate.units`."""
        sheets = from_ratings(self.ratings, canonical=True)
        return pd.concat([frame for frame in (from_labels(self.labels), sheets) if len(frame)] or [sheets], ignore_index=True)

    @property
    def rounds(self) -> list[str]:
        """The rounds in their order: the study file's, then that of the raters' sheets, then the others, sorted."""
        there = [*self.ratings["round"].drop_duplicates(), *sorted(self.labels["round"].unique())]
        return list(dict.fromkeys([*(round_ for round_ in self.study.rounds if round_ in there), *there]))

    def agreement(self) -> pd.DataFrame:
        """Estimate agreement in each round of several annotators, pooled and by facet: see `agreement_table`.

        Raters' sheets are compared as the study did (by position and as written, case folded), with the row index pooled in,
        which alone gives the published figures, by category, and with the defects of an issue matched by best assignment.
        """
        return self._agreement.copy()

    def agreement_history(self) -> pd.DataFrame:
        """Show agreement as a study reports it, a row a round: see `history`."""
        return history(self.agreement())

    def agreement_with_verdict(self, other: Study | None = None) -> pd.DataFrame:
        """Estimate how well each annotator of each round agrees with the verdict, of the study or of another one.

        Within a study, whoever adjudicated saw the labels; only another study's verdict is independent of them. It is compared on
        the issues that both label, and goes by that study's name.

        Raises
        ------
        RedefectError
            If the other study's files are missing.
        """
        said, verdict = from_labels(self.labels), _who(self.study)
        if other is not None:
            theirs = [label for label in study_labels(other) if (label.annotator, label.round) == _who(other)]
            verdict = (other.name, other.verdict.round)  # two studies may call their annotators alike
            rows = pd.DataFrame([asdict(label) | asdict(label.issue) for label in theirs], columns=self.labels.columns)
            said = pd.concat([said, from_labels(rows.assign(annotator=other.name))], ignore_index=True)
        whos = set(said[["annotator", "round"]].itertuples(index=False, name=None)) - {verdict}
        comparisons = []
        for annotator, round_ in sorted(whos, key=lambda who: (self.rounds.index(who[1]), who[0])):
            both = between(said, (annotator, round_), verdict)
            if len(both):
                comparisons.append(Comparison(both["round"].iloc[0], "best assignment", "by category", by_best_assignment(both)))
        return self._agreement_table(comparisons)

    def confusion(self, facet: str, round_: str, first: str, second: str) -> pd.DataFrame:
        """Count what two annotators of a round said of the same defects: see `confusion`.

        Raises
        ------
        RedefectError
            If the taxonomy has no such facet, the study no such round, or the round no such annotator.
        """
        units = self._units(round_)
        there = sorted(units["annotator"].unique())
        if strange := [who for who in (first, second) if who not in there]:
            raise RedefectError(f"Round '{round_}' has no annotator '{strange[0]}'; it has {', '.join(there)}.")
        return confusion(units, self.taxonomy.facet(facet), first, second)

    def disagreements(self, round_: str) -> pd.DataFrame:
        """Count which categories the annotators of a round give to the same defect: see `disagreements`.

        Raises
        ------
        RedefectError
            If the study has no such round.
        """
        return disagreements(self._units(round_))

    def rater_profiles(self) -> pd.DataFrame:
        """Describe each rater beside the others of a round, the verdict, and the machine's suggestions: see `profiles`."""
        return raters.profiles(self.said, self.study.seeds.resampling, _who(self.study))

    def rater_leanings(self) -> pd.DataFrame:
        """Tell which categories each rater uses more and less than the others do: see `leanings`."""
        return raters.leanings(self.said, self.study.seeds.resampling)

    def agreement_choices(self) -> pd.DataFrame:
        """Tell what it changes in each round to merge spelling variants, to match defects by best assignment, and both.

        Returns
        -------
        Columns `round`, `choice`, and those of `changes`; beside what raters' sheets say by position and as written. No rows for
        a study without raters' sheets.
        """
        evidence, tables = self._evidence, []
        for round_ in dict.fromkeys(self.ratings["round"]):
            compared = {(c.matched, c.compared): c.units for c in self._comparisons if c.round == round_}
            before = compared["position", "as written"]
            for choice, key in (
                ("variants merged", ("position", "by category")),
                ("best assignment", ("best assignment", "as written")),
                ("both", ("best assignment", "by category")),
            ):
                found = changes(before, compared[key], evidence.agreement_facets, self._facets, evidence.seed)
                tables.append(found.assign(round=round_, choice=choice))
        columns = ["round", "choice", "facet", "coefficient", "before", "after", "change", "low", "high"]
        return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)

    def drift(self) -> pd.DataFrame:
        """Estimate how agreement changed from round to round: see `raters.drift`."""
        seed = self.study.seeds.resampling
        return raters.drift(self.said, self.rounds, self._evidence.agreement_facets, self._facets, seed)

    def rater_shifts(self) -> pd.DataFrame:
        """Tell how each rater changed from round to round: see `shifts`."""
        return raters.shifts(self.said, self.rounds, self.study.seeds.resampling)

    def _agreement_table(self, comparisons: Iterable[Comparison]) -> pd.DataFrame:
        return agreement_table(comparisons, self._evidence.agreement_facets, self._facets, self.study.seeds.resampling)

    @cached_property
    def _agreement(self) -> pd.DataFrame:
        return self._agreement_table(self._comparisons)

    @cached_property
    def _comparisons(self) -> list[Comparison]:
        return list(self._compared())

    def _compared(self) -> Iterator[Comparison]:
        sheets, labels = set(self.ratings["round"]), from_labels(self.labels)
        for round_ in self.rounds:
            if round_ in sheets:
                ratings = self.ratings[self.ratings["round"] == round_]
                written, categories = from_ratings(ratings), from_ratings(ratings, canonical=True)
                yield Comparison(round_, "position", "as written", by_position(written))
                yield Comparison(round_, "position", "as written, row index pooled in", by_position(written, row_index=True))
                yield Comparison(round_, "position", "by category", by_position(categories))
                yield Comparison(round_, "best assignment", "as written", by_best_assignment(written))
                yield Comparison(round_, "best assignment", "by category", by_best_assignment(categories))
            of_round = labels[labels["round"] == round_]
            if of_round["annotator"].nunique() > 1:
                if (of_round["defect"] > 1).any():  # else there is but one way to match them
                    yield Comparison(round_, "number", "by category", by_number(of_round))
                yield Comparison(round_, "best assignment", "by category", by_best_assignment(of_round))

    def _units(self, round_: str) -> pd.DataFrame:
        if round_ not in self.rounds:
            known = ", ".join(self.rounds) or "none"
            raise RedefectError(f"Study '{self.study.name}' has no round '{round_}'; it has {known}.")
        return by_best_assignment(self.said[self.said["round"] == round_])

    def agreement_flaws(self) -> list[Flaw]:
        """Name each published kappa that the raters' sheets give only with their row index pooled in as if it were a label."""
        flaws = []
        pooled = [*self._evidence.agreement_facets, ROW_INDEX]
        for finding in self._findings.findings:
            if not (isinstance(finding, KappaFinding) and finding.row_index and (self.ratings["round"] == finding.round).any()):
                continue
            units = by_position(from_ratings(self.ratings[self.ratings["round"] == finding.round]), row_index=True)
            units = units[units["facet"].isin(pooled)]
            with_index = coefficients(units)["cohen"]
            labels = coefficients(units[units["facet"] != ROW_INDEX])["cohen"]
            if abs(with_index - finding.published) <= finding.tolerance < abs(labels - finding.published):
                flaws.append(
                    Flaw(
                        "raters' sheets",
                        f"round '{finding.round}'",
                        f"the published pooled kappa {finding.published} comes out only when the sheets' row index is pooled in "
                        f"as if it were a label ({with_index:.3f}); the labels alone give {labels:.3f}",
                        "both are computed, and shown by `redefect findings`",
                    )
                )
        return flaws

    def published_kappas(self) -> pd.DataFrame:
        """Return the published kappas of rounds of raters' sheets, each once: columns `round`, `published`."""
        kappas = [(f.round, f.published) for f in self._findings.findings if isinstance(f, KappaFinding)]
        return pd.DataFrame(list(dict.fromkeys(kappas)), columns=["round", "published"])

    @property
    def _facets(self) -> list[str]:
        return [facet.id for facet in self.taxonomy.facets]

    @cached_property
    def _findings(self) -> Findings:
        path = self.study.reference.findings
        return read_toml(self.study.root / path, Findings) if path else Findings(findings=[])

    @cached_property
    def _figures(self) -> PublishedFigures:
        path = self.study.reference.figures
        return read_toml(self.study.root / path, PublishedFigures) if path else PublishedFigures(source="", figures=[])

    @cached_property
    def _evidence(self) -> analysis.Evidence:
        facets = self.study.agreement_facets or [facet.id for facet in self.taxonomy.defect_facets]
        return analysis.Evidence(self.taxonomy, self.defects, self.issues, self.ratings, facets, self.study.seeds.resampling)


def _who(study: Study) -> tuple[str, str]:
    return study.verdict.annotator, study.verdict.round


STUDY_VARIABLE = "REDEFECT_STUDY"


def open_study(name: str | None = None, database: str | None = None) -> OpenStudy:
    """Open a study for analysis.

    Parameters
    ----------
    name
        A study's name (a file in `data/studies/`), or the path of a study file; by default what the environment's
        REDEFECT_STUDY names, or the demo.
    database
        A SQLAlchemy URL or a SQLite file; by default the environment's REDEFECT_DATABASE, or the study's own file.

    Raises
    ------
    RedefectError
        If there is no such study, or nothing of it in the database.
    """
    study = read_study(find_study(name or os.environ.get(STUDY_VARIABLE) or "demo"))
    store = Store(database_url(database, study.database))
    opened = OpenStudy(study, store)
    if opened.issues.empty:
        raise RedefectError(f"The database holds nothing of study '{study.name}' yet; run `make STUDY={study.name}` first.")
    return opened
