import csv
from pathlib import Path

import pytest

from pipeline.collect.study_tables import StudyTable, read_label_table, read_set_aside_table
from pipeline.errors import RedefectError
from pipeline.facts import Flaw
from pipeline.study import IssueLabel, LabelTableSource, SetAsideSource
from pipeline.taxonomy import Taxonomy

LABELS = LabelTableSource(
    kind="label-table", path="", annotator="me", round="one", each_issue=IssueLabel(facet="gate", category="defect")
)
SET_ASIDE = SetAsideSource(
    kind="set-aside-table", path="", annotator="me", round="one", each_issue=IssueLabel(facet="gate", category="no-defect")
)
ROW = {
    "": "0", "URL": "https://github.com/o/n/issues/7", "Repo owner": "o", "Repo name": "n", "Issue #": "7",
    "Repo type": "Solo Repository", "Research Prototype": "No", "Repo creation time": "2017-01-01T00:00:00Z",
    "Issue creation time": "2018-01-01T00:00:00Z", "Time Slot/d": "365", "Label": "['bug', 'stale']", "Framework": "Pytorch",
    "Same Code?": "Yes", "Same Data?": "no ", "Impacts": "crash", "Part of Implementation": "Training",
    "Project Type": 'User "fork"', "Reporter": "Re-user", "Defect types": "Logic", "Root Causes": "API defects",
    "Manifestation": "Basic defects",
}  # fmt: skip


def write(tmp_path: Path, *changes: dict[str, str], drop: tuple[str, ...] = ()) -> Path:
    path = tmp_path / "table.csv"
    columns = [column for column in ROW if column not in drop]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows({**ROW, "": str(i), **change} for i, change in enumerate(changes))
    return path


def read(path: Path, taxonomy: Taxonomy) -> tuple[StudyTable, dict[str, str]]:
    flaws: list[Flaw] = []
    table = read_label_table(path, LABELS, taxonomy, flaws.append)
    return table, {flaw.where: f"{flaw.what}; {flaw.done}" for flaw in flaws}


def test_a_row_becomes_a_defect_with_a_label_a_facet(tmp_path: Path, taxonomy: Taxonomy) -> None:
    table, flaws = read(write(tmp_path, {}), taxonomy)
    said = {label.facet: (label.defect, label.category, label.value) for label in table.labels}
    assert said["framework"] == (1, "pytorch", "Pytorch")
    assert said["same-data"] == (1, "no", "no ")
    assert said["gate"] == (0, "defect", "")
    (issue,), (repository,) = table.issues, table.repositories
    assert issue.tracker_labels == ["bug", "stale"]
    assert issue.created_at is not None
    assert issue.created_at.year == 2018
    assert (repository.kind, repository.prototype) == ("solo", False)
    assert flaws["column 'Framework', row 2"] == "'Pytorch' stands for 'PyTorch'; read as that"


def test_rows_of_one_issue_are_defects_of_their_own_and_repeats_are_named(tmp_path: Path, taxonomy: Taxonomy) -> None:
    table, flaws = read(write(tmp_path, {}, {}, {"Impacts": "Crash"}), taxonomy)
    assert {label.defect for label in table.labels} == {0, 1, 2, 3}
    assert flaws["row 3"] == "repeats row 2 to the letter; kept as a defect of its own, as published"
    assert flaws["1 issues"] == "have several rows (3 in all); each row is a defect of its own"


def test_what_is_empty_or_contradicts_itself_is_named(tmp_path: Path, taxonomy: Taxonomy) -> None:
    path = write(
        tmp_path,
        {"Repo type": "", "Label": "N/a"},
        {"URL": "https://github.com/o/n/issues/8", "Research Prototype": "Yes", "Label": "bug; stale"},
        {"URL": "https://github.com/o/n/issues/9#issue-1", "Issue #": "9#issue-1"},
    )
    table, flaws = read(path, taxonomy)
    assert flaws["row 2"] == "'Repo type' is empty; other rows of o/n say 'Solo Repository'"
    assert flaws["rows 2, 3 and 4"] == "'Research Prototype' of o/n is both No and Yes; left unknown"
    assert flaws["row 3"] == "the columns say o/n#7, the address https://github.com/o/n/issues/8; the address was taken"
    assert flaws["row 4"] == "the issue's address ends in '#issue-1'; cut off"
    assert table.repositories[0].prototype is None
    assert [fact.tracker_labels for fact in table.issues] == [None, ["bug", "stale"], ["bug", "stale"]]
    assert "as a list in 1 rows, separated by commas or semicolons in 1, and empty or n/a in 1" in flaws["column 'Label'"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"URL": ""}, "row 2, column B (URL): is empty"),
        (
            {"URL": "https://example.org/o/n/issues/1"},
            "row 2, column B (URL): 'https://example.org/o/n/issues/1' is on example.org",
        ),
        ({"Impacts": "Crasch"}, "row 2, column 'Impacts': 'Crasch' is no known category of facet 'symptom'; nearest are crash"),
        ({"Repo type": "Farm"}, "row 2: column 'Repo type' holds 'Farm', which is none of"),
        ({"Issue creation time": "soon"}, "row 2, column I (Issue creation time): 'soon' is no time"),
    ],
)
def test_a_row_that_cannot_be_read_is_one_sentence(
    tmp_path: Path, taxonomy: Taxonomy, change: dict[str, str], sentence: str
) -> None:
    with pytest.raises(RedefectError) as caught:
        read(write(tmp_path, change), taxonomy)
    assert sentence in str(caught.value)


def test_a_facet_s_missing_column_is_named(tmp_path: Path, taxonomy: Taxonomy) -> None:
    with pytest.raises(RedefectError, match="the table has no column 'Impacts', which taxonomy 'jiang2024' asks for"):
        read(write(tmp_path, {}, drop=("Impacts",)), taxonomy)


def test_shifted_columns_are_put_right(tmp_path: Path) -> None:
    shifted = {
        "Repo type": "7", "Repo creation time": "", "Issue creation time": "2017-01-01T00:00:00Z",
        "Time Slot/d": "2018-01-01T00:00:00Z", "Label": "365",
    }  # fmt: skip
    flaws: list[Flaw] = []
    table = read_set_aside_table(write(tmp_path, shifted), SET_ASIDE, flaws.append)
    (issue,), (repository,), (label,) = table.issues, table.repositories, table.labels
    assert issue.created_at is not None
    assert repository.created_at is not None
    assert (issue.created_at.year, repository.created_at.year, repository.kind) == (2018, 2017, None)
    assert (label.facet, label.category, label.defect) == ("gate", "no-defect", 0)
    assert [flaw.what.split(":")[0] for flaw in flaws] == ["cells are shifted", "'Repo creation time' is empty"]


def test_a_table_that_is_not_shifted_is_read_as_it_is(tmp_path: Path) -> None:
    flaws: list[Flaw] = []
    table = read_set_aside_table(write(tmp_path, {}), SET_ASIDE, flaws.append)
    assert flaws == []
    assert table.repositories[0].kind == "solo"


def test_the_published_tables_hold_what_was_published(study_data: Path, taxonomy: Taxonomy) -> None:
    flaws: list[Flaw] = []
    table = read_label_table(study_data / "CV_Reengineeirng_Defects.csv", LABELS, taxonomy, flaws.append)
    aside = read_set_aside_table(study_data / "Non_Reengineering_Defects.csv", SET_ASIDE, flaws.append)
    assert (table.rows, len(table.issues), len(table.repositories)) == (348, 334, 27)
    assert (aside.rows, len(aside.issues)) == (93, 93)
    assert {fact.issue for fact in table.issues}.isdisjoint(fact.issue for fact in aside.issues)
    assert sum("repeats row" in flaw.what for flaw in flaws) == 2
