import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

from pipeline.annotate.coefficients import COEFFICIENTS
from pipeline.annotate.raters import (
    drift,
    leanings,
    leanings_shown,
    profiles,
    profiles_shown,
    shifts,
    shifts_shown,
)
from pipeline.openstudy import OpenStudy

_STAGES = {"x": "training", "y": "modeling", "z": "environment"}


def said(*of_rounds: tuple[str, dict[str, str]], suggested: str | None = None) -> pd.DataFrame:
    """What annotators say of the stage of issue after issue, a letter each; a blank where nothing."""
    rows = [
        (round_, annotator, f"c{issue}", 1, "stage", letter)
        for round_, lists in of_rounds
        for annotator, letters in lists.items()
        for issue, letter in enumerate(letters)
        if letter != " "
    ]
    frame = pd.DataFrame(rows, columns=["round", "annotator", "cluster", "defect", "facet", "category"])
    if suggested is not None:
        frame["suggested"] = [suggested[int(cluster[1:])].strip() or None for cluster in frame["cluster"]]
    return frame


def test_a_profile_tells_how_a_rater_agrees_with_each_other_and_with_the_final_labels() -> None:
    lists = {"a": "xxyyzx", "b": "xxyyxx", "c": "xyyyzx"}
    found = profiles(said(("one", lists), ("final", {"judge": "xxyyz "})), 1, ("judge", "final")).set_index("annotator")
    assert list(found.index) == ["a", "b", "c"]
    kappas = [cohen_kappa_score(list(lists["a"]), list(lists[other])) for other in "bc"]
    assert found.loc["a", "kappa"] == pytest.approx(np.mean(kappas))
    assert found.loc["a", "low"] < found.loc["a", "kappa"] <= found.loc["a", "high"]
    assert found.loc["a", ["n", "final_n", "final"]].tolist() == [6, 5, 1]
    assert found.loc["b", "final"] == 0.8
    assert found.loc["b", "final_low"] < 0.8 < found.loc["b", "final_high"]
    assert found.loc["b", "entropy"] < found.loc["a", "entropy"] == pytest.approx(0.5 + np.log2(3) / 3 + np.log2(6) / 6)


def test_a_profile_tells_how_often_a_suggestion_was_taken_if_any_was_shown() -> None:
    shown = said(("one", {"a": "xxyy", "b": "xyyx"}), suggested="xxx ")
    found = profiles(shown, 1).set_index("annotator")
    assert found.loc["a", ["suggested_n", "followed"]].tolist() == pytest.approx([3, 2 / 3])
    assert found.loc["b", ["suggested_n", "followed"]].tolist() == pytest.approx([3, 1 / 3])
    without = profiles(said(("one", {"a": "xxyy", "b": "xyyx"})), 1)
    assert without["suggested_n"].tolist() == [0, 0]
    assert without["followed"].isna().all()
    assert profiles_shown(without)["followed"].tolist() == ["", ""]


def test_a_rater_who_shares_nothing_with_others_has_no_kappa() -> None:
    found = profiles(said(("one", {"a": "xy  ", "b": "  xy"})), 1)
    assert found["kappa"].isna().all()
    assert found["n"].tolist() == [2, 2]


def test_leanings_are_shares_on_the_same_things_and_what_is_clear_is_printed() -> None:
    found = leanings(said(("one", {"a": "x" * 30 + "y" * 10 + "z", "b": "x" * 10 + "y" * 30})), 1)
    of_a = found[found["annotator"] == "a"].set_index("category")
    assert list(of_a.index) == ["x", "y"]  # b said nothing of the thing that a called z
    assert of_a.loc["x", ["n", "share", "others", "difference"]].tolist() == [40, 0.75, 0.25, 0.5]
    assert 0.3 < of_a.loc["x", "low"] < 0.5 < of_a.loc["x", "high"] < 0.7
    of_b = found[found["annotator"] == "b"].set_index("category")
    assert (of_b["difference"] == -of_a["difference"]).all()
    shown = leanings_shown(found)
    assert shown["category"].tolist() == ["x", "y", "x", "y"]
    assert shown["difference"].iloc[0].startswith("+0.50 [+0.")


def test_a_thing_counts_once_among_the_others_however_many_of_them_labelled_it() -> None:
    found = leanings(said(("one", {"a": "xx", "b": "xy", "c": " x"})), 1)
    assert found.set_index(["annotator", "category"]).loc[("a", "x"), "others"] == 0.75


def test_drift_goes_from_round_to_round_in_their_order() -> None:
    frame = said(("late", {"a": "xxyyxy", "b": "xxyyxy"}), ("early", {"a": "xxyyxy", "b": "xyyxxy"}), ("alone", {"a": "xxyyxy"}))
    found = drift(frame, ["early", "alone", "late"], ["stage"], ["stage"], 1)
    assert found[["before_round", "after_round"]].drop_duplicates().to_numpy().tolist() == [["early", "late"]]
    assert found["coefficient"].tolist() == list(COEFFICIENTS) * 2
    assert (found["change"] > 0).all()
    assert (found["low"] >= -1e-12).all()  # on the same issues, nothing got worse in any resample
    nothing = drift(frame, ["alone"], ["stage"], ["stage"], 1)
    assert nothing.empty
    assert list(nothing.columns) == list(found.columns)


def test_a_shift_tells_what_a_rater_kept_and_whether_categories_moved() -> None:
    frame = said(("one", {"a": "x" * 20, "b": "xy" * 10}), ("two", {"a": "x" * 8 + "y" * 12, "b": "yx" * 10}))
    found = shifts(frame, ["one", "two"], 1).set_index("annotator")
    assert found.loc["a", ["n", "kept", "shift"]].tolist() == pytest.approx([20, 0.4, 0.6])
    assert found.loc["a", "p"] < 0.01
    assert found.loc["b", ["n", "kept", "shift", "p"]].tolist() == [20, 0, 0, 1]
    assert found.loc["b", "low"] == 0 < found.loc["b", "high"] < 0.2
    assert shifts_shown(found.reset_index())["kept"].iloc[0].startswith("0.40 [0.")


def test_rounds_of_other_issues_share_nothing_to_keep_and_their_issues_are_exchanged() -> None:
    one, two = said(("one", {"a": "xy" * 10})), said(("two", {"a": "xy" * 10})).assign(cluster=lambda f: "other " + f["cluster"])
    found = shifts(pd.concat([one, two]), ["one", "two"], 1).iloc[0]
    assert (found["n"], found["shift"], found["p"]) == (0, 0, 1)
    assert np.isnan(found["kept"])


def test_the_study_s_raters_kept_in_the_final_round_what_they_had_discussed(published: OpenStudy) -> None:
    found = published.rater_shifts().set_index(["annotator", "before_round", "facet"])
    for rater in ("jiang2024-rater-1", "jiang2024-rater-2"):
        of_rater = found.loc[(rater, "pilot-discussed")]
        assert (of_rater["n"] >= 50).all()
        assert of_rater["kept"].min() > 0.85
    assert set(published.drift()["after_round"]) == {"pilot-discussed", "final"}


def test_one_rater_of_the_study_calls_training_what_the_other_calls_environment(published: OpenStudy) -> None:
    found = published.rater_leanings().set_index(["round", "annotator", "facet", "category"])["low"]
    assert found["final", "jiang2024-rater-1", "stage", "training"] > 0.3
    assert found["final", "jiang2024-rater-2", "stage", "environment"] > 0.2
    profile = published.rater_profiles().set_index(["round", "annotator", "facet"])
    assert profile.loc[("final", "jiang2024-rater-1", "stage"), "n"] == 125
