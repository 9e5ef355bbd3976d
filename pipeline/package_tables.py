"""The tables of a data package: what each column holds, as one description that the writer, the reader and all metadata share.

`tables()` is the order in which they are written and read back: a table refers only to those before it.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

import pyarrow as pa

FieldType = Literal["string", "integer", "number", "boolean", "time", "strings"]

_ARROW: dict[FieldType, pa.DataType] = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "time": pa.timestamp("s", tz="UTC"),
    "strings": pa.list_(pa.string()),
}


@dataclass(frozen=True, slots=True)
class Field:
    """A column.

    Attributes
    ----------
    optional
        Whether it may be empty: not known.
    person
        Whether it names somebody who writes on the tracker: a pseudonym in every package.
    text
        Whether somebody else wrote it freely: redacted in every package.
    """

    name: str
    type: FieldType
    description: str
    optional: bool = False
    person: bool = False
    text: bool = False

    @property
    def arrow(self) -> "pa.Field[Any]":
        """The column as Arrow has it."""
        return pa.field(self.name, _ARROW[self.type], nullable=self.optional)


@dataclass(frozen=True, slots=True)
class PackageTable:
    """A table of a package.

    Attributes
    ----------
    fields
        The first ones, as many as `key` names, tell a row from all others; rows are sorted by them.
    refers
        The table whose key the first fields of this one are, if they are one.
    texts
        Whether it holds what others wrote: only in a package for which that was asked.
    """

    name: str
    description: str
    fields: tuple[Field, ...]
    key: tuple[str, ...]
    refers: str | None = None
    texts: bool = False

    @property
    def schema(self) -> pa.Schema:
        """The columns as Arrow has them."""
        return pa.schema([field.arrow for field in self.fields])


_REPOSITORY = Field("repository", "string", "The repository on GitHub, owner/name.")
_NUMBER = Field("number", "integer", "The issue's number in its repository.")
_DEFECT = Field(
    "defect", "integer", "Which of the defects that this annotator saw in the issue: 1, 2, ...; 0 for the issue as a whole."
)
_FACET = Field("facet", "string", "The taxonomy's facet, by its id.")
_CATEGORY = Field("category", "string", "The taxonomy's category, by its id.")
_ANNOTATOR = Field("annotator", "string", "Who labelled, by the name that the study gives them.")
_ROUND = Field("round", "string", "The round of labelling.")
_SOURCE = Field("source", "string", "Where this comes from, as the study names it.")
_POSITION = Field("position", "integer", "The comment's place in its thread: 1 for the oldest.")
_AUTHOR = Field("author", "string", "Who wrote it, as a pseudonym.", optional=True, person=True)
_WRITTEN = Field("created_at", "time", "When it was written.", optional=True)
_CHANGED = Field("updated_at", "time", "When it was last changed on the tracker.", optional=True)
_ISSUE = ("repository", "number")

_TABLES = (
    PackageTable(
        "repositories",
        "The repositories whose issues the study reads.",
        (
            _REPOSITORY,
            Field("kind", "string", "`zoo` holds many models, `solo` one.", optional=True),
            Field("prototype", "boolean", "Whether it is a research prototype.", optional=True),
            Field("framework", "string", "The deep-learning framework that it uses.", optional=True),
            Field("architecture", "string", "The model architecture that it is about.", optional=True),
            Field("created_at", "time", "When it was made.", optional=True),
            Field("stars", "integer", "How many people starred it.", optional=True),
            Field("closed_issues", "integer", "How many closed issues it has.", optional=True),
            _SOURCE,
        ),
        ("repository",),
    ),
    PackageTable(
        "issues",
        "The issues, by reference: what is said in them is on the tracker.",
        (
            _REPOSITORY,
            _NUMBER,
            _AUTHOR,
            Field("state", "string", "`open` or `closed`.", optional=True),
            _WRITTEN,
            _CHANGED,
            Field("closed_at", "time", "When it was closed.", optional=True),
            Field("comment_count", "integer", "How many comments the tracker counts.", optional=True),
            Field("comments_complete", "boolean", "Whether all of them are among the comments."),
            Field("pull_request", "boolean", "Whether it is a pull request."),
            Field(
                "fix", "string", "What closed it: a pull request, owner/name#12, or a commit, owner/name@3f2a91.", optional=True
            ),
            _SOURCE,
        ),
        _ISSUE,
        "repositories",
    ),
    PackageTable(
        "comments",
        "The comments on the issues, by reference.",
        (
            _REPOSITORY,
            _NUMBER,
            _POSITION,
            _AUTHOR,
            _WRITTEN,
            _CHANGED,
            Field("tracker_id", "integer", "The tracker's own number of the comment.", optional=True),
        ),
        (*_ISSUE, "position"),
        "issues",
    ),
    PackageTable(
        "samples",
        "Why issues are in the study.",
        (
            _REPOSITORY,
            _NUMBER,
            Field("study", "string", "The study's name."),
            Field("rule", "string", "The rule by which the issue is in it."),
            Field("stratum", "string", "The stratum that it was drawn from.", optional=True),
            Field("seed", "integer", "The seed, where the rule is random.", optional=True),
        ),
        (*_ISSUE, "study", "rule"),
        "issues",
    ),
    PackageTable(
        "labels",
        "What annotators say of issues and of the defects in them: a row a facet.",
        (
            _REPOSITORY,
            _NUMBER,
            _DEFECT,
            _FACET,
            _ANNOTATOR,
            _ROUND,
            _CATEGORY,
            Field("value", "string", "The category as its source wrote it."),
            Field("confidence", "string", "How sure the annotator was.", optional=True),
            Field("suggested", "string", "The category that a machine had suggested, where the annotator saw it.", optional=True),
            _SOURCE,
        ),
        (*_ISSUE, "defect", "facet", "annotator", "round"),
        "issues",
    ),
    PackageTable(
        "remarks",
        "What annotators marked on issues besides labels.",
        (
            _REPOSITORY,
            _NUMBER,
            _ANNOTATOR,
            _ROUND,
            Field("discuss", "boolean", "Whether the annotator wanted to talk about it."),
            Field("slow", "boolean", "Whether it took more than ten minutes."),
            Field("translated", "string", "From which language it was translated; empty if it was not."),
            _SOURCE,
        ),
        (*_ISSUE, "annotator", "round"),
        "issues",
    ),
    PackageTable(
        "ratings",
        "What raters wrote on sheets that name an issue by its number only.",
        (
            _ROUND,
            _ANNOTATOR,
            Field("row", "integer", "The sheet's row, from 1 with the header."),
            _FACET,
            Field("number", "string", "The issue's number, as it was written."),
            Field("value", "string", "What was written."),
            replace(_CATEGORY, optional=True),
            _SOURCE,
        ),
        ("round", "annotator", "row", "facet"),
    ),
    PackageTable(
        "codings",
        "Themes that coders see in the turns of interviews, by reference: what was said is in no package.",
        (
            _SOURCE,
            Field("transcript", "string", "The interview."),
            Field("turn", "integer", "The turn in it, from 1."),
            Field("coder", "string", "Who coded, by the name that the study gives them."),
            Field("theme", "string", "The theme, by its id."),
            Field("kind", "string", "What kind of theme it is."),
            Field("phase", "string", "The phase that it belongs to.", optional=True),
            Field("confidence", "string", "How sure the coder was.", optional=True),
        ),
        ("source", "transcript", "turn", "coder", "theme"),
    ),
    PackageTable(
        "models",
        "The classifiers behind the predictions.",
        (
            Field("model", "string", "The classifier's name."),
            _FACET,
            Field("digest", "string", "SHA-256 of the file that holds it."),
        ),
        ("model", "facet", "digest"),
    ),
    PackageTable(
        "predictions",
        "What a classifier says of issues: the probability of each category; one that has none to four digits has no row.",
        (
            _REPOSITORY,
            _NUMBER,
            Field("model", "string", "The classifier's name."),
            Field("digest", "string", "SHA-256 of the file that holds it."),
            _FACET,
            _CATEGORY,
            Field("probability", "number", "From 0 to 1."),
            Field("guess", "boolean", "Whether it is the category that the classifier names."),
            Field("abstained", "boolean", "Whether the classifier is not sure enough to name it."),
        ),
        (*_ISSUE, "model", "digest", "facet", "category"),
        "issues",
    ),
    PackageTable(
        "runs",
        "The commands that made the data, in their order, with what they read.",
        (
            Field("run", "integer", "The command's place: 1 for the first."),
            Field("command", "string", "The command."),
            Field("study", "string", "The study that it was run for; empty if for none."),
            Field("study_digest", "string", "SHA-256 of the study's file then; empty if there was none."),
            Field("version", "string", "The version of ReDefect."),
            Field("inputs", "strings", "What it read: SHA-256, two spaces, and the file's name each."),
        ),
        ("run",),
    ),
    PackageTable(
        "issue_texts",
        "What people wrote when they opened issues, as far as it is known; an issue of which nothing is has no row.",
        (
            _REPOSITORY,
            _NUMBER,
            Field("title", "string", "The title.", optional=True, text=True),
            Field("body", "string", "The text.", optional=True, text=True),
            Field("tracker_labels", "strings", "The labels that it has on the tracker.", optional=True, text=True),
        ),
        _ISSUE,
        "issues",
        texts=True,
    ),
    PackageTable(
        "comment_texts",
        "What people answered.",
        (_REPOSITORY, _NUMBER, _POSITION, Field("body", "string", "The text.", text=True)),
        (*_ISSUE, "position"),
        "comments",
        texts=True,
    ),
    PackageTable(
        "label_notes",
        "What annotators noted on labels; a label without a note has no row.",
        (_REPOSITORY, _NUMBER, _DEFECT, _FACET, _ANNOTATOR, _ROUND, Field("note", "string", "The note.", text=True)),
        (*_ISSUE, "defect", "facet", "annotator", "round"),
        "labels",
        texts=True,
    ),
    PackageTable(
        "remark_notes",
        "What annotators remarked on issues; a remark without a note has no row.",
        (_REPOSITORY, _NUMBER, _ANNOTATOR, _ROUND, Field("note", "string", "The note.", text=True)),
        (*_ISSUE, "annotator", "round"),
        "remarks",
        texts=True,
    ),
)


def tables(*, with_text: bool) -> tuple[PackageTable, ...]:
    """Return the tables of a package, in the order in which they are written.

    Parameters
    ----------
    with_text
        Those that hold what others wrote, too.
    """
    return tuple(table for table in _TABLES if with_text or not table.texts)
