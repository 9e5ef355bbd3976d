"""How well facets are told from a text that was not learnt from: scores with intervals, beside baselines and beside people.

Scores come from out-of-fold predictions, pooled. Their 95 % intervals are the percentile bootstrap's over clusters, since threads
of a repository resemble each other: repositories where these are left out, threads else. All estimators are resampled alike,
so that differences are of pairs.
"""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.parallel import Parallel, delayed
from threadpoolctl import threadpool_limits

from pipeline.annotate.coefficients import estimate
from pipeline.classify.groups import (
    Fold,
    Groups,
    checked,
    find_groups,
    leave_one_repository_out,
    stratified,
    without_duplicates,
)
from pipeline.classify.labelled import Labelled
from pipeline.classify.text import Document
from pipeline.errors import RedefectError
from pipeline.intervals import wilson

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Estimators = Mapping[str, Any]
"""By name, what labels facets by scikit-learn's conventions (see `FacetByFacet`), unfitted."""

LEFT_OUT, STRATIFIED, STUDY = "left-out repositories", "stratified", "the study's labels"

MEASURES = ("kappa", "macro_f1", "weighted_f1", "accuracy", "brier", "log_loss", "calibration_error")

_RESAMPLES = 2000
_BINS = 10
_LEAST_PROBABILITY = 1e-3
"""What a logarithm takes for a probability of 0: nobody knows better from some hundred threads."""


@dataclass(frozen=True, slots=True)
class Predicted:
    """What an estimator said of a facet, out of fold: an entry a row and repeat, rows without an answer left out.

    Attributes
    ----------
    facet
        The facet's id.
    classes
        The categories' ids, sorted; `truth` and `said` are places in it, and `probabilities` has a column for each.
    rows
        Places in what was evaluated.
    clusters
        What is resampled as one.
    repeats
        How often each row was predicted.
    """

    facet: str
    classes: np.ndarray
    truth: Integers
    said: Integers
    probabilities: Floats
    rows: Integers
    clusters: Integers
    repeats: int

    @property
    def n(self) -> int:
        """The number of rows."""
        return len(self.rows) // self.repeats

    @property
    def confidence(self) -> Floats:
        """The probability of what was said."""
        return np.asarray(self.probabilities[np.arange(len(self.said)), self.said])


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The out-of-fold predictions of several estimators on the same folds: by estimator, by facet."""

    protocol: str
    predicted: Mapping[str, Mapping[str, Predicted]]

    @property
    def facets(self) -> list[str]:
        """The facets, in order."""
        return list(next(iter(self.predicted.values())))


def evaluate_left_out(labelled: Labelled, estimators: Estimators, *, groups: Groups | None = None, jobs: int = 1) -> Evaluation:
    """Predict each repository by a model that saw no thread of it, nor of its relatives."""
    groups = groups or find_groups(labelled.documents)
    return evaluate(LEFT_OUT, labelled, estimators, list(leave_one_repository_out(groups)), groups.families, jobs=jobs)


def evaluate_stratified(
    labelled: Labelled,
    estimators: Estimators,
    *,
    seed: int,
    groups: Groups | None = None,
    folds: int = 5,
    repeats: int = 5,
    jobs: int = 1,
) -> Evaluation:
    """Predict each thread by a model that saw others of its repository, but no near-duplicate."""
    groups = groups or find_groups(labelled.documents)
    drawn = list(stratified(groups, labelled.labels, folds=folds, repeats=repeats, seed=seed))
    return evaluate(STRATIFIED, labelled, estimators, drawn, groups.duplicates, jobs=jobs)


def evaluate_against(labelled: Labelled, study: Labelled, estimators: Estimators) -> tuple[Evaluation, pd.DataFrame]:
    """Predict threads that another study has labelled, by a model that saw neither them nor near-duplicates of them.

    Returns
    -------
    The evaluation against the first defect of each thread; and how often what was said is true of any defect of the thread:
    columns `facet`, `estimator`, `n` (threads), `hits`, `share`, and its 95 % Wilson interval `low`, `high`.
    """
    both, first = _beside(labelled, study)
    groups = find_groups(both.documents)
    fold = checked(without_duplicates(Fold(np.arange(len(labelled)), first), groups), groups.duplicates)
    evaluation = evaluate(STUDY, both, estimators, [fold], groups.duplicates)
    thread = np.array([_name(document) for document in both.documents])
    rows = []
    for facet in evaluation.facets:
        true: dict[str, set[str]] = {}
        for place in range(len(labelled), len(both)):
            if pd.notna(category := both.labels[facet].iloc[place]):
                true.setdefault(thread[place], set()).add(str(category))
        for name, of in evaluation.predicted.items():
            said = of[facet].classes[of[facet].said]
            hits = sum(str(category) in true[thread[row]] for row, category in zip(of[facet].rows, said, strict=True))
            interval = wilson(hits, of[facet].n)
            rows.append((facet, name, of[facet].n, hits, hits / max(1, of[facet].n), *interval))
    return evaluation, pd.DataFrame(rows, columns=["facet", "estimator", "n", "hits", "share", "low", "high"])


def agreement_with(labelled: Labelled, study: Labelled, *, seed: int) -> pd.DataFrame:
    """Compare labels with those of another study on the threads that have both: the first defect of each.

    Returns
    -------
    Columns `facet`, `n`, and Cohen's `kappa` with its 95 % interval `low`, `high`.
    """
    both, first = _beside(labelled, study)
    own = {_name(both.documents[row]): row for row in reversed(range(len(labelled)))}
    pairs = [(own[name], row) for row in first if (name := _name(both.documents[row])) in own]
    rows = []
    for facet in both.labels.columns:
        values = both.labels[facet].to_numpy(dtype=object)
        said = [
            (item, item, facet, who, values[row]) for item, both_rows in enumerate(pairs) for who, row in enumerate(both_rows)
        ]
        units = pd.DataFrame(said, columns=["item", "cluster", "facet", "annotator", "category"]).dropna()
        kappa = estimate(units, seed)["cohen"]
        if not np.isnan(kappa.value):
            rows.append((facet, kappa.n, kappa.value, kappa.low, kappa.high))
    return pd.DataFrame(rows, columns=["facet", "n", "kappa", "low", "high"])


def verdicts(scored: pd.DataFrame, estimator: str, baselines: Sequence[str]) -> pd.DataFrame:
    """Tell of each facet whether an estimator has learnt it; what it says of one that it has not is to be withheld.

    Parameters
    ----------
    scored
        What `scores` returned.
    baselines
        The estimators than which it must not be worse.

    Returns
    -------
    Columns `facet`, `n`, `kappa` with its interval `low`, `high`, `withheld`, and `why`, a sentence (empty if it is not).
    """
    kappas = scored[scored["measure"] == "kappa"].set_index(["facet", "estimator"])
    rows = []
    for facet in scored["facet"].drop_duplicates():
        own = kappas.loc[(facet, estimator)]
        others = {name: float(kappas.loc[(facet, name), "value"]) for name in baselines}
        better = [name for name in baselines if others[name] > own["value"]]
        why = ""
        if not own["low"] > 0:
            why = f"It may be no better than chance: kappa's interval begins at {own['low']:.2f}."
        elif better:
            why = f"It is worse than {better[0]}, whose kappa is {others[better[0]]:.2f}."
        rows.append((facet, int(own["n"]), own["value"], own["low"], own["high"], bool(why), why))
    return pd.DataFrame(rows, columns=["facet", "n", "kappa", "low", "high", "withheld", "why"])


def evaluate(
    protocol: str, labelled: Labelled, estimators: Estimators, folds: Sequence[Fold], clusters: np.ndarray, *, jobs: int = 1
) -> Evaluation:
    """Fit each estimator on the training rows of each fold, and let it predict the test rows.

    Parameters
    ----------
    clusters
        A number for each row, of what intervals take for one draw.
    jobs
        Processes to use; the result does not depend on it.
    """
    predicted = {}
    for name, estimator in estimators.items():
        answers = _answers(estimator, labelled, folds, jobs)
        predicted[name] = {
            facet: _pooled(facet, labelled.labels[facet], [answer[facet] for answer in answers], folds, clusters)
            for facet in labelled.labels.columns
        }
    return Evaluation(protocol, predicted)


def scores(evaluation: Evaluation, *, seed: int) -> pd.DataFrame:
    """Score each estimator on each facet by each of `MEASURES`.

    Returns
    -------
    Columns `protocol`, `facet`, `estimator`, `measure`, `n`, `value`, and the 95 % interval `low`, `high`; brier, log_loss and
    calibration_error are the better the lower they are.
    """
    rows = []
    for facet in evaluation.facets:
        for name, of in evaluation.predicted.items():
            predicted = of[facet]
            value, drawn = _resampled(predicted, seed)
            for measure in MEASURES:
                low, high = _interval(drawn[measure])
                rows.append((evaluation.protocol, facet, name, measure, predicted.n, float(value[measure][0]), low, high))
    return pd.DataFrame(rows, columns=["protocol", "facet", "estimator", "measure", "n", "value", "low", "high"])


def differences(evaluation: Evaluation, estimator: str, *, seed: int) -> pd.DataFrame:
    """Compare one estimator with each other on the same resamples.

    Returns
    -------
    Columns `protocol`, `facet`, `estimator`, `other`, `measure`, `n`, `difference` (the estimator's value less the other's), and
    its 95 % interval `low`, `high`.
    """
    rows = []
    for facet in evaluation.facets:
        own, own_drawn = _resampled(evaluation.predicted[estimator][facet], seed)
        for name, of in evaluation.predicted.items():
            if name == estimator:
                continue
            other, other_drawn = _resampled(of[facet], seed)
            for measure in MEASURES:
                low, high = _interval(own_drawn[measure] - other_drawn[measure])
                difference = float(own[measure][0] - other[measure][0])
                rows.append((evaluation.protocol, facet, estimator, name, measure, of[facet].n, difference, low, high))
    columns = ["protocol", "facet", "estimator", "other", "measure", "n", "difference", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def confusion(predicted: Predicted) -> pd.DataFrame:
    """Count what was said (columns) of what is so (rows); with repeats, their mean."""
    k = len(predicted.classes)
    counts = np.bincount(predicted.truth * k + predicted.said, minlength=k * k).reshape(k, k) / predicted.repeats
    names = [str(name) for name in predicted.classes]
    return pd.DataFrame(counts, index=pd.Index(names, name="truth"), columns=pd.Index(names, name="said"))


def _answers(estimator: Any, labelled: Labelled, folds: Sequence[Fold], jobs: int) -> list[dict[str, "_Answer"]]:
    """Return for each fold, and each facet, what the estimator said of the test rows."""
    if jobs == 1:
        return _answers_here(estimator, labelled, folds)
    parts = [folds[start::jobs] for start in range(jobs)]  # each process is handed the documents once
    done = Parallel(n_jobs=jobs)(delayed(_answers_here)(estimator, labelled, part) for part in parts)
    return [done[place % jobs][place // jobs] for place in range(len(folds))]


_Answer = tuple[np.ndarray, np.ndarray, np.ndarray]
"""The categories that a fold's model knows, what it said, and the probabilities of the categories."""


def _answers_here(estimator: Any, labelled: Labelled, folds: Sequence[Fold]) -> list[dict[str, _Answer]]:
    answers = []
    with threadpool_limits(1):  # sums depend on how they are parted among threads, in their last digits
        for train, test in folds:
            known = labelled[train]
            if empty := [facet for facet in known.labels.columns if not known.labels[facet].notna().any()]:
                raise RedefectError(f"Without the threads to be tested on, none has a label of {', '.join(empty)}; label more.")
            fitted = copy(estimator).fit(known.documents, known.labels)  # a clone would forget what its parameters have learnt
            asked = [labelled.documents[row] for row in test]
            said, probabilities = fitted.predict(asked), fitted.predict_proba(asked)
            places = {facet: place for place, facet in enumerate(fitted.facets_)}
            answers.append(
                {
                    facet: (np.asarray(fitted.classes_[place], str), said[:, place].astype(str), probabilities[place])
                    for facet, place in places.items()
                }
            )
    return answers


def _pooled(facet: str, labels: pd.Series, answers: Sequence[_Answer], folds: Sequence[Fold], clusters: np.ndarray) -> Predicted:
    """Put the folds' answers together, under all categories that any label or model has."""
    answered = labels.notna().to_numpy()
    truth = labels.to_numpy(dtype=object)
    classes = np.unique(np.concatenate([truth[answered].astype(str), *(known for known, _, _ in answers)]))
    rows = np.concatenate([fold.test for fold in folds])
    said = np.concatenate([np.searchsorted(classes, said) for _, said, _ in answers])
    probabilities = np.zeros((len(rows), len(classes)))
    start = 0
    for known, _, of in answers:
        probabilities[start : start + len(of), np.searchsorted(classes, known)] = of
        start += len(of)
    kept = answered[rows]
    rows = rows[kept]
    return Predicted(
        facet,
        classes,
        np.searchsorted(classes, truth[rows].astype(str)),
        said[kept],
        probabilities[kept],
        rows,
        np.unique(clusters[rows], return_inverse=True)[1],
        int(np.bincount(rows).max(initial=1)),
    )


def _resampled(predicted: Predicted, seed: int) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Return the measures, and those of resamples of clusters; two estimators with the same rows are resampled alike."""
    sums = cluster_sums(predicted)
    k = len(predicted.classes)
    clusters = len(sums)
    drawn = np.random.default_rng(seed).multinomial(clusters, np.full(clusters, 1 / clusters), size=_RESAMPLES)
    return measures_of(sums.sum(axis=0, keepdims=True), k), measures_of(drawn.astype(float) @ sums, k)


def cluster_sums(predicted: Predicted) -> Floats:
    """Return for each cluster what all measures are computed from: its table of truth by said, and sums of its rows.

    The columns are the table's cells, the Brier score, the log loss, and for each bin of confidence the rows, their confidence
    and how many of them are right.
    """
    k, m = len(predicted.classes), len(predicted.truth)
    shape = (int(predicted.clusters.max()) + 1, k * k + 2 + 3 * _BINS)
    sums = np.zeros(shape)
    every = np.arange(m)
    np.add.at(sums, (predicted.clusters, predicted.truth * k + predicted.said), 1)
    distance = ((predicted.probabilities - np.eye(k)[predicted.truth]) ** 2).sum(axis=1)
    floored = np.maximum(predicted.probabilities, _LEAST_PROBABILITY)
    surprise = -np.log(floored[every, predicted.truth] / floored.sum(axis=1))
    confidence = predicted.confidence
    bins = k * k + 2 + 3 * confidence_bins(confidence)
    values = [distance, surprise, np.ones(m), confidence, (predicted.said == predicted.truth).astype(float)]
    places = [np.full(m, k * k), np.full(m, k * k + 1), bins, bins + 1, bins + 2]
    for place, value in zip(places, values, strict=True):
        np.add.at(sums, (predicted.clusters, place), value)
    return sums


def confidence_bins(confidence: Floats) -> Integers:
    """Return the bin of each of some probabilities; bins are equally full, as far as equal probabilities allow."""
    edges = np.quantile(confidence, np.linspace(0, 1, _BINS + 1))
    return np.asarray(np.searchsorted(edges[1:-1], confidence))


def measures_of(sums: Floats, k: int) -> dict[str, Floats]:
    """Compute each measure from each row of sums."""
    table = sums[:, : k * k].reshape(-1, k, k)
    bins = sums[:, k * k + 2 :].reshape(-1, _BINS, 3)
    right, true, said = np.diagonal(table, axis1=1, axis2=2), table.sum(axis=2), table.sum(axis=1)
    n = true.sum(axis=1)
    observed, expected = right.sum(axis=1) / n, (true * said).sum(axis=1) / n**2
    there = true + said
    f1 = 2 * right / np.where(there, there, 1)
    with np.errstate(invalid="ignore", divide="ignore"):  # everything is, and was said to be, of one category: undefined
        kappa = (observed - expected) / (1 - expected)
    return {
        "kappa": kappa,
        "macro_f1": f1.sum(axis=1) / (there > 0).sum(axis=1),
        "weighted_f1": (f1 * true).sum(axis=1) / n,
        "accuracy": observed,
        "brier": sums[:, k * k] / n,
        "log_loss": sums[:, k * k + 1] / n,
        "calibration_error": np.abs(bins[:, :, 1] - bins[:, :, 2]).sum(axis=1) / n,
    }


def _beside(labelled: Labelled, study: Labelled) -> tuple[Labelled, np.ndarray]:
    """Put two sets of labels below each other, facets that both have; return the places of the second's first defects."""
    facets = [facet for facet in labelled.labels.columns if facet in study.labels.columns]
    if not facets or not len(study):
        raise RedefectError("The study has no labelled thread whose text is here, or no facet in common; import both first.")
    table = pd.concat([labelled.labels[facets].astype(object), study.labels[facets].astype(object)], ignore_index=True)
    both = Labelled([*labelled.documents, *study.documents], table)
    first: dict[str, int] = {}
    for place, document in enumerate(study.documents, start=len(labelled)):
        first.setdefault(_name(document), place)
    return both, np.array(list(first.values()))


def _name(document: Document) -> str:
    return f"{document.repository.casefold()}#{document.number}"


def _interval(drawn: Floats) -> tuple[float, float]:
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn):
        return np.nan, np.nan
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)
