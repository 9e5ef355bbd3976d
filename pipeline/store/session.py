"""The store's database: opened, brought up to date, and used one transaction a unit of work."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from pipeline.errors import RedefectError

ENVIRONMENT_VARIABLE = "REDEFECT_DATABASE"
_MIGRATIONS = Path(__file__).parent / "migrations"
_BUSY_SECONDS = 60


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
        self._url = url if "://" in url else f"sqlite:///{url}"
        try:
            parsed = make_url(self._url)
            self._shown = parsed.render_as_string(hide_password=True)
            self.engine: Engine = create_engine(parsed)
        except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
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
        with self._explained():
            self._migrate()

    def close(self) -> None:
        """Give all connections back; SQLite then folds its write-ahead log into the file."""
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a connection that sees one state of the store throughout."""
        with self._explained(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open one unit of work: everything in it is stored together when it ends, or nothing when it fails."""
        with (
            self._explained(),
            self.engine.connect().execution_options(redefect_writes=True) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            reason = str(error.orig).strip().splitlines()[0] if error.orig else "no reason given"
            raise RedefectError(f"{self._shown}: {reason}; the store is as it was before. {_advice(reason)}") from None

    def _migrate(self) -> None:
        known = sorted(path.name.partition("_")[0] for path in (_MIGRATIONS / "versions").glob("[0-9]*_*.py"))
        with self.engine.connect() as connection:
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


def _advice(reason: str) -> str:
    if "full" in reason or "disk I/O" in reason:
        return "Free some disk space and run the command again."
    if "unable to open" in reason or "readonly" in reason:
        return "Check that its folder exists and may be written to."
    if "locked" in reason:
        return f"Another program has been writing for over {_BUSY_SECONDS} seconds; wait for it to end."
    return "Check that it is a database, and that it can be reached."
