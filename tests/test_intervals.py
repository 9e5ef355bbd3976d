import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, chi2
from statsmodels.stats.proportion import confint_proportions_2indep

from pipeline.intervals import cramers_v, mover, newcombe, wilson

WORKED = [  # Newcombe (1998), Statistics in Medicine 17, table II, method 10
    ((56, 70), (48, 80), (0.0524, 0.3339)),
    ((9, 10), (3, 10), (0.1705, 0.8090)),
    ((6, 7), (2, 7), (0.0582, 0.8062)),
    ((5, 56), (0, 29), (-0.0381, 0.1926)),
    ((0, 10), (0, 20), (-0.1611, 0.2775)),
    ((10, 10), (0, 20), (0.6791, 1.0000)),
]

counts = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def row(count: int, n: int) -> np.ndarray:
    return np.array([[count / n, *wilson(count, n)]])


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_equals_scipy_s_and_holds_the_share(counted: tuple[int, int]) -> None:
    count, n = counted
    low, high = wilson(count, n)
    theirs = binomtest(count, n).proportion_ci(method="wilson")
    assert (low, high) == (pytest.approx(theirs.low, abs=1e-12), pytest.approx(theirs.high, abs=1e-12))
    assert 0 <= low <= count / n + 1e-12
    assert count / n - 1e-12 <= high <= 1


def test_wilson_takes_fractions_of_votes_and_knows_nothing_of_nothing() -> None:
    assert wilson(1, 4)[0] < wilson(1.5, 4)[0] < wilson(2, 4)[0]
    assert all(math.isnan(bound) for bound in wilson(0, 0))


def test_the_lower_bound_of_v_leaves_zero_where_a_test_at_half_the_error_rejects() -> None:
    critical = chi2.ppf(0.975, 4)
    v, low, high = cramers_v(critical - 0.01, 100, 3, 3)
    assert v == pytest.approx(math.sqrt((critical - 0.01) / 200))
    assert low == 0.0
    assert high > v
    assert cramers_v(critical + 0.01, 100, 3, 3)[1] > 0


@given(st.floats(0, 500), st.integers(2, 6), st.integers(2, 6))
def test_the_interval_of_v_is_ordered_and_within_bounds(statistic: float, rows: int, columns: int) -> None:
    v, low, high = cramers_v(statistic, 500, rows, columns)
    assert 0 <= low <= v <= 1
    assert low <= high <= 1


def test_v_of_a_single_row_is_not_a_number() -> None:
    assert all(math.isnan(x) for x in cramers_v(0, 10, 1, 5))


@pytest.mark.parametrize(("one", "other", "interval"), WORKED)
def test_the_interval_of_a_difference_of_two_counted_shares_is_that_which_newcombe_published(
    one: tuple[int, int], other: tuple[int, int], interval: tuple[float, float]
) -> None:
    assert newcombe(*one, *other) == pytest.approx(interval, abs=6e-5)
    assert newcombe(*one, *other) == pytest.approx(confint_proportions_2indep(*one, *other, method="newcomb"))
    assert mover(row(*other), row(*one))[0] == pytest.approx([one[0] / one[1] - other[0] / other[1], *newcombe(*one, *other)])


@given(counts, counts)
def test_the_other_way_round_a_difference_and_its_interval_change_their_sign(
    one: tuple[int, int], other: tuple[int, int]
) -> None:
    forth, back = mover(row(*one), row(*other))[0], mover(row(*other), row(*one))[0]
    assert forth == pytest.approx(-back[[0, 2, 1]])


@given(counts, counts)
def test_an_interval_holds_its_difference_and_stays_among_differences_of_shares(
    one: tuple[int, int], other: tuple[int, int]
) -> None:
    difference, low, high = mover(row(*one), row(*other))[0]
    assert -1 - 1e-9 <= low <= difference <= high <= 1 + 1e-9


@given(counts, counts, st.integers(2, 20))
def test_more_of_the_same_makes_an_interval_shorter(one: tuple[int, int], other: tuple[int, int], times: int) -> None:
    few, many = (mover(row(one[0] * k, one[1] * k), row(other[0] * k, other[1] * k))[0] for k in (1, times))
    assert many[0] == pytest.approx(few[0])
    assert many[2] - many[1] < few[2] - few[1]
