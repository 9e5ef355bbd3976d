"""What a classifier says of a study's threads, and the shares of categories that follow from it."""

from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.analyze.results import Sentences
from pipeline.classify.evaluation import Predicted
from pipeline.classify.model_card import read_card
from pipeline.classify.model_file import Classifier, likeliest, read_model
from pipeline.classify.prevalence import Prevalence
from pipeline.classifying import GATE_FACET
from pipeline.classifying import predictions as labelled
from pipeline.errors import RedefectError
from pipeline.estimating import FEWEST, gold_shares, held_out_shares, new_defects, wide
from pipeline.files import sha256
from pipeline.material import learnt_from
from pipeline.models import shipped_model
from pipeline.store import read
from pipeline.store.predictions import predictions, settled
from pipeline.store.session import Store
from pipeline.study import Study
from pipeline.taxonomy import Facet

GOLD, ANNOTATORS, HELD_OUT = "labels of some of these threads", "annotators' labels", "held-out threads"
"""What shares are corrected by."""

CAVEATS = {
    GOLD: "it assumes that the labelled threads were drawn at random from these, and nothing of the classifier.",
    ANNOTATORS: (
        "it assumes that the labelled threads were drawn at random from these, which they were not: they are a convenience "
        "sample of some of the repositories; and its labels are automated annotators', not people's."
    ),
    HELD_OUT: (
        "it assumes that threads of a category are written here as they are where the model learnt (prior shift); where texts "
        "differ, it was measured to be off, whatever its interval looks like."
    ),
}
"""What has to hold for each way of correcting, and where it is known not to."""

WEAK = 0.4
"""Kappa of annotators with people below which no finding may rest on a facet: no more than fair (Landis & Koch 1977)."""

_ANNOTATORS_WITH_PEOPLE = "annotators, with the study"
_MOST_IN_MEMORY = 2_000
"""Threads that are labelled while somebody waits, if the store holds nothing that the model says."""

_KEY = ["repository", "number"]
_SAID = [*_KEY, "category", "probability", "guess", "abstained"]


class Machine:
    """What a study's classifier says: the one that was trained for the study (in `data/build`), or else the shipped one.

    Parameters
    ----------
    defects
        The study's frame of defects: what its verdict says.
    """

    def __init__(self, study: Study, store: Store, defects: pd.DataFrame) -> None:
        self.study, self.defects = study, defects
        self.taxonomy = study.read_taxonomy()
        self.store = store
        self._said: dict[str, pd.DataFrame] = {}
        self._shares: dict[tuple[str, str], dict[str, Prevalence]] = {}

    @cached_property
    def path(self) -> Path:
        """The model's file."""
        own = sorted((self.study.build / "model").glob("*.skops"))
        return own[-1] if own else shipped_model()

    @cached_property
    def classifier(self) -> Classifier:
        """The model."""
        return read_model(self.path)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the model's file."""
        return sha256(self.path)

    @cached_property
    def card(self) -> dict[str, pd.DataFrame]:
        """The tables of the model's card."""
        return read_card(self.path)

    @cached_property
    def missing(self) -> Sentences | None:
        """Why there is no model to speak of; None if there is one."""
        try:
            card = self.card
        except RedefectError as error:
            return Sentences([str(error)])
        name, wanted = self.classifier.name, self.study.taxonomy
        if name == wanted and card:
            return None
        return Sentences(
            [
                f"The model {self.path.name} labels by the taxonomy '{name}', and study '{self.study.name}' by '{wanted}'; "
                f"train one for it by `make train STUDY={self.study.name}`."
            ]
        )

    @property
    def facets(self) -> list[Facet]:
        """The facets that it labels and does not withhold."""
        return [self.taxonomy.facet(name) for name in self.classifier.categories if name not in self.classifier.withheld]

    def title(self, facet: str) -> str:
        """Return what a facet is called."""
        return self.taxonomy.facet(facet).title

    @cached_property
    def weak(self) -> list[str]:
        """The facets on which no finding may rest: its annotators follow people little there, or it is not known how much."""
        human = self.card.get("How well people and annotators agree", pd.DataFrame(columns=["who", "facet", "kappa"]))
        known = human[human["who"] == _ANNOTATORS_WITH_PEOPLE].set_index("facet")["kappa"].to_dict()
        return [facet for facet in self.classifier.categories if not known.get(facet, -1) >= WEAK]

    @cached_property
    def held_out(self) -> dict[str, Predicted]:
        """What it said, by facet, of the defects that it learnt from before it had seen them or others of their repositories."""
        facets, found = self.classifier.facets, {}
        for column, facet in enumerate(facets.facets_):
            if facet not in self.classifier.held_out:
                continue
            held = self.classifier.held_out[facet]
            truth, probable = held["truth"].astype(np.int64), held["probabilities"].astype(float)
            # Best guesses are asked for all facets at once; what the others get does not matter.
            asked = [np.full((len(truth), len(classes)), 1 / len(classes)) for classes in facets.classes_]
            asked[column] = probable
            classes = np.asarray(facets.classes_[column], dtype=str)
            said = np.searchsorted(classes, facets.best_guesses(asked)[:, column].astype(str))
            rows = np.arange(len(truth))
            found[facet] = Predicted(facet, classes, truth, said, probable, rows, rows, 1)
        return found

    @cached_property
    def threads(self) -> pd.DataFrame:
        """The threads of the store, a row a thread: see `pipeline.store.read.texts`."""
        with self.store.reading() as connection:
            return read.texts(connection)

    @cached_property
    def silent(self) -> Sentences | None:
        """Why the model says nothing of this study's threads; None if it does."""
        if self.missing:
            return self.missing
        name = self.study.name
        if self.threads.empty:
            return Sentences(
                [
                    f"The store of study '{name}' holds no texts, only references and labels: there is nothing that a machine "
                    f"could label. `redefect collect --study {name} --labelled` fetches the texts from GitHub."
                ]
            )
        if self.said(GATE_FACET).empty:
            return Sentences(
                [
                    f"The {len(self.threads):,} threads of study '{name}' are not labelled by this model yet; "
                    f"run `make classify STUDY={name}` first."
                ]
            )
        return None

    def said(self, facet: str) -> pd.DataFrame:
        """Return what the model says of a facet (or of the gate) in the store's threads, a row a thread and category.

        It is read from the store; a few threads of which the store holds nothing are labelled here.

        Returns
        -------
        Columns `repository`, `number`, `category`, `probability`, `guess`, `abstained`.
        """
        if not self._said:
            self._said[GATE_FACET] = self._stored(GATE_FACET)
            if self._said[GATE_FACET].empty and len(self.threads) <= _MOST_IN_MEMORY:
                self._said |= self._labelled()
        if facet not in self._said:
            self._said[facet] = self._stored(facet)
        return self._said[facet]

    def _stored(self, facet: str) -> pd.DataFrame:
        with self.store.reading() as connection:
            return predictions(connection, self.classifier.name, self.digest, facet)[_SAID]

    def _labelled(self) -> dict[str, pd.DataFrame]:
        facets = [facet.id for facet in self.facets]
        rows: dict[str, list[tuple[object, ...]]] = {facet: [] for facet in (GATE_FACET, *facets)}
        with self.store.reading() as connection:
            for said in labelled(self.classifier, islice(read.threads(connection), _MOST_IN_MEMORY), processes=1):
                key, gate = (said.repository, said.number), likeliest(said.gate)
                rows[GATE_FACET] += [(*key, category, p, category == gate, False) for category, p in said.gate.items()]
                for facet in facets:
                    of = said.facets[facet]
                    rows[facet] += [(*key, c, p, c == of.category, of.abstained) for c, p in of.probabilities.items()]
        return {facet: pd.DataFrame(of, columns=_SAID) for facet, of in rows.items()}

    @cached_property
    def first(self) -> pd.DataFrame:
        """The first defect of each labelled thread, by `repository` and `number`."""
        return self.defects.drop_duplicates(_KEY).set_index(_KEY)

    @cached_property
    def new_labelled(self) -> pd.Index:
        """The study's labelled threads that the model has not learnt from."""
        return self.first.index[np.array([not self.classifier.has_seen(*key) for key in self.first.index], dtype=bool)]

    @cached_property
    def new_defects(self) -> pd.Index:
        """The threads that are new to the model and that it takes for defects, without those that people set aside."""
        with self.store.reading() as connection:
            asked = settled(connection, self.study.verdict)
        return new_defects(wide(self.said(GATE_FACET)), self.first, asked, self.classifier)

    def shares(self, facet: Facet, name: str = "all", issues: pd.Index | None = None) -> dict[str, Prevalence]:
        """Estimate the shares of a facet's categories among the new defects, in each way of correcting that the data allow.

        Parameters
        ----------
        name, issues
            To which issues (`repository` and `number`) to keep, and what they are called, so that nothing is computed twice.

        Returns
        -------
        By what they are corrected by, as far as there is enough of it: `GOLD` (this study's labels of threads that the model has
        not learnt from: a gold sample), `ANNOTATORS` (labels that it learnt from, of these repositories, with what it said of the
        threads before it had seen them: a gold sample, too), and `HELD_OUT` (all that it learnt from, of whatever repositories).
        """
        if (facet.id, name) not in self._shares:
            known = not self.silent and facet in self.facets
            self._shares[facet.id, name] = self._estimated(facet, issues) if known else {}
        return self._shares[facet.id, name]

    def _estimated(self, facet: Facet, issues: pd.Index | None) -> dict[str, Prevalence]:
        rows = wide(self.said(facet.id))
        rows = rows.loc[rows.index.intersection(self.new_defects if issues is None else self.new_defects.intersection(issues))]
        truth = self.first[facet.id].astype(object).dropna()
        truth = truth[truth.index.isin(rows.index)]
        rest = rows[~rows.index.isin(truth.index)]
        estimates = {}
        if min(len(truth), len(rest)) >= FEWEST:
            estimates[GOLD] = gold_shares(facet, rest, rows.loc[truth.index], truth, self.classifier)
        gold, learnt = self._learnt(facet.id, issues)
        if min(len(learnt), len(rows)) >= FEWEST:
            estimates[ANNOTATORS] = gold_shares(facet, rows, gold, learnt, self.classifier)
        estimates[HELD_OUT] = held_out_shares(facet, rows, self.classifier, self.study.seeds.resampling)
        return {by: of.estimate for by, of in estimates.items() if of.estimate is not None}

    def _learnt(self, facet: str, issues: pd.Index | None) -> tuple[pd.DataFrame, pd.Series]:
        """Return what the model said of defects that it learnt from, before it had, and what they are; empty if not known."""
        held, learnt = self.held_out[facet], self._learnt_from[["repository", "number", facet]].dropna()
        if not np.array_equal(held.classes[held.truth], learnt[facet].astype(str)):
            return pd.DataFrame(), pd.Series(dtype=object)  # it learnt from something else
        names = pd.MultiIndex.from_frame(self.threads[_KEY]) if issues is None else issues
        there = {(repository.casefold(), number) for repository, number in names}
        kept = np.array([key in there for key in learnt[_KEY].itertuples(index=False, name=None)], dtype=bool)
        return pd.DataFrame(held.probabilities[kept], columns=list(held.classes)), learnt.loc[kept, facet]

    @cached_property
    def _learnt_from(self) -> pd.DataFrame:
        return learnt_from(self.study)
