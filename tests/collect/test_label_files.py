from pathlib import Path

import pytest

from pipeline.collect.label_files import COLUMNS, read_labels
from pipeline.errors import RedefectError
from pipeline.facts import Flaw
from pipeline.taxonomy import Taxonomy


def write(tmp_path: Path, *rows: str) -> Path:
    path = tmp_path / "labels.csv"
    path.write_text("\n".join([",".join(COLUMNS), *rows, ""]))
    return path


def test_labels_are_read_by_reference_and_facets_of_an_issue_belong_to_no_defect(tmp_path: Path, taxonomy: Taxonomy) -> None:
    flaws: list[Flaw] = []
    path = write(tmp_path, "o/n,7,1,gate,defect,me,one,high", "o/n,7,2,stage,Data Flow,me,one,")
    gate, stage = read_labels(path, taxonomy, flaws.append)
    assert (gate.defect, gate.confidence) == (0, "high")
    assert (stage.issue.number, stage.defect, stage.category, stage.value, stage.confidence) == (
        7,
        2,
        "data-pipeline",
        "Data Flow",
        None,
    )
    assert [(f.where, f.what) for f in flaws] == [("row 3", "'Data Flow' stands for stage 'data-pipeline'")]


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("o/n,7,1,stage,trainig,me,one,", "row 2: 'trainig' is no known category of facet 'stage'; nearest are training"),
        ("o/n,7,1,stag,training,me,one,", "row 2: taxonomy 'jiang2024' has no facet 'stag'"),
        ("n,7,1,stage,training,me,one,", "row 2: 'n' is no repository"),
        ("o/n,x,1,stage,training,me,one,", "row 2: number and defect must be whole numbers"),
        ("o/n,7,1,stage,training,,one,", "row 2: column 'annotator' is empty"),
    ],
)
def test_a_row_that_is_wrong_is_named(tmp_path: Path, taxonomy: Taxonomy, row: str, sentence: str) -> None:
    with pytest.raises(RedefectError) as caught:
        read_labels(write(tmp_path, row), taxonomy, lambda _: None)
    assert sentence in str(caught.value)


def test_a_label_said_twice_is_named_with_both_rows(tmp_path: Path, taxonomy: Taxonomy) -> None:
    path = write(tmp_path, "o/n,7,1,stage,training,me,one,", "o/n,7,1,stage,modeling,me,one,")
    with pytest.raises(RedefectError, match="row 3: says once more what row 2 says"):
        read_labels(path, taxonomy, lambda _: None)


def test_the_project_s_annotations_are_read(annotations: Path, taxonomy: Taxonomy) -> None:
    labels = read_labels(annotations, taxonomy, lambda _: None)
    assert len({label.issue for label in labels}) == 1551
    assert {label.annotator for label in labels} == {"adjudicated", "auto-a", "auto-b", "auto-c"}
