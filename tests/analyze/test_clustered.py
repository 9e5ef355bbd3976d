from itertools import repeat

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.analyze.clustered import ALL, KEYS, NO_SUMS, cluster_shares, cluster_sums
from pipeline.intervals import wilson, wilson_of_clusters

LABELS = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.sampled_from(["2019", "2020"]), st.sampled_from(["defect", "question"]),
              st.sampled_from(["crash", "hang", None])),
    max_size=40,
)  # fmt: skip
CATEGORIES = {"gate": ("defect", "question", "feature"), "symptom": ("crash", "hang", "unknown")}


def sums(rows: list[tuple[str, str, str, str | None]]) -> pd.DataFrame:
    labels = dict(zip(["repository", "period", "gate", "symptom"], zip(*rows, strict=True) if rows else repeat(()), strict=False))
    return cluster_sums(labels, "gate", "defect", ["symptom"], "unknown")


@given(LABELS)
@settings(max_examples=30)
def test_sums_of_parts_that_share_no_repository_add_up(rows: list[tuple[str, str, str, str | None]]) -> None:
    parts = [sums([row for row in rows if (row[0] in "abc") is early]) for early in (True, False)]
    together = pd.concat([NO_SUMS, *parts]).groupby(KEYS, as_index=False).sum()
    pd.testing.assert_frame_equal(together, pd.concat([NO_SUMS, sums(rows)]).reset_index(drop=True), check_dtype=False)


def test_shares_are_of_all_threads_for_the_gate_and_of_defects_for_facets() -> None:
    rows = [("a", "2019", "defect", "crash")] * 3 + [("a", "2020", "question", None), ("b", "2020", "defect", None)]
    shares = cluster_shares(sums(rows), CATEGORIES).set_index(["period", "facet", "category"])
    found = {key: (row.threads, row.of, row.repositories, row.among) for key, row in shares.iterrows()}
    assert found[ALL, "gate", "defect"] == (4, 5, 2, 2)
    assert found[ALL, "gate", "feature"] == (0, 5, 0, 2)
    assert found[ALL, "symptom", "crash"] == (3, 4, 1, 2)
    assert found[ALL, "symptom", "unknown"] == (1, 4, 1, 2)
    assert found["2020", "symptom", "unknown"] == (1, 1, 1, 1)
    assert list(shares.index.get_level_values("period").unique()) == [ALL, "2019", "2020"]


@given(LABELS)
@settings(max_examples=30)
def test_shares_of_a_facet_add_up_to_one_within_their_intervals(rows: list[tuple[str, str, str, str | None]]) -> None:
    shares = cluster_shares(sums(rows), CATEGORIES)
    assert np.allclose(shares.groupby(["period", "facet"])["share"].sum(), 1)
    assert ((shares["low"] <= shares["share"] + 1e-12) & (shares["share"] <= shares["high"] + 1e-12)).all()


def of_clusters(clusters: list[tuple[int, int]]) -> tuple[float, float]:
    x, n = np.array(clusters).T
    return wilson_of_clusters(*(int(v) for v in (x.sum(), n.sum(), x @ x, x @ n, n @ n)), len(clusters))


def test_clusters_of_one_thing_are_as_independent_things_nearly() -> None:
    # The variance of clusters divides by one fewer than there are, as the usual variance of a sample does.
    assert of_clusters([(1, 1)] * 400 + [(0, 1)] * 600) == pytest.approx(wilson(400, 1000), abs=1e-4)


def test_clusters_that_are_all_or_nothing_count_once_each() -> None:
    assert of_clusters([(10, 10)] * 40 + [(0, 10)] * 60) == pytest.approx(wilson(40, 100), abs=0.002)


def test_clusters_among_which_nothing_differs_count_once_each_too() -> None:
    assert of_clusters([(0, 50)] * 20) == pytest.approx(wilson(0, 20))


def test_the_interval_holds_the_share_of_the_population_about_as_often_as_it_says() -> None:
    draw = np.random.default_rng(8)
    held = 0
    for _ in range(400):
        sizes = draw.integers(1, 60, 80)
        shares = draw.beta(1.2, 4.8, 80)  # a mean of 0.2 among repositories, of whatever size
        low, high = of_clusters(list(zip(draw.binomial(sizes, shares).tolist(), sizes.tolist(), strict=True)))
        held += low <= 0.2 <= high
    assert 0.92 <= held / 400 <= 0.98
