"""The comparisons that a study file asks for: with another study, of two periods, or of solo repositories with zoos.

Where a study's shares are those of its labels, they are counted; where they are a machine's, they are corrected for its errors,
in each way that the data allow. What is concluded has to hold in all of these ways.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from pipeline.analyze.difference_figures import paired_dots
from pipeline.analyze.differences import Estimate, counted, differences
from pipeline.analyze.figures import Chart
from pipeline.analyze.results import Gallery, Sentences, TitledFrame, distribution
from pipeline.chapters.machine import CAVEATS
from pipeline.errors import RedefectError
from pipeline.intervals import LEVEL
from pipeline.numerals import share_text
from pipeline.store.session import database_url
from pipeline.study import Comparison, read_study
from pipeline.taxonomy import Facet

if TYPE_CHECKING:
    from pipeline.openstudy import OpenStudy

_KEY = ["repository", "number"]
_GROUP = ["comparison", "facet", "category"]
_ALPHA = 1 - LEVEL

Within = Callable[[pd.DataFrame], "pd.Series[bool]"]
"""Which rows of a frame with `repository`, `kind` and `created_at` are in a group."""


@dataclass(frozen=True)
class Side:
    """One of two groups that are compared: those issues of a study that `within` picks, called by a name."""

    name: str
    study: "OpenStudy"
    within: Within

    @property
    def by_machine(self) -> bool:
        """Whether its shares are those of a machine's labels."""
        return self.study.study.shares == "machine"

    @property
    def defects(self) -> pd.DataFrame:
        """Its labelled defects."""
        frame = self.study.defects
        return frame[self.within(frame)]

    @property
    def issues(self) -> pd.Index:
        """Its issues: those with labels, or where a machine labels, all that have a text."""
        frame = self.study.machine.threads if self.by_machine else self.study.defects.drop_duplicates(_KEY)
        return pd.MultiIndex.from_frame(frame.loc[self.within(frame), _KEY])

    @property
    def new_defects(self) -> pd.Index:
        """Of a machine's, the threads that are new to it and that it takes for defects."""
        return self.study.machine.new_defects.intersection(self.issues)

    @property
    def size(self) -> str:
        """How many of what it holds."""
        if self.by_machine:
            return f"{len(self.new_defects):,} threads labelled by machine"
        return f"{len(self.defects):,} labelled defects"

    def estimates(self, facet: Facet, *, first_only: bool = False) -> list[Estimate]:
        """Return the shares of a facet's categories: counted in one way, or corrected in several; none without data.

        Parameters
        ----------
        first_only
            Whether to count the first defect of each issue only; a machine labels one defect a thread in any case.
        """
        if self.by_machine:
            shares = self.study.machine.shares(facet, self.name, self.issues)
            renamed = {"corrected": "share"}
            return [
                Estimate(facet, by, of.frame.rename(columns=renamed)[["category", "share", "low", "high"]])
                for by, of in shares.items()
            ]
        defects = self.defects.drop_duplicates(_KEY) if first_only else self.defects
        of = distribution(defects, facet)
        return [counted(of)] if of.n else []

    def without_largest(self) -> "Side":
        """Return it without the repository that has most of its issues."""
        largest = self.issues.get_level_values("repository").value_counts(sort=True).index[0]
        return replace(
            self,
            name=f"{self.name} without {largest}",
            within=lambda frame: self.within(frame) & (frame["repository"] != largest),
        )


@dataclass(frozen=True)
class Pair:
    """Two groups that are compared, and what the comparison is called."""

    name: str
    first: Side
    second: Side

    @property
    def across(self) -> bool:
        """Whether people label one group, and a machine the other."""
        return self.first.by_machine != self.second.by_machine

    def differences(self, facet: Facet, *, first_only: bool = False) -> pd.DataFrame:
        """Compare them in a facet: see `pipeline.analyze.differences.differences`."""
        sides = (side.estimates(facet, first_only=first_only) for side in (self.first, self.second))
        return differences(*sides).assign(comparison=self.name)


class Comparisons:
    """All comparisons that a study file asks for: tables, charts and sentences, each for a cell of a notebook.

    Where there is nothing to show, each says why.

    Parameters
    ----------
    study
        The study.
    open_study
        Opens another study by its file and database.
    """

    def __init__(self, study: "OpenStudy", open_study: "Callable[[str, str], OpenStudy]") -> None:
        self._study, self._open, self._taxonomy = study, open_study, study.taxonomy

    @cached_property
    def _found(self) -> list[Pair | str]:
        return [self._pair(comparison) for comparison in self._study.study.comparisons]

    @property
    def pairs(self) -> list[Pair]:
        """The comparisons that can be made."""
        return [pair for pair in self._found if isinstance(pair, Pair)]

    @property
    def missing(self) -> Sentences:
        """Why those that cannot be made cannot; no sentence if all can."""
        if not self._found:
            return Sentences(
                [
                    f"Study '{self._study.study.name}' asks for no comparison: give its study file a [[comparisons]] with one "
                    "key, `with` (another study), `periods` (the day on which the second begins) or `by` (solo repositories and "
                    'zoos: "kind").'
                ]
            )
        return Sentences([why for why in self._found if isinstance(why, str)])

    def _pair(self, comparison: Comparison) -> Pair | str:
        own = self._study
        if comparison.other is not None:
            other = self._other(comparison.other)
            if isinstance(other, str):
                return other
            sides = Side(own.study.name, own, _all), Side(comparison.other, other, _all)
        elif comparison.periods is not None:
            day = pd.Timestamp(comparison.periods, tz="UTC")
            before, after = f"before {comparison.periods}", f"from {comparison.periods}"
            sides = Side(before, own, lambda of: of["created_at"] < day), Side(after, own, lambda of: of["created_at"] >= day)
        else:
            sides = Side("solo", own, lambda of: of["kind"] == "solo"), Side("zoo", own, lambda of: of["kind"] == "zoo")
        for side in sides:
            if side.by_machine and side.study.machine.silent:
                return " ".join(side.study.machine.silent)
            if not len(side.issues):
                return f"Study '{side.study.study.name}' has no defects in the group '{side.name}': there is nothing to compare."
        return Pair(f"{sides[0].name} / {sides[1].name}", *sides)

    def _other(self, name: str) -> "OpenStudy | str":
        study = read_study(self._study.study.path.parent / f"{name}.toml")
        if study.taxonomy != self._study.study.taxonomy:
            return f"Study '{name}' has another taxonomy, '{study.taxonomy}': the categories cannot be compared."
        url = database_url(None, study.database)
        if "://" in url or Path(url).is_file():  # else opening it would make an empty one
            try:
                return self._open(str(study.path), url)
            except RedefectError as error:
                return str(error)
        return f"The comparison with study '{name}' needs its data, which are not here yet: run `make STUDY={name}` first."

    @property
    def _facets(self) -> list[Facet]:
        return self._taxonomy.defect_facets

    @cached_property
    def table(self) -> pd.DataFrame:
        """All differences, with a column `comparison`: see `pipeline.analyze.differences.differences`."""
        return self._compared(self.pairs)

    def _compared(self, pairs: list[Pair], *, first_only: bool = False) -> pd.DataFrame:
        tables = [pair.differences(facet, first_only=first_only) for pair in pairs for facet in self._facets]
        return pd.concat([of for of in tables if len(of)] or tables or [pd.DataFrame({"facet": []})], ignore_index=True)

    def sides(self) -> TitledFrame | Sentences:
        """Tell what is compared: of each group its size, its unit, and where its shares come from."""
        rows = []
        for pair in self.pairs:
            both = len(pair.first.issues.intersection(pair.second.issues))
            for side in (pair.first, pair.second):
                if side.by_machine:
                    size = (
                        f"{len(side.issues):,} threads, of which {len(side.new_defects):,} new to the model and taken for defects"
                    )
                    unit, source = "thread, one defect each", f"labels by {side.study.machine.path.name}, corrected"
                else:
                    size = f"{len(side.defects):,} defects of {len(side.issues):,} issues"
                    unit, source = "defect", f"labels by '{side.study.study.verdict.annotator}', counted"
                repositories = side.issues.get_level_values("repository").nunique()
                row = {"Comparison": pair.name, "Group": side.name, "Repositories": repositories, "Size": size, "Unit": unit}
                rows.append(row | {"Shares": source, "Issues in both": both})
        return self._titled("What is compared", pd.DataFrame(rows)) if rows else self.missing

    def assumptions(self) -> Sentences:
        """Tell what the comparisons rest on, and what could not be compared."""
        told = list(self.missing)
        if self.pairs:
            told.append(
                "The groups are taken for independent draws of defects. Intervals are for repositories like these, in the same "
                "mixture. Differences are those of the second group and the first, in percentage points."
            )
        if any(pair.across for pair in self.pairs):
            told.append(
                "People label one group; the other has the labels of a machine that learnt from automated annotators. A "
                "difference may be one of the defects, of how issues were chosen, or of who labelled. Where these annotators "
                f"follow people little ({self._weak or 'nowhere'}), it tells nothing of the defects."
            )
        if any(pair.first.by_machine and pair.second.by_machine for pair in self.pairs):
            told.append(
                "Where a machine labels both groups, both are corrected by what is known of the same machine: what it gets wrong "
                "in one, it may get wrong in the other, too."
            )
        ways = {
            by: of.method
            for side in self._machines
            for facet in self._facets
            for by, of in side.study.machine.shares(facet, side.name, side.issues).items()
        }
        told += [f"Corrected by {by} ({method}): {CAVEATS[by]}" for by, method in ways.items()]
        told += [
            f"{pair.name}: not compared are {lost}, which only one of the groups has."
            for pair in self.pairs
            if (lost := self._lost(pair))
        ]
        return Sentences(told)

    def overview(self) -> TitledFrame | Sentences:
        """Tell for each comparison, facet and way of correcting how many differences are clear of 0."""
        if self.table.empty:
            return self.missing
        rows = []
        for (name, facet, method), of in self.table.groupby(["comparison", "facet", "method"], sort=False):
            row = {"Comparison": name, "Facet": self._taxonomy.facet(str(facet)).title, _WAY: method, "Categories": len(of)}
            row["Intervals without 0"] = _clear(of).sum()
            row["By chance, if nothing differed"] = f"{_ALPHA * len(of):.1f}"
            row["After Holm's correction"] = (of["holm"] < _ALPHA).sum()
            row["Half the sum of differences"] = f"{50 * of['difference'].abs().sum():.1f} points"
            rows.append(row)
        return self._titled("Differences that are clear of 0, facet by facet", pd.DataFrame(rows))

    def differences(self, facet: str | None = None) -> TitledFrame | Sentences:
        """List the differences in a facet, or in all, a row a category and way of correcting."""
        of = self.table if facet is None else self.table[self.table["facet"] == facet]
        if of.empty:
            return self._nothing(facet)
        named = "" if facet is None else f" in the facet {self._taxonomy.facet(facet).title.lower()}"
        return self._titled(f"All {len(of)} differences{named}, with 95 % intervals", self._shown(of))

    def largest(self, most: int = 12) -> TitledFrame | Sentences:
        """List the largest differences that are clear of 0 in every way of correcting, in facets that findings may rest on."""
        if self.table.empty:
            return self.missing
        if self._firm.empty:
            return Sentences(["No difference is clear of 0 in every way of correcting, after Holm's correction."])
        shown = self._shown(self._firm.head(most)[_GROUP].merge(self.table, on=_GROUP))
        title = f"The largest {min(most, len(self._firm))} of {len(self._firm)} differences that are clear of 0 in every way"
        return self._titled(title, shown)

    def chart(self, facet: str) -> Chart | Sentences:
        """Draw the groups' shares of a facet's categories, and their differences."""
        of = self.table[self.table["facet"] == facet]
        if of.empty:
            return self._nothing(facet)
        names = {pair.name: (pair.first.name, pair.second.name) for pair in self.pairs}
        return paired_dots(
            {str(name): table for name, table in of.groupby("comparison", sort=False)}, self._taxonomy.facet(facet), names
        )

    def charts(self) -> Gallery | Sentences:
        """Draw each facet of which anything is known of both groups."""
        drawn = [self.chart(facet.id) for facet in self._facets if (self.table["facet"] == facet.id).any()]
        return Gallery(drawn) if drawn else self._nothing(None)

    def sensitivity(self) -> TitledFrame | Sentences:
        """List the differences that a choice makes clear of 0, or no longer clear: which defects and which repositories count."""
        if self.table.empty:
            return self.missing
        smaller = [replace(pair, first=pair.first.without_largest(), second=pair.second.without_largest()) for pair in self.pairs]
        choices = {
            "the first defect of each issue only": self._compared(self.pairs, first_only=True),
            "without each group's largest repository": self._compared(smaller),
        }
        key, shown, told = [*_GROUP, "method"], [], []
        for choice, table in choices.items():
            both = self.table.merge(table, on=key, suffixes=("", "_then"))
            then = both[["difference_then", "low_then", "high_then"]].set_axis(["difference", "low", "high"], axis=1)
            changed = _clear(both) != _clear(then)
            told.append(f"{changed.sum()} of {len(both)} ({choice})")
            if changed.any():
                points = [_points(of) for of in then[changed].to_dict("records")]
                shown.append(self._shown(both[changed]).drop(columns="p (Holm)").assign(Choice=choice, Then=points))
        if not shown:
            return Sentences([f"For no difference do these choices change whether its interval leaves out 0: {'; '.join(told)}."])
        title = f"Differences that a choice makes clear of 0, or no longer clear: {', '.join(told)}"
        return self._titled(title, pd.concat(shown, ignore_index=True))

    def conclusions(self) -> Sentences:
        """Tell what differs, by how much, and how far that can be trusted."""
        if self.table.empty:
            return self.missing
        told = []
        for pair in self.pairs:
            of = self.table[self.table["comparison"] == pair.name]
            groups = self._groups[self._groups["comparison"] == pair.name]
            ways = "" if of["method"].nunique() == 1 else f" in each of {of['method'].nunique()} ways of correcting"
            told.append(
                f"{pair.second.name} ({pair.second.size}) beside {pair.first.name} ({pair.first.size}): of {len(groups)} "
                f"differences in {groups['facet'].nunique()} facets, {groups['clear'].sum()} have a 95 % interval without "
                f"0{ways}, {groups['firm'].sum()} after Holm's correction; {_ALPHA * len(groups):.1f} would have one "
                "by chance, if nothing differed."
            )
            largest = self._firm[self._firm["comparison"] == pair.name].head(3)[_GROUP]
            named = [
                self._told(of[(of["facet"] == facet) & (of["category"] == category)]) for _, facet, category in largest.to_numpy()
            ]
            if named:
                told.append(f"The largest, in percentage points: {'; '.join(named)}.")
        if any(pair.across for pair in self.pairs):
            told.append(
                "This is not yet a change of the defects: the groups differ in who labelled and in how issues were chosen, too. "
                f"Left out of the largest are facets on which no finding may rest: {self._weak or 'none'}."
            )
        return Sentences([*told, *(self._contradicted(side) for side in self._machines), *self.missing])

    def _contradicted(self, side: Side) -> str:
        """Tell how far the ways of correcting a machine's shares contradict each other: then one of their assumptions fails."""
        shares = [pd.concat([of.frame.assign(way=of.method) for of in side.estimates(facet)]) for facet in self._facets
                  if side.estimates(facet)]  # fmt: skip
        of = pd.concat([frame.assign(facet=place) for place, frame in enumerate(shares)])
        bounds = of.groupby(["facet", "category"]).agg({"low": "max", "high": "min", "way": "nunique"})
        both = bounds[bounds["way"] > 1]
        if both.empty:
            return f"The shares of {side.name} are corrected in one way only, whose assumption nothing here puts to the test."
        apart = int((both["low"] > both["high"]).sum())
        return (
            f"Of {len(both)} shares of {side.name} that are corrected in several ways, {apart} have intervals that do not meet"
            f"{': for these, an assumption does not hold' if apart else ''}."
        )

    @cached_property
    def _groups(self) -> pd.DataFrame:
        """Each difference once: if it is `clear` of 0 in all ways and to the same side, and `firm` after Holm's correction."""
        of = self.table.assign(
            clear=_clear(self.table),
            firm=self.table["holm"] < _ALPHA,
            up=self.table["difference"] > 0,
            size=self.table["difference"].abs(),
        )
        groups = of.groupby(_GROUP, sort=False, as_index=False).agg(
            {"clear": "all", "firm": "all", "up": "nunique", "size": "min"}
        )
        same = groups["up"] == 1
        return groups.assign(clear=groups["clear"] & same, firm=groups["clear"] & groups["firm"] & same)

    @cached_property
    def _firm(self) -> pd.DataFrame:
        """The firm differences, the largest first, without facets on which no finding may rest where a machine labels."""
        by_machine = [pair.name for pair in self.pairs if pair.first.by_machine or pair.second.by_machine]
        of = self._groups[~(self._groups["facet"].isin(self._weak_facets) & self._groups["comparison"].isin(by_machine))]
        return of[of["firm"]].sort_values("size", ascending=False, kind="stable", ignore_index=True)

    @property
    def _machines(self) -> list[Side]:
        return [side for pair in self.pairs for side in (pair.first, pair.second) if side.by_machine]

    @property
    def _weak_facets(self) -> list[str]:
        return [facet.id for facet in self._facets if any(facet.id in side.study.machine.weak for side in self._machines)]

    @property
    def _weak(self) -> str:
        return ", ".join(self._taxonomy.facet(facet).title.lower() for facet in self._weak_facets)

    def _lost(self, pair: Pair) -> str:
        """Name the facets, and the categories with their shares, that only one of two groups has."""
        lost = []
        for facet in self._facets:
            known = []
            for side in (pair.first, pair.second):
                frames = [estimate.frame for estimate in side.estimates(facet)]
                known.append({} if not frames else pd.concat(frames).groupby("category")["share"].max().to_dict())
            if bool(known[0]) != bool(known[1]):
                lost.append(f"the facet {facet.title.lower()}")
            elif known[0]:
                only = {c: s for own, other in (known, known[::-1]) for c, s in own.items() if c not in other and s > 0}
                lost += [
                    f"{facet.label(str(category))} ({facet.title.lower()}, {100 * of:.1f} %)" for category, of in only.items()
                ]
        return ", ".join(lost)

    def _titled(self, title: str, frame: pd.DataFrame) -> TitledFrame:
        if len(self.pairs) == 1:  # then each row would say the same
            title, frame = f"{title}: {self.pairs[0].name}", frame.drop(columns="Comparison")
        return TitledFrame(f"{title} ({self._study.note})" if self._study.note else title, frame)

    def _nothing(self, facet: str | None) -> Sentences:
        if self.table.empty:
            return self.missing
        return Sentences([f"In no comparison do both groups have shares of a facet '{facet}'."])

    def _told(self, of: pd.DataFrame) -> str:
        rows = of.to_dict("records")
        facet = self._taxonomy.facet(str(rows[0]["facet"]))
        gaps = [_points(row) + ("" if len(rows) == 1 else f" (by {row['method']})") for row in rows]
        return f"{facet.label(str(rows[0]['category']))} ({facet.title.lower()}) {' or '.join(gaps)}"

    def _shown(self, of: pd.DataFrame) -> pd.DataFrame:
        rows = []
        for row in of.to_dict("records"):
            facet = self._taxonomy.facet(str(row["facet"]))
            cells = {"Comparison": row["comparison"], "Facet": facet.title, "Category": facet.label(str(row["category"]))}
            for side in ("first", "second"):
                cells[f"{side.title()} group"] = share_text(row[side], row[f"{side}_low"], row[f"{side}_high"])
            holm = "< 0.001" if row["holm"] < 0.001 else f"{row['holm']:.3f}"
            rows.append(cells | {_WAY: row["method"], "Difference (points)": _points(row), "p (Holm)": holm})
        return pd.DataFrame(rows)


_WAY = "Counted, or corrected by"


def _all(frame: pd.DataFrame) -> "pd.Series[bool]":
    return pd.Series(data=True, index=frame.index)


def _clear(of: pd.DataFrame) -> "pd.Series[bool]":
    """Tell of each difference whether its interval leaves out 0."""
    return (of["low"] > 0) | (of["high"] < 0)


def _points(row: Any) -> str:
    return f"{100 * row['difference']:+.1f} [{100 * row['low']:+.1f}, {100 * row['high']:+.1f}]"
