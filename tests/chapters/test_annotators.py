import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import make_root

from pipeline.analyze.figures import Chart
from pipeline.analyze.results import Gallery, Sentences, TitledFrame
from pipeline.chapters.annotators import Annotators
from pipeline.importing import import_study
from pipeline.openstudy import OpenStudy
from pipeline.store.session import Store
from pipeline.study import read_study

SHOWN = [name for name, value in vars(Annotators).items() if isinstance(value, property) and not name.startswith("_")]


def demo_with(folder: Path, called: Callable[[str], str | None]) -> OpenStudy:
    """Return the demo whose annotators have other names; of those whose name becomes None, the labels are left out."""
    root = make_root(folder / "root")
    labels = root / "data" / "demo" / "labels.csv"
    with labels.open(encoding="utf-8", newline="") as file:
        rows = [row | {"annotator": called(row["annotator"])} for row in csv.DictReader(file)]
    with labels.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(row for row in rows if row["annotator"] is not None)
    study = read_study(root / "data" / "studies" / "demo.toml")
    store = Store(str(study.database))
    import_study(store, study)
    return OpenStudy(study, store)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> OpenStudy:
    """The demo with the labels of one annotator only."""
    return demo_with(tmp_path_factory.mktemp("alone"), lambda name: name if name == "demo-adjudicated" else None)


def frame_of(result: object) -> TitledFrame:
    assert isinstance(result, TitledFrame), result
    return result


def test_who_labelled_is_counted_in_labels_and_in_sheets(demo: OpenStudy, published: OpenStudy) -> None:
    rows = frame_of(demo.annotators.rounds).frame.to_numpy().tolist()
    assert rows[0] == ["independent", "demo-a", "168 issues", 1668, 11]
    rows = frame_of(published.annotators.rounds).frame.to_numpy().tolist()
    assert rows[0] == ["pilot", "jiang2024-rater-1", "13 rows of a sheet", 104, 8]
    assert rows[-1] == ["adjudicated", "jiang2024", "427 issues", 3907, 11]


def test_agreement_is_told_by_round_and_way_to_compare(published: OpenStudy) -> None:
    table = frame_of(published.annotators.agreement)
    assert list(table.frame.columns[:4]) == ["Round", "Defects matched", "Compared", "n"]  # all rounds are of the same two
    final = table.frame[(table.frame["Round"] == "final") & (table.frame["Compared"] == "by category")]
    assert list(final["Cohen's kappa"]) == ["0.65 [0.59, 0.70]", "0.69 [0.64, 0.74]"]
    assert "By jiang2024-rater-1, jiang2024-rater-2." in table.note


def test_each_facet_stands_with_interval_and_n_for_each_round(published: OpenStudy) -> None:
    gallery = published.annotators.by_facet
    assert isinstance(gallery, Gallery)
    chart, table = gallery
    assert isinstance(chart, Chart)
    stage = frame_of(table).frame.set_index("Facet").loc["Stage"]
    assert stage["Round final"] == "0.23 [0.15, 0.32], n = 124"
    assert "Framework 0.88 (n = 134)" in chart.description


def test_published_kappas_stand_beside_right_ones_with_the_reason_for_the_difference(published: OpenStudy) -> None:
    gallery = published.annotators.published
    assert isinstance(gallery, Gallery)
    table, why = gallery
    assert frame_of(table).frame.iloc[2].tolist() == [
        "final",
        0.699,
        "0.70 [0.66, 0.74], n = 748",
        "0.63 [0.57, 0.68], n = 613",
        "0.69 [0.64, 0.74], n = 608",
    ]
    assert isinstance(why, Sentences)
    assert len(why) == 3
    assert why[0].startswith("Round 'pilot': the published pooled kappa 0.458 comes out only when the sheets' row index")


def test_changes_of_single_facets_are_listed_only_if_they_are_clear(published: OpenStudy) -> None:
    of_facets = frame_of(published.annotators.drift).frame.query("Facet != 'Pooled'")["Change [95 % interval]"]
    assert len(of_facets)
    assert all(text.count("+") in (0, 3) for text in of_facets)  # both bounds on one side of 0


def test_the_most_frequent_disagreements_come_first_and_as_matrices(demo: OpenStudy) -> None:
    gallery = demo.annotators.disagreements
    assert isinstance(gallery, Gallery)
    table, *charts = gallery
    first = frame_of(table).frame.iloc[0].tolist()
    assert first == ["Root cause", "API defects", "Wrong environment configuration", 19, "13.2 % [8.6, 19.7]", 144]
    assert [chart.axes[0].get_title() for chart in charts if isinstance(chart, Chart)] == [
        "Root cause, round 'independent' (n = 144; fictional data)",
        "Manifestation, round 'independent' (n = 144; fictional data)",
    ]


def test_profiles_and_leanings_have_a_reader_s_names(demo: OpenStudy) -> None:
    profiles, leanings = frame_of(demo.annotators.profiles).frame, frame_of(demo.annotators.leanings).frame
    assert "As the final" in profiles
    assert "Suggestions" not in profiles  # nobody saw any
    assert set(leanings["Category"]) >= {"Algorithm/method", "TensorFlow"}


def test_agreement_with_the_verdict_has_a_column_an_annotator(demo: OpenStudy, published: OpenStudy) -> None:
    frame = frame_of(demo.annotators.with_verdict).frame
    assert list(frame.columns) == ["Facet", "demo-a, independent", "demo-b, independent"]
    assert frame.iloc[0].tolist() == ["Pooled", "0.93 [0.92, 0.93], n = 1500", "0.93 [0.92, 0.93], n = 1460"]
    assert isinstance(published.annotators.with_verdict, Sentences)


def test_an_annotator_whose_name_begins_with_that_of_the_verdict_keeps_it(tmp_path: Path) -> None:
    other = demo_with(tmp_path, lambda name: "demo-adjudicated-once" if name == "demo-a" else name)
    assert "demo-adjudicated-once, independent" in frame_of(other.annotators.with_verdict).frame.columns


def test_what_a_study_without_sheets_or_second_rounds_lacks_is_said(demo: OpenStudy) -> None:
    for missing in (demo.annotators.published, demo.annotators.choices, demo.annotators.drift):
        assert isinstance(missing, Sentences)
        assert "'demo'" in str(missing)


@pytest.mark.parametrize("name", [name for name in SHOWN if name not in ("rounds", "published")])
def test_one_annotator_alone_is_said_to_be_alone(alone: OpenStudy, name: str) -> None:
    told = getattr(alone.annotators, name)
    assert isinstance(told, Sentences)
    assert "(demo-adjudicated in round 'adjudicated', 1688 labels)" in str(told)


def test_the_conclusion_tells_the_last_round_the_extremes_and_what_is_wrong_in_print(
    demo: OpenStudy, published: OpenStudy
) -> None:
    first, second, third = published.annotators.conclusion
    assert first.startswith("In round 'final', Cohen's kappa is 0.69 [0.64, 0.74], n = 608, pooled over stage, symptom")
    assert second == (
        "Agreement is lowest on stage (0.23 [0.15, 0.32], n = 124) and highest on framework (0.88 [0.81, 0.94], n = 134)."
    )
    assert third.startswith("3 of 3 published kappas differ from what the labels give")
    assert "final: published 0.699, labels alone 0.63 [0.57, 0.68], n = 613" in third
    assert demo.annotators.conclusion[-1].endswith("All of it is fictional.")
