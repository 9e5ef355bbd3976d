"""Rules of the house that a reader can rely on: the stages' one direction, and what never enters git."""

import ast
import re
import subprocess
from pathlib import Path

import nbformat
import pytest
from conftest import CHECKOUT, SHARED

# Stages in order; each may import those before it. What stands beside them is known by name.
ORDER = ["collect", "store", "annotate", "classify", "analyze", "export"]


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith("pipeline.")}


@pytest.mark.parametrize("stage", ORDER)
def test_no_stage_imports_a_later_one(stage: str) -> None:
    later = set(ORDER[ORDER.index(stage) + 1 :])
    for path in (CHECKOUT / "pipeline" / stage).rglob("*.py"):
        assert imported(path) & later == set(), path


def test_the_replica_is_a_tracker_of_its_own() -> None:
    for path in (CHECKOUT / "pipeline" / "replica").glob("*.py"):
        assert imported(path) <= {"replica", "thread", "errors", "files", "processes"}, path


def tracked() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, check=False)
    if done.returncode:
        pytest.skip("this is no git checkout")
    return [CHECKOUT / name for name in done.stdout.decode().split("\0") if name and (CHECKOUT / name).is_file()]


def test_no_line_of_third_party_data_is_in_git(study_data: Path) -> None:
    lines = {
        line.strip()
        for path in [*study_data.rglob("*.csv"), *study_data.rglob("*.txt")]
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines()
        if len(line.strip()) > 60
    }
    assert len(lines) > 500
    for path in tracked():
        text = path.read_bytes().decode("utf-8", errors="replace")
        assert not lines.intersection(line.strip() for line in text.splitlines()), path


def test_nothing_in_git_is_large_and_the_lock_file_names_no_host() -> None:
    for path in tracked():
        assert path.stat().st_size < 5_000_000, path
    lock = (CHECKOUT / "requirements.lock").read_text()
    assert "://" not in lock
    assert "--hash=sha256:" in lock


def test_the_shared_data_are_tested_against_when_they_are_there() -> None:
    if not SHARED.exists():
        pytest.skip(f"the shared data are not here: {SHARED}")
    assert (SHARED / "study").is_dir()
    assert (SHARED / "corpora" / "denchmark").is_dir()
    assert (SHARED / "corpora" / "nlbse24").is_dir()
    assert (SHARED / "annotations" / "labels.csv").is_file()


NOTEBOOKS = sorted((CHECKOUT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_thin_opens_with_what_it_answers_and_holds_no_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert path.read_text(encoding="utf-8") == nbformat.writes(notebook) + "\n"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    assert notebook.metadata == {"kernelspec": kernel, "language_info": {"name": "python"}}
    first, second = notebook.cells[:2]
    assert first.cell_type == "markdown"
    assert first.source.startswith("# ")
    assert second.source.startswith("import pipeline\n\nstudy = pipeline.open_study()\n")
    assert second.source.endswith("study.heading")
    for cell in notebook.cells:
        assert not re.fullmatch(r"[0-9a-f]{8}|[0-9a-f-]{36}", cell.id), f"{cell.id} is a random id"
        assert cell.metadata == {}
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None)
            kinds = {type(node) for node in ast.walk(ast.parse(cell.source))}
            assert not kinds & {ast.FunctionDef, ast.ClassDef, ast.Lambda, ast.For, ast.While, ast.If, ast.Try}, cell.id
