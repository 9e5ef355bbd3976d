"""Data packages for tests of what reads them: written from a store, changed, and summed anew."""

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from pipeline.openstudy import OpenStudy
from pipeline.package_formats import to_csv, to_parquet
from pipeline.package_tables import tables
from pipeline.store.package_rows import rows


def write_package(opened: OpenStudy, folder: Path, *, with_text: bool = False) -> Path:
    """Write the tables and the study root of a package; of its descriptions, only the one that says what it is called."""
    name = f"{opened.study.name}-data{'-with-text' if with_text else ''}"
    package = folder / name
    (package / "tables").mkdir(parents=True)
    with opened._store.reading() as connection:
        for table in tables(with_text=with_text):
            put_table(package, table.name, rows(connection, table, opened.study.name))
    for part in ("data/studies", "data/reference", "taxonomy"):
        shutil.copytree(opened.study.root / part, package / "study" / part, ignore=shutil.ignore_patterns("*.csv", "*.txt"))
    (package / "datapackage.json").write_text(json.dumps({"name": name}))
    return summed(package)


def put_table(package: Path, name: str, held: pa.Table) -> None:
    table = next(table for table in tables(with_text=True) if table.name == name)
    (package / "tables" / f"{name}.csv").write_bytes(to_csv(table, held))
    (package / "tables" / f"{name}.parquet").write_bytes(to_parquet(table, held))


def summed(package: Path) -> Path:
    """Write the sums of all files of a package as they are now."""
    files = sorted(path for path in package.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(package).as_posix()}\n" for path in files]
    (package / "SHA256SUMS").write_text("".join(sums))
    return package


def zipped(package: Path, to: Path, change: Callable[[zipfile.ZipFile], None] = lambda _: None) -> Path:
    """Put a package into a .zip, and into that what `change` adds."""
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in package.rglob("*") if path.is_file()):
            archive.write(path, path.relative_to(package).as_posix())
        change(archive)
    return to
