"""Time the import of all of Denchmark beside the bare minimum, in turn, each in a process of its own: `make bench`.

The bare minimum parses the same XML with the standard library and inserts the same rows by `sqlite3.executemany`: no checks,
no flaw report, no mark-up turned back, no second run that changes nothing.
"""

import os
import sqlite3
import statistics
import sys
import tarfile
import tempfile
import time
import xml.etree.ElementTree as ET
from pathlib import Path

SHARED = Path(os.environ.get("REDEFECT_SHARED", Path(__file__).parents[3] / "shared"))
ARCHIVE = SHARED / "corpora" / "denchmark" / "denchmark-stage2-bugreports.tar.xz"
RUNS = 5
_MAXRSS_UNIT = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, KiB elsewhere


def bare(database: str) -> None:
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(
        "CREATE TABLE issue (id INTEGER PRIMARY KEY, repository, number, title, body, author, created_at, closed_at)"
    )
    connection.execute("CREATE TABLE comment (issue_id, position, author, created_at, body)")
    issues: list[tuple[object, ...]] = []
    comments: list[tuple[object, ...]] = []

    def flush() -> None:
        connection.executemany("INSERT INTO issue VALUES (?, ?, ?, ?, ?, ?, ?, ?)", issues)
        connection.executemany("INSERT INTO comment VALUES (?, ?, ?, ?, ?)", comments)
        issues.clear()
        comments.clear()

    count = 0
    with tarfile.open(ARCHIVE, "r|xz") as archive:
        for member in archive:
            if not member.name.endswith(".xml"):
                continue
            file = archive.extractfile(member)
            try:
                root = ET.fromstring(file.read() if file else b"")
            except ET.ParseError:
                continue
            count += 1
            repository = member.name.split("/")[-2].replace("+", "/")
            issues.append(
                (
                    count, repository, int(root.get("id", "0")), root.findtext("summary"), root.findtext("description"),
                    root.get("author"), root.get("open_date"), root.get("closed_time"),
                )
            )  # fmt: skip
            for position, comment in enumerate(root.iterfind("comments/comment"), start=1):
                comments.append((count, position, None, comment.get("date"), comment.text))
            if len(issues) == 1000:
                flush()
    flush()
    connection.commit()
    connection.close()


def measured(*command: str) -> tuple[float, float]:
    """Run a process; return its seconds and its peak memory in MiB."""
    start = time.perf_counter()
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
    _, status, usage = os.wait4(pid, 0)
    if status:
        sys.exit(f"{' '.join(command)}: failed")
    return time.perf_counter() - start, usage.ru_maxrss * _MAXRSS_UNIT / 2**20


def rows(database: Path) -> tuple[int, int]:
    with sqlite3.connect(database) as connection:
        one = [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("issue", "comment")]
    return one[0], one[1]


def main() -> None:
    if not ARCHIVE.exists():
        sys.exit(f"{ARCHIVE}: Denchmark is not here; set REDEFECT_SHARED to the folder that holds corpora/.")
    times: dict[str, list[tuple[float, float]]] = {"redefect": [], "again": [], "bare": []}
    with tempfile.TemporaryDirectory() as folder:
        for run in range(RUNS):
            own, other = Path(folder) / f"own{run}.sqlite", Path(folder) / f"bare{run}.sqlite"
            ours = (str(Path(sys.executable).parent / "redefect"), "import", "threads", str(ARCHIVE), "--database", str(own))
            times["redefect"].append(measured(*ours))
            times["bare"].append(measured(sys.executable, __file__, str(other)))
            times["again"].append(measured(*ours))
            if rows(own) != rows(other):
                sys.exit(f"the rows differ: {rows(own)} and {rows(other)}")
            if run == 0:
                print(f"{rows(own)[0]} issues, {rows(own)[1]} comments; {RUNS} runs in turn; whole processes")
    print(f"{'':34}{'min s':>8}{'median s':>10}{'max s':>8}{'peak MiB':>10}")
    for name, words in (
        ("redefect", "redefect import threads"),
        ("again", "the same again (nothing to do)"),
        ("bare", "bare minimum"),
    ):
        seconds, memory = zip(*times[name], strict=True)
        print(f"{words:34}{min(seconds):8.2f}{statistics.median(seconds):10.2f}{max(seconds):8.2f}{max(memory):10.0f}")
    ratios = [a[0] / b[0] for a, b in zip(times["redefect"], times["bare"], strict=True)]
    print(
        f"redefect / bare, pair by pair: min {min(ratios):.2f}, median {statistics.median(ratios):.2f}, "
        f"max {max(ratios):.2f} (aim: 2)"
    )


if __name__ == "__main__":
    bare(sys.argv[1]) if len(sys.argv) > 1 else main()
