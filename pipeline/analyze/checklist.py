"""The analysis of a checklist: what went wrong how often in each phase of re-engineering, and what to check for it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from pydantic import Field

from pipeline.documents import Document, read_yaml
from pipeline.errors import RedefectError
from pipeline.intervals import wilson
from pipeline.taxonomy import Category, Facet, Taxonomy

LEAST_DEFECTS = 3
LEAST_SHARE = 0.02
"""In how many defects of a phase, and in which share of them, a cause must be found to be checked for."""

_MOST_EXAMPLES = 3
_MOST_MISTAKES = 2
_FIRST = 5


class Check(Document):
    """What to check for a cause, as one imperative sentence, and what that rests on."""

    check: str = Field(min_length=10, pattern=r"^[A-Z].*\.$")
    why: str = Field(min_length=10)


class Checks(Document):
    """What a team can check before it starts, by the category of a taxonomy's facet of causes.

    `phase`, `symptom`, `cause` and `mistake` name the facets that say where a defect lies, what was seen of it, why it happened,
    and what kind of mistake in the code it is; a taxonomy need not have those of symptom and mistake.
    """

    taxonomy: str
    about: str = ""
    phase: str = "stage"
    symptom: str = "symptom"
    cause: str = "root-cause"
    mistake: str = "defect-type"
    checks: dict[str, Check] = {}


@dataclass(frozen=True, slots=True)
class Count:
    """How many defects of how many."""

    n: int
    of: int

    def __str__(self) -> str:
        if not self.of:
            return "0 of 0"
        low, high = wilson(self.n, self.of)
        return f"{self.n} of {self.of}, {100 * self.n / self.of:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


@dataclass(frozen=True, slots=True)
class Counted:
    """A category, and how often it was found."""

    category: Category
    count: Count


@dataclass(frozen=True, slots=True)
class Example:
    """An issue in which a cause was found: its title, and the commit or pull request that closed it, where these are known."""

    repository: str
    number: int
    title: str | None
    fix: str | None


@dataclass(frozen=True, slots=True)
class Item:
    """Something to check: a cause that was found often in a phase.

    Attributes
    ----------
    phase, cause
        Their categories.
    check
        What to check, or None where no sentence is written for the cause: its definition must do.
    count
        Among the phase's defects.
    repositories
        In how many repositories the cause was found in this phase.
    symptoms, rarer_symptoms
        What was seen of it, among the phase's defects: at least `LEAST_DEFECTS` times, or always when nothing was; and the rest.
    mistakes
        The commonest kinds of mistake behind it, among the cause's own defects.
    examples
        Issues with a known fix first, then those with the most comments, of different repositories where there are.
    """

    phase: Category
    cause: Category
    check: str | None
    count: Count
    repositories: int
    symptoms: tuple[Counted, ...]
    rarer_symptoms: tuple[Counted, ...]
    mistakes: tuple[Counted, ...]
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class Phase:
    """A phase of re-engineering: its share of all defects that have a phase, and what to check in it, the commonest first.

    `rarer` are causes that were found too seldom to be checked for, `merged` those of a published table that say nothing to
    check, `unanswered` counts the phase's defects without a cause.
    """

    category: Category
    count: Count
    items: tuple[Item, ...]
    rarer: tuple[Counted, ...]
    merged: tuple[Counted, ...]
    unanswered: int


@dataclass(frozen=True, slots=True)
class Checklist:
    """What to check before re-engineering a model, by the defects of a study.

    `phases` are in the taxonomy's order; `n` counts all defects, those in no phase (`without_phase`) included.
    """

    phases: tuple[Phase, ...]
    n: int
    issues: int
    repositories: int
    without_phase: int

    @property
    def first(self) -> list[Item]:
        """The items that were found most often in all phases together."""
        items = [item for phase in self.phases for item in phase.items]
        return sorted(items, key=lambda item: -item.count.n)[:_FIRST]


def read_checks(path: Path, taxonomy: Taxonomy) -> Checks:
    """Read what to check for the causes of a taxonomy; without such a file, definitions must do.

    Raises
    ------
    RedefectError
        If the file is wrong, belongs to another taxonomy, names a category that the taxonomy has not; or if the taxonomy, with or
        without a file, has no facet of phases or of causes.
    """
    checks = read_yaml(path, Checks) if path.exists() else Checks(taxonomy=taxonomy.id)
    if checks.taxonomy != taxonomy.id:
        raise RedefectError(f"{path}: is for taxonomy '{checks.taxonomy}', and this is '{taxonomy.id}'; give each its own file.")
    known = [facet.id for facet in taxonomy.defect_facets]
    for what, facet_id in (("the phases of re-engineering", checks.phase), ("root causes", checks.cause)):
        if facet_id not in known:
            raise RedefectError(
                f"Taxonomy '{taxonomy.id}' has no facet '{facet_id}' for {what}, by which a checklist is made; it has "
                f"{', '.join(known)}. If one of them is it, name it in {path}."
            )
    causes = taxonomy.facet(checks.cause)
    allowed = [category.id for category in causes.choices]
    for cause in checks.checks:
        if cause not in allowed:
            raise RedefectError(
                f"{path}: checks.{cause}: facet '{causes.id}' of taxonomy '{taxonomy.id}' has no such category to choose; "
                f"nearest are {', '.join(i for i in causes.nearest(cause) if i in allowed)}."
            )
    return checks


def make_checklist(defects: pd.DataFrame, taxonomy: Taxonomy, checks: Checks) -> Checklist:
    """Count what went wrong in each phase, and choose what to check.

    Parameters
    ----------
    defects
        See `pipeline.store.read.defects`.
    """
    facet = taxonomy.facet(checks.phase)
    known = defects[defects[facet.id].notna()]
    phases = []
    for category in facet.values:
        of_phase = known[known[facet.id] == category.id]
        if len(of_phase) or not category.published_only:
            phases.append(_phase(category, of_phase, len(known), taxonomy, checks))
    issues = defects[["repository", "number"]].drop_duplicates()
    return Checklist(tuple(phases), len(defects), len(issues), issues["repository"].nunique(), len(defects) - len(known))


def _phase(phase: Category, defects: pd.DataFrame, n: int, taxonomy: Taxonomy, checks: Checks) -> Phase:
    items, rarer, merged = [], [], []
    least = max(LEAST_DEFECTS, LEAST_SHARE * len(defects))
    causes = list(_counted(defects, taxonomy.facet(checks.cause), len(defects)))
    for counted in causes:
        if counted.category.published_only:
            merged.append(counted)
        elif counted.count.n < least:
            rarer.append(counted)
        else:
            items.append(_item(phase, counted, defects, taxonomy, checks))
    unanswered = len(defects) - sum(counted.count.n for counted in causes)
    return Phase(phase, Count(len(defects), n), tuple(items), tuple(rarer), tuple(merged), unanswered)


def _item(phase: Category, counted: Counted, defects: pd.DataFrame, taxonomy: Taxonomy, checks: Checks) -> Item:
    cause = counted.category
    found = defects[defects[checks.cause] == cause.id]
    facets = {facet.id: facet for facet in taxonomy.defect_facets}
    seen = list(_counted(found, facets[checks.symptom], len(defects))) if checks.symptom in facets else []
    shown = [symptom for symptom in seen if symptom.count.n >= LEAST_DEFECTS] or seen
    mistakes = list(_counted(found, facets[checks.mistake], len(found))) if checks.mistake in facets else []
    check = checks.checks.get(cause.id)
    return Item(
        phase,
        cause,
        None if check is None else check.check,
        counted.count,
        found["repository"].nunique(),
        tuple(shown),
        tuple(symptom for symptom in seen if symptom not in shown),
        tuple([m for m in mistakes if m.count.n >= LEAST_DEFECTS and not m.category.published_only][:_MOST_MISTAKES]),
        tuple(_examples(found)),
    )


def _counted(defects: pd.DataFrame, facet: Facet, of: int) -> Iterator[Counted]:
    """Yield the categories that occur, the commonest first, equally common ones in the taxonomy's order."""
    counts = defects[facet.id].value_counts()
    found = [(int(counts.get(category.id, 0)), category) for category in facet.values]
    for n, category in sorted(found, key=lambda pair: -pair[0]):
        if n:
            yield Counted(category, Count(n, of))


def _examples(defects: pd.DataFrame) -> Iterator[Example]:
    issues = defects.drop_duplicates(["repository", "number"]).assign(
        unfixed=defects["fix"].isna(),
        quiet=-defects["comment_count"].fillna(-1),
        folded=defects["repository"].str.casefold(),
    )
    issues = issues.sort_values(["unfixed", "quiet", "folded", "number"])
    issues["again"] = issues.groupby(["unfixed", "folded"]).cumcount()
    chosen = issues.sort_values(["unfixed", "again"], kind="stable").head(_MOST_EXAMPLES)
    for repository, number, title, fix in zip(*(chosen[c] for c in ("repository", "number", "title", "fix")), strict=True):
        yield Example(repository, int(number), _known(title), _known(fix))


def _known(value: object) -> str | None:
    return value if isinstance(value, str) else None
