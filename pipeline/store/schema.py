"""The tables of the store (the data model), as SQLAlchemy classes; `migrations/` holds the way from each version to the next."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    TypeDecorator,
    UniqueConstraint,
    func,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeEngine


class UtcTime(TypeDecorator[datetime]):
    """A time in UTC: an aware datetime in Python, a timestamp with time zone in PostgreSQL, ISO 8601 text in SQLite."""

    impl = DateTime(timezone=True).with_variant(
        sqlite.DATETIME(  # type: ignore[no-untyped-call]  # SQLAlchemy left it without types
            storage_format="%(year)04d-%(month)02d-%(day)02dT%(hour)02d:%(minute)02d:%(second)02dZ",
            regexp=r"(\d+)-(\d+)-(\d+)T(\d+):(\d+):(\d+)Z",
        ),
        "sqlite",
    )
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times, whose zone nobody would ever know again."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return value if value.tzinfo is UTC else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give SQLite's naive times the zone that they are stored in."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class StoredText(TypeDecorator[str]):
    """A text that sorts, compares and loses its capitals alike on every database: by code points, and ASCII letters only.

    SQLite does so of itself; PostgreSQL is told, whatever the locale of its database is.
    """

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the database's own type."""
        collation = "C" if dialect.name == "postgresql" else None
        return dialect.type_descriptor(String(self.impl_instance.length, collation))  # type: ignore[attr-defined]  # it is a String

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Replace what no database can store, wherever it came from."""
        return value if value is None else storable(value)


def storable(text: str) -> str:
    """Return a text with U+FFFD for each NUL, which ends a text in C, and each lone surrogate, which is no text at all."""
    if "\0" in text:
        text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join("\N{REPLACEMENT CHARACTER}" if "\ud800" <= letter <= "\udfff" else letter for letter in text)
    return text


def in_model(name: str | None, _kind: str, _parents: Any) -> bool:
    """Tell whether something in a database is of the data model, and not an index of words: see `pipeline.store.search`."""
    return name is None or "fts" not in name.split("_")


_MANY = BigInteger().with_variant(Integer, "sqlite")  # there, an integer has 64 bits, and a key must be called INTEGER


class Base(DeclarativeBase):
    """All tables; constraints have names, so that migrations can refer to them on every database."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        }
    )
    type_annotation_map = {str: StoredText, datetime: UtcTime, dict[str, Any]: JSON, list[str]: JSON}


class Repository(Base):
    """A repository on a tracker. Names match whatever their case, as on GitHub; the case first seen is kept."""

    __tablename__ = "repository"
    id: Mapped[int] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column()
    name: Mapped[str] = mapped_column()
    kind: Mapped[str | None]
    prototype: Mapped[bool | None]
    framework: Mapped[str | None]
    architecture: Mapped[str | None]
    created_at: Mapped[datetime | None]
    stars: Mapped[int | None]
    closed_issues: Mapped[int | None]
    source: Mapped[str]
    __table_args__ = (Index("uq_repository_owner_name", func.lower(owner), func.lower(name), unique=True),)


class Issue(Base):
    """An issue. `None` means not known. `source` is where its text came from; `digest` tells whether an import changed it.

    `comment_count` is the tracker's own count; the comments themselves are all here only if `comments_complete`. `fix` is
    the pull request (`owner/name#12`) or commit (`owner/name@3f2a91c`) that closed it.
    """

    __tablename__ = "issue"
    id: Mapped[int] = mapped_column(primary_key=True)
    repository_id: Mapped[int] = mapped_column(ForeignKey("repository.id", ondelete="CASCADE"))
    number: Mapped[int]
    title: Mapped[str | None]
    body: Mapped[str | None]
    author: Mapped[str | None]
    state: Mapped[str | None]
    created_at: Mapped[datetime | None]
    updated_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    comment_count: Mapped[int | None]
    comments_complete: Mapped[bool] = mapped_column(default=False)
    pull_request: Mapped[bool] = mapped_column(default=False)
    tracker_labels: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    fix: Mapped[str | None]
    source: Mapped[str]
    digest: Mapped[str | None] = mapped_column(StoredText(64))
    __table_args__ = (UniqueConstraint("repository_id", "number"),)


class Comment(Base):
    """An answer in an issue's thread; `position` counts from 1, oldest first. `tracker_id` is the tracker's own number of it.

    `body` is None where only the reference is known: from a data package without texts.
    """

    __tablename__ = "comment"
    id: Mapped[int] = mapped_column(_MANY, primary_key=True)
    issue_id: Mapped[int] = mapped_column(ForeignKey("issue.id", ondelete="CASCADE"))
    position: Mapped[int]
    author: Mapped[str | None]
    created_at: Mapped[datetime | None]
    updated_at: Mapped[datetime | None]
    tracker_id: Mapped[int | None] = mapped_column(BigInteger)
    body: Mapped[str | None]
    __table_args__ = (UniqueConstraint("issue_id", "position"),)


class Sample(Base):
    """Why an issue is in a study: the rule and stratum it was drawn by, and the seed if the rule is random."""

    __tablename__ = "sample"
    id: Mapped[int] = mapped_column(primary_key=True)
    study: Mapped[str]
    issue_id: Mapped[int] = mapped_column(ForeignKey("issue.id", ondelete="CASCADE"), index=True)
    rule: Mapped[str]
    stratum: Mapped[str | None]
    seed: Mapped[int | None] = mapped_column(_MANY)
    __table_args__ = (UniqueConstraint("study", "issue_id", "rule"),)


class Label(Base):
    """What an annotator said in a round of one facet of an issue's `defect` (1, 2, ...), or of the issue as a whole (0).

    A defect is what somebody saw in a thread: two annotators may see different ones, and number them differently. So it
    has no table of its own. `value` is the category as its source wrote it, `suggested` the one that a machine had suggested,
    when the annotator saw that.
    """

    __tablename__ = "label"
    id: Mapped[int] = mapped_column(primary_key=True)
    issue_id: Mapped[int] = mapped_column(ForeignKey("issue.id", ondelete="CASCADE"))
    defect: Mapped[int]
    facet: Mapped[str]
    category: Mapped[str]
    value: Mapped[str]
    annotator: Mapped[str]
    round: Mapped[str]
    confidence: Mapped[str | None]
    note: Mapped[str | None]
    suggested: Mapped[str | None]
    source: Mapped[str]
    __table_args__ = (
        UniqueConstraint("issue_id", "defect", "facet", "annotator", "round"),
        Index("ix_label_annotator_round", "annotator", "round"),
    )


class Remark(Base):
    """What an annotator remarked of an issue in a round besides its labels; empty texts and `False` say that there was nothing.

    `discuss`: wants to talk about it; `slow`: it took more than ten minutes; `translated`: from which language.
    """

    __tablename__ = "remark"
    id: Mapped[int] = mapped_column(primary_key=True)
    issue_id: Mapped[int] = mapped_column(ForeignKey("issue.id", ondelete="CASCADE"))
    annotator: Mapped[str]
    round: Mapped[str]
    discuss: Mapped[bool]
    slow: Mapped[bool]
    translated: Mapped[str]
    note: Mapped[str]
    source: Mapped[str]
    __table_args__ = (UniqueConstraint("issue_id", "annotator", "round"),)


class Rating(Base):
    """A label on a rater's sheet that gives the issue's number but not its repository, so that it is no `Label`.

    `row` is the sheet's row, from 1 with the header; `category` is None where the value belongs to no category.
    """

    __tablename__ = "rating"
    id: Mapped[int] = mapped_column(primary_key=True)
    round: Mapped[str]
    annotator: Mapped[str]
    row: Mapped[int]
    number: Mapped[str]
    facet: Mapped[str]
    value: Mapped[str]
    category: Mapped[str | None]
    source: Mapped[str]
    __table_args__ = (UniqueConstraint("round", "annotator", "row", "facet"),)


class Turn(Base):
    """What one person says in an interview until another speaks; `turn` counts from 1 in its transcript.

    `role` is `interviewer` or what the one who answers is, empty where nobody speaks.
    """

    __tablename__ = "turn"
    id: Mapped[int] = mapped_column(primary_key=True)
    transcript: Mapped[str]
    turn: Mapped[int]
    speaker: Mapped[str]
    role: Mapped[str]
    text: Mapped[str]
    source: Mapped[str]
    __table_args__ = (UniqueConstraint("source", "transcript", "turn"),)


class Coding(Base):
    """A theme that a coder sees in a turn, and the phase it belongs to; by reference, since the transcripts may be missing."""

    __tablename__ = "coding"
    id: Mapped[int] = mapped_column(primary_key=True)
    transcript: Mapped[str]
    turn: Mapped[int]
    coder: Mapped[str]
    kind: Mapped[str]
    theme: Mapped[str]
    phase: Mapped[str | None]
    confidence: Mapped[str | None]
    source: Mapped[str]
    __table_args__ = (UniqueConstraint("source", "transcript", "turn", "coder", "theme"),)


class Model(Base):
    """A classifier for one facet; the file that holds it is found by its digest."""

    __tablename__ = "model"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    facet: Mapped[str]
    digest: Mapped[str] = mapped_column(StoredText(64))
    __table_args__ = (UniqueConstraint("name", "facet", "digest"),)


class Prediction(Base):
    """The probability that a model gives to a category of a facet for an issue; one that has none to four digits has no row.

    `guess` marks the category that it names, which need not be the likeliest; `abstained`, that it is not sure enough to.
    """

    __tablename__ = "prediction"
    id: Mapped[int] = mapped_column(_MANY, primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("model.id", ondelete="CASCADE"))
    issue_id: Mapped[int] = mapped_column(ForeignKey("issue.id", ondelete="CASCADE"), index=True)
    facet: Mapped[str]
    category: Mapped[str]
    probability: Mapped[float]
    guess: Mapped[bool] = mapped_column(default=False)
    abstained: Mapped[bool] = mapped_column(default=False)
    __table_args__ = (UniqueConstraint("model_id", "issue_id", "facet", "category"),)


class Crawl(Base):
    """Where the crawl of one repository's resource stands, so that it goes on there."""

    __tablename__ = "crawl"
    id: Mapped[int] = mapped_column(primary_key=True)
    repository_id: Mapped[int] = mapped_column(ForeignKey("repository.id", ondelete="CASCADE"))
    resource: Mapped[str]
    cursor: Mapped[str | None]
    etag: Mapped[str | None]
    counts: Mapped[dict[str, Any]]
    __table_args__ = (UniqueConstraint("repository_id", "resource"),)


class Run(Base):
    """A command that changed the store: when, for which study, by which version, from which inputs (path to SHA-256)."""

    __tablename__ = "run"
    id: Mapped[int] = mapped_column(primary_key=True)
    command: Mapped[str]
    study: Mapped[str]
    study_digest: Mapped[str] = mapped_column(StoredText(64))
    version: Mapped[str]
    inputs: Mapped[dict[str, Any]]
    finished_at: Mapped[datetime]
