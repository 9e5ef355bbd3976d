"""Time the import of all of Denchmark into PostgreSQL beside COPY of the same rows by psql, in turn: `make bench-postgres`.

All write into the store's tables, with their keys, constraints and indices of words, on a server that this starts, with
PostgreSQL's own settings but for `listen_addresses`. ReDefect's time is that of `put_threads` on threads in memory: it compares
each with what is there, gives numbers to rows, and commits. psql is given files of the finished rows.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from import_denchmark import ARCHIVE
from postgres import Server, installed, served

from pipeline.importing import read_threads
from pipeline.store import bulk, write
from pipeline.store.search import search
from pipeline.store.session import Store
from pipeline.thread import Thread

RUNS = int(os.environ.get("RUNS", "3"))
_TABLES = {
    "repository": "id, owner, name, source",
    "issue": "id, repository_id, number, title, body, author, state, created_at, updated_at, closed_at, comment_count, "
    "comments_complete, pull_request, tracker_labels, fix, source, digest",
    "comment": "id, issue_id, position, author, created_at, body",
}
_QUERIES = ("segfault", "cuda", "the", '"out of memory"', "mem*", "cuda memory -windows", "nan OR inf OR overflow")


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def put(store: Store, threads: list[Thread]) -> None:
    with store.writing() as connection:
        write.put_threads(connection, threads, "denchmark")


def psql(server: Server, url: str, *commands: str) -> None:
    name = url.partition("@/")[2].partition("?")[0]
    given = [part for command in commands for part in ("--command", command)]
    where = ["--host", str(server.folder), "--username", "postgres", "--dbname", name]
    subprocess.run([server.programs / "psql", "--quiet", "--single-transaction", *where, *given], check=True)


def contents(store: Store) -> list[object]:
    with store.reading() as connection:
        return [
            connection.exec_driver_sql(f"SELECT count(*), md5(string_agg(t::text, '|' ORDER BY id)) FROM {table} AS t").one()
            for table in _TABLES
        ]


def latency(store: Store) -> None:
    print(f"{'search':26}{'threads':>8}{'median ms':>11}")
    for query in _QUERIES:
        with store.reading() as connection:
            search(connection, query)
            times = [timed(lambda query=query: search(connection, query)) for _ in range(5)]
            print(f"{query:26}{search(connection, query).total:8}{1000 * statistics.median(times):11.1f}")


def main() -> None:
    programs = installed()
    if programs is None or not ARCHIVE.exists():
        sys.exit("PostgreSQL and Denchmark are needed: see tests/postgres.py and import_denchmark.py.")
    threads = list(read_threads(ARCHIVE, lambda _: None))
    times: dict[str, list[float]] = {}
    own = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "autovacuum": "on", "shared_buffers": "128MB"}
    with tempfile.TemporaryDirectory() as folder, served(programs, **own, max_wal_size="1GB") as server:
        files = {table: Path(folder) / f"{table}.tsv" for table in _TABLES}
        for run in range(RUNS):
            with server.database() as url:
                store = Store(url)
                times.setdefault("redefect (COPY)", []).append(timed(lambda store=store: put(store, threads)))
                whole = contents(store)
                if run == 0:
                    psql(
                        server, url,
                        *(f"\\copy (SELECT {c} FROM {t} ORDER BY id) TO '{files[t]}'" for t, c in _TABLES.items()),
                    )  # fmt: skip
                    print(f"{whole[1][0]} issues, {whole[2][0]} comments; {RUNS} runs in turn")
                    latency(store)
                store.close()
            with server.database() as url:
                copies = [f"\\copy {t} ({c}) FROM '{files[t]}'" for t, c in _TABLES.items()]
                times.setdefault("psql \\copy", []).append(timed(lambda url=url, copies=copies: psql(server, url, *copies)))
                store = Store(url)
                if contents(store) != whole:
                    sys.exit("the rows differ")
                store.close()
            with server.database() as url:
                store, bulk.FEW = Store(url), 10**9
                times.setdefault("redefect (INSERT)", []).append(timed(lambda store=store: put(store, threads)))
                bulk.FEW = 20
                store.close()
        print(f"{'':20}{'min s':>8}{'median s':>10}{'max s':>8}{'threads/s':>11}")
        for name, seconds in times.items():
            middle = statistics.median(seconds)
            print(f"{name:20}{min(seconds):8.2f}{middle:10.2f}{max(seconds):8.2f}{len(threads) / middle:11.0f}")
    with tempfile.TemporaryDirectory() as folder:
        store = Store(f"{folder}/s.sqlite")
        print(f"SQLite: {timed(lambda: put(store, threads)):.2f} s")
        latency(store)
        store.close()


if __name__ == "__main__":
    main()
