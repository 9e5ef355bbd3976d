import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from packages import put_table, summed, write_package, zipped

from pipeline.collect.packages import read_package
from pipeline.errors import RedefectError
from pipeline.openstudy import OpenStudy

Change = Callable[[Path], object]


@pytest.fixture(scope="module")
def written(demo: OpenStudy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's package; tests copy it."""
    return write_package(demo, tmp_path_factory.mktemp("packages"))


@pytest.fixture
def package(written: Path, tmp_path: Path) -> Path:
    return shutil.copytree(written, tmp_path / written.name, symlinks=True)


def held(package: Path, table: str) -> pa.Table:
    return pq.read_table(package / "tables" / f"{table}.parquet")


def parquet_of(table: str, change: Callable[[pa.Table], pa.Table]) -> Change:
    """Change only the Parquet file of a table."""
    return lambda package: pq.write_table(change(held(package, table)), package / "tables" / f"{table}.parquet")


def rows_of(table: str, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> Change:
    """Change a table in both of its files."""

    def both(package: Path) -> None:
        before = held(package, table)
        put_table(package, table, pa.Table.from_pylist(change(before.to_pylist()), before.schema))

    return both


def value_in(table: str, column: str, value: object, row: int) -> Change:
    """Change one value of a table, in both of its files."""
    return rows_of(table, lambda rows: [*rows[: row - 1], rows[row - 1] | {column: value}, *rows[row:]])


def without_a_category(table: pa.Table) -> pa.Table:
    column = [*table["category"].to_pylist()[:4], None, *table["category"].to_pylist()[5:]]
    return table.set_column(table.column_names.index("category"), "category", pa.array(column))


def text_in(name: str, old: str, new: str) -> Change:
    def change(package: Path) -> None:
        text = (package / name).read_text()
        assert old in text
        (package / name).write_text(text.replace(old, new, 1))

    return change


def written_as(name: str, text: str) -> Change:
    return lambda package: (package / name).write_text(text)


def without(name: str) -> Change:
    return lambda package: (package / name).unlink()


def without_its_last_line(package: Path) -> None:
    path = package / "tables" / "samples.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))


@pytest.mark.parametrize("form", ["folder", "zip", "zip of a folder"])
def test_a_package_is_read_as_it_was_written(package: Path, tmp_path: Path, demo: OpenStudy, form: str) -> None:
    path = package
    if form == "zip":
        path = zipped(package, tmp_path / "renamed.zip")
    elif form == "zip of a folder":
        path = Path(shutil.make_archive(str(tmp_path / "made"), "zip", tmp_path, package.name))
    found = read_package(path)
    assert (found.name, found.study) == ("demo-data", "demo")
    assert found.tables["issues"].equals(held(package, "issues").cast(found.tables["issues"].schema))
    assert found.tables["labels"].num_rows == 4984
    assert found.files["data/studies/demo.toml"] == demo.study.path.read_bytes()


AMISS: dict[str, tuple[Change, str]] = {
    "a table is missing": (
        without("tables/labels.parquet"),
        r"labels\.parquet: is missing, and the package is called 'demo-data'",
    ),
    "a table of texts is alone": (
        written_as("tables/label_notes.csv", ""),
        r"label_notes\.csv: is there, and the package is call",
    ),
    "a stranger's file": (written_as("run_me.sh", ""), r"run_me\.sh: is nothing that a package has"),
    "a stranger's study file": (written_as("study/data/x.py", ""), r"study/data/x\.py: is nothing that a package has"),
    "no name": (written_as("datapackage.json", "{}"), r"datapackage\.json: is no JSON with a name"),
    "another name": (written_as("datapackage.json", '{"name": "x-data"}'), r"datapackage\.json: its name is not STUDY-data"),
    "no Parquet": (written_as("tables/labels.parquet", "PAR1"), r"tables/labels\.parquet: is no readable Parquet file"),
    "a column is missing": (parquet_of("issues", lambda t: t.drop(["fix"])), r"issues\.parquet: has no column 'fix'"),
    "an extra column": (
        parquet_of("issues", lambda t: t.append_column("email", t["author"])),
        r"issues\.parquet: has a column 'email', which this table has not",
    ),
    "another type": (
        parquet_of("issues", lambda t: t.set_column(1, "number", t["number"].cast(pa.string()))),
        r"issues\.parquet: column 'number' is string; it must be int64",
    ),
    "a value is missing": (
        parquet_of("labels", without_a_category),
        r"labels\.parquet: row 5, column 'category': has no value, and",
    ),
    "a row twice": (
        rows_of("issues", lambda rows: [*rows, rows[6]]),
        r"issues\.parquet: row 169: has the same repository, number as row 7",
    ),
    "a repository twice, but for the case": (
        rows_of("repositories", lambda rows: [*rows, rows[0] | {"repository": rows[0]["repository"].upper()}]),
        r"repositories\.parquet: row 9: has the same repository as row 1",
    ),
    "a label of no issue": (
        rows_of("issues", lambda rows: rows[1:]),
        r"row 1: repository '.*', number '\d+' is not in the table issues",
    ),
    "a number that is none": (
        value_in("issues", "number", 0, 3),
        r"issues\.parquet: row 3, column 'number': is not from 1 to 2147483",
    ),
    "a state that is none": (
        value_in("issues", "state", "<b>", 2),
        r"issues\.parquet: row 2, column 'state': is not of the form open",
    ),
    "a NUL": (value_in("codings", "theme", "a\0b", 1), r"codings\.parquet: row 1, column 'theme': has a NUL"),
    "other words in the CSV": (
        text_in("tables/repositories.csv", "tensorflow", "pytorch"),
        r"repositories\.csv: row \d, column 'framework': says something else than tables/repositories\.parquet",
    ),
    "fewer rows in the CSV": (without_its_last_line, r"samples\.csv: has 167 rows, and tables/samples\.parquet has 168"),
    "more rows than can be": (
        parquet_of("remarks", lambda t: pa.table({field.name: pa.nulls(10**6, field.type) for field in t.schema})),
        r"remarks\.parquet: has more rows than tables/remarks\.csv can have",
    ),
}


@pytest.mark.parametrize("what", AMISS)
def test_what_is_amiss_in_a_package_whose_sums_are_right_is_one_sentence(package: Path, what: str) -> None:
    change, sentence = AMISS[what]
    change(package)
    with pytest.raises(RedefectError, match=sentence) as caught:
        read_package(summed(package))
    assert "\n" not in str(caught.value)


SPOILT: dict[str, tuple[Change, str]] = {
    "a changed byte": (
        text_in("study/data/studies/demo.toml", "seeds", "Seeds"),
        r"demo\.toml: is not what SHA256SUMS says; fetch",
    ),
    "a wrong sum": (text_in("SHA256SUMS", "0", "1"), r"is not what SHA256SUMS says; fetch the package again"),
    "a file too few": (without("tables/runs.csv"), r"tables/runs\.csv: is missing, and SHA256SUMS names it"),
    "a file too many": (written_as("notes.txt", ""), r"notes\.txt: is there, and SHA256SUMS does not name it"),
    "no sums": (without("SHA256SUMS"), r"is no data package, neither a \.zip nor a folder with a file SHA256SUMS"),
    "sums that are none": (written_as("SHA256SUMS", "hello\n"), r"SHA256SUMS, line 1: is no SHA-256 and name of a file"),
    "a link": (lambda package: (package / "README.md").symlink_to("/etc/passwd"), r"README\.md: is a link or no file"),
}


@pytest.mark.parametrize("what", SPOILT)
def test_a_package_that_is_not_what_its_sums_say_is_refused(package: Path, what: str) -> None:
    change, sentence = SPOILT[what]
    change(package)
    with pytest.raises(RedefectError, match=sentence):
        read_package(package)


def link(archive: zipfile.ZipFile) -> None:
    entry = zipfile.ZipInfo("README.md")
    entry.external_attr = 0o120777 << 16
    archive.writestr(entry, "/etc/passwd")


def twice(archive: zipfile.ZipFile) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("datapackage.json", "{}")


def many(archive: zipfile.ZipFile) -> None:
    for i in range(10_001):
        archive.writestr(f"study/data/{i}.csv", "")


HOSTILE: dict[str, tuple[Callable[[zipfile.ZipFile], None], str]] = {
    "a way up": (lambda z: z.writestr("study/../../evil.toml", "x"), r"study/\.\./\.\./evil\.toml: leads out of the package"),
    "a way from the root": (lambda z: z.writestr("/tmp/evil.toml", "x"), r"/tmp/evil\.toml: leads out of the package"),
    "a way of Windows": (lambda z: z.writestr("study\\..\\evil.toml", "x"), r"leads out of the package"),
    "a link": (link, r"README\.md: is a link or no file"),
    "a file twice": (twice, r"datapackage\.json: is in it twice"),
    "a bomb": (lambda z: z.writestr("README.md", bytes(2**24)), r"README\.md: is over 200 times as large as what is packed"),
    "very many files": (many, r"holds 10,0\d\d files; a package has at most 10,000"),
    "a terminal's command": (lambda z: z.writestr("\x1b[2Jx", "x"), r"\?\[2Jx: is there, and SHA256SUMS does not name it"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_an_archive_that_means_harm_is_refused_before_it_is_unpacked(package: Path, tmp_path: Path, what: str) -> None:
    change, sentence = HOSTILE[what]
    path = zipped(package, tmp_path / "demo-data.zip", change)
    with pytest.raises(RedefectError, match=sentence):
        read_package(path)


def test_an_archive_that_says_it_unpacks_into_more_than_a_package_may_take_is_refused(package: Path, tmp_path: Path) -> None:
    path = zipped(package, tmp_path / "demo-data.zip")
    content = bytearray(path.read_bytes())
    place = content.index(b"PK\x01\x02")  # the first entry of the directory, whose size is told 24 bytes on
    content[place + 24 : place + 28] = struct.pack("<I", 2**32 - 2)
    path.write_bytes(content)
    with pytest.raises(RedefectError, match=r"would take 4\.0 GiB|is over 200 times as large"):
        read_package(path)


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_an_archive_that_was_cut_off_is_refused(package: Path, tmp_path: Path, kept: float) -> None:
    path = zipped(package, tmp_path / "demo-data.zip")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(RedefectError, match=r"is no readable \.zip"):
        read_package(path)
