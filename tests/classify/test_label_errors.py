import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.classify.evaluation import Predicted
from pipeline.classify.label_errors import label_errors, rare

CATEGORIES = np.array(["crash", "hang", "lower-speed"])


def predicted(truth: np.ndarray, probabilities: np.ndarray, clusters: np.ndarray | None = None) -> Predicted:
    rows = np.arange(len(truth))
    clusters = rows % 4 if clusters is None else clusters
    return Predicted("symptom", CATEGORIES, truth, probabilities.argmax(axis=1), probabilities, rows, clusters, 1)


def sure_of(said: np.ndarray, seed: int = 0) -> np.ndarray:
    drawn = np.random.default_rng(seed).dirichlet(np.ones(3), len(said))
    return 0.7 * np.eye(3)[said] + 0.3 * drawn


def test_planted_wrong_labels_come_first_and_no_other_is_counted_as_an_issue() -> None:
    truth = np.arange(90) % 3
    wrong = [4, 17, 55]
    labels = truth.copy()
    labels[wrong] = (truth[wrong] + 1) % 3
    found = label_errors(predicted(labels, sure_of(truth)))
    assert sorted(found["row"][:3]) == wrong
    assert found["issue"].any()
    assert set(found["row"][found["issue"]]) <= set(wrong)
    first = found.iloc[0]
    assert first["label"] == CATEGORIES[labels[first["row"]]]
    assert first["said"] == CATEGORIES[truth[first["row"]]]
    assert first["probability"] < first["probability_said"]


def test_labels_of_a_category_that_only_one_repository_has_are_not_checked() -> None:
    truth = np.array([0, 1] * 30 + [2] * 20)
    clusters = np.array([0, 0, 1, 1, 2, 2] * 10 + [0] * 20)
    of = predicted(truth, sure_of(np.zeros(80, dtype=int)), clusters)
    assert rare(of) == {"lower-speed": 20}
    found = label_errors(of)
    assert len(found) == 60
    assert set(found["label"]) == {"crash", "hang"}
    assert "lower-speed" not in set(found["said"])


def test_with_a_single_category_left_nothing_is_checked() -> None:
    truth = np.array([0] * 60 + [1] * 3)
    of = predicted(truth, sure_of(truth))
    assert rare(of) == {"hang": 3}
    assert label_errors(of).empty
    assert list(label_errors(of).columns) == ["row", "label", "probability", "said", "probability_said", "issue"]


def test_repeated_predictions_are_refused() -> None:
    of = Predicted("symptom", CATEGORIES, *[np.zeros(2, dtype=int)] * 2, np.eye(3)[[0, 0]], *[np.zeros(2, dtype=int)] * 2, 2)
    with pytest.raises(ValueError, match="one prediction"):
        label_errors(of)


@given(st.integers(0, 1000), st.integers(0, 120), st.booleans())
def test_any_predictions_rank_each_label_that_is_checked_once(seed: int, count: int, impossible: bool) -> None:
    random = np.random.default_rng(seed)
    truth = random.integers(0, 3, count)
    probabilities = np.eye(3)[random.integers(0, 3, count)] if impossible else sure_of(truth, seed)
    of = predicted(truth, probabilities, random.integers(0, 4, count))
    found = label_errors(of)
    few = rare(of)
    left = [i for i in np.unique(truth) if CATEGORIES[i] not in few]
    assert sorted(found["row"]) == ([row for row in range(count) if truth[row] in left] if len(left) > 1 else [])
    assert found["probability"].is_monotonic_increasing
    assert (found["probability"] <= found["probability_said"]).all()
    pd.testing.assert_frame_equal(found, label_errors(of))
