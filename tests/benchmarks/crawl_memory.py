"""Measure the peak memory of `redefect collect` on a repository of 100,000 issues that a replica serves: `make bench-memory`.

Exits with 1 when a crawl takes more than it may, whichever way it goes.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from pipeline.replica import Limits, Replica, World
from pipeline.thread import Comment, Thread

MOST_MIB = 250
REPOSITORY = "bench/large"
_MAXRSS_UNIT = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, KiB elsewhere
_BEGIN = datetime(2018, 1, 1, tzinfo=UTC)
_WORDS = "the layer fails with a shape that nobody asked for when the batch is of size one and the network runs on two devices "


def threads(count: int) -> Iterator[Thread]:
    for number in range(1, count + 1):
        opened = _BEGIN + timedelta(minutes=20 * number)
        comments = tuple(Comment(author=f"user{(number + i) % 500}", body=_WORDS * 3) for i in range(number % 4))
        yield Thread(
            repository=REPOSITORY, number=number, title=f"Failure {number}", body=_WORDS * 8, state="closed",
            author=f"user{number % 997}", created_at=opened, comments=comments, labels=("bug",),
            fix=f"{REPOSITORY}@{number:07x}" if number % 2 else None,
        )  # fmt: skip


def serve(count: int, folder: Path, pipe: Connection) -> None:
    limits = Limits(core=10**6, graphql=10**6, search=10**6, anonymous=10**6)
    with World(folder / "world.sqlite") as world:
        world.add(threads(count))
        with Replica(world, limits) as replica:
            pipe.send(replica.url)
            replica.serve_forever()


def study_file(folder: Path) -> Path:
    """Write a study that selects a part, whose files all lie in this folder."""
    checkout = Path(__file__).parents[2]
    (folder / "data" / "studies").mkdir(parents=True)
    (folder / "taxonomy").symlink_to(checkout / "taxonomy")
    path = folder / "data" / "studies" / "bench.toml"
    path.write_text(
        'title = "Bench"\ndescription = "A large repository."\nfictional = true\ntaxonomy = "jiang2024"\n'
        "[seeds]\nsample = 1\nresampling = 2\n"
        '[verdict]\nannotator = "nobody"\nround = "none"\n'
        '[selection]\nstate = "closed"\nminimum_comments = 2\nrandom_share_of_largest_zoos = 0.2\n'
        f'[[repositories]]\nname = "{REPOSITORY}"\nkind = "zoo"\n'
        '[[sources]]\nkind = "threads"\nname = "none"\npath = "data/none"\n'
    )
    return path


def measured(folder: Path, url: str, token: str, *arguments: str) -> tuple[float, float]:
    """Run the command; return its seconds and its peak memory in MiB."""
    command = [sys.executable, "-m", "pipeline.cli", "collect", *arguments]
    environment = {k: v for k, v in os.environ.items() if k not in ("GITHUB_TOKEN", "GH_TOKEN", "REDEFECT_DATABASE")}
    environment |= {"GITHUB_API_URL": url, "REDEFECT_GITHUB_TOKENS": token}
    output = folder / "output.txt"
    start = time.perf_counter()
    actions = [
        (os.POSIX_SPAWN_OPEN, 1, str(output), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    pid = os.posix_spawn(command[0], command, environment, file_actions=actions)
    _, status, usage = os.wait4(pid, 0)
    if status:
        sys.exit(f"{' '.join(arguments)}: failed\n{output.read_text()}")
    return time.perf_counter() - start, usage.ru_maxrss * _MAXRSS_UNIT / 2**20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--issues", type=int, default=100_000)
    options = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fork = get_context("fork")
        pipe, other = fork.Pipe()
        replica = fork.Process(target=serve, args=(options.issues, folder, other), daemon=True)
        replica.start()
        url = pipe.recv()
        study = str(study_file(folder))
        print(f"{options.issues:,} issues; a crawl may take {MOST_MIB} MiB\n{'':24}{'s':>8}{'peak MiB':>10}", flush=True)
        for words, token, arguments in (
            ("GraphQL, whole", "bench", ("--whole",)),
            ("GraphQL, selected", "bench", ()),
            ("REST, whole", "", ("--whole",)),
            ("REST, selected", "", ()),
        ):
            database = folder / "store.sqlite"
            for ending in ("", "-wal", "-shm"):
                database.with_name(database.name + ending).unlink(missing_ok=True)
            seconds, peak = measured(folder, url, token, "--study", study, "--database", str(database), *arguments)
            failed |= peak > MOST_MIB
            print(f"{words:24}{seconds:8.1f}{peak:10.0f}{'  too much' if peak > MOST_MIB else ''}", flush=True)
        replica.kill()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
