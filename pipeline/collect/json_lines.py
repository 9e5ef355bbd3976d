"""Issue threads from JSON lines: one thread a line, as `redefect export threads` writes them."""

from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import RedefectError
from pipeline.thread import Thread, parse_thread


def read_json_lines(path: Path) -> Iterator[Thread]:
    """Yield the threads of a file, in its order, holding one line at a time.

    Raises
    ------
    RedefectError
        If the file cannot be read or a line is no thread; the sentence names file and line.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield parse_thread(line, f"{path}:{number}")
    except OSError as error:
        raise RedefectError(f"{path}: cannot be read ({error.strerror}).") from None
