import secrets
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from postgres import Server
from sqlalchemy import event, inspect, text

from pipeline.errors import RedefectError
from pipeline.facts import Turn
from pipeline.store import read, write
from pipeline.store.schema import Base, in_model
from pipeline.store.session import Store, database_url
from pipeline.thread import Thread

ON_SQLITE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
ON_POSTGRESQL = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


@pytest.mark.filterwarnings("ignore:.*uq_repository_owner_name")  # SQLite cannot tell of an index on lower(...)
def test_migrations_lead_to_exactly_the_schema_of_the_code(store: Store) -> None:
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": in_model})
        assert compare_metadata(context, Base.metadata) == []


def test_migrations_go_back_as_well(store: Store) -> None:
    config = Config()
    config.set_main_option("script_location", "pipeline:store/migrations")
    with store.writing() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    with store.reading() as connection:
        assert inspect(connection).get_table_names() == ["alembic_version"]


@ON_SQLITE
def test_a_store_has_foreign_keys_and_a_write_ahead_log(store: Store) -> None:
    with store.reading() as connection:
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"


def test_a_unit_of_work_is_stored_whole_or_not_at_all(store: Store) -> None:
    insert = text("INSERT INTO repository (owner, name, source) VALUES ('a', :name, 's')")
    with store.writing() as connection:
        connection.execute(insert, {"name": "kept"})
    with pytest.raises(KeyboardInterrupt), store.writing() as connection:
        connection.execute(insert, {"name": "lost"})
        raise KeyboardInterrupt
    with store.reading() as connection:
        assert connection.execute(text("SELECT name FROM repository")).scalars().all() == ["kept"]


def test_a_reader_sees_one_state_while_a_writer_goes_on(store: Store) -> None:
    count = text("SELECT count(*) FROM repository")
    with store.reading() as reader:
        assert reader.execute(count).scalar() == 0
        with store.writing() as writer:
            writer.execute(text("INSERT INTO repository (owner, name, source) VALUES ('a', 'b', 's')"))
        assert reader.execute(count).scalar() == 0


def test_opening_again_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "s.sqlite"
    Store(str(path)).close()
    before = path.read_bytes()
    Store(f"sqlite:///{path}").close()
    assert path.read_bytes() == before


def test_a_database_of_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    store = Store(str(path))
    with store.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    store.close()
    before = path.read_bytes()
    with pytest.raises(RedefectError, match=r"written by a newer version of ReDefect \(schema '9999'\)"):
        Store(str(path))
    assert path.read_bytes() == before


def test_a_database_of_something_else_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "other.sqlite") as connection:
        connection.execute("CREATE TABLE tunes (title)")
    with pytest.raises(RedefectError, match="is a database of something else"):
        Store(str(tmp_path / "other.sqlite"))


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("nothing://x", "The database URL cannot be used"),
        ("http//x://", "The database URL cannot be used"),
        ("{folder}", "unable to open database file"),
        ("{folder}/text", "file is not a database"),
        ("{folder}/text/below/s.sqlite", r"the database's folder cannot be made \(Not a directory\)"),
        ("/sys/kernel/redefect.sqlite", "unable to open database file; the store is as it was before"),
    ],
)
def test_a_database_that_cannot_be_used_is_one_sentence(tmp_path: Path, url: str, sentence: str) -> None:
    (tmp_path / "text").write_text("no database at all, and long enough to look like one" * 40)
    with pytest.raises(RedefectError, match=sentence):
        Store(url.format(folder=tmp_path))


def test_a_password_is_never_shown() -> None:
    with pytest.raises(RedefectError) as caught:
        Store("sqlite://user:secret@/nowhere/at/all/s.sqlite")
    assert "secret" not in str(caught.value)


@ON_SQLITE
def test_a_full_database_leaves_the_store_as_it_was(store: Store) -> None:
    with store.reading() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar()
    with (
        pytest.raises(RedefectError, match=r"full; the store is as it was before\. Free some disk space"),
        store.writing() as connection,
    ):
        connection.execute(text(f"PRAGMA max_page_count = {pages}"))
        for i in range(1000):
            values = {"name": f"{i}" * 500}
            connection.execute(text("INSERT INTO repository (owner, name, source) VALUES ('a', :name, 's')"), values)
    with store.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM repository")).scalar() == 0


def test_a_password_is_never_shown_of_a_server(postgresql: Server) -> None:
    for url in (
        "postgresql://user:s3cret@127.0.0.1:1/x", "postgresql://127.0.0.1:1/x?user=u&password=s3cret",
        "postgresql://user:s3cret@127.0.0.1:port/x", "postgresql://user:s3cret@127.0.0.1:1/x?colour=1", "s3cret://x:y@z:w",
        f"postgresql://user:s3cret@/{secrets.token_hex(4)}?host={postgresql.folder}",
    ):  # fmt: skip
        with pytest.raises(RedefectError) as caught:
            Store(url)
        assert "s3cret" not in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_server_that_cannot_be_reached_is_one_sentence() -> None:
    with pytest.raises(
        RedefectError, match=r"^postgresql\+psycopg://user:\*\*\*@127\.0\.0\.1:1/x: .*: Connection refused; the"
    ) as caught:
        Store("postgresql://user:s3cret@127.0.0.1:1/x")
    assert "\n" not in str(caught.value)


def test_a_driver_that_is_missing_is_named_with_what_to_install() -> None:
    with pytest.raises(RedefectError, match="needs the Python package 'pymysql'"):
        Store("mysql+pymysql://user:s3cret@localhost/x")


@ON_POSTGRESQL
def test_a_server_s_locale_and_time_zone_change_nothing(database: str, postgresql: Server) -> None:
    postgresql.execute(f"ALTER DATABASE {database.partition('@/')[2].partition('?')[0]} SET timezone = 'Pacific/Kiritimati'")
    store = Store(database)
    first = datetime(1, 1, 1, tzinfo=UTC)
    names = ["a_b", "A-c", "a-b", "ab", "B", "é", "z"]
    with store.writing() as connection:
        write.put_threads(connection, [Thread(repository=f"o/{n}", number=1, title="t", created_at=first) for n in names], "x")
        back = list(read.threads(connection))
    assert [t.repository for t in back] == [f"o/{name}" for name in sorted(names, key=str.lower)]
    assert {t.created_at for t in back} == {first}
    store.close()


def test_a_database_with_another_encoding_is_refused(postgresql: Server) -> None:
    postgresql.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(RedefectError, match="keeps texts as LATIN1, and needs to keep them as UTF8; make another database"):
        Store(postgresql.url("latin"))


def test_stores_opened_at_once_migrate_a_new_database_once(postgresql: Server) -> None:
    with postgresql.database("template1") as url, ThreadPoolExecutor(4) as pool:
        for store in pool.map(Store, [url] * 4):
            store.close()
        with closing(Store(url)) as store, store.reading() as connection:
            assert connection.execute(text("SELECT count(*) FROM alembic_version")).scalar() == 1


@ON_POSTGRESQL
def test_units_of_work_wait_for_each_other_only_where_they_meet(database: str) -> None:
    one, other = Store(database), Store(database)
    event.listen(other.engine, "begin", lambda connection: connection.exec_driver_sql("SET lock_timeout = '50ms'"))
    with one.writing(["a/b"]), other.writing(["c/d"]), other.reading():
        pass
    for held, wanted in ((["a/b"], ["A/B", "c/d"]), (["a/b"], None), (None, [])):
        with one.writing(held), pytest.raises(RedefectError, match="Another program has been writing"), other.writing(wanted):
            pass
    one.close()
    other.close()


def test_text_that_no_database_can_store_is_replaced_and_does_not_change_again(store: Store) -> None:
    turn = Turn("t", 1, "A\0", "leader", "lone \ud800 half")
    with store.writing() as connection:
        assert write.put_turns(connection, [turn], "s") == 1
        assert write.put_turns(connection, [turn], "s") == 0
        assert connection.execute(text("SELECT speaker, text FROM turn")).one() == ("A\ufffd", "lone \ufffd half")


def test_the_option_goes_before_the_environment_and_that_before_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDEFECT_DATABASE", raising=False)
    assert database_url(None, Path("default")) == "default"
    monkeypatch.setenv("REDEFECT_DATABASE", "sqlite:///environment")
    assert database_url(None, Path("default")) == "sqlite:///environment"
    assert database_url("option", Path("default")) == "option"
