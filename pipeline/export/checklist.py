"""The checklist as Markdown and as a page to print. Both say the same, and of what others wrote, nothing becomes mark-up."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from pipeline import addresses, markdown
from pipeline.analyze.checklist import LEAST_DEFECTS, LEAST_SHARE, Checklist, Count, Counted, Example, Phase
from pipeline.classify.explanation import visible
from pipeline.export.threads import Pseudonyms
from pipeline.study import Selection, Study
from pipeline.taxonomy import Taxonomy

_LONGEST_TITLE = 100
_COMMIT = re.compile(r"(?<=@)([0-9a-f]{7})[0-9a-f]*$")
_FEW = 30
"""Defects of a phase, below which shares among them say little."""


def checklist_files(checklist: Checklist, study: Study, taxonomy: Taxonomy, pseudonyms: Pseudonyms) -> dict[str, bytes]:
    """Write a checklist as `checklist.md`, a task list, and `checklist.html`, a page that loads and runs nothing.

    Parameters
    ----------
    checklist, study, taxonomy
        What it says, of which study, in which words.
    pseudonyms
        Of the people whom titles of issues may mention.
    """
    values = {
        "checklist": checklist, "study": study, "taxonomy": taxonomy, "words": _Words(checklist, study, taxonomy, pseudonyms),
    }  # fmt: skip
    return {
        "checklist.html": _HTML.get_template("checklist.html").render(values).encode(),
        "checklist.md": _MARKDOWN.get_template("checklist.md").render(values).encode(),
    }


@dataclass(frozen=True, slots=True)
class _Reference:
    """Something on GitHub: its name, and its address if it can have one."""

    name: str
    address: str | None

    def __html__(self) -> str:
        return str(Markup('<a href="{}">{}</a>').format(self.address, self.name) if self.address else escape(self.name))

    def to_markdown(self) -> str:
        return markdown.link(self.name, self.address) if self.address else markdown.literal(self.name)


@dataclass(frozen=True, slots=True)
class _Words:
    """The sentences that both forms share."""

    checklist: Checklist
    study: Study
    taxonomy: Taxonomy
    pseudonyms: Pseudonyms

    @property
    def title(self) -> str:
        return "Checklist for re-engineering a deep-learning model"

    @property
    def fiction(self) -> str:
        if not self.study.fictional:
            return ""
        return (
            "The repositories, issues and labels of this study are invented, and its links lead nowhere: this shows what a "
            "checklist looks like, and tells nothing about any model."
        )

    @property
    def opening(self) -> str:
        return (
            "Before you re-use, adapt, extend or replicate a model: what went wrong when others did, phase by phase, and what to "
            f"check before it happens to you. By {self.checklist.n} defects in {self.checklist.issues} issues of "
            f"{self.repositories(self.checklist.repositories)}, from the study {self.study.title}. Brackets hold 95 % intervals."
        )

    @property
    def grounds(self) -> Iterator[str]:
        verdict = self.study.verdict
        yield (
            f"The study {self.study.title} ({self.study.name}): {self.study.description} Labels are those of annotator "
            f"{verdict.annotator}, round {verdict.round}."
        )
        yield (
            f"Issues were drawn that are {_drawn(self.study.selection)}. Only defects that somebody reported are counted, and "
            "mostly those that were fixed: shares say what was reported in these repositories, not how likely a defect is in "
            "yours."
        )
        yield (
            f"A cause is to be checked for when it was found in {LEAST_DEFECTS} defects of a phase or more, and in "
            f"{100 * LEAST_SHARE:.0f} % of them. Shares are of all defects of the phase, where nothing else is said."
        )
        yield "Intervals are Wilson's, which take defects for independent draws; those of one repository are not quite."
        yield (
            "What to check is this project's reading of the cause's definition. Links to issues: first those whose fix is known, "
            "then those with the most comments, of different repositories."
        )
        examples = [example for phase in self.checklist.phases for item in phase.items for example in item.examples]
        if examples and not any(example.fix for example in examples):
            yield (
                "What fixed these issues is in the issues only: the store does not know it, until "
                f"redefect collect --study {self.study.name} --labelled has fetched them."
            )
        if self.checklist.without_phase:
            yield f"Left out are {self.checklist.without_phase} defects that were put into no phase."

    @property
    def source(self) -> _Reference:
        url = self.taxonomy.source.url
        return _Reference(url, addresses.page_address(url))

    def repositories(self, n: int) -> str:
        return f"{n} repositor{'y' if n == 1 else 'ies'}"

    def few(self, phase: Phase) -> str:
        return "; so few that shares among them say little" if 0 < phase.count.n < _FEW else ""

    def after(self, phase: Phase) -> Iterator[str]:
        if phase.count.n and not phase.items:
            yield "No cause was found often enough to be checked for."
        if phase.rarer:
            yield f"Causes found more rarely: {self.listed(phase.rarer)}."
        if phase.merged:
            yield f"Causes that the published table tells no more about: {self.listed(phase.merged)}."
        if phase.unanswered:
            yield f"Defects without a cause: {phase.unanswered}."

    def listed(self, counted: Iterable[Counted]) -> str:
        return ", ".join(f"{of.category.label} ({of.count.n})" for of in counted)

    def example(self, example: Example) -> tuple[_Reference, str, _Reference | None]:
        """Return an issue, its title (empty when not known), and what fixed it."""
        issue = _Reference(
            visible(f"{example.repository}#{example.number}"), addresses.issue_address(example.repository, example.number)
        )
        title = " ".join(visible(self.pseudonyms.text(example.title or "")).split())
        if len(title) > _LONGEST_TITLE:
            title = title[: _LONGEST_TITLE - 1].rstrip() + "…"
        return issue, title, _fix(example) if example.fix else None


def _fix(example: Example) -> _Reference:
    """Name a commit or pull request as GitHub does: short, and without the repository if it is the issue's own."""
    fix = example.fix or ""
    name = _COMMIT.sub(r"\1", visible(fix.removeprefix(example.repository)))
    return _Reference(f"commit {name[1:]}" if name.startswith("@") else name, addresses.fix_address(fix))


def _drawn(selection: Selection) -> str:
    criteria = [
        *([selection.state] if selection.state != "all" else []),
        *(["with a known fix"] if selection.with_fix else []),
        *([f"with {selection.minimum_comments} comments or more"] if selection.minimum_comments else []),
    ]
    return ", ".join(criteria) or "open or closed"


def _in_markdown(value: object) -> str:
    if isinstance(value, _Reference):
        return value.to_markdown()
    return str(value) if isinstance(value, Count) else markdown.literal(str(value))


_TEMPLATES = PackageLoader("pipeline.export")
_HTML = Environment(
    loader=_TEMPLATES,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    autoescape=True,
)
# Markdown has no autoescape: `finalize` takes its place, and sees each value that the template shows.
_MARKDOWN = _HTML.overlay(autoescape=False, finalize=_in_markdown)
