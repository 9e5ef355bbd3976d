import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import forked
import pytest
from conftest import Run, contents, make_root

from pipeline.collect.download import fetch_study_data
from pipeline.errors import RedefectError
from pipeline.facts import Count, Flaw
from pipeline.importing import import_study, import_threads, read_threads, study_inputs
from pipeline.openstudy import OpenStudy, open_study
from pipeline.store.session import Store
from pipeline.study import Study, read_study
from pipeline.thread import Comment, Thread


def demo_study(root: Path) -> Study:
    """Return the demo study, with its threads as a source to import: `make` crawls them."""
    path = root / "data" / "studies" / "demo.toml"
    source = '[[sources]]\nkind = "threads"\nname = "demo"\npath = "data/demo/threads"\n\n'
    if source not in (text := path.read_text()):
        path.write_text(text.replace("[[sources]]", source + "[[sources]]", 1))
    return read_study(path)


def many_threads(path: Path, count: int = 2000) -> Path:
    """Write threads enough for an import to take a while."""
    with path.open("w") as file:
        for n in range(count):
            comments = tuple(Comment(body=f"answer {i} of {n}: " + "word " * 60) for i in range(6))
            thread = Thread(
                repository=f"some/repository-{n % 7}", number=n + 1, title=f"title {n}", body="body " * 200, comments=comments
            )
            file.write(thread.to_json() + "\n")
    return path


def test_an_import_reports_what_it_read_and_a_second_one_changes_nothing(root: Path, store: Store, database: str) -> None:
    study = demo_study(root)
    report = import_study(store, study)
    assert [(c.source, c.what, c.read, c.stored) for c in report.counts] == [
        ("threads", "threads", 168, 168), ("threads", "comments", 994, 994), ("labels.csv", "labels", 4984, 4984),
        ("interviews", "turns", 71, 71), ("interview-codings.csv", "codings", 68, 68),
    ]  # fmt: skip
    assert report.changed > 5000
    before = contents(database)
    assert import_study(store, study).changed == 0
    assert contents(database) == before


def test_a_run_is_recorded_when_it_changed_something_with_the_hashes_of_its_inputs(root: Path, store: Store) -> None:
    study = demo_study(root)
    import_study(store, study)
    import_study(store, study)
    with store.reading() as connection:
        (run,) = connection.exec_driver_sql("SELECT command, study, study_digest, inputs FROM run").all()
    assert run[:3] == ("import study", "demo", study.digest)
    assert "data/demo/labels.csv" in run.inputs
    assert str(root) not in run.inputs


def test_a_wrong_source_leaves_the_store_as_it_was(root: Path, store: Store, database: str) -> None:
    study = demo_study(root)
    import_study(store, study)
    before = contents(database)
    threads = root / "data" / "demo" / "threads" / "aaa__first.jsonl"
    threads.write_text(Thread(repository="new/one", number=1, title="new").to_json() + "\n")
    labels = root / "data" / "demo" / "labels.csv"
    labels.write_text(labels.read_text().replace(",crash,", ",crasch,", 1))
    with pytest.raises(RedefectError, match="'crasch' is no known category"):
        import_study(store, study)
    assert contents(database) == before


def test_a_wrong_code_of_an_interview_leaves_the_store_as_it_was(root: Path, store: Store, database: str) -> None:
    study = demo_study(root)
    import_study(store, study)
    before = contents(database)
    codings = root / "data" / "demo" / "interview-codings.csv"
    codings.write_text(codings.read_text() + "Demo_leader1,2,me,challenge,portability,,\n")
    (root / "data" / "demo" / "interviews" / "Demo_leader2.txt").write_text("Leader 1: I am new.")
    with pytest.raises(RedefectError, match=r"interview-codings\.csv: row 70: turn 2 of 'Demo_leader1' is the interviewer's"):
        import_study(store, study)
    assert contents(database) == before


def test_optional_transcripts_may_be_missing_and_leave_the_store_with_their_folder(root: Path, store: Store) -> None:
    path = root / "data" / "studies" / "demo.toml"
    path.write_text(path.read_text().replace('path = "data/demo/interviews"', 'path = "data/demo/interviews"\noptional = true'))
    study = demo_study(root)
    import_study(store, study)
    shutil.rmtree(root / "data" / "demo" / "interviews")
    report = import_study(store, study)
    assert report.changed == 71
    assert Flaw("interviews", "the whole folder", "is not there", "codings are read without what was said") in report.flaws
    assert Count("interview-codings.csv", "codings", 68, 68) in report.counts


def test_a_label_that_left_its_file_leaves_the_store(root: Path, store: Store) -> None:
    study = demo_study(root)
    import_study(store, study)
    labels = root / "data" / "demo" / "labels.csv"
    labels.write_text("\n".join(labels.read_text().splitlines()[:-5]) + "\n")
    assert import_study(store, study).changed == 5 + 1  # with its only labels, an issue leaves the sample


def test_a_sampled_repository_that_the_study_does_not_list_is_named(root: Path) -> None:
    study = demo_study(root)
    path = study.path
    path.write_text(path.read_text().rpartition("[[repositories]]")[0])
    report = import_study(Store(str(study.database)), read_study(path))
    assert [flaw.what for flaw in report.flaws] == ["hold sampled issues and are not listed: umbrafield/mx-sparrow"]


def test_a_kind_that_the_study_file_and_a_table_tell_apart_is_named(tmp_path: Path, study_data: Path) -> None:
    root = make_root(tmp_path / "root")
    path = root / "data" / "studies" / "cv-reengineering.toml"
    path.write_text(path.read_text().replace('"tensorflow/models"\nkind = "zoo"', '"tensorflow/models"\nkind = "solo"'))
    study = read_study(path)
    fetch_study_data(study, study_data, say=lambda _: None)
    report = import_study(Store(str(study.database)), study)
    assert [f.what for f in report.flaws if f.where == "tensorflow/models"] == [
        "is a zoo repository here and solo in the study file"
    ]


def test_the_inputs_of_a_study_are_the_files_that_it_reads(root: Path) -> None:
    names = [path.relative_to(root).as_posix() for path in study_inputs(demo_study(root))]
    assert "data/studies/demo.toml" in names
    assert "taxonomy/jiang2024.yaml" in names
    assert sum(name.startswith("data/demo/threads/") for name in names) == 8
    (root / "data" / "demo" / "labels.csv").unlink()
    with pytest.raises(RedefectError, match=r"labels\.csv: there is no such file or folder, and study 'demo' reads it"):
        study_inputs(demo_study(root))


@pytest.mark.parametrize(("name", "sentence"), [("none", "there is no such file or folder"), ("text.txt", "is none of: .jsonl")])
def test_a_path_that_holds_no_threads_is_named(tmp_path: Path, name: str, sentence: str) -> None:
    (tmp_path / "text.txt").touch()
    with pytest.raises(RedefectError, match=sentence):
        list(read_threads(tmp_path / name, lambda _: None))


def test_a_line_that_is_no_thread_is_named_and_nothing_is_stored(tmp_path: Path, store: Store, database: str) -> None:
    path = many_threads(tmp_path / "t.jsonl", 300)
    path.write_text(path.read_text()[:-30])
    before = contents(database)
    with pytest.raises(RedefectError, match=r"t\.jsonl:300: Invalid JSON"):
        import_threads(store, path, "t")
    assert contents(database) == before


def test_the_published_study_is_imported_whole(published: OpenStudy) -> None:
    assert (len(published.defects), len(published.issues)) == (348, 427)
    assert published.defects["repository"].nunique() == 27
    assert published.issues["gate"].value_counts().to_dict() == {"defect": 334, "no-defect": 93}
    assert published.issues.groupby("rule", observed=True).size().to_dict() == {"label-table": 334, "set-aside-table": 93}
    assert len(published.ratings) == 3261


def test_texts_and_the_study_s_labels_meet_in_either_order(tmp_path: Path, study_data: Path, denchmark: Path) -> None:
    dumps = []
    for order in ("texts first", "labels first"):
        root = make_root(tmp_path / order)
        study = read_study(root / "data" / "studies" / "cv-reengineering.toml")
        fetch_study_data(study, study_data, say=lambda _: None)
        store = Store(str(study.database))
        part = tmp_path / "part.jsonl"
        if not part.exists():
            wanted = {"ultralytics/yolov3", "ultralytics/yolov5", "open-mmlab/mmdetection"}
            lines = [t.to_json() + "\n" for t in read_threads(denchmark, lambda _: None) if t.repository in wanted]
            part.write_text("".join(lines))
        steps = [lambda s=store, p=part: import_threads(s, p, "denchmark"), lambda s=store, d=study: import_study(s, d)]
        for step in steps if order == "texts first" else reversed(steps):
            step()
        opened = OpenStudy(study, store)
        assert opened.issues["title"].notna().sum() >= 25
        columns = [c for c in opened.issues.columns if c != "stratum"]
        dumps.append(opened.issues[columns].to_csv() + opened.defects[columns].to_csv())
    assert dumps[0] == dumps[1]


def test_a_study_that_was_never_imported_says_what_to_do(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    with pytest.raises(RedefectError, match=r"holds nothing of study 'demo' yet; run `make STUDY=demo` first"):
        open_study("demo")


@pytest.mark.parametrize("part", range(4))
def test_an_import_killed_at_any_moment_and_run_again_gives_the_same_store(
    root: Path, tmp_path: Path, redefect: Run, part: int
) -> None:
    threads = many_threads(tmp_path / "threads.jsonl")

    def start(database: Path) -> forked.Started:
        return forked.start(["import", "threads", str(threads), "--database", str(database)], root, os.environ)

    begin = time.monotonic()
    assert start(tmp_path / "whole.sqlite").ended().returncode == 0
    duration = time.monotonic() - begin
    whole = contents(tmp_path / "whole.sqlite")
    moments = random.Random(part)
    killed = 0
    for i in range(12):
        if killed == 5:
            break
        database = tmp_path / f"{i}.sqlite"
        process = start(database)
        time.sleep(moments.uniform(0.1, 0.8) * duration)
        process.send_signal(signal.SIGKILL)
        killed += process.ended().returncode == -signal.SIGKILL
        redefect("import", "threads", threads, "--database", database)
        assert contents(database) == whole
    assert killed >= 3, "the process was too quick to be killed in the middle"


def test_an_import_that_is_interrupted_says_so_and_leaves_the_store(root: Path, tmp_path: Path) -> None:
    fifo = tmp_path / "never-ends.jsonl"
    os.mkfifo(fifo)
    command = [sys.executable, "-m", "pipeline.cli", "import", "threads", str(fifo), "--database", str(tmp_path / "s.sqlite")]
    process = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with fifo.open("w") as writer:
        writer.write(Thread(repository="a/b", number=1, title="t").to_json() + "\n")
        writer.flush()
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == "redefect: Stopped; what was stored before is as it was.\n"


def test_a_source_of_listed_repositories_only_leaves_out_the_texts_and_labels_of_others(root: Path, store: Store) -> None:
    path = root / "data" / "studies" / "demo.toml"
    demo_study(root)
    text = path.read_text()
    for source in ("threads", "labels.csv"):
        text = text.replace(f'path = "data/demo/{source}"', f'path = "data/demo/{source}"\nlisted_only = true')
    begin = text.index('[[repositories]]\nname = "umbrafield/mx-sparrow"')
    path.write_text(text[:begin].replace("tidewrack/caffe-shoal", "Tidewrack/Caffe-Shoal"))
    study = read_study(path)
    import_study(store, study)
    opened = OpenStudy(study, store)
    with store.reading() as connection:
        texts = set(connection.exec_driver_sql("SELECT DISTINCT repository_id FROM issue WHERE title IS NOT NULL").scalars())
    assert len(texts) == 7
    assert "umbrafield/mx-sparrow" not in set(opened.issues["repository"])
    assert {name.casefold() for name in opened.issues["repository"]} == {r.name.casefold() for r in study.repositories}
