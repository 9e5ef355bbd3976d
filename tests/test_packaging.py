"""Data packages of whole studies: from the store to a folder and an archive."""

import io
import sqlite3
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import Run, make_root
from pandas.testing import assert_frame_equal
from validators import crate_flaws, croissant_rows, frictionless_flaws

from pipeline.errors import RedefectError
from pipeline.export.package_facts import PackageFacts
from pipeline.openstudy import OpenStudy
from pipeline.packaging import make_package, study_files, write_package
from pipeline.pseudonym_key import KEY_VARIABLE
from pipeline.store.session import Store
from pipeline.study import read_study

Made = tuple[PackageFacts, dict[str, bytes]]


def made_of(opened: OpenStudy, *, with_text: bool = False) -> Made:
    store = Store(str(opened.study.database))
    try:
        return make_package(store, opened.study, with_text=with_text)
    finally:
        store.close()


@pytest.fixture(scope="module")
def demo_package(demo: OpenStudy) -> Made:
    return made_of(demo)


@pytest.fixture(scope="module")
def published_package(published: OpenStudy) -> Made:
    return made_of(published)


@pytest.fixture(scope="module", params=["demo", "published"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place, _ = write_package(tmp_path_factory.mktemp("packages"), *request.getfixturevalue(f"{request.param}_package"))
    return place


def copy_store(demo: OpenStudy, root: Path) -> Path:
    """A copy of the demo's store where a root keeps its own, with what is still in its log."""
    database = root / "data" / "build" / "demo" / "redefect.sqlite"
    database.parent.mkdir(parents=True)
    with sqlite3.connect(demo.study.database) as store, sqlite3.connect(database) as copy:
        store.backup(copy)
    return database


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.filterwarnings("ignore::DeprecationWarning:rdflib", "ignore:The inplace keyword")
def test_the_validators_have_nothing_against_the_packages_of_the_demo_and_of_the_study(folder: Path, tmp_path: Path) -> None:
    assert frictionless_flaws(folder) == []
    assert crate_flaws(folder, tmp_path / "cache") == []
    assert len(croissant_rows(folder, "samples")) == pq.read_metadata(folder / "tables" / "samples.parquet").num_rows > 100


def test_the_study_of_a_package_needs_no_file_outside_of_it(
    folder: Path, demo: OpenStudy, request: pytest.FixtureRequest
) -> None:
    name = folder.name.removesuffix("-data")
    original: OpenStudy = demo if name == "demo" else request.getfixturevalue("published")
    study = read_study(folder / "study" / "data" / "studies" / f"{name}.toml")
    packaged = OpenStudy(study, Store(str(original.study.database)))
    if name == "demo":  # the published study's take long, and are held against each other where packages are imported
        assert_frame_equal(packaged.findings(), original.findings())
    assert packaged.checklist() == original.checklist()
    assert all(study.themes_path(source).is_file() for source in study.codings)


def test_a_study_that_is_compared_brings_the_other_ones_file_but_no_data_of_either(published: OpenStudy) -> None:
    assert sorted(study_files(published.study)) == [
        "data/reference/jiang2024/figures.toml",
        "data/reference/jiang2024/findings.toml",
        "data/studies/cv-reengineering.toml",
        "data/studies/denchmark-cv.toml",
        "taxonomy/challenges.yaml",
        "taxonomy/checks/jiang2024.yaml",
        "taxonomy/jiang2024.yaml",
        "taxonomy/lexicons/jiang2024.yaml",
    ]


def test_the_labels_of_the_study_are_told_to_be_others_without_a_licence(published_package: Made) -> None:
    facts, files = published_package
    assert not facts.is_free
    told = files["LICENSES.md"].decode()
    assert "No licence is stated for them" in told
    assert "<https://doi.org/10.1007/s10664-024-10521-0>" in told
    sheet = files["DATASHEET.md"].decode()
    assert "tell of 348 defects" in sheet
    assert "| Re-user | 203 | 58.3 [53.1, 63.4] |" in sheet


def texts(demo: OpenStudy) -> Iterator[str]:
    with sqlite3.connect(demo.study.database) as store:
        for query in ("SELECT title FROM issue", "SELECT body FROM issue", "SELECT body FROM comment", "SELECT note FROM label"):
            yield from (text for (text,) in store.execute(query) if text and len(text) > 20)


def everything(files: dict[str, bytes]) -> str:
    """All that files hold, Parquet as it reads."""
    tables = (pq.read_table(io.BytesIO(content)).to_pylist() for name, content in files.items() if name.endswith(".parquet"))
    return "\n".join([*(c.decode() for name, c in files.items() if not name.endswith(".parquet")), *map(str, tables)])


def test_a_package_holds_no_text_of_an_issue_unless_it_was_asked_for(demo: OpenStudy, demo_package: Made) -> None:
    held = everything(demo_package[1])
    assert [text for text in texts(demo) if text in held] == []
    facts, files = made_of(demo, with_text=True)
    assert facts.name == "demo-data-with-text"
    titles = pq.read_table(io.BytesIO(files["tables/issue_texts.parquet"])).column("title").to_pylist()
    assert len(titles) == len(demo.issues) == 168
    assert any(title in set(texts(demo)) for title in titles)


def test_two_builds_give_the_same_bytes_in_other_places_time_zones_languages_and_hash_seeds(
    redefect: Run, root: Path, demo: OpenStudy, tmp_path: Path
) -> None:
    other = make_root(tmp_path / "an other place" / "root")
    for place in (root, other):
        copy_store(demo, place)
        path = place / "data" / "studies" / "demo.toml"
        path.write_text(
            path.read_text().replace("fictional = true\n", "")
        )  # else the key would be everybody's, and nobody warned
    key = {KEY_VARIABLE: "of no other study, and long enough"}
    told = redefect("dataset", "--with-text", TZ="Asia/Kathmandu", LC_ALL="C", PYTHONHASHSEED="1", **key)
    study = other / "data" / "studies" / "demo.toml"
    environment = key | {"TZ": "America/St_Johns", "LC_ALL": "tr_TR.UTF-8", "PYTHONHASHSEED": "2"}
    redefect("dataset", "--with-text", "--study", study, "--folder", tmp_path / "b", **environment)
    made = tree(root / "data" / "build" / "demo" / "dataset")
    assert made == tree(tmp_path / "b")
    assert "demo-data-with-text.zip" in made
    for place in (root, other):
        assert str(place).encode() not in b"".join(made.values())
    assert "Warning: this package holds texts that other people wrote." in told.stderr
    assert told.stdout.splitlines() == [
        "made data/build/demo/dataset/demo-data-with-text",
        "made data/build/demo/dataset/demo-data-with-text.zip",
    ]


def test_a_new_package_takes_the_place_of_the_old_one_and_the_archive_holds_the_same(demo_package: Made, tmp_path: Path) -> None:
    stale = tmp_path / "demo-data" / "tables" / "stale.csv"
    stale.parent.mkdir(parents=True)
    stale.write_text("of an older version")
    place, packed = write_package(tmp_path, *demo_package)
    assert tree(place) == demo_package[1]
    with zipfile.ZipFile(packed) as opened:
        assert {name.removeprefix("demo-data/"): opened.read(name) for name in opened.namelist()} == demo_package[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo-data", "demo-data.zip"]


def test_a_package_that_would_hold_a_secret_is_refused_and_the_secret_not_told(demo: OpenStudy, root: Path) -> None:
    database = copy_store(demo, root)
    secret = "ghp_" + "0aB9" * 9
    with sqlite3.connect(database) as copy:
        copy.execute("UPDATE label SET value = ? WHERE id = 1", [secret])
    store = Store(str(database))
    with pytest.raises(RedefectError, match="nothing was written: tables/labels.csv, row") as told:
        make_package(store, demo.study)
    store.close()
    assert secret not in str(told.value)


def test_a_study_of_which_nothing_is_stored_has_no_package(demo: OpenStudy, store: Store) -> None:
    with pytest.raises(RedefectError, match="holds nothing of study 'demo' yet; run `make STUDY=demo` first"):
        make_package(store, demo.study)
