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
def export_figures(
    venue: Annotated[str | None, typer.Option(help="For print: ieee, acm, springer, lncs or a4; else for a screen.")] = None,
    columns: Annotated[int, typer.Option(help="Over how many columns of the venue's page: 1 or 2.")] = 1,
    figure: Annotated[list[str] | None, typer.Option(help="Only this figure; may be repeated.")] = None,
    grey: Annotated[bool, typer.Option("--grey", help="Without colours.")] = False,
    study: StudyOption = "demo",
    database: DatabaseOption = None,
    folder: FolderOption = None,
) -> None:
    """Draw each figure of a study as PDF and SVG with embedded fonts, sized for a venue; figures.tex has their captions."""
    from pipeline.export.figures import figure_files
    from pipeline.export.venues import layout
    from pipeline.files import write, write_folder
    from pipeline.openstudy import open_study

    room = layout(venue, columns, grey=grey)
    opened = open_study(study, database)
    files = figure_files({name: opened.figure(name, room) for name in figure or opened.figure_names})
    kind = "-".join(["figures", *([venue, str(columns)] if venue else []), *(["grey"] if grey else [])])
    folder = folder or opened.study.build / kind
    if figure:
        made = [folder / name for name in sorted(files) if name != "figures.tex"]
        for path in made:
            write(path, files[path.name])
        name_made(made)
    else:
        name_made_folder(write_folder(folder, files))


@export_app.command("numbers")
def export_numbers(
    check: Annotated[
        list[Path] | None, typer.Option(help="A paper in LaTeX: name its numbers that are no more, and write nothing.")
    ] = None,
    study: StudyOption = "demo",
    database: DatabaseOption = None,
    folder: FolderOption = None,
) -> None:
    """Write every number that a paper's text may quote: numbers.tex, a LaTeX macro each, and numbers.json."""
    from pipeline.export.numbers import check_papers, numbers, to_json, to_latex
    from pipeline.files import write_folder
    from pipeline.openstudy import open_study

    opened = open_study(study, database)
    found = numbers(opened)
    if check:
        for sentence in check_papers(check, found, opened):
            typer.echo(sentence)
    else:
        files = {"numbers.tex": to_latex(opened.study.name, found), "numbers.json": to_json(opened.study.name, found)}
        name_made_folder(write_folder(folder or opened.study.build / "numbers", files))
