"""The commands for data packages (`redefect dataset`, `import package`, `rehydrate`). They parse, call and print."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from pipeline.terminal import (
    ERR,
    DatabaseOption,
    FolderOption,
    StudyOption,
    from_here,
    name_made,
    named_study,
    print_crawl,
    print_plan,
    print_rows,
    table_csv,
)

if TYPE_CHECKING:
    from pipeline.package_import import ImportedPackage
    from pipeline.study import Study

RootOption = Annotated[Path | None, typer.Option("--folder", help="The folder to make; else data/packages/NAME.")]
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
    if with_text and not described.fictional:
        ERR.print(Text(_WARNING))
    name_made(made)


def import_package(
    package: Annotated[Path, typer.Argument(help="A data package: its .zip, or its folder.")],
    folder: RootOption = None,
    database: DatabaseOption = None,
) -> None:
    """Import a data package into an empty store and a folder of its own, after checking everything in it; all or nothing."""
    imported = _import(package, folder, database)
    typer.echo(f"Go on with: redefect findings --study {from_here(imported.study.path)}")


def rehydrate(
    package: Annotated[str, typer.Argument(help="A data package (.zip or folder), or the folder of an imported one.")],
    folder: RootOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and its price, and fetch no issue.")] = False,
    archive: Annotated[Path | None, typer.Option(help="A folder to keep each answer in, as it came.")] = None,
    from_archive: Annotated[Path | None, typer.Option(help="Take the answers from such a folder, without the network.")] = None,
    first_wait: Annotated[float, typer.Option(min=0.001, help="Seconds to wait after a failure; doubles each time.")] = 1.0,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for an answer.")] = 60.0,
    database: DatabaseOption = None,
) -> None:
    """Fetch the texts of the issues that a data package names from GitHub into its store; run again, it goes on.

    A package that is not imported yet is imported first. Tokens and the API's address come from the environment, as for
    `redefect collect`.
    """
    from pipeline.collect.github.archive import Archive
    from pipeline.collect.github.budget import tokens_from
    from pipeline.collect.github.client import ADDRESS_VARIABLE, DEFAULT_ADDRESS, Client, Patience
    from pipeline.crawling import Crawl
    from pipeline.files import write
    from pipeline.intake import rebuild
    from pipeline.progress import watched
    from pipeline.rehydrating import counts, outcome, references, wish_for
    from pipeline.store.session import Store, database_url

    study = _study_of(package, folder, database)
    named = references(study)
    store = Store(database_url(database, study.database))
    places: dict[str, str] = {}
    if from_archive is not None:
        typer.echo(f"{rebuild(store, from_archive)} answers stored from {from_archive}.")
    else:
        with watched(ERR) as watch:
            patience = Patience(first_wait=first_wait, read=timeout)
            client = Client(os.environ.get(ADDRESS_VARIABLE) or DEFAULT_ADDRESS, tokens_from(os.environ), patience, watch)
            if not client.has_token:
                ERR.print(Text("No token: GitHub answers 60 requests an hour, and nothing by GraphQL."))
            crawl = Crawl(store, study, client, archive=Archive(archive) if archive else None, watch=watch)
            if dry_run:
                print_plan(crawl.plan(wish_for(named)))
                typer.echo(f"Nothing fetched; {client.requests} requests sent to learn the numbers.")
                return
            report = crawl.run(wish_for(named), print_plan)
            places = report.places
            client.close()
        print_crawl(report)
    became = outcome(store, study, named, places)
    store.close()
    print_rows(f"Rehydrated: {study.title}", ["issues of the package", ""], list(counts(became).items()))
    typer.echo(
        "The store now holds people's logins and words as they are on the tracker: keep it to yourself. Exports pseudonymise."
    )
    path = study.build / "rehydrated.csv"
    columns = ["repository", "number", "status", "why"]
    write(path, table_csv("rehydrated", columns, [(b.issue.repository, b.issue.number, b.status, b.why) for b in became]))
    name_made([path])


def _study_of(package: str, folder: Path | None, database: str | None) -> "Study":
    """Return the study of what is given: of a package after importing it, of an imported one as it is."""
    from pipeline.collect.packages import SUMS
    from pipeline.package_import import imported_study
    from pipeline.study import find_study, read_study

    path = Path(package)
    if package.endswith(".toml") or not path.exists():
        return read_study(find_study(package))
    if path.is_dir() and not (path / SUMS).is_file():
        return imported_study(path)
    return _import(path, folder, database).study


def _import(package: Path, folder: Path | None, database: str | None) -> "ImportedPackage":
    from pipeline.package_import import import_package as import_
    from pipeline.store.session import ENVIRONMENT_VARIABLE

    imported = import_(package, folder, database or os.environ.get(ENVIRONMENT_VARIABLE))
    print_rows(f"Imported: {imported.name}", ["table", "rows"], list(imported.rows.items()))
    typer.echo(f"made {from_here(imported.study.root)}")
    return imported
