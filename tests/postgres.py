"""A PostgreSQL server of the tests' own, where PostgreSQL is installed: started once a process, and gone with it."""

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from pipeline.store.session import Store

_SETTINGS = {
    "listen_addresses": "", "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off",
    "max_connections": "60", "shared_buffers": "64MB", "max_wal_size": "2GB", "jit": "off",
}  # fmt: skip
_MIGRATED = "migrated"


def installed() -> Path | None:
    """Return the folder of the newest PostgreSQL's programs: Debian has a folder a version, others have them on the path."""
    there = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if there:
        return max(there, key=lambda path: int(path.parent.name))
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


class Server:
    """A running server, reached by a socket in a folder that nobody else can enter; it trusts whoever reaches it."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder, self.programs = folder, programs

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def execute(self, statement: str) -> None:
        with psycopg.connect(host=str(self.folder), user="postgres", dbname="postgres", autocommit=True) as connection:
            connection.execute(statement.encode())

    @contextmanager
    def database(self, template: str = _MIGRATED) -> Iterator[str]:
        """Make a database, and return its URL; it is dropped in the end."""
        name = f"test_{secrets.token_hex(6)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        try:
            yield self.url(name)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def served(programs: Path, **settings: str) -> Iterator[Server]:
    """Run a server in a folder of its own, with a migrated database to copy; folder and server are gone in the end.

    It runs as the user `postgres` when this process is root's, for it refuses to be root. The folder is directly below the one
    for temporary files: the user must be able to reach it, and a socket's path is short.
    """
    folder = Path(tempfile.mkdtemp(prefix="redefect-postgres-", dir="/tmp"))
    user: list[str] = []
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
        user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
    log = folder / "log"

    def run(program: str, *arguments: str) -> None:
        with log.open("a") as file:  # no pipe: the server would keep it open
            done = subprocess.run([*user, programs / program, *arguments], cwd="/", stdout=file, stderr=file, check=False)
        assert done.returncode == 0, log.read_text()

    data = str(folder / "data")
    options = " ".join(f"-c {name}={value}" for name, value in (_SETTINGS | settings).items())
    try:
        run("initdb", "--pgdata", data, "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
        run("pg_ctl", "start", "--wait", "--pgdata", data, "--options", f"{options} -k {folder}")
        try:
            server = Server(folder, programs)
            server.execute(f"CREATE DATABASE {_MIGRATED}")
            Store(server.url(_MIGRATED)).close()
            yield server
        finally:
            run("pg_ctl", "stop", "--mode=immediate", "--pgdata", data)
    finally:
        shutil.rmtree(folder)
