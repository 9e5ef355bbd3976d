"""A data package: all of its files from its facts, the same bytes each time, and the archive of them."""

import hashlib
import io
import zipfile
from collections.abc import Mapping

from pipeline.export import package_metadata as metadata
from pipeline.export.package_documents import documents
from pipeline.export.package_facts import PackageFacts
from pipeline.package_formats import to_csv, to_parquet

SUMS = "SHA256SUMS"

_EPOCH = (1980, 1, 1, 0, 0, 0)
_UNIX, _REGULAR_FILE = 3, 0o100644


def package_files(facts: PackageFacts, study_files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return all files of a data package by their paths in it, sorted; `SHA256SUMS` sums up all others.

    Parameters
    ----------
    study_files
        What the analyses read besides the tables, by paths below `study/`.

    Raises
    ------
    RedefectError
        If a row lacks a value that it needs, or nothing tells when the data were made public.
    """
    files = {f"study/{path}": content for path, content in study_files.items()}
    for table in facts.tables:
        rows = facts.rows[table.name]
        files[f"tables/{table.name}.csv"] = to_csv(table, rows)
        files[f"tables/{table.name}.parquet"] = to_parquet(table, rows)
    files["dictionary.csv"] = metadata.dictionary(facts)
    files |= documents(facts, files)
    files["CITATION.cff"] = metadata.citation_file(facts)
    files[".zenodo.json"] = metadata.to_json(metadata.zenodo(facts))
    files["datapackage.json"] = metadata.to_json(metadata.datapackage(facts, files))
    files["croissant.json"] = metadata.to_json(metadata.croissant(facts, files))
    files["ro-crate-metadata.json"] = metadata.to_json(metadata.ro_crate(facts, files))
    sums = "".join(f"{hashlib.sha256(files[path]).hexdigest()}  {path}\n" for path in sorted(files))
    return dict(sorted(files.items())) | {SUMS: sums.encode()}


def archive(name: str, files: Mapping[str, bytes]) -> bytes:
    """Return files as a ZIP archive that unpacks into a folder: sorted, with one time, one owner and one mode for all."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as packed:
        for path, content in sorted(files.items()):
            entry = zipfile.ZipInfo(f"{name}/{path}", _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = _UNIX
            entry.external_attr = _REGULAR_FILE << 16
            packed.writestr(entry, content)
    return file.getvalue()
