"""Crawl three real repositories' threads with ReDefect, Perceval and github-to-sqlite, from one replica: `make bench-crawl`.

Each run has a replica of its own, a process of its own, and in it each tool in turn: first all threads, into an empty store;
then, with 1 % of the issues of each repository commented on, what is new, the way the tool can. The tools take turns in being
first. What is timed is whole processes, from the start of a tool's first to the end of its last; what is counted, the replica
counts; the seconds of CPU are the tools' own, which tell more when the machine is busy. What a tool stored is compared with
what the replica holds, issue by issue: the numbers of comments must be equal.

How each is pointed at the replica, with a made-up token:

- ReDefect reads GITHUB_API_URL; all repositories in one command, which is the same command again for what is new
- Perceval has --enterprise-url; a command a repository; what is new by --from-date, the last update that it saw. It asks for
  the profile and organisations of who wrote what, too; it is run a second way, with --filter-classified, which leaves that out
- github-to-sqlite has no option, see github_to_sqlite_elsewhere.py; two commands a repository, issues and comments, which are
  the same for what is new: it reads everything again

The least possible is what must be read, in pages of 100: by GraphQL, which gives comments with their issues, the pages of the
issues, and further ones of threads with more than 100 comments (ReDefect's least); by REST, the pages of the issues and of the
comments (the others'). For what is new it is one page a repository by GraphQL, two by REST, and more if more than 100 changed.

The exit code tells whether all stored what there is. That an aim is missed is printed.
"""

import argparse
import json
import os
import resource
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from urllib.parse import quote

from pipeline.importing import read_threads

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("REDEFECT_SHARED", ROOT.parent / "shared"))
ARCHIVE = SHARED / "corpora" / "denchmark" / "denchmark-stage2-bugreports.tar.xz"
PEERS = ROOT / "data" / "build" / "peers"
REPOSITORIES = ("ultralytics/yolov3", "open-mmlab/mmdetection", "opencv/opencv")
BIN = Path(sys.executable).parent
TOKEN = "made-up"
SHARE = 0.01
LATENCIES = (0, 30)
PHASES = ("full", "new")
PAGE = 100

Threads = dict[tuple[str, int], int]
"""How many comments each issue has."""
Commands = list[list[str]]


@dataclass(frozen=True)
class Tool:
    """How one tool is run in a folder that is its own, and how to read what it stored there."""

    name: str
    commands: Callable[[Path, str, str], Commands]
    held: Callable[[Path], Threads]


@dataclass(frozen=True)
class Measured:
    requests: int
    received: int
    seconds: float
    cpu: float
    right: bool


def redefect(folder: Path, _url: str, _phase: str) -> Commands:
    named = [part for name in REPOSITORIES for part in ("--repository", name)]
    return [[str(BIN / "redefect"), "collect", "--whole", *named, "--database", str(folder / "store.sqlite")]]


def redefect_held(folder: Path) -> Threads:
    return _counted(
        folder / "store.sqlite",
        "SELECT owner || '/' || name, number, (SELECT count(*) FROM comment WHERE issue_id = issue.id)"
        " FROM issue JOIN repository ON repository.id = repository_id WHERE title IS NOT NULL",
    )


def perceval(folder: Path, url: str, phase: str, *options: str) -> Commands:
    commands = []
    for name in REPOSITORIES:
        owner, short = name.split("/")
        command = [str(PEERS / "perceval" / "bin" / "perceval"), "github", owner, short, "--category", "issue"]
        command += ["--enterprise-url", url, "--api-token", TOKEN, "--no-archive", "--json-line", *options]
        if phase == "new":
            command += ["--from-date", max(item["updated_at"] for item in _perceval_items(folder / f"{short}-full.jsonl"))]
        commands.append([*command, "--output", str(folder / f"{short}-{phase}.jsonl")])
    return commands


def perceval_without_profiles(folder: Path, url: str, phase: str) -> Commands:
    return perceval(folder, url, phase, "--filter-classified")


def perceval_held(folder: Path) -> Threads:
    held: Threads = {}
    for name in REPOSITORIES:
        for phase in PHASES:  # what came later goes before what came earlier
            for item in _perceval_items(folder / f"{name.split('/')[1]}-{phase}.jsonl"):
                held[name, item["number"]] = len(item["comments_data"])
    return held


def _perceval_items(path: Path) -> Iterator[dict]:
    if path.exists():
        with path.open(encoding="utf-8") as lines:
            yield from (json.loads(line)["data"] for line in lines)


def github_to_sqlite(folder: Path, url: str, _phase: str) -> Commands:
    auth = folder / "auth.json"
    auth.write_text(json.dumps({"github_personal_token": TOKEN}))
    start = [str(PEERS / "github-to-sqlite" / "bin" / "python"), str(Path(__file__).with_name("github_to_sqlite_elsewhere.py"))]
    database = str(folder / "github.sqlite")
    return [
        [*start, url, command, database, name, "--auth", str(auth)]
        for name in REPOSITORIES
        for command in ("issues", "issue-comments")
    ]


def github_to_sqlite_held(folder: Path) -> Threads:
    return _counted(
        folder / "github.sqlite",
        "SELECT full_name, number, (SELECT count(*) FROM issue_comments WHERE issue = issues.id)"
        " FROM issues JOIN repos ON repos.id = issues.repo",
    )


def _counted(database: Path, query: str) -> Threads:
    with sqlite3.connect(database) as connection:
        return {(name, number): count for name, number, count in connection.execute(query)}


TOOLS = (
    Tool("ReDefect", redefect, redefect_held),
    Tool("Perceval", perceval, perceval_held),
    Tool("Perceval without profiles", perceval_without_profiles, perceval_held),
    Tool("github-to-sqlite", github_to_sqlite, github_to_sqlite_held),
)


@contextmanager
def replica(threads: Path, latency: int) -> Iterator[str]:
    """Serve threads in a process of its own; no tool is to wait for the next hour's budget, so that there is plenty."""
    command = [str(BIN / "redefect"), "replica", "serve", str(threads), "--port", "0", "--budget", "1000000"]
    process = subprocess.Popen(
        [*command, "--latency-ms", str(latency)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            sys.exit("the replica did not start")
        yield line.split()[0]
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def asked(url: str, method: str = "GET") -> dict:
    with urllib.request.urlopen(urllib.request.Request(url, method=method)) as answer:
        return json.load(answer)


def measure(tool: Tool, folder: Path, url: str, phase: str, there: Threads) -> Measured:
    environment = {k: v for k, v in os.environ.items() if not k.endswith(("_TOKEN", "_TOKENS"))} | {"HOME": str(folder)}
    if tool.name == "ReDefect":
        environment |= {"GITHUB_API_URL": url, "REDEFECT_GITHUB_TOKENS": TOKEN}
    else:
        environment.pop("PYTHONPATH", None)
    commands = tool.commands(folder, url, phase)
    asked(f"{url}/_replica/reset", "POST")
    start, used = time.perf_counter(), _cpu()
    codes = [
        subprocess.run(c, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
        for c in commands
    ]
    seconds, cpu = time.perf_counter() - start, _cpu() - used
    sent = asked(f"{url}/_replica/statistics")
    return Measured(sent["requests"], sent["bytes"], seconds, cpu, not any(codes) and tool.held(folder) == there)


def _cpu() -> float:
    """Return the processor's seconds of all processes that have ended; the replica has not."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def touched(url: str, there: Threads, run: int) -> Threads:
    """Let a share of each repository's issues get a comment; return how many comments there are then."""
    new = dict(there)
    for name in REPOSITORIES:
        answer = asked(f"{url}/_replica/touch?repository={quote(name)}&share={SHARE}&seed={run}", "POST")
        for number in answer["touched"]:
            new[name, number] += 1
    return new


def least(phase: str, threads: Threads) -> tuple[int, int]:
    """Return the least possible numbers of requests, by GraphQL and by REST."""
    issues = Counter(name for name, _ in threads)
    if phase == "new":
        pages = sum(ceil(max(1, round(SHARE * count)) / PAGE) for count in issues.values())
        return pages, 2 * pages
    comments: Counter[str] = Counter()
    for (name, _), count in threads.items():
        comments[name] += count
    listed = sum(ceil(count / PAGE) for count in issues.values())
    further = sum(ceil(count / PAGE) - 1 for count in threads.values() if count > PAGE)
    return listed + further, listed + sum(ceil(count / PAGE) for count in comments.values())


def report(all_measured: dict[tuple[str, int, str], list[Measured]], threads: Threads) -> bool:
    print("| what | latency | tool | requests | by ReDefect's | seconds: min | median | max | of CPU | MB received | result |")
    print("|---|--:|---|--:|--:|--:|--:|--:|--:|--:|---|")
    right = True
    verdicts: dict[str, list[bool]] = defaultdict(list)
    for phase in PHASES:
        graphql, rest = least(phase, threads)
        for latency in LATENCIES:
            measured = {tool.name: all_measured[phase, latency, tool.name] for tool in TOOLS}
            own = measured["ReDefect"]
            own_requests, own_median = (statistics.median(getattr(m, what) for m in own) for what in ("requests", "seconds"))
            for name, runs in measured.items():
                requests = statistics.median(m.requests for m in runs)
                seconds = [m.seconds for m in runs]
                median = statistics.median(seconds)
                cpu = statistics.median(m.cpu for m in runs)
                received = statistics.median(m.received for m in runs) / 1e6
                good = all(m.right for m in runs)
                right &= good
                print(
                    f"| {phase} | {latency} ms | {name} | {requests:g} | {requests / own_requests:.2f} | {min(seconds):.2f} | "
                    f"{median:.2f} | {max(seconds):.2f} | {cpu:.2f} | {received:.2f} | {'as it is there' if good else 'WRONG'} |"
                )
                if name == "ReDefect":
                    continue
                factor = 10 if name.startswith("Perceval") else 3
                verdicts[f"{phase}: at least {factor} times fewer requests than {name}"].append(requests >= factor * own_requests)
                verdicts[f"{phase}: sooner done than {name}, {latency} ms"].append(median > own_median)
            verdicts[f"{phase}: within 10 % of the least possible"].append(own_requests <= 1.1 * graphql)
        for how, number in (("GraphQL, as ReDefect", graphql), ("REST, as the others", rest)):
            print(f"| {phase} | | least possible, {how} | {number} | {number / own_requests:.2f} | | | | | | |")
    print()
    for aim, reached in verdicts.items():
        print(f"- {aim}: {'yes' if all(reached) else 'NO'}")
    return right


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    if not ARCHIVE.exists():
        sys.exit(f"{ARCHIVE}: Denchmark is not here; set REDEFECT_SHARED to the folder that holds corpora/.")
    if not PEERS.exists():
        sys.exit(f"{PEERS}: the other tools are not here; run this by `make bench-crawl`.")
    measured: dict[tuple[str, int, str], list[Measured]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        threads: Threads = {}
        with (folder / "threads.jsonl").open("w", encoding="utf-8") as file:
            for thread in read_threads(ARCHIVE, lambda _: None):
                if thread.repository in REPOSITORIES:
                    file.write(thread.to_json() + "\n")
                    threads[thread.repository, thread.number] = len(thread.comments or ())
        print(
            f"{len(threads)} issues, {sum(threads.values())} comments of {', '.join(REPOSITORIES)}; {runs} runs in turn; "
            f"whole processes; {os.cpu_count()} CPUs\n"
        )
        for latency in LATENCIES:
            for run in range(runs):
                tools = TOOLS[run % len(TOOLS) :] + TOOLS[: run % len(TOOLS)]
                with replica(folder / "threads.jsonl", latency) as url:
                    there = threads
                    for phase in PHASES:
                        for tool in tools:
                            own = folder / tool.name.replace(" ", "-")
                            own.mkdir(exist_ok=True)
                            one = measure(tool, own, url, phase, there)
                            measured[phase, latency, tool.name].append(one)
                            print(f"{latency} ms, run {run + 1}, {phase}, {tool.name}: {one}", file=sys.stderr)
                        there = touched(url, there, run)
                for tool in TOOLS:
                    shutil.rmtree(folder / tool.name.replace(" ", "-"))
        right = report(measured, threads)
    if not right:
        sys.exit("What a tool stored is not what the replica holds.")


if __name__ == "__main__":
    main()
