"""What commands share: their options, and how they print and name what they made."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, ProgressColumn
from rich.table import Table as RichTable
from rich.text import Text

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.collect.github.plan import Step
    from pipeline.crawling import CrawlReport
    from pipeline.study import Study

OUT = Console(soft_wrap=True) if sys.stdout.isatty() else Console(width=200)
ERR = Console(stderr=True, soft_wrap=True)

StudyOption = Annotated[str, typer.Option("--study", "-s", help="A study of data/studies, or the path of a study file.")]
DatabaseOption = Annotated[
    str | None,
    typer.Option("--database", help="SQLAlchemy URL or SQLite file; else REDEFECT_DATABASE, else the study's own file."),
]
ModelOption = Annotated[Path | None, typer.Option("--model", help="A model file; else the one in data/models.")]
FolderOption = Annotated[Path | None, typer.Option("--folder", help="Where to write; else a folder of its own below data/build.")]


def named_study(name: str) -> "Study":
    """Read the study of a name, or of a file's path."""
    from pipeline.study import find_study, read_study

    return read_study(find_study(name))


@contextmanager
def progress_shown(*columns: ProgressColumn) -> Iterator[Progress]:
    """Give a display of progress that shows itself on a terminal and goes when it is done.

    Elsewhere it is never started: some versions of rich end even one that is disabled with an empty line.
    """
    progress = Progress(*columns, console=ERR, disable=not ERR.is_terminal, transient=True)
    if not ERR.is_terminal:
        yield progress
        return
    with progress:
        yield progress


def print_frame(title: str, frame: "pd.DataFrame") -> None:
    """Print a frame whose cells are as they are to be shown."""
    print_rows(
        title,
        [str(c) for c in frame.columns],
        [tuple(str(cell) for cell in row) for row in frame.itertuples(index=False)],
    )


def print_rows(title: str, columns: list[str], rows: Iterable[tuple[Any, ...]]) -> None:
    """Print rows as a table; nothing in them is taken for markup."""
    table = RichTable(title=Text(title), title_justify="left")
    for column in columns:
        table.add_column(Text(column), overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    OUT.print(table)


def print_plan(steps: list["Step"]) -> None:
    """Print what a crawl is to do, and its price."""
    if steps:
        print_rows(
            f"Plan: {sum(step.requests or 0 for step in steps):,} requests",
            ["repository", "what", "how", "requests", "points", "otherwise"],
            [
                (
                    s.repository, s.what, s.how, "not known yet" if s.requests is None else s.requests,
                    "" if s.points is None else s.points, ", ".join(f"{how}: {price}" for how, price in sorted(s.others.items())),
                )
                for s in steps
            ],
        )  # fmt: skip


def print_crawl(report: "CrawlReport") -> None:
    """Print what a crawl met and brought."""
    if report.incidents:
        print_rows(
            "What went wrong on the way",
            ["what", "done", "times"],
            [(what, done, times) for (what, done), times in sorted(report.incidents.items())],
        )
    if report.places:
        print_rows("What is not there, or elsewhere", ["what", "why"], sorted(report.places.items()))
    print_rows(
        "Crawled",
        ["repository", "issues in the store", "threads wanted", "threads complete", "comments"],
        [(r.repository, r.issues, r.wanted, r.complete, r.comments) for r in report.repositories],
    )
    typer.echo(
        f"{report.requests:,} requests sent, {report.expected:,} expected by the plan; {report.changed:,} issues and comments "
        "new or changed."
    )


def table_csv(name: str, columns: list[str], rows: Iterable[tuple[Any, ...]]) -> bytes:
    """Return rows as a CSV file, safe to open in a spreadsheet."""
    import pandas as pd

    from pipeline.export.table import Table

    return Table(name, "", pd.DataFrame(rows, columns=columns).convert_dtypes()).to_bytes("csv")


def name_made(paths: list[Path]) -> None:
    """Name the files that a command made."""
    for path in paths:
        typer.echo(f"made {from_here(path)}")


def name_made_folder(paths: list[Path]) -> None:
    """Name the files that a command made in one folder."""
    if paths:
        typer.echo(f"made {from_here(paths[0].parent)}: {', '.join(path.name for path in paths)}")


def from_here(path: Path) -> str:
    """Write a path as it is from the current folder, if it is below it."""
    path = path.absolute()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
