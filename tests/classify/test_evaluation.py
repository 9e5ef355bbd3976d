from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import (
    accuracy_score,
    cohen_kappa_score,
    confusion_matrix,
    f1_score,
    log_loss,
)
from stories import SYMPTOMS, labelled

from pipeline.classify.baselines import majority, plain_words, stratified_random
from pipeline.classify.evaluation import (
    MEASURES,
    Evaluation,
    Predicted,
    agreement_with,
    confusion,
    differences,
    evaluate_against,
    evaluate_left_out,
    evaluate_stratified,
    scores,
    verdicts,
)
from pipeline.classify.labelled import Labelled
from pipeline.classify.text import Document
from pipeline.errors import RedefectError

ESTIMATORS: dict[str, Any] = {"majority": majority(), "chance": stratified_random(3), "words": plain_words()}


@pytest.fixture(scope="module")
def left_out() -> Evaluation:
    return evaluate_left_out(labelled(), ESTIMATORS)


@pytest.fixture(scope="module")
def repeated() -> Evaluation:
    return evaluate_stratified(labelled(), ESTIMATORS, seed=1, folds=4, repeats=3)


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")  # scikit-learn's, where kappa is undefined
def test_scores_are_scikit_learn_s(left_out: Evaluation, repeated: Evaluation) -> None:
    for evaluation in (left_out, repeated):
        table = scores(evaluation, seed=1).set_index(["facet", "estimator", "measure"])["value"]
        for facet in evaluation.facets:
            for name in ESTIMATORS:
                made = evaluation.predicted[name][facet]
                truth, said, k = made.truth, made.said, len(made.classes)
                floored = np.maximum(made.probabilities, 1e-3)
                floored /= floored.sum(axis=1, keepdims=True)
                expected = {
                    "kappa": cohen_kappa_score(truth, said),
                    "macro_f1": f1_score(truth, said, average="macro", zero_division=0),
                    "weighted_f1": f1_score(truth, said, average="weighted", zero_division=0),
                    "accuracy": accuracy_score(truth, said),
                    "log_loss": log_loss(truth, floored, labels=range(k)),
                }
                for measure, value in expected.items():
                    assert table[facet, name, measure] == pytest.approx(value, nan_ok=True), (facet, name, measure)


def test_every_row_with_an_answer_is_scored_once_a_repeat(left_out: Evaluation, repeated: Evaluation) -> None:
    answered = np.flatnonzero(labelled().labels["reporter"].notna())
    made = left_out.predicted["words"]["reporter"]
    assert sorted(made.rows) == list(answered)
    assert made.n == len(answered)
    again = repeated.predicted["words"]["reporter"]
    assert (again.n, again.repeats) == (len(answered), 3)
    assert sorted(again.rows) == sorted(list(answered) * 3)


def test_where_words_tell_a_facet_they_beat_the_baselines_and_where_nothing_does_they_do_not(left_out: Evaluation) -> None:
    table = differences(left_out, "words", seed=1)
    kappas = table[table["measure"] == "kappa"].set_index(["facet", "other"])
    assert set(kappas.index.get_level_values("other")) == {"majority", "chance"}
    assert (kappas.loc["symptom", "low"] > 0.2).all()
    assert (kappas.loc["reporter", "low"] < 0.1).all()


def test_the_interval_of_a_difference_is_that_of_pairs(left_out: Evaluation) -> None:
    twice = Evaluation(left_out.protocol, {"words": left_out.predicted["words"], "same": left_out.predicted["words"]})
    same = differences(twice, "words", seed=5)
    assert (same[["difference", "low", "high"]].fillna(0) == 0).all(axis=None)


def predicted(truth: Sequence[int], said: Sequence[int], clusters: Sequence[int], confidence: float = 0.8) -> Predicted:
    k = 3
    probabilities = np.full((len(said), k), (1 - confidence) / (k - 1))
    probabilities[np.arange(len(said)), said] = confidence
    rows = np.arange(len(truth))
    names = np.array(SYMPTOMS)
    return Predicted("symptom", names, np.array(truth), np.array(said), probabilities, rows, np.array(clusters), 1)


def interval(made: Predicted, measure: str) -> tuple[float, float]:
    table = scores(Evaluation("any", {"it": {"symptom": made}}), seed=1).set_index("measure")
    assert list(table.index) == list(MEASURES)
    return table["low"][measure], table["high"][measure]


def test_rows_of_a_repository_that_are_all_alike_are_worth_one() -> None:
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 3, 20)
    said = np.where(generator.random(20) < 0.7, truth, (truth + 1) % 3)
    once = predicted(truth, said, range(20))
    copied = predicted(np.repeat(truth, 30), np.repeat(said, 30), np.repeat(range(20), 30))
    assert interval(copied, "accuracy") == pytest.approx(interval(once, "accuracy"))
    alone = predicted(np.repeat(truth, 30), np.repeat(said, 30), range(600))
    low, high = interval(alone, "accuracy")
    assert high - low < 0.4 * np.diff(interval(once, "accuracy"))[0]


def test_calibration_error_is_the_gap_between_confidence_and_success() -> None:
    truth = [0] * 60 + [1] * 40
    table = scores(Evaluation("any", {"it": {"symptom": predicted(truth, [0] * 100, range(100), 0.8)}}), seed=1)
    values = table.set_index("measure")["value"]
    assert values["calibration_error"] == pytest.approx(0.2)
    assert values["brier"] == pytest.approx(0.6 * (0.04 + 2 * 0.01) + 0.4 * (0.64 + 0.81 + 0.01))


def test_a_confusion_matrix_is_scikit_learn_s_divided_among_repeats(repeated: Evaluation) -> None:
    made = repeated.predicted["words"]["symptom"]
    table = confusion(made)
    assert (table.to_numpy() * 3).round().tolist() == confusion_matrix(made.truth, made.said).tolist()
    assert list(table.index) == list(table.columns) == SYMPTOMS
    assert table.to_numpy().sum() == pytest.approx(made.n)


class _Stubborn(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Knows a category that occurs nowhere, and no other."""

    def fit(self, _documents: Sequence[Document], labels: pd.DataFrame) -> Self:
        self.facets_ = tuple(labels.columns)
        self.classes_ = [np.array(["unheard-of"]) for _ in self.facets_]
        return self

    def predict(self, documents: Sequence[Document]) -> np.ndarray:
        return np.full((len(documents), len(self.facets_)), "unheard-of")

    def predict_proba(self, documents: Sequence[Document]) -> list[np.ndarray]:
        return [np.ones((len(documents), 1)) for _ in self.facets_]


def test_categories_that_a_model_does_not_know_or_alone_knows_count_as_errors() -> None:
    made = evaluate_left_out(labelled(), {"stubborn": _Stubborn()})
    values = scores(made, seed=1).set_index(["facet", "measure"])["value"]
    assert values["symptom", "accuracy"] == 0
    assert values["symptom", "kappa"] == pytest.approx(0)
    assert values["symptom", "log_loss"] == pytest.approx(-np.log(1e-3 / (1 + 3e-3)))


def test_a_facet_that_only_the_tested_threads_have_cannot_be_evaluated() -> None:
    own = labelled()
    own.labels["stage"] = ["training"] * 10 + [None] * 30
    with pytest.raises(RedefectError, match="none has a label of stage"):
        evaluate_left_out(own, {"majority": majority()})


def test_two_processes_give_what_one_gives() -> None:
    some = {"words": plain_words(), "chance": stratified_random(1)}
    one, two = (scores(evaluate_left_out(labelled(5, 6), some, jobs=jobs), seed=1) for jobs in (1, 2))
    pd.testing.assert_frame_equal(one, two, check_exact=True)


def test_the_order_in_which_estimators_are_named_does_not_matter(left_out: Evaluation) -> None:
    turned = Evaluation(left_out.protocol, dict(reversed(left_out.predicted.items())))
    key = ["facet", "estimator", "measure"]
    first, second = (scores(of, seed=1).sort_values(key, ignore_index=True) for of in (left_out, turned))
    pd.testing.assert_frame_equal(first, second, check_exact=True)


def test_another_study_s_threads_are_predicted_without_having_been_seen() -> None:
    own = labelled()
    rows = np.array([3, 3, 17])
    study = own[rows]
    study.labels["symptom"] = ["hang", "crash", "lower-speed"]
    study.labels["reporter"] = ["adaptor", None, None]
    evaluation, hits = evaluate_against(own, study, {"words": plain_words(), "majority": majority()})
    made = evaluation.predicted["words"]["symptom"]
    assert list(made.rows) == [40, 42]  # the first defect of each thread, below what is learnt from
    assert [str(made.classes[place]) for place in made.truth] == ["hang", "lower-speed"]
    without = plain_words().fit(*_apart(own, {3, 17}))
    assert made.classes[made.said].tolist() == without.predict([own.documents[row] for row in (3, 17)])[:, 0].tolist()
    table = hits.set_index(["facet", "estimator"])
    assert table.loc[("reporter", "words"), "n"] == 1
    said = made.classes[made.said]
    assert table.loc[("symptom", "words"), "hits"] == (said[0] in ("hang", "crash")) + (said[1] == "lower-speed")


def _apart(of: Labelled, rows: set[int]) -> tuple[Sequence[Document], pd.DataFrame]:
    rest = of[np.array([row for row in range(len(of)) if row not in rows])]
    return rest.documents, rest.labels


def test_labels_are_compared_with_another_study_s_on_the_threads_that_have_both() -> None:
    own = labelled()
    study = own[np.arange(12)]
    study.labels.loc[0, "symptom"] = "hang"
    table = agreement_with(own, study, seed=1).set_index("facet")
    assert list(table.index) == ["symptom", "reporter"]
    assert table.loc["symptom", "n"] == 12
    assert table.loc["symptom", "kappa"] == pytest.approx(cohen_kappa_score(own.labels["symptom"][:12], study.labels["symptom"]))
    assert table.loc["symptom", "low"] < table.loc["symptom", "kappa"] < 1
    with pytest.raises(RedefectError, match="no labelled thread whose text is here"):
        agreement_with(own, own[np.array([], int)], seed=1)


def test_a_facet_that_was_not_learnt_is_withheld_and_why_is_said(left_out: Evaluation) -> None:
    table = verdicts(scores(left_out, seed=1), "words", ["majority", "chance"]).set_index("facet")
    assert not table.loc["symptom", "withheld"]
    assert table.loc["symptom", "why"] == ""
    assert table.loc["reporter", "withheld"]
    assert "no better than chance" in table.loc["reporter", "why"]
    assert not verdicts(scores(left_out, seed=1), "words", ["words"]).set_index("facet").loc["symptom", "withheld"]
    better = scores(left_out, seed=1).replace({"estimator": {"majority": "words", "words": "majority"}})
    better.loc[better["estimator"] == "words", ["value", "low"]] += 0.1
    assert (
        "It is worse than majority, whose kappa is"
        in verdicts(better, "words", ["majority"]).set_index("facet").loc["symptom", "why"]
    )
