"""A study's data package: the store's tables, without people's names, described, checked, and written as a folder and an archive.

Files are written when all of them have been made and nothing that must not leave was found in any.
"""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.errors import RedefectError
from pipeline.export.package import archive, package_files
from pipeline.export.package_facts import PackageFacts
from pipeline.export.package_scan import scan
from pipeline.export.privacy import Pseudonymiser, redact, redactions
from pipeline.files import explained, write
from pipeline.package_tables import PackageTable, tables
from pipeline.pseudonym_key import pseudonym_key
from pipeline.store import read
from pipeline.store.package_rows import rows
from pipeline.store.session import Store
from pipeline.study import Study, read_study

_FINDINGS_SHOWN = 10


def make_package(store: Store, study: Study, *, with_text: bool = False) -> tuple[PackageFacts, dict[str, bytes]]:
    """Make a study's data package: what it is, and all of its files by their paths in it.

    Parameters
    ----------
    with_text
        With what people wrote: pseudonymised and redacted as far as programs can, and still theirs.

    Raises
    ------
    RedefectError
        If the store holds nothing of the study, nothing tells when the data were made public, or a scan finds in a file what must
        not be published; the sentence says where, and never what.
    """
    key = pseudonym_key(study)
    names = Pseudonymiser(key)
    with store.reading() as connection:
        kept = {
            table.name: _published(table, rows(connection, table, study.name), names) for table in tables(with_text=with_text)
        }
        logins = [login for login in read.people(connection) if names.name(login) != login]
    if not kept["samples"].num_rows:
        raise RedefectError(f"The database holds nothing of study '{study.name}' yet; run `make STUDY={study.name}` first.")
    facts = PackageFacts(study, study.read_taxonomy(), kept, with_text, _redactions(kept, with_text=with_text))
    files = package_files(facts, study_files(study))
    if found := scan(files, logins, [] if study.fictional else [key]):
        more = f"; and {len(found) - _FINDINGS_SHOWN:,} more" if len(found) > _FINDINGS_SHOWN else ""
        raise RedefectError(
            f"The data package of study '{study.name}' would hold what must not be published, so nothing was written: "
            f"{'; '.join(sentence.rstrip('.') for sentence in found[:_FINDINGS_SHOWN])}{more}."
        )
    return facts, files


def write_package(folder: Path, facts: PackageFacts, files: Mapping[str, bytes]) -> list[Path]:
    """Write a package as a folder of its name and as an archive beside it, in place of older ones; return both.

    The folder is made beside the old one and then takes its place, so that it is always whole.
    """
    place = folder / facts.name
    packed = folder / f"{facts.name}.zip"
    with explained(place):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=f".{facts.name}.") as made:
            new, old = Path(made) / "new", Path(made) / "old"
            new.mkdir()
            for path, content in files.items():
                write(new / path, content)
            if place.exists():
                place.rename(old)
            try:
                new.rename(place)
            except OSError:
                if old.exists():
                    old.rename(place)
                raise
    write(packed, archive(facts.name, files))
    return [place, packed]


def study_files(study: Study) -> dict[str, bytes]:
    """Return what the analyses of a study read besides its store, by paths in a study root: files written for this project.

    They are the study's file and those of the studies that its comparisons name, their taxonomies, themes, rules and checks, and
    published values to compare with. What a study imports is not among them: its labels are in the package's tables, and what
    others published is theirs.
    """
    found: dict[str, bytes] = {}
    for described in _compared(study):
        found[f"data/studies/{described.path.name}"] = described.path.read_bytes()
        reference = described.reference
        paths = [
            described.taxonomy_path,
            *(path for path in (described.lexicon_path, described.checks_path) if path.is_file()),
            *map(described.themes_path, described.codings),
            *(described.root / path for path in (reference.findings, reference.figures) if path),
        ]
        for path in paths:
            try:
                found[path.relative_to(described.root).as_posix()] = path.read_bytes()
            except OSError as error:
                raise RedefectError(
                    f"{path}: cannot be read ({error.strerror}), and study '{described.name}' names it."
                ) from None
    return found


def _compared(study: Study) -> Iterator[Study]:
    """Yield a study, and those that it is compared with, and so on; each once."""
    seen, waiting = {study.name}, [study]
    while waiting:
        described = waiting.pop()
        yield described
        for other in (comparison.other for comparison in described.comparisons):
            if other is not None and other not in seen:
                seen.add(other)
                waiting.append(read_study(described.path.with_name(f"{other}.toml")))


def _published(table: PackageTable, stored: pa.Table, names: Pseudonymiser) -> pa.Table:
    """Return rows of a table without people: pseudonyms for logins, texts redacted."""
    columns = {field.name: stored.column(field.name) for field in table.fields}
    for field in table.fields:
        if field.person:
            columns[field.name] = _changed(columns[field.name], names.name)
        elif field.text:
            columns[field.name] = _changed(columns[field.name], lambda text: redact(text, names))
    return pa.table(list(columns.values()), schema=table.schema)


def _changed(column: "pa.ChunkedArray[Any]", change: Callable[[str], str | None]) -> "pa.ChunkedArray[Any]":
    """Change the texts of a column, alone or in lists, each different one once."""
    known: dict[str, str | None] = {}

    def of(text: str) -> str | None:
        if text not in known:
            known[text] = change(text)
        return known[text]

    new = (
        None if value is None else of(value) if isinstance(value, str) else [of(text) for text in value]
        for value in column.to_pylist()
    )
    return pa.chunked_array([pa.array(new, column.type)])


def _redactions(kept: Mapping[str, pa.Table], *, with_text: bool) -> Counter[str]:
    """Count what texts hold in place of something."""
    found: Counter[str] = Counter()
    for table in tables(with_text=with_text):
        for field in table.fields:
            if field.text:
                values: list[Any] = kept[table.name].column(field.name).drop_null().to_pylist()
                for value in values:
                    for text in [value] if isinstance(value, str) else value:
                        found += redactions(text)
    return found
