"""Kill a worker of a Dask cluster at random moments of surveys, and compare with an undisturbed one: `make stress-survey`.

A real scheduler and two workers, each a process of its own, on loopback. In each round a worker is killed at a moment drawn from
the whole length of an undisturbed survey; it comes back in the next. The threads are the first of Denchmark where ../shared is
there, else those of the demo many times over.
"""

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

from archives import make
from clusters import CHECKOUT, Cluster, cluster

from pipeline.collect.gharchive.collection import collect_hours
from pipeline.collect.gharchive.files import Folder, hours_between
from pipeline.importing import read_threads

SHARED = Path(os.environ.get("REDEFECT_SHARED", CHECKOUT.parent / "shared"))
DENCHMARK = SHARED / "corpora" / "denchmark" / "denchmark-stage2-bugreports.tar.xz"
ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 10
MOST = 4000
SEED = 8


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def survey(events: Path, output: Path, *how: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", "from pipeline.cli import main; main()", "survey", str(events), "-o", str(output), *how]
    return subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.DEVNULL)


def killed(running: Cluster, events: Path, output: Path, after: float, which: int) -> tuple[int, float] | None:
    """Kill a worker so many seconds after a survey began; return how many parts were done by then, and the seconds in all.

    None if the survey was over by then.
    """
    alive = [worker for worker in running.workers if worker.poll() is None]
    begin = time.monotonic()
    process = survey(events, output, "--scheduler", running.address)
    time.sleep(after)
    done = len(list(output.glob("labels/part-*.parquet")))
    if process.poll() == 0:
        return None
    alive[which].kill()
    alive[which].wait()
    if process.wait() != 0:
        sys.exit(f"The survey whose worker was killed after {after:.1f} s ended with {process.returncode}.")
    return done, time.monotonic() - begin


def main() -> None:
    chance = random.Random(SEED)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if DENCHMARK.exists():
            make(islice(read_threads(DENCHMARK, lambda _: None), MOST), folder / "files", hours=24)
        else:
            make(read_threads(CHECKOUT / "data" / "demo" / "threads", lambda _: None), folder / "files", hours=24, copies=20)
        events = folder / "events"
        collect_hours(events, hours_between("2021-01-01", "2021-01-01"), Folder(folder / "files"), jobs=2)
        if survey(events, folder / "alone", "--no-dask", "--workers", "1").wait() != 0:
            sys.exit("The survey without Dask failed.")
        expected = files(folder / "alone")
        with cluster(folder, workers=2) as running:
            time.sleep(3)
            whole, wrong = 0.0, 0
            for name in ("first", "undisturbed"):  # in the first, workers read the model
                begin = time.monotonic()
                if survey(events, folder / name, "--scheduler", running.address).wait() != 0:
                    sys.exit("An undisturbed survey failed.")
                whole = time.monotonic() - begin
                wrong += files(folder / name) != expected
            parts = len(list(events.glob("bucket=*")))
            print(f"{parts} partitions; undisturbed: {whole:.1f} s with 2 workers, equal to --no-dask: {not wrong}", flush=True)
            turn = 0
            while turn < ROUNDS:
                after, which, output = chance.uniform(0, whole), chance.randrange(2), folder / f"round{turn}"
                if (found := killed(running, events, output, after, which)) is None:
                    shutil.rmtree(output)
                    continue
                turn += 1
                done, took = found
                equal = files(output) == expected
                wrong += not equal
                print(
                    f"{turn:3}: worker {which + 1} killed after {after:5.1f} s, {done} partitions done; {took:5.1f} s in all; "
                    f"{'equal' if equal else 'DIFFERENT'}",
                    flush=True,
                )
                running.add_worker()
                time.sleep(3)
    if wrong:
        sys.exit(f"{wrong} surveys differ.")


if __name__ == "__main__":
    main()
