"""Interviews and tracker side by side, as a notebook shows them: who was asked, what coders see, what of it shows in defects."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import numpy as np
import pandas as pd

from pipeline.analyze import challenges, coded_turns
from pipeline.analyze.coded_turns import ROLES
from pipeline.analyze.figures import Chart
from pipeline.analyze.interview_figures import saturation_curve, shares_by_group, stacks
from pipeline.analyze.results import Sentences, TitledFrame
from pipeline.collect.transcripts import INTERVIEWER
from pipeline.numerals import counted_share, interval_text, share_text, with_interval, written
from pipeline.study import Study
from pipeline.taxonomy import Taxonomy
from pipeline.themes import Theme, Themes

_TURN = ["transcript", "turn"]
_FACETS = ("stage", "symptom", "root-cause")
_MOST_WORDS = 40

_Rest = ParamSpec("_Rest")
_Result = TypeVar("_Result")
_Method = Callable[Concatenate["Interviews", _Rest], _Result]


def _needs(*what: str) -> Callable[[_Method[_Rest, _Result]], _Method[_Rest, _Result | Sentences]]:
    """Let a method say what is missing instead, where it is: `codings`, `turns`, `challenges`."""

    def decorate(method: _Method[_Rest, _Result]) -> _Method[_Rest, _Result | Sentences]:
        @wraps(method)
        def either(self: "Interviews", /, *rest: _Rest.args, **named: _Rest.kwargs) -> _Result | Sentences:
            return self.missing(*what) or method(self, *rest, **named)

        return cast(_Method[_Rest, _Result | Sentences], either)

    return decorate


@dataclass(frozen=True, eq=False)
class Interviews:
    """What is said in a study's interviews, what coders see in it, and what of that shows in the tracker.

    Each method returns what a notebook shows: a table, a chart, or sentences that tell what is missing.

    Attributes
    ----------
    themes
        The code book; None for a study without codings.
    turns
        Columns `transcript`, `turn`, `speaker`, `role`, `text`; empty when the transcripts are not at hand.
    codings
        Columns `transcript`, `turn`, `coder`, `kind`, `theme`, `phase`, `confidence`.
    defects
        The frame of defects.
    """

    study: Study
    taxonomy: Taxonomy
    themes: Themes | None
    turns: pd.DataFrame
    codings: pd.DataFrame
    defects: pd.DataFrame

    def missing(self, *what: str) -> Sentences | None:
        """Say what is missing of `codings`, `turns` and `challenges`, in a sentence; None if nothing is."""
        name = f"Study '{self.study.name}'"
        if "codings" in what and self.codings.empty:
            if self.turns.empty:
                return Sentences([f"{name} has no interviews: name transcripts and their codings as sources in its study file."])
            return Sentences([f"{name} has no codings of its interviews: name a file of them as a source in its study file."])
        if "turns" in what and self.turns.empty:
            if not self.study.transcripts:
                return Sentences([f"{name} has no transcripts: name their folder as a source in its study file."])
            return Sentences(
                [f"The transcripts of study '{self.study.name}' are not at hand, only codings by reference; `make study-data` "
                 "fetches them where they are published."]
            )  # fmt: skip
        if "challenges" in what:
            if self.defects.empty:
                return Sentences([f"{name} has no labelled defects to compare its interviews with."])
            if self._book.taxonomy != self.taxonomy.id:
                return Sentences(
                    [f"{name} is labelled by taxonomy '{self.taxonomy.id}'; what challenges look like in a tracker is told in "
                     f"'{self._book.id}', by '{self._book.taxonomy}' only."]
                )  # fmt: skip
        return None

    # Who was asked

    @_needs("turns")
    def participants(self) -> TitledFrame:
        """Show who was interviewed, by role: interviews, participants, turns and words, and turns that carry a code."""
        answers = self._answers
        marked = pd.MultiIndex.from_frame(answers[_TURN]).isin(
            list(zip(self._marks["transcript"], self._marks["turn"], strict=True))
        )
        rows = []
        for role in [*(role for role in ROLES if (answers["role"] == role).any()), "all"]:
            mask = (answers["role"] == role) if role != "all" else pd.Series(data=True, index=answers.index)
            of = answers[mask]
            by_person = of.groupby("participant")["words"].sum()
            rows.append(
                {
                    "Role": _plural(role) if role != "all" else "All who answer",
                    "Interviews": of["transcript"].nunique(),
                    "Participants": of["participant"].nunique(),
                    "Turns": len(of),
                    "Words": int(of["words"].sum()),
                    "Words each, median (range)": f"{by_person.median():.0f} ({by_person.min()} to {by_person.max()})",
                    "Turns that any coder codes": counted_share(int(marked[mask.to_numpy()].sum()), len(of)),
                }
            )
        asked = self.turns[self.turns["role"] == INTERVIEWER]
        han = answers.loc[answers["script"] == "Han", "participant"].unique()
        notes = [f"The interviewer has {len(asked)} turns more, which are not coded."]
        if len(han):
            notes.append(f"Of {', '.join(han)}, who speaks Chinese, words are characters.")
        return TitledFrame(self._titled("Participants"), pd.DataFrame(rows), " ".join(notes))

    # What coders see

    @_needs("codings")
    def themes_by_role(self) -> TitledFrame:
        """Show by whom each theme is named: participants, interviews, and the share of turns, overall and by role."""
        rows = []
        table = self._prevalence
        for theme in self._book.themes:
            of = _by(table[table["theme"] == theme.id], "group")
            overall = of["all"]
            row: dict[str, object] = {"Kind": theme.kind, "Theme": _name(theme)}
            if self._complete:
                row[f"Participants (of {overall.participants_n})"] = overall.participants
            row[f"Interviews (of {overall.interviews_n})"] = overall.interviews
            row["Turns, any coder (all coders)"] = f"{overall.turns} ({overall.agreed})"
            groups = ["all", *self._roles] if self._complete else []
            for group in groups:
                name = f"{'All' if group == 'all' else _plural(group)}, share of {of[group].n} turns"
                row[name] = share_text(of[group].share, of[group].low, of[group].high)
            if not self._complete:
                for role in self._roles:
                    row[f"{_plural(role)}, interviews (of {of[role].interviews_n})"] = of[role].interviews
            rows.append(row)
        note = "An asterisk marks the study's own challenges. "
        note += (
            "Intervals are Wilson's and take turns as independent of each other, which those of one interview are not: they are "
            "too narrow rather than too wide."
            if self._complete
            else "The transcripts are not at hand, so that it is not known how many turns there are."
        )
        return TitledFrame(self._titled("Themes by role"), pd.DataFrame(rows), note)

    @_needs("codings", "turns")
    def themes_chart(self) -> Chart:
        """Draw in which share of each role's turns each theme is seen."""
        groups = {role: _plural(role) for role in self._roles}
        return shares_by_group(self._prevalence, self._names, groups, self._titled("Themes by role"))

    @_needs("codings")
    def agreement(self) -> TitledFrame | Sentences:
        """Show how far coders agree, by theme and pooled, with what to bear in mind of who they are."""
        coders = sorted(self.codings["coder"].unique())
        if len(coders) < 2:
            return Sentences([f"Study '{self.study.name}' has one coder, '{coders[0]}': there is no agreement to estimate."])
        book = self._book
        pools = {_name(theme): [theme.id] for theme in book.themes}
        published = [theme.id for theme in book.themes if theme.published]
        if published:
            pools |= {f"the {_count(len(published))} challenges of the study, pooled": published}
        for kind in ("challenge", "practice"):
            pools |= {f"all {kind}s, pooled": [theme.id for theme in book.themes if theme.kind == kind]}
        pools |= {"all themes, pooled": [theme.id for theme in book.themes]}
        found = coded_turns.agreement(self._answers, self.codings, pools, self.study.seeds.resampling)
        shown = pd.DataFrame(
            {
                "Theme": found["pool"],
                "Turns, any coder": found["turns"],
                "All coders": found["agreed"],
                "Specific agreement": [with_interval(row.specific, row.specific_low, row.specific_high) for row in _rows(found)],
            }
        )
        if self._complete:
            for name, title in (("agreement", "Agreement"), ("cohen", "Cohen's kappa"), ("gwet", "Gwet's AC1")):
                values = _rows(found[[name, f"{name}_low", f"{name}_high"]])
                shown[f"{title} (n = {len(self._answers)})"] = [with_interval(*value) for value in values]
        note = f"{self._coders} Specific agreement: the share of what one coder sees that the other does, too. " + (
            "n: turns of those who answer; pooled themes count each turn once a theme. Intervals: bootstrap over interviews."
            if self._complete
            else "Coefficients that count turns without a theme need the transcripts, which are not at hand."
        )
        return TitledFrame(self._titled(f"Agreement of {', '.join(coders)}"), shown, note)

    @_needs("codings")
    def saturation(self) -> Chart:
        """Draw when interviews bring no new themes."""
        themes = [theme.id for theme in self._book.themes]
        table = coded_turns.saturation(self._answers, self._marks, themes, self.study.seeds.resampling)
        return saturation_curve(table, self._titled("Themes after each interview"))

    @_needs("codings", "turns")
    def cooccurrence(self, most: int = 12) -> TitledFrame:
        """Show which themes are seen in the same turn more often than by chance: the strongest associations."""
        book = self._book
        answers = self._answers[self._answers["words"] >= book.least_words]
        themes = [theme.id for theme in book.themes]
        found = coded_turns.cooccurrence(answers, self._marks, themes, self.study.seeds.resampling)
        found = found[found["both"] > 0].head(most)
        shown = pd.DataFrame(
            {
                "Theme": [f"{self._names[row.first]} ({row.first_n})" for row in _rows(found)],
                "With": [f"{self._names[row.second]} ({row.second_n})" for row in _rows(found)],
                "Turns with both": found["both"],
                "Lift": [written(value, "coefficient") for value in found["lift"]],
                "phi": [with_interval(row.phi, row.low, row.high) for row in _rows(found)],
            }
        )
        note = (
            f"Turns of {book.least_words} words or more, which could carry a theme; in brackets, those that carry this one. "
            "Lift: how many times as often as if themes were independent. Intervals: bootstrap over interviews."
        )
        return TitledFrame(f"Themes in the same turn ({self._size(f'n = {len(answers)} turns')})", shown, note)

    @_needs("codings")
    def phases(self) -> TitledFrame:
        """Show to which phase of the work each challenge belongs, as coders see it."""
        book = self._book
        themes = [theme for theme in book.themes if theme.kind == "challenge"]
        found = coded_turns.phases(self.codings, [theme.id for theme in themes], [phase.id for phase in book.phases])
        titles = {phase.id: phase.title for phase in book.phases} | {"": "Not stated"}
        rows = []
        for theme in themes:
            of = _rows(found[found["theme"] == theme.id])
            rows.append(
                {"Challenge": _name(theme), "Turns (n)": of[0].n} | {titles[row.phase]: _brief(row.votes, row.n) for row in of}
            )
        note = "Each turn has one vote, which its coders split where they name different phases. Wilson's intervals."
        return TitledFrame(self._titled("Phases of the work"), pd.DataFrame(rows), note)

    @_needs("codings", "turns")
    def quotations(self) -> TitledFrame:
        """Show for each of the study's challenges a short passage in which all coders see it, where transcripts are at hand."""
        everybody = self.codings["coder"].nunique()
        sure = (
            self.codings.assign(sure=self.codings["confidence"] == "high").groupby([*_TURN, "theme"])["sure"].sum().reset_index()
        )
        marks = self._marks.merge(sure, on=[*_TURN, "theme"]).merge(self._answers, on=_TURN)
        rows = []
        for theme in self._published:
            of = marks[(marks["theme"] == theme.id) & (marks["coders"] == everybody)]
            of = of.assign(han=of["script"] == "Han", far=(of["words"] - _MOST_WORDS).abs())
            of = of.sort_values(["han", "sure", "far", *_TURN], ascending=[True, False, True, True, True])
            rows += [{"Challenge": theme.title, "Who": row.participant, "Says": _excerpt(row.text)} for row in _rows(of.head(1))]
        note = (
            f"Of the turns of which coders are surest, the first {_MOST_WORDS} words. They stand in the store, and here: think "
            "of that before you pass this on."
        )
        return TitledFrame("In their words", pd.DataFrame(rows, columns=["Challenge", "Who", "Says"]), note)

    # What of it shows in the tracker

    @_needs("codings", "challenges")
    def summary(self) -> TitledFrame:
        """Show the challenges in short: who names them, how far coders agree, and how many defects tell of them."""
        pools = {theme.id: [theme.id] for theme in self._challenges}
        several = self.codings["coder"].nunique() > 1
        agreed = _by(coded_turns.agreement(self._answers, self.codings, pools, self.study.seeds.resampling), "pool")
        rows = []
        for theme in self._challenges:
            of, said = self._overall[theme.id], agreed[theme.id]
            row: dict[str, object] = {"Challenge": _name(theme)}
            if self._complete:
                row["Participants"] = f"{of.participants} of {of.participants_n}"
            row["Interviews"] = f"{of.interviews} of {of.interviews_n}"
            row["Turns, any coder (all coders)"] = f"{of.turns} ({of.agreed})"
            if self._complete:
                row["Share of turns"] = share_text(of.share, of.low, of.high)
            if several:
                row["Specific agreement"] = with_interval(said.specific, said.specific_low, said.specific_high)
                if self._complete:
                    row["Cohen's kappa"] = with_interval(said.cohen, said.cohen_low, said.cohen_high)
            row["Defects"] = f"{int(self._matched[theme.id].sum())} of {len(self.defects)}"
            row["Share of defects"] = counted_share(int(self._matched[theme.id].sum()), len(self.defects))
            rows.append(row)
        several_at_once = (self._matched.sum(axis=1) > 1).sum()
        none = (self._matched.sum(axis=1) == 0).sum()
        note = (
            f"Defects may tell of several challenges: {several_at_once} of {len(self.defects)} do, {none} of none. {self._coders}"
        )
        return TitledFrame(self._titled("Challenges in interviews and tracker"), pd.DataFrame(rows), note)

    def challenge_counts(self) -> pd.DataFrame:
        """Count by whom each challenge is named, and how many defects tell of it, to be quoted.

        Returns
        -------
        Columns `challenge` (id), `title`, `interviews`, `interviews_n`, `turns`, `turns_n`, `defects`, `defects_n`; and with the
        transcripts `participants`, `participants_n`, and the `share` of turns with its interval `low` and `high`. No rows for a
        study without codings.
        """
        rows = []
        for theme in [] if self.missing("codings", "challenges") else self._challenges:
            of = self._overall[theme.id]
            counts = of.interviews, of.interviews_n, of.turns, of.n, self._matched[theme.id].sum(), len(self.defects)
            more = (of.participants, of.participants_n, of.share, of.low, of.high) if self._complete else ()
            rows.append((theme.id, theme.title, *map(int, counts), *more))
        columns = ["challenge", "title", "interviews", "interviews_n", "turns", "turns_n", "defects", "defects_n"]
        more_columns = ["participants", "participants_n", "share", "low", "high"] if self._complete else []
        return pd.DataFrame(rows, columns=[*columns, *more_columns])

    @_needs("codings", "challenges")
    def in_the_tracker(self) -> TitledFrame:
        """Show by which labels each challenge is looked for in the tracker, why, and how many defects that finds."""
        found = challenges.clauses(self.defects, self._challenges, self.taxonomy)
        shown = pd.DataFrame(
            {
                "Challenge": found["challenge"].map(self._names),
                "Defects with": found["clause"],
                "because": found["reason"],
                "n": found["n"],
                "Share": [counted_share(n, len(self.defects)) for n in found["n"]],
                "by this alone": found["alone"],
            }
        )
        note = f"A defect tells of a challenge if it matches any of its lines: this project's reading, in '{self._book.id}'."
        return TitledFrame(f"Where challenges are looked for ({self._size(self._n)})", shown, note)

    @_needs("codings", "challenges")
    def distributions(self, most: int = 3) -> TitledFrame:
        """Show which stages, symptoms and causes the defects of a challenge have more often than the others."""
        rows = []
        for (challenge, facet), of in self._profile.groupby(["challenge", "facet"], sort=False):
            top = of.sort_values("difference", ascending=False, kind="stable").head(most)
            asked = self.taxonomy.facet(str(facet))
            rows += [
                {
                    "Challenge": self._names[str(challenge)],
                    "Facet": asked.title + (" (by definition)" if row.defining else ""),
                    "Category": asked.label(row.category),
                    "Defects": f"{row.count} of {row.n}",
                    "Share": counted_share(row.count, row.n),
                    "Among all": f"{100 * row.all_share:.1f} % (n = {row.all_n})",
                    "Difference from the others": _points(row.difference, row.low, row.high),
                }
                for row in _rows(top[top["difference"] > 0])
            ]
        note = (
            "The categories in which they exceed the other defects most; differences in percentage points, Newcombe's intervals. "
            "By definition: the challenge is looked for by this facet, so that a difference is no finding."
        )
        return TitledFrame(
            f"What defects of each challenge are, and others are not ({self._size(self._n)})", pd.DataFrame(rows), note
        )

    @_needs("codings", "challenges")
    def distributions_chart(self) -> Chart:
        """Draw stages, symptoms and groups of causes of each challenge's defects beside those of all."""
        tables = {}
        for facet_id in self._facets:
            facet = self.taxonomy.facet(facet_id)
            parents = {c: facet.parent(c) or c for c in facet.ids}
            values = self.defects[facet_id].astype(object)
            if facet_id == "root-cause":
                values = values.map(parents, na_action="ignore")
            order = list(dict.fromkeys(parents[c] if facet_id == "root-cause" else c for c in facet.ids))
            counts = {"All defects": values.value_counts()}
            counts |= {self._names[t.id]: values[self._matched[t.id]].value_counts() for t in self._challenges}
            table = pd.DataFrame(counts).T.reindex(columns=order).fillna(0).astype(int)
            table = table.loc[list(counts), table.sum() > 0]
            table.columns = pd.Index([facet.label(c) for c in table.columns])
            tables[facet.title] = table
        return stacks(tables, f"Defects that tell of each challenge ({self._size(self._n)})")

    @_needs("codings", "challenges")
    def ranks(self) -> TitledFrame:
        """Show how often each challenge comes up in interviews and in the tracker, which comes first, and how firmly."""
        said, found = self._ranks
        rows = []
        for turns, tracker in zip(_rows(said), _rows(found), strict=True):
            rows.append(
                {
                    "Challenge": self._names[turns.challenge],
                    f"In interviews (n = {self._unit})": share_text(turns.share, turns.low, turns.high),
                    "Rank": f"{turns.rank} (in {turns.support:.0%} of resamples)",
                    f"In the tracker (n = {tracker.n} defects)": share_text(tracker.share, tracker.low, tracker.high),
                    "Rank there": f"{tracker.rank} (in {tracker.support:.0%} of resamples)",
                }
            )
        note = "Resampled are interviews and issues. Turns and defects are different things: compare ranks, not shares."
        return TitledFrame(self._titled("What comes up most, said and reported"), pd.DataFrame(rows), note)

    @_needs("codings", "challenges")
    def phases_and_defects(self) -> TitledFrame | Sentences:
        """Show where in the work each challenge belongs, as it is said and as its defects are labelled."""
        if not any(phase.shows for phase in self._book.phases):
            return Sentences([f"'{self._book.id}' does not tell which defects belong to which phase of the work."])
        ids = [theme.id for theme in self._challenges]
        votes = coded_turns.phases(self.codings, ids, [phase.id for phase in self._book.phases])
        found = challenges.phases_and_defects(
            votes, self.defects, self._matched, self._challenges, self._book.phases, self.taxonomy
        )
        shown = pd.DataFrame(
            {
                "Challenge": found["challenge"].map(self._names),
                "Where": [row.where + (" (by definition)" if row.defining else "") for row in _rows(found)],
                "Said, of turns with such a phase": [
                    f"{_brief(row.votes, row.votes_n)} (n = {row.votes_n:g})" for row in _rows(found)
                ],
                "Reported, of its defects": [_of(row.count, row.n) for row in _rows(found)],
            }
        )
        note = (
            "Phases that the tracker's labels have, too; others, such as understanding the problem, leave no defects. "
            "By definition: the challenge is looked for by this facet. Wilson's intervals."
        )
        return TitledFrame(f"Where it is hard, and where it breaks ({self._size(self._n)})", shown, note)

    @_needs("codings", "challenges")
    def expectations(self) -> TitledFrame | Sentences:
        """Show what the tracker would show if the challenges were there as in the interviews, and whether it does."""
        if self._expectations.empty:
            return Sentences([f"'{self._book.id}' tells of no challenge what would follow from it in the tracker."])
        found = self._expectations
        shown = pd.DataFrame(
            {
                "Challenge": found["challenge"].map(self._names),
                "Expected": found["statement"],
                "Share": [_of(row.count, row.n) for row in _rows(found)],
                "Compared with": [_of(row.than_count, row.than_n) for row in _rows(found)],
                "Difference": [_points(row.difference, row.low, row.high) for row in _rows(found)],
                "Verdict": found["verdict"],
            }
        )
        note = (
            "The study holds that interviews and tracker tell of the same challenges. What should then show in the tracker is "
            "this project's inference, not the study's. Percentage points, Newcombe's intervals; not decided: they hold 0."
        )
        return TitledFrame(f"What would follow, and does ({self._size(self._n)})", shown, note)

    # What a machine would propose

    @_needs("codings", "turns")
    def matcher(self) -> TitledFrame:
        """Show how well the code book's cues find the turns that coders code, where cues were written and elsewhere."""
        from pipeline.classify.turns import evaluate  # loads spaCy

        book, answers = self._book, self._answers
        proposed = self.proposals()
        themes = [theme.id for theme in book.themes if theme.cues]
        long = answers.loc[answers["words"] >= book.least_words, _TURN].assign(theme=themes[0])
        everybody = self.codings["coder"].nunique()
        parts = []
        for name, transcripts in self._parts:
            here = answers[answers["transcript"].isin(transcripts)]
            for who, coded in (("any coder", self._marks), ("all coders", self._marks[self._marks["coders"] == everybody])):
                parts.append(evaluate(here, proposed, coded, themes, self.study.seeds.resampling).assign(part=name, who=who))
            all_long = evaluate(here, long, self._marks[self._marks["theme"].isin(themes)].assign(theme=themes[0]), themes[:1], 0)
            parts.append(all_long.tail(1).assign(part=name, who="long", theme="long"))
        found = pd.concat(parts, ignore_index=True)
        shown = found[(found["who"] != "all coders") | (found["theme"] == "any")]
        titles = self._names | {
            "any": "Any theme: worth reading",
            "long": f"For comparison: all turns of {book.least_words} words",
        }
        table = pd.DataFrame(
            {
                "Interviews": shown["part"],
                "Theme": shown["theme"].map(titles) + np.where(shown["who"] == "all coders", " (all coders)", ""),
                "Coded": shown["coded"],
                "Proposed": shown["proposed"],
                "Right": shown["right"],
                "Precision": [share_text(r.precision, r.precision_low, r.precision_high) for r in _rows(shown)],
                "Recall": [share_text(r.recall, r.recall_low, r.recall_high) for r in _rows(shown)],
                "F1": [with_interval(r.f1, r.f1_low, r.f1_high) for r in _rows(shown)],
            }
        )
        note = (
            "Against turns that any coder codes. Precision and recall: Wilson's intervals; F1: bootstrap over interviews. "
            f"The coders are no gold standard: {self._coders}"
        )
        return TitledFrame(self._titled("Turns proposed by cues"), table, note)

    def proposals(self) -> pd.DataFrame:
        """Return the turns that the code book's cues propose, without what is said: see `pipeline.classify.turns.proposals`."""
        from pipeline.classify.turns import CueMatcher, proposals  # loads spaCy

        return proposals(self._answers, CueMatcher(self._book))

    def conclusions(self) -> Sentences:
        """Say what interviews and tracker tell together, in sentences computed from the data."""
        if missing := self.missing("codings", "challenges"):
            return missing
        said, found = (_rows(ranks.sort_values("rank", kind="stable"))[0] for ranks in self._ranks)
        named = [self._overall[theme.id] for theme in self._challenges]
        least, interviews = min(row.interviews for row in named), named[0].interviews_n
        sentences = [
            f"Each of the {_count(len(named))} challenges comes up in at least {least} of {interviews} interviews; most often "
            f"{self._names[said.challenge].lower()}, in {share_text(said.share, said.low, said.high)} of {self._unit}.",
            f"Of {found.n} defects, {int(self._matched.any(axis=1).sum())} tell of at least one; most often "
            f"{self._names[found.challenge].lower()} ({share_text(found.share, found.low, found.high)}): what people name "
            f"most is {'also' if said.challenge == found.challenge else 'not'} what is reported most.",
        ]
        verdicts = self._expectations["verdict"].value_counts()
        shown, opposite = verdicts.get(challenges.AS_EXPECTED, 0), verdicts.get(challenges.OPPOSITE, 0)
        if total := len(self._expectations):
            sentences.append(
                f"Of {total} things that would follow in the tracker if challenges were there as in interviews, {shown} show, of "
                f"{opposite} the opposite shows, and {total - shown - opposite} cannot be decided with these data."
            )
        if self.codings["coder"].nunique() > 1:
            sentences.append(self._coders)
        return Sentences(sentences)

    @property
    def _book(self) -> Themes:
        assert self.themes is not None  # noqa: S101 (there are no codings without a code book)
        return self.themes

    @property
    def _complete(self) -> bool:
        return not self.turns.empty

    @property
    def _coders(self) -> str:
        return " ".join(source.coders for source in self.study.codings)

    @cached_property
    def _answers(self) -> pd.DataFrame:
        if self._complete:
            return coded_turns.answers_in(self.turns)
        roles = {name: role for source in self.study.transcripts for name, role in source.roles.items()}
        return coded_turns.coded_answers(self.codings, roles)

    @cached_property
    def _marks(self) -> pd.DataFrame:
        return coded_turns.marks_in(self.codings)

    @cached_property
    def _prevalence(self) -> pd.DataFrame:
        themes = [theme.id for theme in self._book.themes]
        return coded_turns.prevalence(self._answers, self._marks, themes, self.codings["coder"].nunique())

    @cached_property
    def _overall(self) -> dict[str, Any]:
        return _by(self._prevalence[self._prevalence["group"] == "all"], "theme")

    @property
    def _roles(self) -> list[str]:
        return [role for role in ROLES if (self._answers["role"] == role).any()]

    @property
    def _names(self) -> dict[str, str]:
        return {theme.id: theme.title for theme in self._book.themes}

    @property
    def _published(self) -> list[Theme]:
        return [theme for theme in self._book.themes if theme.published]

    @property
    def _challenges(self) -> list[Theme]:
        return self._book.challenges

    @property
    def _facets(self) -> list[str]:
        return [facet for facet in _FACETS if facet in self.defects]

    @cached_property
    def _matched(self) -> pd.DataFrame:
        return challenges.matches(self.defects, self._challenges, self.taxonomy)

    @cached_property
    def _profile(self) -> pd.DataFrame:
        return challenges.profile(self.defects, self._matched, self._challenges, self.taxonomy, self._facets)

    @cached_property
    def _expectations(self) -> pd.DataFrame:
        return challenges.expectations(self.defects, self._challenges, self.taxonomy)

    @cached_property
    def _ranks(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        seed = self.study.seeds.resampling
        index = pd.MultiIndex.from_frame(self._answers[_TURN])
        marks = self._marks
        said = pd.DataFrame(
            {
                theme.id: index.isin(list(marks.loc[marks["theme"] == theme.id, _TURN].itertuples(index=False, name=None)))
                for theme in self._challenges
            }
        )
        issues = self.defects["repository"] + "#" + self.defects["number"].astype(str)
        return (
            challenges.ranking(said, self._answers["transcript"].tolist(), seed),
            challenges.ranking(self._matched, issues.tolist(), seed),
        )

    @property
    def _parts(self) -> list[tuple[str, list[str]]]:
        there = list(self._answers["transcript"].drop_duplicates())
        seen = [name for name in there if name in self._book.seen]
        others = [name for name in there if name not in seen]
        parts = [(f"{len(others)} others", others), (f"{len(seen)} looked at for the cues", seen)]
        return [(name, transcripts) for name, transcripts in parts if transcripts]

    def _titled(self, title: str) -> str:
        interviews = self._answers["transcript"].nunique()
        sizes = [f"n = {interviews} interviews"]
        if self._complete:
            sizes += [f"{self._answers['participant'].nunique()} participants", f"{len(self._answers)} turns"]
        return f"{title} ({self._size(', '.join(sizes))})"

    @property
    def _unit(self) -> str:
        return f"{len(self._answers)} turns" if self._complete else f"{len(self._answers)} turns with a code"

    @property
    def _n(self) -> str:
        return f"n = {len(self.defects)} defects"

    def _size(self, size: str) -> str:
        return f"{size}; fictional data" if self.study.fictional else size


def _name(theme: Theme) -> str:
    return f"{theme.title} *" if theme.published else theme.title


def _plural(role: str) -> str:
    return f"{role.capitalize()}s"


def _count(n: int) -> str:
    words = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    return words[n] if n < len(words) else str(n)


def _points(difference: float, low: float, high: float) -> str:
    return "" if np.isnan(difference) else f"{written(difference, 'points')} {interval_text(low, high, 'points')}"


def _of(count: int, n: int) -> str:
    return f"{counted_share(count, n)} (n = {n})" if n else "none there"


def _brief(votes: float, n: int) -> str:
    return counted_share(votes, n) if votes else "0"


def _rows(frame: pd.DataFrame) -> list[Any]:
    """Return the rows of a frame by the names of its columns, whatever these hold."""
    return list(frame.itertuples(index=False))


def _by(frame: pd.DataFrame, column: str) -> dict[str, Any]:
    return {getattr(row, column): row for row in _rows(frame)}


def _excerpt(text: str) -> str:
    """Return the first words of what is said, on one line, without characters that do something to a terminal."""
    clean = "".join(c if c.isprintable() else " " for c in text)
    words = clean.split()
    return " ".join(words[:_MOST_WORDS]) + (" …" if len(words) > _MOST_WORDS else "")
