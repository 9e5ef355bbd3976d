"""The commands that write what the store holds to files: `redefect export`. Like `pipeline.cli`, they parse and call."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from pipeline.terminal import DatabaseOption, FolderOption, StudyOption, name_made, name_made_folder, named_study

export_app = typer.Typer(no_args_is_help=True, help="Write what the store holds to files.")


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

    store = Store(database_url(database, named_study(study).database))
    with store.reading() as connection:
        people = None if with_logins else read.people(connection, repository)
        lines = json_lines(read.threads(connection, repository), people)
        if output is None:
            sys.stdout.buffer.writelines(lines)
        else:
            write_pieces(output, lines)
            name_made([output])


@export_app.command("tables")
def export_tables(study: StudyOption = "demo", database: DatabaseOption = None, folder: FolderOption = None) -> None:
    """Write each table of a study as CSV and LaTeX."""
    from pipeline.export.tables import study_tables
    from pipeline.files import write_folder
    from pipeline.openstudy import open_study

    opened = open_study(study, database)
    tables = study_tables(opened)
    files = {f"{t.name}.csv": t.to_csv() for t in tables} | {f"{t.name}.tex": t.to_latex() for t in tables}
    name_made_folder(write_folder(folder or opened.study.build / "tables", files))


@export_app.command("figures")
def export_figures(study: StudyOption = "demo", database: DatabaseOption = None, folder: FolderOption = None) -> None:
    """Draw each figure of a study as SVG and PDF."""
    from pipeline.files import write_folder
    from pipeline.openstudy import open_study

    opened = open_study(study, database)
    charts = {figure.name: opened.figure(figure.name) for figure in opened.study.figures}
    files = {f"{name}.{form}": chart.to_bytes(form) for name, chart in charts.items() for form in ("svg", "pdf")}
    name_made_folder(write_folder(folder or opened.study.build / "figures", files))
