"""GH Archive's threads in stores: rebuilt from the partitions of events that were collected, those that a study selects."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

from pipeline import __version__
from pipeline.collect.gharchive import manifest, partitions
from pipeline.errors import RedefectError
from pipeline.files import sha256
from pipeline.store import read, write
from pipeline.store.session import Store
from pipeline.store.write import ThreadCounts
from pipeline.thread import Thread

SOURCE = "gharchive"
_NAME = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")


@dataclass(slots=True)
class StoredReport:
    """What of GH Archive came into a store.

    Attributes
    ----------
    threads
        Threads that are new, changed, and unchanged.
    incomplete
        Threads of which not all comments are known, and so none is stored: those that began before the period, most of all.
    pull_requests, deleted, transferred, untitled
        Issues that are no threads: see `Rebuilt`.
    older
        Threads of which the store has a later version already, which stays.
    places
        Listed repositories that have another name by now, or of which there is no event.
    """

    threads: ThreadCounts = field(default_factory=ThreadCounts)
    incomplete: int = 0
    pull_requests: int = 0
    deleted: int = 0
    transferred: int = 0
    untitled: int = 0
    older: int = 0
    places: dict[str, str] = field(default_factory=dict)


def repository_names(text: str, where: str) -> list[str]:
    """Return the repositories that a text lists, one a line; empty lines, and what follows a #, do not count.

    Raises
    ------
    RedefectError
        If a line is no owner/name, or there is none.
    """
    names = []
    for number, line in enumerate(text.splitlines(), start=1):
        if name := line.partition("#")[0].strip():
            if not _NAME.fullmatch(name):
                raise RedefectError(f"{where}:{number}: '{name}' is no owner/name.")
            names.append(name)
    if not names:
        raise RedefectError(f"{where}: lists no repository; give one owner/name a line.")
    return names


def store_threads(
    store: Store, folder: Path, names: Iterable[str], progress: Callable[[Iterable[Thread]], Iterable[Thread]] = iter
) -> StoredReport:
    """Store the threads of repositories, rebuilt from all collected events, in one unit of work.

    A repository is stored under the name that it is listed by, and known by any name that it had; if several had the name, it is
    the one that had it last.
    """
    report = StoredReport()
    chosen = _resolve(folder, names, report.places)
    with store.writing() as connection:

        def rebuilt() -> Iterator[Thread]:
            for bucket in sorted({partitions.bucket_of(number, "") for number in chosen}):
                for number, parts in groupby(partitions.rebuild_bucket(folder, bucket, chosen), attrgetter("repository_id")):
                    name = chosen[number]
                    updated = read.updates(connection, name)
                    for part in parts:
                        report.incomplete += part.incomplete
                        report.pull_requests += part.pull_requests
                        report.deleted += part.deleted
                        report.transferred += part.transferred
                        report.untitled += part.untitled
                        for thread in part.threads:
                            stored = updated.get(thread.number)
                            if stored is not None and (thread.updated_at is None or thread.updated_at < stored):
                                report.older += 1
                            else:
                                yield thread if thread.repository == name else thread.model_copy(update={"repository": name})

        report.threads = write.put_threads(connection, progress(rebuilt()), SOURCE)
        if report.threads.added or report.threads.changed:
            write.put_run(
                connection, command="collect gharchive", study="", study_digest="", version=__version__,
                inputs={manifest.NAME: sha256(folder / manifest.NAME)}, finished_at=datetime.now(UTC),
            )  # fmt: skip
    return report


def _resolve(folder: Path, names: Iterable[str], places: dict[str, str]) -> dict[int, str]:
    """Return the listed names by the numbers of the repositories that they stand for."""
    listed = {name.casefold(): name for name in names}
    had: dict[str, dict[str, Any]] = {}  # the repository that had a name last
    now: dict[int, dict[str, Any]] = {}  # the name that a repository had last
    for bucket in partitions.buckets(folder):
        for row in partitions.repositories(folder, bucket).to_pylist():
            if row["repository_id"] is None:
                continue  # events of before 2012, which have no texts
            name = row["repository"].casefold()
            if name in listed and (name not in had or had[name]["last"] < row["last"]):
                had[name] = row
            number = row["repository_id"]
            if number not in now or now[number]["last"] < row["last"]:
                now[number] = row
    chosen: dict[int, str] = {}
    for name, spelled in sorted(listed.items()):
        if name not in had:
            places[spelled] = "no event of it was collected"
            continue
        number = had[name]["repository_id"]
        last = now[number]["repository"]
        if number in chosen:
            places[spelled] = f"is the same repository as {chosen[number]}"
            continue
        chosen[number] = spelled
        if last.casefold() != name:
            places[spelled] = f"was called {last} in the end"
    return chosen
