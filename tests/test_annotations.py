"""The project's own labels are what their data sheet says."""

from pathlib import Path

from conftest import CHECKOUT

from pipeline.collect.label_files import read_labels
from pipeline.facts import Flaw, Label
from pipeline.taxonomy import Taxonomy

FOLDER = CHECKOUT / "data" / "annotations"


def labels(taxonomy: Taxonomy) -> list[Label]:
    flaws: list[Flaw] = []
    read = read_labels(FOLDER / "labels.csv", taxonomy, flaws.append)
    assert [flaw.what for flaw in flaws] == ["'chainer' stands for framework 'other'"]
    return read


def test_they_are_as_many_as_the_data_sheet_says(taxonomy: Taxonomy) -> None:
    read = labels(taxonomy)
    sheet = (FOLDER / "README.md").read_text()
    threads = {
        annotator: len({label.issue for label in read if label.annotator == annotator})
        for annotator in ("auto-a", "auto-b", "adjudicated", "auto-c")
    }
    assert threads == {"auto-a": 259, "auto-b": 259, "adjudicated": 259, "auto-c": 1292}
    defects = {label.issue for label in read if label.facet == "gate" and label.category == "defect"}
    final = [label for label in read if label.round in ("adjudicated", "single") and label.facet == "gate"]
    said = (
        f"{len(read):,} labels of {len({label.issue for label in read}):,} issue threads of "
        f"{len({label.issue.repository for label in read})} deep-learning"
    )
    assert said in sheet
    assert sum(label.category == "defect" for label in final) == 1423
    assert "1,423 threads hold a defect" in sheet
    assert len(defects) >= 1423


def test_they_are_the_ones_that_were_made_for_the_project(annotations: Path) -> None:
    assert (FOLDER / "labels.csv").read_bytes() == annotations.read_bytes()
