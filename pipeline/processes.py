"""Work shared among processes of this machine."""

import gc
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import TypeVar

from pipeline.errors import RedefectError

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")


class Workers:
    """Processes that are started when they are first needed, and stay until the block ends.

    Parameters
    ----------
    jobs
        How many; with 1, this process works alone.
    """

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def map(self, function: Callable[[_Task], _Result], tasks: Collection[_Task]) -> Iterator[_Result]:
        """Yield what a function makes of each task, in their order.

        Raises
        ------
        RedefectError
            If a process dies.
        """
        if self._jobs == 1 or len(tasks) < 2:
            yield from map(function, tasks)
            return
        if self._pool is None:
            # Not forked: Arrow's threads would be missing in the children.
            self._pool = ProcessPoolExecutor(self._jobs, multiprocessing.get_context("spawn"), _begin_work)
        try:
            yield from self._pool.map(function, tasks)
        except BrokenProcessPool:
            raise RedefectError("A process that worked for this command died; run the same command again.") from None


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def not_interrupted() -> Iterator[None]:
    """Have the processes that are started within leave Ctrl-C to this one: they take over what is ignored when they start."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _begin_work() -> None:
    """Leave Ctrl-C to the process that gives the work, and end when that one does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()
    gc.set_threshold(50_000)  # work makes many small values, among which there is no garbage to look for
    parent = multiprocessing.parent_process()
    if parent is not None:
        sentinel = parent.sentinel
        threading.Thread(target=lambda: (wait([sentinel]), os._exit(1)), daemon=True).start()
