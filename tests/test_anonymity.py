"""No login of a store stands in a default package: all of Denchmark's threads in the store of the published study."""

import io
import re
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import make_root

from pipeline.collect.download import fetch_study_data
from pipeline.export.package_scan import owners_who_write
from pipeline.importing import import_study, import_threads
from pipeline.package_tables import tables
from pipeline.packaging import make_package
from pipeline.store.package_rows import rows
from pipeline.store.session import Store
from pipeline.study import read_study

WORDS = {
    "master": "a branch, and a master of processes, in the written rules of the taxonomy",
    "depthwise": "a kind of convolution, in the written rules of the taxonomy",
}
"""Logins of Denchmark that are words of what this project wrote before it had read any of their owners' threads."""

Package = tuple[set[str], set[str], dict[str, bytes]]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory, study_data: Path, denchmark: Path) -> Package:
    """The logins and the repositories of a store, and the default package that was made of it."""
    root = make_root(tmp_path_factory.mktemp("anonymity") / "root")
    study = read_study(root / "data" / "studies" / "cv-reengineering.toml")
    fetch_study_data(study, study_data, say=lambda _: None)
    store = Store(str(study.database))
    import_threads(store, denchmark, "denchmark")
    import_study(store, study)
    with store.reading() as connection:
        stored = {table.name: rows(connection, table, study.name) for table in tables(with_text=False)}
    authors = [author for name in ("issues", "comments") for author in stored[name]["author"].to_pylist() if author]
    _, files = make_package(store, study)
    store.close()
    return {author.casefold() for author in authors}, set(stored["repositories"]["repository"].to_pylist()), files


def test_there_are_people_to_hide(package: Package) -> None:
    logins, repositories, files = package
    assert len(logins) == 14_112
    assert owners_who_write(repositories, logins) == 28
    for file in ("issues", "comments"):
        written = pq.read_table(io.BytesIO(files[f"tables/{file}.parquet"]))["author"].drop_null().to_pylist()
        assert all(re.fullmatch(r"person:[a-z2-7]{20}", author) for author in written)
    assert len(set(written)) <= 14_112


def test_no_login_is_a_word_of_any_file_of_a_default_package(package: Package) -> None:
    logins, repositories, files = package
    assert {name.partition("/")[0] for name in files} >= {"tables", "study", "README.md", "DATASHEET.md", "croissant.json"}
    known = {name.casefold() for name in repositories}
    found = Counter[tuple[str, str]]()
    for name, content in files.items():
        words: set[str] = set()
        for path in {path for text in texts(name, content) for path in re.findall(r"[a-z0-9._/-]+", text.casefold())}:
            parts = path.split("/")
            for i in range(len(parts) - 1):
                # An issue is known by its repository, `owner/name`, and some people own one; nothing else may name them.
                if f"{parts[i]}/{parts[i + 1].rstrip('.')}" in known:
                    parts[i : i + 2] = ["", ""]
            words.update(*(re.findall(r"[a-z0-9-]+", part) for part in parts))
        # Logins of digits only are taken for the numbers of issues, which they equal by chance.
        found.update((name, word) for word in words & logins if word not in WORDS and not word.isdigit())
    assert found == {}


def texts(name: str, content: bytes) -> list[str]:
    """Return what a file says: each different value of a Parquet file, and the whole of others."""
    if not name.endswith(".parquet"):
        return [content.decode()]
    table = pq.read_table(io.BytesIO(content))
    return [value for column in table.column_names for value in set(map(str, table[column].to_pylist()))]
