import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from conftest import CHECKOUT, Run
from packages import summed, write_package, zipped

from pipeline import packaging
from pipeline.collect.github.client import Client
from pipeline.collect.json_lines import read_json_lines
from pipeline.crawling import Crawl, wish_of
from pipeline.errors import RedefectError
from pipeline.export.tables import study_tables
from pipeline.export.threads import json_lines
from pipeline.importing import import_study
from pipeline.openstudy import OpenStudy, open_study
from pipeline.package_import import import_package
from pipeline.packaging import make_package
from pipeline.replica import Replica, World
from pipeline.store import read
from pipeline.store.session import Store
from pipeline.study import read_study


@pytest.fixture(scope="module")
def packages(demo: OpenStudy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the demo's packages: without texts and with them, as folders; the first one also as an archive."""
    folder = tmp_path_factory.mktemp("packages")
    without = write_package(demo, folder)
    write_package(demo, folder, with_text=True)
    zipped(without, folder / "demo-data.zip")
    return folder


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def tables_of(opened: OpenStudy) -> dict[str, bytes]:
    return {table.name: table.to_bytes("csv") for table in study_tables(opened)}


@pytest.mark.parametrize("with_text", [False, True])
@pytest.mark.parametrize("study", ["demo", "published"])
def test_an_imported_package_gives_the_same_package_and_all_that_analyses_read(
    request: pytest.FixtureRequest, tmp_path: Path, study: str, with_text: bool
) -> None:
    original: OpenStudy = request.getfixturevalue(study)
    facts, files = make_package(original._store, original.study, with_text=with_text)
    folder, archive = packaging.write_package(tmp_path / "first", facts, files)
    imported = import_package(folder if with_text else archive, tmp_path / "root")
    opened = open_study(str(imported.study.path))
    again, files_again = make_package(opened._store, opened.study, with_text=with_text)
    assert (again.name, files_again) == (imported.name, files)
    for frame in ("defects", "issues", "labels", "ratings", "said"):
        mine, other = getattr(opened, frame), getattr(original, frame)
        texts = [] if with_text or frame not in ("defects", "issues") else ["title"]
        pd.testing.assert_frame_equal(mine.drop(columns=texts), other.drop(columns=texts))
    assert opened.rounds == original.rounds
    assert opened.findings().equals(original.findings())


def test_an_imported_package_gives_the_same_tables(demo: OpenStudy, packages: Path, tmp_path: Path) -> None:
    opened = open_study(str(import_package(packages / "demo-data", tmp_path / "root").study.path))
    assert tables_of(opened) == tables_of(demo)


def test_the_command_says_what_it_read_and_how_to_go_on(redefect: Run, root: Path, packages: Path) -> None:
    done = redefect("import", "package", packages / "demo-data.zip")
    assert "│ labels       │ 4984 │" in done.stdout
    assert "Go on with: redefect findings --study data/packages/demo-data/data/studies/demo.toml" in done.stdout
    assert (root / "data" / "packages" / "demo-data" / "data" / "studies" / "demo.toml").is_file()


def test_a_package_that_means_harm_leaves_nothing(redefect: Run, root: Path, packages: Path, tmp_path: Path) -> None:
    path = zipped(packages / "demo-data", tmp_path / "demo-data.zip", lambda z: z.writestr("../evil.toml", "x"))
    before = files_in(tmp_path)
    done = redefect("import", "package", path, expect=1)
    assert done.stderr == f"redefect: {path}: ../evil.toml: leads out of the package; nothing was unpacked.\n"
    assert files_in(tmp_path) == before
    assert not (root / "data" / "packages").exists()


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('title = "', 'titel = "', r"demo-data: study/data/studies/demo\.toml:1: title: this key is required"),
        ('taxonomy = "jiang2024"', 'taxonomy = "nowhere"', r"study/taxonomy/nowhere\.yaml: there is no such file"),
        (
            'path = "data/demo/labels.csv"',
            'path = "../../../etc/passwd"',
            r"demo\.toml: '\.\./\.\./\.\./etc/passwd' leads out of the",
        ),
    ],
)
def test_a_study_file_that_is_wrong_or_reaches_out_leaves_nothing(
    packages: Path, tmp_path: Path, old: str, new: str, sentence: str
) -> None:
    package = shutil.copytree(packages / "demo-data", tmp_path / "demo-data")
    path = package / "study" / "data" / "studies" / "demo.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(RedefectError, match=sentence):
        import_package(summed(package), tmp_path / "new" / "root")
    assert list((tmp_path / "new").iterdir()) == []


def test_a_package_goes_into_an_empty_store_only(packages: Path, tmp_path: Path) -> None:
    import_package(packages / "demo-data", tmp_path / "root", str(tmp_path / "store.sqlite"))
    with pytest.raises(RedefectError, match=r"The store has 8 rows in its table 'repository' already, and a package goes"):
        import_package(packages / "demo-data", tmp_path / "other", str(tmp_path / "store.sqlite"))
    assert not (tmp_path / "other").exists()


def test_a_package_goes_into_an_empty_folder_only(packages: Path, tmp_path: Path) -> None:
    import_package(packages / "demo-data", tmp_path / "root")
    before = files_in(tmp_path)
    with pytest.raises(RedefectError, match=r"root: there is something in it already; remove it, or give another --folder"):
        import_package(packages / "demo-data", tmp_path / "root")
    assert files_in(tmp_path) == before
    (tmp_path / "empty").mkdir()
    assert import_package(packages / "demo-data", tmp_path / "empty").rows["comments"] == 994


def test_an_import_that_fails_in_the_middle_leaves_an_empty_store_and_no_folder(packages: Path, tmp_path: Path) -> None:
    database = tmp_path / "store.sqlite"
    Store(str(database)).close()
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TRIGGER full BEFORE INSERT ON run BEGIN SELECT RAISE(ABORT, 'the disk is full'); END")
    with pytest.raises(RedefectError, match="the disk is full; the store is as it was before"):
        import_package(packages / "demo-data", tmp_path / "root", str(database))
    assert {path.name.partition("-")[0] for path in tmp_path.iterdir()} == {"store.sqlite"}
    with sqlite3.connect(database) as connection:
        connection.execute("DROP TRIGGER full")
        assert connection.execute("SELECT count(*) FROM repository").fetchone() == (0,)
    assert import_package(packages / "demo-data", tmp_path / "root", str(database)).rows["runs"] == 2


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_import_that_is_stopped_leaves_nothing_that_the_next_one_minds(
    packages: Path, root: Path, tmp_path: Path, how: signal.Signals
) -> None:
    database, made = tmp_path / "store.sqlite", root / "data" / "packages"
    Store(str(database)).close()
    command = [
        sys.executable,
        "-m",
        "pipeline.cli",
        "import",
        "package",
        str(packages / "demo-data"),
        "--database",
        str(database),
    ]
    with sqlite3.connect(database, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")  # so that the import waits just before it stores its rows
        process = subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True)
        while not (made / ".demo-data.importing" / "data" / "package" / "issues.parquet").is_file():
            assert process.poll() is None
            time.sleep(0.02)
        time.sleep(0.2)
        process.send_signal(how)
        other.execute("ROLLBACK")
        _, told = process.communicate(timeout=60)
    assert not (made / "demo-data").exists()
    if how == signal.SIGINT:
        assert told == "redefect: Stopped; what was stored before is as it was.\n"
        assert list(made.iterdir()) == []
    assert import_package(packages / "demo-data", made / "demo-data", str(database)).rows["labels"] == 4984
    assert [path.name for path in made.iterdir()] == ["demo-data"]


def test_what_a_killed_import_moved_before_its_rows_were_stored_is_taken_over(packages: Path, tmp_path: Path) -> None:
    import_package(packages / "demo-data", tmp_path / "root", str(tmp_path / "lost.sqlite"))
    assert import_package(packages / "demo-data", tmp_path / "root", str(tmp_path / "store.sqlite")).rows["issues"] == 168
    (tmp_path / "root" / "mine.txt").touch()
    with pytest.raises(RedefectError, match="there is something in it already"):
        import_package(packages / "demo-data", tmp_path / "root", str(tmp_path / "another.sqlite"))


def test_the_texts_of_a_package_come_back_from_the_tracker_as_they_were(redefect: Run, root: Path, tmp_path: Path) -> None:
    study = read_study(root / "data" / "studies" / "demo.toml")
    made, store = root / "data" / "packages" / "demo-data", Store(str(study.database))
    with World(tmp_path / "world.sqlite") as world:
        for file in sorted((CHECKOUT / "data" / "demo" / "threads").glob("*.jsonl")):
            world.add(read_json_lines(file))
        with Replica(world) as replica:
            client = Client(replica.url, ["t0ken"])
            Crawl(store, study, client).run(wish_of(study, [], labelled=True, whole=False))
            client.close()
            import_study(store, study)
            package = zipped(write_package(OpenStudy(study, store), tmp_path), tmp_path / "demo-data.zip")
            environment = {"GITHUB_API_URL": replica.url, "GITHUB_TOKEN": "t0ken"}
            done = redefect("rehydrate", package, "--dry-run", **environment)
            assert "Plan: 2 requests" in done.stdout
            assert "Nothing fetched; 0 requests sent" in done.stdout
            assert lines_of(made) == b""
            done = redefect("rehydrate", "data/packages/demo-data", "--archive", "answers", **environment)
    assert "│ complete              │ 168 │" in done.stdout
    assert "The store now holds people's logins and words" in done.stdout
    assert (made / "data" / "build" / "demo" / "rehydrated.csv").is_file()
    assert lines_of(made) == lines_of(root)
    redefect("rehydrate", package, "--folder", "again", "--from-archive", "answers")
    assert lines_of(root / "again") == lines_of(root)


def lines_of(root: Path) -> bytes:
    """Return what `redefect export threads` writes of an imported package."""
    store = Store(str(root / "data" / "build" / "demo" / "redefect.sqlite"))
    with store.reading() as connection:
        lines = b"".join(json_lines(read.threads(connection), read.people(connection)))
    store.close()
    return lines


def test_what_is_neither_a_package_nor_an_imported_one_is_not_rehydrated(redefect: Run) -> None:
    done = redefect("rehydrate", "data", expect=1)
    assert done.stderr == (
        "redefect: data: is neither a data package nor the folder that `redefect import package` made of one.\n"
    )
