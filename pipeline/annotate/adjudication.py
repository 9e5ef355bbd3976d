"""Adjudication: where annotators differ, the questions to decide; and what they agree on together with what was decided.

The decisions are a round of their own: what annotators said is never changed.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.annotate.annotation import Annotation, Answers
from pipeline.annotate.units import assign
from pipeline.errors import RedefectError
from pipeline.facts import IssueReference
from pipeline.selection import permanent_number
from pipeline.taxonomy import Taxonomy

EXISTS = "is there"
"""The question whether there is a defect that some annotators saw and others did not; asked like a facet."""

KEEP, DROP = "keep", "drop"

Place = tuple[int, str]
"""Number of the defect (0 for the issue as a whole), and facet."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be decided of an issue.

    Attributes
    ----------
    defect, facet
        Of which defect (0 for the issue as a whole), and what of it: a facet, or `EXISTS`.
    choices
        The categories that a decision may have.
    said
        What annotators said, without their names, in an order that chance gives.
    proposed
        The category, if all say the same and the question is only asked since somebody wants to discuss the issue.
    """

    issue: IssueReference
    defect: int
    facet: str
    choices: tuple[str, ...]
    said: tuple[str, ...]
    proposed: str = ""

    @property
    def place(self) -> Place:
        """By which a decision answers the question."""
        return self.defect, self.facet


@dataclass(frozen=True, slots=True)
class Case:
    """An issue that was labelled in a round: what is agreed, what is to be decided, and what was noted.

    Attributes
    ----------
    agreed
        The category by place, as far as all agree.
    defects
        How many there are, those included whose existence is to be decided.
    """

    issue: IssueReference
    agreed: Mapping[Place, str]
    defects: int
    questions: tuple[Question, ...]
    notes: tuple[str, ...] = ()
    discuss: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What an adjudicator decided of a question, and why. `where` tells file and row for a sentence about it."""

    issue: IssueReference
    defect: int
    facet: str
    category: str
    reason: str = field(default="", compare=False)
    where: str = field(default="", compare=False)


def cases(annotations: Iterable[Annotation], taxonomy: Taxonomy, seed: int) -> list[Case]:
    """Compare what annotators said of each issue in a round.

    Defects are matched by best assignment. Where one annotator says that there is none, what the others say of defects is a
    matter for the case that the decision goes for them. Issues of one annotator are agreed on, unless they are to be discussed.

    Parameters
    ----------
    annotations
        Of one round, each annotator once an issue.
    seed
        By which the annotators' answers are put in another order for each question.

    Returns
    -------
    Sorted by repository (case folded) and number.
    """
    by_issue: dict[tuple[str, int], list[Annotation]] = {}
    for annotation in annotations:
        by_issue.setdefault((annotation.issue.repository.casefold(), annotation.issue.number), []).append(annotation)
    return [_case(sorted(said, key=lambda a: a.annotator), taxonomy, seed) for _, said in sorted(by_issue.items())]


def _case(said: list[Annotation], taxonomy: Taxonomy, seed: int) -> Case:
    issue = said[0].issue
    discuss = any(a.discuss for a in said)
    agreed: dict[Place, str] = {}
    questions: list[Question] = []

    def ask(defect: int, facet: str, choices: Sequence[str], answers: Sequence[str]) -> None:
        same = len(set(answers)) == 1
        if same and not discuss:
            agreed[defect, facet] = answers[0]
            return
        shuffled = list(answers)
        random.Random(f"{permanent_number(issue, seed).hex()} {defect} {facet}").shuffle(shuffled)  # noqa: S311  # no secret
        questions.append(Question(issue, defect, facet, tuple(choices), tuple(shuffled), answers[0] if same else ""))

    with_defects = [a for a in said if a.defects]
    for facet in taxonomy.issue_facets:
        # That there is a defect can be decided only where somebody has described one.
        ends = any(c.final for c in facet.choices)
        choices = [c.id for c in facet.choices if with_defects or c.final or not ends]
        if answers := [a.answers[facet.id] for a in said if facet.id in a.answers]:
            ask(0, facet.id, choices, answers)
    items = assign({a.annotator: dict(enumerate(a.defects, start=1)) for a in with_defects})
    defects: dict[int, list[Answers]] = {}
    for a in with_defects:
        for number, answers_ in enumerate(a.defects, start=1):
            defects.setdefault(items[a.annotator, number], []).append(answers_)
    for number, of_defect in sorted(defects.items()):
        if len(of_defect) < len(with_defects):
            seen = [_in_words(answers_, taxonomy) for answers_ in of_defect]
            ask(number, EXISTS, [KEEP, DROP], [*seen, *["no such defect"] * (len(with_defects) - len(of_defect))])
        for facet in taxonomy.defect_facets:
            if answers := [answers_[facet.id] for answers_ in of_defect if facet.id in answers_]:
                ask(number, facet.id, [c.id for c in facet.choices], answers)
    notes = tuple(sorted({a.note for a in said if a.note}))
    return Case(issue, agreed, max(defects, default=0), tuple(questions), notes, discuss)


def _in_words(answers: Answers, taxonomy: Taxonomy) -> str:
    return "; ".join(f"{f.title}: {f.label(answers[f.id])}" for f in taxonomy.defect_facets if f.id in answers)


def decide(
    found: Iterable[Case], decisions: Iterable[Decision], taxonomy: Taxonomy, adjudicator: str, round_: str
) -> list[Annotation]:
    """Return the final annotations: what is agreed, and what was decided. Issues without any decision are still open.

    Raises
    ------
    RedefectError
        If a decision answers no question (any more) or is none of its choices, a question of an issue is left open while others
        are decided, or decisions contradict each other.
    """
    made: dict[IssueReference, dict[Place, Decision]] = {}
    for decision in decisions:
        made.setdefault(decision.issue, {})[decision.defect, decision.facet] = decision
    final: list[Annotation] = []
    for case in found:
        own = made.pop(case.issue, {})
        known = {question.place: question.choices for question in case.questions}
        if stale := next((d for place, d in own.items() if place not in known), None):
            raise _stale(stale)
        if strange := next((d for place, d in own.items() if d.category not in known[place]), None):
            raise RedefectError(
                f"{strange.where}: '{strange.category}' cannot be decided of '{strange.facet}' there, since no annotator's "
                f"labels go with it; decide {' or '.join(known[strange.defect, strange.facet])}."
            )
        if _is_begun(case, own):
            final.append(_decided(case, own, taxonomy, adjudicator, round_))
    for left in made.values():
        raise _stale(next(iter(left.values())))
    return final


def _is_begun(case: Case, own: Mapping[Place, Decision]) -> bool:
    """Tell whether somebody has looked at a case, since what is only proposed stands in the worklist from the start."""
    proposed = {question.place: question.proposed for question in case.questions if question.proposed}
    if len(proposed) == len(case.questions):
        return len(own) == len(proposed)
    return any(decision.category != proposed.get(place) for place, decision in own.items())


def _stale(decision: Decision) -> RedefectError:
    return RedefectError(
        f"{decision.where}: nothing is to be decided there; labels have changed since the worklist was written, write it anew."
    )


def _decided(case: Case, own: Mapping[Place, Decision], taxonomy: Taxonomy, adjudicator: str, round_: str) -> Annotation:
    first = next(iter(own.values()), None)
    where = first.where if first else f"{case.issue.repository}#{case.issue.number}"

    def answer(place: Place) -> str | None:
        if place in case.agreed:
            return case.agreed[place]
        if any(question.place == place for question in case.questions):
            if place not in own:
                what = f"defect {place[0]}, " if place[0] else ""
                raise RedefectError(
                    f"{where}: {case.issue.repository}#{case.issue.number} is half decided, {what}'{place[1]}' has no decision; "
                    "decide it, or nothing of this issue."
                )
            return own[place].category
        return None

    def answers(defect: int, facets: Iterable[str]) -> dict[str, str]:
        return {facet: category for facet in facets if (category := answer((defect, facet))) is not None}

    of_issue = answers(0, [facet.id for facet in taxonomy.issue_facets])
    ended = {(f.id, c.id) for f in taxonomy.issue_facets for c in f.choices if c.final}
    used = {place for place in own if place[0] == 0}
    defects: list[Answers] = []
    for number in range(1, case.defects + 1) if not ended & of_issue.items() else ():
        kept = answer((number, EXISTS)) != DROP
        used.add((number, EXISTS))
        if kept:
            defects.append(answers(number, [facet.id for facet in taxonomy.defect_facets]))
            used |= {place for place in own if place[0] == number}
    if vain := [decision for place, decision in own.items() if place not in used]:
        raise RedefectError(
            f"{vain[0].where}: decides '{vain[0].facet}' of a defect that another decision does away with; clear one of the two."
        )
    if case.defects and not defects and not ended & of_issue.items() and of_issue:
        raise RedefectError(
            f"{where}: {case.issue.repository}#{case.issue.number} is left without a defect, and is not said to have none; keep "
            "one of its defects, or say that it has none."
        )
    reasons = dict.fromkeys(decision.reason for _, decision in sorted(own.items()) if decision.reason)
    return Annotation(case.issue, adjudicator, round_, of_issue, tuple(defects), note="\n".join(reasons))
