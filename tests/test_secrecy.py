"""A token is nowhere but in requests, and the key of the pseudonyms nowhere but in its file.

Neither is in what commands print, write or log, however they end.
"""

import gzip
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from conftest import make_root
from scripted import Reply, Server, scripted
from served import thread

from pipeline.collect.github.budget import TOKEN_VARIABLES
from pipeline.collect.github.client import ADDRESS_VARIABLE
from pipeline.importing import import_study, import_threads
from pipeline.pseudonym_key import KEY_VARIABLE
from pipeline.replica import Faults, Limits, Replica, World
from pipeline.replica.faults import ALL
from pipeline.store.session import Store
from pipeline.study import read_study

SECRET = "ghp_R3c0gnisableToken"
TOKENS = f"{SECRET}A,{SECRET}B"
NAME = "acme/anvil"
CRAWL = ("collect", "--whole", "--repository", NAME, "--archive", "archive", "--first-wait", "0.001")

# Runs the real command, in one folder and environment after the other (a process for each would take a second each). It logs
# all that its libraries have to say, its waits are short, and it crashes in the midst of a request when that is asked for.
PROGRAM = """
import json, logging, os, sys, time
logging.basicConfig(level=logging.DEBUG, stream=sys.stderr, format="%(name)s: %(message)s")
long = time.sleep
time.sleep = lambda seconds: long(min(seconds, 0.001))
import requests
from pipeline import cli
request, given = requests.Session.request, dict(os.environ)
def fail(*arguments, **named):
    raise ZeroDivisionError("nobody foresaw this")
for job in json.loads(sys.argv.pop(1)):
    os.chdir(job["folder"])
    os.environ.clear()
    os.environ.update(given | job["environment"])
    requests.Session.request = fail if job["crash"] else request
    try:
        cli.main()
        code = 0
    except SystemExit as end:
        code = end.code or 0
    sys.stdout.flush()
    print(f"=== {job['name']} ended with {code}", file=sys.stderr, flush=True)
"""


@dataclass
class Case:
    """A way in which a crawl ends, and what it is to end with."""

    name: str
    code: int
    says: str
    limits: Limits = field(default_factory=Limits)
    faults: Faults | None = None
    environment: dict[str, str] = field(default_factory=dict)
    crash: bool = False
    signal: int | None = None
    """Sent to the command once the replica was asked something."""


@dataclass
class Ended:
    code: int
    printed: str
    files: dict[str, bytes]
    asked: dict[str, Any]


GIVEN_UP = "gave no usable answer 10 times in a row"
HARMLESS = {"redirect", "pagination-limited"}
ENDLESS = Faults(1, 1.0, ("timeout",), hang=60)
CASES = [
    Case("nothing", 0, "made"),
    *(
        Case(kind, 0 if kind in HARMLESS else 1, "made" if kind in HARMLESS else GIVEN_UP,
             faults=Faults(1, 1.0, (kind,), hang=0.01, reset_after=-5))
        for kind in ALL
    ),
    Case("revoked", 1, "GitHub does not accept token 2 of 2 (401)", Limits(revoked=frozenset({f"{SECRET}A", f"{SECRET}B"}))),
    Case("one-revoked", 0, "made", Limits(revoked=frozenset({f"{SECRET}A"}))),
    Case("used-up", 0, "made", Limits(core=2, graphql=2, window=0.5)),
    Case("no-address", 1, "must be like", environment={ADDRESS_VARIABLE: f"https://{SECRET}@api.example.com"}),
    Case("in-the-open", 1, "sent in the open", environment={ADDRESS_VARIABLE: "http://api.example.com"}),
    Case("nobody-there", 1, "no connection", environment={ADDRESS_VARIABLE: "http://127.0.0.1:9"}),
    Case("no-token", 1, "holds a character that no token has", environment={TOKEN_VARIABLES[0]: f"{SECRET}\N{BULLET}"}),
    Case("crash", 70, "This should not happen", crash=True),
    Case("crash-debug", 70, "Traceback", crash=True, environment={"REDEFECT_DEBUG": "1"}),
    Case("stopped", 130, "Stopped", faults=ENDLESS, signal=signal.SIGINT),
    Case("terminated", -signal.SIGTERM, "", faults=ENDLESS, signal=signal.SIGTERM),
    Case("killed", -signal.SIGKILL, "", faults=ENDLESS, signal=signal.SIGKILL),
]  # fmt: skip


def study_root(folder: Path) -> Path:
    """Lay out a root whose study takes all closed issues."""
    root = make_root(folder)
    study = root / "data" / "studies" / "demo.toml"
    study.write_text(study.read_text().replace("with_fix = true\n", ""))
    return root


def job(name: str, root: Path, address: str, *, crash: bool = False, **environment: str) -> dict[str, Any]:
    given = {ADDRESS_VARIABLE: address, TOKEN_VARIABLES[0]: TOKENS} | environment
    return {"name": name, "folder": str(root), "environment": given, "crash": crash}


def start(*jobs: dict[str, Any], arguments: Sequence[str] = CRAWL) -> subprocess.Popen[str]:
    clean = {k: v for k, v in os.environ.items() if k not in (*TOKEN_VARIABLES, "REDEFECT_DATABASE", "REDEFECT_DEBUG")}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, json.dumps(jobs), *arguments],
        env=clean, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def files(root: Path) -> dict[str, bytes]:
    """Return all files below a folder by their names, what is compressed unpacked."""
    found = {}
    for path in root.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            found[str(path.relative_to(root))] = gzip.decompress(content) if path.suffix == ".gz" else content
            if path.suffix == ".zip":
                with zipfile.ZipFile(io.BytesIO(content)) as packed:
                    found |= {f"{path.name}/{name}": packed.read(name) for name in packed.namelist()}
    return found


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    """Each case run: those that end by themselves in one process, and one process for each of the others."""
    folder = tmp_path_factory.mktemp("secrecy")
    with ExitStack() as stack:
        world = stack.enter_context(World(folder / "world.sqlite"))
        world.add([thread(number, comments=number % 3) for number in range(1, 121)])
        replicas = {case.name: stack.enter_context(Replica(world, case.limits, case.faults)) for case in CASES}
        roots = {case.name: study_root(folder / case.name) for case in CASES}
        jobs = {
            case.name: job(case.name, roots[case.name], replicas[case.name].url, crash=case.crash, **case.environment)
            for case in CASES
        }
        together = start(*(jobs[case.name] for case in CASES if case.signal is None))
        ends: dict[str, tuple[int, str]] = {}
        for case in CASES:
            if case.signal is not None:
                process = start(jobs[case.name])
                while process.poll() is None and not replicas[case.name].statistics()["requests"]:
                    time.sleep(0.02)
                process.send_signal(case.signal)
                printed, _ = process.communicate(timeout=120)
                code = re.search(r"=== \S+ ended with (\d+)", printed)
                ends[case.name] = int(code[1]) if code else process.returncode, printed
        printed, _ = together.communicate(timeout=300)
        assert together.returncode == 0, printed[-2_000:]
        for part, name, code_text in re.findall(r"(.*?)=== (\S+) ended with (\d+)\n", printed, re.DOTALL):
            ends[name] = int(code_text), part
        return {
            name: Ended(code, printed, files(roots[name]), replicas[name].statistics()) for name, (code, printed) in ends.items()
        }


def assert_secret(printed: str, found: dict[str, bytes]) -> None:
    assert SECRET not in printed
    for name, content in found.items():
        assert SECRET.encode() not in content, name


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_token_is_printed_written_or_logged_however_a_crawl_ends(case: Case, ended: dict[str, Ended]) -> None:
    end = ended[case.name]
    assert (end.code, case.says in " ".join(end.printed.split())) == (case.code, True), end.printed[-2_000:]
    assert_secret(end.printed, end.files)
    assert ("Traceback" in end.printed) == (case.name == "crash-debug")


def test_what_is_searched_holds_what_it_should(ended: dict[str, Ended]) -> None:
    good = ended["nothing"]
    assert {"archive/answers.jsonl", "data/build/demo/crawl.json", "data/build/demo/redefect.sqlite"} <= set(good.files)
    assert any(name.endswith(".json.gz") and b"Crash 7" in content for name, content in good.files.items())
    assert any(name.endswith(("-wal", ".sqlite")) and b"Crash 7" in content for name, content in good.files.items())
    assert "urllib3.connectionpool: " in good.printed
    for name, end in ended.items():
        sent = name not in ("no-address", "in-the-open", "nobody-there", "no-token", "crash", "crash-debug")
        assert bool(end.asked["requests"]) == sent, name
        assert "anonymous" not in end.asked["tokens"], name


@pytest.fixture
def elsewhere() -> Iterator[Server]:
    with scripted(Reply(200, [])) as server:
        yield server


def test_a_redirect_elsewhere_takes_no_token_along(elsewhere: Server, tmp_path: Path) -> None:
    root = study_root(tmp_path / "root")
    with scripted(Reply(302, {}, {"Location": f"{elsewhere.url}/graphql?x={SECRET}A"})) as server:
        printed, _ = start(job("redirect", root, server.url, REDEFECT_DEBUG="1")).communicate(timeout=60)
        assert server.tokens == [f"{SECRET}A"]
    assert "ended with 1\n" in printed
    assert "redirects /graphql to another server; nothing was sent there." in " ".join(printed.split())
    assert elsewhere.heard == []
    assert_secret(printed, files(root))


def test_the_key_of_the_pseudonyms_is_in_no_package_and_not_shown(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root")
    study = root / "data" / "studies" / "real.toml"
    study.write_text((root / "data" / "studies" / "demo.toml").read_text().replace("fictional = true", "fictional = false"))
    store = Store(str(read_study(study).database))
    import_threads(store, root / "data" / "demo" / "threads", "demo")
    import_study(store, read_study(study))
    store.close()
    given = f"{SECRET}{SECRET}"
    jobs = [
        job("made", root, "", REDEFECT_DEBUG="1"),
        job("given", root, "", REDEFECT_DEBUG="1", **{KEY_VARIABLE: given}),
        job("short", root, "", REDEFECT_DEBUG="1", **{KEY_VARIABLE: SECRET}),
    ]
    process = start(*jobs, arguments=("dataset", "--with-text", "--study", "real"))
    printed, _ = process.communicate(timeout=120)
    assert re.findall(r"=== (\w+) ended with (\d+)", printed) == [("made", "0"), ("given", "0"), ("short", "1")], printed
    found = files(root)
    made = found.pop("data/keys/pseudonyms.key").decode().strip()
    assert any(name.endswith(".zip/real-data-with-text/README.md") for name in found)
    assert made not in printed
    assert not [name for name, content in found.items() if made.encode() in content]
    assert_secret(printed, found)
