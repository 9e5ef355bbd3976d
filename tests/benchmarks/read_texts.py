"""Time how all of Denchmark is read into documents, in one process, and tell the shares of their parts.

The threads are read before the clock starts; habits are learnt from the same threads, which is timed apart. The processor's
seconds are told beside those on the wall, since these depend on what else runs.
"""

import os
import resource
import sys
import time
from collections import Counter
from pathlib import Path

from pipeline.classify.habits import learn_habits
from pipeline.classify.text import read_document
from pipeline.importing import read_threads

SHARED = Path(os.environ.get("REDEFECT_SHARED", Path(__file__).parents[3] / "shared"))
ARCHIVE = SHARED / "corpora" / "denchmark" / "denchmark-stage2-bugreports.tar.xz"
_MAXRSS_UNIT = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, KiB elsewhere


def main() -> None:
    threads = list(read_threads(ARCHIVE, lambda _: None))
    start = time.process_time()
    habits = learn_habits(threads)
    print(f"habits: {time.process_time() - start:.1f} s, {len(habits.to_json()):,} bytes, {len(habits.lines)} repositories")
    letters: Counter[str] = Counter()
    parts = signals = 0
    slowest = (0.0, "")
    wall, processor = time.perf_counter(), time.process_time()
    for thread in threads:
        before = time.process_time()
        document = read_document(thread, habits)
        slowest = max(slowest, (time.process_time() - before, f"{thread.repository}#{thread.number}"))
        parts += len(document.parts)
        signals += len(document.signals)
        for part in document.parts:
            letters[part.kind] += len(part.text)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    print(f"{len(threads):,} threads: {processor:.1f} s of a processor ({len(threads) / processor:.0f} a second), {wall:.1f} s")
    print(f"{parts:,} parts, {signals:,} signals; slowest {slowest[1]}: {slowest[0]:.2f} s")
    print(", ".join(f"{kind} {count / letters.total():.1%}" for kind, count in letters.most_common()))
    print(f"largest memory, the threads included: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MAXRSS_UNIT:.0f} MiB")


if __name__ == "__main__":
    main()
