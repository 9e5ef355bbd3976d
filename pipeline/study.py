"""The typed description of one study: what it reads, what it selects, whose labels count, what it writes.

A study is one file in `data/studies/`; every command takes its name.
"""

import hashlib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, PrivateAttr, field_validator

from pipeline.documents import Document, Location, read_toml
from pipeline.errors import RedefectError
from pipeline.taxonomy import Taxonomy, read_taxonomy

RepositoryName = Annotated[str, Field(pattern=r"^[A-Za-z0-9](?:[A-Za-z0-9-]*)/[A-Za-z0-9._-]+$")]
RepositoryKind = Literal["solo", "zoo"]
State = Literal["open", "closed", "all"]
Share = Annotated[float, Field(ge=0, le=1)]
_DOI = r"^10\.\d{4,9}/[A-Za-z0-9:/_;().-]+$"
Role = Literal["leader", "contributor", "practitioner"]


class Repository(Document):
    """A repository of the study; `solo` holds one model, `zoo` many."""

    name: RepositoryName
    kind: RepositoryKind
    prototype: bool | None = None
    framework: str | None = None
    architecture: str | None = None


class Search(Document):
    """Words by which a search on the tracker finds candidate repositories, and what those that it finds are."""

    words: str = Field(min_length=1, pattern=r"^[^:]+$")
    kind: RepositoryKind = "solo"
    architecture: str | None = None


class Selection(Document):
    """By which criteria repositories and issues come into the study (its section on sampling).

    `searches` to `repositories_per_architecture` (of solo repositories, those with the most stars) choose repositories.

    `state` to `opened_until` keep or drop an issue; `most_commented` (of each repository) and
    `random_share_of_largest_zoos` (of the `largest_zoos` zoos with the most issues kept; all zoos when it is not given)
    draw from those that are kept. Without a rule that draws, all that are kept are in. Names of tracker labels match
    whatever their case; `labels_include` keeps issues that carry at least one of them.
    """

    searches: list[Search] = []
    minimum_stars: int = Field(default=0, ge=0)
    minimum_closed_issues: int = Field(default=0, ge=0)
    repositories_per_architecture: int | None = Field(default=None, ge=1)
    pull_requests: bool = False
    state: State = "all"
    with_fix: bool = False
    labels_include: list[str] = []
    labels_exclude: list[str] = []
    minimum_comments: int = Field(default=0, ge=0)
    most_commented: int | None = Field(default=None, ge=1)
    random_share_of_largest_zoos: Share = 0.0
    largest_zoos: int | None = Field(default=None, ge=1)
    opened_from: date | None = None
    opened_until: date | None = None


class Seeds(Document):
    """The seed of everything random: one for drawing samples, one for resampling (intervals, permutations)."""

    sample: int
    resampling: int


class Verdict(Document):
    """Whose labels, of which round, are the study's final word on each defect."""

    annotator: str
    round: str


class ThreadsSource(Document):
    """Issue threads: JSON lines, a folder of them, or Denchmark's bug reports (folder or .tar.xz).

    `listed_only` leaves out those of repositories that the study file does not list.
    """

    kind: Literal["threads"]
    path: str
    name: str
    listed_only: bool = False


class LabelsSource(Document):
    """Labels by reference, a row a label: repository,number,defect,facet,category,annotator,round,confidence.

    `listed_only` leaves out those of repositories that the study file does not list.
    """

    kind: Literal["labels"]
    path: str
    listed_only: bool = False


class IssueLabel(Document):
    """What being in a table says of an issue as a whole."""

    facet: str
    category: str


class LabelTableSource(Document):
    """A published table with a row a defect and a column a facet."""

    kind: Literal["label-table"]
    path: str
    annotator: str
    round: str
    each_issue: IssueLabel


class SetAsideSource(Document):
    """A published table of issues that were sampled and set aside as no defects."""

    kind: Literal["set-aside-table"]
    path: str
    annotator: str
    round: str
    each_issue: IssueLabel


class RaterSheet(Document):
    """One sheet of a workbook: what one rater wrote in one round."""

    sheet: str
    annotator: str
    round: str


class RaterSheetsSource(Document):
    """A workbook of raters' sheets, whose rows name an issue by its number only."""

    kind: Literal["rater-sheets"]
    path: str
    sheets: list[RaterSheet] = Field(min_length=2)


class TranscriptsSource(Document):
    """Transcripts of interviews: a folder of text files, an interview a file.

    `interviewer` is what files call the one who asks when they do but number their speakers. `roles` says what those are who
    answer, by the file's name without its ending, where neither the file's speakers nor its name tell, or where they tell less.
    Transcripts that are `optional` may be missing: interviews are not everybody's to pass on.
    """

    kind: Literal["transcripts"]
    path: str
    interviewer: str = "Speaker 1"
    roles: dict[str, Role] = {}
    optional: bool = False


class CodingsSource(Document):
    """Codings by reference, a row a code: transcript,turn,coder,kind,theme,phase,confidence.

    `themes` is a file of `taxonomy/`, `coders` says who they are: what to bear in mind wherever their agreement is shown.
    """

    kind: Literal["codings"]
    path: str
    themes: str = Field(default="challenges", pattern=r"^[a-z0-9-]+$")
    coders: str = Field(min_length=1)


Source = Annotated[
    ThreadsSource | LabelsSource | LabelTableSource | SetAsideSource | RaterSheetsSource | TranscriptsSource | CodingsSource,
    Field(discriminator="kind"),
]


class DownloadedFile(Document):
    """A file to fetch: `path` below the download's base, what its bytes must hash to, and the `folder` it goes to, if it has one.

    One that is `optional` may be missing from a local folder.
    """

    path: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    folder: str = ""
    optional: bool = False

    @field_validator("path", "folder")
    @classmethod
    def _stays_below_the_base(cls, path: str) -> str:
        if path.startswith("/") or ".." in path.split("/"):
            raise ValueError(f"'{path}' leaves the download's base; give a path below it")
        return path

    @property
    def place(self) -> Path:
        """Where the file is kept, below the download's folder."""
        return Path(self.folder) / Path(self.path).name


class Download(Document):
    """Published files that a study reads and that may not be redistributed with it."""

    folder: str
    base_url: str = Field(pattern=r"^https?://[^\s]+/$")
    files: list[DownloadedFile] = Field(min_length=1)


class Distribution(Document):
    """A table to write: how often each category of a facet occurs."""

    facet: str


class Crosstab(Document):
    """A table to write: how often the categories of two facets occur together."""

    rows: str
    columns: str


class Figure(Document):
    """A figure to draw from a cross table; a new figure is a row of data."""

    name: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    title: str
    rows: str
    columns: str
    style: Literal["grouped", "stacked"]


class Comparison(Document):
    """Two groups of defects whose distributions to compare: exactly one key says which.

    `with` names another study, with which to compare this one as a whole. `periods` is the day on which the second of two periods
    begins: issues opened before it, and from it on. `by` compares the study's solo repositories with its zoos.
    """

    model_config = ConfigDict(populate_by_name=True)

    other: str | None = Field(default=None, alias="with", pattern=r"^[A-Za-z0-9._-]+$")
    periods: date | None = None
    by: Literal["kind"] | None = None


class Reference(Document):
    """Published values to compare with: files of findings and of the figures' cells."""

    findings: str | None = None
    figures: str | None = None


class Creator(Document):
    """Who made a data set: a person, written `Family name, Given names`, or an organization, written without a comma."""

    name: str = Field(min_length=1)
    orcid: str | None = Field(default=None, pattern=r"^(\d{4}-){3}\d{3}[\dX]$")
    affiliation: str | None = None


class Dataset(Document):
    """What a data package of the study says of itself (`redefect dataset`).

    `published` is the year, the month or the day in which what it holds was made public; without it, that of the latest time in
    the data.
    `license` is that of what the creators made themselves; `papers` are the DOIs of the publications that the data come from.
    `annotators` says who labelled: what to bear in mind wherever labels are used.
    """

    version: str = Field(default="1.0.0", pattern=r"^\d+\.\d+\.\d+$")
    published: str | None = Field(default=None, pattern=r"^\d{4}(-\d\d(-\d\d)?)?$")
    creators: list[Creator] = Field(default=[Creator(name="The ReDefect developers")], min_length=1)
    license: str = Field(default="Apache-2.0", pattern=r"^[A-Za-z0-9.+-]+$")
    keywords: list[str] = []
    doi: str | None = Field(default=None, pattern=_DOI)
    papers: list[Annotated[str, Field(pattern=_DOI)]] = []
    annotators: str = ""


class Study(Document):
    """One study, as its file describes it. Paths in it are relative to `root`, the folder that holds `data/`.

    `rounds` is the order of the rounds of labels; those that it does not name follow, sorted. `shares` says what stands for the
    study where it is compared: its verdict's labels, counted, or a classifier's labels of all its threads, corrected.
    """

    title: str
    description: str
    fictional: bool = False
    taxonomy: str = Field(pattern=r"^[a-z0-9-]+$")
    seeds: Seeds
    verdict: Verdict
    selection: Selection = Selection()
    repositories: list[Repository] = Field(min_length=1)
    sources: list[Source] = Field(min_length=1)
    download: Download | None = None
    agreement_facets: list[str] = []
    rounds: list[str] = []
    shares: Literal["labels", "machine"] = "labels"
    distributions: list[Distribution] = []
    crosstabs: list[Crosstab] = []
    figures: list[Figure] = []
    comparisons: list[Comparison] = []
    reference: Reference = Reference()
    dataset: Dataset = Dataset()
    _path: Path = PrivateAttr(default=Path())

    def model_post_init(self, context: object, /) -> None:
        """Keep the place of the file, which `read_toml` gives as context: all other paths follow from it."""
        if isinstance(context, Path):
            self._path = context.absolute()

    @property
    def path(self) -> Path:
        """The study file."""
        return self._path

    @property
    def name(self) -> str:
        """The name that commands take: the study file's, without its ending."""
        return self._path.stem

    @property
    def root(self) -> Path:
        """The folder that holds `data/` and `taxonomy/`."""
        return self._path.parent.parent.parent

    @property
    def build(self) -> Path:
        """The folder for everything generated from this study."""
        return self.root / "data" / "build" / self.name

    @property
    def database(self) -> Path:
        """The study's own store, used unless another database is given."""
        return self.build / "redefect.sqlite"

    @property
    def annotations(self) -> Path:
        """The folder of what this study's annotators do: a folder a batch, and in it a table an annotator."""
        return self.root / "data" / "annotations" / self.name

    @property
    def taxonomy_path(self) -> Path:
        """The study's taxonomy file."""
        return self.root / "taxonomy" / f"{self.taxonomy}.yaml"

    @property
    def transcripts(self) -> list[TranscriptsSource]:
        """Where the study's interviews are."""
        return [source for source in self.sources if isinstance(source, TranscriptsSource)]

    @property
    def codings(self) -> list[CodingsSource]:
        """Where the codings of the study's interviews are."""
        return [source for source in self.sources if isinstance(source, CodingsSource)]

    @property
    def lexicon_path(self) -> Path:
        """The file of written rules for the study's taxonomy, which need not exist."""
        return self.taxonomy_path.parent / "lexicons" / self.taxonomy_path.name

    @property
    def checks_path(self) -> Path:
        """The file of what to check for each cause of the study's taxonomy, which need not exist."""
        return self.taxonomy_path.parent / "checks" / self.taxonomy_path.name

    @property
    def digest(self) -> str:
        """SHA-256 of the study file's bytes."""
        return hashlib.sha256(self._path.read_bytes()).hexdigest()

    def contradictions(self) -> Iterator[tuple[Location, str]]:
        """Yield what the file says twice or against itself."""
        seen: dict[str, int] = {}
        for i, repository in enumerate(self.repositories):
            first = seen.setdefault(repository.name.casefold(), i)
            if first != i:
                yield ("repositories", i, "name"), f"'{repository.name}' stands twice; remove one of the entries."
        limit = self.selection.repositories_per_architecture
        if limit is not None:
            count: dict[str, int] = {}
            for i, repository in enumerate(self.repositories):
                if repository.kind == "solo" and repository.architecture is not None:
                    count[repository.architecture] = count.get(repository.architecture, 0) + 1
                    if count[repository.architecture] > limit:
                        yield (
                            ("repositories", i, "architecture"),
                            f"'{repository.name}' is one more '{repository.architecture}' than the {limit} that "
                            "selection.repositories_per_architecture allows; change one of the two.",
                        )
        begin, end = self.selection.opened_from, self.selection.opened_until
        if begin is not None and end is not None and begin > end:
            yield ("selection", "opened_until"), f"{end} is before opened_from ({begin}); no issue can be in between."
        included = {label.casefold() for label in self.selection.labels_include}
        for label in self.selection.labels_exclude:
            if label.casefold() in included:
                yield ("selection", "labels_exclude"), f"'{label}' is in labels_include, too; keep it in one of the two."
        if self.selection.largest_zoos is not None and self.selection.random_share_of_largest_zoos == 0:
            yield (
                ("selection", "largest_zoos"),
                "limits a random draw, and none is asked for; give random_share_of_largest_zoos, or remove this key.",
            )
        codings = [i for i, source in enumerate(self.sources) if isinstance(source, CodingsSource)]
        for i in codings[1:]:
            yield ("sources", i, "kind"), "a study has one file of codings; put all coders into that."
        names: set[str] = set()
        for i, figure in enumerate(self.figures):
            if figure.name in names:
                yield ("figures", i, "name"), f"figure '{figure.name}' stands twice; give each its own name."
            names.add(figure.name)
        for key, i, table in self._cross_tables():
            if table.rows == table.columns:
                yield (key, i, "columns"), f"rows and columns are both '{table.rows}'; a cross table needs two facets."
        yield from self._impossible_comparisons()
        yield from self._unknown_facets()

    def _impossible_comparisons(self) -> Iterator[tuple[Location, str]]:
        for i, comparison in enumerate(self.comparisons):
            given = comparison.model_fields_set
            if len(given) != 1:
                key: Location = ("comparisons", i, *sorted(given - {"other"})[:1])
                yield key, "name one thing to compare in each entry: with (a study), periods (a day), or by (kind)."
            if comparison.other is None or self._path == Path():
                continue
            known = sorted(path.stem for path in self._path.parent.glob("*.toml") if path.stem != self.name)
            if comparison.other not in known:
                yield (
                    ("comparisons", i, "with"),
                    f"there is no other study '{comparison.other}' in {self._path.parent.name}/; there are: {', '.join(known)}.",
                )

    def _cross_tables(self) -> Iterator[tuple[str, int, Crosstab | Figure]]:
        yield from (("crosstabs", i, table) for i, table in enumerate(self.crosstabs))
        yield from (("figures", i, figure) for i, figure in enumerate(self.figures))

    def _unknown_facets(self) -> Iterator[tuple[Location, str]]:
        if self._path == Path():  # the taxonomy's folder is known only for a study that was read from a file
            return
        taxonomy = self.read_taxonomy()
        known = [facet.id for facet in taxonomy.defect_facets]
        named: list[tuple[Location, str]] = [
            *((("agreement_facets", i), facet) for i, facet in enumerate(self.agreement_facets)),
            *((("distributions", i, "facet"), d.facet) for i, d in enumerate(self.distributions)),
            *(((key, i, side), getattr(t, side)) for key, i, t in self._cross_tables() for side in ("rows", "columns")),
        ]
        for location, facet in named:
            if facet not in known:
                yield location, f"taxonomy '{taxonomy.id}' has no defect facet '{facet}'; it has {', '.join(known)}."

        for i, source in enumerate(self.sources):
            if isinstance(source, LabelTableSource | SetAsideSource):
                says = source.each_issue
                of_issues = {facet.id: facet.ids for facet in taxonomy.facets if facet.level == "issue"}
                if says.category not in of_issues.get(says.facet, []):
                    yield (
                        ("sources", i, "each_issue"),
                        f"taxonomy '{taxonomy.id}' has no category '{says.category}' of an issue's facet '{says.facet}'.",
                    )

    def read_taxonomy(self) -> Taxonomy:
        """Read the study's taxonomy file."""
        return read_taxonomy(self.taxonomy_path)

    def themes_path(self, source: CodingsSource) -> Path:
        """Return the file of the themes by which interviews were coded."""
        return self.taxonomy_path.parent / f"{source.themes}.yaml"


def read_study(path: Path) -> Study:
    """Read and check a study file.

    Raises
    ------
    RedefectError
        If the file is missing, has an unknown key, a wrong type or a contradiction; the sentence names file, line, key.
    """
    return read_toml(path, Study)


def find_study(name: str) -> Path:
    """Find a study file by its name, or by its path.

    A name is looked for in `data/studies/` of this folder and of each folder above it (so that it works from
    `notebooks/` too), and then of the checkout that this package belongs to.

    Raises
    ------
    RedefectError
        If there is none; the sentence names those that there are.
    """
    if name.endswith(".toml"):
        return Path(name)
    here = Path.cwd()
    folders = [folder / "data" / "studies" for folder in (here, *here.parents, Path(__file__).parent.parent)]
    for folder in folders:
        if (folder / f"{name}.toml").is_file():
            return folder / f"{name}.toml"
    known = sorted({path.stem for folder in folders if folder.is_dir() for path in folder.glob("*.toml")})
    raise RedefectError(
        f"There is no study '{name}' in data/studies/; there are: {', '.join(known) or 'none'}. "
        "Give one of these names, or the path of a study file that ends in .toml."
    )
