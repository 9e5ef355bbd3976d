"""The commands for what people read: `redefect notebooks`, `report` and `paper`. Like `pipeline.cli`, they parse and call."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn

from pipeline.errors import RedefectError
from pipeline.terminal import (
    DatabaseOption,
    FolderOption,
    ModelOption,
    StudyOption,
    from_here,
    name_made_folder,
    named_study,
    progress_shown,
)

if TYPE_CHECKING:
    from pipeline.export.notebooks import Watch

NotebooksOption = Annotated[Path | None, typer.Option("--notebooks", help="Their folder; else `notebooks` beside the data.")]


def notebooks(
    study: StudyOption = "demo",
    database: DatabaseOption = None,
    notebooks: NotebooksOption = None,
    folder: FolderOption = None,
) -> None:
    """Execute the notebooks for a study, two at a time; the notebooks themselves stay as they are."""
    import os

    from pipeline.export.notebooks import execute, find_notebooks
    from pipeline.files import write_folder
    from pipeline.openstudy import open_study
    from pipeline.store.session import ENVIRONMENT_VARIABLE

    open_study(study, database)  # else each notebook would say what is missing
    described = named_study(study)
    found = find_notebooks(notebooks or described.root / "notebooks")
    with _watched() as watch:
        files = execute(found, described, database or os.environ.get(ENVIRONMENT_VARIABLE), watch)
    name_made_folder(write_folder(folder or described.build / "notebooks", files))


def report(
    study: StudyOption = "demo",
    database: DatabaseOption = None,
    notebooks: Annotated[
        Path | None, typer.Option("--notebooks", help="Executed ones; else those of `redefect notebooks`.")
    ] = None,
    model: ModelOption = None,
    folder: FolderOption = None,
) -> None:
    """Write a study's report: pages to read from their folder, with the executed notebooks among them."""
    from pipeline.export import report as pages
    from pipeline.export.notebooks import find_notebooks
    from pipeline.files import write_folder
    from pipeline.models import shipped_model
    from pipeline.openstudy import open_study

    place = notebooks or named_study(study).build / "notebooks"
    if not place.is_dir():
        raise RedefectError(f"{from_here(place)}: there is no such folder; run `redefect notebooks --study {study}` first.")
    opened = open_study(study, database)
    executed = {path.name: path.read_bytes() for path in find_notebooks(place)}
    made = write_folder(folder or opened.study.build / "report", pages.report(opened, executed, model or shipped_model()))
    typer.echo(f"made {len(made)} files; open {from_here(made[0].parent / 'index.html')}")


def paper(study: StudyOption = "demo", database: DatabaseOption = None, folder: FolderOption = None) -> None:
    """Write an article with a study's tables, figures and numbers, and make its PDF; needs LaTeX."""
    from pipeline.export import paper as article
    from pipeline.export.typeset import typeset
    from pipeline.files import write_folder
    from pipeline.openstudy import open_study

    opened = open_study(study, database)
    files = article.paper(opened)
    files["article.pdf"] = typeset(files)
    made = write_folder(folder or opened.study.build / "paper", files)
    typer.echo(f"made {len(made)} files; open {from_here(made[0].parent / 'article.pdf')}")


@contextmanager
def _watched() -> Iterator["Watch"]:
    columns = (TextColumn("{task.fields[name]}"), BarColumn(), MofNCompleteColumn(), TextColumn("cells"), TimeElapsedColumn())
    with progress_shown(*columns) as progress:
        task = progress.add_task("notebooks", total=None, name="starting")
        yield lambda name, done, total: progress.update(task, name=name, completed=done, total=total)
