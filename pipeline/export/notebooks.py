"""The notebooks of a project, executed for a study: each in a kernel of its own, two at a time, the same bytes each time."""

import asyncio
import os
import re
import sys
import tempfile
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import nbformat
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from nbformat import NotebookNode

from pipeline.documents import read_text
from pipeline.errors import RedefectError
from pipeline.openstudy import STUDY_VARIABLE
from pipeline.store.session import ENVIRONMENT_VARIABLE
from pipeline.study import Study

_AT_A_TIME = 2
_SECONDS_A_CELL = 600

_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours, movements
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])(?:[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c))?"  # titles, links: strings with an end
    r"|\x1b[ -/]*[0-~]"
)
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_ADDRESS = re.compile(r" at 0x[0-9a-f]+(?=>)")

Watch = Callable[[str, int, int], None]
"""Told of each executed cell: its notebook's name, and how many of the code cells of all notebooks are done, of how many."""

_T = TypeVar("_T")


def without_escapes(text: str) -> str:
    """Remove what steers a terminal (escape sequences whole, then control characters) and what is no character at all."""
    return _UNSEEN.sub("", _ESCAPES.sub("", text))


def find_notebooks(folder: Path) -> list[Path]:
    """Return the notebooks of a folder in their order.

    Raises
    ------
    RedefectError
        If there are none.
    """
    found = sorted(folder.glob("*.ipynb"))
    if not found:
        raise RedefectError(f"{folder}: there are no notebooks (*.ipynb); give their folder by --notebooks.")
    return found


def execute(notebooks: list[Path], study: Study, database: str | None = None, watch: Watch | None = None) -> dict[str, bytes]:
    """Execute notebooks from top to bottom for a study, and return the contents of the executed files by name.

    Kernels run this Python, in the study's root, with its study file and the database in the environment; nothing of the user's
    own settings for IPython is read. What steers a terminal is taken out of the outputs.

    Parameters
    ----------
    database
        If it is not the study's own.

    Raises
    ------
    RedefectError
        If a file is no notebook, or a cell fails; the sentence names the notebook, the cell and the error.
    """
    contents = {path.name: _read(path) for path in notebooks}
    total, done = sum(len(_code(notebook)) for notebook in contents.values()), 0

    def count(name: str) -> None:
        nonlocal done
        done += 1
        if watch is not None:
            watch(name, done, total)

    with tempfile.TemporaryDirectory(prefix="redefect-") as folder:
        environment = {
            STUDY_VARIABLE: str(study.path),
            "IPYTHONDIR": folder,
            "MPLBACKEND": "agg",
            "PYTHONHASHSEED": "0",
            "NO_COLOR": "1",
        }
        if database is not None:
            environment[ENVIRONMENT_VARIABLE] = database if "://" in database else str(Path(database).absolute())
        failures = _beside_the_main_thread(_execute_all(contents, study.root, Path(folder), environment, count))
    if failures:
        others = len(failures) - 1
        more = f" ({others} more {'notebook' if others == 1 else 'notebooks'} failed.)" if others else ""
        raise RedefectError(f"{failures[0]}{more}")
    return {name: _file(notebook) for name, notebook in contents.items()}


class _ThisPython(KernelSpecManager):
    """Knows one kernel, whatever is installed for the user: the Python that runs."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return KernelSpec(
            argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            display_name="Python 3",
            language="python",
        )


async def _execute_all(
    notebooks: dict[str, NotebookNode], root: Path, folder: Path, environment: dict[str, str], count: Callable[[str], None]
) -> list[str]:
    """Execute the notebooks in place, and return what failed, in the notebooks' order."""
    turn = asyncio.Semaphore(_AT_A_TIME)

    async def execute_one(name: str, notebook: NotebookNode) -> str | None:
        async with turn:
            # Sockets in a folder of our own: nobody else can connect, and no two kernels ever want the same port.
            place = folder / f"k{list(notebooks).index(name)}"
            place.mkdir()
            manager = AsyncKernelManager(
                kernel_spec_manager=_ThisPython(), transport="ipc", connection_file=str(place / "k.json"), shutdown_wait_time=2.0
            )
            where = "before its first cell"

            def start(cell: NotebookNode, cell_index: int) -> None:
                nonlocal where
                where = f"cell {cell_index + 1} ({cell.id})"

            client = NotebookClient(
                notebook, km=manager, timeout=_SECONDS_A_CELL, record_timing=False, coalesce_streams=True,
                resources={"metadata": {"path": str(root)}}, on_cell_execute=start, on_cell_executed=lambda **_: count(name),
            )  # fmt: skip
            client.owns_km = True  # so that the kernel ends with the notebook
            with (place / "printed.txt").open("w+b") as printed:
                try:
                    await client.async_execute(env=os.environ | environment, stdout=printed, stderr=printed)
                except CellExecutionError as error:
                    return f"{name}, {where}: {error.ename}: {_last_line(error.evalue)}"
                except CellTimeoutError:
                    return f"{name}, {where}: it took longer than {_SECONDS_A_CELL} seconds."
                except RuntimeError:
                    printed.seek(0)
                    last = _last_line(printed.read().decode(errors="replace")) or "perhaps memory ran out"
                    return f"{name}, {where}: the Python that ran it ended ({last})."
        return None

    failures = await asyncio.gather(*(execute_one(name, notebook) for name, notebook in notebooks.items()))
    return [failure for failure in failures if failure is not None]


def _beside_the_main_thread(work: Coroutine[Any, Any, _T]) -> _T:
    """Run work in a thread, and cancel it when this one is interrupted; in the main thread, nbclient takes Ctrl-C for itself."""
    cancel: list[Callable[[], object]] = []

    async def cancellable() -> _T:
        task = asyncio.ensure_future(work)
        cancel.append(partial(asyncio.get_running_loop().call_soon_threadsafe, task.cancel))
        return await task

    with ThreadPoolExecutor(1) as thread:
        done = thread.submit(asyncio.run, cancellable())
        try:
            return done.result()
        except BaseException:
            if cancel and not done.done():
                cancel[0]()
            raise


def _read(path: Path) -> NotebookNode:
    try:
        notebook: NotebookNode = nbformat.reads(read_text(path), as_version=4)
        nbformat.validate(notebook)
    except RedefectError:
        raise
    except Exception as error:  # whatever the library makes of a file that is something else
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RedefectError(f"{path}: is no Jupyter notebook ({reason}).") from None
    for cell in _code(notebook):
        cell.outputs, cell.execution_count = [], None
    return notebook


def _code(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def _last_line(text: str) -> str:
    return (without_escapes(text).strip().splitlines() or [""])[-1].strip()


def _file(notebook: NotebookNode) -> bytes:
    """Write a notebook, and take out of the outputs what steers a terminal, and where objects were in memory."""

    def clean(value: Any) -> Any:
        if isinstance(value, str):
            return _ADDRESS.sub("", without_escapes(value))
        if isinstance(value, dict):
            for key in value:
                value[key] = clean(value[key])
        elif isinstance(value, list):
            value[:] = [clean(part) for part in value]
        return value

    for cell in _code(notebook):
        clean(cell.outputs)
    text: str = nbformat.writes(notebook)
    return text.encode() + b"\n"
