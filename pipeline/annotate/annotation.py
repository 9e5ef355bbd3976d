"""What annotators are asked, and what they answer: the values that labelling tools are written from and read into."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from pipeline.errors import RedefectError
from pipeline.facts import IssueReference, Label, Remark
from pipeline.taxonomy import Facet, Taxonomy
from pipeline.thread import Thread

Answers = Mapping[str, str]
"""The category by facet, as ids."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """What an annotator says of one issue in one round.

    Attributes
    ----------
    answers
        For the facets that are answered once an issue.
    defects
        For the other facets, of each defect of the issue.
    discuss, slow, translated, note
        See `Remark`.
    suggested
        What a machine had suggested, when the annotator saw it, of the issue and of its first defect.
    """

    issue: IssueReference
    annotator: str
    round: str
    answers: Answers
    defects: tuple[Answers, ...]
    discuss: bool = False
    slow: bool = False
    translated: str = ""
    note: str = ""
    suggested: Answers = field(default_factory=dict)

    def labels(self) -> Iterator[Label]:
        """Yield a label for each answer: those of the issue with defect 0, those of its defects with 1, 2, ..."""
        for number, answers in enumerate((self.answers, *self.defects)):
            for facet, category in answers.items():
                yield Label(
                    issue=self.issue,
                    defect=number,
                    facet=facet,
                    category=category,
                    value=category,
                    annotator=self.annotator,
                    round=self.round,
                    suggested=self.suggested.get(facet) if number < 2 else None,
                )

    @property
    def remark(self) -> Remark:
        """What is said besides the labels."""
        return Remark(self.issue, self.annotator, self.round, self.discuss, self.slow, self.translated, self.note)


def answered(annotations: Iterable[Annotation]) -> set[str]:
    """Return the facets that any of these annotations answers: another study may have asked less than its taxonomy has."""
    return {facet for a in annotations for answers in (a.answers, *a.defects) for facet in answers}


@dataclass(frozen=True, slots=True)
class Task:
    """An issue that an annotator is asked to label.

    Attributes
    ----------
    thread
        Its text, logins replaced by pseudonyms; None if the store does not hold it.
    annotation
        What the same annotator said of it before, to go on with.
    suggested
        The category, and how likely it is, that a machine suggests by facet; empty unless suggestions are wanted.
    """

    issue: IssueReference
    thread: Thread | None = None
    annotation: Annotation | None = None
    suggested: Mapping[str, tuple[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Worksheet:
    """The tasks of one annotator in one batch, in the order in which they come. `taxonomy` has the facets that are asked."""

    study: str
    batch: str
    round: str
    annotator: str
    taxonomy: Taxonomy
    tasks: tuple[Task, ...]


def check(annotation: Annotation, taxonomy: Taxonomy, where: str) -> None:
    """Refuse an annotation that is half done, contradicts itself, or has a category that may not be chosen.

    Raises
    ------
    RedefectError
        With one sentence that begins with `where`.
    """
    what = f"{where}: {annotation.issue.repository}#{annotation.issue.number}"
    _check_answers(annotation.answers, taxonomy.issue_facets, what)
    final = next(
        (
            facet.label(c.id)
            for facet in taxonomy.issue_facets
            for c in facet.choices
            if c.final and annotation.answers[facet.id] == c.id
        ),
        None,
    )
    if final is not None and annotation.defects:
        raise RedefectError(f"{what}: says '{final}' and labels a defect; change the one or remove the other.")
    if final is None and not annotation.defects:
        raise RedefectError(f"{what}: labels no defect; label at least one.")
    for number, answers in enumerate(annotation.defects, start=1):
        _check_answers(answers, taxonomy.defect_facets, f"{what}: defect {number}")


def _check_answers(answers: Answers, facets: list[Facet], what: str) -> None:
    if strange := sorted(answers.keys() - {facet.id for facet in facets}):
        raise RedefectError(f"{what}: answers '{strange[0]}', which is not asked; asked are {', '.join(f.id for f in facets)}.")
    for facet in facets:
        if facet.id not in answers:
            raise RedefectError(f"{what}: is half done, '{facet.title}' has no answer; choose one, or none for the whole row.")
        if answers[facet.id] not in (known := [category.id for category in facet.choices]):
            raise RedefectError(
                f"{what}: '{answers[facet.id]}' is no category of facet '{facet.id}' that may be chosen; nearest are "
                f"{', '.join(near for near in facet.nearest(answers[facet.id], 6) if near in known)}."
            )
