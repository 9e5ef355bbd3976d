from pathlib import Path

import pandas as pd
import pytest
import standins

from pipeline.classify.model_card import check_card
from pipeline.classify.model_file import read_model
from pipeline.errors import RedefectError
from pipeline.importing import import_study
from pipeline.store.session import Store
from pipeline.store.write import put_threads
from pipeline.study import Study, read_study
from pipeline.training import train

SCORES = "protocol,facet,estimator,measure,n,value,low,high\nleft-out repositories,stage,classifier,kappa,90,0.5,0.4,0.6\n"
VERDICTS = "facet,n,kappa,low,high,withheld,why\nstage,90,0.5,0.4,0.6,False,\nreporter,90,0.0,-0.1,0.1,True,It may be chance.\n"
ABSTENTION = "facet,wanted,threshold,n,coverage,precision,low,high\nstage,0.8,0.55,60,0.6,0.9,0.8,0.95\nreporter,0.8,,,,,,\n"
HUMAN = "who,facet,n,kappa,low,high\n"


@pytest.fixture
def database(tmp_path: Path) -> str:
    """SQLite is enough for what computes on what it read."""
    return str(tmp_path / "store.sqlite")


@pytest.fixture
def study(root: Path) -> Study:
    (root / "data" / "models").mkdir()
    (root / "data" / "models" / "ABOUT.md").write_text("## What it is for\n\nFor tests.\n")
    return read_study(root / "data" / "studies" / "demo.toml")


@pytest.fixture
def filled(store: Store, study: Study) -> Store:
    with store.writing() as connection:
        put_threads(connection, standins.demo_threads(), "demo")
    import_study(store, study)
    return store


@pytest.fixture
def evaluation(tmp_path: Path) -> Path:
    folder = tmp_path / "evaluation"
    folder.mkdir()
    for name, text in (("scores", SCORES), ("verdicts", VERDICTS), ("abstention", ABSTENTION), ("human", HUMAN)):
        (folder / f"{name}.csv").write_text(text)
    return folder


def test_a_training_writes_a_model_that_labels_and_a_card_that_is_its(
    filled: Store, study: Study, evaluation: Path, tmp_path: Path
) -> None:
    paths = [tmp_path / name / "jiang2024.skops" for name in ("one", "two")]
    trained = [train(filled, study, evaluation, path, "make train STUDY=demo") for path in paths]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert [file.read_bytes() for file in trained[0].files] == [file.read_bytes() for file in trained[1].files]
    check_card(paths[0])
    model = read_model(paths[0])
    assert model.thresholds == {"reporter": float("inf"), "stage": 0.55}
    assert model.withheld == ("reporter",)
    assert model.facets.facets_ == trained[0].classifier.facets.facets_
    assert all(model.has_seen(repository, number) for repository, number in standins.demo_labels().index)
    assert not model.has_seen("no/where", 1)
    threads = standins.demo_threads()[:5]
    assert model.predict(threads) == trained[0].classifier.predict(threads)
    card = paths[0].with_suffix(".md").read_text()
    assert "For tests." in card
    assert "| always |" in card
    assert "`make train STUDY=demo`" in card
    assert "demo-adjudicated, adjudicated" in card
    candidates = trained[0].candidates
    assert isinstance(candidates, pd.DataFrame)
    assert set(candidates["facet"]) == set(model.facets.facets_)


def test_without_an_evaluation_nothing_is_trained(filled: Store, study: Study, tmp_path: Path) -> None:
    with pytest.raises(RedefectError, match="run `redefect evaluate` for the study first"):
        train(filled, study, tmp_path, tmp_path / "model.skops", "make train")
    assert not (tmp_path / "model.skops").exists()


def test_gate_data_that_are_missing_are_one_sentence(filled: Store, study: Study, evaluation: Path, tmp_path: Path) -> None:
    with pytest.raises(RedefectError, match=r"issues_train\.csv"):
        train(filled, study, evaluation, tmp_path / "model.skops", "make train", gate_data=tmp_path)
