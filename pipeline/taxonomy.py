"""Taxonomies as data: facets, their categories, and the spellings under which published data writes them.

No code knows a particular taxonomy; a second one is a second file in `taxonomy/`.
"""

import unicodedata
from collections import Counter
from collections.abc import Collection
from functools import cached_property
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from rapidfuzz import fuzz, process

from pipeline.documents import Document, read_yaml
from pipeline.errors import RedefectError

Where = dict[str, list[str]]
"""Facet to categories: a defect matches if each facet named has one of its categories."""


class Source(Document):
    """Where something was published."""

    citation: str
    url: str = ""


class Category(Document):
    """One value of a facet.

    `label` is the paper's spelling, `variants` are other spellings found in published data. A `group` only gathers
    categories that name it as their `parent`. `published_only` marks values that a published table uses although its
    labelling instrument does not have them: they are read, counted and never assigned anew. Of an issue as a whole, a category
    that is `final` says that it holds no defect to label.
    """

    id: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    label: str
    definition: str
    parent: str | None = None
    group: bool = False
    published_only: bool = False
    final: bool = False
    variants: list[str] = []


class Facet(Document):
    """One question that is answered for each defect (or once an issue), and its possible answers.

    `columns` are the names under which published tables hold the facet, `rules` what decides in doubtful cases. A facet that is
    `narrowed_by` another offers those of its categories first whose group is named like the other facet's answer.
    """

    id: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    title: str
    question: str
    source: str
    level: Literal["defect", "issue"] = "defect"
    columns: list[str] = []
    rules: list[str] = []
    narrowed_by: str | None = None
    categories: list[Category] = Field(min_length=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        ids = [category.id for category in self.categories]
        if twice := _repeated(ids):
            raise ValueError(f"facet '{self.id}' has category '{twice}' twice")
        groups = {category.id for category in self.categories if category.group}
        for category in self.categories:
            if category.parent is not None and category.parent not in groups:
                raise ValueError(
                    f"category '{category.id}' of facet '{self.id}' has parent '{category.parent}', which is no group here"
                )
            if category.id in self._ancestors(category):
                raise ValueError(f"category '{category.id}' of facet '{self.id}' is its own ancestor")
        spelled: dict[str, str] = {}
        for category in self.categories:
            if category.group:
                continue
            for spelling in {normalise(s) for s in (category.id, category.label, *category.variants)}:
                if spelled.setdefault(spelling, category.id) != category.id:
                    raise ValueError(f"facet '{self.id}' maps '{spelling}' to both '{spelled[spelling]}' and '{category.id}'")
        return self

    def _ancestors(self, category: Category) -> list[str]:
        parents = {c.id: c.parent for c in self.categories}
        found: list[str] = []
        parent = category.parent
        while parent is not None and parent not in found:
            found.append(parent)
            parent = parents.get(parent)
        return found

    @cached_property
    def values(self) -> list[Category]:
        """The categories that a label can have, in the order of the file (groups left out)."""
        return [category for category in self.categories if not category.group]

    @cached_property
    def choices(self) -> list[Category]:
        """The categories that an annotator may choose: `values` but for those that only published tables use."""
        return [category for category in self.values if not category.published_only]

    @cached_property
    def ids(self) -> list[str]:
        """The ids of `values`."""
        return [category.id for category in self.values]

    @cached_property
    def _spellings(self) -> dict[str, str]:
        return {
            normalise(spelling): category.id
            for category in self.values
            for spelling in (category.id, category.label, *category.variants)
        }

    def label(self, category_id: str) -> str:
        """Return the paper's spelling of a category."""
        return next(category.label for category in self.categories if category.id == category_id)

    def parent(self, category_id: str) -> str | None:
        """Return the id of the group right above a category, or None."""
        return next(category.parent for category in self.categories if category.id == category_id)

    def find(self, value: str) -> str | None:
        """Return the id of the category that `value` spells, or None if no category is known under it."""
        return self._spellings.get(normalise(value))

    def nearest(self, value: str, count: int = 3) -> list[str]:
        """Return the ids of the categories whose spellings are most like `value`, nearest first."""
        ranked = process.extract(normalise(value), sorted(self._spellings), scorer=fuzz.WRatio, limit=4 * count)
        return list(dict.fromkeys(self._spellings[spelling] for spelling, _, _ in ranked))[:count]

    def canonicalise(self, value: str, where: str) -> str:
        """Return the id of the category that `value` spells.

        Raises
        ------
        RedefectError
            If no category is known under `value`; the sentence names `where` it stands and the nearest known ones.
        """
        found = self.find(value)
        if found is None:
            raise RedefectError(
                f"{where}: '{value}' is no known category of facet '{self.id}'; nearest are "
                f"{', '.join(self.nearest(value))}. Correct it there, or add it to `variants` in the taxonomy file."
            )
        return found


class Taxonomy(Document):
    """A published classification of defects: facets in the order in which they are decided, and the rules for labelling by it."""

    id: str
    title: str
    source: Source
    rules: list[str] = []
    facets: list[Facet] = Field(min_length=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if twice := _repeated([facet.id for facet in self.facets]):
            raise ValueError(f"facet '{twice}' stands twice")
        if twice := _repeated([normalise(column) for facet in self.facets for column in facet.columns]):
            raise ValueError(f"column '{twice}' belongs to two facets")
        for place, facet in enumerate(self.facets):
            if facet.narrowed_by is None:
                continue
            earlier = next((f for f in self.facets[:place] if f.id == facet.narrowed_by and f.level == facet.level), None)
            if earlier is None:
                raise ValueError(
                    f"facet '{facet.id}' is narrowed by '{facet.narrowed_by}', which is no facet before it of its level"
                )
            if not {c.id for c in facet.categories if c.group} & set(earlier.ids):
                raise ValueError(f"no group of facet '{facet.id}' is named like a category of '{earlier.id}', which narrows it")
        return self

    @cached_property
    def defect_facets(self) -> list[Facet]:
        """The facets that are answered for each defect: the columns of the frame of defects."""
        return [facet for facet in self.facets if facet.level == "defect"]

    @cached_property
    def issue_facets(self) -> list[Facet]:
        """The facets that are answered once an issue."""
        return [facet for facet in self.facets if facet.level == "issue"]

    def only(self, facet_ids: Collection[str]) -> "Taxonomy":
        """Return a taxonomy of these facets; one that was narrowed by a facet that is not among them is not narrowed."""
        kept = [facet for facet in self.facets if facet.id in facet_ids]
        facets = [f if f.narrowed_by in facet_ids else f.model_copy(update={"narrowed_by": None}) for f in kept]
        return Taxonomy(id=self.id, title=self.title, source=self.source, rules=self.rules, facets=facets)

    def facet(self, facet_id: str, where: str = "") -> Facet:
        """Return a facet by its id.

        Raises
        ------
        RedefectError
            If the taxonomy has no such facet; the sentence begins with `where`, if given.
        """
        for facet in self.facets:
            if facet.id == facet_id:
                return facet
        known = [facet.id for facet in self.facets]
        near = process.extractOne(facet_id, known, scorer=fuzz.WRatio)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise RedefectError(
            f"{where}{': ' if where else ''}taxonomy '{self.id}' has no facet '{facet_id}'; it has {', '.join(known)}.{hint}"
        )

    def facet_of_column(self, column: str) -> Facet | None:
        """Return the facet that a published table holds under this column name, or None."""
        name = normalise(column)
        return next((f for f in self.facets if name in {normalise(c) for c in f.columns}), None)


class Correspondence(Document):
    """How one category of the first facet relates to one of the second, read from the first to the second."""

    source: str
    target: str | None
    relation: Literal["equal", "narrower", "broader", "related", "none"]
    note: str = ""


class Crosswalk(Document):
    """What the categories of one facet are called in another taxonomy."""

    source_taxonomy: str
    source_facet: str
    target_taxonomy: str
    target_facet: str
    note: str
    correspondences: list[Correspondence]

    def targets(self, category: str) -> list[str]:
        """Return the ids of the target's categories to which a source category corresponds, in file order."""
        return [c.target for c in self.correspondences if c.source == category and c.target is not None]


def read_taxonomy(path: Path) -> Taxonomy:
    """Read and check a taxonomy file.

    Raises
    ------
    RedefectError
        If the file is missing or not a valid taxonomy: a repeated id, an orphan parent, a spelling of two categories.
    """
    return read_yaml(path, Taxonomy)


def read_crosswalk(path: Path) -> Crosswalk:
    """Read a crosswalk and check it against the two taxonomies, which stand beside its folder.

    Raises
    ------
    RedefectError
        If a category is unknown, or one of the source facet is missing from the correspondences.
    """
    crosswalk = read_yaml(path, Crosswalk)
    folder = path.parent.parent
    source = read_taxonomy(folder / f"{crosswalk.source_taxonomy}.yaml").facet(crosswalk.source_facet, str(path))
    target = read_taxonomy(folder / f"{crosswalk.target_taxonomy}.yaml").facet(crosswalk.target_facet, str(path))
    targets = {category.id for category in target.categories}
    for c in crosswalk.correspondences:
        if c.source not in source.ids:
            raise RedefectError(f"{path}: '{c.source}' is no category of facet '{source.id}'; see its taxonomy file.")
        if (c.target is None) != (c.relation == "none"):
            raise RedefectError(
                f"{path}: '{c.source}' has relation '{c.relation}' and target '{c.target}'; only 'none' has no target."
            )
        if c.target is not None and c.target not in targets:
            raise RedefectError(f"{path}: '{c.target}' is no category of facet '{target.id}'; see its taxonomy file.")
    if missing := [i for i in source.ids if i not in {c.source for c in crosswalk.correspondences}]:
        raise RedefectError(
            f"{path}: no correspondence for {', '.join(missing)}; add one, with relation 'none' if there is none."
        )
    return crosswalk


def normalise(text: str) -> str:
    """Fold what never distinguishes two spellings: case, kinds and runs of white space, compatibility characters."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _repeated(values: list[str]) -> str | None:
    return next((value for value, count in Counter(values).items() if count > 1), None)
