from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import softmax

from pipeline.classify.prevalence import (
    Prevalence,
    adapted_count,
    adjusted_count,
    expectation,
    expectation_maximised,
    gold_alone,
    naive_count,
    powered_means,
    prediction_powered,
    probabilistic_adjusted,
    too_small,
)
from pipeline.errors import RedefectError
from pipeline.export.tables import Table
from pipeline.intervals import wilson

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

CORRECTIONS: list[Callable[..., Prevalence]] = [adjusted_count, probabilistic_adjusted, adapted_count, expectation]
NAMES = ["training", "data", "model", "other"]


def drawn(generator: np.random.Generator, labels: Integers, k: int) -> Floats:
    """Probabilities of a classifier that is right in about two of three cases, trained on equal shares."""
    points = 1.8 * np.eye(k)[labels] + generator.normal(size=(len(labels), k))
    return np.asarray(softmax(1.8 * points, axis=1))


def world(seed: int, shares: list[float], held: int = 200, unlabelled: int = 300) -> tuple[Floats, Floats, Integers]:
    generator = np.random.default_rng(seed)
    k = len(shares)
    truth = np.arange(held) % k
    return drawn(generator, generator.choice(k, unlabelled, p=shares), k), drawn(generator, truth, k), truth


def corrected(made: Prevalence) -> Floats:
    return made.frame["corrected"].to_numpy()


def test_a_perfect_classifier_is_simply_counted() -> None:
    labels = np.repeat(np.arange(4), [60, 25, 10, 5])
    truth = np.repeat(np.arange(4), 30)
    counted = [0.6, 0.25, 0.1, 0.05]
    assert corrected(naive_count(np.eye(4)[labels], NAMES, seed=1)) == pytest.approx(counted)
    for method in CORRECTIONS:
        made = method(np.eye(4)[labels], np.eye(4)[truth], truth, NAMES, seed=1, replicates=50)
        assert corrected(made) == pytest.approx(counted, abs=1e-6), made.method
    powered = prediction_powered(np.eye(4)[labels], np.eye(4)[labels], labels, NAMES)
    assert corrected(powered) == pytest.approx(counted)
    assert corrected(gold_alone(labels, NAMES)) == pytest.approx(counted)


def test_for_two_categories_the_adjusted_count_is_forman_s_formula() -> None:
    yes, no = [0.2, 0.8], [0.7, 0.3]
    truth = np.repeat([1, 0], 50)
    held = np.array([yes] * 40 + [no] * 10 + [yes] * 5 + [no] * 45)  # true positive rate 0.8, false positive rate 0.1
    seen = np.array([yes] * 38 + [no] * 62)
    assert corrected(adjusted_count(seen, held, truth, ["no", "yes"], seed=1)) == pytest.approx([0.6, 0.4], abs=1e-6)
    # The same formula on mean probabilities: (0.39 - 0.35) / (0.7 - 0.35), where an answer is worth 0.8 or 0.3.
    shares = corrected(probabilistic_adjusted(seen, held, truth, ["no", "yes"], seed=1))
    assert shares[1] == pytest.approx((0.38 - 0.1) / (0.8 - 0.1), abs=1e-6)
    few = np.array([yes] * 2 + [no] * 98)
    assert corrected(adjusted_count(few, held, truth, ["no", "yes"], seed=1)) == pytest.approx([1, 0])


def test_moved_probabilities_find_the_shares_also_where_no_calibration_fits_and_em_does_not() -> None:
    # Four kinds of texts; how often each category writes each, and what a classifier says of them.
    writes = np.array([[60, 20, 10, 10], [20, 20, 50, 10], [10, 30, 20, 40]])
    says = np.array([[0.5, 0.3, 0.2], [0.6, 0.1, 0.3], [0.3, 0.6, 0.1], [0.35, 0.3, 0.35]])
    truth = np.repeat(np.arange(3), 100)
    held = says[np.concatenate([np.repeat(np.arange(4), row) for row in writes])]
    shares = [0.1, 0.2, 0.7]
    unlabelled = says[np.repeat(np.arange(4), (np.array(shares) @ writes * 10).round().astype(int))]
    names = NAMES[:3]
    assert corrected(adapted_count(unlabelled, held, truth, names, seed=1, replicates=10)) == pytest.approx(shares, abs=1e-3)
    assert corrected(probabilistic_adjusted(unlabelled, held, truth, names, seed=1)) == pytest.approx(shares, abs=1e-3)
    assert np.abs(corrected(expectation(unlabelled, held, truth, names, seed=1, replicates=10)) - shares).max() > 0.05


def test_em_stops_where_the_mean_posterior_is_the_share_and_where_quapy_stops() -> None:
    posteriors = np.array(
        [
            [0.7, 0.2, 0.1], [0.5, 0.3, 0.2], [0.2, 0.6, 0.2], [0.1, 0.1, 0.8], [0.3, 0.3, 0.4],
            [0.8, 0.1, 0.1], [0.05, 0.15, 0.8], [0.1, 0.85, 0.05], [0.1, 0.2, 0.7], [0.4, 0.35, 0.25],
        ]
    )  # fmt: skip
    prior = np.array([0.5, 0.3, 0.2])
    # QuaPy 0.2.3: EMQ.EM(prior, posteriors, epsilon=1e-12).
    assert expectation_maximised(posteriors, prior, tolerance=1e-12) == pytest.approx([0, 0.225598333, 0.774401667], abs=1e-8)
    even = np.full(3, 1 / 3)
    shares = expectation_maximised(posteriors, even, tolerance=1e-12)
    moved = posteriors * shares
    assert (moved / moved.sum(1, keepdims=True)).mean(0) == pytest.approx(shares, abs=1e-10)
    assert shares.min() > 0.2


def test_the_prediction_powered_mean_and_its_normal_interval_are_those_of_ppi_python() -> None:
    answers = np.array([1, 1, 0, 1, 0, 0, 1, 0, 1, 0, 0, 1.0])
    gold = np.array([0.9, 0.3, 0.2, 0.7, 0.4, 0.6, 0.95, 0.3, 0.45, 0.6, 0.05, 0.85])
    unlabelled = np.array(
        [
            0.6, 0.1, 0.3, 0.8, 0.2, 0.05, 0.9, 0.4, 0.7, 0.25, 0.15, 0.35,
            0.5, 0.1, 0.2, 0.65, 0.3, 0.45, 0.05, 0.55, 0.75, 0.1, 0.2, 0.3,
        ]
    )  # fmt: skip
    mean, variance, weight = powered_means(answers[:, None], gold[:, None], unlabelled[:, None])
    # ppi-python 0.2.3: ppi_mean_pointestimate and ppi_mean_ci (alpha = 0.05), both with their tuned weight.
    assert mean[0] == pytest.approx(0.38636869, abs=1e-8)
    assert 0 < weight[0] < 1
    half = 1.959963985 * np.sqrt(variance[0])
    assert (mean[0] - half, mean[0] + half) == (pytest.approx(0.14250309, abs=1e-8), pytest.approx(0.63023429, abs=1e-8))


def test_prediction_power_adds_nothing_where_all_threads_are_labelled() -> None:
    _, gold, truth = world(3, [0.25] * 4)
    alone = gold_alone(truth, NAMES)
    assert corrected(prediction_powered(gold, gold, truth, NAMES)) == pytest.approx(corrected(alone))
    nothing_else = prediction_powered(gold[:0], gold, truth, NAMES)
    columns = ["corrected", "low", "high"]
    assert nothing_else.frame[columns].to_numpy() == pytest.approx(alone.frame[columns].to_numpy())
    blind = prediction_powered(np.full((300, 4), 0.25), np.full((len(truth), 4), 0.25), truth, NAMES)
    assert blind.frame[columns].to_numpy() == pytest.approx(alone.frame[columns].to_numpy())


def test_a_good_classifier_makes_each_gold_label_worth_more() -> None:
    unlabelled, _, _ = world(5, [0.4, 0.3, 0.2, 0.1], unlabelled=2000)
    generator = np.random.default_rng(6)
    truth = generator.choice(4, 100, p=[0.4, 0.3, 0.2, 0.1])
    powered = prediction_powered(unlabelled, drawn(generator, truth, 4), truth, NAMES)
    assert powered.effective is not None
    assert powered.effective.min() > 120
    alone = gold_alone(truth, NAMES).frame
    assert (powered.frame["high"] - powered.frame["low"]).sum() < 0.9 * (alone["high"] - alone["low"]).sum()


def test_the_gold_sample_alone_has_wilson_s_intervals_or_goodman_s() -> None:
    counts = [40, 30, 20, 10]
    truth = np.repeat(np.arange(4), counts)
    single, joint = gold_alone(truth, NAMES).frame, gold_alone(truth, NAMES, simultaneous=True).frame
    for i, count in enumerate(counts):
        assert (single["low"][i], single["high"][i]) == pytest.approx(wilson(count, 100))
        # Goodman (1965) shares the error among the categories.
        assert (joint["low"][i], joint["high"][i]) == pytest.approx(wilson(count, 100, level=1 - 0.05 / 4))


def test_a_category_missing_from_the_gold_sample_still_has_an_upper_bound() -> None:
    unlabelled, gold, truth = world(8, [0.25] * 4)
    made = prediction_powered(unlabelled, gold[truth < 3][:60], truth[truth < 3][:60], NAMES)
    assert made.frame["high"][3] > 0.03


@pytest.mark.parametrize("method", CORRECTIONS)
def test_categories_that_the_classifier_cannot_tell_apart_may_have_any_share(method: Callable[..., Prevalence]) -> None:
    truth = np.arange(90) % 3
    says = np.array([[0.8, 0.1, 0.1], [0.2, 0.4, 0.4]])
    held = says[np.where(np.arange(90) % 9 == 4, 0, np.minimum(truth, 1))]
    held[truth == 2] = held[truth == 1]
    frame = method(says[np.arange(100) % 2], held, truth, NAMES[:3], seed=1, replicates=50).frame
    assert frame["low"].tolist()[1:] == [0, 0]
    assert frame["high"].tolist()[1:] == [1, 1]
    assert frame["high"][0] < 0.6


@pytest.mark.parametrize("method", CORRECTIONS)
def test_a_classifier_that_guesses_tells_next_to_nothing(method: Callable[..., Prevalence]) -> None:
    generator = np.random.default_rng(4)
    truth = np.arange(150) % 3
    guesses = generator.dirichlet(np.ones(3), size=450)
    frame = method(guesses[150:], guesses[:150], truth, NAMES[:3], seed=1, replicates=50).frame
    assert (frame["high"] - frame["low"]).min() > 0.8


shares_and_seed = st.tuples(st.lists(st.floats(0.05, 1), min_size=2, max_size=5), st.integers(0, 10_000))


@settings(max_examples=25)
@given(shares_and_seed)
def test_shares_add_up_to_one_and_lie_in_their_intervals(drawn_case: tuple[list[float], int]) -> None:
    weights, seed = drawn_case
    unlabelled, held, truth = world(seed, [w / sum(weights) for w in weights], held=60, unlabelled=50)
    names = [str(i) for i in range(len(weights))]
    made = [method(unlabelled, held, truth, names, seed=seed, replicates=20) for method in CORRECTIONS]
    made += [naive_count(unlabelled, names, seed=seed, replicates=20), prediction_powered(unlabelled, held, truth, names)]
    made += [gold_alone(truth, names)]
    for estimate in made:
        frame = estimate.frame
        assert frame["corrected"].sum() == pytest.approx(1)
        assert (frame["low"] >= 0).all()
        assert (frame["low"] <= frame["corrected"]).all()
        assert (frame["corrected"] <= frame["high"]).all()
        assert (frame["high"] <= 1).all()


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.permutations(range(4)))
def test_renaming_the_categories_renames_the_result(seed: int, order: list[int]) -> None:
    unlabelled, held, truth = world(seed, [0.4, 0.3, 0.2, 0.1])
    place = np.argsort(order)
    for method in CORRECTIONS:
        before = corrected(method(unlabelled, held, truth, NAMES, seed=1, replicates=2))
        after = corrected(method(unlabelled[:, order], held[:, order], place[truth], NAMES, seed=1, replicates=2))
        assert after == pytest.approx(before[order], abs=1e-4), method
    columns = ["corrected", "low", "high"]
    before = prediction_powered(unlabelled, held, truth, NAMES).frame[columns].to_numpy()
    after = prediction_powered(unlabelled[:, order], held[:, order], place[truth], NAMES).frame[columns].to_numpy()
    assert after == pytest.approx(before[order])


@pytest.mark.parametrize("method", CORRECTIONS)
def test_the_seed_alone_decides_the_interval(method: Callable[..., Prevalence]) -> None:
    unlabelled, held, truth = world(2, [0.4, 0.3, 0.2, 0.1])
    first, again, other = (method(unlabelled, held, truth, NAMES, seed=seed, replicates=30).frame for seed in (7, 7, 8))
    assert first.equals(again)
    assert not first.equals(other)
    assert first["corrected"].equals(other["corrected"])


def test_intervals_cover_where_counting_does_not() -> None:
    covered: dict[str, list[Floats]] = {}
    for seed in range(60):
        generator = np.random.default_rng([11, seed])
        shares = generator.dirichlet(np.ones(4))
        unlabelled, held, truth = world(seed, shares.tolist())
        answers = generator.choice(4, 80, p=shares)
        made = [naive_count(unlabelled, NAMES, seed=seed, replicates=100), gold_alone(answers, NAMES)]
        made += [method(unlabelled, held, truth, NAMES, seed=seed, replicates=100) for method in CORRECTIONS]
        made += [prediction_powered(unlabelled, drawn(generator, answers, 4), answers, NAMES)]
        for estimate in made:
            inside = (estimate.frame["low"] <= shares) & (shares <= estimate.frame["high"])
            covered.setdefault(estimate.method, []).append(inside.to_numpy())
    coverage = {method: float(np.mean(inside)) for method, inside in covered.items()}
    assert coverage.pop("Naive count") < 0.75
    assert all(0.9 <= share <= 0.99 for share in coverage.values()), coverage


def test_a_small_gold_sample_is_called_too_small_and_the_size_that_it_names_would_do() -> None:
    estimate = gold_alone(np.repeat(np.arange(4), [40, 30, 20, 10]), NAMES)
    found = too_small(estimate, 0.05)
    assert found is not None
    assert (found.category, found.n) == ("training", 100)
    low, high = wilson(0.4 * found.needed, found.needed)
    assert high - low <= 0.1
    low, high = wilson(0.4 * (found.needed - 1), found.needed - 1)
    assert high - low > 0.1
    assert str(found) == (
        "The gold sample of 100 threads is too small for intervals of ±5.0%: that of 'training' is ±9.4%. "
        f"{found.needed} threads drawn at random would do: label {found.needed - 100} more."
    )
    assert too_small(estimate, 0.1) is None


def test_beside_a_good_classifier_fewer_gold_labels_would_do() -> None:
    shares = [0.4, 0.3, 0.2, 0.1]
    unlabelled, _, _ = world(5, shares, unlabelled=5000)
    generator = np.random.default_rng(6)
    truth = generator.choice(4, 100, p=shares)
    powered = too_small(prediction_powered(unlabelled, drawn(generator, truth, 4), truth, NAMES), 0.05)
    alone = too_small(gold_alone(truth, NAMES), 0.05)
    assert powered is not None
    assert alone is not None
    assert 100 < powered.needed < 0.9 * alone.needed


def test_the_result_prints_as_a_table_and_goes_into_a_paper() -> None:
    unlabelled, held, truth = world(2, [0.4, 0.3, 0.2, 0.1])
    made = adjusted_count(unlabelled, held, truth, NAMES, seed=1, replicates=50)
    first, header, *rows = str(made).splitlines()
    assert first == "Adjusted count (ACC) (assumes prior shift)"
    assert header.split() == ["category", "naive", "corrected", "95", "%", "interval", "n", "unlabelled", "n", "gold"]
    assert [row.split()[0] for row in rows] == NAMES
    assert rows[0].split()[-2:] == ["300", "200"]
    latex = Table("prevalence", "Shares.", made.frame).to_bytes("latex").decode()
    assert r"95 \%\\interval" in latex
    assert "training" in latex


def test_what_cannot_be_estimated_is_refused_in_a_sentence() -> None:
    unlabelled, held, truth = world(2, [0.4, 0.3, 0.2, 0.1])
    with pytest.raises(RedefectError, match="No held-out thread is of other"):
        adjusted_count(unlabelled, held[truth < 3], truth[truth < 3], NAMES, seed=1)
    with pytest.raises(RedefectError, match="shape \\(300, 4\\)"):
        naive_count(unlabelled, NAMES[:3], seed=1)
    with pytest.raises(RedefectError, match="200 labels for 199"):
        prediction_powered(unlabelled, held[1:], truth, NAMES)
    with pytest.raises(RedefectError, match="no probabilities"):
        naive_count(unlabelled * 2, NAMES, seed=1)
    with pytest.raises(RedefectError, match="no unlabelled threads"):
        adjusted_count(unlabelled[:0], held, truth, NAMES, seed=1)
    with pytest.raises(RedefectError, match="0 to 3"):
        gold_alone(np.array([0, 4]), NAMES)
    with pytest.raises(RedefectError, match="at least two"):
        gold_alone(np.array([0, 0]), NAMES[:1])
    with pytest.raises(RedefectError, match="uses no gold sample"):
        too_small(naive_count(unlabelled, NAMES, seed=1, replicates=10), 0.05)
    with pytest.raises(RedefectError, match="half-width of 5 is none"):
        too_small(gold_alone(truth, NAMES), 5)
