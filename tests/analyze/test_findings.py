from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import CHECKOUT

from pipeline.analyze.findings import Evidence, broken, evenness, findings_table, matching, sensitivity_table
from pipeline.analyze.reference import (
    CountFinding,
    DiversityFinding,
    Findings,
    KappaFinding,
    PublishedFigures,
    ShareFinding,
)
from pipeline.documents import read_toml
from pipeline.errors import RedefectError
from pipeline.openstudy import OpenStudy
from pipeline.taxonomy import Taxonomy

BASE = {"id": "x", "statement": "s", "source": "here"}


@pytest.fixture
def evidence(taxonomy: Taxonomy) -> Evidence:
    stages, symptoms = taxonomy.facet("stage").ids, taxonomy.facet("symptom").ids
    defects = pd.DataFrame(
        {
            "repository": ["a/a", "a/a", "a/a", "b/b", "b/b", "b/b"],
            "number": [1, 1, 2, 1, 2, 3],
            "kind": ["solo"] * 3 + ["zoo"] * 3,
            "stage": pd.Categorical(["training"] * 4 + ["modeling"] * 2, categories=stages),
            "symptom": pd.Categorical(["crash", "hang", "hang", "crash", "crash", "crash"], categories=symptoms),
        }
    )
    issues = defects.drop_duplicates(["repository", "number"]).assign(gate="defect")
    ratings = pd.DataFrame(columns=["round", "annotator", "row", "number", "facet", "value", "category"])
    return Evidence(taxonomy, defects, issues, ratings, ["stage"], seed=1)


def test_a_share_is_of_those_among_which_it_is_meant(evidence: Evidence) -> None:
    finding = ShareFinding(
        **BASE, compute="share", of={"symptom": ["crash"]}, among={"stage": ["training"]}, published=0.5, tolerance=0.01
    )
    (row,) = findings_table([finding], evidence).to_dict("records")
    assert (row["reproduced"], row["n"], row["verdict"]) == ("50.0%", 4, "reproduced")
    assert row["low"] < 0.5 < row["high"]


def test_counts_are_of_their_unit(evidence: Evidence) -> None:
    units = {"defect": 6, "issue": 5, "repository": 2, "sampled issue": 5}
    for unit, count in units.items():
        finding = CountFinding(**BASE, compute="count", unit=unit, published=count)
        assert findings_table([finding], evidence)["verdict"].item() == "reproduced"


def test_what_must_hold_and_does_not_is_told(evidence: Evidence) -> None:
    finding = CountFinding(**BASE, must_hold=True, compute="count", unit="defect", published=7)
    table = findings_table([finding], evidence)
    assert table["verdict"].item() == "differs"
    assert broken(table) == ["x"]


def test_without_data_nothing_is_reproduced(evidence: Evidence) -> None:
    share = ShareFinding(
        **BASE, compute="share", of={"stage": ["training"]}, among={"symptom": ["other"]}, published=0, tolerance=1
    )
    kappa = KappaFinding(**BASE, compute="pooled kappa", round="none", published=0, tolerance=1)
    empty = Evidence(evidence.taxonomy, evidence.defects[:0], evidence.issues, evidence.ratings, [], 1)
    diverse = DiversityFinding(**BASE, compute="most diverse", facet="symptom", by="stage", published="training")
    assert findings_table([share, kappa], evidence)["verdict"].tolist() == ["no data", "no data"]
    assert findings_table([diverse], empty)["verdict"].tolist() == ["no data"]


def test_the_most_diverse_group_is_found_with_its_support(evidence: Evidence) -> None:
    finding = DiversityFinding(**BASE, compute="most diverse", facet="symptom", by="stage", published="training")
    (row,) = findings_table([finding], evidence).to_dict("records")
    assert (row["reproduced"], row["n"], row["verdict"]) == ("training", 4, "reproduced")
    assert 0.5 < row["support"] <= 1


def test_evenness_is_one_when_even_zero_when_single_and_nothing_when_empty() -> None:
    assert evenness(np.array([[5, 5], [7, 0], [0, 0]])).tolist()[:2] == [pytest.approx(1), pytest.approx(0)]
    assert np.isnan(evenness(np.array([[0, 0]]))).all()


def test_an_unknown_category_is_named_with_the_finding(evidence: Evidence) -> None:
    with pytest.raises(RedefectError, match="finding 'x': facet 'stage' has no category 'trainig'; nearest: training"):
        matching(evidence.defects, {"stage": ["trainig"]}, evidence.taxonomy, "finding 'x'")


def test_sensitivity_leaves_out_repositories_gives_issues_a_vote_and_splits_kinds(evidence: Evidence) -> None:
    finding = ShareFinding(**BASE, compute="share", of={"symptom": ["crash"]}, published=0.7, tolerance=0.1)
    table = sensitivity_table([finding], evidence).set_index("choice")
    assert table["share"].round(3).to_dict() == {
        "all defects": 0.667,
        "without one repository, lowest: b/b": 0.333,
        "without one repository, highest: a/a": 1.0,
        "one vote an issue": 0.7,
        "solo repositories only": 0.333,
        "zoo repositories only": 1.0,
    }
    assert table.loc["one vote an issue", "n"] == 5


def test_a_finding_twice_and_a_row_without_a_number_a_column_are_errors(tmp_path: Path) -> None:
    text = (CHECKOUT / "data" / "reference" / "demo" / "findings.toml").read_text()
    (tmp_path / "f.toml").write_text(text.replace('id = "issues"', 'id = "defects"'))
    with pytest.raises(RedefectError, match=r"f\.toml:13: findings\.1\.id: 'defects' stands twice"):
        read_toml(tmp_path / "f.toml", Findings)
    text = (CHECKOUT / "data" / "reference" / "jiang2024" / "figures.toml").read_text()
    (tmp_path / "g.toml").write_text(text.replace("[30, 46, 202]", "[30, 46]"))
    with pytest.raises(RedefectError, match="has 2 numbers for 3 columns"):
        read_toml(tmp_path / "g.toml", PublishedFigures)


def test_the_published_findings_are_reproduced(published: OpenStudy) -> None:
    table = published.findings().set_index("id")
    shown = {
        "re-users": "58.3%",
        "reproducibility-in-training": "68.4%",
        "environment-interfaces": "87.9%",
        "environment-apis": "46.5%",
    }
    assert table.loc[list(shown), "reproduced"].to_dict() == shown
    assert table.loc[["defects", "issues", "repositories", "set-aside"], "reproduced"].tolist() == ["348", "334", "27", "93"]
    assert broken(published.findings()) == []


def test_the_published_figures_are_reproduced_cell_by_cell(published: OpenStudy, study_data: Path) -> None:
    cells = published.figure_cells()
    assert cells["figure"].nunique() == 6
    assert (cells["difference"] == 0).all()
    assert cells.groupby("figure")["published"].sum().tolist() == [348] * 6


def test_other_names_of_categories_are_listed_as_differences(published: OpenStudy) -> None:
    listed = published.figure_differences()
    assert listed["published"].tolist() == ["Data", "Numerical Error", "Speed below expectations", "Accuracy below expectations"]


def test_a_changed_cell_is_listed(published: OpenStudy) -> None:
    reference = published._figures.model_copy(deep=True)
    reference.figures[0].cells['User "fork"'][0] += 2
    changed = OpenStudy(published.study, published._store)
    changed.__dict__["_figures"] = reference
    cells = changed.figure_cells()
    assert cells.loc[cells["difference"] != 0, ["row", "column", "difference"]].to_numpy().tolist() == [
        ["user-fork", "reproducibility", -2]
    ]
    assert changed.figure_differences().iloc[0].tolist() == ["figure-05", "user-fork x reproducibility", "32", "30"]
