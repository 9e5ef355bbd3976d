"""Batches: which annotator labels which issues in which round, drawn once and kept as a file."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, TypeVar

from pydantic import Field

from pipeline.documents import Document, Location
from pipeline.errors import RedefectError
from pipeline.facts import IssueReference
from pipeline.selection import permanent_number

_T = TypeVar("_T")

FILE = "batch.toml"
"""A batch is a folder named like it: this file says what it is, and a table for each annotator what was labelled."""

Strata = Literal["repository", "kind", "none"]
"""What has its share of a batch: each repository, each kind of repositories, or nothing."""

MOST_CHARACTERS = 31  # of a name: a sheet of a workbook is called like its annotator
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=MOST_CHARACTERS)]
"""Of an annotator, a round or a batch: it becomes part of files' names."""


class DrawnIssue(Document):
    """An issue of a batch, and who labels it: one annotator, or all of them where agreement is to be measured."""

    repository: str = Field(pattern=r"^[^/\s]+/[^/\s]+$")
    number: int = Field(ge=1)
    stratum: str
    annotators: list[Name] = Field(min_length=1)

    @property
    def reference(self) -> IssueReference:
        """The issue."""
        return IssueReference(self.repository, self.number)


class Batch(Document):
    """The issues that some annotators label in a round, in the order in which they come.

    `suggestions`: whether annotators see what a machine suggests. `repeats` names an earlier batch whose issues and annotators
    this one has again, in another round.
    """

    study: str
    round: Name
    annotators: list[Name] = Field(min_length=1)
    seed: int
    suggestions: bool = False
    repeats: Name | None = None
    issues: list[DrawnIssue] = Field(min_length=1)

    def contradictions(self) -> Iterator[tuple[Location, str]]:
        """Yield issues that stand twice, and annotators that are none of the batch's."""
        seen: set[tuple[str, int]] = set()
        for place, issue in enumerate(self.issues):
            key = (issue.repository.casefold(), issue.number)
            if key in seen:
                yield ("issues", place, "number"), f"{issue.repository}#{issue.number} stands twice; remove one of the two."
            seen.add(key)
            if strange := sorted(set(issue.annotators) - set(self.annotators)):
                yield (
                    ("issues", place, "annotators"),
                    f"'{strange[0]}' is none of this batch's annotators; add or remove the name.",
                )

    def tasks_of(self, annotator: str) -> list[IssueReference]:
        """Return the issues that an annotator labels, in their order."""
        return [issue.reference for issue in self.issues if annotator in issue.annotators]

    def to_toml(self) -> bytes:
        """Write the batch as the file that it is read from."""
        head = {key: value for key, value in self.model_dump(exclude={"issues"}).items() if value is not None}
        lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in head.items()]
        for issue in self.issues:
            lines += ["", "[[issues]]", *(f"{k} = {json.dumps(v, ensure_ascii=False)}" for k, v in issue.model_dump().items())]
        return ("\n".join(lines) + "\n").encode()


def draw(
    candidates: Sequence[tuple[IssueReference, str]], annotators: Sequence[str], size: int, overlap: int, seed: int
) -> list[DrawnIssue]:
    """Draw issues for a batch, and share them out.

    Strata are represented by their shares of the candidates, to a whole issue (largest remainders), both among all issues and
    among those that all annotators label; the others are dealt out in turn, so that each annotator gets of each stratum what
    the others get.

    Parameters
    ----------
    candidates
        Issues and their strata; within a stratum, those that stand first are taken first.
    size
        How many issues.
    overlap
        How many of them all annotators label.

    Returns
    -------
    The issues in an order that tells nothing of who labels them.

    Raises
    ------
    RedefectError
        If there are too few candidates, or the numbers contradict each other.
    """
    if overlap > size:
        raise RedefectError(f"{overlap} issues for all annotators are more than the batch's {size}; give a smaller overlap.")
    if len(candidates) < size:
        raise RedefectError(
            f"{size} issues are wanted and {len(candidates)} are there that are neither labelled nor in another batch; "
            "give a smaller size, or --relabel."
        )
    chosen = _proportionally(candidates, size)
    by_chance = sorted(chosen, key=lambda item: permanent_number(item[0], seed))
    shared = {issue for issue, _ in _proportionally(by_chance, overlap)}
    alone = sorted((item for item in by_chance if item[0] not in shared), key=lambda item: item[1].casefold())
    turn = {issue: [annotators[place % len(annotators)]] for place, (issue, _) in enumerate(alone)}
    return [
        DrawnIssue(
            repository=issue.repository, number=issue.number, stratum=stratum, annotators=turn.get(issue, list(annotators))
        )
        for issue, stratum in sorted(chosen, key=lambda item: permanent_number(item[0], seed + 1))
    ]


def _proportionally(candidates: Sequence[tuple[_T, str]], size: int) -> list[tuple[_T, str]]:
    """Take the first candidates of each stratum, as many as its share of all asks for (largest remainders)."""
    counts = Counter(stratum for _, stratum in candidates)
    exact = {stratum: size * count / len(candidates) for stratum, count in counts.items()} if candidates else {}
    quota = {stratum: int(wanted) for stratum, wanted in exact.items()}
    by_remainder = sorted(exact, key=lambda stratum: (quota[stratum] - exact[stratum], stratum.casefold(), stratum))
    for stratum in by_remainder[: size - sum(quota.values())]:
        quota[stratum] += 1
    taken = []
    for candidate in candidates:
        if quota[candidate[1]]:
            quota[candidate[1]] -= 1
            taken.append(candidate)
    return taken


def check_name(name: str, what: str) -> None:
    """Refuse a name that cannot be part of a file's name and a sheet's.

    Raises
    ------
    RedefectError
        With one sentence that names `what` it is of.
    """
    characters = name.replace(".", "").replace("_", "").replace("-", "")
    if not (characters.isascii() and characters.isalnum() and name[0].isalnum() and len(name) <= MOST_CHARACTERS):
        raise RedefectError(
            f"'{name}' is no name for {what}; use at most {MOST_CHARACTERS} letters, digits, dots, hyphens and underscores, a "
            "letter or digit first."
        )
