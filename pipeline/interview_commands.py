"""The commands for interviews: `redefect interviews propose`. Like `pipeline.cli`, they parse and call."""

import typer

from pipeline.errors import RedefectError
from pipeline.terminal import DatabaseOption, FolderOption, StudyOption, name_made, table_csv

interviews_app = typer.Typer(no_args_is_help=True, help="Interviews and their codings.")


@interviews_app.callback()
def _several() -> None:
    """Keep the name of the only command."""


@interviews_app.command("propose")
def propose(study: StudyOption = "demo", database: DatabaseOption = None, folder: FolderOption = None) -> None:
    """List the turns that the code book's cues propose to code, by reference: no word of an interview is in the list."""
    from pipeline.files import write
    from pipeline.openstudy import open_study

    opened = open_study(study, database)
    if missing := opened.interviews.missing("codings", "turns"):
        raise RedefectError(str(missing))
    found = opened.interviews.proposals()
    path = (folder or opened.study.build) / "proposals.csv"
    write(path, table_csv("proposals", list(found.columns), found.itertuples(index=False, name=None)))
    turns = len(found[["transcript", "turn"]].drop_duplicates())
    typer.echo(f"{len(found)} proposals of themes for {turns} turns")
    name_made([path])
