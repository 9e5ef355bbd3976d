"""Commands run by a copy of this process, which has imported what they need: a Python that is started anew takes seconds for it.

The copy has its own folder, environment, standard streams, exit code and state, as any process has. What the interpreter reads
when it starts (hash seed, time zone, locale) is this one's, and tests that are about that start a Python of their own.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, NoReturn

from pipeline import cli

_SECONDS = 120
_NOT_SHOWN = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)  # unless Python is asked to


class Started:
    """A command that runs."""

    def __init__(self, child: int, out: IO[bytes], err: IO[bytes]) -> None:
        self.child, self._out, self._err = child, out, err

    def send_signal(self, number: int) -> None:
        os.kill(self.child, number)

    def ended(self) -> "subprocess.CompletedProcess[bytes]":
        """Wait until it has ended, and return what it printed and how it ended."""
        deadline, pause = time.monotonic() + _SECONDS, 0.002
        while not (found := os.waitpid(self.child, os.WNOHANG))[0]:
            if time.monotonic() > deadline:
                self.send_signal(signal.SIGKILL)
                os.waitpid(self.child, 0)
                raise TimeoutError(f"the command did not end in {_SECONDS} seconds")
            time.sleep(pause)
            pause = min(0.05, pause * 1.5)
        printed = []
        for file in (self._out, self._err):
            with file:
                file.seek(0)
                printed.append(file.read())
        return subprocess.CompletedProcess(self.child, os.waitstatus_to_exitcode(found[1]), *printed)


def start(
    arguments: list[str], folder: Path, environment: Mapping[str, str], given: bytes = b"", main: Callable[[], object] = cli.main
) -> Started:
    """Start the command with these arguments in `folder`; `given` is its standard input."""
    out = tempfile.TemporaryFile()  # noqa: SIM115 (the child writes to it)
    err = tempfile.TemporaryFile()  # noqa: SIM115 (so, too)
    with tempfile.TemporaryFile() as into:
        into.write(given)
        into.seek(0)
        child = os.fork()
        if child == 0:
            _be(main, arguments, folder, dict(environment), (into, out, err))
    return Started(child, out, err)


def run(
    arguments: list[str], folder: Path, environment: Mapping[str, str], given: bytes = b"", main: Callable[[], object] = cli.main
) -> "subprocess.CompletedProcess[bytes]":
    """Run the command from beginning to end."""
    return start(arguments, folder, environment, given, main).ended()


def _be(
    main: Callable[[], object], arguments: list[str], folder: Path, environment: dict[str, str], streams: tuple[IO[bytes], ...]
) -> NoReturn:
    code = 1
    try:
        for number, file in enumerate(streams):
            os.dup2(file.fileno(), number)
        sys.stdin, sys.stdout = os.fdopen(0), os.fdopen(1, "w")
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace")
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = ["redefect", *arguments]
        warnings.resetwarnings()
        for category in _NOT_SHOWN:
            warnings.simplefilter("ignore", category)
        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
