"""What people and published tables say about repositories and issues, as it travels from a file to the store."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, order=True)
class IssueReference:
    """An issue's address: `owner/name` and number."""

    repository: str
    number: int

    @property
    def url(self) -> str:
        """The issue's address on GitHub."""
        return f"https://github.com/{self.repository}/issues/{self.number}"


@dataclass(frozen=True, slots=True)
class RepositoryFacts:
    """What is known of a repository; `None` means not known."""

    name: str
    kind: str | None = None
    prototype: bool | None = None
    framework: str | None = None
    architecture: str | None = None
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class IssueFacts:
    """What a published table tells of an issue besides its labels; `None` means not known."""

    issue: IssueReference
    created_at: datetime | None = None
    tracker_labels: list[str] | None = None


@dataclass(frozen=True, slots=True)
class Label:
    """One annotator's answer for one facet of one defect (1, 2, ...), or of the issue as a whole (0), in one round.

    `category` is the taxonomy's id, `value` what the source wrote, `suggested` the category that a machine had suggested, when
    the annotator saw that.
    """

    issue: IssueReference
    defect: int
    facet: str
    category: str
    value: str
    annotator: str
    round: str
    confidence: str | None = None
    note: str | None = None
    suggested: str | None = None


@dataclass(frozen=True, slots=True)
class Remark:
    """What an annotator remarked of an issue in a round besides its labels.

    Attributes
    ----------
    discuss, slow
        Whether the annotator wants to talk about it, and whether it took more than ten minutes.
    translated
        From which language, if it is not in English; else empty.
    """

    issue: IssueReference
    annotator: str
    round: str
    discuss: bool = False
    slow: bool = False
    translated: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Rating:
    """A label from a rater's sheet, which gives the issue's number without its repository.

    `row` is the sheet's row as a spreadsheet counts it; `category` is None where the value belongs to none.
    """

    round: str
    annotator: str
    row: int
    number: str
    facet: str
    value: str
    category: str | None


@dataclass(frozen=True, slots=True)
class Turn:
    """What one person says in an interview until another speaks; `turn` counts from 1, the interviewer's included.

    `speaker` is who it is in the transcript, empty for what stands before the first; `role` is `interviewer`, or what the one
    who answers is, and empty where nobody speaks.
    """

    transcript: str
    turn: int
    speaker: str
    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Coding:
    """A theme that a coder sees in a turn of an interview, and to which phase of the work it belongs, if that is said."""

    transcript: str
    turn: int
    coder: str
    kind: str
    theme: str
    phase: str | None = None
    confidence: str | None = None


@dataclass(frozen=True, slots=True, order=True)
class Flaw:
    """A flaw of real data that was handled in the open: where it is, what it is, and what was done about it."""

    source: str
    where: str
    what: str
    done: str


@dataclass(frozen=True, slots=True)
class Count:
    """How many things of a kind a source held, and how many of them are in the store now."""

    source: str
    what: str
    read: int
    stored: int


@dataclass(slots=True)
class ImportReport:
    """What an import read, kept and found amiss."""

    counts: list[Count] = field(default_factory=list)
    flaws: list[Flaw] = field(default_factory=list)
    changed: int = 0
    """Rows that the import added, changed or removed; 0 when the store already held all of it."""


@dataclass(frozen=True, slots=True)
class CrawledRepository:
    """What a tracker tells of a repository. `name` is the one that was asked for, `now` the one that it has today."""

    name: str
    now: str
    created_at: datetime
    stars: int
    closed_issues: int | None = None
    issues: int | None = None
    pull_requests: int | None = None
    last_update: datetime | None = None
    """When any of its issues was last updated."""


@dataclass(frozen=True, slots=True)
class CrawledComment:
    """A comment as the tracker has it; `author` is None when the account is gone."""

    tracker_id: int
    author: str | None
    created_at: datetime
    updated_at: datetime
    body: str


@dataclass(frozen=True, slots=True)
class CrawledIssue:
    """An issue as the tracker has it, without its comments. `fix` means something only if `knows_fix`."""

    repository: str
    number: int
    title: str
    body: str
    author: str | None
    state: str
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None
    comment_count: int
    tracker_labels: list[str]
    pull_request: bool
    fix: str | None = None
    knows_fix: bool = False


@dataclass(frozen=True, slots=True)
class ThreadPart:
    """Comments of one issue that follow each other, from its first on or from where an earlier part ended.

    `begins` is where the part before ended, None when this one is the first; `after` is where the next part begins, None when
    this one is the last.
    """

    issue: IssueReference
    comments: list[CrawledComment]
    begins: str | None
    after: str | None
