"""Writers at once: two crawlers, an importer and an annotator, beside a serial run: `make stress-postgres`.

Each round makes a small world (as `crawl_stress` does), which a replica of GitHub's API serves with faults and which changes all
the time. Both crawlers crawl all of it, again and again; the importer and the annotator store version after version of threads,
labels, remarks and samples, of the same issues that are being crawled. When the time is up, the world stands still, and each
writer does its last version. The store must then hold what one writer after the other puts into another store, and a row in `run`
for each thing that was done.
"""

import argparse
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any

import stored
from crawl_stress import BLOCKED, EMPTY, FORK, LARGE, MISSING, OLD, SMALL, Plan, Served, Way
from postgres import installed, served

from pipeline import __version__
from pipeline.collect.github.client import Client, Patience
from pipeline.crawling import Crawl, Wish
from pipeline.facts import IssueReference, Label, Remark, RepositoryFacts
from pipeline.intake import COMMENTS
from pipeline.replica import Faults, Limits
from pipeline.replica.faults import ALL
from pipeline.store import write
from pipeline.store.session import Store
from pipeline.study import Repository, Selection, Study, find_study, read_study
from pipeline.thread import Comment, Thread

WRITERS = ("crawler", "another crawler", "importer", "annotator")
_REPOSITORIES = (LARGE, SMALL, OLD, EMPTY, BLOCKED, MISSING)
_LAST = 10**6
_PAUSE = 0.3
"""Seconds between versions, so that crawlers, who wait for whole imports, get on as well."""

_DEADLINE = 300.0
"""Seconds after which writers are taken to wait for each other for ever."""


def plan_of(seed: int) -> Plan:
    """Return what a round's replica does: no limits, and some faults."""
    plenty = Limits(core=10**6, graphql=10**6, search=10**6, anonymous=10**6)
    way = Way(True, ("token-0",), plenty, Selection(), _REPOSITORIES, ())
    return Plan(seed, way, Faults(seed, 0.03, ALL, hang=0.05, reset_after=0.0), Patience(first_wait=0.002), (), (), 0, 0)


def _study() -> Study:
    repositories = [Repository(name=name, kind="solo", architecture=None) for name in _REPOSITORIES]
    return read_study(find_study("demo")).model_copy(update={"selection": Selection(), "repositories": repositories})


# What writers do, a version of it


def _crawl(store: Store, url: str, backwards: bool, _version: int) -> int:
    names = list(reversed(_REPOSITORIES)) if backwards else list(_REPOSITORIES)
    client = Client(url, ["token-0"], Patience(first_wait=0.002, attempts=15))
    changed = Crawl(store, _study(), client).run(Wish(names, whole=True)).changed
    client.close()
    return int(changed > 0)  # a crawl that changed something is a run


def _references(version: int) -> list[IssueReference]:
    """Issues that are being crawled, some of them by names in capitals, and some that the tracker does not have."""
    names = (LARGE, SMALL.upper(), OLD, "stress/imported-1")
    return [IssueReference(name, number) for name in names for number in range(1 + version % 5, 60 + version % 7)]


def _import(store: Store, _url: str, _backwards: bool, version: int) -> int:
    with store.writing() as connection:
        write.put_threads(connection, _threads(version), "threads")
        facts = [RepositoryFacts(name, kind="zoo", framework="none") for name in (LARGE, SMALL, "stress/imported-2")]
        write.put_repositories(connection, facts, "table", authoritative=True)
        labels = [
            Label(issue, 1, "symptom", "crash" if version % 2 else "hang", "Crash", "team", "final")
            for issue in _references(version)
        ]
        write.put_labels(connection, labels, "table")
        sample = [write.SampleRow(issue, "table", "zoo", None) for issue in _references(version)]
        write.put_sample(connection, "stress", sample, "table", ["table"])
        _put_run(connection, "import")
    return 1


def _threads(version: int) -> Iterator[Thread]:
    for number in range(1, 400):
        comments = tuple(Comment(body=f"Remark {i} of version {version}") for i in range((number + version) % 5))
        repository = f"stress/imported-{number % 3}"
        yield Thread(
            repository=repository.upper() if version % 2 else repository, number=number, title=f"Title {version}",
            body="Body", state="open", author="ann", labels=("bug",), comments=comments,
        )  # fmt: skip


def _annotate(store: Store, _url: str, _backwards: bool, version: int) -> int:
    issues = sorted({IssueReference(issue.repository.lower(), issue.number) for issue in _references(version + 2)})
    with store.writing() as connection:
        labels = [Label(issue, 0, "gate", f"answer-{version % 3}", "", "annotator", "batch") for issue in issues]
        write.put_labels(connection, labels, "annotations/batch/annotator.csv")
        remarks = [Remark(issue, "annotator", "batch", version % 2 == 0, False, "", f"version {version}") for issue in issues]
        write.put_remarks(connection, remarks, "annotations/batch/annotator.csv")
        sample = [write.SampleRow(issue, "annotations", None, 7) for issue in issues]
        write.put_sample(connection, "stress", sample, "study", ["annotations"])
        _put_run(connection, "annotate import")
    return 1


def _put_run(connection: Any, command: str) -> None:
    write.put_run(
        connection, command=command, study="stress", study_digest="", version=__version__, inputs={},
        finished_at=datetime.now(UTC),
    )  # fmt: skip


_WORK: tuple[tuple[Callable[[Store, str, bool, int], int], bool], ...] = (
    (_crawl, False), (_crawl, True), (_import, False), (_annotate, False),
)  # fmt: skip


# Writers


def _keep_writing(
    number: int, database: str, url: str, stop: "Synchronized[int]", runs: "Synchronized[int]", errors: Path
) -> None:
    try:
        work, backwards = _WORK[number]
        store = Store(database)
        version = 0
        while not stop.value:
            runs.value += work(store, url, backwards, version)
            version += 1
            if work is not _crawl:
                time.sleep(_PAUSE)
        runs.value += work(store, url, backwards, _LAST)
        store.close()
    except BaseException:
        errors.write_text(traceback.format_exc())
        os._exit(1)
    os._exit(0)


def run_round(seed: int, database: str, serial: str, seconds: float, folder: Path) -> tuple[list[str], list[int]]:
    """Let four writers write into one store at once, and one after the other into another.

    Returns
    -------
    What differs; and how often each of the writers wrote all of its rows.
    """
    (folder / "world").mkdir()
    world = Served(plan_of(seed), folder / "world")
    stop = FORK.Value("i", 0)
    runs = [FORK.Value("i", 0) for _ in WRITERS]
    problems: list[str] = []
    try:
        writers = [
            FORK.Process(target=_keep_writing, args=(i, database, world.bad, stop, runs[i], folder / f"errors-{i}.txt"))
            for i in range(len(WRITERS))
        ]
        for writer in writers:
            writer.start()
        end = time.monotonic() + seconds
        changes = 0
        while time.monotonic() < end:
            time.sleep(0.2)
            world.change(changes, deletes=False)
            changes += 1
        stop.value = 1
        deadline = time.monotonic() + _DEADLINE
        for i, writer in enumerate(writers):
            writer.join(max(0.0, deadline - time.monotonic()))
            if writer.exitcode is None:
                writer.kill()
                problems.append(f"the {WRITERS[i]} did not end")
            elif writer.exitcode:
                problems.append(f"the {WRITERS[i]} failed: {(folder / f'errors-{i}.txt').read_text()}")
        if problems:
            return problems, [count.value for count in runs]
        store, other = Store(database), Store(serial)
        for work, backwards in _WORK:
            work(other, world.good, backwards, _LAST)
        ours, theirs = stored.rows(store), stored.rows(other)
        problems += differences(ours, theirs)
        done = sum(count.value for count in runs)
        if len(ours["run"]) != done:
            problems.append(f"{done} things were done, and the store holds {len(ours['run'])} runs")
        store.close()
        other.close()
    finally:
        world.close()
    return problems, [count.value for count in runs]


def differences(ours: dict[str, list[dict[str, Any]]], theirs: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Tell which rows are in one store only. What chance decides is left out: see `_comparable`.

    So are issues without a text: a label that was taken back leaves the one behind that it was of. And so is how far a crawl
    listed all comments, which is one of its ways to threads, taken when many are wanted.
    """
    lines = []
    ours, theirs = ({table: [row for row in of[table] if _counts(table, row)] for table in of} for of in (ours, theirs))
    for table in sorted(set(ours) - {"run"}):
        one, other = (Counter(repr(_comparable(table, row)) for row in of[table]) for of in (ours, theirs))
        lines += [f"{table}: only at once: {row}" for row in (one - other).elements()]
        lines += [f"{table}: only in turn: {row}" for row in (other - one).elements()]
    return lines


def _counts(table: str, row: dict[str, Any]) -> bool:
    return not (table == "issue" and row["title"] is None) and not (table == "crawl" and row["resource"] == COMMENTS)


def _comparable(table: str, row: dict[str, Any]) -> dict[str, Any]:
    """Leave out which writer met a repository first, and where a crawl stands but for whether it is complete."""
    if table == "repository":
        return row | {"owner": row["owner"].lower(), "name": row["name"].lower(), "source": None}
    if table == "crawl":
        return {"repository": _folded(row["repository_id"]), "resource": row["resource"], "all": row["counts"].get("complete")}
    return {column: _folded(value) for column, value in row.items()}


def _folded(value: Any) -> Any:
    return str(value).lower() if isinstance(value, tuple) else value


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="of a round's writing at once")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    options = parser.parse_args()
    programs = installed()
    if programs is None:
        sys.exit("PostgreSQL is not here; on Debian: apt-get install postgresql")
    failed, total = [], [0] * len(WRITERS)
    with served(programs) as server:
        for seed in range(options.first, options.first + options.rounds):
            with tempfile.TemporaryDirectory() as folder, server.database() as database, server.database() as serial:
                problems, runs = run_round(seed, database, serial, options.seconds, Path(folder))
            total = [a + b for a, b in zip(total, runs, strict=True)]
            print(f"round {seed}: {', '.join(f'{w} {n}' for w, n in zip(WRITERS, runs, strict=True))}; ", end="")
            print("\n  ".join([f"{len(problems)} differences", *problems[:20]]), flush=True)
            failed += [seed] * bool(problems)
    times = ", ".join(f"{writer} {count}" for writer, count in zip(WRITERS, total, strict=True))
    print(f"{options.rounds} rounds of {options.seconds:.0f} s: {times} times; differences in {len(failed)} rounds")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
