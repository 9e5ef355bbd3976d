import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, chi2

from pipeline.intervals import cramers_v, wilson


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
