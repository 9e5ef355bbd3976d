"""Themes as data: what coders look for in interviews, by which words it shows, and what it looks like in the tracker.

No code knows a particular theme; another study's are another file in `taxonomy/`.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field
from rapidfuzz import fuzz, process

from pipeline.documents import Document, Location, read_yaml
from pipeline.errors import RedefectError
from pipeline.taxonomy import Source, Taxonomy, Where, read_taxonomy

Kind = Literal["challenge", "practice"]
_Id = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")


class Clause(Document):
    """Defects in which a challenge shows: each facet named has one of the categories; and why these tell of it."""

    where: Where = Field(min_length=1)
    reason: str = Field(min_length=10)


class Expectation(Document):
    """What the tracker would show if a challenge were there as in interviews.

    The share of `of` is larger among defects that match `among` than among those others that match `than` (all others, if it is
    not given).
    """

    statement: str
    of: Where = Field(min_length=1)
    among: Where = Field(min_length=1)
    than: Where = {}


class Theme(Document):
    """A challenge or a practice.

    `published` marks those that the study itself reports. `cues` are words, between commas, by which a turn may show it: whatever
    their case; `*` at a word's end stands for any ending, and (a|b|) for a, b or nothing. A challenge shows in the `defects` that
    match any of the clauses, and `expected` is what then follows.
    """

    id: str = _Id
    title: str
    kind: Kind
    definition: str
    published: bool = False
    cues: str = ""
    defects: list[Clause] = []
    expected: list[Expectation] = []


class Phase(Document):
    """A phase of the work to which what is said belongs; `shows` are the defects that lie there, if the tracker tells."""

    id: str = _Id
    title: str
    definition: str
    shows: Where = {}


class Themes(Document):
    """A code book for interviews.

    `taxonomy` is the one by whose facets challenges are looked for in the tracker. `seen` are the transcripts that were looked at
    while the cues were written: on these the cues look better than they are. Turns of fewer than `least_words` words are proposed
    for no theme.
    """

    id: str = _Id
    title: str
    source: Source
    about: str
    rules: list[str] = []
    taxonomy: str
    seen: list[str] = []
    least_words: int = Field(default=0, ge=0)
    phases: list[Phase] = Field(min_length=1)
    themes: list[Theme] = Field(min_length=1)

    def contradictions(self) -> Iterator[tuple[Location, str]]:
        """Yield ids that stand twice, and practices that are looked for in the tracker."""
        lists: list[tuple[str, Sequence[Theme | Phase]]] = [("phases", self.phases), ("themes", self.themes)]
        for key, items in lists:
            known: set[str] = set()
            for i, item in enumerate(items):
                if item.id in known:
                    yield (key, i, "id"), f"'{item.id}' stands twice; ids are unique."
                known.add(item.id)
        for i, theme in enumerate(self.themes):
            if theme.kind == "practice" and (theme.defects or theme.expected):
                yield ("themes", i, "defects"), f"'{theme.id}' is a practice; only challenges show in defects."

    @cached_property
    def challenges(self) -> list[Theme]:
        """The challenges that show in the tracker, too."""
        return [theme for theme in self.themes if theme.defects]

    def theme(self, theme_id: str, where: str) -> Theme:
        """Return a theme by its id.

        Raises
        ------
        RedefectError
            If there is none; the sentence begins with `where` and names the nearest.
        """
        return _by_id(self.themes, theme_id, "theme", where)

    def phase(self, phase_id: str, where: str) -> Phase:
        """Return a phase by its id; errors as those of `theme`."""
        return _by_id(self.phases, phase_id, "phase", where)


_Item = TypeVar("_Item", Theme, Phase)


def _by_id(items: list[_Item], wanted: str, what: str, where: str) -> _Item:
    for item in items:
        if item.id == wanted:
            return item
    known = [item.id for item in items]
    near = process.extractOne(wanted, known, scorer=fuzz.WRatio)
    hint = f" Did you mean '{near[0]}'?" if near and wanted else ""
    raise RedefectError(f"{where}: '{wanted}' is no {what}; there are {', '.join(known)}.{hint}")


def read_themes(path: Path) -> Themes:
    """Read a file of themes and check it against its taxonomy, which stands beside it.

    Raises
    ------
    RedefectError
        If the file is missing or not valid, or what a challenge looks like in the tracker names an unknown facet or category.
    """
    themes = read_yaml(path, Themes)
    taxonomy = read_taxonomy(path.parent / f"{themes.taxonomy}.yaml")
    for theme in themes.themes:
        place = f"{path}: theme '{theme.id}'"
        for where in [c.where for c in theme.defects] + [w for e in theme.expected for w in (e.of, e.among, e.than)]:
            _check(where, taxonomy, place)
    for phase in themes.phases:
        _check(phase.shows, taxonomy, f"{path}: phase '{phase.id}'")
    return themes


def _check(where: Where, taxonomy: Taxonomy, place: str) -> None:
    for facet_id, categories in where.items():
        facet = taxonomy.facet(facet_id, place)
        if unknown := [category for category in categories if category not in facet.ids]:
            near = ", ".join(facet.nearest(unknown[0]))
            raise RedefectError(f"{place}: facet '{facet_id}' has no category '{unknown[0]}'; nearest: {near}.")
