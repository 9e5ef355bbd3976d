"""Files that are written whole or not at all, and the hashes by which they are known."""

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import RedefectError


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, reading it piece by piece.

    Raises
    ------
    RedefectError
        If the file is missing or cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise RedefectError(f"{path}: cannot be read ({error.strerror}).") from None


def write(path: Path, content: bytes) -> None:
    """Write a file so that at every moment there is the old one or the new one; its folder is made when missing."""
    write_pieces(path, [content])


def write_pieces(path: Path, pieces: Iterable[bytes]) -> None:
    """Write a file from pieces that come one by one, the old one or the new one being there at every moment."""
    with whole(path) as part, part.open("wb") as file:
        file.writelines(pieces)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a file to write that gets its name when it is whole; until then the old one is there, if there is one."""
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        part = Path(name)
        try:
            yield part
            part.chmod(0o644)
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


@contextmanager
def alone(folder: Path, what: str) -> Iterator[None]:
    """Have a folder, which is made when missing, to ourselves among those who ask for it.

    Raises
    ------
    RedefectError
        If another process has it; `what` tells what that one does there.
    """
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RedefectError(f"{folder}: {what} is at work here; wait for its end.") from None
        yield
    finally:
        os.close(handle)


def write_folder(folder: Path, files: dict[str, bytes]) -> list[Path]:
    """Make a folder hold exactly these files, and `SHA256SUMS`, which is written last and so tells that all are there."""
    for name, content in sorted(files.items()):
        write(folder / name, content)
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)  # of no files, too: a study may draw no figure
        kept = {folder / name for name in (*files, "SHA256SUMS")}
        for place in sorted({path.parent for path in kept}):
            for stale in sorted(place.iterdir()):
                if stale.is_file() and stale not in kept:
                    stale.unlink()
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(files.items()))
    write(folder / "SHA256SUMS", sums.encode())
    return [folder / name for name in sorted(files)]


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn the operating system's errors while writing into one sentence."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise RedefectError(f"{path}: cannot be written ({reason}); what was there before is untouched.") from None
