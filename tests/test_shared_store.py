"""A study gives the same, to the byte, whether its store is a SQLite file or a database of PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Run
from postgres import Server

from pipeline.export.table_files import csv
from pipeline.export.tables import study_tables
from pipeline.export.threads import json_lines
from pipeline.importing import import_study, import_threads
from pipeline.openstudy import OpenStudy
from pipeline.selecting import select_sample
from pipeline.store import read
from pipeline.store.session import Store


@pytest.fixture(scope="module")
def database(postgresql: Server, demo: OpenStudy) -> Iterator[str]:
    """The URL of the demo study's store on PostgreSQL."""
    with postgresql.database() as url:
        store = Store(url)
        import_threads(store, demo.study.root / "data" / "demo" / "threads", "demo")
        import_study(store, demo.study)
        store.close()
        yield url


@pytest.fixture
def shared(database: str, demo: OpenStudy) -> Iterator[OpenStudy]:
    store = Store(database)
    yield OpenStudy(demo.study, store)
    store.close()


def test_its_tables(shared: OpenStudy, demo: OpenStudy) -> None:
    for one, other in zip(study_tables(shared), study_tables(demo), strict=True):
        assert csv(one) == csv(other), one.name


@pytest.mark.parametrize("frame", ["defects", "issues", "labels", "ratings"])
def test_its_frames(shared: OpenStudy, demo: OpenStudy, frame: str) -> None:
    one, other = getattr(shared, frame), getattr(demo, frame)
    assert one.to_csv() == other.to_csv()
    assert one.dtypes.astype(str).to_dict() == other.dtypes.astype(str).to_dict()


def test_its_threads_and_people(shared: OpenStudy, demo: OpenStudy) -> None:
    exports = []
    for study in (shared, demo):
        with study._store.reading() as connection:
            people = read.people(connection)
            exports.append(
                (people, list(json_lines(read.threads(connection), people)), read.text_sizes(connection, "demo").to_csv())
            )
    assert exports[0] == exports[1]


def test_its_sample(postgresql: Server, demo: OpenStudy, tmp_path: Path) -> None:
    samples = []
    with postgresql.database() as url:
        for place in (url, str(tmp_path / "s.sqlite")):
            store = Store(place)
            import_threads(store, demo.study.root / "data" / "demo" / "threads", "demo")
            report = select_sample(store, demo.study, 0.05)
            with store.reading() as connection:
                samples.append((report, read.sample(connection, "demo").to_csv()))
            store.close()
    assert samples[0] == samples[1]


def test_the_command_reads_it_by_its_url(database: str, redefect: Run, demo: OpenStudy) -> None:
    found = redefect("search", "cuda", "--json", "--limit", "500", "--database", database).stdout.splitlines()
    same = redefect("search", "cuda", "--json", "--limit", "500", "--database", demo.study.database).stdout.splitlines()
    assert len(found) > 20
    assert {line.partition('"title"')[0] for line in found} == {line.partition('"title"')[0] for line in same}
