from itertools import permutations

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from pipeline.annotate.units import (
    ROW_INDEX,
    between,
    by_best_assignment,
    by_number,
    by_position,
    from_labels,
    from_ratings,
    unmatched,
)
from pipeline.openstudy import OpenStudy


def ratings(*rows: tuple[str, int, str, str, str | None], facet: str = "f") -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["annotator", "row", "number", "value", "category"])
    return frame.assign(round="one", facet=facet)


def labels(lists: dict[str, list[dict[str, str]]], issue: tuple[str, int] = ("a/b", 1)) -> pd.DataFrame:
    """Labels of one issue: of each annotator a list of defects."""
    rows = [
        (*issue, defect, facet, category, annotator, "one")
        for annotator, defects in lists.items()
        for defect, answers in enumerate(defects, start=1)
        for facet, category in answers.items()
    ]
    return pd.DataFrame(rows, columns=["repository", "number", "defect", "facet", "category", "annotator", "round"])


def pairs(units: pd.DataFrame, *annotators: str) -> list[tuple[str, ...]]:
    wide = units.pivot(index=["item", "facet"], columns="annotator", values="category").fillna("")
    return sorted(wide[list(annotators)].itertuples(index=False, name=None))


def agreements(units: pd.DataFrame) -> int:
    return int((units.groupby(["item", "facet", "category"])["annotator"].size() > 1).sum())


def test_sheets_are_matched_by_the_order_of_their_rows_as_written_or_with_spelling_variants_merged() -> None:
    frame = ratings(
        ("a", 2, "7", "X", "x"), ("a", 9, "8", "Why", "y"), ("a", 10, "9", "Unheard of", None),
        ("b", 5, "7", "x", "x"), ("b", 6, "8", "y", "y"),
    )  # fmt: skip
    assert pairs(by_position(from_ratings(frame)), "a", "b") == [("unheard of", ""), ("why", "y"), ("x", "x")]
    merged = by_position(from_ratings(frame, canonical=True))
    assert pairs(merged, "a", "b") == [("unheard of", ""), ("x", "x"), ("y", "y")]


def test_the_row_index_is_the_sheet_s_own_so_that_gaps_disagree() -> None:
    frame = ratings(("a", 2, "7", "x", "x"), ("a", 4, "8", "x", "x"), ("b", 2, "7", "x", "x"), ("b", 3, "8", "x", "x"))
    units = by_position(from_ratings(frame), row_index=True)
    assert pairs(units[units["facet"] == ROW_INDEX], "a", "b") == [("2", "2"), ("4", "3")]
    assert len(units) == 2 * len(by_position(from_ratings(frame)))


def test_a_surplus_row_shifts_what_is_matched_by_position_and_nothing_that_is_matched_within_its_issue() -> None:
    frame = ratings(
        ("a", 2, "7", "x", "x"), ("a", 3, "8", "y", "y"), ("a", 4, "9", "z", "z"),
        ("b", 2, "7", "x", "x"), ("b", 3, "7", "v", "v"), ("b", 4, "8", "y", "y"), ("b", 5, "9", "z", "z"),
    )  # fmt: skip
    said = from_ratings(frame)
    by_row = by_position(said)
    assert pairs(by_row, "a", "b") == [("", "z"), ("x", "x"), ("y", "v"), ("z", "y")]
    assert by_row["cluster"].tolist() == ["7", "7", "8", "8", "9", "9", "9"]  # that of the first rater's row, if there is one
    for match in (by_number, by_best_assignment):
        assert pairs(match(said), "a", "b") == [("", "v"), ("x", "x"), ("y", "y"), ("z", "z")]
        assert unmatched(match(said)) == 1


def test_labels_of_an_issue_as_a_whole_are_units_of_their_own() -> None:
    frame = labels({"a": [{"stage": "x"}], "b": [{"stage": "y"}]})
    gate = frame.assign(defect=0, facet="gate", category="defect")
    for match in (by_number, by_best_assignment):
        units = match(from_labels(pd.concat([frame, gate])))
        assert units["item"].nunique() == 2
        assert set(units["cluster"]) == {"a/b#1"}
        assert unmatched(units) == 0


def test_a_defect_that_only_one_annotator_of_an_issue_saw_is_unmatched() -> None:
    frame = pd.concat([
        labels({"a": [{"f": "x"}, {"f": "y"}, {"f": "z"}], "b": [{"f": "y"}], "c": [{"f": "y"}]}),
        labels({"a": [{"f": "x"}]}, ("a/b", 2)),  # nobody else labelled this issue
    ])  # fmt: skip
    units = by_best_assignment(from_labels(frame))
    assert pairs(units, "a", "b", "c") == [("x", "", ""), ("x", "", ""), ("y", "y", "y"), ("z", "", "")]
    assert unmatched(units) == 4


def test_a_repository_is_one_whatever_its_case() -> None:
    other = labels({"b": [{"f": "x"}]}, ("A/B", 1))
    units = by_best_assignment(from_labels(pd.concat([labels({"a": [{"f": "x"}]}), other])))
    assert pairs(units, "a", "b") == [("x", "x")]


def test_best_assignment_finds_the_same_defects_in_another_order() -> None:
    defects = [{"stage": "x", "symptom": "crash"}, {"stage": "x", "symptom": "slow"}, {"stage": "y", "symptom": "slow"}]
    for order in permutations(defects):
        said = from_labels(labels({"a": defects, "b": list(order)}))
        assert agreements(by_best_assignment(said)) == 6


def test_where_matchings_are_as_good_the_lists_order_decides() -> None:
    said = from_labels(labels({"a": [{"f": "x"}, {"f": "y"}], "b": [{"f": "v"}, {"f": "w"}]}))
    assert pairs(by_best_assignment(said), "a", "b") == [("x", "v"), ("y", "w")]


def test_three_annotators_are_matched_onto_the_one_with_the_most_defects() -> None:
    said = from_labels(
        labels({"a": [{"f": "z"}, {"f": "v"}], "b": [{"f": "x"}, {"f": "y"}, {"f": "z"}], "c": [{"f": "y"}, {"f": "w"}]})
    )
    assert pairs(by_best_assignment(said), "a", "b", "c") == [("", "x", "w"), ("v", "y", "y"), ("z", "z", "")]


ANSWERS = st.fixed_dictionaries({"f": st.sampled_from("xyz"), "g": st.sampled_from("xyz"), "h": st.sampled_from("xyz")})
LISTS = st.lists(ANSWERS, min_size=1, max_size=4)


@given(LISTS, LISTS)
def test_best_assignment_never_agrees_less_than_any_other_matching(
    first: list[dict[str, str]], second: list[dict[str, str]]
) -> None:
    said = from_labels(labels({"a": first, "b": second}))
    best = agreements(by_best_assignment(said))
    assert best >= agreements(by_number(said))
    shorter, longer = sorted((first, second), key=len)
    assert best == max(
        sum(one[facet] == other[facet] for one, other in zip(shorter, order, strict=False) for facet in one)
        for order in permutations(longer, len(shorter))
    )


@given(LISTS, LISTS)
def test_matching_is_symmetric(first: list[dict[str, str]], second: list[dict[str, str]]) -> None:
    one = by_best_assignment(from_labels(labels({"a": first, "b": second})))
    other = by_best_assignment(from_labels(labels({"b": second, "a": first})))
    pd.testing.assert_frame_equal(one, other)
    swapped = by_best_assignment(from_labels(labels({"a": second, "b": first})))
    assert agreements(one) == agreements(swapped)
    assert unmatched(one) == unmatched(swapped) == abs(len(first) - len(second))


@given(st.dictionaries(st.sampled_from("abcd"), LISTS, min_size=1))
def test_every_label_is_in_one_unit_in_which_its_annotator_has_no_other(lists: dict[str, list[dict[str, str]]]) -> None:
    said = from_labels(labels(lists))
    units = by_best_assignment(said)
    assert not units.duplicated(["item", "facet", "annotator"]).any()
    key = ["annotator", "facet", "category"]
    assert units.groupby(key).size().equals(said.groupby(key).size())
    assert units["item"].nunique() >= max(map(len, lists.values()))


def test_two_rounds_of_an_annotator_and_two_annotators_of_two_rounds_are_compared_on_the_issues_of_both() -> None:
    frame = pd.concat(
        labels({"a": [{"f": "x"}], "b": [{"f": "y"}]}, ("a/b", number)).assign(round=round_)
        for round_, number in (("one", 1), ("one", 2), ("two", 2), ("two", 3))
    )
    said = from_labels(frame)
    again = between(said, ("a", "one"), ("a", "two"))
    assert set(again["cluster"]) == {"a/b#2"}
    assert set(again["round"]) == {"one and two"}
    assert pairs(by_best_assignment(again), "one", "two") == [("x", "x")]
    assert pairs(by_best_assignment(between(said, ("a", "one"), ("b", "two"))), "a", "b") == [("x", "y")]
    assert between(said, ("a", "one"), ("nobody", "two")).empty


def test_the_rows_of_the_study_s_sheets_that_meet_another_issue_s_do_not_when_matched_within_an_issue(
    published: OpenStudy,
) -> None:
    said = from_ratings(published.ratings[published.ratings["round"] == "final"])
    assert said.groupby("annotator")["position"].max().tolist() == [134, 134]
    assert unmatched(by_position(said)) == 0
    assert unmatched(by_best_assignment(said)) == 2
    assert agreements(by_number(said)) < agreements(by_best_assignment(said)) > agreements(by_position(said))


def test_nothing_makes_no_units() -> None:
    said = from_labels(labels({}))
    assert by_best_assignment(said).empty
    assert unmatched(by_number(said)) == 0
