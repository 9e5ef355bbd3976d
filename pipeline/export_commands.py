"""The commands that write what the store holds to files: `redefect export`. Like `pipeline.cli`, they parse and call."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import RedefectError
from pipeline.terminal import (
    DatabaseOption,
    FolderOption,
    StudyOption,
    from_here,
    name_made,
    name_made_folder,
    named_study,
    print_rows,
)

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


class TableFormat(StrEnum):
    """The formats of tables."""

    LATEX = "latex"
    CSV = "csv"
    MARKDOWN = "markdown"
    HTML = "html"
    EXCEL = "excel"
    PARQUET = "parquet"


_BINARY = (TableFormat.EXCEL, TableFormat.PARQUET)


@export_app.command("table")
def export_table(
    name: Annotated[str | None, typer.Argument(help="Its name; without one, all names are listed.")] = None,
    format_: Annotated[
        TableFormat | None, typer.Option("--format", "-f", help="Else what the ending of --output says, or Markdown.")
    ] = None,
    columns: Annotated[
        str, typer.Option(metavar="A,B", help="Columns to keep, in this order; `title` shows titles of issues.")
    ] = "",
    where: Annotated[
        list[str] | None, typer.Option(metavar="A=X", help="Rows to keep; of one column, several values are alternatives.")
    ] = None,
    sort: Annotated[str, typer.Option(metavar="A,-B", help="Columns to sort by; with -, from the largest.")] = "",
    by: Annotated[str, typer.Option(metavar="A,B", help="Columns whose values become headings between rows.")] = "",
    rows: Annotated[int | None, typer.Option(min=1, help="How many rows to keep.")] = None,
    rename: Annotated[list[str] | None, typer.Option(metavar="A=TEXT", help="What to print over a column.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The file to write; else standard output.")] = None,
    study: StudyOption = "demo",
    database: DatabaseOption = None,
) -> None:
    """Write one table of a study, whole or a choice of its rows and columns; without a name, list all tables.

    CSV and Parquet hold values as they are, under names for programs; the other formats are for people.
    """
    from pipeline.export.latex import STYLE_FILE, style_file
    from pipeline.export.table import EXTENSIONS
    from pipeline.export.tables import study_table, study_tables
    from pipeline.files import write
    from pipeline.openstudy import open_study

    opened = open_study(study, database)
    if name is None:
        tables = study_tables(opened)
        print_rows("Tables", ["Name", "Rows", "Caption"], [(table.name, len(table.frame), table.caption) for table in tables])
        return
    endings = {f".{ending}": TableFormat(form) for form, ending in EXTENSIONS.items()}
    chosen = format_ or (TableFormat.MARKDOWN if output is None else endings.get(output.suffix.lower()))
    if chosen is None:
        raise RedefectError(f"{output}: its ending tells no format of tables ({', '.join(endings)}); say which by --format.")
    if output is None and chosen in _BINARY and sys.stdout.isatty():
        raise RedefectError(f"A terminal cannot show {chosen.value}; name a file by --output.")
    asked = [_names(option) for option in (columns, sort, by)]
    titled = any(option.removeprefix("-").casefold() == "title" for options in asked for option in options)
    titled = titled or any(condition.casefold().startswith("title=") for condition in where or ())
    table = study_table(opened, name, titles=titled).in_form(chosen.value)
    wanted, order, groups = asked
    made = table.select(wanted, where or (), order, groups, rows, rename or ()).to_bytes(chosen.value)
    if output is None:
        sys.stdout.buffer.write(made)
        return
    write(output, made)
    beside = [output.with_name(STYLE_FILE)] if chosen is TableFormat.LATEX else []
    for path in beside:
        write(path, style_file())
    name_made([output, *beside])


@export_app.command("tables")
def export_tables(
    format_: Annotated[
        list[TableFormat] | None, typer.Option("--format", "-f", help="May be repeated; by default all formats.")
    ] = None,
    study: StudyOption = "demo",
    database: DatabaseOption = None,
    folder: FolderOption = None,
) -> None:
    """Write each table of a study in each format."""
    from pipeline.export.table import files
    from pipeline.export.tables import study_tables
    from pipeline.files import write_folder
    from pipeline.openstudy import open_study

    opened = open_study(study, database)
    tables = study_tables(opened)
    made = files(tables, [form.value for form in format_ or TableFormat])
    paths = write_folder(folder or opened.study.build / "tables", made)
    kinds = ", ".join(sorted({path.suffix.removeprefix(".") for path in paths}))
    typer.echo(f"made {from_here(paths[0].parent)}: {len(tables)} tables as {kinds}")


def _names(option: str) -> list[str]:
    return [name.strip() for name in option.split(",") if name.strip()]


@export_app.command("figures")
def export_figures(
    venue: Annotated[
        str | None, typer.Option(help="For print: ieee, acm, springer, springer-small, lncs or a4; else for a screen.")
    ] = None,
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
