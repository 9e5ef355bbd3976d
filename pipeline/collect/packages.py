"""Data packages, folder or .zip: read back as tables and files, after everything in them was checked.

A package comes from somebody else. Nothing of it is used before its sums are right, its names are those that a package has, and
its tables hold what `pipeline.package_tables` says; what is wrong is one sentence that names the file, the row and the column.
"""

import hashlib
import json
import os
import re
import stat
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.errors import RedefectError
from pipeline.package_formats import read_csv, to_csv
from pipeline.package_tables import Field, FieldType, PackageTable, tables

SUMS = "SHA256SUMS"
_MOST_FILES = 10_000
_MOST_BYTES = 4 * 2**30
_MOST_RATIO = 200
"""How many times its size in the archive a file may have: a bomb has up to 1,000 times, tables have 10 to 30."""
_SMALL = 2**20
"""Files up to this size may have any ratio."""

_DESCRIPTIONS = (
    "README.md", "DATASHEET.md", "LICENSES.md", "CITATION.cff", "datapackage.json", "croissant.json", "ro-crate-metadata.json",
    ".zenodo.json", "dictionary.csv",
)  # fmt: skip
_KNOWN = frozenset(
    [SUMS, *_DESCRIPTIONS, *(f"tables/{t.name}.{form}" for t in tables(with_text=True) for form in ("csv", "parquet"))]
)
_OF_STUDY = re.compile(r"study/(?:data|taxonomy)(?:/[A-Za-z0-9][A-Za-z0-9_.-]*)+\.(?:toml|yaml|csv|md)")
_SUM_LINE = re.compile(r"([0-9a-f]{64})  (.+)")
_NAME = re.compile(r"(?P<study>[A-Za-z0-9][A-Za-z0-9_.-]*)-data(?P<texts>-with-text)?")

_IS: dict[FieldType, Callable[[pa.DataType], bool]] = {
    "string": pa.types.is_string,
    "integer": pa.types.is_int64,
    "number": pa.types.is_float64,
    "boolean": pa.types.is_boolean,
    "time": lambda type_: isinstance(type_, pa.TimestampType) and type_.tz == "UTC",
    "strings": lambda type_: isinstance(type_, pa.ListType) and pa.types.is_string(type_.value_type),
}
_FORMS = {
    "repository": r"[^/\s]+/[^/\s]+",
    "kind in repositories": "solo|zoo",
    "state": "open|closed",
    "fix": r"[^/\s]+/[^/\s#@]+(#[0-9]+|@[0-9a-f]{7,40})",
    "digest": "[0-9a-f]{64}",
}
"""How the texts of some columns look, as far as what reads them relies on it."""
_FROM_ONE = ("number", "position", "turn", "row", "run")


@dataclass(frozen=True, slots=True)
class DataPackage:
    """A data package that is in order.

    Attributes
    ----------
    name
        Such as `demo-data`.
    study
        The name of the study that it is of.
    tables
        By name, each with its schema.
    files
        The package's study root: content by name below `study/`.
    sums, issues
        The content of SHA256SUMS, by which the package is known, and of the Parquet file of its issues.
    """

    name: str
    study: str
    tables: Mapping[str, pa.Table]
    files: Mapping[str, bytes]
    sums: bytes
    issues: bytes


def read_package(path: Path) -> DataPackage:
    """Read a data package, a folder or a .zip, whose files may lie in a folder of the package's name.

    Memory: its tables, and one of its files.

    Raises
    ------
    RedefectError
        If there is none, its sums are not those of its files, it holds what is in no package, or a table is not as described.
    """
    if is_archive(path):
        with _opened(path) as archive:
            return _read(_Archive(path, archive))
    if not (path / SUMS).is_file():
        raise RedefectError(f"{path}: is no data package, neither a .zip nor a folder with a file {SUMS}.")
    return _read(_Folder(path))


def is_archive(path: Path) -> bool:
    """Return whether a path is that of an archive, and not of a folder."""
    return path.is_file()


class _Files(Protocol):
    """The files of a package by their names."""

    path: Path
    names: list[str]

    def read(self, name: str) -> bytes:
        """Return a file's content."""


class _Folder:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.names = []
        size = 0
        for place, folders, files in os.walk(path):
            for name in sorted([*folders, *files]):
                found = Path(place) / name
                below = found.relative_to(path).as_posix()
                facts = found.lstat()
                if not (stat.S_ISREG(facts.st_mode) or stat.S_ISDIR(facts.st_mode)):
                    raise _refused(path, below, "is a link or no file; a package holds files only")
                if stat.S_ISREG(facts.st_mode):
                    size += facts.st_size
                    self.names.append(below)
        _check_amount(path, len(self.names), size)

    def read(self, name: str) -> bytes:
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            raise _refused(self.path, name, f"cannot be read ({error.strerror})") from None


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise RedefectError(f"{path}: is no readable .zip ({error}); fetch it again.") from None
    except OSError as error:
        raise RedefectError(f"{path}: cannot be read ({error.strerror or error}).") from None


class _Archive:
    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path = path
        self._archive = archive
        entries = archive.infolist()
        _check_amount(path, len(entries), sum(entry.file_size for entry in entries))
        self._entries: dict[str, zipfile.ZipInfo] = {}
        tops = {entry.filename.partition("/")[0] for entry in entries}
        top = f"{tops.pop()}/" if len(tops) == 1 else ""  # a package's archive unpacks into a folder
        for entry in entries:
            name = entry.filename.removeprefix(top)
            if entry.orig_filename != entry.filename or "\\" in name or name.startswith("/") or ".." in name.split("/"):
                raise _refused(path, entry.orig_filename, "leads out of the package; nothing was unpacked")
            if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _refused(path, entry.filename, "is a link or no file; a package holds files only")
            if entry.flag_bits & 1:
                raise _refused(path, entry.filename, "is encrypted; a package is not")
            if entry.file_size > max(_SMALL, _MOST_RATIO * entry.compress_size):
                raise _refused(path, entry.filename, f"is over {_MOST_RATIO} times as large as what is packed of it")
            if entry.is_dir():
                continue
            if name in self._entries:
                raise _refused(path, entry.filename, "is in it twice")
            self._entries[name] = entry
        self.names = list(self._entries)

    def read(self, name: str) -> bytes:
        return self._archive.read(self._entries[name])


def _check_amount(path: Path, files: int, size: int) -> None:
    if files > _MOST_FILES:
        raise RedefectError(f"{path}: holds {files:,} files; a package has at most {_MOST_FILES:,}.")
    if size > _MOST_BYTES:
        raise RedefectError(f"{path}: would take {size / 2**30:.1f} GiB; a package has at most {_MOST_BYTES >> 30} GiB.")


def _read(files: _Files) -> DataPackage:
    sums = _checked_sums(files)

    def content(name: str) -> bytes:
        found = files.read(name)
        if hashlib.sha256(found).hexdigest() != sums[name]:
            raise _refused(files.path, name, f"is not what {SUMS} says; fetch the package again")
        return found

    for name in sorted(sums):
        content(name)
    name, study = _named(files.path, content("datapackage.json"), sums)
    with_text = name.endswith("-with-text")
    found = {table.name: _read_table(files.path, table, content) for table in tables(with_text=with_text)}
    _check_references(files.path, found, with_text=with_text)
    root = {name.removeprefix("study/"): content(name) for name in sorted(sums) if name.startswith("study/")}
    return DataPackage(name, study, found, root, files.read(SUMS), content("tables/issues.parquet"))


def _checked_sums(files: _Files) -> dict[str, str]:
    """Return the sum of each file, after seeing that those are all files, and that a package has such."""
    present = set(files.names) - {SUMS}
    if SUMS not in files.names:
        raise RedefectError(f"{files.path}: is no data package; it has no file {SUMS}.")
    sums: dict[str, str] = {}
    for number, line in enumerate(files.read(SUMS).decode("utf-8", "replace").splitlines(), 1):
        if (match := _SUM_LINE.fullmatch(line)) is None or match[2] in sums:
            raise RedefectError(f"{files.path}: {SUMS}, line {number}: is no SHA-256 and name of a file of its own.")
        sums[match[2]] = match[1]
    folded: dict[str, str] = {}
    for name in sorted(present | set(sums)):
        if name not in present:
            raise _refused(files.path, name, f"is missing, and {SUMS} names it")
        if name not in sums:
            raise _refused(files.path, name, f"is there, and {SUMS} does not name it")
        if name not in _KNOWN and not _OF_STUDY.fullmatch(name):
            raise _refused(files.path, name, "is nothing that a package has")
        if (other := folded.setdefault(name.casefold(), name)) != name:
            raise _refused(files.path, name, f"has the name of {other}, but for the case")
    return sums


def _named(path: Path, described: bytes, sums: Mapping[str, str]) -> tuple[str, str]:
    """Return the package's name and that of its study."""
    try:
        name = json.loads(described)["name"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _refused(path, "datapackage.json", "is no JSON with a name") from None
    match = _NAME.fullmatch(name) if isinstance(name, str) else None
    studies = {
        Path(file).stem.casefold(): Path(file).stem for file in sums if re.fullmatch(r"study/data/studies/[^/]*\.toml", file)
    }
    study = studies.get(match["study"].casefold()) if match else None
    if match is None or study is None:
        raise _refused(path, "datapackage.json", "its name is not STUDY-data or STUDY-data-with-text, of a study that is in it")
    for table in tables(with_text=True):
        wanted = bool(match["texts"]) or not table.texts
        for form in ("parquet", "csv"):
            file = f"tables/{table.name}.{form}"
            if (file in sums) != wanted:
                raise _refused(path, file, f"is {'missing' if wanted else 'there'}, and the package is called '{name}'")
    return name, study


def _read_table(path: Path, table: PackageTable, content: Callable[[str], bytes]) -> pa.Table:
    file, beside = f"tables/{table.name}.parquet", f"tables/{table.name}.csv"
    written = content(beside)
    try:
        parquet = pq.ParquetFile(BytesIO(content(file)))
        if parquet.metadata.num_rows > len(written):
            raise _refused(path, file, f"has more rows than {beside} can have")
        held = parquet.schema_arrow
        _check_columns(path, file, table, held)
        raw = parquet.read()
        raw.validate(full=True)
        found = pa.table([_exact(path, file, field, raw[field.name]) for field in table.fields], schema=table.schema)
    except (pa.ArrowException, OSError) as error:
        raise _refused(path, file, f"is no readable Parquet file ({str(error).splitlines()[0][:120]})") from None
    _check_values(path, file, table, found)
    if to_csv(table, found) != written:
        _check_same(path, file, table, found, read_csv(table, written, f"{path}: {beside}"))
    return found.combine_chunks()


def _check_columns(path: Path, file: str, table: PackageTable, held: pa.Schema) -> None:
    names = [field.name for field in table.fields]
    if missing := [name for name in names if name not in held.names]:
        raise _refused(path, file, f"has no column '{missing[0]}'")
    if strange := [name for name in held.names if name not in names]:
        raise _refused(path, file, f"has a column '{strange[0]}', which this table has not")
    if held.names != names:
        raise _refused(path, file, f"its columns are not in the order {', '.join(names)}")
    for field in table.fields:
        if not _IS[field.type](held.field(field.name).type):
            raise _refused(path, file, f"column '{field.name}' is {held.field(field.name).type}; it must be {field.arrow.type}")


def _exact(path: Path, file: str, field: Field, column: Any) -> Any:
    try:
        return column.cast(field.arrow.type)
    except pa.ArrowInvalid:
        raise _refused(path, file, f"column '{field.name}' has times that are not in whole seconds") from None


def _check_values(path: Path, file: str, table: PackageTable, found: pa.Table) -> None:
    for field in table.fields:
        column: Any = found[field.name]
        if not field.optional:
            _none(path, file, field.name, pc.is_null(column), "has no value, and each needs one")
        if field.type == "string":
            _none(path, file, field.name, pc.match_substring(column, "\0"), "has a NUL, which no text has")
            form = _FORMS.get(f"{field.name} in {table.name}") or _FORMS.get(field.name) or "(?s:.*)"
            unlike = [text for text in column.unique().to_pylist() if text is not None and not re.fullmatch(form, text)]
            _none(path, file, field.name, pc.is_in(column, pa.array(unlike, pa.string())), f"is not of the form {form}")
        elif field.type == "integer":
            least = -(2**31) if field.name == "seed" else 1 if field.name in _FROM_ONE else 0
            most = 2**63 - 1 if field.name == "tracker_id" else 2**31 - 1
            beyond = pc.or_(pc.less(column, pa.scalar(least)), pc.greater(column, pa.scalar(most)))
            _none(path, file, field.name, beyond, f"is not from {least} to {most}")
        elif field.type == "number":
            inside: Any = pc.and_(pc.greater_equal(column, pa.scalar(0.0)), pc.less_equal(column, pa.scalar(1.0)))
            _none(path, file, field.name, pc.invert(inside), "is not from 0 to 1")
    keys = found.select(table.key)
    if table.name == "repositories":  # names match whatever their case, as on GitHub
        keys = pa.Table.from_arrays([pc.utf8_lower(found["repository"])], ["repository"])
    if found.num_rows and keys.group_by(keys.column_names).aggregate([]).num_rows < found.num_rows:
        seen: dict[tuple[object, ...], int] = {}
        for row, key in enumerate(zip(*(keys[name].to_pylist() for name in keys.column_names), strict=True), 1):
            if (first := seen.setdefault(key, row)) != row:
                raise _refused(path, file, f"row {row}: has the same {', '.join(table.key)} as row {first}")


def _check_references(path: Path, found: Mapping[str, pa.Table], *, with_text: bool) -> None:
    described = {table.name: table for table in tables(with_text=with_text)}
    references = [(table.name, table.refers, described[table.refers].key) for table in described.values() if table.refers]
    for name, other, key in [*references, ("predictions", "models", described["models"].key)]:
        rows = found[name].select(key).append_column("row", pa.array(range(1, found[name].num_rows + 1), pa.int64()))
        dangling = rows.join(found[other].select(key), list(key), join_type="left anti")
        if dangling.num_rows:
            first = dangling.sort_by("row").slice(0, 1).to_pylist()[0]
            said = ", ".join(f"{column} '{first[column]}'" for column in key)
            raise _refused(path, f"tables/{name}.parquet", f"row {first['row']}: {said} is not in the table {other}")


def _check_same(path: Path, file: str, table: PackageTable, exact: pa.Table, written: pa.Table) -> None:
    beside = f"tables/{table.name}.csv"
    if exact.num_rows != written.num_rows:
        raise _refused(path, beside, f"has {written.num_rows:,} rows, and {file} has {exact.num_rows:,}")
    for field in table.fields:
        for row, (one, other) in enumerate(zip(exact[field.name].to_pylist(), written[field.name].to_pylist(), strict=True), 1):
            if one != other:
                raise _refused(path, beside, f"row {row}, column '{field.name}': says something else than {file}")


def _none(path: Path, file: str, column: str, wrong: Any, what: str) -> None:
    """Refuse the first row of which something is true that must not be."""
    if (row := pc.index(wrong, True).as_py()) >= 0:  # Arrow's name for the value to find has no keyword
        raise _refused(path, file, f"row {row + 1}, column '{column}': {what}")


def _refused(path: Path, name: str, what: str) -> RedefectError:
    shown = "".join(character if character.isprintable() else "?" for character in name[:120])
    return RedefectError(f"{path}: {shown}: {what}.")
