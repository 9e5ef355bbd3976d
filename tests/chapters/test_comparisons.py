"""What a study file asks to compare: the demo with itself, and with a study that a machine labels."""

import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from conftest import make_root

from pipeline.analyze.figures import Chart
from pipeline.analyze.results import Sentences, TitledFrame
from pipeline.chapters.comparisons import Comparisons
from pipeline.importing import import_study, import_threads
from pipeline.openstudy import OpenStudy, open_study
from pipeline.store.session import Store
from pipeline.study import read_study

MACHINE = """
shares = "machine"
[[comparisons]]
with = "demo"
[[comparisons]]
by = "kind"
[seeds]"""


@pytest.fixture(scope="module")
def lodged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with the demo, and with a second study of the same threads that a machine labels: `robot`."""
    root = make_root(tmp_path_factory.mktemp("lodged") / "root")
    studies = root / "data" / "studies"
    text = (studies / "demo.toml").read_text()
    begin, end = text.index("[[comparisons]]"), text.index("[reference]")
    (studies / "robot.toml").write_text((text[:begin] + text[end:]).replace("\n[seeds]", MACHINE, 1))
    for name in ("demo", "robot"):
        study = read_study(studies / f"{name}.toml")
        store = Store(str(study.database))
        import_threads(store, root / "data" / "demo" / "threads", "demo")
        import_study(store, study)
        store.close()
    return root


def opened(root: Path, name: str) -> OpenStudy:
    return open_study(str(root / "data" / "studies" / f"{name}.toml"))


def framed(shown: object) -> pd.DataFrame:
    assert isinstance(shown, TitledFrame)
    return shown.frame


def test_periods_and_kinds_part_the_defects_of_a_study(demo: OpenStudy) -> None:
    periods, kinds = demo.comparisons.pairs
    for pair in (periods, kinds):
        assert len(pair.first.defects) + len(pair.second.defects) == len(demo.defects)
        assert len(pair.first.issues.intersection(pair.second.issues)) == 0
    assert (periods.first.name, periods.second.name) == ("before 2019-05-01", "from 2019-05-01")
    assert periods.first.defects["created_at"].max() < periods.second.defects["created_at"].min()
    assert set(kinds.second.defects["kind"]) == {"zoo"}


def test_a_counted_difference_is_that_of_the_two_distributions(demo: OpenStudy) -> None:
    table = demo.comparisons.table
    of = table[(table["comparison"] == "solo / zoo") & (table["facet"] == "framework")].set_index("category")
    shares = [demo.defects[demo.defects["kind"] == kind]["framework"].value_counts(normalize=True) for kind in ("solo", "zoo")]
    assert of.loc["mxnet", "difference"] == pytest.approx(shares[1]["mxnet"] - shares[0].get("mxnet", 0))


def test_the_overview_tells_how_many_differences_chance_would_make(demo: OpenStudy) -> None:
    overview = framed(demo.comparisons.overview())
    symptoms = overview[(overview["Facet"] == "Symptom")].iloc[0]
    assert symptoms["Categories"] == 9
    assert symptoms["By chance, if nothing differed"] == "0.5"  # 9 times 5 %, rounded
    assert (overview["After Holm's correction"] <= overview["Intervals without 0"]).all()


def test_choices_that_make_a_difference_clear_are_listed(demo: OpenStudy) -> None:
    table = framed(demo.comparisons.sensitivity())
    first = table[table["Choice"] == "the first defect of each issue only"].iloc[0]
    assert (first["Facet"], first["Category"]) == ("Root cause", "Corrupt data")
    assert "without each group's largest repository" in set(table["Choice"])


def test_each_facet_is_drawn_or_says_why_not(demo: OpenStudy) -> None:
    chart = demo.comparisons.chart("stage")
    assert isinstance(chart, Chart)
    assert len(chart.axes) == 4
    assert "zoo" in chart.description
    assert str(demo.comparisons.chart("weather")) == "In no comparison do both groups have shares of a facet 'weather'."


def test_conclusions_carry_n_and_intervals(demo: OpenStudy) -> None:
    told = demo.comparisons.conclusions()
    assert told[0].startswith(
        "from 2019-05-01 (73 labelled defects) beside before 2019-05-01 (79 labelled defects): of 68 differences"
    )
    assert "PyTorch (framework) +42.2 [+27.5, +54.6]" in told[1]


def test_people_s_shares_are_compared_with_a_machine_s_corrected_ones(lodged: Path) -> None:
    comparisons = opened(lodged, "robot").comparisons
    across, kinds = comparisons.pairs
    assert across.across
    assert not kinds.across
    sides = framed(comparisons.sides())
    assert sides["Unit"].tolist()[:2] == ["thread, one defect each", "defect"]
    assert sides["Issues in both"].tolist()[0] == 136
    assert set(comparisons.table["method"]) == {"held-out threads"}
    assumptions = str(comparisons.assumptions())
    assert "People label one group" in assumptions
    assert "it was measured to be off" in assumptions
    assert "not compared are the facet framework" in assumptions
    weak = {"Defect type", "Root cause", "Framework"}
    largest = framed(comparisons.largest())
    assert not weak & set(largest["Facet"])
    assert "This is not yet a change of the defects" in str(comparisons.conclusions())


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ("", "Study 'demo' asks for no comparison"),
        ('[[comparisons]]\nwith = "cv-reengineering"', "data, which are not here yet: run `make STUDY=cv-reengineering` first."),
        ("[[comparisons]]\nperiods = 1999-12-31", "no defects in the group 'before 1999-12-31'"),
    ],
)
def test_what_cannot_be_compared_is_told_in_a_sentence_wherever_it_would_be_shown(
    root: Path, demo: OpenStudy, asked: str, sentence: str
) -> None:
    path = root / "data" / "studies" / "demo.toml"
    text = path.read_text()
    path.write_text(text[: text.index("[[comparisons]]")] + asked + "\n\n" + text[text.index("[reference]") :])
    lonely = Comparisons(OpenStudy(read_study(path), demo.machine.store), open_study)
    shown = [lonely.sides(), lonely.assumptions(), lonely.overview(), lonely.largest(), lonely.chart("stage")]
    for said in [*shown, lonely.sensitivity(), lonely.differences(), lonely.conclusions()]:
        assert isinstance(said, Sentences)
        assert sentence in str(said)
    assert not (root / "data" / "build" / "cv-reengineering").exists()


def test_studies_of_two_taxonomies_are_not_compared(root: Path, demo: OpenStudy) -> None:
    shutil.copy(root / "taxonomy" / "jiang2024.yaml", root / "taxonomy" / "other.yaml")
    studies = root / "data" / "studies"
    text = (studies / "demo.toml").read_text()
    (studies / "second.toml").write_text(text.replace('taxonomy = "jiang2024"', 'taxonomy = "other"'))
    (studies / "demo.toml").write_text(text.replace("periods = 2019-05-01", 'with = "second"'))
    comparisons = Comparisons(OpenStudy(read_study(studies / "demo.toml"), demo.machine.store), open_study)
    assert "Study 'second' has another taxonomy, 'other'" in comparisons.missing[0]
    assert [pair.name for pair in comparisons.pairs] == ["solo / zoo"]


def test_ways_of_correcting_that_contradict_each_other_are_counted(lodged: Path) -> None:
    comparisons = opened(lodged, "robot").comparisons
    assert "corrected in one way only" in str(comparisons.conclusions())
    machine = comparisons.pairs[0].first.study.machine
    facet = machine.taxonomy.facet("stage")
    (one,) = machine.shares(facet, "robot").values()
    away = one.frame.assign(low=one.frame["high"] + 0.01, high=1.0)
    machine._shares["stage", "robot"] = {"held-out threads": one, "a wish": replace(one, frame=away)}
    assert "Of 4 shares of robot that are corrected in several ways, 4 have intervals that do not meet" in str(
        comparisons.conclusions()
    )
