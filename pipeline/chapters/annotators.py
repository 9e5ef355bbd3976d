"""A study's annotators as its notebooks show them: who labelled what, and how far they agree."""

from collections import Counter
from collections.abc import Callable
from functools import cached_property, wraps
from typing import TYPE_CHECKING, TypeVar

import pandas as pd

from pipeline.analyze.agreement_figures import agreement_by_facet, confusions
from pipeline.analyze.results import Gallery, Sentences, TitledFrame
from pipeline.annotate.agreement import POOLED
from pipeline.annotate.coefficients import COEFFICIENTS
from pipeline.annotate.raters import leanings_shown, profiles_shown
from pipeline.numerals import counted_share, with_interval

if TYPE_CHECKING:
    from pipeline.openstudy import OpenStudy

_MATCHED = {
    "position": "by their place in the sheet",
    "number": "by their number in the issue",
    "best assignment": "by best assignment",
}
_BEST = ("best assignment", "by category")
"""The comparison that is told of each round: it loses no agreement to spelling or to the order of an issue's defects."""
_AS_WRITTEN = ("position", "as written")
_MOST = 15
"""Rows of a table of the most frequent things."""


_R = TypeVar("_R")


def _of_several(show: Callable[["Annotators"], _R]) -> Callable[["Annotators"], _R | Sentences]:
    """Say that one annotator alone cannot agree, where a study has no round of several; else show what there is."""

    @wraps(show)
    def shown(annotators: "Annotators") -> _R | Sentences:
        return annotators._alone if annotators._agreement.empty else show(annotators)

    return shown


class Annotators:
    """Who labelled a study's defects, and how far they agree.

    Parameters
    ----------
    study
        The study, which computes all of it.
    """

    def __init__(self, study: "OpenStudy") -> None:
        self._study = study

    @property
    def rounds(self) -> TitledFrame:
        """Who labelled how much in which round: by the store's labels, and by raters' sheets."""
        rows = []
        labels, ratings = self._study.labels, self._study.ratings
        for round_ in self._study.rounds:
            for of_round, where in (
                (labels[labels["round"] == round_], "labels"),
                (ratings[ratings["round"] == round_], "sheets"),
            ):
                for annotator, part in of_round.groupby("annotator", sort=True):
                    keys = ["repository", "number"] if where == "labels" else ["row"]
                    said = f"{len(part.drop_duplicates(keys))} {'issues' if where == 'labels' else 'rows of a sheet'}"
                    rows.append((round_, annotator, said, len(part), part["facet"].nunique()))
        frame = pd.DataFrame(rows, columns=["Round", "Annotator", "What was labelled", "Labels", "Facets"])
        verdict = self._study.study.verdict
        note = f"The study's verdict is what {verdict.annotator} says in round '{verdict.round}'."
        return TitledFrame(f"Annotators by round (n = {frame['Labels'].sum()} labels{self._note})", frame, note)

    @property
    @_of_several
    def agreement(self) -> TitledFrame:
        """Agreement in each round, pooled over facets, by each way to compare and each coefficient.

        Without Fleiss' kappa, which hardly differs from Krippendorff's alpha.
        """
        pooled = self._agreement[(self._agreement["facet"] == POOLED) & (self._agreement["coefficient"] != "fleiss")]
        rows: dict[tuple[object, ...], dict[str, str]] = {}
        keys = ["round", "annotators", "matched", "compared", "n"]
        for *key, coefficient, value, low, high in pooled[[*keys, "coefficient", "value", "low", "high"]].itertuples(
            index=False, name=None
        ):
            rows.setdefault(tuple(key), {})[COEFFICIENTS[coefficient]] = with_interval(value, low, high)
        frame = pd.DataFrame([dict(zip(keys, key, strict=True)) | texts for key, texts in rows.items()])
        frame["matched"] = frame["matched"].replace(_MATCHED)
        together = frame["annotators"].unique()
        by = f"By {together[0]}. " if len(together) == 1 else ""
        frame = frame.drop(columns="annotators") if by else frame
        names = {"round": "Round", "annotators": "Annotators", "matched": "Defects matched", "compared": "Compared"}
        note = (
            f"{by}Pooled over {', '.join(self._pooled)}. 95 % bootstrap intervals over issues. n: labels that two or more gave."
        )
        frame = frame.rename(columns=names).rename(columns=lambda name: name[0].upper() + name[1:] if name != "n" else name)
        return TitledFrame(f"Agreement by round, pooled{self._noted}", frame, note)

    @property
    @_of_several
    def by_facet(self) -> Gallery:
        """Agreement on each facet in each round: a chart and a table."""
        best = self._best
        title = f"Agreement by facet{self._noted}"
        chart = agreement_by_facet(best, self._titles, self._coefficient, title)
        columns = {}
        for round_ in best["round"].drop_duplicates():
            rows = best[best["round"] == round_].set_index("facet")
            columns[f"Round {round_}"] = [
                f"{text}, n = {rows.at[facet, 'n']}"
                if facet in rows.index and (text := with_interval(*(rows.at[facet, c] for c in ("value", "low", "high"))))
                else ""
                for facet in self._titles
            ]
        frame = pd.DataFrame({"Facet": list(self._titles.values()), **columns})
        frame = frame[(frame.drop(columns="Facet") != "").any(axis=1)]
        note = "Defects matched by best assignment, compared by category. Empty: not labelled by two, or one category throughout."
        return Gallery([chart, TitledFrame(f"{self._coefficient} by facet{self._noted}", frame, note)])

    @property
    def published(self) -> Gallery | Sentences:
        """The published kappas beside what the raters' sheets give, and why they differ."""
        published = self._published
        if published.empty:
            return Sentences([f"No published kappa is at hand for study '{self._study.study.name}' to compare with."])
        rows = []
        for round_, value in zip(published["round"], published["published"], strict=True):
            told = {"Round": round_, "Published": value}
            for name, key in (
                ("Row index pooled in", ("position", "as written, row index pooled in")),
                ("Labels alone, as the sheets have them", _AS_WRITTEN),
                ("Labels alone, by category and best assignment", _BEST),
            ):
                told[name] = self._text(round_, key)
            rows.append(told)
        flaws = [f"Round {flaw.where.removeprefix('round ')}: {flaw.what}." for flaw in self._study.agreement_flaws()]
        why = flaws or ["The labels alone give the published kappas within their tolerance."]
        frame = pd.DataFrame(rows)
        title = "Published kappas beside those of the sheets (Cohen's kappa, pooled over facets)"
        return Gallery([TitledFrame(title, frame, "95 % bootstrap intervals over issues."), Sentences(why)])

    @property
    @_of_several
    def choices(self) -> TitledFrame | Sentences:
        """What it changes to merge spelling variants, and to match defects by best assignment."""
        table = self._study.agreement_choices()
        if table.empty:
            return Sentences(
                [
                    f"Study '{self._study.study.name}' has no raters' sheets: its labels are categories, and there is no "
                    "spelling to merge. What best assignment changes stands in the table of agreement."
                ]
            )
        return TitledFrame(
            "What it changes to merge spelling variants and to match defects (Cohen's kappa)",
            self._changes(table, {"round": "Round", "choice": "Choice"}),
            "Beside the sheets by position and as written. Of single facets, those whose change has an interval without 0.",
        )

    @property
    @_of_several
    def drift(self) -> TitledFrame | Sentences:
        """How agreement changed from round to round."""
        table = self._study.drift()
        if table.empty:
            return Sentences([f"Study '{self._study.study.name}' has one round of several annotators: there is no drift to see."])
        return TitledFrame(
            f"How agreement changed from round to round (Cohen's kappa{self._note})",
            self._changes(table, {"before_round": "From round", "after_round": "To round"}),
            "Where rounds are not of the same issues, a change may be one of issues as much as of annotators. Of single facets, "
            "those whose change has an interval without 0.",
        )

    @property
    @_of_several
    def profiles(self) -> TitledFrame:
        """Each annotator of the last round of several, beside the others, the verdict, and the machine's suggestions."""
        table = self._study.rater_profiles()
        table = table[table["round"] == self._last].reset_index(drop=True)
        shown = profiles_shown(table)
        unused = [
            columns
            for columns, n in ((["final labels", "as the final"], "final_n"), (["suggestions", "followed"], "suggested_n"))
            if not table[n].any()
        ]
        names = {
            "entropy": "Entropy (bits)",
            "of the others": "Entropy of the others",
            "mean kappa": "Mean kappa with the others",
        }
        frame = self._named(shown.drop(columns=["round", *(name for columns in unused for name in columns)]), names)
        return TitledFrame(
            f"Annotators beside each other, round '{self._last}'{self._noted}",
            frame,
            "A low entropy: few categories used again and again.",
        )

    @property
    @_of_several
    def leanings(self) -> TitledFrame | Sentences:
        """Which categories annotators use clearly more or less than the others do."""
        table = leanings_shown(self._study.rater_leanings())
        if table.empty:
            return Sentences(
                [f"No annotator of study '{self._study.study.name}' uses a category clearly more or less than the others."]
            )
        table["category"] = [self._label(facet, name) for facet, name in zip(table["facet"], table["category"], strict=True)]
        note = "Those whose difference has a 95 % bootstrap interval without 0; of many categories some are so by chance."
        return TitledFrame(f"Leanings of annotators ({len(table)}{self._note})", self._named(table, {}), note)

    @property
    @_of_several
    def disagreements(self) -> Gallery:
        """What annotators of the last round of several take for what: the most frequent pairs, and two facets in full."""
        round_ = self._last
        table = self._study.disagreements(round_)
        if table.empty:
            return Gallery([Sentences([f"The annotators of round '{round_}' never disagree."])])
        rows = [
            (
                self._title(facet), self._label(facet, one), self._label(facet, other), n,
                counted_share(n, round(n / share)), round(n / share),
            )
            for facet, one, other, n, share in table.head(_MOST).itertuples(index=False, name=None)
        ]  # fmt: skip
        columns = ["Facet", "One says", "Another says", "Times", "Share of the facet's pairs", "Pairs"]
        title = f"The most frequent disagreements of round '{round_}' ({table['n'].sum()} in all{self._note})"
        first, second = self._annotators(round_)[:2]
        charts = []
        for facet in table["facet"].drop_duplicates()[:2]:
            counts = self._study.confusion(facet, round_, first, second)
            n = int(counts.to_numpy().sum())
            labels = {c.id: c.label for c in self._study.taxonomy.facet(facet).values}
            charts.append(confusions(counts, labels, f"{self._title(facet)}, round '{round_}' (n = {n}{self._note})"))
        return Gallery([TitledFrame(title, pd.DataFrame(rows, columns=columns)), *charts])

    @property
    @_of_several
    def with_verdict(self) -> TitledFrame | Sentences:
        """How far each annotator agrees with the study's verdict, pooled and by facet."""
        table = self._verdict
        if table.empty:
            return Sentences(
                [
                    f"No annotator of study '{self._study.study.name}' labelled issues of its verdict that both name by "
                    "repository: agreement with the verdict cannot be told."
                ]
            )
        table = table[table["coefficient"] == "cohen"]
        verdict = self._study.study.verdict
        who = [
            f"{', '.join(name for name in names.split(', ') if name != verdict.annotator)}, "
            f"{round_.removesuffix(f' and {verdict.round}')}"
            for names, round_ in zip(table["annotators"], table["round"], strict=True)
        ]
        texts = [_estimated(*row) for row in table[["value", "low", "high", "n"]].itertuples(index=False, name=None)]
        long = table.assign(who=who, text=texts)
        wide = long.pivot_table(index="facet", columns="who", values="text", aggfunc="first", sort=False).fillna("")
        wide = wide.reindex([facet for facet in self._titles if facet in wide.index])
        wide.insert(0, "Facet", [self._title(facet) for facet in wide.index])
        note = "Whoever adjudicated saw the labels, so that this agreement is not independent."
        return TitledFrame(f"Cohen's kappa with the verdict{self._noted}", wide.rename_axis(columns=None), note)

    @property
    def conclusion(self) -> Sentences:
        """How far the labels can be trusted, in three sentences at most."""
        if self._agreement.empty:
            return self._alone
        last = self._best[self._best["round"] == self._last].dropna(subset=["value"])
        pooled = last[last["facet"] == POOLED]
        facets = last[last["facet"] != POOLED].sort_values(["value", "facet"])
        told = []
        if len(pooled):
            told.append(
                f"In round '{self._last}', {self._coefficient} is {_of(pooled.iloc[0])}, pooled over {', '.join(self._pooled)}."
            )
        if len(facets) > 1:
            worst, best = facets.iloc[0], facets.iloc[-1]
            told.append(
                f"Agreement is lowest on {self._title(worst['facet']).lower()} ({_of(worst)}) and highest on "
                f"{self._title(best['facet']).lower()} ({_of(best)})."
            )
        flaws = self._study.agreement_flaws()
        if flaws:
            rounds = "; ".join(
                f"{round_}: published {value}, labels alone {self._text(round_, _AS_WRITTEN)}"
                for round_, value in zip(self._published["round"], self._published["published"], strict=True)
            )
            told.append(
                f"{len(flaws)} of {len(self._published)} published kappas differ from what the labels give, because the "
                f"sheets' row index was pooled in as if it were a label ({rounds})."
            )
        elif len(self._verdict):
            pairs = self._verdict[(self._verdict["coefficient"] == "cohen") & (self._verdict["facet"] == POOLED)]
            least = pairs.sort_values("value").iloc[0]
            told.append(f"With the verdict, pooled, each annotator reaches Cohen's kappa {_of(least)} or more.")
        return Sentences([*told[:-1], f"{told[-1]}{' All of it is fictional.' if self._study.note else ''}"])

    @cached_property
    def _agreement(self) -> pd.DataFrame:
        return self._study.agreement()

    @cached_property
    def _verdict(self) -> pd.DataFrame:
        return self._study.agreement_with_verdict()

    @cached_property
    def _published(self) -> pd.DataFrame:
        return self._study.published_kappas()

    @property
    def _best(self) -> pd.DataFrame:
        """Each round's estimates, matched by best assignment and compared by category, by one coefficient for all rounds."""
        table = self._agreement
        coefficient = "cohen" if self._coefficient == COEFFICIENTS["cohen"] else "krippendorff"
        chosen = (table["matched"] == _BEST[0]) & (table["compared"] == _BEST[1]) & (table["coefficient"] == coefficient)
        return table[chosen].drop_duplicates(["round", "facet"])

    @property
    def _coefficient(self) -> str:
        two = (self._agreement["annotators"].str.count(", ") == 1).all()
        return COEFFICIENTS["cohen" if two else "krippendorff"]

    @property
    def _last(self) -> str:
        """The last round that several annotators labelled."""
        return str(self._agreement["round"].iloc[-1])

    def _annotators(self, round_: str) -> list[str]:
        return str(self._agreement.loc[self._agreement["round"] == round_, "annotators"].iloc[0]).split(", ")

    @property
    def _titles(self) -> dict[str, str]:
        return {POOLED: "Pooled"} | {facet.id: facet.title for facet in self._study.taxonomy.facets}

    @property
    def _pooled(self) -> list[str]:
        wanted = self._study.study.agreement_facets or [facet.id for facet in self._study.taxonomy.defect_facets]
        return [self._title(facet).lower() for facet in wanted if (self._agreement["facet"] == facet).any()]

    @property
    def _note(self) -> str:
        return f"; {self._study.note}" if self._study.note else ""

    @property
    def _noted(self) -> str:
        return f" ({self._study.note})" if self._study.note else ""

    @property
    def _alone(self) -> Sentences:
        name, labels = self._study.study.name, self._study.labels
        who = sorted(Counter(zip(labels["round"], labels["annotator"], strict=True)).items())
        told = "; ".join(f"{annotator} in round '{round_}', {n} labels" for (round_, annotator), n in who) or "no labels at all"
        return Sentences(
            [
                f"No round of study '{name}' was labelled by two annotators or more ({told}), so that agreement cannot be told: "
                "let a second annotator label some of its issues (`redefect annotate`)."
            ]
        )

    def _title(self, facet: str) -> str:
        return self._titles.get(facet, facet)

    def _label(self, facet: str, category: str) -> str:
        return {c.id: c.label for c in self._study.taxonomy.facet(facet).values}.get(category, category)

    def _text(self, round_: str, comparison: tuple[str, str]) -> str:
        table = self._agreement
        chosen = (table["round"] == round_) & (table["matched"] == comparison[0]) & (table["compared"] == comparison[1])
        rows = table[chosen & (table["facet"] == POOLED) & (table["coefficient"] == "cohen")]
        return _of(rows.iloc[0]) if len(rows) else ""

    def _changes(self, table: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
        table = table[table["coefficient"] == "cohen"].dropna(subset=["change"])
        table = table[(table["facet"] == POOLED) | (table["low"] > 0) | (table["high"] < 0)]
        told = table[["change", "low", "high"]].itertuples(index=False, name=None)
        return pd.DataFrame(
            {
                **{name: table[column] for column, name in names.items()},
                "Facet": table["facet"].map(self._title),
                "Before": table["before"].map("{:.2f}".format),
                "After": table["after"].map("{:.2f}".format),
                "Change [95 % interval]": [with_interval(*row, signed=True) for row in told],
            }
        )

    def _named(self, table: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
        shown = table.assign(facet=table["facet"].map(self._title))
        return shown.rename(columns=lambda name: names.get(name, name if name in ("n", "p") else name[0].upper() + name[1:]))


def _of(estimate: pd.Series) -> str:
    return _estimated(*(float(str(estimate[name])) for name in ("value", "low", "high", "n")))


def _estimated(value: float, low: float, high: float, n: float) -> str:
    return f"{text}, n = {n:.0f}" if (text := with_interval(value, low, high)) else ""
