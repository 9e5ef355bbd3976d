"""What a data package says of itself, counted from its tables and told by its study's file: for all documents and metadata."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import __version__
from pipeline.errors import RedefectError
from pipeline.intervals import wilson
from pipeline.package_tables import PackageTable, tables
from pipeline.study import Study, ThreadsSource
from pipeline.taxonomy import Taxonomy

Whose = Literal["ours", "published", "tracker", "collection"]

_PROJECT_LABELS = "data/annotations/labels.csv"
_OF_PROJECT_LABELS = (
    "Machines: the labels of data/annotations/labels.csv are all by automated annotators (large language models), and no person "
    "has read them over. auto-a and auto-b share a model, so that their agreement tells of its consistency, not of the labels' "
    "validity; adjudicated is a third automated reader."
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where rows come from.

    Attributes
    ----------
    whose
        `ours`: made by the package's creators; `published`: taken from a study's published data; `tracker`: facts told by the
        tracker; `collection`: somebody's collection of threads.
    rows
        How many rows of which table.
    """

    name: str
    whose: Whose
    rows: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class CategoryCount:
    """How often the final word on a facet is a category: `n` of `total`, with the share's 95 % interval (Wilson)."""

    label: str
    n: int
    total: int

    @property
    def shown(self) -> str:
        """The share with its interval, in percent."""
        low, high = wilson(self.n, self.total)
        return f"{100 * self.n / self.total:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


@dataclass(frozen=True)
class PackageFacts:
    """A data package before it is written.

    Parameters
    ----------
    study, taxonomy
        What it is the data of.
    rows
        The rows of each table, as they are to be published: pseudonymised and redacted.
    with_text
        Whether it holds what people wrote.
    redactions
        How many of which kind the texts hold in place of something.
    """

    study: Study
    taxonomy: Taxonomy
    rows: Mapping[str, pa.Table]
    with_text: bool
    redactions: Mapping[str, int] = field(default_factory=dict)
    software_version: str = __version__

    @property
    def name(self) -> str:
        """What its folder and its archive are called."""
        return f"{self.study.name}-data" + ("-with-text" if self.with_text else "")

    @property
    def title(self) -> str:
        """Its title."""
        return f"{self.study.title} ({'issues, labels and texts' if self.with_text else 'issues and labels'})"

    @property
    def description(self) -> str:
        """What it is, in a few sentences."""
        texts = (
            "It holds what people wrote on the tracker, which is theirs, with pseudonyms and redactions."
            if self.with_text
            else "It refers to issues by repository and number, and holds no text of them."
        )
        fiction = " All of it is fictional and tells nothing about anything." if self.study.fictional else ""
        return f"Data package of a study. {self.study.description} {texts}{fiction}"

    @property
    def tables(self) -> tuple[PackageTable, ...]:
        """Its tables, in their order."""
        return tables(with_text=self.with_text)

    def count(self, table: str) -> int:
        """Return how many rows a table has; 0 for one that is not in it."""
        return self.rows[table].num_rows if table in self.rows else 0

    @cached_property
    def date_of_data(self) -> date | None:
        """The day of the latest time that issues and comments have."""
        columns = [
            self.rows[table].column(name)
            for table in ("issues", "comments")
            for name in ("created_at", "updated_at")
            if table in self.rows
        ]
        latest = [time for time in (pc.max(column).as_py() for column in columns) if time is not None]
        return max(latest).date() if latest else None

    @cached_property
    def first_day(self) -> date | None:
        """The day on which the oldest issue was opened."""
        first = pc.min(self.rows["issues"].column("created_at")).as_py()
        return first.date() if first else None

    @property
    def published(self) -> str:
        """When what it holds was made public: a year, a month or a day.

        Raises
        ------
        RedefectError
            If neither the study's file nor the data tell.
        """
        told = self.study.dataset.published or self.date_of_data
        if told is None:
            raise RedefectError(
                f"{self.study.path}: no issue of the study has a time, so that its data package would have no date; say when its "
                'data were made public by published = "2024" in a section [dataset].'
            )
        return str(told)

    @cached_property
    def people(self) -> int:
        """How many people it knows by pseudonyms."""
        names = [
            set(self.rows[table.name].column(column.name).unique().to_pylist())
            for table in self.tables
            for column in table.fields
            if column.person
        ]
        return len(set().union(*names) - {None})

    @property
    def annotators(self) -> str:
        """Who labelled, as the study's file tells it; empty if it does not."""
        told = self.study.dataset.annotators
        return told or (_OF_PROJECT_LABELS if any(o.name == _PROJECT_LABELS for o in self.origins) else "")

    @cached_property
    def origins(self) -> list[Origin]:
        """Where its rows come from, sorted."""
        found: dict[str, dict[str, int]] = {}
        for table in self.tables:
            if "source" in self.rows[table.name].column_names:
                for name, n in _counts(self.rows[table.name], ["source"]):
                    found.setdefault(name, {})[table.name] = n
        return [Origin(name, self._whose(name), rows) for name, rows in sorted(found.items())]

    def _whose(self, source: str) -> Whose:
        study = self.study
        if study.download and source.startswith(f"{study.download.folder}/"):
            return "published"
        if study.fictional or source.startswith(("data/annotations/", "study ")):
            return "ours"
        collections = [told.name for told in self.collections]
        return "collection" if source in collections else "tracker" if source == "github" else "ours"

    @property
    def collections(self) -> list[ThreadsSource]:
        """The collections of threads, made by others, that the study reads."""
        return [] if self.study.fictional else [told for told in self.study.sources if isinstance(told, ThreadsSource)]

    @property
    def has_others_labels(self) -> bool:
        """Whether labels in it were published by somebody else, so that its creators' licence cannot cover them."""
        return any(origin.whose == "published" for origin in self.origins)

    @property
    def is_free(self) -> bool:
        """Whether all of it may be passed on under its creators' licence."""
        return self.study.fictional or not (self.with_text or self.has_others_labels)

    @cached_property
    def final_labels(self) -> dict[str, list[CategoryCount]]:
        """What the labels that count say: the title of each facet, and its categories in the taxonomy's order."""
        return self._by_facet(self._final)

    @cached_property
    def guesses(self) -> dict[str, list[CategoryCount]]:
        """What classifiers name, where they are sure enough: counts of a machine's answers, no shares of anything."""
        return self._by_facet(self.rows["predictions"].filter(pc.field("guess") & ~pc.field("abstained")))

    @cached_property
    def _final(self) -> pa.Table:
        verdict = self.study.verdict
        ours = (pc.field("annotator") == verdict.annotator) & (pc.field("round") == verdict.round)
        return self.rows["labels"].filter(ours)

    def _by_facet(self, rows: pa.Table) -> dict[str, list[CategoryCount]]:
        counted = {(facet, category): n for facet, category, n in _counts(rows, ["facet", "category"])}
        found = {}
        for facet in self.taxonomy.facets:
            counts = {category.label: counted.get((facet.id, category.id), 0) for category in facet.values}
            if total := sum(counts.values()):
                found[facet.title] = [CategoryCount(label, n, total) for label, n in counts.items() if n]
        return found

    @cached_property
    def labellers(self) -> list[tuple[str, str, int, int]]:
        """Each annotator and round of labels: how many labels, of how many issues."""
        labels = self.rows["labels"]
        issues = labels.group_by(["annotator", "round", "repository", "number"]).aggregate([])
        of_issues = {(a, r): n for a, r, n in _counts(issues, ["annotator", "round"])}
        return [(a, r, n, of_issues[a, r]) for a, r, n in _counts(labels, ["annotator", "round"])]

    @cached_property
    def labelled_defects(self) -> int:
        """How many defects the labels that count tell of."""
        defects = self._final.filter(pc.field("defect") > 0)
        return defects.group_by(["repository", "number", "defect"]).aggregate([]).num_rows

    @cached_property
    def sampled(self) -> int:
        """How many issues are in the study, by whatever rule."""
        return self.rows["samples"].group_by(["repository", "number"]).aggregate([]).num_rows

    @property
    def rules(self) -> list[tuple[str, int]]:
        """How many issues are in the study by which rule."""
        return list(_counts(self.rows["samples"], ["rule"]))

    @property
    def commands(self) -> list[dict[str, Any]]:
        """The commands that made the data, in their order: rows of the table of runs."""
        return self.rows["runs"].to_pylist()

    def unknown(self, table: str, column: str) -> int:
        """Return how many rows of a table lack a value."""
        return self.rows[table].column(column).null_count


def read_input(text: str) -> tuple[str, str]:
    """Return name and SHA-256 of what a run says that it read."""
    digest, _, name = text.partition("  ")
    return name, digest


def _counts(rows: pa.Table, columns: list[str]) -> Iterator[tuple[Any, ...]]:
    """Yield the combinations of values that columns have, sorted, each with its number of rows."""
    counted = rows.group_by(columns).aggregate([([], "count_all")])
    yield from sorted((*(row[column] for column in columns), row["count_all"]) for row in counted.to_pylist())
