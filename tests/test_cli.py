import json
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from conftest import CHECKOUT, Run, contents

from pipeline import __version__
from pipeline.study import read_study


def test_every_command_tells_what_it_does(redefect: Run) -> None:
    assert "From issue trackers to the tables of a paper" in redefect("--help").stdout
    for command in (["study-data"], ["import", "study"], ["import", "threads"], ["select", "issues"],
                    ["export", "tables"], ["export", "figures"], ["export", "threads"], ["findings"],
                    ["benchmark", "nlbse24"], ["browse"], ["checklist"], ["classify"],
                    ["prevalence"], ["queue"], ["train"], ["evaluate"], ["interviews", "propose"], ["search"]):  # fmt: skip
        assert "Usage" in redefect(*command, "--help").stdout
    assert redefect("--version").stdout == f"{__version__}\n"


def test_the_demo_study_runs_and_names_what_it_made(redefect: Run, root: Path) -> None:
    done = redefect("import", "study")
    assert "made data/build/demo/flaws.csv" in done.stdout
    assert "Imported: Demo (fictional)" in done.stdout
    inputs = (root / "data" / "build" / "demo" / "inputs.mk").read_text()
    assert inputs.startswith("data/build/demo/flaws.csv: ")
    assert {"data/demo/labels.csv", "data/demo/interviews/Demo_leader1.txt"} <= set(inputs.split())
    assert "reproduced (must hold)" in redefect("findings").stdout
    assert redefect("export", "tables", "--format", "csv").stdout == "made data/build/demo/tables: 23 tables as csv\n"
    figures = redefect("export", "figures", "--figure", "figure-05").stdout
    assert figures == "made data/build/demo/figures/figure-05.pdf\nmade data/build/demo/figures/figure-05.svg\n"


def test_a_finding_that_must_hold_and_does_not_fails_the_command(redefect: Run, root: Path) -> None:
    path = root / "data" / "reference" / "demo" / "findings.toml"
    path.write_text(path.read_text().replace("published = 152", "published = 153"))
    redefect("import", "study")
    done = redefect("findings", expect=1)
    assert done.stderr == "redefect: 1 of the findings that must hold do not: defects.\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["findings", "--study", "nothing"], "redefect: There is no study 'nothing' in data/studies/"),
        (["findings"], "redefect: The database holds nothing of study 'demo' yet; run `make STUDY=demo` first.\n"),
        (["import", "threads", "none.jsonl"], "redefect: none.jsonl: cannot be read (No such file or directory).\n"),
        (["import", "study", "--study", "cv-reengineering"], "there is no such file; `make study-data` fetches it"),
        (
            ["import", "study", "--database", "/sys/kernel/x.sqlite"],
            "unable to open database file; the store is as it was before",
        ),
        (["export", "tables", "--study", "data/studies/none.toml"], "redefect: data/studies/none.toml: there is no such file.\n"),
    ],
)
def test_bad_input_is_one_sentence_and_a_non_zero_exit(redefect: Run, arguments: list[str], sentence: str) -> None:
    done = redefect(*arguments, expect=1)
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_wrong_option_exits_with_two(redefect: Run) -> None:
    assert "No such option" in redefect("findings", "--colour", expect=2).stderr


def test_what_should_not_happen_is_still_one_sentence(root: Path) -> None:
    code = "import pipeline.study, pipeline.cli; del pipeline.study.find_study; pipeline.cli.main()"
    done = subprocess.run([sys.executable, "-c", code, "findings"], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 70
    assert done.stderr.startswith("redefect: This should not happen (ImportError")
    assert "Traceback" not in done.stderr


def test_a_full_disk_leaves_the_store_and_the_files_as_they_were(redefect: Run, root: Path, tmp_path: Path) -> None:
    redefect("import", "threads", "data/demo/threads")
    redefect("export", "threads", "-o", tmp_path / "threads.jsonl")
    database = root / "data" / "build" / "demo" / "redefect.sqlite"
    before, exported = contents(database), (tmp_path / "threads.jsonl").read_bytes()
    many = tmp_path / "many.jsonl"
    many.write_text("".join(f'{{"repository": "a/b", "number": {n}, "title": "{"x" * 2000}"}}\n' for n in range(1, 3000)))

    def run(*arguments: str) -> str:
        limit = 400_000  # bytes a file: the system's own limit stands in for a disk without room
        done = subprocess.run(
            [sys.executable, "-m", "pipeline.cli", *arguments], cwd=root, capture_output=True, text=True, check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        )  # fmt: skip
        assert done.returncode == 1, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr

    assert "the store is as it was before. Free some disk space" in run("import", "threads", str(many))
    assert "cannot be written (File too large); what was there before is untouched" in run(
        "export", "threads", "-o", str(tmp_path / "threads.jsonl")
    )
    assert contents(database) == before
    assert (tmp_path / "threads.jsonl").read_bytes() == exported
    assert sorted(path.name for path in tmp_path.glob("*")) == ["many.jsonl", "root", "threads.jsonl"]


def test_study_data_come_from_a_local_folder(redefect: Run, root: Path, study_data: Path) -> None:
    done = redefect("study-data", REDEFECT_STUDY_DATA=str(study_data))
    assert done.stdout.count("copied, SHA-256 as published") == 15
    assert redefect("study-data", REDEFECT_STUDY_DATA=str(study_data)).stdout.count("is there already") == 15
    table = root / "data" / "raw" / "jiang2024" / "CV_Reengineeirng_Defects.csv"
    table.write_bytes(table.read_bytes()[:1000])
    assert "has SHA-256" in redefect("import", "study", "-s", "cv-reengineering", expect=1).stderr


def test_every_stage_twice_gives_the_same_bytes_whatever_the_time_zone_and_the_hash_seed(redefect: Run, root: Path) -> None:
    study = read_study(root / "data" / "studies" / "demo.toml")
    seen = []
    for environment in ({}, {"TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "2", "LC_ALL": "C"}):
        redefect("import", "study", **environment)
        found = {"store": "\n".join(contents(study.database)), "findings": redefect("findings", **environment).stdout}
        redefect("export", "tables", **environment)  # figures: see tests/export/test_figures.py
        for path in sorted([*study.build.glob("*.csv"), *study.build.glob("*/*")]):
            found[path.name] = path.read_bytes().hex()
        seen.append(found)
    assert len(seen[0]) > 40
    assert [name for name in seen[0] if seen[0][name] != seen[1][name]] == []


def test_a_fresh_build_elsewhere_gives_the_same_bytes(redefect: Run, root: Path, tmp_path: Path) -> None:
    redefect("import", "study")
    redefect("import", "study", "--database", tmp_path / "elsewhere.sqlite")
    assert contents(tmp_path / "elsewhere.sqlite") == contents(root / "data" / "build" / "demo" / "redefect.sqlite")


def test_the_first_five_lines_of_the_readme_work(redefect: Run, root: Path) -> None:
    redefect("import", "study")
    readme = (CHECKOUT / "README.md").read_text()
    code = readme.partition("```python\n")[2].partition("```")[0].replace("cv-reengineering", "demo")
    done = subprocess.run(
        [sys.executable, "-c", code + "\nprint(study.distribution('stage'))"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Stage (n = 152; fictional data)" in done.stdout


SERVED = ["replica", "run", "--threads", CHECKOUT / "data" / "demo" / "threads"]
COLLECT = ["--", sys.executable, "-m", "pipeline.cli", "collect"]


def test_the_demo_is_crawled_from_its_replica_and_a_second_time_changes_nothing(redefect: Run, root: Path) -> None:
    first = redefect(*SERVED, *COLLECT)
    assert "Plan: 9 requests" in first.stdout
    assert "11 requests sent, 11 expected by the plan; 1,162 issues and comments new or changed." in first.stdout
    report = json.loads((root / "data" / "build" / "demo" / "crawl.json").read_text())
    assert report["requests"] == {"expected": 11, "sent": 11, "unchanged": 0}
    assert sum(r["complete"] for r in report["repositories"]) == 168
    assert "8 requests sent, 8 expected by the plan; 0 issues and comments" in redefect(*SERVED, *COLLECT).stdout
    before = contents(root / "data" / "build" / "demo" / "redefect.sqlite")
    redefect(*SERVED, *COLLECT)
    assert contents(root / "data" / "build" / "demo" / "redefect.sqlite") == before


def test_a_store_is_rebuilt_from_the_archive_of_a_crawl_without_the_network(redefect: Run, root: Path) -> None:
    redefect(*SERVED, *COLLECT, "--archive", "archive")
    done = redefect("collect", "--from-archive", "archive", "--database", "rebuilt.sqlite", GITHUB_API_URL="http://127.0.0.1:9")
    assert done.stdout == "11 answers stored from archive.\n"
    assert contents(root / "rebuilt.sqlite") == contents(root / "data" / "build" / "demo" / "redefect.sqlite")


def test_a_plan_is_printed_without_fetching_an_issue(redefect: Run, root: Path) -> None:
    done = redefect(*SERVED, *COLLECT, "--dry-run")
    assert "Nothing fetched; 1 requests sent to learn the numbers." in done.stdout
    assert "graphql batches" in done.stdout
    assert not (root / "data" / "build" / "demo" / "crawl.json").exists()


def test_labelled_threads_are_crawled_by_number(redefect: Run) -> None:
    assert "2 requests sent, 2 expected" in redefect(*SERVED, *COLLECT, "--labelled").stdout


@pytest.mark.parametrize(
    ("arguments", "environment", "sentence"),
    [
        (["collect"], {"GITHUB_API_URL": "http://127.0.0.1:9"}, "closed with a fix: GitHub tells that by GraphQL only"),
        (["collect"], {"GITHUB_API_URL": "api"}, "The address of the API (GITHUB_API_URL) must be like https://"),
        (
            ["collect", "--first-wait", "0.001"],
            {"GITHUB_API_URL": "http://127.0.0.1:9", "GITHUB_TOKEN": "x"},
            "GitHub gave no usable answer 10 times in a row for facts of 8 repositories (the last time: no connection)",
        ),
        (["collect", "--from-archive", "none"], {}, "answers.jsonl: cannot be read (No such file or directory)"),
        (["replica", "serve"], {}, "Give what to serve: a file or folder of threads, or a store by --database."),
        (["replica", "serve", "none.jsonl"], {}, "none.jsonl: cannot be read"),
        ([*SERVED, "--", "no-such-command"], {}, "no-such-command: cannot be run (No such file or directory)."),
    ],
)
def test_what_keeps_a_crawl_from_beginning_is_one_sentence(
    redefect: Run, arguments: list[str], environment: dict[str, str], sentence: str
) -> None:
    done = redefect(*arguments, expect=1, **environment)
    assert sentence in done.stderr


def test_the_replica_serves_until_it_is_interrupted(root: Path) -> None:
    command = [sys.executable, "-m", "pipeline.cli", "replica", "serve", str(SERVED[-1]), "--port", "0"]
    process = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    address = process.stdout.readline().split()[0]
    answer = requests.get(f"{address}/repos/quillon/keras-heron/issues", timeout=10)
    assert len(answer.json()) == 2  # open ones only, as GitHub does
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert "Traceback" not in errors
    assert process.returncode == 130


def test_the_replica_serves_what_a_store_holds(redefect: Run, root: Path) -> None:
    redefect("import", "threads", "data/demo/threads", "--database", "one.sqlite")
    redefect("replica", "run", "--database", "one.sqlite", *COLLECT, "--whole", "--database", "two.sqlite")
    threads = [redefect("export", "threads", "--with-logins", "--database", f"{n}.sqlite").stdout for n in ("one", "two")]
    known = [re.sub(r'"updated_at": [^,]*', "", text) for text in threads]
    assert known[0] == known[1]
