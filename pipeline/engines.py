"""Who does work that comes in parts: processes of this machine, or a Dask cluster. The parts do not know, nor do results tell.

What is asked for is a pure function of a part, so that a part whose worker dies is done again by another.
"""

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol, TypeVar

import pandas as pd

from pipeline.errors import RedefectError
from pipeline.processes import Workers, not_interrupted

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")
_ANSWERS = 5.0
_WORKER = 60.0
_DEATHS = 10
"""Of workers of ours in the middle of one part, before the part is taken for what kills them."""


class Engine(Protocol):
    """What does a function of parts."""

    def map(self, function: Callable[[_Task], _Result], tasks: Collection[_Task]) -> Iterator[_Result]:
        """Yield what a function makes of each task, in any order.

        Raises
        ------
        RedefectError
            If a function does, or if who works does not live to the end.
        """
        ...

    def sums(
        self, function: Callable[[_Task], pd.DataFrame], tasks: Sequence[_Task], keys: list[str], none: pd.DataFrame
    ) -> pd.DataFrame:
        """Add up the frames that a function makes of each task: a row for all with the same keys, sorted by these.

        Parameters
        ----------
        function
            All its frames have the same columns: `keys`, which are texts, and whole numbers.
        none
            Such a frame without rows.
        """
        ...


class Processes:
    """Processes of this machine, without Dask; 1 is this one."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    def map(self, function: Callable[[_Task], _Result], tasks: Collection[_Task]) -> Iterator[_Result]:
        """See `Engine`."""
        return self._workers.map(function, tasks)

    def sums(
        self, function: Callable[[_Task], pd.DataFrame], tasks: Sequence[_Task], keys: list[str], none: pd.DataFrame
    ) -> pd.DataFrame:
        """See `Engine`."""
        return _added_up(pd.concat([none, *self._workers.map(function, tasks)]), keys)


class Cluster:
    """A Dask cluster's workers, which see the same files as this process."""

    def __init__(self, client: "Client") -> None:
        self._client = client

    def map(self, function: Callable[[_Task], _Result], tasks: Collection[_Task]) -> Iterator[_Result]:
        """See `Engine`."""
        from distributed import as_completed

        with self._explained():
            futures = self._client.map(function, list(tasks), pure=False)
            for future in as_completed(futures):
                yield future.result()

    def sums(
        self, function: Callable[[_Task], pd.DataFrame], tasks: Sequence[_Task], keys: list[str], none: pd.DataFrame
    ) -> pd.DataFrame:
        """See `Engine`."""
        import dask
        import dask.dataframe as dd

        with self._explained(), dask.config.set({"dataframe.convert-string": False}):
            frames = dd.from_map(function, list(tasks), meta=none)
            return _added_up(self._client.compute(frames.groupby(keys).sum(split_every=8).reset_index()).result(), keys)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        from concurrent.futures import CancelledError

        from distributed import KilledWorker
        from distributed.comm.core import CommClosedError

        try:
            yield
        except KilledWorker as error:
            raise RedefectError(
                f"Workers died one after the other at the same part ({error.task}); have they enough memory? "
                "What was done is kept: run the same command again."
            ) from None
        except (CancelledError, CommClosedError, TimeoutError):
            raise RedefectError("The scheduler went away; what was done is kept: run the same command again.") from None


@contextmanager
def processes(jobs: int) -> Iterator[Engine]:
    """Work in processes of this machine, without Dask."""
    with Workers(jobs) as workers:
        yield Processes(workers)


@contextmanager
def local_cluster(jobs: int) -> Iterator[Engine]:
    """Start a Dask cluster on this machine, on loopback alone, a process a worker.

    Raises
    ------
    RedefectError
        If Dask is not installed.
    """
    _dask()
    import dask
    from distributed import Client

    _quiet()
    settings = {"distributed.scheduler.allowed-failures": _DEATHS}
    with (
        dask.config.set(settings),
        _started(jobs) as cluster,
        Client(cluster) as client,
    ):
        yield Cluster(client)


def _started(jobs: int) -> "LocalCluster":
    from distributed import LocalCluster

    with not_interrupted():
        return LocalCluster(
            n_workers=jobs, threads_per_worker=1, host="127.0.0.1", dashboard_address=None, silence_logs=logging.CRITICAL
        )


@contextmanager
def running_cluster(scheduler: str, sees: Callable[[], str]) -> Iterator[Engine]:
    """Use a Dask cluster that runs.

    Parameters
    ----------
    scheduler
        Its address: tcp://host:8786, or tls://host:8786 with Dask's own settings.
    sees
        Asked on each worker: what is amiss there, or nothing.

    Raises
    ------
    RedefectError
        If Dask is not installed, there is no scheduler or worker, or a worker has other packages or does not see what it must.
    """
    _dask()
    from distributed import Client

    _quiet()
    try:
        client = Client(scheduler, timeout=_ANSWERS)
    except (OSError, ValueError, TimeoutError):
        raise RedefectError(
            f"{scheduler}: no scheduler answers; start one by `dask scheduler`, and workers by `dask worker {scheduler}`."
        ) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=_WORKER)
        except TimeoutError:
            raise RedefectError(f"{scheduler}: has no worker; start some by `dask worker {scheduler}`.") from None
        try:
            client.get_versions(check=True)
        except ValueError:
            raise RedefectError(
                f"{scheduler}: not all machines have the same packages, which could change results; install requirements.lock "
                "on each."
            ) from None
        for worker, amiss in sorted(client.run(sees, on_error="return").items()):
            if isinstance(amiss, OSError):
                continue  # it has died since, and its connection with it
            if isinstance(amiss, Exception):
                raise RedefectError(f"{worker}: cannot do this work ({amiss}); install requirements.lock on each machine.")
            if amiss:
                raise RedefectError(f"{worker}: {amiss}")
        yield Cluster(client)


def _dask() -> None:
    if not all(find_spec(name) for name in ("dask", "distributed")):
        raise RedefectError(
            "Dask is not installed; install it by `pip install 'redefect[distributed]'`, or work without it by --no-dask."
        )


def _quiet() -> None:
    """Keep what Dask says of workers' deaths to itself: its part is done again, or a sentence tells why not."""
    for name in ["asyncio", *logging.root.manager.loggerDict]:
        if name.partition(".")[0] in ("asyncio", "distributed", "tornado"):  # Dask gives some of its parts levels of their own
            logging.getLogger(name).setLevel(logging.CRITICAL)


def _added_up(frame: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    return frame.groupby(keys, sort=True, as_index=False).sum()
