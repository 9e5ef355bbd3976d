import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from conftest import CHECKOUT, make_root


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the checkout that shares its virtual environment."""
    if not (CHECKOUT / ".venv" / "ready").exists():
        pytest.skip("there is no .venv that `make` made: run the tests by `make test`")
    folder = make_root(tmp_path / "checkout")
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy2(CHECKOUT / name, folder / name)
    shutil.copytree(CHECKOUT / "pipeline", folder / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / ".venv").symlink_to(CHECKOUT / ".venv")
    past = time.time() - 3600
    for path in folder.rglob("*"):
        if path.is_file() and ".venv" not in path.parts:
            os.utime(path, (past, past))
    for name in ("pyproject.toml", "requirements.lock"):
        os.utime(folder / name, (0, 0))
    return folder


def make(folder: Path, *arguments: str, expect: int = 0) -> str:
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "REDEFECT_STUDY_DATA")}
    done = subprocess.run(["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


def stages(folder: Path, *arguments: str) -> list[str]:
    lines = make(folder, "--dry-run", *arguments).splitlines()
    return [line.rpartition("redefect ")[2].split(" --study")[0] for line in lines if "redefect " in line]


def touch(path: Path) -> None:
    future = time.time() + 5
    os.utime(path, (future, future))


def test_make_runs_the_demo_once_and_then_only_what_a_change_asks_for(checkout: Path) -> None:
    everything = ["collect", "select issues", "import study", "findings", "export tables", "export figures"]
    assert stages(checkout) == everything
    out = make(checkout)
    assert "11 requests sent, 11 expected by the plan" in out
    assert "made data/build/demo/flaws.csv" in out
    assert "made data/build/demo/figures: " in out
    assert "Nothing to be done" in make(checkout)
    assert stages(checkout, "report") == ["notebooks", "report"]

    touch(checkout / "data" / "reference" / "demo" / "findings.toml")
    assert stages(checkout) == ["findings", "export tables"]
    os.utime(checkout / "data" / "reference" / "demo" / "findings.toml", (0, 0))
    touch(checkout / "pipeline" / "analyze" / "figures.py")
    assert "import study" not in stages(checkout)
    os.utime(checkout / "pipeline" / "analyze" / "figures.py", (0, 0))
    touch(checkout / "data" / "demo" / "labels.csv")
    assert stages(checkout) == everything[2:]
    os.utime(checkout / "data" / "demo" / "labels.csv", (0, 0))
    threads = checkout / "data" / "demo" / "threads" / "umbrafield__mx-sparrow.jsonl"
    touch(threads)
    assert stages(checkout) == everything
    os.utime(threads, (0, 0))
    touch(checkout / "data" / "studies" / "cv-reengineering.toml")
    assert stages(checkout) == []


def test_a_failure_stops_make_and_shows_the_table_of_findings(checkout: Path) -> None:
    path = checkout / "data" / "reference" / "demo" / "findings.toml"
    path.write_text(path.read_text().replace("published = 152", "published = 153"))
    out = make(checkout, "findings", expect=2)
    assert "differs (must hold)" in out
    assert "redefect: 1 of the findings that must hold do not: defects." in out
    assert not (checkout / "data" / "build" / "demo" / "findings.txt").exists()


def test_help_lists_each_target_in_a_line(checkout: Path) -> None:
    listed = {line.split()[0] for line in make(checkout, "help").splitlines()}
    phony = next(line for line in (checkout / "Makefile").read_text().splitlines() if line.startswith(".PHONY:"))
    assert listed == set(phony.removeprefix(".PHONY:").split())


def test_a_study_of_machine_labels_is_classified_after_its_import(checkout: Path) -> None:
    assert stages(checkout, "STUDY=denchmark-cv")[:2] == ["import study", "classify"]
    assert stages(checkout, "notebooks", "STUDY=denchmark-cv") == ["import study", "classify", "notebooks"]
    assert "classify" not in stages(checkout, "notebooks")


def test_a_data_package_follows_the_import_and_where_machines_label_the_classifier(checkout: Path) -> None:
    assert stages(checkout, "dataset") == ["collect", "select issues", "import study", "dataset"]
    assert stages(checkout, "dataset", "STUDY=denchmark-cv") == ["import study", "classify", "dataset"]
