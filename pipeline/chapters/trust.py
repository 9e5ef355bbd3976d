"""How far machine labels can be trusted: what a classifier's card, its held-out threads and a study's own labels tell of it."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np
import pandas as pd

from pipeline.analyze.figures import Chart, confusion_matrix, most_confused, precision_by_coverage, reliability_diagram
from pipeline.analyze.results import Sentences, TitledFrame
from pipeline.annotate.coefficients import estimate
from pipeline.chapters.machine import ANNOTATORS, CAVEATS, GOLD, HELD_OUT, WEAK, Machine
from pipeline.classify.evaluation import LEFT_OUT, Predicted, confusion
from pipeline.classify.reliability import coverage, reliability
from pipeline.classifying import GATE_FACET
from pipeline.models import shipped_model
from pipeline.numerals import counted_share, share_text, with_interval
from pipeline.taxonomy import Facet

_KEY = ["repository", "number"]
_NOTHING_HELD_OUT = Sentences(["The model's file holds no threads that it had not learnt from."])

_P = ParamSpec("_P")
_T = TypeVar("_T")


def _of_model(method: "Callable[Concatenate[Trust, _P], _T]") -> "Callable[Concatenate[Trust, _P], _T | Sentences]":
    """Let a method say why, where there is no model to tell of."""

    def told(self: "Trust", /, *arguments: _P.args, **keywords: _P.kwargs) -> _T | Sentences:
        return self.machine.missing or method(self, *arguments, **keywords)

    return wraps(method)(told)


def _of_threads(method: "Callable[Concatenate[Trust, _P], _T]") -> "Callable[Concatenate[Trust, _P], _T | Sentences]":
    """Let a method say why, where the model says nothing of the study's threads."""

    def told(self: "Trust", /, *arguments: _P.args, **keywords: _P.kwargs) -> _T | Sentences:
        return self.machine.silent or method(self, *arguments, **keywords)

    return wraps(method)(told)


class Trust:
    """What is known of how well a study's classifier does: tables, charts and sentences, each for a cell of a notebook.

    Where there is nothing to show, each says why.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    @_of_model
    def about(self) -> Sentences:
        """Tell which model it is, what it labels, and what it withholds."""
        classifier, path = self.machine.classifier, self.machine.path
        origin = "comes with ReDefect" if path == shipped_model() else "was trained for this study"
        learnt = max((of.n for of in self.machine.held_out.values()), default=0)
        withheld = ", ".join(self.machine.title(facet).lower() for facet in classifier.withheld) or "nothing"
        return Sentences(
            [
                f"The model {path.name} {origin} (SHA-256 {self.machine.digest[:12]}…). It learnt from {learnt:,} defects.",
                f"It labels {', '.join(facet.title.lower() for facet in self.machine.facets)}, and withholds {withheld}.",
            ]
        )

    @_of_model
    def scores(self) -> TitledFrame:
        """Tell how well it agrees, facet by facet, with labels of repositories that it had not learnt from."""
        scores = self.machine.card["Scores, with 95 % intervals"]
        scores = scores[scores["protocol"] == LEFT_OUT]
        why = self.machine.card["Verdicts"].set_index("facet")["why"]
        rows = []
        for facet in self.machine.classifier.categories:
            of = {row["measure"]: row for row in scores[scores["facet"] == facet].to_dict("records")}
            row = {"Facet": self.machine.title(facet), "n": f"{of['kappa']['n']:,}"}
            row |= {title: _number(of[name]) for name, title in _MEASURES.items()}
            rows.append(row | {"Withheld": why[facet] if facet in self.machine.classifier.withheld else "no"})
        return TitledFrame("Agreement with annotators on repositories left out, with 95 % intervals", pd.DataFrame(rows))

    @_of_model
    def people(self) -> TitledFrame | Sentences:
        """Put the classifier's kappa with its annotators beside theirs with people, and that of people among themselves."""
        human = self.machine.card.get("How well people and annotators agree")
        if human is None:
            return Sentences(["The model's card does not tell how well people agree."])
        own = self.machine.card["Verdicts"].assign(who="classifier, with the annotators")
        rows = {facet: {"Facet": self.machine.title(facet)} for facet in self.machine.classifier.categories}
        for of in pd.concat([own, human]).to_dict("records"):
            if of["facet"] in rows:
                who = str(of["who"])
                rows[of["facet"]][who[0].upper() + who[1:]] = f"{_number(of | {'value': of['kappa']})}, n = {of['n']:,}"
        columns = ["Facet", *(who[0].upper() + who[1:] for who in [*own["who"].unique(), *human["who"].unique()])]
        frame = pd.DataFrame(list(rows.values()), columns=columns).fillna("not known")
        return TitledFrame("Cohen's kappa of the classifier, of its annotators and of people, with 95 % intervals", frame)

    @_of_model
    def abstention(self) -> TitledFrame:
        """Tell below which probability it abstains, and how precise the answers are that are left."""
        rows = []
        for of in self.machine.card["Where it abstains"].to_dict("records"):
            never = pd.isna(of["threshold"])
            rows.append(
                {
                    "Facet": self.machine.title(of["facet"]),
                    "Wanted precision": f"{100 * of['wanted']:.0f} %",
                    "Abstains": "always: no threshold is that precise" if never else f"below {of['threshold']:.2f}",
                    "Answers": "none" if never else f"{of['n']:,.0f} ({100 * of['coverage']:.1f} %)",
                    "Right": "" if never else share_text(of["precision"], of["low"], of["high"]),
                }
            )
        return TitledFrame("Where the model abstains, and how precise its answers are", pd.DataFrame(rows))

    @_of_model
    def reliability(self) -> Chart | Sentences:
        """Draw whether probabilities mean what they say, on held-out threads."""
        return self._curves(reliability, reliability_diagram)

    @_of_model
    def coverage(self) -> Chart | Sentences:
        """Draw how precise the answers are when only the surest threads get one, on held-out threads."""
        return self._curves(coverage, precision_by_coverage)

    def _curves(
        self, of: Callable[[Predicted], pd.DataFrame], draw: Callable[[pd.DataFrame, dict[str, str]], Chart]
    ) -> Chart | Sentences:
        titles = {
            facet: self.machine.title(facet) for facet in self.machine.classifier.categories if facet in self.machine.held_out
        }
        if not titles:
            return _NOTHING_HELD_OUT
        return draw(pd.concat([of(self.machine.held_out[facet]) for facet in titles], ignore_index=True), titles)

    @_of_model
    def confusions(self, most: int = 3) -> TitledFrame | Sentences:
        """List what it most often takes for something else, facet by facet, on held-out threads."""
        rows = []
        for name in self.machine.classifier.categories:
            if name not in self.machine.held_out:
                continue
            facet, counts = self.machine.taxonomy.facet(name), confusion(self.machine.held_out[name])
            totals = counts.sum(axis=1)
            for so, said, n in most_confused(counts, most):
                rows.append(
                    {
                        "Facet": facet.title,
                        "It is": facet.label(so),
                        "It says": facet.label(said),
                        "Threads": f"{n:.0f} of {totals[so]:.0f}",
                        "Share": counted_share(n, int(totals[so])),
                    }
                )
        return TitledFrame("Most frequent confusions on held-out threads", pd.DataFrame(rows)) if rows else _NOTHING_HELD_OUT

    @_of_model
    def confusion(self, facet: str) -> Chart | Sentences:
        """Draw what it says of what is so, on held-out threads."""
        if facet not in self.machine.held_out:
            return Sentences([f"The model has no held-out threads for a facet '{facet}'."])
        of, counts = self.machine.taxonomy.facet(facet), confusion(self.machine.held_out[facet])
        known = [category for category in of.ids if category in counts.index]
        counts = counts.loc[known, known].rename(of.label, axis=0).rename(of.label, axis=1)
        return confusion_matrix(counts, f"{of.title}, held-out threads")

    @_of_threads
    def answers(self) -> TitledFrame:
        """Count what the model says of the study's threads, facet by facet, and what it says most often."""
        rows = [_answered("Is it a defect?", self.machine.said(GATE_FACET), str)]
        rows += [_answered(facet.title, self.machine.said(facet.id), facet.label) for facet in self.machine.facets]
        return TitledFrame(self._sized("What the model says", len(self.machine.threads)), pd.DataFrame(rows))

    @_of_threads
    def agreement(self) -> TitledFrame | Sentences:
        """Compare the model with the study's own labels, on threads that it has not learnt from."""
        rows = [row for facet in self.machine.facets if (row := self._agreed(facet))]
        if not rows:
            return Sentences([self._labelled])
        title = self._sized("The model beside the study's labels", len(self.machine.new_labelled))
        return TitledFrame(title, pd.DataFrame(rows), self._labelled)

    def _agreed(self, facet: Facet) -> dict[str, Any] | None:
        said = self.machine.said(facet.id)
        guesses = said[said["guess"].astype(bool)].set_index(_KEY)[["category", "abstained"]]
        both = self.machine.first.loc[self.machine.new_labelled, [facet.id]].dropna().join(guesses, how="inner")
        if both.empty:
            return None
        n, right = len(both), (both[facet.id].astype(str) == both["category"]).to_numpy()
        any_ = set(self.machine.defects[[*_KEY, facet.id]].dropna().astype({facet.id: str}).itertuples(index=False, name=None))
        hits = sum(said in any_ for said in both["category"].reset_index().itertuples(index=False, name=None))
        sure = ~both["abstained"].to_numpy(dtype=bool)
        units = pd.DataFrame(
            {
                "item": np.tile(np.arange(n), 2),
                "cluster": np.tile(both.index.get_level_values("repository"), 2),
                "facet": facet.id,
                "annotator": np.repeat(["labels", "machine"], n),
                "category": [*both[facet.id].astype(str), *both["category"]],
            }
        )
        kappa = estimate(units, self.machine.study.seeds.resampling)["cohen"]
        answered = _counted(int(right[sure].sum()), int(sure.sum())) if sure.any() else "never answers"
        return {
            "Facet": facet.title,
            "Threads": n,
            "Kappa": _number({"value": kappa.value, "low": kappa.low, "high": kappa.high}),
            "Right": _counted(int(right.sum()), n),
            "Right of any of the thread's defects": _counted(hits, n),
            "Right where it does not abstain": answered,
        }

    def _sized(self, title: str, n: int) -> str:
        return f"{title} (n = {n:,} threads{'; fictional data' if self.machine.study.fictional else ''})"

    @property
    def _labelled(self) -> str:
        name, labelled, new = self.machine.study.name, len(self.machine.first), len(self.machine.new_labelled)
        if not labelled:
            return f"Study '{name}' has no labels yet with which to compare the machine."
        if not new:
            return (
                f"The model has learnt from all {labelled:,} labelled threads of study '{name}': that it agrees with them would "
                "tell nothing. The scores on left-out repositories are what is known of it."
            )
        return (
            f"Of {labelled:,} labelled threads of study '{name}', the {labelled - new:,} that the model learnt from are left out."
        )

    @_of_threads
    def assumptions(self) -> Sentences:
        """Tell what each of the corrected shares rests on, with the numbers of threads behind it."""
        told = [
            f"{self._labelled} Shares are of the {len(self.machine.new_defects):,} threads that are new to the model and that it "
            "takes for defects, one defect a thread."
        ]
        ways = {by: of for facet in self.machine.facets for by, of in self.machine.shares(facet).items()}
        for by, of in ways.items():
            n, gold = of.frame[["n_unlabelled", "n_gold"]].iloc[0]
            told.append(f"Corrected by {by} ({of.method}; {n:,} threads, {gold:,} labels): {CAVEATS[by]}")
        return Sentences(told)

    @_of_threads
    def prevalence(self) -> TitledFrame | Sentences:
        """Put shares counted among machine labels beside those that are corrected for its errors, and beside counted labels."""
        rows: list[dict[str, Any]] = []
        for facet in self.machine.facets:
            shares = {by: of.frame.set_index("category") for by, of in self.machine.shares(facet).items()}
            known = self.machine.first.loc[self.machine.new_labelled, facet.id].dropna().astype(str)
            for category in facet.ids:
                there = {by: of.loc[category] for by, of in shares.items() if category in of.index}
                if not there:
                    continue
                naive = next(iter(there.values()))["naive"]
                row = {"Facet": facet.title, "Category": facet.label(category), "Machine's count": f"{100 * naive:.1f} %"}
                for by in (HELD_OUT, ANNOTATORS, GOLD):
                    if by in there:
                        row[f"Corrected by {by}"] = share_text(*there[by][["corrected", "low", "high"]])
                if len(known):
                    row["Labels of new threads, counted"] = _counted(int((known == category).sum()), len(known))
                rows.append(row)
        if not rows:
            return Sentences(["The model takes too few threads for defects to tell shares of them."])
        title = self._sized("Shares of defects, with 95 % intervals", len(self.machine.new_defects))
        return TitledFrame(title, pd.DataFrame(rows).fillna(""))

    @_of_model
    def conclusions(self) -> Sentences:
        """Tell what follows for who wants to use the labels."""
        verdicts = {of["facet"]: of | {"value": of["kappa"]} for of in self.machine.card["Verdicts"].to_dict("records")}
        by_kappa = sorted(self.machine.facets, key=lambda facet: verdicts[facet.id]["kappa"])
        worst, best = by_kappa[0], by_kappa[-1]
        weak = ", ".join(self.machine.title(facet).lower() for facet in self.machine.weak)
        told = [
            f"On repositories that it had not learnt from, the model agrees with its annotators most on {best.title.lower()}, "
            f"kappa {_number(verdicts[best.id])} (n = {verdicts[best.id]['n']:,}), and least on {worst.title.lower()}, "
            f"{_number(verdicts[worst.id])} (n = {verdicts[worst.id]['n']:,}).",
            f"No finding may rest on its labels of {weak}: there, its annotators' kappa with people is below {WEAK} or not known."
            if weak
            else f"Its annotators' kappa with people is at least {WEAK} for every facet.",
        ]
        return Sentences([*told, *(self.machine.silent or self._on_shares())])

    def _on_shares(self) -> list[str]:
        """Tell how far counts are off, and how far the correction is where people's labels tell."""
        frames = []
        for facet in self.machine.facets:
            known = self.machine.first.loc[self.machine.new_labelled, facet.id].dropna().astype(str)
            shares = known.value_counts(normalize=True)
            for by, of in self.machine.shares(facet).items():
                counted = of.frame["category"].map(shares).fillna(0.0) if len(known) else np.nan
                frames.append(of.frame.assign(facet=facet.id, by=by, counted=counted, labels=len(known)))
        if not frames:
            return [self._labelled]
        table = pd.concat(frames, ignore_index=True)
        told = []
        for by in table["by"].drop_duplicates():
            of = table[table["by"] == by]
            outside = (of["naive"] < of["low"]) | (of["naive"] > of["high"])
            row = of.loc[(of["naive"] - of["corrected"]).abs().idxmax()].to_dict()
            facet = self.machine.taxonomy.facet(row["facet"])
            told.append(
                f"Corrected by {by}, {outside.sum()} of {len(of)} shares have a 95 % interval without the share that one would "
                f"count; the furthest is that of {facet.label(row['category'])} ({facet.title.lower()}): counted "
                f"{100 * row['naive']:.1f} %, corrected {share_text(row['corrected'], row['low'], row['high'])} "
                f"(n = {row['n_unlabelled']:,} threads and {row['n_gold']:,} labels)."
            )
            if by == HELD_OUT and of["labels"].min() > 0:
                within = (of["counted"] >= of["low"]) & (of["counted"] <= of["high"])
                told.append(
                    f"Put to the test by this study's labels of {of['labels'].max():,} new threads, {within.sum()} of these "
                    f"{len(of)} intervals ({100 * within.mean():.0f} %) hold the share among the labels; nearly all would, if "
                    "texts were alike."
                )
        return told


def _answered(title: str, said: pd.DataFrame, label: Callable[[str], str]) -> dict[str, Any]:
    guesses = said[said["guess"].astype(bool)]
    sure = guesses.loc[~guesses["abstained"].astype(bool), "category"]
    return {
        "Facet": title,
        "Threads": f"{len(guesses):,}",
        "Answers": f"{len(sure):,} ({100 * len(sure) / max(1, len(guesses)):.1f} %)",
        "Most frequent answers": ", ".join(f"{label(str(c))} {n:,}" for c, n in sure.value_counts().head(3).items()) or "none",
    }


def _counted(count: int, n: int) -> str:
    return f"{counted_share(count, n)}, n = {n:,}"


_MEASURES = {"kappa": "Kappa", "macro_f1": "Macro F1", "calibration_error": "Calibration error"}


def _number(of: Mapping[Any, Any]) -> str:
    return with_interval(of["value"], of["low"], of["high"])
