"""A report to test: of the demo with texts in it that mean harm; made once, whoever asks first."""

import csv
import fcntl
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import nbformat
import pytest
from conftest import CHECKOUT, make_root

from pipeline.export.notebooks import execute
from pipeline.export.report import report
from pipeline.files import write_folder
from pipeline.importing import import_study, import_threads
from pipeline.models import shipped_model
from pipeline.openstudy import OpenStudy
from pipeline.store.session import Store
from pipeline.study import read_study

READABLE = "Loss is NaN after epoch 3"
HARM = (
    f'{READABLE} </title></textarea><script>window.ran = 1; alert(1)</script><img src=x onerror="window.ran = 2; alert(2)"> '
    "[click](javascript:alert(3)) <a href='javascript:window.ran=4'>click</a> {{7*7}} {% raw %} ${7*7} "
    r"\input{/etc/passwd} $x_1$ \end{tabular} \write18{id} & # % ~ ^ "
    "\x1b]0;owned\x07\x1b[2J\x1b[31mred\x1b[0m \x9b31m \x08 \u202egnp.exe\u202c ,=cmd|' /c calc'!A1"
)
FORMULA = "=cmd|' /c calc'!A1"
ELSEWHERE = "=cmd|'calc'!A1<b>/\"onmouseover=\"alert(5)"
"""A repository's name that a tracker never gave."""

SAFE = "harrowmere/tf-atelier"
NUMBER = 90_001


@dataclass
class Told:
    """What was made of a study: `root` its data, `notebooks` the executed ones, `report` the pages."""

    root: Path
    name: str
    notebooks: Path
    report: Path

    @cached_property
    def study(self) -> OpenStudy:
        study = read_study(self.root / "data" / "studies" / f"{self.name}.toml")
        return OpenStudy(study, Store(str(study.database)))


def once(temporary: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """Return a folder that the first process that wants it makes, and that all others share."""
    base = temporary.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder = base / name
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "ready").exists():
            make(folder)
            (folder / "ready").touch()
    return folder


def tell(study: OpenStudy, folder: Path, *more: Path) -> None:
    """Execute the project's notebooks, and others, for a study, and make its report, both below `folder`."""
    executed = execute([*sorted((CHECKOUT / "notebooks").glob("*.ipynb")), *more], study.study)
    write_folder(folder / "notebooks", executed)
    write_folder(folder / "report", report(study, executed, shipped_model()))


def harmful_demo(folder: Path) -> None:
    """Make the demo with threads and interviews that mean harm, and all that is told of it; a notebook shows them, too."""
    root = make_root(folder)
    with (root / "data" / "demo" / "threads" / "zz-harm.jsonl").open("w") as file:
        file.writelines(json.dumps(thread) + "\n" for thread in (_thread(SAFE, NUMBER, HARM), _thread(ELSEWHERE, 1, FORMULA)))
    labels = root / "data" / "demo" / "labels.csv"
    with labels.open(newline="") as table:
        rows = list(csv.DictReader(table))
    model = [row for row in rows if (row["repository"], row["number"]) == (rows[0]["repository"], rows[0]["number"])]
    with labels.open("a", newline="") as table:
        writer = csv.DictWriter(table, rows[0], lineterminator="\n")
        for repository, number in ((SAFE, NUMBER), (ELSEWHERE, 1)):
            writer.writerows(row | {"repository": repository, "number": str(number)} for row in model)
    for interview in (root / "data" / "demo" / "interviews").glob("*.txt"):
        spoken = re.compile(r"^(?P<speaker>[\w ]+: )?(?=.*\. )", re.MULTILINE)
        interview.write_text(spoken.sub(lambda found: f"{found['speaker'] or ''}{HARM} ", interview.read_text()))
    study = read_study(root / "data" / "studies" / "demo.toml")
    store = Store(str(study.database))
    import_threads(store, root / "data" / "demo" / "threads", "demo")
    import_study(store, study)
    tell(OpenStudy(study, store), folder, notebook(folder / "90-harm.ipynb", *_SHOW_HARM))


def _thread(repository: str, number: int, text: str) -> dict[str, object]:
    at = "2021-03-04T05:06:07Z"
    login = "<script>alert(6)</script>\x1b[2J"
    return {
        "repository": repository, "number": number, "title": text, "body": f"{text}\n\n{text}", "state": "closed",
        "author": login, "created_at": at, "updated_at": at, "closed_at": at, "fix": None, "labels": [text, "<b>bug</b>"],
        "comments": [{"author": who, "created_at": at, "body": f"@ada {text}"} for who in (login, "ada")],
    }  # fmt: skip


def notebook(path: Path, *cells: str) -> Path:
    """Write a notebook with these cells: Markdown where they begin with #."""
    new = nbformat.v4
    made = [new.new_markdown_cell(c) if c.startswith("#") else new.new_code_cell(c) for c in cells]
    for number, cell in enumerate(made, start=1):
        cell["id"] = f"cell-{number}"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new.new_notebook(cells=made), path)
    return path


_SHOW_HARM = (
    "# Harm\n\nWhat means harm, shown in all ways that there are.",
    "import pipeline\nfrom IPython.display import HTML, Javascript, Latex, Markdown, SVG, display\n"
    "from pipeline.analyze.results import Sentences\n\nstudy = pipeline.open_study()\n"
    f"title = study.issues.loc[study.issues['number'] == {NUMBER}, 'title'].iloc[0]",
    "study.issues.loc[study.issues['title'].str.contains('NaN|cmd'), ['repository', 'title']]",
    "## As HTML of its own\n\nOf which little is kept.",
    "display(HTML(f'<p>{title}</p><style>p {{display: none}}</style><table><tr><th>{title}</th></tr></table>'))\n"
    'display(HTML(\'<iframe src="javascript:parent.ran=8"></iframe><form action=x><button>x</button></form><p onclick="ran=9" '
    'style="color: red">kept</p>\'))',
    "display(Javascript('window.ran = 10'), Latex(title), Markdown(title))",
    'display(SVG(\'<svg xmlns="http://www.w3.org/2000/svg" onload="parent.ran=11"><script>parent.ran=12</script></svg>\'))',
    "print(title)",
    "chart = study.distribution('stage').plot()\nchart.description = title\nchart",
    "Sentences([title, 'The last word.'])",
)
