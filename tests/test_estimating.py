from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import standins

from pipeline.classify.model_file import Classifier, hashes
from pipeline.errors import RedefectError
from pipeline.estimating import estimate_shares, shares_table
from pipeline.facts import IssueReference, Label
from pipeline.store.predictions import Said, put_predictions
from pipeline.store.session import Store
from pipeline.store.write import SampleRow, put_labels, put_sample, put_threads
from pipeline.study import Study, read_study
from pipeline.thread import Thread

DIGEST = "d" * 64
N = 800
SAYS_CRASH = {"crash": 0.95, "hang": 0.45}
"""How likely the planted machine takes a thread of each kind for a crash: it says crash far too often."""


@pytest.fixture
def database(tmp_path: Path) -> str:
    """SQLite is enough for what computes on what it read."""
    return str(tmp_path / "store.sqlite")


@pytest.fixture
def study(root: Path) -> Study:
    return read_study(root / "data" / "studies" / "demo.toml")


def classifier() -> Classifier:
    return replace(
        standins.demo_classifier(), categories={"symptom": standins.demo_classifier().categories["symptom"]}, withheld=()
    )


def plant(store: Store, study: Study, labelled: int) -> np.ndarray:
    """Store threads, half of them hangs, with what a machine that errs says of them, and people's labels of the first ones."""
    generator = np.random.default_rng(7)
    truth = generator.permutation(np.repeat(["crash", "hang"], N // 2))
    sure = np.where(generator.random(N) < [SAYS_CRASH[kind] for kind in truth], 0.9, 0.1)
    issues = [IssueReference("anvil/works", number + 1) for number in range(N)]
    said = {
        issue: {
            "gate": Said({"defect": 0.9, "question": 0.1}, "defect", abstained=False),
            "symptom": Said({"crash": float(p), "hang": float(1 - p)}, "crash" if p > 0.5 else "hang", abstained=False),
        }
        for issue, p in zip(issues, sure, strict=True)
    }
    verdict = study.verdict
    labels = [
        Label(issue, 1, "symptom", str(kind), str(kind), verdict.annotator, verdict.round)
        for issue, kind in zip(issues[:labelled], truth[:labelled], strict=True)
    ]
    with store.writing() as connection:
        put_threads(connection, (Thread(repository=i.repository, number=i.number, title="It stops") for i in issues), "planted")
        put_predictions(connection, "demo", DIGEST, said)
        put_labels(connection, labels, "planted.csv")
        put_sample(connection, study.name, [SampleRow(i, "labels", None, None) for i in issues], "test", ("labels",))
    return truth


def held_out() -> dict[str, dict[str, np.ndarray]]:
    """What the machine says of other threads that are like these, but three of four of them crash."""
    generator = np.random.default_rng(8)
    facets = standins.demo_classifier().facets
    known = list(facets.classes_[facets.facets_.index("symptom")])
    kinds = np.repeat(["crash", "hang"], [450, 150])
    sure = np.where(generator.random(600) < [SAYS_CRASH[kind] for kind in kinds], 0.9, 0.1)
    rows = np.zeros((600, len(known)))
    rows[:, known.index("crash")], rows[:, known.index("hang")] = sure, 1 - sure
    return {
        "symptom": {"probabilities": rows.astype(np.float16), "truth": np.array([known.index(k) for k in kinds], dtype=np.int16)}
    }


def test_a_gold_sample_corrects_what_the_machine_counts(store: Store, study: Study) -> None:
    plant(store, study, labelled=200)
    (symptom,) = estimate_shares(store, study, classifier(), DIGEST)
    assert symptom.estimate is not None
    assert symptom.alone is not None
    frame = symptom.estimate.frame.set_index("category")
    assert frame.loc["crash", "naive"] > 0.65
    assert frame.loc["crash", "low"] < 0.5 < frame.loc["crash", "high"] < frame.loc["crash", "naive"]
    assert set(frame["n_gold"]) == {200}
    assert set(frame["n_unlabelled"]) == {N - 200}
    widths = [(f["high"] - f["low"]).max() for f in (symptom.estimate.frame, symptom.alone.frame)]
    assert widths[0] < widths[1]  # the machine adds to what the gold sample tells


def test_without_labels_the_threads_that_training_held_out_correct_it(store: Store, study: Study) -> None:
    plant(store, study, labelled=0)
    (symptom,) = estimate_shares(store, study, replace(classifier(), held_out=held_out()), DIGEST)
    assert symptom.estimate is not None
    frame = symptom.estimate.frame.set_index("category")
    assert frame.loc["crash", "low"] < 0.5 < frame.loc["crash", "high"] < frame.loc["crash", "naive"]
    assert symptom.estimate.assumption == "prior shift"


def test_a_gold_sample_that_is_too_small_is_told(store: Store, study: Study) -> None:
    plant(store, study, labelled=30)
    (symptom,) = estimate_shares(store, study, classifier(), DIGEST, half_width=0.05)
    assert "The gold sample of 30 threads is too small for intervals of ±5.0%" in str(symptom.warning)
    (symptom,) = estimate_shares(store, study, classifier(), DIGEST, half_width=0.4)
    assert symptom.warning is None


def test_threads_that_the_model_learnt_from_are_left_out(store: Store, study: Study) -> None:
    plant(store, study, labelled=200)
    seen = replace(classifier(), seen=hashes(("Anvil/Works", number) for number in range(1, 101)))
    (symptom,) = estimate_shares(store, study, seen, DIGEST)
    assert symptom.estimate is not None
    assert set(symptom.estimate.frame["n_gold"]) == {100}


def test_threads_that_people_set_aside_are_no_defects(store: Store, study: Study) -> None:
    plant(store, study, labelled=200)
    verdict = study.verdict
    aside = [
        Label(IssueReference("anvil/works", n), 0, "gate", "no-defect", "no-defect", verdict.annotator, verdict.round)
        for n in range(701, 801)
    ]
    with store.writing() as connection:
        put_labels(connection, aside, "aside.csv")
    (symptom,) = estimate_shares(store, study, classifier(), DIGEST)
    assert symptom.estimate is not None
    assert set(symptom.estimate.frame["n_unlabelled"]) == {N - 200 - 100}


def test_a_facet_without_anything_to_correct_by_gives_a_reason_and_no_number(store: Store, study: Study) -> None:
    plant(store, study, labelled=0)
    (symptom,) = estimate_shares(store, study, classifier(), DIGEST)
    assert symptom.estimate is None
    assert "nobody has labelled any of these threads" in symptom.why
    assert shares_table([symptom]).frame.empty
    plant(store, study, labelled=3)
    (symptom,) = estimate_shares(store, study, classifier(), DIGEST)
    assert symptom.estimate is None
    assert "too few threads: 3 labelled" in symptom.why


def test_another_model_s_predictions_are_not_taken_for_this_one_s(store: Store, study: Study) -> None:
    plant(store, study, labelled=0)
    with pytest.raises(RedefectError, match="run `redefect classify --study demo` first"):
        estimate_shares(store, study, classifier(), "e" * 64)


def test_the_table_tells_of_each_share_how_it_was_come_by(store: Store, study: Study) -> None:
    plant(store, study, labelled=200)
    frame = shares_table(estimate_shares(store, study, classifier(), DIGEST)).frame
    assert frame.columns.tolist() == [
        "facet", "category", "naive", "corrected", "low", "high", "n_unlabelled", "n_gold", "method", "assumes",
    ]  # fmt: skip
    assert set(frame["method"]) == {"Prediction-powered (PPI++)", "Gold sample alone"}
    assert set(frame["assumes"]) == {"a gold sample drawn at random"}
