"""A few of the crawls of `make stress-crawl`, of each way of crawling some."""

import pytest
from crawl_stress import report_failure, run_seed


@pytest.mark.parametrize("seed", [0, 14, 29, 31])
def test_a_crawl_that_is_broken_and_killed_ends_with_the_store_of_one_that_was_not(seed: int) -> None:
    outcome = run_seed(seed)
    assert not outcome.differences, report_failure(outcome)
