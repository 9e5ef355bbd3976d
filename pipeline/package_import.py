"""Data packages brought in: a package's rows into an empty store, and the study files that go with them into a root of their own.

All or nothing: the root is made beside its place and moved there in one step, in the same unit of work as the rows.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipeline.collect.packages import DataPackage, read_package
from pipeline.errors import RedefectError
from pipeline.files import explained, write
from pipeline.store.package_rows import put_rows
from pipeline.store.session import Store
from pipeline.study import Study, read_study

REFERENCES = PurePosixPath("data", "package")
"""Where, below a root, is kept which package it is from: its study's name, its sums, and the issues as it tells them."""


@dataclass(frozen=True, slots=True)
class ImportedPackage:
    """A package that was imported: its name, its study in its new root, and how many rows each of its tables has."""

    name: str
    study: Study
    rows: Mapping[str, int]


def import_package(path: Path, root: Path | None = None, database: str | None = None) -> ImportedPackage:
    """Import a data package, a folder or a .zip.

    Parameters
    ----------
    root
        The folder to make for its study files; by default `data/packages/` and the package's name.
    database
        A SQLAlchemy URL or SQLite file; by default the study's own file in that root.

    Raises
    ------
    RedefectError
        If the package is not in order, the store holds anything, or there is something else in the root; all is as it was then.
    """
    package = read_package(path)
    root = root or Path("data") / "packages" / package.name
    files = _files(package)
    there = _holds_just(root, files)  # the rows of an import that was killed were not stored in a database elsewhere
    if there is None or (there and not database):
        raise RedefectError(f"{root}: there is something in it already; remove it, or give another --folder.")
    with _beside(root) as made:
        for name, content in files.items():
            write(made / name, content)
        study = _checked(path, made, package.study)
        store = Store(database or str(study.database))
        moved = False
        try:
            with store.writing() as connection:
                put_rows(connection, package.tables)
                if database and not there:
                    _move(made, root)
                    moved = True
        except BaseException:
            if moved:
                shutil.rmtree(root)
            raise
        finally:
            store.close()
        if not database:
            _move(made, root)
    study = read_study(root / study.path.relative_to(made))
    return ImportedPackage(package.name, study, {name: table.num_rows for name, table in package.tables.items()})


def imported_study(root: Path) -> Study:
    """Return the study of the package that was imported into a root.

    Raises
    ------
    RedefectError
        If no package was.
    """
    path = root / REFERENCES / "study"
    if not path.is_file():
        raise RedefectError(f"{root}: is neither a data package nor the folder that `redefect import package` made of one.")
    return read_study(root / "data" / "studies" / f"{path.read_text(encoding='utf-8').strip()}.toml")


def _files(package: DataPackage) -> dict[str, bytes]:
    return dict(package.files) | {
        str(REFERENCES / "SHA256SUMS"): package.sums,
        str(REFERENCES / "study"): f"{package.study}\n".encode(),
        str(REFERENCES / "issues.parquet"): package.issues,
    }


def _holds_just(root: Path, files: Mapping[str, bytes]) -> bool | None:
    """Return whether a root holds exactly these files; False if it holds none, None if it holds anything else."""
    if not root.exists():
        return False
    if not root.is_dir():
        raise RedefectError(f"{root}: is no folder; give another --folder.")
    count = 0
    for found in root.rglob("*"):
        if found.is_symlink() or not found.is_dir():
            name = found.relative_to(root).as_posix()
            if name not in files or found.read_bytes() != files[name]:
                return None
            count += 1
    return None if 0 < count < len(files) else count > 0


@contextmanager
def _beside(root: Path) -> Iterator[Path]:
    """Make a folder beside `root` that is gone afterwards, unless it was moved; one that a killed import left is made anew."""
    made = root.absolute().parent / f".{root.absolute().name}.importing"
    with explained(made):
        made.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(made.parent, os.O_RDONLY)
    try:
        with explained(made):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RedefectError(f"{made.parent}: another import is at work there; wait for it to end.") from None
            shutil.rmtree(made, ignore_errors=True)
            made.mkdir()
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)
    finally:
        os.close(lock)


def _move(made: Path, root: Path) -> None:
    with explained(root):
        made.rename(root)  # onto nothing, or an empty folder


def _checked(path: Path, made: Path, name: str) -> Study:
    """Read all studies of a package, and refuse those that would read or write anything outside of their root."""
    studies = {}
    try:
        for file in sorted((made / "data" / "studies").glob("*.toml")):
            studies[file.stem] = study = read_study(file)
            named = [source.path for source in study.sources] + [study.reference.findings, study.reference.figures]
            for place in [*named, study.download and study.download.folder]:
                if place and (PurePosixPath(place).is_absolute() or ".." in PurePosixPath(place).parts or "\\" in place):
                    raise RedefectError(f"{file}: '{place}' leads out of the study's folder.")
    except RedefectError as error:
        raise RedefectError(str(error).replace(str(made), f"{path}: study")) from None
    return studies[name]
