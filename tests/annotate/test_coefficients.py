import warnings

import krippendorff
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa

from pipeline.annotate.coefficients import COEFFICIENTS, change, coefficients, estimate, interval, resamples

Sheet = list[list[str | None]]
"""What each annotator (a row) says of each item (a column); None where nothing."""


def units(sheet: Sheet, clusters: list[str] | None = None) -> pd.DataFrame:
    rows = [
        (item, clusters[item] if clusters else f"c{item}", "f", f"annotator {who}", category)
        for who, said in enumerate(sheet)
        for item, category in enumerate(said)
        if category is not None
    ]
    return pd.DataFrame(rows, columns=["item", "cluster", "facet", "annotator", "category"])


def from_counts(table: list[list[int]]) -> pd.DataFrame:
    """Units of items (rows) whose labels are counted by category (columns)."""
    said = [[str(category) for category, count in enumerate(row) for _ in range(count)] for row in table]
    return units([list(of_annotator) for of_annotator in zip(*said, strict=True)])


def from_confusion(table: list[list[int]]) -> pd.DataFrame:
    """Units of two annotators from how often the first (rows) and the second (columns) used each category."""
    pairs = [(str(i), str(j)) for i, row in enumerate(table) for j, count in enumerate(row) for _ in range(count)]
    return units([list(side) for side in zip(*pairs, strict=True)])


def letters(*rows: str) -> pd.DataFrame:
    return units([[None if letter == "." else letter for letter in row] for row in rows])


# Cohen (1960), A coefficient of agreement for nominal scales, Educ. Psychol. Meas. 20(1), table 2: diagnoses of 200 patients.
COHEN = [[88, 14, 18], [10, 40, 10], [2, 6, 12]]

# Fleiss (1971), Measuring nominal scale agreement among many raters, Psychol. Bull. 76(5), table 1: 30 patients, six
# psychiatrists each; depression, personality disorder, schizophrenia, neurosis, other.
FLEISS = """00060 03003 01401 00006 03030 20400 00402 20310 20040 00006 10050 11040 03300 10050 02031
            00501 30012 51000 02040 10203 00006 01050 02013 20040 10041 05010 40002 02040 10500 00006"""

# Krippendorff (2011), Computing Krippendorff's alpha-reliability, sections A to C; the last is also the example of Gwet (2014),
# Handbook of inter-rater reliability, 4th edition, for labels that are missing.
FOUR_OBSERVERS = ("123321412...", "1233224125.3", ".3332342251.", "12332441251.")


def test_cohen_s_kappa_of_cohen_s_example() -> None:
    found = coefficients(from_confusion(COHEN))
    assert found["agreement"] == pytest.approx(0.70)
    assert found["cohen"] == pytest.approx(0.492, abs=0.0005)


def test_fleiss_kappa_of_fleiss_example() -> None:
    table = [[int(digit) for digit in row] for row in FLEISS.split()]
    assert np.sum(table, axis=0).tolist() == [26, 26, 30, 55, 43]
    found = coefficients(from_counts(table))
    assert found["agreement"] == pytest.approx(0.5556, abs=0.00005)
    assert found["fleiss"] == pytest.approx(0.430, abs=0.0005)
    assert np.isnan(found["cohen"])


@pytest.mark.parametrize(
    ("sheet", "alpha"),
    [(("0100000010", "1110010000"), 0.095), (("aabbdcccedda", "babbbccceddd"), 0.692), (FOUR_OBSERVERS, 0.743)],
)
def test_alpha_of_krippendorff_s_examples(sheet: tuple[str, ...], alpha: float) -> None:
    assert coefficients(letters(*sheet))["krippendorff"] == pytest.approx(alpha, abs=0.0005)


def test_coefficients_of_gwet_s_example_with_missing_labels() -> None:
    found = coefficients(letters(*FOUR_OBSERVERS))
    expected = {"agreement": 0.818, "fleiss": 0.761, "krippendorff": 0.743, "gwet": 0.775}
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=0.0005)


def test_kappa_is_low_and_ac1_high_where_one_category_prevails() -> None:
    # Gwet (2002), Kappa statistic is not satisfactory for assessing the extent of agreement between raters: 118 of 125 agree
    found = coefficients(from_confusion([[118, 5], [2, 0]]))
    assert found["agreement"] == pytest.approx(0.944)
    assert found["cohen"] == pytest.approx(-0.023, abs=0.0005)
    assert found["gwet"] == pytest.approx(0.941, abs=0.0005)


def test_coefficients_of_the_abstractors_in_gwet_s_package() -> None:
    # the vignette of irrCAC: two abstractors of 100 records; Scott's pi is what Fleiss' kappa is of two
    found = coefficients(from_confusion([[13, 0, 0], [0, 20, 7], [0, 4, 56]]))
    expected = {"agreement": 0.89, "cohen": 0.7964094, "fleiss": 0.7962397, "krippendorff": 0.7972585, "gwet": 0.8493305}
    assert found == pytest.approx(expected, abs=5e-8)


LABELS = st.sampled_from("abcd")
TWO = st.integers(1, 30).flatmap(lambda n: st.lists(st.lists(LABELS, min_size=n, max_size=n), min_size=2, max_size=2))


@st.composite
def sheets(draw: st.DrawFn) -> Sheet:
    annotators, items = draw(st.integers(2, 4)), draw(st.integers(1, 12))
    label = st.one_of(st.none(), st.sampled_from("abc"))
    return draw(st.lists(st.lists(label, min_size=items, max_size=items), min_size=annotators, max_size=annotators))


@given(TWO)
def test_cohen_s_kappa_is_that_of_scikit_learn(sheet: list[list[str]]) -> None:
    if len({*sheet[0], *sheet[1]}) > 1:
        assert coefficients(units(sheet))["cohen"] == pytest.approx(cohen_kappa_score(*sheet))


@given(st.lists(st.lists(LABELS, min_size=3, max_size=3), min_size=1, max_size=20))
def test_fleiss_kappa_of_complete_labels_is_that_of_statsmodels(said: list[list[str]]) -> None:
    if len({label for of_item in said for label in of_item}) > 1:
        table, _ = aggregate_raters(np.array(said))
        assert coefficients(units([list(who) for who in zip(*said, strict=True)]))["fleiss"] == pytest.approx(fleiss_kappa(table))


@given(sheets())
def test_alpha_is_that_of_the_library_of_that_name(sheet: Sheet) -> None:
    pairable = [[label for label in of_item if label] for of_item in zip(*sheet, strict=True)]
    if len({label for of_item in pairable if len(of_item) > 1 for label in of_item}) < 2:
        return
    coded = [[np.nan if label is None else float("abc".index(label)) for label in said] for said in sheet]
    theirs = krippendorff.alpha(reliability_data=coded, level_of_measurement="nominal", value_domain=[0.0, 1.0, 2.0])
    assert coefficients(units(sheet))["krippendorff"] == pytest.approx(theirs)


@given(sheets())
def test_names_and_order_of_annotators_items_and_categories_mean_nothing(sheet: Sheet) -> None:
    frame = units(sheet)
    if frame.empty:
        return
    renamed = frame.assign(
        item=-frame["item"],
        annotator=frame["annotator"].map({f"annotator {i}": f"annotator {3 - i}" for i in range(4)}),
        category=frame["category"].map({"a": "z", "b": "a", "c": "b"}),
    ).sample(frac=1, random_state=1)
    assert coefficients(renamed) == pytest.approx(coefficients(frame), nan_ok=True)


@given(st.lists(LABELS, min_size=2, max_size=12), st.integers(2, 4))
def test_all_are_one_when_all_agree_on_several_categories(said: list[str], annotators: int) -> None:
    found = coefficients(units([said] * annotators))
    assert found["agreement"] == 1
    for name in set(COEFFICIENTS) - {"agreement", *(["cohen"] if annotators > 2 else [])}:
        assert found[name] == pytest.approx(1) if len(set(said)) > 1 else np.isnan(found[name])


@given(sheets())
def test_no_coefficient_is_above_one_and_agreement_not_below_nothing(sheet: Sheet) -> None:
    frame = units(sheet)
    if len(frame):
        found = coefficients(frame)
        assert all(np.isnan(value) or value <= 1 + 1e-12 for value in found.values())
        assert np.isnan(found["agreement"]) or found["agreement"] >= 0


@pytest.mark.parametrize("sheet", [[["a"], ["a"]], [["a", None], [None, "b"]], [["a"]]])
def test_what_is_undefined_is_not_a_number_and_no_warning(sheet: Sheet) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = estimate(units(sheet), seed=1)
        assert np.isnan([found[name].value for name in ("cohen", "fleiss", "krippendorff", "gwet")]).all()
    assert found["agreement"].n == (1 if sheet == [["a"], ["a"]] else 0)


def test_nothing_has_no_agreement() -> None:
    found = estimate(units([[None], [None]]), seed=1)
    assert all(np.isnan([e.value, e.low, e.high]).all() and e.n == 0 for e in found.values())


def test_the_interval_holds_the_value_is_the_same_each_time_and_missing_for_a_single_cluster() -> None:
    frame = from_confusion(COHEN)
    found = estimate(frame, seed=1)
    assert all(e.low < e.value < e.high and e.n == 200 for e in found.values())
    assert found == estimate(frame.sample(frac=1, random_state=3), seed=1)
    assert found != estimate(frame, seed=2)
    alone = estimate(frame.assign(cluster="one"), seed=1)
    assert np.isnan(alone["cohen"].low)
    assert alone["cohen"].value == found["cohen"].value


def test_the_interval_is_about_as_wide_as_theory_says() -> None:
    # Cohen (1960) gives the standard error sqrt(po (1 - po) / (n (1 - pe)^2)), a good approximation
    found = estimate(from_confusion(COHEN), seed=1)["cohen"]
    error = np.sqrt(0.7 * 0.3 / (200 * 0.59**2))
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_items_of_one_cluster_are_drawn_together_which_widens_the_interval() -> None:
    sheet: Sheet = [list("aabb" * 10), list("aabb" * 5 + "bbaa" * 5)]
    alone = estimate(units(sheet), seed=1)["cohen"]
    together = estimate(units(sheet, [f"c{item // 4}" for item in range(40)]), seed=1)["cohen"]
    assert together.value == alone.value
    assert together.high - together.low > 1.3 * (alone.high - alone.low)


def test_a_resample_is_what_the_coefficients_of_its_clusters_are() -> None:
    frame = units([list("aabbc"), list("abbbc"), ["a", None, "b", "c", "c"]], list("vvwwx"))
    clusters = ["v", "w", "x"]
    weights = np.random.default_rng(5).multinomial(3, np.full(3, 1 / 3), size=2000)
    drawn = resamples(frame, clusters, 5)
    for row in range(20):
        copies = [
            frame[frame["cluster"] == cluster].assign(item=lambda f, n=n: f["item"] + 100 * n)
            for cluster, times in zip(clusters, weights[row], strict=True)
            for n in range(times)
        ]
        expected = coefficients(pd.concat(copies))
        known = len(set(pd.concat(copies)["category"])) == 3  # AC1 is of the categories of the whole sample
        names = [name for name in COEFFICIENTS if known or name != "gwet"]
        got = dict(zip(COEFFICIENTS, drawn[row], strict=True))
        assert {name: got[name] for name in names} == pytest.approx({name: expected[name] for name in names}, nan_ok=True)


def test_an_interval_leaves_out_resamples_that_are_undefined() -> None:
    draws = np.array([[np.nan, np.nan], [1, np.nan], [3, np.nan]])
    assert interval(draws)[:, 0].tolist() == pytest.approx([1.05, 2.95])
    assert np.isnan(interval(draws)[:, 1]).all()


def test_a_change_of_nothing_is_nothing_on_the_same_clusters() -> None:
    frame = from_confusion(COHEN)
    table = change(frame, frame, seed=1)
    assert list(table.index) == list(COEFFICIENTS)
    assert (table[["change", "low", "high"]] == 0).all(axis=None)
    other = change(frame, frame.assign(cluster="other " + frame["cluster"]), seed=1)
    assert (other["change"] == 0).all()
    assert ((other["low"] < 0) & (other["high"] > 0)).all()


def test_a_change_is_surer_when_the_clusters_are_the_same() -> None:
    before = from_confusion(COHEN)
    after = before.copy()
    fixed = after["item"].isin(range(150, 200, 2))
    after.loc[fixed, "category"] = "0"
    paired = change(before, after, seed=1).loc["cohen"]
    apart = change(before, after.assign(cluster="other " + after["cluster"]), seed=1).loc["cohen"]
    assert paired["change"] == pytest.approx(apart["change"])
    assert paired["high"] - paired["low"] < apart["high"] - apart["low"]
