"""The command `redefect`: parses, calls the stages, prints. Decides nothing.

Each command imports its stage when it runs, so that none pays for another's libraries.
"""

import gc
import os
import re
import signal
import sys
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table as RichTable
from rich.text import Text

from pipeline import __version__
from pipeline.errors import RedefectError

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.facts import ImportReport
    from pipeline.selecting import SelectionReport
    from pipeline.selection import Step
    from pipeline.study import Study
    from pipeline.thread import Thread

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="From issue trackers to the tables of a paper.")
import_app = typer.Typer(no_args_is_help=True, help="Bring issues and labels into the store, all or nothing.")
select_app = typer.Typer(no_args_is_help=True, help="Draw what to label from what the store holds.")
export_app = typer.Typer(no_args_is_help=True, help="Write what the store holds to files.")
app.add_typer(import_app, name="import")
app.add_typer(select_app, name="select")
app.add_typer(export_app, name="export")

_OUT = Console(soft_wrap=True) if sys.stdout.isatty() else Console(width=200)
_ERR = Console(stderr=True, soft_wrap=True)

StudyOption = Annotated[str, typer.Option("--study", "-s", help="A study of data/studies, or the path of a study file.")]
DatabaseOption = Annotated[
    str | None,
    typer.Option("--database", help="SQLAlchemy URL or SQLite file; else REDEFECT_DATABASE, else the study's own file."),
]
FolderOption = Annotated[Path | None, typer.Option("--folder", help="Where to write; else a folder of its own below data/build.")]


def main() -> None:
    """Run the command line; a failure is one sentence on standard error and a non-zero exit, never a traceback."""
    signal.signal(signal.SIGINT, _stop)
    try:
        app()
    except RedefectError as error:
        _fail(str(error), 1)
    except _StoppedError:
        _fail("Stopped; what was stored before is as it was.", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        if os.environ.get("REDEFECT_DEBUG"):
            traceback.print_exc()
        words = f"{type(error).__name__}: {error}".splitlines()[0]
        _fail(f"This should not happen ({words}). Please report it, with what REDEFECT_DEBUG=1 prints.", 70)


class _StoppedError(BaseException):
    """Ctrl-C, under a name that the library for command lines does not take for its own."""


def _stop(_signal: int, _frame: object) -> None:
    raise _StoppedError


def _fail(sentence: str, code: int) -> None:
    _ERR.print(Text(f"redefect: {sentence}"))
    sys.exit(code)


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command("study-data")
def study_data(
    study: StudyOption = "cv-reengineering",
    base_url: Annotated[str | None, typer.Option(help="A mirror to fetch from instead.")] = None,
) -> None:
    """Fetch a study's published data, or take it from the folder in REDEFECT_STUDY_DATA; checked by SHA-256."""
    from pipeline.collect.download import LOCAL_FOLDER_VARIABLE, fetch_study_data

    folder = os.environ.get(LOCAL_FOLDER_VARIABLE)
    fetch_study_data(_read_study(study), Path(folder) if folder else None, typer.echo, base_url)


@import_app.command("study")
def import_study_(study: StudyOption = "demo", database: DatabaseOption = None) -> None:
    """Import all sources of a study, and write what was amiss in them to flaws.csv."""
    from pipeline.files import write
    from pipeline.importing import import_study, study_inputs
    from pipeline.store.session import Store, database_url

    described = _read_study(study)
    store = Store(database_url(database, described.database))
    report = import_study(store, described, _progress)
    store.close()
    if described.reference.findings:
        from pipeline.openstudy import open_study

        report.flaws += open_study(str(described.path), database).agreement_flaws()
    _print_report(report, f"Imported: {described.title}")
    flaws = described.build / "flaws.csv"
    write(flaws, _flaws_csv(report))
    inputs = [re.sub(r"([\\ #%:])", r"\\\1", _from_here(path)).replace("$", "$$") for path in study_inputs(described)]
    rule = f"{_from_here(flaws)}: {' '.join(inputs)}\n\n" + "".join(f"{path}:\n" for path in inputs)
    write(described.build / "inputs.mk", rule.encode())
    _made([flaws])


@import_app.command("threads")
def import_threads_(
    path: Annotated[Path, typer.Argument(help="A .jsonl file, a folder of them, Denchmark's .tar.xz or its folder.")],
    name: Annotated[str | None, typer.Option(help="What to call the source; else the file's name.")] = None,
    study: StudyOption = "demo",
    database: DatabaseOption = None,
) -> None:
    """Import issue threads into a study's store."""
    from pipeline.importing import import_threads
    from pipeline.store.session import Store, database_url

    store = Store(database_url(database, _read_study(study).database))
    report = import_threads(store, path, name or path.name.partition(".")[0], _progress)
    store.close()
    _print_report(report, f"Imported: {path.name}")


@select_app.command("issues")
def select_issues_(
    study: StudyOption = "demo",
    database: DatabaseOption = None,
    repository: Annotated[
        list[str] | None,
        typer.Option(help="Only try it on this repository (owner/name), storing nothing; may be repeated."),
    ] = None,
    margin: Annotated[float, typer.Option(help="The margin of error to give sample sizes for.")] = 0.05,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The file to write; else one below data/build.")] = None,
) -> None:
    """Draw a study's sample by the criteria of its file, store it, and write why each issue is in it."""
    from pipeline.files import write
    from pipeline.selecting import select_sample
    from pipeline.store.session import Store, database_url

    described = _read_study(study)
    store = Store(database_url(database, described.database))
    report = select_sample(store, described, margin, repository or ())
    store.close()
    _print_rows(
        f"Selected: {described.title}",
        ["criterion", "issues", "repositories", "dropped", "unknown"],
        [
            (s.criterion, s.issues, s.repositories, "" if s.dropped is None else s.dropped, _unknown(s))
            for s in report.drawn.steps
        ],
    )
    _print_rows(
        f"Sample sizes of a random draw, margin {margin:.1%}",
        ["stratum", "population", "drawn", "needed", "margin reached"],
        [(s.stratum, s.population, s.drawn, s.needed, f"{s.margin:.1%}" if s.drawn else "") for s in report.sizes],
    )
    if report.missing:
        typer.echo(f"No issue in the store of {', '.join(report.missing)}.")
    typer.echo("Nothing stored: a trial." if report.changed is None else f"{report.changed} rows changed.")
    table = output or report.file
    write(table, _sample_csv(report))
    _made([table])


@export_app.command("threads")
def export_threads(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The file to write; else standard output.")] = None,
    repository: Annotated[list[str] | None, typer.Option(help="Only this repository (owner/name); may be repeated.")] = None,
    with_logins: Annotated[bool, typer.Option(help="Keep people's logins, for a copy that stays with you.")] = False,
    study: StudyOption = "demo",
    database: DatabaseOption = None,
) -> None:
    """Write issue threads as JSON lines, people's logins replaced by pseudonyms."""
    from pipeline.export.threads import json_lines
    from pipeline.files import write_pieces
    from pipeline.store import read
    from pipeline.store.session import Store, database_url

    store = Store(database_url(database, _read_study(study).database))
    with store.reading() as connection:
        people = None if with_logins else read.people(connection, repository)
        lines = json_lines(read.threads(connection, repository), people)
        if output is None:
            sys.stdout.buffer.writelines(lines)
        else:
            write_pieces(output, lines)
            _made([output])


@export_app.command("tables")
def export_tables(study: StudyOption = "demo", database: DatabaseOption = None, folder: FolderOption = None) -> None:
    """Write each table of a study as CSV and LaTeX."""
    from pipeline.export.tables import study_tables
    from pipeline.files import write_folder
    from pipeline.openstudy import open_study

    opened = open_study(study, database)
    tables = study_tables(opened)
    files = {f"{t.name}.csv": t.to_csv() for t in tables} | {f"{t.name}.tex": t.to_latex() for t in tables}
    _made_folder(write_folder(folder or opened.study.build / "tables", files))


@export_app.command("figures")
def export_figures(study: StudyOption = "demo", database: DatabaseOption = None, folder: FolderOption = None) -> None:
    """Draw each figure of a study as SVG and PDF."""
    from pipeline.files import write_folder
    from pipeline.openstudy import open_study

    opened = open_study(study, database)
    charts = {figure.name: opened.figure(figure.name) for figure in opened.study.figures}
    files = {f"{name}.{form}": chart.to_bytes(form) for name, chart in charts.items() for form in ("svg", "pdf")}
    _made_folder(write_folder(folder or opened.study.build / "figures", files))


@app.command("findings")
def findings(study: StudyOption = "demo", database: DatabaseOption = None) -> None:
    """Print published findings beside those reproduced; exit with 1 when one that must hold does not."""
    from pipeline.analyze.findings import broken
    from pipeline.export.tables import findings_shown
    from pipeline.openstudy import open_study

    opened = open_study(study, database)
    table = opened.findings()
    _print_frame(opened.study.title, findings_shown(table))
    if opened.study.reference.figures:
        cells = opened.figure_cells()
        same = int((cells["difference"] == 0).sum())
        _print_frame(f"Figures: {same} of {len(cells)} cells equal; differences:", opened.figure_differences())
    if failed := broken(table):
        raise RedefectError(f"{len(failed)} of the findings that must hold do not: {', '.join(failed)}.")


def _read_study(name: str) -> "Study":
    from pipeline.study import find_study, read_study

    return read_study(find_study(name))


def _progress(threads: Iterable["Thread"]) -> Iterator["Thread"]:
    gc.freeze()  # the modules loaded by now live as long as the process: collecting garbage among threads need not visit them
    columns = (
        SpinnerColumn(),
        TextColumn("{task.completed} threads, now {task.fields[repository]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=_ERR, disable=not _ERR.is_terminal, transient=True) as progress:
        task = progress.add_task("import", total=None, repository="")
        for count, thread in enumerate(threads, start=1):
            if count % 200 == 0:
                progress.update(task, completed=count, repository=thread.repository)
            yield thread


def _print_report(report: "ImportReport", title: str) -> None:
    if report.flaws:
        _print_rows(
            "Flaws found",
            ["source", "where", "what", "done"],
            [(f.source, f.where, f.what, f.done) for f in report.flaws],
        )
    _print_rows(
        title,
        ["source", "what", "read", "stored"],
        [(c.source, c.what, str(c.read), str(c.stored)) for c in report.counts],
    )
    typer.echo(f"{report.changed} rows changed; {len(report.flaws)} flaws found.")


def _print_frame(title: str, frame: "pd.DataFrame") -> None:
    _print_rows(
        title,
        [str(c) for c in frame.columns],
        [tuple(str(cell) for cell in row) for row in frame.itertuples(index=False)],
    )


def _print_rows(title: str, columns: list[str], rows: Iterable[tuple[Any, ...]]) -> None:
    table = RichTable(title=Text(title), title_justify="left")
    for column in columns:
        table.add_column(Text(column), overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    _OUT.print(table)


def _flaws_csv(report: "ImportReport") -> bytes:
    import pandas as pd

    from pipeline.export.tables import Table

    rows = [(flaw.source, flaw.where, flaw.what, flaw.done) for flaw in report.flaws]
    return Table("flaws", "", pd.DataFrame(rows, columns=["source", "where", "what", "done"])).to_csv()


def _unknown(step: "Step") -> str:
    if not step.unknown:
        return ""
    what = "kept" if step.unknown_kept else "not drawn" if step.dropped is None else "dropped"
    return f"{step.unknown} ({what})"


def _sample_csv(report: "SelectionReport") -> bytes:
    import pandas as pd

    from pipeline.export.tables import Table

    rows = [(d.issue.repository, d.issue.number, d.issue.url, d.rule, d.stratum, d.seed, d.why) for d in report.drawn.sample]
    frame = pd.DataFrame(rows, columns=["repository", "number", "url", "rule", "stratum", "seed", "why"])
    frame["seed"] = frame["seed"].astype("Int64")
    return Table("sample", "", frame).to_csv()


def _made(paths: list[Path]) -> None:
    for path in paths:
        typer.echo(f"made {_from_here(path)}")


def _made_folder(paths: list[Path]) -> None:
    if paths:
        typer.echo(f"made {_from_here(paths[0].parent)}: {', '.join(path.name for path in paths)}")


def _from_here(path: Path) -> str:
    """Write a path as it is from the current folder, if it is below it."""
    path = path.absolute()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


if __name__ == "__main__":
    main()
