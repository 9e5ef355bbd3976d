"""Components that tests share: a root of their own, real stores in real files, the command as a real process, real data."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import forked
import pytest
import stored
from hypothesis import settings

import pipeline
from pipeline.collect.download import LOCAL_FOLDER_VARIABLE, fetch_study_data
from pipeline.collect.github.budget import TOKEN_VARIABLES
from pipeline.collect.github.client import ADDRESS_VARIABLE
from pipeline.importing import import_study, import_threads
from pipeline.openstudy import OpenStudy
from pipeline.store.session import Store
from pipeline.study import read_study
from pipeline.taxonomy import Taxonomy, read_taxonomy

if TYPE_CHECKING:
    from contracts import OpenApi
    from graphql import GraphQLSchema
    from postgres import Server
    from reports import Told

CHECKOUT = Path(pipeline.__file__).parent.parent
SHARED = Path(os.environ.get("REDEFECT_SHARED", CHECKOUT.parent / "shared"))

CONTRACTS = Path(os.environ.get("REDEFECT_CONTRACTS", CHECKOUT / "data" / "build" / "contracts"))

# Workers and the processes that tests start get this: threads of two that wait for each other on two processors take half as much
# again as one does for matrices as small as ours.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# How long an example takes says more of what else the machine does than of the code.
settings.register_profile("redefect", deadline=None)
settings.load_profile("redefect")

Run = Callable[..., subprocess.CompletedProcess[str]]


def _or_skip(path: Path, what: str) -> Path:
    if not path.exists():
        pytest.skip(f"{what} is not here: {path} (set REDEFECT_SHARED to the folder that holds study/ and corpora/)")
    return path


@pytest.fixture(scope="session")
def study_data() -> Path:
    """The published study's tables."""
    return _or_skip(SHARED / "study", "the study's published data")


@pytest.fixture(scope="session")
def denchmark() -> Path:
    """The archive of 26,146 real bug reports."""
    return _or_skip(SHARED / "corpora" / "denchmark" / "denchmark-stage2-bugreports.tar.xz", "Denchmark")


@pytest.fixture(scope="session")
def nlbse24() -> Path:
    """The folder with the two files of the NLBSE'24 benchmark."""
    return _or_skip(SHARED / "corpora" / "nlbse24" / "issues_train.csv", "NLBSE'24").parent


@pytest.fixture(scope="session")
def annotations() -> Path:
    """The project's labels of real threads."""
    return _or_skip(SHARED / "annotations" / "labels.csv", "the project's annotations")


def _contracts() -> Path:
    if not (CONTRACTS / "node_modules" / "@octokit").is_dir():
        pytest.skip(
            f"GitHub's own descriptions are not here: {CONTRACTS} (set REDEFECT_CONTRACTS to a folder whose node_modules "
            "holds @octokit/openapi and @octokit/graphql-schema)"
        )
    return CONTRACTS


@pytest.fixture(scope="session")
def openapi() -> "OpenApi":
    """GitHub's OpenAPI document."""
    from contracts import OpenApi

    return OpenApi(_contracts())


@pytest.fixture(scope="session")
def github() -> "GraphQLSchema":
    """GitHub's GraphQL schema."""
    from contracts import github_schema

    return github_schema(_contracts())


def make_root(folder: Path) -> Path:
    """Lay out what a study is read from, so that nothing is written into the checkout."""
    shutil.copytree(CHECKOUT / "taxonomy", folder / "taxonomy")
    for part in ("studies", "demo", "reference"):
        shutil.copytree(CHECKOUT / "data" / part, folder / "data" / part)
    (folder / "data" / "annotations").mkdir()
    shutil.copy2(CHECKOUT / "data" / "annotations" / "interview-codings.csv", folder / "data" / "annotations")
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with studies, taxonomies, references and the demo corpus."""
    return make_root(tmp_path / "root")


@pytest.fixture(scope="session")
def taxonomy() -> Taxonomy:
    """The study's taxonomy."""
    return read_taxonomy(CHECKOUT / "taxonomy" / "jiang2024.yaml")


@pytest.fixture(scope="session")
def postgresql() -> Iterator["Server"]:
    """A PostgreSQL server of this process's own."""
    from postgres import installed, served

    programs = installed()
    if programs is None:
        pytest.skip("PostgreSQL is not here (on Debian, the package `postgresql` has it)")
    with served(programs) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where an empty store is to be: once in a SQLite file, and once in a database of PostgreSQL."""
    if request.param == "sqlite":
        yield str(tmp_path / "store.sqlite")
        return
    server: Server = request.getfixturevalue("postgresql")
    with server.database() as url:
        yield url


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    """An empty store, on each database."""
    store = Store(database)
    yield store
    store.close()


def _opened(root: Path, name: str) -> OpenStudy:
    study = read_study(root / "data" / "studies" / f"{name}.toml")
    store = Store(str(study.database))
    if name == "demo":
        import_threads(store, root / "data" / "demo" / "threads", "demo")
    import_study(store, study)
    return OpenStudy(study, store)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> OpenStudy:
    """The demo study, imported; tests only read it."""
    return _opened(make_root(tmp_path_factory.mktemp("demo") / "root"), "demo")


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory, study_data: Path) -> OpenStudy:
    """The published study, imported; tests only read it."""
    root = make_root(tmp_path_factory.mktemp("published") / "root")
    fetch_study_data(read_study(root / "data" / "studies" / "cv-reengineering.toml"), study_data, say=lambda _: None)
    return _opened(root, "cv-reengineering")


@pytest.fixture(scope="session")
def harmful(tmp_path_factory: pytest.TempPathFactory) -> "Told":
    """The demo with threads in it that mean harm: its notebooks, executed, and its report."""
    import reports

    folder = reports.once(tmp_path_factory, "harmful", reports.harmful_demo)
    return reports.Told(folder, "demo", folder / "notebooks", folder / "report")


@pytest.fixture
def redefect(root: Path) -> Run:
    """Run the command in a process of its own, in `root`, and return what it printed.

    It is a copy of this one, unless it is to have something in its environment that Python reads when it starts.
    """

    def run(*arguments: str | Path, expect: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        clean = {
            k: v
            for k, v in os.environ.items()
            if k not in (LOCAL_FOLDER_VARIABLE, "REDEFECT_DATABASE", ADDRESS_VARIABLE, *TOKEN_VARIABLES)
        }
        words = [str(argument) for argument in arguments]
        if all(name.startswith(("REDEFECT_", *TOKEN_VARIABLES)) for name in environment):
            done = forked.run(words, root, clean | environment)
        else:
            done = subprocess.run(
                [sys.executable, "-m", "pipeline.cli", *words],
                cwd=root, env=clean | environment, capture_output=True, timeout=120, check=False,
            )  # fmt: skip
        out, err = done.stdout.decode(), done.stderr.decode()
        assert done.returncode == expect, out + err
        assert "Traceback" not in err
        return subprocess.CompletedProcess(done.args, done.returncode, out, err)

    return run


def contents(database: Path | str) -> list[str]:
    """Return everything that a store holds, but when runs ended, indices of words, and the numbers of rows that nothing names.

    On PostgreSQL, where numbers that were once given never come again, those of all rows are left out.
    """
    if "://" in str(database):
        store = Store(str(database))
        rows = stored.rows(store)
        store.close()
        return [f"{table}: {row}" for table in rows for row in rows[table]]
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        lines = [line for line in connection.iterdump() if "_fts" not in line[:60]]
        connection.execute("PRAGMA foreign_key_check").fetchall()
    crawl = re.compile(r'(?<=^INSERT INTO "crawl" VALUES\()\d+')
    rows_of_crawls = sorted(crawl.sub("", line) for line in lines if crawl.search(line))
    return [line for line in lines if not line.startswith('INSERT INTO "run"') and not crawl.search(line)] + rows_of_crawls
