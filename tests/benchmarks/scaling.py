"""Collect, label and count Denchmark several times over: `make bench-scaling COPIES='1 10 100'`.

A month of hourly files is generated from its threads (kept in the folder that is named first, for the next time), and read in
processes of their own. Told are seconds, seconds of work (CPU), and the most memory that the largest process had at any time, and
all together: resident, looked at 20 times a second, so that pages of files that are mapped count, too. That all who work make the
same labels, byte for byte, is checked.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import psutil

from pipeline.files import sha256
from pipeline.importing import read_threads
from pipeline.replica.gharchive import write_archive

SHARED = Path(os.environ.get("REDEFECT_SHARED", Path(__file__).parents[3] / "shared"))
DENCHMARK = SHARED / "corpora" / "denchmark" / "denchmark-stage2-bugreports.tar.xz"
HOURS = 31 * 24
COMPARED = 10
"""Copies up to which everything is done by one worker, and by a Dask cluster of this machine, too."""

STEP = """
import gc
import sys
from pathlib import Path
from pipeline.collect.gharchive.collection import collect_hours
from pipeline.collect.gharchive.files import Folder, hours_between
from pipeline.engines import local_cluster, processes
from pipeline.files import sha256
from pipeline.models import shipped_model
from pipeline.surveying import Survey, count_all, label_all
if __name__ == "__main__":
    gc.set_threshold(50_000)  # as commands do
    step, files, events, output, jobs, started = sys.argv[1], *map(Path, sys.argv[2:5]), int(sys.argv[5]), sys.argv[6]
    survey = Survey(events, output, shipped_model(), sha256(shipped_model()))
    if step == "collect":
        collect_hours(events, hours_between("2021-01", "2021-01"), Folder(files), jobs)
    else:
        with {"processes": processes, "dask": local_cluster}[started](jobs) as engine:
            label_all(survey, engine) if step == "label" else count_all(survey, engine)
"""


class Watched:
    """A command's seconds, work and memory."""

    def __init__(self, *command: str) -> None:
        self.largest = self.together = 0
        begin = time.perf_counter()
        before = os.times()
        process = subprocess.Popen(command)
        watcher = threading.Thread(target=self._watch, args=(process.pid,))
        watcher.start()
        code = process.wait()
        watcher.join()
        if code != 0:
            sys.exit(f"{command[2]} ended with {code}")
        after = os.times()
        self.seconds = time.perf_counter() - begin
        self.work = after.children_user + after.children_system - before.children_user - before.children_system

    def _watch(self, pid: int) -> None:
        while psutil.pid_exists(pid):
            sizes: list[int] = []
            with suppress(psutil.NoSuchProcess):
                parent = psutil.Process(pid)
                sizes.extend(process.memory_info().rss for process in (parent, *parent.children(recursive=True)))
            self.largest, self.together = max(self.largest, *sizes, 0), max(self.together, sum(sizes))
            time.sleep(0.05)


def main() -> None:
    folder = Path(sys.argv[1])
    print(f"{os.cpu_count()} cores", flush=True)
    titles = f"{'copies':>6} {'step':8}{'workers':>8} {'engine':10}{'s':>9}{'CPU s':>9}"
    print(titles + f"{'largest MB':>12}{'all MB':>9}{'threads/s':>11}", flush=True)
    for copies in map(int, sys.argv[2:]):
        files = folder / f"a{copies}"
        if not (files / "2021-01-31-23.json.gz").exists():
            with tempfile.TemporaryDirectory(dir=folder) as spool:
                threads = read_threads(DENCHMARK, lambda _: None)
                begin = datetime(2021, 1, 1, tzinfo=UTC)
                write_archive(threads, files, begin, HOURS, spool=Path(spool), copies=copies, issue_share=1.0, jobs=2)
        script = folder / "step.py"
        script.write_text(STEP)
        everything = ("collect", "label", "count")
        runs = [(2, "processes", everything)]
        if copies <= COMPARED:
            runs = [(1, "processes", everything), *runs, (1, "dask", everything[1:]), (2, "dask", everything[1:])]
        labels: set[tuple[str, ...]] = set()
        for jobs, engine, steps in runs:
            events, output = folder / f"events-{copies}", folder / f"survey-{copies}"
            for used in (events, output) if "collect" in steps else (output,):
                shutil.rmtree(used, ignore_errors=True)
            for step in steps:
                seen = Watched(sys.executable, str(script), step, str(files), str(events), str(output), str(jobs), engine)
                print(
                    f"{copies:6} {step:8}{jobs:8} {engine:10}{seen.seconds:9.1f}{seen.work:9.1f}{seen.largest / 1e6:12,.0f}"
                    f"{seen.together / 1e6:9,.0f}{26_143 * copies / seen.seconds:11,.0f}",
                    flush=True,
                )
            labels.add(tuple(sha256(path) for path in sorted(output.glob("labels/*"))))
        if len(labels) > 1:
            sys.exit("Not all labels are the same bytes.")


if __name__ == "__main__":
    main()
