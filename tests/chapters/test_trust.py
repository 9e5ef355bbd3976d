"""The shipped model on the demo's fictional threads, and on studies that lack something."""

import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from conftest import CHECKOUT, make_root

from pipeline.analyze.figures import Chart
from pipeline.analyze.results import Sentences, TitledFrame
from pipeline.chapters.machine import ANNOTATORS, GOLD, HELD_OUT, Machine
from pipeline.chapters.trust import Trust
from pipeline.classify.model_file import hashes
from pipeline.classifying import classify_store
from pipeline.importing import import_study, import_threads
from pipeline.openstudy import OpenStudy
from pipeline.store.session import Store
from pipeline.study import read_study


def framed(shown: object) -> pd.DataFrame:
    assert isinstance(shown, TitledFrame)
    return shown.frame


@pytest.fixture(scope="module")
def machine(demo: OpenStudy) -> Machine:
    return demo.machine


@pytest.fixture(scope="module")
def trust(demo: OpenStudy) -> Trust:
    return demo.trust


def test_what_is_told_of_the_model_is_what_its_card_says(machine: Machine, trust: Trust) -> None:
    scores = framed(trust.scores())
    kappas = machine.card["Verdicts"].set_index("facet")
    stage = scores.set_index("Facet").loc["Stage"]
    assert stage["Kappa"] == "{kappa:.2f} [{low:.2f}, {high:.2f}]".format(**kappas.loc["stage"])
    withheld = scores[scores["Withheld"] != "no"]["Facet"].tolist()
    assert withheld == [machine.title(facet) for facet in machine.classifier.withheld]


def test_scores_of_held_out_threads_agree_with_the_card(machine: Machine) -> None:
    abstention = machine.card["Where it abstains"].set_index("facet")
    for facet in ("stage", "symptom", "reporter"):
        of = machine.held_out[facet]
        sure = of.confidence >= machine.classifier.thresholds[facet]
        assert sure.mean() == pytest.approx(abstention.loc[facet, "coverage"], abs=0.02)
        assert (of.said == of.truth)[sure].mean() == pytest.approx(abstention.loc[facet, "precision"], abs=0.02)


def test_people_stand_beside_the_machine_where_their_agreement_is_known(trust: Trust) -> None:
    people = framed(trust.people())
    reporter = people.set_index("Facet").loc["Reporter"]
    assert reporter.iloc[-1] == "not known"
    assert reporter.iloc[1].endswith("n = 25")


def test_charts_tell_their_n_and_largest_values_in_words(trust: Trust) -> None:
    for chart in (trust.reliability(), trust.coverage(), trust.confusion("symptom")):
        assert isinstance(chart, Chart)
        assert "n = 1423" in chart.description
    assert str(trust.confusion("weather")) == "The model has no held-out threads for a facet 'weather'."


def test_the_most_frequent_confusions_are_those_of_the_matrix(machine: Machine, trust: Trust) -> None:
    table = framed(trust.confusions(most=1))
    crash = table[table["Facet"] == "Symptom"].iloc[0]
    of = machine.held_out["symptom"]
    pairs = pd.Series(list(zip(of.classes[of.truth], of.classes[of.said], strict=True)))[of.truth != of.said]
    (so, said), n = pairs.value_counts().index[0], pairs.value_counts().iloc[0]
    facet = machine.taxonomy.facet("symptom")
    assert (crash["It is"], crash["It says"]) == (facet.label(so), facet.label(said))
    assert crash["Threads"].startswith(f"{n} of ")


def test_a_few_threads_that_nobody_classified_are_labelled_in_memory_as_they_would_be_in_the_store(
    machine: Machine, tmp_path: Path
) -> None:
    root = make_root(tmp_path / "root")
    study = read_study(root / "data" / "studies" / "demo.toml")
    store = Store(str(study.database))
    import_threads(store, root / "data" / "demo" / "threads", "demo")
    import_study(store, study)
    classify_store(store, study, machine.path, machine.classifier, processes=1)
    stored = Machine(study, store, OpenStudy(study, store).defects)
    for facet in ("gate", "stage"):
        both = [
            of.said(facet).query("probability > 0").sort_values(["repository", "number", "category"]) for of in (stored, machine)
        ]
        assert both[0].to_numpy().tolist() == both[1].to_numpy().tolist()


def test_labels_are_compared_on_threads_that_the_model_has_not_learnt_from(demo: OpenStudy) -> None:
    table = framed(demo.trust.agreement())
    threads = demo.defects.drop_duplicates(["repository", "number"])
    assert set(table["Threads"]) == {len(threads)}

    seen = hashes(zip(threads["repository"][:100], threads["number"][:100], strict=True))
    learnt = Machine(demo.study, demo.machine.store, demo.defects)
    learnt.__dict__["classifier"] = replace(demo.machine.classifier, seen=seen)
    table = framed(Trust(learnt).agreement())
    assert set(table["Threads"]) == {len(threads) - 100}
    assert "the 100 that the model learnt from are left out" in str(Trust(learnt).assumptions())


def test_counted_shares_stand_beside_corrected_ones_and_beside_labels(demo: OpenStudy, machine: Machine) -> None:
    table = framed(demo.trust.prevalence())
    assert list(table.columns)[2:] == ["Machine's count", f"Corrected by {HELD_OUT}", "Labels of new threads, counted"]
    (shares,) = machine.shares(machine.taxonomy.facet("stage")).values()
    assert shares.frame["corrected"].sum() == pytest.approx(1)
    assert "of these 50 intervals" in str(demo.trust.conclusions())


def test_labels_of_some_threads_become_a_gold_sample_for_the_rest(demo: OpenStudy) -> None:
    half = demo.defects[demo.defects["number"] % 2 == 0]
    some = Machine(demo.study, demo.machine.store, half)
    some.__dict__["new_defects"] = demo.machine.new_defects
    shares = some.shares(demo.taxonomy.facet("symptom"))
    assert list(shares) == [GOLD, HELD_OUT]
    assert set(shares[GOLD].frame["n_gold"]) == {len(half.drop_duplicates(["repository", "number"]))}


def test_a_study_without_texts_says_so_and_still_tells_of_the_model(published: OpenStudy) -> None:
    trust = published.trust
    for shown in (trust.answers(), trust.agreement(), trust.prevalence(), trust.assumptions()):
        assert isinstance(shown, Sentences)
        assert "holds no texts" in str(shown)
    assert isinstance(trust.scores(), TitledFrame)
    assert "kappa" in trust.conclusions()[0]
    assert "holds no texts" in trust.conclusions()[-1]


def test_a_study_of_another_taxonomy_says_what_to_train(root: Path, demo: OpenStudy) -> None:
    shutil.copy(root / "taxonomy" / "jiang2024.yaml", root / "taxonomy" / "other.yaml")
    path = root / "data" / "studies" / "demo.toml"
    path.write_text(path.read_text().replace('taxonomy = "jiang2024"', 'taxonomy = "other"'))
    other = Trust(Machine(read_study(path), demo.machine.store, demo.defects))
    for shown in (other.about(), other.scores(), other.coverage(), other.answers(), other.conclusions()):
        assert "labels by the taxonomy 'jiang2024', and study 'demo' by 'other'; train one" in str(shown)


@pytest.fixture(scope="module")
def denchmark_cv(tmp_path_factory: pytest.TempPathFactory, demo: OpenStudy) -> OpenStudy:
    """Two repositories of Denchmark that the model learnt from, in a store of their own, with fictional texts."""
    root = make_root(tmp_path_factory.mktemp("cv") / "root")
    shutil.copy(CHECKOUT / "data" / "annotations" / "labels.csv", root / "data" / "annotations")
    return OpenStudy(read_study(root / "data" / "studies" / "denchmark-cv.toml"), demo.machine.store)


def test_labels_that_the_model_learnt_from_serve_with_what_it_said_before_it_had(
    denchmark_cv: OpenStudy, demo: OpenStudy
) -> None:
    machine = Machine(denchmark_cv.study, demo.machine.store, demo.defects)
    issues = [("ultralytics/YOLOv5", number) for number in range(1, 3000)]
    gold, truth = machine._learnt("stage", pd.MultiIndex.from_tuples(issues))
    labels = pd.read_csv(CHECKOUT / "data" / "annotations" / "labels.csv")
    mine = labels[
        (labels["repository"] == "ultralytics/yolov5")
        & (labels["number"] < 3000)
        & (labels["facet"] == "stage")
        & labels["annotator"].isin(["adjudicated", "auto-c"])
    ].sort_values("number")
    assert truth.tolist() == mine["category"].tolist()
    assert len(gold) == len(truth) > 100
    right = gold.idxmax(axis=1).to_numpy() == truth.to_numpy()
    assert 0.55 < right.mean() < 0.95  # a machine that had seen them would be nearly always right
    assert ANNOTATORS not in machine.shares(machine.taxonomy.facet("stage"))  # none of these threads is in this store
