"""The commands `classify` and `queue` as a user runs them; the model is a small one of the tests' own types."""

import csv
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import forked
import pytest
import standins
from conftest import CHECKOUT, Run, contents

from pipeline import cli
from pipeline.classify.model_file import read_model, write_model

ONE_THING = "Give one thing to label: a store (--study, --database), a text (--text) or a file (--threads)."
DAMAGED = "is no model file that this version of ReDefect can use, or is damaged; fetch or train it again."

Redefect = Callable[..., subprocess.CompletedProcess[str]]
TRUSTING = "import test_classify_command; test_classify_command.trust()"


def trust() -> None:
    """Run the command, which takes the tests' own types in a model for its own."""
    read_model.__defaults__ = (standins.TYPES,)
    cli.main()


@pytest.fixture
def model(root: Path) -> Path:
    """A model where the command looks for it."""
    path = root / "data" / "models" / "demo.skops"
    write_model(path, standins.demo_classifier())
    return path


def process(root: Path, *arguments: str | Path) -> list[str]:
    return [sys.executable, "-c", TRUSTING, *map(str, arguments)]


def environment(**more: str) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if k != "REDEFECT_DATABASE" and "TOKEN" not in k}
    return clean | {"PYTHONPATH": f"{CHECKOUT}:{CHECKOUT / 'tests'}"} | more


@pytest.fixture
def trusting(root: Path) -> Redefect:
    """Run the command, which takes the tests' own types in a model for its own."""

    def run(*arguments: str | Path, expect: int = 0, given: str | bytes = b"") -> subprocess.CompletedProcess[str]:
        words = [str(argument) for argument in arguments]
        done = forked.run(words, root, environment(), given.encode() if isinstance(given, str) else given, trust)
        out, err = done.stdout.decode(), done.stderr.decode()
        assert done.returncode == expect, out + err
        assert "Traceback" not in err
        return subprocess.CompletedProcess(done.args, done.returncode, out, err)

    return run


@pytest.fixture
def corpus(root: Path) -> Path:
    path = root / "threads.jsonl"
    path.write_text("".join(thread.to_json() + "\n" for thread in reversed(standins.demo_threads())))
    return path


def test_a_file_of_threads_becomes_a_line_a_thread_in_its_order(
    trusting: Redefect, model: Path, corpus: Path, root: Path
) -> None:
    done = trusting("classify", "--threads", corpus, "--output", "labels.jsonl")
    assert done.stdout == "made labels.jsonl\n"
    lines = [json.loads(line) for line in (root / "labels.jsonl").read_text().splitlines()]
    assert [(x["repository"], x["number"]) for x in lines] == [
        (t.repository, t.number) for t in reversed(standins.demo_threads())
    ]
    for line in lines:
        assert list(line) == ["repository", "number", "gate", "facets"]
        assert list(line["gate"]) == ["defect", "question", "feature"]
        assert list(line["facets"]) == ["stage", "symptom", "root-cause"]
        assert line["facets"]["root-cause"]["abstained"] is True
        for of in (line["gate"], *(facet["probabilities"] for facet in line["facets"].values())):
            assert abs(sum(of.values()) - 1) < 0.001
    assert trusting("classify", "--threads", corpus).stdout == (root / "labels.jsonl").read_text()


def test_a_bad_line_is_one_sentence_and_leaves_no_file(trusting: Redefect, model: Path, corpus: Path, root: Path) -> None:
    before = corpus.read_text().splitlines(keepends=True)
    corpus.write_text("".join(before[:30]) + '{"repository": "a/b", "number": 0, "title": ""}\n')
    done = trusting("classify", "--threads", corpus, "-o", "labels.jsonl", expect=1)
    assert done.stderr == f"redefect: {corpus}:31: number: Input should be greater than or equal to 1.\n"
    assert not (root / "labels.jsonl").exists()
    assert [path.name for path in root.iterdir() if path.name.startswith(".")] == []
    (root / "labels.jsonl").write_text("old")
    trusting("classify", "--threads", corpus, "-o", "labels.jsonl", expect=1)
    assert (root / "labels.jsonl").read_text() == "old"
    assert trusting("classify", "--threads", "none.jsonl", expect=1).stderr.count("\n") == 1


def test_a_text_is_labelled_and_explained(trusting: Redefect, model: Path, root: Path) -> None:
    thread = standins.demo_threads()[0]
    (root / "issue.md").write_text(f"# {thread.title}\n\n{thread.body}\n")
    done = trusting("classify", "--text", "issue.md", "--html", "page.html")
    assert "carried by" in done.stdout
    assert "Withheld, since they cannot be learnt yet: root-cause." in done.stdout
    assert done.stdout.endswith("made page.html\n")
    page = (root / "page.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "<mark" in page
    assert "root-cause" not in page
    assert "root-cause " in trusting("classify", "--text", "issue.md", "--withheld").stdout


def test_a_text_from_standard_input_becomes_json(trusting: Redefect, model: Path) -> None:
    done = trusting("classify", "--text", "-", "--json", given="# Loss is NaN\n\nThe loss becomes nan while training.\n")
    value = json.loads(done.stdout)
    assert list(value) == ["title", "gate", "facets"]
    assert value["title"] == "Loss is NaN"
    assert list(value["facets"]["stage"]) == ["category", "probability", "abstained", "probabilities", "phrases"]
    texts = {"title": "Loss is NaN", "body": "The loss becomes nan while training."}
    for facet in value["facets"].values():
        for phrase in facet["phrases"]:
            assert texts[phrase["origin"]][phrase["start"] : phrase["end"]] == phrase["text"]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("", "redefect: -: holds no text; its first line is the title, the rest what the issue says.\n"),
        (b"caf\xe9", "redefect: -: byte 3 is not UTF-8; give the text as UTF-8.\n"),
    ],
)
def test_a_text_that_is_none_is_one_sentence(trusting: Redefect, model: Path, given: str | bytes, sentence: str) -> None:
    assert trusting("classify", "--text", "-", given=given, expect=1).stderr == sentence


def test_a_text_steers_no_terminal(trusting: Redefect, model: Path) -> None:
    hostile = "# \x1b[2J\x1b]0;owned\x07 \u202eloss\nnan \x1b[31m nan\x00 loss"
    done = trusting("classify", "--text", "-", given=hostile)
    assert not {"\x1b", "\x07", "\x00", "\u202e"} & set(done.stdout)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--text", "-", "--threads", "x"], ONE_THING),
        (["--study", "demo", "--text", "-"], ONE_THING),
        (["--threads", "x", "--html", "y"], "--html and --json go with --text only."),
        (["--json"], "--html and --json go with --text only."),
        (["--text", "-", "--output", "x"], "--output goes with --threads only."),
        (["--model", "none.skops"], "none.skops: cannot be read (No such file or directory)."),
        (["--model", "data/demo/labels.csv"], f"data/demo/labels.csv: {DAMAGED}"),
    ],
)  # fmt: skip
def test_options_that_do_not_go_together_are_one_sentence(redefect: Run, arguments: list[str], sentence: str) -> None:
    assert redefect("classify", *arguments, expect=1).stderr == f"redefect: {sentence}\n"


def test_a_model_with_types_that_are_not_the_commands_own_is_refused(redefect: Run, model: Path) -> None:
    sentence = redefect("classify", "--text", "data/demo/README.md", expect=1).stderr
    assert "which no model needs and which may be harmful; it was not read." in sentence
    assert sentence.count("\n") == 1


def test_the_store_is_labelled_and_a_second_time_nothing_changes(trusting: Redefect, model: Path, root: Path) -> None:
    trusting("import", "threads", "data/demo/threads")
    done = trusting("classify")
    assert "168 threads, of 168 the predictions are new or changed." in done.stdout
    assert "cannot be learnt yet" in done.stdout
    database = root / "data" / "build" / "demo" / "redefect.sqlite"
    before = contents(database)
    assert "168 threads, of 0 the predictions are new or changed." in trusting("classify", "--study", "demo").stdout
    assert contents(database) == before


def test_shares_are_corrected_by_what_people_labelled(trusting: Redefect, corpus: Path, root: Path) -> None:
    unlabelled = [thread.model_copy(update={"number": thread.number + 1_000}) for thread in standins.demo_threads()]
    corpus.write_text("".join(thread.to_json() + "\n" for thread in [*standins.demo_threads(), *unlabelled]))
    write_model(root / "data" / "models" / "demo.skops", standins.demo_classifier())
    trusting("import", "threads", corpus)
    sentence = trusting("prevalence", expect=1).stderr
    assert sentence == ("redefect: The store holds nothing that this model says; run `redefect classify --study demo` first.\n")
    assert "`redefect prevalence` estimates shares" in trusting("classify").stdout
    trusting("import", "study")
    done = trusting("prevalence", "--half-width", "0.04").stdout
    assert "Stage. Prediction-powered (PPI++) (assumes a gold sample drawn at random)" in done
    assert "threads is too small for intervals of ±4.0%" in done
    assert done.endswith("made data/build/demo/prevalence: prevalence.csv, prevalence.tex, redefect.sty\n")
    rows = list(csv.DictReader((root / "data" / "build" / "demo" / "prevalence" / "prevalence.csv").read_text().splitlines()))
    assert {row["facet"] for row in rows} == {"stage", "symptom"}
    assert all(float(row["low"]) <= float(row["corrected"]) <= float(row["high"]) for row in rows)


def test_a_run_that_is_interrupted_leaves_whole_threads_and_no_traceback(trusting: Redefect, model: Path, root: Path) -> None:
    big = root / "big.jsonl"
    with big.open("w") as file:
        for copy in range(20):
            for n, thread in enumerate(standins.demo_threads()):
                file.write(thread.model_copy(update={"number": copy * 1000 + n + 1}).to_json() + "\n")
    database = root / "big.sqlite"
    trusting("import", "threads", big, "--database", database)
    running = subprocess.Popen(
        process(root, "classify", "--database", database), cwd=root, env=environment(), stderr=subprocess.PIPE,
        start_new_session=True, text=True,
    )  # fmt: skip
    stored = 0
    while not stored and running.poll() is None:
        time.sleep(0.05)
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
            stored = connection.execute("SELECT count(*) FROM prediction").fetchone()[0]
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does: to all processes
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert err == "redefect: Stopped; what was stored before is as it was.\n"
    with sqlite3.connect(database) as connection:
        facets = connection.execute("SELECT count(DISTINCT facet) FROM prediction GROUP BY issue_id").fetchall()
    assert {count for (count,) in facets} == {3}
    assert len(facets) % 500 == 0


def test_the_queue_is_a_table_of_issues_to_label(trusting: Redefect, model: Path, root: Path) -> None:
    trusting("import", "threads", "data/demo/threads")
    done = trusting("queue", "--size", "12")
    assert done.stdout == "12 issues to label.\nmade data/build/demo/queue.csv\n"
    path = root / "data" / "build" / "demo" / "queue.csv"
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert list(rows[0]) == ["rank", "repository", "number", "url", "uncertainty", "why", "uncertain_facets"]
    assert [row["rank"] for row in rows] == [str(n) for n in range(1, 13)]
    assert all(row["url"] == f"https://github.com/{row['repository']}/issues/{row['number']}" for row in rows)
    first = path.read_bytes()
    trusting("queue", "--size", "12", "--output", "again.csv")
    assert (root / "again.csv").read_bytes() == first
    trusting("import", "study")
    trusting("queue", "--size", "1000", "--by-repository", "-o", "left.csv")
    left = list(csv.DictReader((root / "left.csv").read_text().splitlines()))
    assert left == []
