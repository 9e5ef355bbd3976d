import csv
import io
import re
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import pytest
from conftest import Run, contents

from pipeline.export.table import files
from pipeline.export.tables import study_tables
from pipeline.openstudy import OpenStudy, open_study
from pipeline.selecting import select_sample
from pipeline.store.session import Store
from pipeline.study import read_study


def read_csv(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text())))


def funnel(printed: str) -> dict[str, list[int | None]]:
    """Read the printed funnel: criterion to issues, repositories, dropped and unknown."""
    rows = [[cell.strip() for cell in line.strip("│\n").split("│")] for line in printed.splitlines() if line.startswith("│")]
    return {row[0]: [int(cell.split()[0]) if cell else None for cell in row[1:]] for row in rows if row[1].isdigit()}


@pytest.fixture
def imported(root: Path, demo: OpenStudy) -> Path:
    """The database of the demo study, imported, in `root`."""
    database = root / "data" / "build" / "demo" / "redefect.sqlite"
    database.parent.mkdir(parents=True)
    with closing(sqlite3.connect(demo.study.database)) as one, closing(sqlite3.connect(database)) as other:
        one.backup(other)
    return database


def opened(root: Path) -> OpenStudy:
    return open_study(str(root / "data" / "studies" / "demo.toml"))


def analysis(study: OpenStudy) -> dict[str, bytes]:
    tables = study_tables(study)
    return files(tables) | {"figure": study.figure("figure-08").to_bytes("svg")}


def test_the_demo_study_is_selected_and_the_funnel_adds_up(redefect: Run, root: Path, imported: Path) -> None:
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


def test_drawing_again_changes_nothing_and_a_drawing_is_recorded_as_a_run(redefect: Run, root: Path, imported: Path) -> None:
    redefect("select", "issues")
    table = root / "data" / "build" / "demo" / "sample.csv"
    before = contents(imported), table.read_bytes()
    assert "\n0 rows changed." in redefect("select", "issues").stdout
    assert "\n0 rows changed;" in redefect("import", "study").stdout
    assert (contents(imported), table.read_bytes()) == before
    with closing(sqlite3.connect(imported)) as connection:
        runs = connection.execute("SELECT command, study, study_digest FROM run ORDER BY id").fetchall()
    digest = read_study(root / "data" / "studies" / "demo.toml").digest
    assert runs[1:] == [("import study", "demo", digest), ("select issues", "demo", digest)]


def test_a_sample_of_labelled_issues_changes_nothing_of_the_analysis(redefect: Run, root: Path, imported: Path) -> None:
    before = analysis(opened(root))
    redefect("select", "issues")
    assert analysis(opened(root)) == before
    issues = opened(root).issues
    assert len(issues) == 168
    assert set(issues["rule"]) == {"labels", "labels; most-commented", "labels; random", "labels; most-commented; random"}


def test_a_study_whose_criteria_changed_gets_another_sample_and_keeps_its_labels(
    redefect: Run, root: Path, imported: Path
) -> None:
    redefect("select", "issues")
    path = root / "data" / "studies" / "demo.toml"
    text = re.sub(r"(?m)^(most_commented|random_share_of_largest_zoos|largest_zoos) = .*\n", "", path.read_text())
    path.write_text(text)
    redefect("select", "issues")
    assert {row["rule"] for row in read_csv(root / "data" / "build" / "demo" / "sample.csv")} == {"criteria"}
    assert set(opened(root).issues["rule"]) == {"labels", "criteria; labels"}


def test_the_same_seed_draws_the_same_sample_from_a_store_filled_in_another_order(
    redefect: Run, root: Path, imported: Path
) -> None:
    redefect("select", "issues", PYTHONHASHSEED="1")
    other = root / "other.sqlite"
    paths = sorted((root / "data" / "demo" / "threads").glob("*.jsonl"))
    lines = [line for path in paths for line in path.read_text().splitlines(keepends=True)]
    (root / "reversed.jsonl").write_text("".join(reversed(lines)))
    redefect("import", "threads", "reversed.jsonl", "--database", other)
    redefect("import", "study", "--database", other)
    redefect("select", "issues", "--database", other, "-o", "other.csv", PYTHONHASHSEED="2", TZ="Asia/Kathmandu")
    assert (root / "other.csv").read_bytes() == (root / "data" / "build" / "demo" / "sample.csv").read_bytes()


def test_issues_that_are_drawn_and_not_yet_labelled_are_in_the_study_without_answers(redefect: Run, root: Path) -> None:
    redefect("import", "threads", "data/demo/threads")
    redefect("select", "issues")
    study = opened(root)
    assert len(study.issues) == len({(r["repository"], r["number"]) for r in read_csv(study.study.build / "sample.csv")})
    assert study.issues["gate"].isna().all()
    assert set(study.issues["stratum"]) == {"solo", "zoo"}  # the study file tells, even if it was never imported
    assert study.defects.empty


def test_a_trial_on_some_repositories_is_written_and_not_stored(redefect: Run, root: Path, imported: Path) -> None:
    before = contents(imported)
    done = redefect("select", "issues", "--repository", "Quillon/keras-heron", "--repository", "no/ne")
    assert "in the store" in done.stdout
    assert "No issue in the store of no/ne.\nNothing stored: a trial.\nmade data/build/demo/sample-trial.csv" in done.stdout
    assert {r["repository"] for r in read_csv(root / "data" / "build" / "demo" / "sample-trial.csv")} == {"quillon/keras-heron"}
    assert contents(imported) == before


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


def test_a_margin_that_cannot_be_is_one_sentence_and_stores_nothing(redefect: Run, root: Path, imported: Path) -> None:
    before = contents(imported)
    done = redefect("select", "issues", "--margin", "5", expect=1)
    assert done.stderr == "redefect: A margin of 5.0 cannot be: give one between 0 and 1, such as 0.05 for 5 %.\n"
    assert contents(imported) == before


def test_real_bug_reports_of_a_repository_are_selected_by_what_is_known_of_them(
    redefect: Run, root: Path, tmp_path: Path, denchmark: Path
) -> None:
    with tarfile.open(denchmark, "r|xz") as archive:
        for member in archive:
            if member.isfile() and Path(member.name).parent.name == "opencv+opencv":
                archive.extract(member, tmp_path / "reports", filter="data")
    redefect("import", "threads", tmp_path / "reports")
    path = root / "data" / "studies" / "demo.toml"
    store = Store(str(read_study(path).database))
    as_it_is = select_sample(store, read_study(path), 0.05, ["opencv/opencv"]).drawn
    assert as_it_is.steps[0].issues == len(list((tmp_path / "reports").rglob("*.xml"))) > 1000
    assert {s.criterion: s.issues for s in as_it_is.steps}["has a known fix"] == 0  # this data set tells of none

    path.write_text(path.read_text().replace("with_fix = true\n", ""))
    steps = {s.criterion: s for s in select_sample(store, read_study(path), 0.05, ["opencv/opencv"]).drawn.steps}
    assert steps["is not labelled question or enhancement"].unknown == steps["is closed"].issues > 0  # nor of any label

    path.write_text(re.sub("labels_exclude.*\n", "", path.read_text()))
    redefect("select", "issues", "--repository", "opencv/opencv")
    sample = read_csv(root / "data" / "build" / "demo" / "sample-trial.csv")
    assert [(row["repository"], row["rule"], row["stratum"]) for row in sample] == [("opencv/opencv", "most-commented", "")] * 4
    ranks = sorted(re.findall(r"rank (\d) by comments \((\d+)\)", " ".join(row["why"] for row in sample)))
    assert [rank for rank, _ in ranks] == ["1", "2", "3", "4"]
    comments = [int(count) for _, count in ranks]
    assert comments == sorted(comments, reverse=True)
    assert comments[-1] >= 4
