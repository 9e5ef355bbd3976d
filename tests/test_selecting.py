import csv
import io
import re
import tarfile
from pathlib import Path

import pytest
from conftest import Run, contents

from pipeline.openstudy import open_study

OPENCV = "opencv/opencv"


def read_csv(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text())))


def funnel(printed: str) -> dict[str, list[int | None]]:
    """Read the printed funnel: criterion to issues, repositories, dropped and unknown."""
    rows = [[cell.strip() for cell in line.strip("│\n").split("│")] for line in printed.splitlines() if line.startswith("│")]
    return {row[0]: [int(cell.split()[0]) if cell else None for cell in row[1:]] for row in rows if row[1].isdigit()}


def analysis(redefect: Run, root: Path) -> dict[str, bytes]:
    found = {"findings": redefect("findings").stdout.encode()}
    redefect("export", "tables")
    redefect("export", "figures")
    build = root / "data" / "build" / "demo"
    return found | {path.name: path.read_bytes() for path in sorted([*build.glob("tables/*"), *build.glob("figures/*")])}


def test_the_demo_study_is_selected_and_the_funnel_adds_up(redefect: Run, root: Path) -> None:
    redefect("import", "study")
    done = redefect("select", "issues")
    steps = funnel(done.stdout.partition("Sample sizes")[0])
    assert steps["in the store"] == [168, 8, 0, None]
    before = 168
    for issues, _, dropped, _ in steps.values():
        if dropped is not None:
            assert issues is not None
            assert before == issues + dropped
            before = issues
    sample = read_csv(root / "data" / "build" / "demo" / "sample.csv")
    assert list(sample[0]) == ["repository", "number", "url", "rule", "stratum", "seed", "why"]
    issues = {(row["repository"], row["number"]) for row in sample}
    assert steps["in the sample"][:2] == [len(issues), 8]
    assert {row["rule"] for row in sample} == {"most-commented", "random"}
    assert all(row["seed"] == ("1" if row["rule"] == "random" else "") for row in sample)
    assert "made data/build/demo/sample.csv" in done.stdout


def test_drawing_again_changes_nothing_and_a_drawing_is_recorded_as_a_run(redefect: Run, root: Path) -> None:
    redefect("import", "study")
    redefect("select", "issues")
    database, table = root / "data" / "build" / "demo" / "redefect.sqlite", root / "data" / "build" / "demo" / "sample.csv"
    before = contents(database), table.read_bytes()
    assert "\n0 rows changed." in redefect("select", "issues").stdout
    assert "\n0 rows changed;" in redefect("import", "study").stdout
    assert (contents(database), table.read_bytes()) == before
    opened = open_study(str(root / "data" / "studies" / "demo.toml"))
    with opened._store.reading() as connection:
        runs = connection.exec_driver_sql("SELECT command, study, study_digest FROM run ORDER BY id").all()
    assert runs == [("import study", "demo", opened.study.digest), ("select issues", "demo", opened.study.digest)]


def test_a_sample_of_labelled_issues_changes_nothing_of_the_analysis(redefect: Run, root: Path) -> None:
    redefect("import", "study")
    before = analysis(redefect, root)
    redefect("select", "issues")
    assert analysis(redefect, root) == before
    issues = open_study(str(root / "data" / "studies" / "demo.toml")).issues
    assert len(issues) == 168
    assert set(issues["rule"]) == {"labels", "labels; most-commented", "labels; random", "labels; most-commented; random"}


def test_a_study_whose_criteria_changed_gets_another_sample_and_keeps_its_labels(redefect: Run, root: Path) -> None:
    redefect("import", "study")
    redefect("select", "issues")
    path = root / "data" / "studies" / "demo.toml"
    text = re.sub(r"(?m)^(most_commented|random_share_of_largest_zoos|largest_zoos) = .*\n", "", path.read_text())
    path.write_text(text)
    redefect("select", "issues")
    assert {row["rule"] for row in read_csv(root / "data" / "build" / "demo" / "sample.csv")} == {"criteria"}
    assert set(open_study(str(path)).issues["rule"]) == {"labels", "criteria; labels"}


def test_the_same_seed_draws_the_same_sample_from_a_store_filled_in_another_order(redefect: Run, root: Path) -> None:
    redefect("import", "study")
    redefect("select", "issues", PYTHONHASHSEED="1")
    other = root / "other.sqlite"
    for path in sorted((root / "data" / "demo" / "threads").glob("*.jsonl"), reverse=True):
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(reversed(lines)))
        redefect("import", "threads", path, "--database", other)
    redefect("select", "issues", "--database", other, "-o", "other.csv", PYTHONHASHSEED="2", TZ="Asia/Kathmandu")
    assert (root / "other.csv").read_bytes() == (root / "data" / "build" / "demo" / "sample.csv").read_bytes()


def test_issues_that_are_drawn_and_not_yet_labelled_are_in_the_study_without_answers(redefect: Run, root: Path) -> None:
    redefect("import", "threads", "data/demo/threads")
    redefect("select", "issues")
    opened = open_study(str(root / "data" / "studies" / "demo.toml"))
    assert len(opened.issues) == len({(r["repository"], r["number"]) for r in read_csv(opened.study.build / "sample.csv")})
    assert opened.issues["gate"].isna().all()
    assert set(opened.issues["stratum"]) == {"solo", "zoo"}  # the study file tells, even if it was never imported
    assert opened.defects.empty


def test_a_trial_on_some_repositories_is_written_and_not_stored(redefect: Run, root: Path) -> None:
    redefect("import", "study")
    before = contents(root / "data" / "build" / "demo" / "redefect.sqlite")
    done = redefect("select", "issues", "--repository", "Quillon/keras-heron", "--repository", "no/ne")
    assert "in the store" in done.stdout
    assert "No issue in the store of no/ne.\nNothing stored: a trial.\nmade data/build/demo/sample-trial.csv" in done.stdout
    assert {r["repository"] for r in read_csv(root / "data" / "build" / "demo" / "sample-trial.csv")} == {"quillon/keras-heron"}
    assert contents(root / "data" / "build" / "demo" / "redefect.sqlite") == before


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "redefect: The database holds no text of an issue of study 'demo' to select from;"),
        (["--repository", "a/b"], "redefect: The database holds no text of an issue of a/b to select from;"),
    ],
)
def test_a_store_with_nothing_to_select_from_is_one_sentence(redefect: Run, arguments: list[str], sentence: str) -> None:
    done = redefect("select", "issues", *arguments, expect=1)
    assert done.stderr.startswith(sentence)
    assert done.stderr.count("\n") == 1


def test_a_margin_that_cannot_be_is_one_sentence_and_stores_nothing(redefect: Run, root: Path) -> None:
    redefect("import", "study")
    before = contents(root / "data" / "build" / "demo" / "redefect.sqlite")
    done = redefect("select", "issues", "--margin", "5", expect=1)
    assert done.stderr == "redefect: A margin of 5.0 cannot be: give one between 0 and 1, such as 0.05 for 5 %.\n"
    assert contents(root / "data" / "build" / "demo" / "redefect.sqlite") == before


def test_real_bug_reports_of_a_repository_are_selected_by_what_is_known_of_them(
    redefect: Run, root: Path, tmp_path: Path, denchmark: Path
) -> None:
    with tarfile.open(denchmark) as archive:
        members = [member for member in archive if "/opencv+opencv/" in f"/{member.name}" and member.isfile()]
        archive.extractall(tmp_path / "reports", members, filter="data")
    redefect("import", "threads", tmp_path / "reports")
    path = root / "data" / "studies" / "demo.toml"
    done = redefect("select", "issues", "--repository", OPENCV)
    steps = funnel(done.stdout.partition("Sample sizes")[0])
    assert steps["in the store"][:2] == [len(members), 1]
    assert steps["has a known fix"][0] == 0  # this data set tells of none
    assert read_csv(root / "data" / "build" / "demo" / "sample-trial.csv") == []

    path.write_text(path.read_text().replace("with_fix = true\n", ""))
    steps = funnel(redefect("select", "issues", "--repository", OPENCV).stdout.partition("Sample sizes")[0])
    assert steps["is not labelled question or enhancement"][3] == steps["is closed"][0]  # labels are not known

    path.write_text(re.sub("labels_exclude.*\n", "", path.read_text()))
    redefect("select", "issues", "--repository", OPENCV)
    sample = read_csv(root / "data" / "build" / "demo" / "sample-trial.csv")
    assert [(row["repository"], row["rule"], row["stratum"]) for row in sample] == [(OPENCV, "most-commented", "")] * 4
    comments = sorted((int(match[1]) for row in sample if (match := re.search(r"\((\d+)\)", row["why"]))), reverse=True)
    assert len(comments) == 4
    assert comments[-1] >= 4
