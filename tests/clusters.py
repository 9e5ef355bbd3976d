"""A real Dask cluster on loopback: a scheduler and workers, each a process of its own, as one starts them from a shell."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]


class Cluster:
    """A scheduler and the workers that were started, whether they are alive or not."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "scheduler.json"
        self._log = (folder / "cluster.log").open("ab")
        self._processes = [self._start("scheduler", "--port", "0", "--scheduler-file", str(self._file))]
        self.workers: list[subprocess.Popen[bytes]] = []
        deadline = time.monotonic() + 60
        while not (self._file.exists() and self._file.read_text().endswith("}")):
            assert time.monotonic() < deadline, f"no scheduler: {(folder / 'cluster.log').read_text()}"
            time.sleep(0.05)
        self.address: str = json.loads(self._file.read_text())["address"]

    def add_worker(self) -> subprocess.Popen[bytes]:
        """Start a worker; the scheduler learns of it a second later or so."""
        worker = self._start("worker", self.address, "--nthreads", "1", "--no-nanny")
        self._processes.append(worker)
        self.workers.append(worker)
        return worker

    def stop(self) -> None:
        """End all processes, the scheduler last."""
        for process in reversed(self._processes):
            process.kill()
            process.wait()
        self._log.close()

    def _start(self, kind: str, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--host", "127.0.0.1", "--no-dashboard", *arguments],
            stdout=self._log,
            stderr=self._log,
            cwd=self._folder,
            env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
        )


@contextmanager
def cluster(folder: Path, workers: int) -> Iterator[Cluster]:
    """Run a cluster whose logs are in a folder."""
    found = Cluster(folder)
    try:
        for _ in range(workers):
            found.add_worker()
        yield found
    finally:
        found.stop()
