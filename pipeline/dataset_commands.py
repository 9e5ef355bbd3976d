"""The commands for data packages. Like `pipeline.cli`, they parse and call."""

from typing import Annotated

import typer
from rich.text import Text

from pipeline.terminal import ERR, DatabaseOption, FolderOption, StudyOption, name_made, named_study

WithTextOption = Annotated[bool, typer.Option("--with-text", help="Also what people wrote: not to be passed on.")]

_WARNING = (
    "Warning: this package holds texts that other people wrote. They are their authors' work, which nobody but them can license, "
    "and may be personal data. Names, addresses and secrets in them were replaced as far as programs find them, which is best "
    "effort. Keep it to yourself, and publish the package without texts; its LICENSES.md says more."
)


def dataset(
    study: StudyOption = "demo",
    with_text: WithTextOption = False,
    database: DatabaseOption = None,
    folder: FolderOption = None,
) -> None:
    """Write a study's data package, folder and archive: tables, metadata, data sheet, sums; without texts of issues."""
    from pipeline.packaging import make_package, write_package
    from pipeline.store.session import Store, database_url

    described = named_study(study)
    store = Store(database_url(database, described.database))
    facts, files = make_package(store, described, with_text=with_text)
    store.close()
    made = write_package(folder or described.build / "dataset", facts, files)
    if with_text:
        ERR.print(Text(_WARNING))
    name_made(made)
