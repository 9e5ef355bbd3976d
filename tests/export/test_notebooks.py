import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from reports import notebook

from pipeline.errors import RedefectError
from pipeline.export.notebooks import execute, find_notebooks, without_escapes
from pipeline.openstudy import OpenStudy


def test_a_notebook_runs_in_this_python_in_the_project_for_the_study_and_gives_the_same_bytes_again(
    demo: OpenStudy, tmp_path: Path
) -> None:
    path = notebook(
        tmp_path / "a.ipynb",
        "import os, sys\n[sys.executable, os.getcwd(), os.environ['REDEFECT_STUDY'], os.environ['REDEFECT_DATABASE']]",
        "import pipeline\npipeline.open_study('demo', None).study.name",
        "print('\\x1b[31mred\\x1b[0m', end='\\x1b]0;owned\\x07')\nprint('more')",
        "object()",
        "hash('seeded')",
    )
    before = path.read_bytes()
    database, seen = str(demo.study.database), []
    first = execute([path], demo.study, database, lambda *of: seen.append(of))
    assert seen == [("a.ipynb", done, 5) for done in range(1, 6)]
    assert first == execute([path], demo.study, database)
    assert path.read_bytes() == before
    shown = [
        "".join(cell["outputs"][0].get("text") or cell["outputs"][0]["data"]["text/plain"])
        for cell in json.loads(first["a.ipynb"])["cells"]
    ]
    for value in (sys.executable, str(demo.study.root), str(demo.study.path), database):
        assert f"'{value}'" in shown[0]
    assert shown[1:4] == ["'demo'", "redmore\n", "<object>"]


def test_a_cell_that_fails_becomes_a_sentence_and_the_other_notebooks_still_run(demo: OpenStudy, tmp_path: Path) -> None:
    paths = [
        notebook(tmp_path / "a.ipynb", "1"),
        notebook(tmp_path / "b.ipynb", "# Title", "x = 1", "raise ValueError('first line\\nlast \\x1b[31mline\\x1b[0m')", "x"),
        notebook(tmp_path / "c.ipynb", "import os", "os._exit(3)"),
    ]
    seen: list[str] = []
    with pytest.raises(RedefectError, match=r"^b\.ipynb, cell 3 \(cell-3\): ValueError: last line \(1 more notebook failed\.\)$"):
        execute(paths, demo.study, watch=lambda name, _done, _total: seen.append(name))
    assert "a.ipynb" in seen
    with pytest.raises(RedefectError, match=r"^c\.ipynb, cell 2 \(cell-2\): the Python that ran it ended"):
        execute(paths[2:], demo.study)


def test_what_is_no_notebook_and_a_folder_without_any_are_named(demo: OpenStudy, tmp_path: Path) -> None:
    (tmp_path / "a.ipynb").write_text("{}")
    with pytest.raises(RedefectError, match=r"a\.ipynb: is no Jupyter notebook"):
        execute(find_notebooks(tmp_path), demo.study)
    with pytest.raises(RedefectError, match=r"there are no notebooks \(\*\.ipynb\); give their folder by --notebooks"):
        find_notebooks(tmp_path / "nowhere")


def test_ctrl_c_ends_the_kernels_and_writes_nothing(demo: OpenStudy, tmp_path: Path) -> None:
    started = tmp_path / "started"
    notebook(
        tmp_path / "a.ipynb",
        f"import os, pathlib, time\npathlib.Path({str(started)!r}).write_text(str(os.getpid()))\ntime.sleep(60)",
    )
    process = subprocess.Popen(
        [
            sys.executable, "-m", "pipeline.cli", "notebooks", "--study", str(demo.study.path), "--notebooks", str(tmp_path),
            "--folder", str(tmp_path / "made"),
        ],
        env={k: v for k, v in os.environ.items() if k != "REDEFECT_DATABASE"}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not (started.exists() and started.read_text()):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, "redefect: Stopped; what was stored before is as it was.\n")
    assert not (tmp_path / "made").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)


def test_escape_sequences_are_removed_whole_and_characters_of_text_stay() -> None:
    said = (
        "a\x1b[2Jb\x1b]8;;http://x\x1b\\c\x1b]0;t\x07d\x1bMe\x9b31mf\x00g\rh\ti\nj\N{GREEK SMALL LETTER ALPHA}\u202ek\ud800\x1b]l"
    )
    assert without_escapes(said) == "abcdefgh\ti\nj\N{GREEK SMALL LETTER ALPHA}\u202ekl"
