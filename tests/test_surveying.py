import re
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from archives import make
from clusters import cluster
from conftest import CHECKOUT, Run

from pipeline.classify.model_file import read_model
from pipeline.classifying import predictions
from pipeline.collect.gharchive import partitions
from pipeline.collect.gharchive.collection import collect_hours
from pipeline.collect.gharchive.files import Folder, hours_between
from pipeline.engines import local_cluster, processes, running_cluster
from pipeline.errors import RedefectError
from pipeline.files import sha256
from pipeline.importing import read_threads
from pipeline.models import shipped_model
from pipeline.surveying import Survey, count_all, label_all, survey_all
from pipeline.thread import Thread

DAY = hours_between("2021-01-01", "2021-01-01")
MODEL = shipped_model()


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A day in which the demo's threads occur, of three owners each."""
    folder = tmp_path_factory.mktemp("survey")
    make(read_threads(CHECKOUT / "data" / "demo" / "threads", lambda _: None), folder / "files", hours=24, copies=3)
    collect_hours(folder / "events", DAY, Folder(folder / "files"), jobs=1)
    return folder / "events"


def survey_of(events: Path, output: Path, model: Path = MODEL) -> Survey:
    return Survey(events, output, model, sha256(model))


def everything(survey: Survey) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(survey.output.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def surveyed(tmp_path_factory: pytest.TempPathFactory, events: Path) -> Survey:
    """A survey by one process, without Dask."""
    survey = survey_of(events, tmp_path_factory.mktemp("surveyed"))
    with processes(1) as engine:
        survey_all(survey, engine)
    return survey


def threads_of(events: Path, bucket: int) -> list[Thread]:
    return [thread for rebuilt in partitions.rebuild_bucket(events, bucket) for thread in rebuilt.threads]


def test_labels_are_those_of_the_classifier_and_tell_what_people_wrote(events: Path, surveyed: Survey) -> None:
    classifier = read_model(MODEL)
    facets = [facet for facet in classifier.categories if facet not in classifier.withheld]
    seen = 0
    for bucket in partitions.buckets(events):
        threads = threads_of(events, bucket)
        rows = pq.read_table(surveyed.labels(bucket)).to_pylist()
        for thread, said, row in zip(threads, predictions(classifier, threads, 1), rows, strict=True):
            assert (row["repository"], row["number"], row["title"]) == (thread.repository, thread.number, thread.title)
            assert row["gate"] == max(said.gate, key=said.gate.__getitem__)
            for facet in facets:
                of = said.facets[facet]
                assert row[f"{facet}.guess"] == of.category
                assert row[facet] == (None if of.abstained else of.category)
                assert row[f"{facet}.probability"] == pytest.approx(of.probability, abs=2e-4)
            assert "```" not in row["prose"]
            seen += 1
    assert seen > 400


def test_counts_are_of_all_labels(events: Path, surveyed: Survey) -> None:
    with processes(1) as engine:
        shares = count_all(surveyed, engine)
    rows = [row for bucket in partitions.buckets(events) for row in pq.read_table(surveyed.labels(bucket)).to_pylist()]
    whole = shares[shares["period"] == "all"].set_index(["facet", "category"])
    defects = [row for row in rows if row["gate"] == "defect"]
    assert whole.loc[("gate", "defect"), "threads"] == len(defects)
    assert whole.loc[("gate", "defect"), "of"] == len(rows)
    crashes = [row for row in defects if row["symptom"] == "crash"]
    assert whole.loc[("symptom", "crash"), "threads"] == len(crashes) > 0
    assert whole.loc[("symptom", "crash"), "repositories"] == len({row["repository"] for row in crashes})
    by_year = shares[(shares["period"] != "all") & (shares["facet"] == "gate")]
    assert by_year["threads"].sum() == len(rows)


def test_two_processes_and_a_local_cluster_make_the_same_bytes(events: Path, surveyed: Survey, tmp_path: Path) -> None:
    expected = everything(surveyed)
    with processes(1) as engine:
        counted = count_all(surveyed, engine)
    for name, engines in (("processes", processes(2)), ("cluster", local_cluster(2))):
        survey = survey_of(events, tmp_path / name)
        with engines as engine:
            report = survey_all(survey, engine)
        assert everything(survey) == expected
        assert report.shares.equals(counted)


def test_a_worker_that_is_killed_changes_nothing_and_what_is_amiss_is_told_of_in_a_sentence(
    events: Path, surveyed: Survey, tmp_path: Path
) -> None:
    survey = survey_of(events, tmp_path / "survey")
    with cluster(tmp_path, workers=2) as running:
        time.sleep(0.5)
        killed = []

        def kill_one(_: int) -> None:
            if not killed:
                running.workers[0].kill()
                killed.append(running.workers[0].wait())

        with running_cluster(running.address, survey.amiss) as engine:
            survey_all(survey, engine, kill_one)
        assert killed
        assert everything(survey) == everything(surveyed)
        with pytest.raises(RedefectError, match=r"^tcp://127.0.0.1:\d+: does not see nowhere; mount"):
            running_cluster(running.address, survey_of(Path("nowhere"), tmp_path).amiss).__enter__()
        path = partitions.partition(tmp_path, 3, "2021-01")
        path.parent.mkdir(parents=True)
        path.write_bytes(b"PAR1 no more")
        (tmp_path / "manifest.jsonl").write_text("")
        damaged = survey_of(tmp_path, tmp_path / "damaged")
        with (
            running_cluster(running.address, damaged.amiss) as engine,
            pytest.raises(RedefectError, match=rf"^{re.escape(str(path))}: is damaged; "),
        ):
            survey_all(damaged, engine)
        lost = survey_of(events, tmp_path / "lost")
        with (
            running_cluster(running.address, lost.amiss) as engine,
            pytest.raises(RedefectError, match=r"^The scheduler went away; what was done is kept: run the same command again\.$"),
        ):
            survey_all(lost, engine, lambda _: running.stop())


def test_a_stopped_survey_goes_on_with_what_is_missing_or_not_whole(events: Path, surveyed: Survey, tmp_path: Path) -> None:
    survey = survey_of(events, tmp_path)
    (tmp_path / "labels").mkdir()
    for name, content in everything(surveyed).items():
        if name.startswith("part-"):
            (tmp_path / "labels" / name).write_bytes(content)
    first, second, *_ = sorted((tmp_path / "labels").iterdir())
    first.unlink()
    second.write_bytes(second.read_bytes()[:-5])
    (tmp_path / "labels" / "part-999.parquet").write_bytes(b"of an earlier survey")
    with processes(1) as engine:
        kept = [part.kept for part in label_all(survey, engine)]
        assert kept == [False, False, *[True] * (len(kept) - 2)]
        survey_all(survey, engine)
    assert everything(survey) == everything(surveyed)


def test_labels_of_other_events_are_made_anew(events: Path, surveyed: Survey, tmp_path: Path) -> None:
    survey = survey_of(tmp_path / "events", tmp_path / "survey")
    for path in sorted(events.rglob("*")):
        if path.is_file():
            (tmp_path / "events" / path.relative_to(events)).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "events" / path.relative_to(events)).write_bytes(path.read_bytes())
    bucket = partitions.buckets(events)[0]
    with processes(1) as engine:
        before = label_all(survey, engine)
        (path,) = partitions.files(survey.events, bucket)
        pq.write_table(pq.read_table(path, schema=pq.read_schema(path), partitioning=None).slice(0, 1), path)
        after = label_all(survey, engine)
    assert [part.bucket for part in after if not part.kept] == [bucket]
    assert after[0].threads < before[0].threads


def test_the_command_prints_shares_with_intervals_and_goes_on_where_it_was(events: Path, surveyed: Survey, redefect: Run) -> None:
    done = redefect("survey", events, "-o", surveyed.output, "--no-dask", "--workers", "1")
    assert re.search(r"Surveyed: \d+ threads in \d+ partitions, \d+ of them kept from before", done.stdout)
    assert re.search(r"symptom +│ crash +│ \d+ +│ \d+ +│ \d+ +│ \d+\.\d % +│ \[\d+\.\d, \d+\.\d\]", done.stdout)
    header = (surveyed.output / "shares.csv").read_text().splitlines()[0]
    assert header == "period,facet,category,threads,of,repositories,among,share,low,high"
    (surveyed.output / "shares.csv").unlink()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere", "--no-dask"], r"nowhere: holds no events; collect some by `redefect collect gharchive`\."),
        (
            ["nowhere", "--scheduler", "tcp://127.0.0.1:9"],
            r"tcp://127.0.0.1:9: no scheduler answers; start one by `dask scheduler`",
        ),
        (["nowhere", "--scheduler", "tcp://127.0.0.1:9", "--no-dask"], r"A scheduler has its own workers"),
        (["nowhere", "--model", "nothing.skops"], r"nothing.skops: cannot be read"),
    ],
)
def test_what_is_not_there_is_told_of_in_a_sentence(redefect: Run, arguments: list[str], sentence: str) -> None:
    done = redefect("survey", *arguments, expect=1)
    assert re.search(sentence, done.stderr.replace("\n", " "))
    assert "Traceback" not in done.stderr
