from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import CHECKOUT, Run
from stories import labelled

from pipeline.classify.baselines import majority, plain_words
from pipeline.classify.evaluation import LEFT_OUT, agreement_with
from pipeline.classify.labelled import Labelled
from pipeline.classify.text import Document
from pipeline.collect.label_files import read_labels
from pipeline.errors import RedefectError
from pipeline.evaluating import (
    CLASSIFIER,
    Report,
    evaluate_all,
    evaluate_study,
    files,
    raters_agreement,
    summary,
    tables,
    with_baselines,
)
from pipeline.facts import Label
from pipeline.importing import study_labels
from pipeline.openstudy import OpenStudy
from pipeline.store.session import Store
from pipeline.taxonomy import Taxonomy

RATERS = pd.DataFrame([("the raters", "symptom", 20, 0.75, 0.65, 0.85)], columns=["who", "facet", "n", "kappa", "low", "high"])


@pytest.fixture
def database(tmp_path: Path) -> str:
    """SQLite is enough for what computes on what it read."""
    return str(tmp_path / "store.sqlite")


@pytest.fixture(scope="module")
def report() -> Report:
    """A classifier of words beside rules that always say the same, on invented threads."""
    own = labelled(6, 12)
    study = own[np.array([2, 2, 13, 30, 41, 52])]
    study.labels.loc[[0, 3], "symptom"] = ["hang", "crash"]
    estimators = with_baselines(plain_words(), majority(), seed=1)
    return evaluate_all(own, estimators, seed=1, study=study, raters=RATERS, quick=True)


def test_the_classifier_stands_beside_its_baselines_and_beside_people(report: Report) -> None:
    shown = summary(report, LEFT_OUT).set_index(["facet", "by"])
    assert list(shown.loc["symptom"].index) == [
        CLASSIFIER, "rules", "majority", "stratified random", "plain words", "annotators, with the study", "the raters",
    ]  # fmt: skip
    assert shown.loc[("symptom", "the raters"), "kappa"] == "0.75 [0.65, 0.85]"
    assert shown.loc[("symptom", "majority"), "n"] == "72"
    assert shown.loc[("symptom", CLASSIFIER), "kappa"] == shown.loc[("symptom", "plain words"), "kappa"]


def test_what_was_not_learnt_is_withheld_and_has_no_threshold(report: Report) -> None:
    verdict = report.verdicts.set_index("facet")["withheld"]
    assert verdict.to_dict() == {"symptom": False, "reporter": True}
    thresholds = report.abstention.set_index("facet")
    assert 0 < thresholds.loc["symptom", "threshold"] <= 1
    assert thresholds.loc["symptom", "low"] >= 0.8
    assert np.isnan(thresholds.loc["reporter", "threshold"])


def test_every_table_and_figure_is_written(report: Report, taxonomy: Taxonomy) -> None:
    written = files(report, taxonomy)
    for name in ("scores", "learning-curve", "reliability", "coverage", "confusion-symptom", "confusion-reporter"):
        assert {f"{name}.csv", f"{name}.tex"} <= set(written)
    for name in ("learning-curve", "reliability", "coverage", "confusion-symptom", "confusion-reporter"):
        assert written[f"{name}.svg"].startswith(b"<?xml")
        assert written[f"{name}.pdf"].startswith(b"%PDF")


def test_the_tables_agree_with_each_other(report: Report) -> None:
    of = {table.name: table.frame for table in tables(report)}
    scores = of["scores"].set_index(["protocol", "facet", "estimator", "measure"])["value"]
    counts = of["confusion-symptom"].drop(columns="labelled").to_numpy()
    assert scores[LEFT_OUT, "symptom", CLASSIFIER, "accuracy"] == pytest.approx(np.trace(counts) / counts.sum())
    last = of["coverage"][of["coverage"]["facet"] == "symptom"].iloc[-1]
    assert last["precision"] == pytest.approx(np.trace(counts) / counts.sum())
    assert of["reliability"].groupby("facet")["n"].sum().to_dict() == {"reporter": 54, "symptom": 72}
    assert set(of["scores"]["protocol"]) == {evaluation.protocol for evaluation in report.evaluations}


def without_texts(labels: Iterable[Label], taxonomy: Taxonomy) -> Labelled:
    """Labels as they are, of documents of which nothing but the name is known."""
    rows: dict[tuple[str, int, int], dict[str, str]] = {}
    for label in sorted((label for label in labels if label.defect), key=lambda of: (of.issue, of.defect)):
        issue = (label.issue.repository.casefold(), label.issue.number, label.defect)
        rows.setdefault(issue, {})[label.facet] = label.category
    documents = [Document(repository, number, (), ()) for repository, number, _ in rows]
    facets = [facet.id for facet in taxonomy.defect_facets]
    return Labelled(documents, pd.DataFrame(rows.values(), columns=facets, dtype=object))


def test_people_agree_as_the_data_sheet_of_the_annotations_says(published: OpenStudy) -> None:
    study = published.study
    sheet = (CHECKOUT / "data" / "annotations" / "README.md").read_text()
    said = {row[0]: row[1:] for line in sheet.splitlines() if len(row := [c.strip() for c in line.strip("|").split("|")]) == 3}
    ours = read_labels(CHECKOUT / "data" / "annotations" / "labels.csv", published.taxonomy, lambda _: None)
    annotated = without_texts((label for label in ours if label.round == "adjudicated"), published.taxonomy)
    theirs = without_texts(study_labels(study), published.taxonomy)
    with_study = agreement_with(annotated, theirs, seed=1).set_index("facet")["kappa"]
    raters = raters_agreement(study)
    assert raters is not None
    among_raters = raters.set_index("facet")["kappa"]
    for facet in ("symptom", "stage", "manifestation", "root-cause", "defect-type"):
        assert said[facet] == [f"{with_study[facet]:.2f}", f"{among_raters[facet]:.2f}"]
    assert said["reporter"] == [f"{with_study['reporter']:.2f}", ""]


def test_a_study_without_raters_sheets_has_no_agreement_of_raters(demo: OpenStudy) -> None:
    assert raters_agreement(demo.study) is None


def test_what_is_missing_is_said(store: Store, demo: OpenStudy) -> None:
    with pytest.raises(RedefectError, match="holds no text of a labelled issue"):
        evaluate_study(store, demo.study)
    with pytest.raises(RedefectError, match="cannot be tested against its own labels"):
        evaluate_study(store, demo.study, beside=demo.study)


def test_the_command_evaluates_what_the_store_holds(root: Path, redefect: Run) -> None:
    path = root / "data" / "demo" / "labels.csv"
    header, *lines = path.read_text().splitlines(keepends=True)
    path.write_text(header + "".join(line for line in lines if line.split(",")[3] in ("gate", "symptom")))
    for threads in sorted((root / "data" / "demo" / "threads").iterdir())[4:]:
        threads.unlink()
    redefect("import", "threads", root / "data" / "demo" / "threads")
    redefect("import", "study", "--study", "demo")
    done = redefect("evaluate", "--study", "demo", "--quick", "--jobs", "1")
    assert "left-out repositories" in done.stdout
    assert "symptom: 100 more labelled threads would" in done.stdout
    folder = root / "data" / "build" / "demo" / "evaluation"
    scores = pd.read_csv(folder / "scores.csv")
    assert set(scores["estimator"]) == {"classifier", "rules", "majority", "stratified random", "plain words"}
    assert pd.read_csv(folder / "candidates.csv")["chosen"].sum() == 1
