import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from pipeline.annotate.agreement import pair_by_defect, pair_by_position, pooled_kappa
from pipeline.openstudy import OpenStudy

FACETS = ["stage", "symptom", "defect-type", "root-cause", "manifestation"]


def pairs(first: list[str], second: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"item": range(len(first)), "facet": "f", "first": first, "second": second})


def test_kappa_of_an_example_worked_by_hand() -> None:
    # 33 of 39 agree; by chance (24 * 26 + 15 * 13) / 39**2 would: (33/39 - 7/13) / (1 - 7/13) = 2/3.
    first = ["yes"] * 24 + ["no"] * 15
    second = ["yes"] * 22 + ["no"] * 2 + ["yes"] * 4 + ["no"] * 11
    kappa = pooled_kappa(pairs(first, second), ["f"], seed=1)
    assert kappa.value == pytest.approx(2 / 3)
    assert kappa.low < kappa.value < kappa.high
    assert (kappa.n, kappa.agreement) == (39, pytest.approx(33 / 39))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abcd")), min_size=2, max_size=40))
def test_kappa_equals_that_of_scikit_learn(labels: list[tuple[str, str]]) -> None:
    first, second = map(list, zip(*labels, strict=True))
    if len({*first, *second}) == 1:
        return
    assert pooled_kappa(pairs(first, second), ["f"], seed=1).value == pytest.approx(cohen_kappa_score(first, second))


def test_kappa_of_nothing_or_of_one_label_throughout_is_not_a_number() -> None:
    assert math.isnan(pooled_kappa(pairs([], []), ["f"], seed=1).value)
    assert pooled_kappa(pairs(["a"], ["a"]), ["other"], seed=1).n == 0
    with np.errstate(all="raise"):
        assert math.isnan(pooled_kappa(pairs(["a"], ["a"]), ["f"], seed=1).value)


def ratings(*rows: tuple[str, int, str, str]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["annotator", "row", "value", "category"])
    return frame.assign(round="one", facet="f", number="7")


def test_sheets_are_paired_by_the_order_of_their_rows_and_blanks_left_out() -> None:
    frame = ratings(("a", 2, "X", "x"), ("a", 9, "Y ", "y"), ("b", 5, "x", "x"), ("b", 6, "y", "y"), ("b", 8, "z", "z"))
    paired = pair_by_position(frame, "one")
    assert paired[["item", "first", "second"]].to_numpy().tolist() == [[0, "x", "x"], [1, "y ", "y"]]
    assert pair_by_position(frame, "one", canonical=True)["first"].tolist() == ["x", "y"]


def test_the_row_index_is_the_sheet_s_own_so_that_gaps_disagree() -> None:
    frame = ratings(("a", 2, "x", "x"), ("a", 4, "x", "x"), ("b", 2, "x", "x"), ("b", 3, "x", "x"))
    index = pair_by_position(frame, "one", row_index=True).query("facet == 'row index'")
    assert index[["first", "second"]].to_numpy().tolist() == [["2", "2"], ["4", "3"]]


def test_cohen_s_kappa_is_of_two() -> None:
    with pytest.raises(ValueError, match="has 1 raters"):
        pair_by_position(ratings(("a", 2, "x", "x")), "one")


def test_labels_are_paired_by_defect(demo: OpenStudy) -> None:
    paired = pair_by_defect(demo.labels, "demo-a", "demo-b", "independent")
    stage = paired[paired["facet"] == "stage"]
    assert 140 < len(stage) <= 152
    assert 0.5 < pooled_kappa(paired, ["stage"], seed=1).value < 1


@pytest.mark.parametrize(
    ("round_", "alone", "with_index"), [("pilot", 0.525, 0.458), ("pilot-discussed", 0.749, 0.794), ("final", 0.626, 0.699)]
)
def test_the_published_kappas_come_out_only_with_the_row_index(
    published: OpenStudy, round_: str, alone: float, with_index: float
) -> None:
    for row_index, value in ((False, alone), (True, with_index)):
        kappa = pooled_kappa(pair_by_position(published.ratings, round_, row_index=row_index), FACETS, seed=1)
        assert round(kappa.value, 3) == value
        assert kappa.low < kappa.value < kappa.high


def test_the_flaw_report_names_the_row_index_as_the_cause(published: OpenStudy) -> None:
    flaws = published.agreement_flaws()
    assert [flaw.where for flaw in flaws] == ["round 'pilot'", "round 'pilot-discussed'", "round 'final'"]
    assert all("only when the sheets' row index is pooled in as if it were a label" in flaw.what for flaw in flaws)
