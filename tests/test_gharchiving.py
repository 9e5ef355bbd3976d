import gzip
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from archives import line, make, often, present
from conftest import CHECKOUT, Run
from scripted import Heard, Reply, scripted
from served import thread

from pipeline.collect.gharchive import partitions, staging
from pipeline.collect.gharchive.collection import collect_hours
from pipeline.collect.gharchive.events import Event, from_table
from pipeline.collect.gharchive.files import Folder, Server, hours_between
from pipeline.collect.gharchive.manifest import read_manifest
from pipeline.collect.gharchive.threads import Rebuilt, rebuild
from pipeline.errors import RedefectError
from pipeline.gharchiving import repository_names, store_threads
from pipeline.importing import read_threads
from pipeline.replica.gharchive import LOSSY, Flaws, archived
from pipeline.store import read
from pipeline.store.session import Store
from pipeline.thread import Thread

DAY = hours_between("2021-01-01", "2021-01-01")
THREADS = [thread(number, f"acme/part{number % 5}", comments=number % 4, fix=None) for number in range(1, 61)]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A day with all flaws, lossy ones, too."""
    folder = tmp_path_factory.mktemp("archive")
    make(THREADS, folder, hours=24, issue_share=0.5, flaws=often(lossy=True), seed=3)
    return folder


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory, archive: Path) -> Path:
    folder = tmp_path_factory.mktemp("collected")
    collect_hours(folder, DAY, Folder(archive), jobs=1)
    return folder


def test_missing_and_broken_hours_are_flaws_and_the_rest_is_read(archive: Path, tmp_path: Path) -> None:
    report = collect_hours(tmp_path, DAY, Folder(archive), jobs=1)
    amiss = {flaw.what for flaw in report.flaws if "malformed" not in flaw.what}
    assert {"is missing", "is no gzip file", "breaks off"} <= amiss
    assert report.hours == report.read == 24
    assert report.events > 100
    assert report.repeated > 0
    assert report.malformed > 0


def test_to_collect_again_reads_only_what_was_amiss_and_changed(archive: Path, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    for path in archive.iterdir():
        (files / path.name).write_bytes(path.read_bytes())
    events = tmp_path / "events"
    first = collect_hours(events, DAY, Folder(files), jobs=1)
    before = everything(events)
    again = collect_hours(events, DAY, Folder(files), jobs=1)
    assert (again.read, again.events, again.repeated) == (0, first.events, first.repeated)
    assert everything(events) == before
    missing = next(hour for hour in DAY if not (files / hour.file).exists())
    (files / missing.file).write_bytes(gzip.compress(line(present(31, repo={"id": 10**6, "name": "acme/late"}))))
    third = collect_hours(events, DAY, Folder(files), jobs=1)
    assert (third.read, third.events) == (1, first.events + 1)
    anew = tmp_path / "anew"
    collect_hours(anew, DAY, Folder(files), jobs=1)
    assert everything(anew) == everything(events)


def test_the_bytes_do_not_depend_on_processes_or_on_the_order_of_hours(archive: Path, collected: Path, tmp_path: Path) -> None:
    collect_hours(tmp_path / "two", DAY, Folder(archive), jobs=2)
    for hours in (DAY[12:], DAY[:5], DAY):
        collect_hours(tmp_path / "parts", hours, Folder(archive), jobs=1)
    assert everything(tmp_path / "two") == everything(collected)
    assert everything(tmp_path / "parts") == everything(collected)


def test_the_bytes_do_not_depend_on_how_often_staged_events_are_merged(archive: Path, collected: Path, tmp_path: Path) -> None:
    days = hours_between("2021-01-01", "2021-01-03")
    files = tmp_path / "files"
    files.mkdir()
    for hour, path in zip(days[::3], sorted(archive.iterdir()), strict=False):  # a day's files, as those of three
        (files / hour.file).write_bytes(path.read_bytes())
    for name, most in (("once", 10**12), ("daily", 0)):
        collect_hours(tmp_path / name, days, Folder(files), jobs=1, most_staged=most)
    assert everything(tmp_path / "daily") == everything(tmp_path / "once")


def test_a_killed_collection_goes_on_to_the_same_bytes(archive: Path, collected: Path, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from pipeline.collect.gharchive.collection import collect_hours; "
        "from pipeline.collect.gharchive.files import *; "
        f"collect_hours(Path({str(tmp_path)!r}), hours_between('2021-01-01', '2021-01-01'), Folder(Path({str(archive)!r})), 1, "
        "lambda record: print(record.file, flush=True))"
    )
    for lines in (3, 9, 24):
        with subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=CHECKOUT, env=os.environ | {"PYTHONPATH": str(CHECKOUT)}
        ) as process:
            assert process.stdout is not None
            for _ in range(lines):
                process.stdout.readline()
            if lines == 24:  # by now it is bringing events into their partitions
                deadline = time.monotonic() + 20
                while not list(tmp_path.glob("bucket=*")) and time.monotonic() < deadline:
                    time.sleep(0.001)
            process.send_signal(signal.SIGKILL)
    with (tmp_path / "manifest.jsonl").open("a") as manifest:
        manifest.write('{"file": "2021-01-01-')  # as a power cut may leave it
    collect_hours(tmp_path, DAY, Folder(archive), jobs=1)
    assert everything(tmp_path) == everything(collected)


def test_over_http_with_faults_the_bytes_are_those_of_the_folder(archive: Path, collected: Path, tmp_path: Path) -> None:
    count = 0

    def answer(heard: Heard) -> Reply:
        nonlocal count
        count += 1
        path = archive / heard.path.lstrip("/")
        if not path.exists():
            return Reply(404, b"<Error/>")
        if count % 5 == 0:
            return Reply(503)
        content = path.read_bytes()
        if count % 3 == 0 and "range" not in heard.headers:
            return Reply(200, content[: len(content) // 2], {"Content-Length": str(len(content)), "Connection": "close"})
        begin = int(heard.headers.get("range", "bytes=0-")[6:-1])
        if begin == 0:
            return Reply(200, content)
        if begin >= len(content):
            return Reply(416, b"", {"Content-Range": f"bytes */{len(content)}"})
        return Reply(206, content[begin:], {"Content-Range": f"bytes {begin}-{len(content) - 1}/{len(content)}"})

    with scripted(answer) as web:
        report = collect_hours(tmp_path, DAY, Server(web.url, tmp_path / "incoming", first_wait=0.001), jobs=1)
    assert report.hours == 24
    ours, theirs = everything(tmp_path), everything(collected)
    theirs["manifest.jsonl"] = theirs["manifest.jsonl"].replace(b"is missing", b"is missing (the server answers 404)")
    assert ours == theirs


def test_without_any_hour_or_server_the_command_ends_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(RedefectError, match="no hour could be read .2021-01-01-0.json.gz is missing"):
        collect_hours(tmp_path / "a", DAY[:2], Folder(tmp_path), jobs=1)
    with scripted(Reply(500)) as web, pytest.raises(RedefectError, match="run the same command again when the server answers"):
        server = Server(web.url, tmp_path / "incoming", attempts=2, first_wait=0.001)
        collect_hours(tmp_path / "b", DAY, server, jobs=1)


def test_a_manifest_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.jsonl").write_text("{}\n")
    with pytest.raises(RedefectError, match="manifest.jsonl:1: is no line of a manifest"):
        read_manifest(tmp_path)


def events_of(folder: Path, bucket: int) -> pa.Table:
    return pa.concat_tables([pq.read_table(path, partitioning=None) for path in partitions.files(folder, bucket)])


def test_all_events_of_a_repository_are_in_one_bucket(collected: Path) -> None:
    ids = [set(events_of(collected, bucket).column("repository_id").to_pylist()) for bucket in partitions.buckets(collected)]
    assert sum(map(len, ids)) == len(set().union(*ids)) == 5
    assert partitions.bucket_of(7, "") == 130
    assert partitions.bucket_of(None, "Acme/anvil") == partitions.bucket_of(None, "acme/ANVIL")


def put_together(parts: Iterable[Rebuilt]) -> dict[tuple[int | None, str], Counter[str]]:
    """What parts of repositories hold together, by repository: threads as they are written, and all counts."""
    found: dict[tuple[int | None, str], Counter[str]] = {}
    for part in parts:
        of_repository = found.setdefault((part.repository_id, part.repository), Counter())
        of_repository.update(thread.model_dump_json() for thread in part.threads)
        for name in ("incomplete", "pull_requests", "deleted", "transferred", "untitled", "repeated"):
            of_repository[name] += getattr(part, name)
    return found


@pytest.fixture(scope="module")
def staged(collected: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three files in which are events of all kinds: without the number of their issue or repository, and repeated, too."""
    events: list[Event] = []
    for bucket in partitions.buckets(collected):
        for event in from_table(events_of(collected, bucket)):
            i, changes = len(events), dict[str, Any]()
            if event.repository == "acme/part4":
                changes |= {"repository_id": None, "repository": ("acme/part4", "Acme/Part4")[i % 2]}
            if i % 7 == 0:
                changes |= {"number": None, "title": None, "issue_id": (event.issue_id, 10**6 + i, None)[i % 3]}
            events.append(event._replace(**changes, digest=i.to_bytes(16)))
    events += events[::9]
    random.Random(5).shuffle(events)
    paths = [tmp_path_factory.mktemp("staged") / f"{part}.arrow" for part in range(3)]
    for part, path in enumerate(paths):
        staging.stage(events[part::3], path)
    return paths


@pytest.mark.parametrize("limit", [{"at_once": 1}, {"at_once": 12}, {"bytes_at_once": 5_000}])
def test_threads_do_not_depend_on_how_much_is_held_at_once(staged: list[Path], tmp_path: Path, limit: dict[str, int]) -> None:
    staging.merge(tmp_path, "2021-01", range(partitions.BUCKETS), staged[:2])
    staging.merge(tmp_path, "2021-02", range(partitions.BUCKETS), staged[2:])
    for bucket in partitions.buckets(tmp_path):
        parts = list(partitions.rebuild_bucket(tmp_path, bucket, **limit))
        whole = rebuild(from_table(events_of(tmp_path, bucket)))
        assert len(parts) > len(whole)
        assert put_together(parts) == put_together(whole) == put_together(partitions.rebuild_bucket(tmp_path, bucket))


@pytest.mark.parametrize("at_once", [300, 8_000, 10**9])
def test_the_bytes_do_not_depend_on_how_much_is_merged_at_once(staged: list[Path], tmp_path: Path, at_once: int) -> None:
    def merge(folder: Path, files: list[Path], together: int, **how: int) -> dict[str, bytes]:
        for bucket in range(0, partitions.BUCKETS, together):
            staging.merge(folder, "2021-01", range(bucket, bucket + together), files, **how)
        return everything(folder)

    wanted = merge(tmp_path / "wanted", staged, 1)
    assert len(wanted) == 5
    assert merge(tmp_path / "whole", staged[:2], partitions.BUCKETS, at_once=at_once) != wanted
    assert merge(tmp_path / "whole", staged, 64, at_once=at_once) == wanted  # finds what came of the first
    for part, files in enumerate((staged[2:], staged[:1], staged[1:2]), start=1):
        found = merge(tmp_path / "parts", files, 64, at_once=at_once, whole=False)
        assert {Path(name).name for name in found} <= {f"part-{n}.parquet" for n in range(1, part + 1)}
    assert merge(tmp_path / "parts", [], 64, at_once=at_once) == wanted


def lossless(folder: Path, threads: list[Thread], **options: object) -> Path:
    make(threads, folder / "files", hours=24, flaws=Flaws().without(*LOSSY), **options)
    collect_hours(folder / "events", DAY, Folder(folder / "files"), jobs=1)
    return folder / "events"


def test_the_threads_of_listed_repositories_are_stored_once_under_the_name_that_is_listed(store: Store, tmp_path: Path) -> None:
    events = lossless(tmp_path, THREADS, seed=1)
    report = store_threads(store, events, ["acme/part1", "ACME/Part2", "acme/absent"])
    assert (report.threads.added, report.places) == (24, {"acme/absent": "no event of it was collected"})
    with store.reading() as connection:
        stored = list(read.threads(connection))
    wanted = [archived(t) for t in THREADS if t.repository in ("acme/part1", "acme/part2")]
    wanted = [t.model_copy(update={"repository": t.repository.replace("acme/part2", "ACME/Part2")}) for t in wanted]
    assert sorted(stored, key=lambda t: t.number) == wanted
    again = store_threads(store, events, ["acme/part1", "ACME/Part2", "acme/absent"])
    assert (again.threads.added, again.threads.changed, again.threads.unchanged) == (0, 0, 24)


def test_what_the_store_knows_better_stays(store: Store, tmp_path: Path) -> None:
    from pipeline.store import write

    later = THREADS[0].model_copy(update={"title": "Later", "updated_at": datetime(2030, 1, 1, tzinfo=UTC)})
    with store.writing() as connection:
        write.put_threads(connection, [later], "crawl")
    report = store_threads(store, lossless(tmp_path, THREADS[:5]), [later.repository])
    assert (report.older, report.threads.total) == (1, 0)
    with store.reading() as connection:
        assert [t.title for t in read.threads(connection)] == ["Later"]


def test_a_listed_name_stands_for_the_repository_that_had_it_last(store: Store, tmp_path: Path) -> None:
    def event(number: int, repository: int, name: str, hour: int) -> bytes:
        return line(
            present(number, id=str(number), repo={"id": repository, "name": name}, created_at=f"2021-01-01T0{hour}:00:00Z")
        )

    files = tmp_path / "files"
    files.mkdir()
    lines = [
        event(1, 1, "acme/anvil", 1),
        event(2, 1, "acme/hammer", 3),
        event(3, 2, "acme/anvil", 2),
        event(4, 3, "acme/tongs", 2),
    ]
    (files / DAY[0].file).write_bytes(gzip.compress(b"\n".join(lines)))
    collect_hours(tmp_path / "events", DAY[:1], Folder(files), jobs=1)
    report = store_threads(store, tmp_path / "events", ["acme/anvil"])
    with store.reading() as connection:
        assert [(t.repository, t.number) for t in read.threads(connection)] == [("acme/anvil", 3)]
    report = store_threads(store, tmp_path / "events", ["acme/hammer"])
    assert report.threads.added == 2
    assert report.places == {}


def test_a_file_of_repositories_is_read_line_by_line() -> None:
    assert repository_names("acme/anvil\n\n# all of them\nacme/tongs # hot\n", "x") == ["acme/anvil", "acme/tongs"]
    with pytest.raises(RedefectError, match="x:2: 'anvil' is no owner/name"):
        repository_names("acme/anvil\nanvil\n", "x")
    with pytest.raises(RedefectError, match="x: lists no repository"):
        repository_names("\n", "x")


def test_the_commands_make_an_archive_and_collect_it(redefect: Run, root: Path) -> None:
    files, period = root / "hours", ["--from", "2021-01-01", "--to", "2021-01-01", "--jobs", "1"]
    made = redefect("replica", "gharchive", "data/demo/threads", "-o", files, *period, "--without", "lossy", "--issue-share", "1")
    assert "168 threads in" in made.stdout
    done = redefect("collect", "gharchive", "--folder", files, *period)
    assert "made data/build/demo/gharchive/manifest.jsonl" in done.stdout
    with Store(str(root / "data/build/demo/redefect.sqlite")).reading() as connection:
        stored = {(t.repository, t.number): t for t in read.threads(connection)}
    demo = [archived(t) for t in read_threads(root / "data/demo/threads", print)]
    assert stored == {(t.repository, t.number): t for t in demo}
    wrong = redefect("replica", "gharchive", "data/demo/threads", "-o", files, *period, "--without", "x", expect=1)
    assert "There is no flaw 'x'; give one of: all, lossy, repeated" in wrong.stderr


def test_threads_of_denchmark_come_back(denchmark: Path, tmp_path: Path) -> None:
    from itertools import islice

    threads = list(islice(read_threads(denchmark, lambda _: None), 250))
    events = lossless(tmp_path, threads, copies=2)
    found = {
        (t.repository, t.number): t
        for bucket in partitions.buckets(events)
        for repository in partitions.rebuild_bucket(events, bucket)
        for t in repository.threads
    }
    assert found == {(t.repository, t.number): t for copy in range(2) for t in (archived(t, copy) for t in threads)}


def test_two_collections_do_not_work_in_one_folder(archive: Path, tmp_path: Path) -> None:
    def meanwhile(_: object) -> None:
        with pytest.raises(RedefectError, match="another collection is at work here"):
            collect_hours(tmp_path, DAY, Folder(archive), jobs=1)

    assert collect_hours(tmp_path, DAY[:2], Folder(archive), 1, meanwhile).read == 2


def test_a_damaged_file_is_named(archive: Path, tmp_path: Path) -> None:
    collect_hours(tmp_path, DAY[:12], Folder(archive), jobs=1)
    path = sorted(tmp_path.glob("bucket=*/*/*"))[0]
    path.write_bytes(b"")
    with pytest.raises(RedefectError, match=r"part-0.parquet: is damaged; remove .* and run the same command again"):
        collect_hours(tmp_path, DAY, Folder(archive), jobs=1)
