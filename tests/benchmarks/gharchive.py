"""Read GH Archive's files beside `zcat | jq`, in turn, each in processes of its own: `make bench-gharchive`.

The files are generated from Denchmark's threads (or those of the demo), an event of issues to seven others, as in the real ones;
without malformed lines, at which jq would stop. jq only finds the events; `collect` parses them and writes them as Parquet.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from pipeline.importing import read_threads
from pipeline.replica.gharchive import LOSSY, Flaws, write_archive
from pipeline.thread import Thread

SHARED = Path(os.environ.get("REDEFECT_SHARED", Path(__file__).parents[3] / "shared"))
DENCHMARK = SHARED / "corpora" / "denchmark" / "denchmark-stage2-bugreports.tar.xz"
DEMO = Path(__file__).parents[2] / "data" / "demo" / "threads"
THREADS = int(sys.argv[1]) if len(sys.argv) > 1 else 24_000
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 2
HOURS = 16
"""Each then has some 90 MB, as the archive's hours have."""
FILTER = 'jq -c \'select(.type=="IssuesEvent" or .type=="IssueCommentEvent")\''
COLLECT = """
import sys
from datetime import date
from pathlib import Path
from pipeline.collect.gharchive.files import Folder, Hour
from pipeline.collect.gharchive.collection import collect_hours
if __name__ == "__main__":
    hours = [Hour(date(2021, 1, 1), hour) for hour in range(int(sys.argv[3]))]
    print(collect_hours(Path(sys.argv[2]), hours, Folder(Path(sys.argv[1])), int(sys.argv[4])).events)
"""


def threads() -> Iterator[Thread]:
    if DENCHMARK.exists():
        yield from islice(read_threads(DENCHMARK, lambda _: None), THREADS)
    else:
        yield from read_threads(DEMO, lambda _: None)


def timed(*command: str) -> tuple[float, float, int]:
    """Run processes; return their seconds by the clock and of work, and the number that they print."""
    begin, worked = time.perf_counter(), work()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return time.perf_counter() - begin, work() - worked, int(done.stdout)


def work() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "spool").mkdir()
        flaws = Flaws().without(*LOSSY, "malformed")
        begin = datetime(2021, 1, 1, tzinfo=UTC)
        made = write_archive(threads(), folder / "files", begin, HOURS, spool=folder / "spool", flaws=flaws, jobs=2)
        packed = sum(path.stat().st_size for path in (folder / "files").iterdir())
        unpacked = sum(int.from_bytes(path.read_bytes()[-4:], "little") for path in (folder / "files").iterdir())
        print(
            f"{made.events:,} events, {made.issue_events:,} of issues; {packed / 1e6:,.0f} MB packed, {unpacked / 1e6:,.0f} MB "
            f"unpacked, {unpacked / made.events:,.0f} bytes an event; {os.cpu_count()} cores; the best of {ROUNDS} runs in turn"
        )
        (folder / "collect.py").write_text(COLLECT)
        (folder / "pipe.sh").write_text(f'zcat "$@" | {FILTER} | wc -l')
        files, pipe = f"{folder}/files/*.gz", f"sh {folder}/pipe.sh"
        collect = (sys.executable, str(folder / "collect.py"), str(folder / "files"), "OUTPUT", str(HOURS))
        ways = {
            "zcat | jq": ("sh", "-c", f"{pipe} {files}"),
            "two of these side by side": (
                "sh", "-c", f"ls {files} | xargs -P 2 -n {HOURS // 2} {pipe} | awk '{{n += $1}} END {{print n}}'",
            ),
            "collect, 1 process": (*collect, "1"),
            "collect, 2 processes": (*collect, "2"),
        }  # fmt: skip
        seconds: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        for turn in range(ROUNDS):
            for way, command in ways.items():
                output = str(folder / f"{turn}{way}")
                *took, found = timed(*(output if part == "OUTPUT" else part for part in command))
                if found != made.issue_events:
                    sys.exit(f"{way} finds {found} events of issues, and there are {made.issue_events}")
                seconds[way].append((took[0], took[1]))
        print(f"{'':28}{'best s':>8}{'events/s':>12}{'MB/s':>8}{'CPU s':>8}{'times jq':>10}{'by CPU':>8}")
        jq, jq_work = (min(values) for values in zip(*seconds["zcat | jq"], strict=True))
        for way, runs in seconds.items():
            clock, worked = (min(values) for values in zip(*runs, strict=True))
            print(
                f"{way:28}{clock:8.2f}{made.events / clock:12,.0f}{unpacked / clock / 1e6:8,.0f}{worked:8.2f}"
                f"{jq / clock:10.1f}{jq_work / worked:8.1f}"
            )
        pairs = zip(seconds["zcat | jq"], seconds["collect, 2 processes"], strict=True)
        ratios = ", ".join(f"{theirs[0] / ours[0]:.1f}" for theirs, ours in pairs)
        print(f"collect with 2 processes / jq, run by run: {ratios} times as fast (aim: 5)")


if __name__ == "__main__":
    main()
