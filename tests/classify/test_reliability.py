import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve

from pipeline.classify.evaluation import Predicted
from pipeline.classify.reliability import coverage, reliability, threshold_for


def predicted(confidence: np.ndarray, right: np.ndarray, repeats: int = 1) -> Predicted:
    said = np.zeros(len(right), int)
    probabilities = np.column_stack([confidence, 1 - confidence])
    rows = np.arange(len(right)) % (len(right) // repeats)
    return Predicted("symptom", np.array(["crash", "hang"]), 1 - right.astype(int), said, probabilities, rows, rows, repeats)


def honest(n: int = 4000, seed: int = 1) -> Predicted:
    """Says 0.5 to 1, and is right that often."""
    generator = np.random.default_rng(seed)
    confidence = generator.uniform(0.5, 1, n)
    return predicted(confidence, generator.random(n) < confidence)


def test_bins_are_equally_full_and_their_values_are_scikit_learn_s() -> None:
    made = honest()
    table = reliability(made)
    assert set(table["n"]) == {400}
    right, confidence = calibration_curve(1 - made.truth, made.confidence, n_bins=10, strategy="quantile")
    assert table["right"].to_numpy() == pytest.approx(right)
    assert table["confidence"].to_numpy() == pytest.approx(confidence)
    for row in table.itertuples():
        assert (row.low, row.high) == pytest.approx(
            tuple(binomtest(round(row.right * row.n), row.n).proportion_ci(method="wilson"))
        )


def test_of_a_model_that_means_what_it_says_the_intervals_hold_the_diagonal() -> None:
    held = []
    for seed in range(20):
        table = reliability(honest(seed=seed))
        held += list((table["low"] <= table["confidence"]) & (table["confidence"] <= table["high"]))
    assert 0.9 < np.mean(held) < 1


def test_equal_probabilities_share_a_bin() -> None:
    table = reliability(predicted(np.full(50, 0.7), np.arange(50) < 40))
    assert table[["n", "confidence", "right"]].to_numpy().tolist() == [[50, pytest.approx(0.7), 0.8]]


def test_repeats_do_not_make_more_threads_of_few() -> None:
    once = honest(500)
    thrice = predicted(np.tile(once.confidence, 3), np.tile(once.truth == 0, 3), repeats=3)
    assert reliability(thrice)["n"].tolist() == reliability(once)["n"].tolist()
    assert coverage(thrice).iloc[-1].tolist() == coverage(once).iloc[-1].tolist()


def test_the_stricter_the_threshold_the_fewer_answers() -> None:
    made = honest()
    curve = coverage(made)
    assert curve["threshold"].is_monotonic_decreasing
    assert curve["n"].is_monotonic_increasing
    assert curve["coverage"].iloc[-1] == 1
    for row in curve.iloc[::20].itertuples():
        answered = made.confidence >= row.threshold
        assert (row.n, row.precision) == (answered.sum(), pytest.approx((made.truth == 0)[answered].mean()))


def test_the_threshold_for_a_precision_is_the_one_that_answers_most_and_keeps_it_also_at_the_interval_s_bound() -> None:
    curve = coverage(honest())
    chosen = threshold_for(curve, 0.8)
    assert chosen is not None
    at = curve[curve["threshold"] == chosen].iloc[0]
    assert at["low"] >= 0.8
    assert (curve.loc[curve["threshold"] < chosen, "low"] < 0.8).all()
    assert 0.55 < chosen < 0.75  # right in 8 of 10 at confidences above 0.6


def test_a_precision_that_is_never_reached_or_never_sure_has_no_threshold() -> None:
    assert threshold_for(coverage(honest()), 0.999) is None
    few = predicted(np.linspace(0.9, 0.99, 10), np.ones(10, bool))
    assert threshold_for(coverage(few), 0.9) is None  # ten of ten may be luck
