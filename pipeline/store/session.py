"""The store's database: opened, brought up to date, and used one transaction a unit of work."""

import hashlib
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from pipeline.errors import RedefectError

ENVIRONMENT_VARIABLE = "REDEFECT_DATABASE"
_MIGRATIONS = Path(__file__).parent / "migrations"
_BUSY_SECONDS = 60
_BUSY_MINUTES = 30  # on a shared store, others may be importing


class Store:
    """A database of issues and labels.

    Parameters
    ----------
    url
        Any SQLAlchemy URL, or the path of a SQLite file, whose folder is made when it is missing.

    Raises
    ------
    RedefectError
        If the database cannot be opened, or was written by a newer version of ReDefect.
    """

    def __init__(self, url: str) -> None:
        parsed = _parsed(url if "://" in url else f"sqlite:///{url}")
        self._shown = _without_secrets(parsed)
        try:
            self.engine: Engine = create_engine(parsed)
        except ModuleNotFoundError as error:
            raise RedefectError(
                f"{self._shown}: needs the Python package '{error.name}'; install it, with "
                "`pip install 'redefect[postgresql]'` for PostgreSQL."
            ) from None
        except (ArgumentError, NoSuchModuleError, TypeError, ValueError) as error:
            raise RedefectError(f"The database URL cannot be used ({error}); give a file or a SQLAlchemy URL.") from None
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
            if parsed.database not in (None, "", ":memory:"):
                folder = Path(str(parsed.database)).parent
                try:
                    folder.mkdir(parents=True, exist_ok=True)
                except OSError as error:
                    raise RedefectError(f"{folder}: the database's folder cannot be made ({error.strerror}).") from None
        elif self.engine.dialect.name == "postgresql":
            event.listen(self.engine, "connect", _prepare_postgresql)
        try:
            with self._explained():
                self._migrate()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give all connections back; SQLite then folds its write-ahead log into the file."""
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a connection that sees one state of the store throughout."""
        postgresql = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        options = postgresql if self.engine.dialect.name == "postgresql" else {}
        with self._explained(), self.engine.connect().execution_options(**options) as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self, repositories: Collection[str] | None = None) -> Iterator[Connection]:
        """Open one unit of work: everything in it is stored together when it ends, or nothing when it fails.

        Units of work wait for each other, so that what one reads before it writes is still so when it does. On SQLite there is
        one at a time. On PostgreSQL there are several, if each says which repositories it is about and these are not the same.

        Parameters
        ----------
        repositories
            The only repositories of which anything is written, whatever the case of their names; None to be alone in the store.
        """
        with (
            self._explained(),
            self.engine.connect().execution_options(redefect_writes=True) as connection,
            connection.begin(),
        ):
            if self.engine.dialect.name == "postgresql":
                _wait_for_others(connection, repositories)
            yield connection
            if self.engine.dialect.name == "sqlite":
                _index_new_texts(connection)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, self.engine.dialect.dbapi.Error) as error:  # type: ignore[union-attr]  # every engine has a driver
            of_driver = error.orig if isinstance(error, DBAPIError) else error
            reason = (str(of_driver).strip().splitlines() or [type(of_driver).__name__])[0]
            raise RedefectError(f"{self._shown}: {reason}; the store is as it was before. {_advice(reason)}") from None

    def _migrate(self) -> None:
        known = sorted(path.name.partition("_")[0] for path in (_MIGRATIONS / "versions").glob("[0-9]*_*.py"))
        with self.engine.connect() as connection:
            if connection.dialect.name == "postgresql" and (has := connection.scalar(text("SHOW server_encoding"))) != "UTF8":
                raise RedefectError(
                    f"{self._shown}: keeps texts as {has}, and needs to keep them as UTF8; make another database."
                )
            tables = inspect(connection).get_table_names()
            versioned = "alembic_version" in tables
            current = connection.scalar(text("SELECT version_num FROM alembic_version")) if versioned else None
        if current == known[-1]:
            return
        if current is not None and current not in known:
            raise RedefectError(
                f"{self._shown}: was written by a newer version of ReDefect (schema '{current}'); "
                "install that version, or give another database."
            )
        if current is None and tables:
            raise RedefectError(f"{self._shown}: is a database of something else; give another file or URL.")
        from alembic import command  # only here: it takes longer to import than most commands do to run
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS))
        with self.writing() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def database_url(option: str | None, default: Path) -> str:
    """Return where the store is: the command's option, else the environment's REDEFECT_DATABASE, else the default."""
    return option or os.environ.get(ENVIRONMENT_VARIABLE) or str(default)


def _parsed(url: str) -> URL:
    """Read a URL; what is wrong with one is told without it, since it may hold a password."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise RedefectError("The database URL cannot be used (it is none); give a file or a SQLAlchemy URL.") from None
    return parsed.set(drivername="postgresql+psycopg") if parsed.drivername in ("postgresql", "postgres") else parsed


def _without_secrets(url: URL) -> str:
    """Write a URL for people to read."""
    shown = {key: "***" if "password" in key.lower() else value for key, value in url.query.items()}
    return url.set(query=shown).render_as_string(hide_password=True)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun by _begin_sqlite, not guessed by the driver
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_SECONDS * 1000}")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")  # with WAL, safe against a killed process and against corruption
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the lock at once: it then waits its turn, instead of failing in the middle on a stale snapshot.
    writes = connection.get_execution_options().get("redefect_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _index_new_texts(connection: Connection) -> None:
    """Take the texts that triggers have noted into the index of words: all at once, which is much faster than one by one."""
    noted = connection.execute(
        text("SELECT name FROM sqlite_master WHERE name IN ('issue_fts_new', 'comment_fts_new')")
    ).scalars()
    for new in noted.all():
        if not connection.scalar(text(f"SELECT EXISTS (SELECT 1 FROM {new})")):  # noqa: S608  # one of the two names above
            continue
        table, columns = ("issue", "title, body") if new == "issue_fts_new" else ("comment", "body")
        take = f"INSERT INTO {table}_fts (rowid, {columns}) SELECT id, {columns} FROM {table} WHERE id IN (SELECT id FROM {new})"  # noqa: S608  # as before
        connection.execute(text(take))
        connection.execute(text(f"DELETE FROM {new}"))  # noqa: S608  # one of the two names above


def _prepare_postgresql(connection: Any, _record: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET TIME ZONE 'UTC'")  # else a time of the year 1 or 9999 is one that Python does not know
        cursor.execute("SET client_encoding = 'UTF8'")
        cursor.execute(f"SET lock_timeout = '{_BUSY_MINUTES}min'")
    connection.commit()


def _wait_for_others(connection: Connection, repositories: Collection[str] | None) -> None:
    # Alone: the store's own lock. Otherwise a share of it, and then the locks of the repositories, always in one order, so that
    # no two units of work wait for each other. All are given back when the transaction ends, however it does.
    share = "" if repositories is None else "_shared"
    connection.execute(text(f"SELECT pg_advisory_xact_lock{share}(:key)"), {"key": _lock_key("")})
    for key in sorted({_lock_key(name.lower()) for name in repositories or ()}):
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})


def _lock_key(name: str) -> int:
    digest = hashlib.sha256(f"redefect {name}".encode(errors="replace")).digest()
    return int.from_bytes(digest[:8], signed=True)


def _advice(reason: str) -> str:
    if "full" in reason or "disk I/O" in reason:
        return "Free some disk space and run the command again."
    if "unable to open" in reason or "readonly" in reason:
        return "Check that its folder exists and may be written to."
    if "lock timeout" in reason:
        return f"Another program has been writing for over {_BUSY_MINUTES} minutes; wait for it to end."
    if "locked" in reason:
        return f"Another program has been writing for over {_BUSY_SECONDS} seconds; wait for it to end."
    return "Check that it is a database, and that it can be reached."
