from pathlib import Path

import pandas as pd
import pytest

from pipeline.annotate.agreement import (
    POOLED,
    Comparison,
    agreement_shown,
    agreement_table,
    changes,
    changes_shown,
    confusion,
    disagreements,
    history,
)
from pipeline.annotate.coefficients import COEFFICIENTS
from pipeline.annotate.units import by_best_assignment, by_position, from_ratings
from pipeline.errors import RedefectError
from pipeline.importing import import_study
from pipeline.openstudy import OpenStudy
from pipeline.store.session import Store
from pipeline.study import read_study
from pipeline.taxonomy import Taxonomy

FACETS = ["stage", "symptom", "defect-type", "root-cause", "manifestation"]


def units(**said: str) -> pd.DataFrame:
    """Units of two facets from what each annotator says of item after item, a letter each; a blank where nothing."""
    rows = [
        (item, f"c{item}", facet, who, letter)
        for facet in ("f", "g")
        for who, letters in said.items()
        for item, letter in enumerate(letters)
        if letter != " "
    ]
    return pd.DataFrame(rows, columns=["item", "cluster", "facet", "annotator", "category"])


def table(*comparisons: tuple[str, pd.DataFrame]) -> pd.DataFrame:
    return agreement_table((Comparison(round_, "number", "by category", of) for round_, of in comparisons), ["f", "g"], ["g"], 1)


def test_the_table_has_a_row_for_each_facet_and_coefficient_and_tells_on_what_each_rests() -> None:
    found = table(("one", units(a="xyx", b="xy ", c="xz ")))
    assert list(found["facet"].drop_duplicates()) == [POOLED, "g"]
    assert list(found["coefficient"].drop_duplicates()) == list(COEFFICIENTS)
    assert set(found["annotators"]) == {"a, b, c"}
    pooled, of_g = (found[found["facet"] == facet].iloc[0] for facet in (POOLED, "g"))
    assert (pooled["n"], pooled["pairs"], pooled["issues"]) == (4, 12, 2)
    assert (of_g["n"], of_g["pairs"], of_g["issues"]) == (2, 6, 2)
    assert of_g["value"] == pytest.approx((1 + 1 / 3) / 2)


def test_nothing_compared_is_an_empty_table_in_print_too() -> None:
    found = table()
    assert found.empty
    assert agreement_shown(found).empty
    assert history(found).empty


def test_a_table_in_print_has_an_estimate_with_its_interval_in_each_cell() -> None:
    shown = agreement_shown(table(("one", units(a="xyxyxyxy", b="xyxyxyyx"))))
    assert list(shown.columns) == ["round", "matched", "compared", "annotators", "facet", "n", *COEFFICIENTS.values()]
    assert shown["agreement"].tolist() == ["0.75 [0.38, 1.00]"] * 2
    assert shown["n"].tolist() == [16, 8]


def test_the_history_has_a_row_for_each_round_with_kappa_of_two_and_alpha_of_more() -> None:
    past = history(table(("one", units(a="xxyy", b="xyyy")), ("two", units(a="xxyy", b="xxyy", c="xxyy"))))
    assert past["round"].tolist() == ["one", "two"]
    assert past["coefficient"].tolist() == ["Cohen's kappa", "Krippendorff's alpha"]
    assert past["n"].tolist() == [8, 8]
    assert past[[POOLED, "g"]].iloc[1].tolist() == ["1.00 [1.00, 1.00]"] * 2
    assert past[POOLED].iloc[0].startswith("0.50 [")


def test_changes_are_by_facet_and_signed_in_print() -> None:
    found = changes(units(a="xxyyxy", b="xyyyxy"), units(a="xxyyxy", b="xxyyxy"), ["f", "g"], ["f", "gone"], 1)
    assert list(found["facet"].drop_duplicates()) == [POOLED, "f"]
    assert (found["change"] > 0).sum() == (found["after"] == 1).sum() == 10
    shown = changes_shown(found)
    assert shown["facet"].tolist() == [POOLED, "f"]
    assert shown["agreement"].iloc[0].startswith("+0.17 [+0.00, +")


def test_confusion_counts_what_two_said_of_the_same_in_the_taxonomy_s_order(taxonomy: Taxonomy) -> None:
    stage = taxonomy.facet("stage")
    one, other = stage.ids[:2]
    names = {"x": other, "y": one, "?": "in no taxonomy"}
    frame = units(a="xxyy ?", b="xyyxxy")
    frame = frame[frame["facet"] == "f"].assign(facet="stage", category=lambda f: f["category"].map(names))
    counts = confusion(frame, stage, "a", "b")
    assert list(counts.index) == list(counts.columns) == [one, other, "in no taxonomy"]
    assert counts.to_numpy().tolist() == [[1, 1, 0], [1, 1, 0], [1, 0, 0]]
    assert (counts.index.name, counts.columns.name) == ("a", "b")
    assert confusion(frame, stage, "b", "a").to_numpy().tolist() == counts.to_numpy().T.tolist()


def test_disagreements_come_most_frequent_first_whoever_said_which() -> None:
    frame = units(a="xyxz", b="yxxx")
    found = disagreements(frame[frame["facet"] == "f"])
    assert found.to_numpy().tolist() == [["f", "x", "y", 2, 0.5], ["f", "x", "z", 1, 0.25]]
    assert disagreements(units(a="xy")).empty
    assert disagreements(units(a="xy", b="xz", c="xz"))["n"].tolist() == [2, 2]


def test_the_demo_s_annotators_are_compared_by_number_and_by_best_assignment(demo: OpenStudy) -> None:
    found = demo.agreement()
    assert found[["round", "matched"]].drop_duplicates().to_numpy().tolist() == [
        ["independent", "number"],
        ["independent", "best assignment"],
    ]
    kappa = found[found["coefficient"] == "cohen"].set_index(["matched", "facet"])
    for facet in kappa.loc["number"].index:
        assert kappa.loc[("best assignment", facet), "n"] >= kappa.loc[("number", facet), "n"]
    assert kappa.loc[("number", "gate"), "n"] == 168
    assert 140 < kappa.loc[("number", "stage"), "n"] <= 152
    assert 0.5 < kappa.loc[("number", "stage"), "value"] < 1
    assert demo.agreement_history()["round"].tolist() == ["independent", "independent"]


def test_rounds_come_in_the_study_file_s_order_then_sorted(demo: OpenStudy) -> None:
    assert demo.rounds == ["independent", "adjudicated"]
    for order, expected in (([], ["adjudicated", "independent"]), (["none", "independent"], ["independent", "adjudicated"])):
        study = demo.study.model_copy(update={"rounds": order})
        assert OpenStudy(study, Store(str(demo.study.database))).rounds == expected


def test_annotators_are_compared_with_the_verdict_of_their_study(demo: OpenStudy) -> None:
    found = demo.agreement_with_verdict()
    assert list(found["annotators"].drop_duplicates()) == ["demo-a, demo-adjudicated", "demo-adjudicated, demo-b"]
    assert set(found["round"]) == {"independent and adjudicated"}


@pytest.fixture
def annotated(root: Path, annotations: Path) -> OpenStudy:
    """The project's labels, without the texts that they are of."""
    (root / "data" / "annotations" / "labels.csv").write_bytes(annotations.read_bytes())
    path = root / "data" / "studies" / "denchmark.toml"
    described = path.read_text()
    threads, labels = (described.index("[[sources]]\nkind = " + f'"{kind}"') for kind in ("threads", "labels"))
    path.write_text(described[:threads] + described[labels:])
    study = read_study(path)
    store = Store(str(study.database))
    import_study(store, study)
    return OpenStudy(study, store)


def test_annotators_are_compared_with_another_study_s_verdict_on_the_issues_of_both(
    annotated: OpenStudy, published: OpenStudy
) -> None:
    found = annotated.agreement_with_verdict(published.study)
    names = ["auto-a, cv-reengineering", "auto-b, cv-reengineering", "adjudicated, cv-reengineering"]
    assert found["annotators"].drop_duplicates().tolist() == names
    assert set(found["issues"]) == {25}
    assert set(found["unmatched"]) == {3}  # where the study's raters list two defects, the annotations have one
    kappa = found[found["coefficient"] == "cohen"].set_index(["annotators", "facet"])["value"]
    of_adjudicated = kappa["adjudicated, cv-reengineering"].round(2)
    assert of_adjudicated[["symptom", "stage", "manifestation", "root-cause"]].tolist() == [0.88, 0.71, 0.55, 0.34]
    assert of_adjudicated["defect-type"] == 0.24  # 0.19 with the first listed defect
    within = annotated.agreement()
    kappa = within[within["coefficient"] == "cohen"].set_index("facet")
    assert kappa.loc["gate", "n"] == 259
    assert kappa["value"].min() > 0.84


def test_confusion_of_a_round_names_what_it_does_not_know(demo: OpenStudy) -> None:
    assert demo.confusion("gate", "independent", "demo-a", "demo-b").to_numpy().sum() == 168
    assert demo.disagreements("independent")["n"].is_monotonic_decreasing
    with pytest.raises(RedefectError, match="has no round 'final'; it has independent, adjudicated"):
        demo.disagreements("final")
    with pytest.raises(RedefectError, match="has no annotator 'demo-c'; it has demo-a, demo-b"):
        demo.confusion("gate", "independent", "demo-a", "demo-c")
    with pytest.raises(RedefectError, match="no facet 'stages'"):
        demo.confusion("stages", "independent", "demo-a", "demo-b")


@pytest.fixture(scope="module")
def of_sheets(published: OpenStudy) -> pd.DataFrame:
    found = published.agreement()
    return found[found["coefficient"] == "cohen"].set_index(["round", "matched", "compared", "facet"]).sort_index()


@pytest.mark.parametrize(
    ("round_", "alone", "with_index"), [("pilot", 0.525, 0.458), ("pilot-discussed", 0.749, 0.794), ("final", 0.626, 0.699)]
)
def test_the_published_kappas_come_out_only_with_the_row_index(
    of_sheets: pd.DataFrame, round_: str, alone: float, with_index: float
) -> None:
    for compared, value in (("as written", alone), ("as written, row index pooled in", with_index)):
        kappa = of_sheets.loc[(round_, "position", compared, POOLED)]
        assert round(kappa["value"], 3) == value
        assert kappa["low"] < kappa["value"] < kappa["high"]


def test_agreement_of_the_final_round_by_facet(of_sheets: pd.DataFrame) -> None:
    found = of_sheets.loc[("final", "position", "as written")]["value"].round(2)
    assert found[FACETS].tolist() == [0.17, 0.75, 0.55, 0.50, 0.67]


def test_merging_variants_and_better_matching_raise_agreement_in_the_final_round(of_sheets: pd.DataFrame) -> None:
    pooled = of_sheets.xs(POOLED, level="facet").loc["final"]["value"].round(3)
    assert pooled[[("position", "as written"), ("position", "by category")]].tolist() == [0.626, 0.646]
    assert pooled[[("best assignment", "as written"), ("best assignment", "by category")]].tolist() == [0.664, 0.69]


def test_what_better_matching_changes_has_an_interval_on_the_same_issues(published: OpenStudy) -> None:
    said = from_ratings(published.ratings[published.ratings["round"] == "final"])
    found = changes(by_position(said), by_best_assignment(said), FACETS, FACETS, seed=1).set_index(["facet", "coefficient"])
    pooled = found.loc[(POOLED, "cohen")]
    assert round(pooled["change"], 3) == 0.039
    assert 0 < pooled["low"] < pooled["change"] < pooled["high"] < 0.1


def test_the_history_is_pilot_discussion_final(published: OpenStudy) -> None:
    past = published.agreement_history()
    written = past[(past["matched"] == "position") & (past["compared"] == "as written")]
    assert written["round"].tolist() == ["pilot", "pilot-discussed", "final"]
    assert [text[:4] for text in written[POOLED]] == ["0.53", "0.75", "0.63"]


def test_the_flaw_report_names_the_row_index_as_the_cause(published: OpenStudy) -> None:
    flaws = published.agreement_flaws()
    assert [flaw.where for flaw in flaws] == ["round 'pilot'", "round 'pilot-discussed'", "round 'final'"]
    assert all("only when the sheets' row index is pooled in as if it were a label" in flaw.what for flaw in flaws)


def test_it_is_told_what_merging_variants_and_matching_change(published: OpenStudy) -> None:
    choices = published.agreement_choices()
    cohen = choices[(choices["coefficient"] == "cohen") & (choices["round"] == "final")].set_index(["choice", "facet"])
    assert cohen.loc[("variants merged", "stage"), "change"] == 0
    assert round(cohen.loc[("best assignment", "stage"), "before"], 2) == 0.17
    for choice, facet in (("both", "root-cause"), ("best assignment", "pooled"), ("variants merged", "pooled")):
        row = cohen.loc[(choice, facet)]
        assert 0 < row["low"] < row["change"] < row["high"]
        assert row["after"] == pytest.approx(row["before"] + row["change"])


def test_a_study_without_sheets_has_no_such_choice(demo: OpenStudy) -> None:
    assert demo.agreement_choices().empty
