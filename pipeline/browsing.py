"""A study's store in a browser: Datasette on a copy that is made anew when the store has changed. The store is only read."""

import asyncio
import json
import os
import socket
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from datasette import hookimpl
from datasette.app import Datasette
from datasette.plugins import DEFAULT_PLUGINS, pm
from sqlalchemy.engine import make_url

from pipeline.errors import RedefectError
from pipeline.export import browse
from pipeline.files import explained, sha256, write
from pipeline.store import read
from pipeline.store.session import Store
from pipeline.study import Study

if TYPE_CHECKING:
    from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope

HOST = "127.0.0.1"


def _prepare(conn: sqlite3.Connection) -> None:
    browse.add_search_functions(conn)


prepare_connection: Any = hookimpl(specname="prepare_connection")(_prepare)

_SETTINGS = {
    "default_allow_sql": True, "allow_download": False, "sql_time_limit_ms": 5_000, "max_returned_rows": 2_000,
    "facet_time_limit_ms": 1_000, "suggest_facets": False, "truncate_cells_html": 300,
}  # fmt: skip


def copy_to_browse(study: Study, database: str) -> tuple[Path, bool]:
    """Make the copy of a study's store that can be browsed, unless it is there and the store is as it was then.

    Parameters
    ----------
    database
        The store: a SQLite file, or its URL.

    Returns
    -------
    The copy, and whether it was made anew.

    Raises
    ------
    RedefectError
        If the store holds nothing of the study.
    """
    copy = study.build / "browse" / f"{study.name}.sqlite"
    marker = copy.with_name("made-from.json")
    nothing = f"The database holds nothing of study '{study.name}' yet; run `make STUDY={study.name}` first."
    made_from = None  # what a server holds may change at any time
    if "://" not in database or database.startswith("sqlite"):
        file = Path(make_url(database).database or "" if "://" in database else database)
        if not file.is_file():
            raise RedefectError(nothing)
        made_from = json.dumps(_state(study, file), indent=2).encode() + b"\n"
        if copy.is_file() and marker.is_file() and marker.read_bytes() == made_from:
            return copy, False
    taxonomy = study.read_taxonomy()
    store = Store(database)
    try:
        with explained(copy):
            copy.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=copy.parent) as folder, store.reading() as connection:
                if read.issues(connection, study.name, taxonomy, study.verdict).empty:
                    raise RedefectError(nothing)
                new = Path(folder) / copy.name
                browse.write_copy(connection, study, taxonomy, new)
                new.replace(copy)
    finally:
        store.close()
    write(marker, made_from or b"a server\n")
    return copy, True


def _state(study: Study, file: Path) -> dict[str, Any]:
    """Return what the copy depends on: with the same state, it would come out the same."""
    parts = [part for part in (file, Path(f"{file}-wal")) if part.is_file() and part.stat().st_size]
    return {
        "store": str(file.absolute()),
        "bytes and changed at": [[part.stat().st_size, part.stat().st_mtime_ns] for part in parts],
        "study": study.digest,
        "taxonomy": sha256(study.taxonomy_path),
        "code": sha256(Path(browse.__file__)),
    }


def datasette(study: Study, copy: Path) -> Datasette:
    """Return the site that shows the copy: read only, with no plugin but Datasette's own and the functions of searching."""
    # Else each query with a mistake prints a traceback; its page tells what is wrong.
    pm.get_plugin("datasette.handle_exception").rich = None
    for plugin in pm.get_plugins():
        if plugin.__name__ not in DEFAULT_PLUGINS:
            pm.unregister(plugin)
    pm.register(sys.modules[__name__])
    return Datasette(immutables=[str(copy)], metadata=browse.metadata(study, study.read_taxonomy()), settings=_SETTINGS)


def serve(site: Datasette, port: int, ready: Callable[[str], None]) -> None:
    """Serve a site to this machine only, until it is interrupted.

    Parameters
    ----------
    port
        0 takes any that is free.
    ready
        Is told the address, once it can be asked.

    Raises
    ------
    RedefectError
        If the port is taken.
    """
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            raise RedefectError(
                f"Port {port} cannot be used ({os.strerror(error.errno or 0)}); give another by --port."
            ) from None
        listener.listen()
        asyncio.run(site.invoke_startup())
        ready(f"http://{HOST}:{listener.getsockname()[1]}")
        config = uvicorn.Config(_read_only(site.app()), log_level="warning", lifespan="on", timeout_graceful_shutdown=1)
        uvicorn.Server(config).run(sockets=[listener])


def _read_only(site: "ASGI3Application") -> "ASGI3Application":
    """Answer who asks to read from this machine; a page of another host that leads its own name here learns nothing."""

    async def answer(scope: "Scope", receive: "ASGIReceiveCallable", send: "ASGISendCallable") -> None:
        if scope["type"] == "http":
            host = dict(scope["headers"]).get(b"host", b"").decode("latin-1").partition(":")[0]
            status = 405 if scope["method"] not in ("GET", "HEAD") else 403 if host not in (HOST, "localhost") else None
            if status is not None:
                await send({"type": "http.response.start", "status": status, "headers": [], "trailers": False})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return
        await site(scope, receive, send)

    return answer
