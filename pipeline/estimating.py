"""Shares of categories among the threads of a store that a classifier has labelled, corrected for its errors."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.classify.model_file import Classifier
from pipeline.classify.prevalence import (
    REPLICATES,
    GoldSampleTooSmall,
    Prevalence,
    adapted_count,
    gold_alone,
    prediction_powered,
    too_small,
)
from pipeline.classifying import GATE_FACET
from pipeline.errors import RedefectError
from pipeline.export.table import Table
from pipeline.store import read
from pipeline.store.predictions import predictions, settled
from pipeline.store.session import Store
from pipeline.study import Study
from pipeline.taxonomy import Facet

HALF_WIDTH = 0.05
"""Of an interval, that a gold sample should reach."""

FEWEST = 10
"""Threads with labels, without which nothing is estimated."""

_LEAST = 1e-4
_KEY = ["repository", "number"]


@dataclass(frozen=True, slots=True)
class Shares:
    """The shares of a facet's categories.

    Attributes
    ----------
    estimate
        The corrected shares; None where there is no way to them, for which `why` gives the reason.
    alone
        Those of the gold sample without the machine, if there is one.
    warning
        Set if the gold sample is too small for the wanted intervals.
    """

    facet: Facet
    estimate: Prevalence | None
    alone: Prevalence | None = None
    warning: GoldSampleTooSmall | None = None
    why: str = ""


def estimate_shares(
    store: Store, study: Study, classifier: Classifier, digest: str, *, half_width: float = HALF_WIDTH
) -> list[Shares]:
    """Estimate the share of each category among the defects of a store, facet by facet.

    The defects are the threads that the gate takes for such, without those that people set aside and those on which the
    classifier was trained; so the shares hold as far as what the gate takes for a defect is one. Where people have
    labelled some of them (by the study's verdict; of several defects of a thread, the first counts), these are the gold sample,
    and have to be a random draw for the interval to hold. Without any, the classifier's own held-out threads stand in.

    Parameters
    ----------
    digest
        SHA-256 of the classifier's file, by which its predictions are found.
    half_width
        How wide to each side intervals may be; wider ones get a warning.

    Raises
    ------
    RedefectError
        If the store holds no predictions of this classifier.
    """
    taxonomy = study.read_taxonomy()
    with store.reading() as connection:
        known = read.defects(connection, study.name, taxonomy, study.verdict)
        asked = settled(connection, study.verdict)

    def said(facet: str) -> pd.DataFrame:
        with store.reading() as connection:
            return predictions(connection, classifier.name, digest, facet)

    gate = wide(said(GATE_FACET))
    if gate.empty:
        raise RedefectError(f"The store holds nothing that this model says; run `redefect classify --study {study.name}` first.")
    first = known.drop_duplicates(_KEY).set_index(_KEY)
    defects = new_defects(gate, first, asked, classifier)
    shares = []
    for name in classifier.categories:
        if name not in classifier.withheld and not (probable := wide(said(name))).empty:
            rows = probable.loc[probable.index.intersection(defects)]
            shares.append(shares_of(taxonomy.facet(name), rows, first, classifier, study.seeds.resampling, half_width))
    return shares


def wide(said: pd.DataFrame) -> pd.DataFrame:
    """Return predictions of one facet with a row an issue (by `repository` and `number`) and a column a category."""
    return said.pivot(index=_KEY, columns="category", values="probability").fillna(0.0)


def new_defects(gate: pd.DataFrame, first: pd.DataFrame, asked: Collection[tuple[str, int]], classifier: Classifier) -> pd.Index:
    """Return the threads that the gate takes for defects and that are new to the classifier, but none that people set aside.

    Parameters
    ----------
    gate
        What the gate says, as `wide` gives it.
    first
        The first defect of each thread that people labelled, by `repository` and `number`.
    asked
        The issues of which people said anything, and pull requests: see `pipeline.store.predictions.settled`.
    """
    defects = gate.index[gate["defect"] >= gate.drop(columns="defect").max(axis=1)]
    # People know better: what they set aside is no defect, whatever the gate says.
    open_ = [(repository.casefold(), number) not in asked for repository, number in defects] | defects.isin(first.index)
    new = [not classifier.has_seen(repository, number) for repository, number in defects]
    kept: pd.Index = defects[open_ & np.array(new, dtype=bool)]
    return kept


def shares_table(shares: list[Shares]) -> Table:
    """Return all estimates as one table, a row a category, with what each assumes."""
    frames = []
    for of in shares:
        for estimate in (of.estimate, of.alone):
            if estimate is not None:
                frame = estimate.frame.assign(method=estimate.method, assumes=estimate.assumption)
                frame.insert(0, "facet", of.facet.id)
                frames.append(frame)
    columns = ["facet", "category", "naive", "corrected", "low", "high", "n_unlabelled", "n_gold", "method", "assumes"]
    together = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)
    return Table("prevalence", "Shares from machine labels, corrected for the machine's errors, with 95 % intervals.", together)


def shares_of(
    facet: Facet, rows: pd.DataFrame, first: pd.DataFrame, classifier: Classifier, seed: int, half_width: float = HALF_WIDTH
) -> Shares:
    """Estimate the shares of a facet's categories: by people's labels of some of the threads, or by held-out threads.

    Parameters
    ----------
    rows
        Probabilities of the threads, as `wide` gives them.
    first
        The first defect of each thread that people labelled, by `repository` and `number`.
    """
    truth = first[facet.id].astype(object).dropna() if facet.id in first else pd.Series(dtype=object)
    truth = truth[truth.index.isin(rows.index)]
    unlabelled = rows[~rows.index.isin(truth.index)]
    if not len(truth):
        return held_out_shares(facet, unlabelled, classifier, seed)
    if len(truth) < FEWEST or len(unlabelled) < FEWEST:
        return Shares(facet, None, why=_too_few(len(truth), len(unlabelled)))
    return gold_shares(facet, unlabelled, rows.loc[truth.index], truth, classifier, half_width)


def gold_shares(
    facet: Facet,
    unlabelled: pd.DataFrame,
    gold: pd.DataFrame,
    truth: pd.Series,
    classifier: Classifier,
    half_width: float = HALF_WIDTH,
) -> Shares:
    """Estimate shares with a gold sample: `gold` holds what the machine says of it, and `truth` what it is, row by row."""
    names = [c for c in facet.ids if c in classifier.known_categories(facet.id) or c in set(truth)]
    numbers = np.array([names.index(category) for category in truth])
    machine, known = (_sure(frame.reindex(columns=names, fill_value=0.0)) for frame in (unlabelled, gold))
    estimate = prediction_powered(machine, known, numbers, names)
    return Shares(facet, estimate, gold_alone(numbers, names), too_small(estimate, half_width))


def held_out_shares(
    facet: Facet, unlabelled: pd.DataFrame, classifier: Classifier, seed: int, replicates: int = REPLICATES
) -> Shares:
    """Estimate shares without a gold sample, by what the classifier said of its training's threads when it had not seen them."""
    if facet.id not in classifier.held_out:
        return Shares(facet, None, why="nobody has labelled any of these threads, and the model holds none to correct by.")
    if len(unlabelled) < FEWEST:
        return Shares(facet, None, why=_too_few(0, len(unlabelled)))
    held, said = (classifier.held_out[facet.id][name] for name in ("probabilities", "truth"))
    counts = np.bincount(said, minlength=held.shape[1])
    enough = np.flatnonzero(counts >= 2)  # of one thread, nothing can be said of its kind
    known = [str(name) for name in classifier.facets.classes_[classifier.facets.facets_.index(facet.id)]]
    names = [known[column] for column in enough]
    kept = np.isin(said, enough)
    held_out = _sure(pd.DataFrame(held[kept][:, enough].astype(float), columns=names))
    machine = _sure(unlabelled.reindex(columns=names, fill_value=0.0))
    truth = np.searchsorted(enough, said[kept])
    return Shares(facet, adapted_count(machine, held_out, truth, names, seed=seed, replicates=replicates))


def _sure(frame: pd.DataFrame) -> np.ndarray:
    """Return rows that add up to one and hold no zero, of which no logarithm could be taken."""
    rows = frame.to_numpy(dtype=float) + _LEAST
    return np.asarray(rows / rows.sum(axis=1, keepdims=True))


def _too_few(gold: int, unlabelled: int) -> str:
    return f"too few threads: {gold} labelled by people and {unlabelled} by the machine alone; {FEWEST} of each are the least."
