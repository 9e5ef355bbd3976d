"""A study opened for analysis: its frames, and everything that is computed from them.

import pipeline
study = pipeline.open_study("cv-reengineering")
study.distribution("stage")
"""

from functools import cached_property
from itertools import combinations

import pandas as pd

from pipeline.analyze import findings as analysis
from pipeline.analyze.figures import Chart, draw
from pipeline.analyze.reference import Findings, KappaFinding, PublishedFigures
from pipeline.analyze.results import Crosstab, Distribution, crosstab, distribution
from pipeline.annotate.agreement import agreement_table, pair_by_defect, pair_by_position
from pipeline.documents import read_toml
from pipeline.errors import RedefectError
from pipeline.facts import Flaw
from pipeline.store import read
from pipeline.store.session import Store, database_url
from pipeline.study import Study, find_study, read_study
from pipeline.taxonomy import Taxonomy


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
            return read.ratings(connection, [source.path for source in self.study.sources if source.kind == "rater-sheets"])

    def distribution(self, facet: str) -> Distribution:
        """Count how often each category of a facet occurs."""
        return distribution(self.defects, self.taxonomy.facet(facet), self.note)

    def crosstab(self, rows: str, columns: str) -> Crosstab:
        """Count how often the categories of two facets occur together."""
        seed = self.study.seeds.resampling
        return crosstab(self.defects, self.taxonomy.facet(rows), self.taxonomy.facet(columns), seed, self.note)

    def figure(self, name: str) -> Chart:
        """Draw one of the figures that the study file names."""
        for figure in self.study.figures:
            if figure.name == name:
                return draw(self.crosstab(figure.rows, figure.columns), figure.style, figure.title)
        known = ", ".join(figure.name for figure in self.study.figures) or "none"
        raise RedefectError(f"Study '{self.study.name}' has no figure '{name}'; it has {known}.")

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

    def agreement(self) -> pd.DataFrame:
        """Compute Cohen's kappa for each round of two annotators, pooled and by facet: see `agreement_table`.

        Raters' sheets are compared as the study did (case folded), by category, and with the row index pooled in, which alone
        gives the published figures; other labels by category, for each two annotators of a round.
        """
        pairings: dict[tuple[str, str], pd.DataFrame] = {}
        for round_ in self.ratings["round"].drop_duplicates():
            pairings[round_, "as written"] = pair_by_position(self.ratings, round_)
            pairings[round_, "as written, row index pooled in"] = pair_by_position(self.ratings, round_, row_index=True)
            pairings[round_, "by category"] = pair_by_position(self.ratings, round_, canonical=True)
        defect_labels = self.labels[self.labels["defect"] > 0]
        for round_, labels in defect_labels.groupby("round", sort=True):
            for first, second in combinations(sorted(labels["annotator"].unique()), 2):
                pairings[str(round_), f"{first} and {second}"] = pair_by_defect(labels, first, second, str(round_))
        return agreement_table(pairings, self._evidence.agreement_facets, self.study.seeds.resampling)

    def agreement_flaws(self) -> list[Flaw]:
        """Name each published kappa that the raters' sheets give only with their row index pooled in as if it were a label."""
        flaws = []
        table = self.agreement()
        pooled = table[table["facet"] == "pooled"].set_index(["round", "compared"])["kappa"]
        for finding in self._findings.findings:
            if not (isinstance(finding, KappaFinding) and finding.row_index and (finding.round, "as written") in pooled.index):
                continue
            labels = pooled[finding.round, "as written"]
            with_index = pooled[finding.round, "as written, row index pooled in"]
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


def open_study(name: str, database: str | None = None) -> OpenStudy:
    """Open a study for analysis.

    Parameters
    ----------
    name
        A study's name (a file in `data/studies/`), or the path of a study file.
    database
        A SQLAlchemy URL or a SQLite file; by default the environment's REDEFECT_DATABASE, or the study's own file.

    Raises
    ------
    RedefectError
        If there is no such study, or nothing of it in the database.
    """
    study = read_study(find_study(name))
    store = Store(database_url(database, study.database))
    opened = OpenStudy(study, store)
    if opened.issues.empty:
        raise RedefectError(f"The database holds nothing of study '{study.name}' yet; run `make STUDY={study.name}` first.")
    return opened
