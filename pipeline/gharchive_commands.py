"""The commands about GH Archive: `redefect collect gharchive`, `survey`, `replica gharchive`. They parse and call."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from pipeline.terminal import (
    DatabaseOption,
    ModelOption,
    StudyOption,
    from_here,
    name_made,
    named_study,
    print_rows,
    progress_shown,
    table_csv,
)

if TYPE_CHECKING:
    from pipeline.collect.gharchive.files import Hour
    from pipeline.collect.gharchive.manifest import HourRecord
    from pipeline.facts import Flaw
    from pipeline.thread import Thread

FromOption = Annotated[str, typer.Option("--from", help="The first month (2021-01) or day (2021-01-31).")]
ToOption = Annotated[str, typer.Option("--to", help="The last month or day.")]
JobsOption = Annotated[int, typer.Option(min=1, help="How many processes to work in.")]

_COLUMNS = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())


def collect_gharchive(
    begin: FromOption,
    end: ToOption,
    repositories: Annotated[
        Path | None, typer.Option(help="A file of repositories (owner/name), one a line, to store instead of the study's.")
    ] = None,
    folder: Annotated[Path | None, typer.Option(help="A folder of hourly files; else they are fetched.")] = None,
    url: Annotated[str | None, typer.Option(help="Where to fetch hourly files; else from GH Archive.")] = None,
    output: Annotated[Path | None, typer.Option(help="The folder of the events; else gharchive below the study's build.")] = None,
    jobs: JobsOption = 2,
    first_wait: Annotated[float, typer.Option(min=0.001, help="Seconds to wait after a failure; doubles each time.")] = 1.0,
    study: StudyOption = "demo",
    database: DatabaseOption = None,
) -> None:
    """Collect all issue events of a period from GH Archive as Parquet, and store the threads of a study's repositories.

    The same command goes on where it was stopped. What is amiss is listed in flaws.csv beside the events.
    """
    from pipeline.collect.gharchive.collection import collect_hours
    from pipeline.collect.gharchive.files import ADDRESS, Folder, Server, hours_between
    from pipeline.documents import read_text
    from pipeline.errors import RedefectError
    from pipeline.files import write
    from pipeline.gharchiving import repository_names, store_threads
    from pipeline.store.session import Store, database_url

    if folder is not None and url is not None:
        raise RedefectError("Give a folder of hourly files or where to fetch them, not both.")
    if folder is not None and not folder.is_dir():
        raise RedefectError(f"{folder}: there is no such folder.")
    described = named_study(study)
    hours = hours_between(begin, end)
    names = (
        [repository.name for repository in described.repositories]
        if repositories is None
        else repository_names(read_text(repositories), str(repositories))
    )
    events = output or described.build / "gharchive"
    source = Folder(folder) if folder is not None else Server(url or ADDRESS, events / "incoming", first_wait=first_wait)
    with _shown(hours) as watch:
        report = collect_hours(events, hours, source, jobs, watch)
    store = Store(database_url(database, described.database))
    stored = store_threads(store, events, names)
    store.close()
    _print_flaws(report.flaws)
    print_rows(
        f"GH Archive, {hours[0].name} to {hours[-1].name}",
        ["what", "number"],
        [
            ("hours", f"{report.hours:,}"), ("read this time", f"{report.read:,}"), ("bytes", f"{report.bytes:,}"),
            ("bytes unpacked", f"{report.unpacked:,}"), ("events", f"{report.lines:,}"),
            ("events of issues", f"{report.events:,}"), ("repeated in a month", f"{report.repeated:,}"),
            ("malformed", f"{report.malformed:,}"),
        ],
    )  # fmt: skip
    if stored.places:
        print_rows("What is not there, or elsewhere", ["repository", "why"], sorted(stored.places.items()))
    print_rows(
        "Threads of the listed repositories",
        ["what", "number"],
        [
            ("new", stored.threads.added), ("changed", stored.threads.changed), ("unchanged", stored.threads.unchanged),
            ("whose comments are not all known", stored.incomplete), ("older than the store's, left out", stored.older),
            ("pull requests, left out", stored.pull_requests), ("deleted", stored.deleted), ("transferred", stored.transferred),
            ("without a text", stored.untitled),
        ],
    )  # fmt: skip
    flaws = events / "flaws.csv"
    rows = [(f.source, f.where, f.what, f.done) for f in report.flaws]
    write(flaws, table_csv("flaws", ["source", "where", "what", "done"], rows))
    name_made([events / "manifest.jsonl", flaws])


def survey(
    events: Annotated[Path | None, typer.Argument(help="The folder of collected events; else that of the study's build.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The folder to write to; else survey beside the events.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="A Dask cluster's scheduler, tcp://host:8786; else a cluster is started on this machine.")
    ] = None,
    no_dask: Annotated[bool, typer.Option("--no-dask", help="Work without Dask, in processes of this machine.")] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="How many processes of this machine work; else as many as it has processors.")
    ] = None,
    study: StudyOption = "demo",
    model: ModelOption = None,
) -> None:
    """Rebuild, clean, label and count all threads of collected events, on this machine or on a Dask cluster.

    The results are the same bytes wherever they are computed. The same command goes on where it was stopped.
    """
    from pipeline.analyze.clustered import ALL
    from pipeline.engines import local_cluster, processes, running_cluster
    from pipeline.errors import RedefectError
    from pipeline.files import sha256, write
    from pipeline.models import shipped_model
    from pipeline.numerals import interval_text, written
    from pipeline.processes import processors
    from pipeline.surveying import Survey, survey_all

    if scheduler is not None and (no_dask or workers is not None):
        raise RedefectError("A scheduler has its own workers: give it alone, without --no-dask and --workers.")
    folder = (events or named_study(study).build / "gharchive").absolute()
    path = (model or shipped_model()).absolute()
    wanted = Survey(folder, (output or folder.parent / "survey").absolute(), path, sha256(path))
    if scheduler is not None:
        engine = running_cluster(scheduler, wanted.amiss)
    else:
        engine = (processes if no_dask else local_cluster)(workers or processors())
    with engine as at_work, progress_shown(*_COLUMNS) as progress:
        task = progress.add_task("partitions", total=None)
        report = survey_all(wanted, at_work, lambda total: progress.update(task, total=total, advance=1))
    shares = report.shares
    made = wanted.output / "shares.csv"
    write(made, table_csv("shares", list(shares.columns), shares.itertuples(index=False, name=None)))
    whole = shares[shares["period"] == ALL].drop(columns="period")
    kept = sum(part.kept for part in report.parts)
    print_rows(
        f"Surveyed: {sum(part.threads for part in report.parts):,} threads in {len(report.parts)} partitions"
        + (f", {kept} of them kept from before" if kept else ""),
        ["facet", "category", "threads", "of", "repositories", "share", "95 % interval"],
        [
            (facet, category, f"{threads:,}", f"{of:,}", f"{repositories:,}", f"{written(share, 'share')} %",
             interval_text(low, high, "share"))
            for facet, category, threads, of, repositories, _, share, low, high in whole.itertuples(index=False, name=None)
        ],
    )  # fmt: skip
    name_made([made, wanted.output / "manifest.json"])


def replica_gharchive(
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write hourly files to.")],
    begin: FromOption,
    end: ToOption,
    threads: Annotated[Path | None, typer.Argument(help="A .jsonl file, a folder of them, or Denchmark's.")] = None,
    database: Annotated[str | None, typer.Option(help="A store whose threads to take instead.")] = None,
    copies: Annotated[int, typer.Option(min=1, help="How many times to write them, under other owners.")] = 1,
    seed: Annotated[int, typer.Option(help="The seed of all that is random.")] = 2011,
    issue_share: Annotated[float, typer.Option(min=0.001, max=1, help="The share of events that are of issues.")] = 0.12,
    without: Annotated[list[str] | None, typer.Option(help="A flaw to leave out, or all, or lossy; may be repeated.")] = None,
    jobs: JobsOption = 2,
) -> None:
    """Write threads as hourly files of GH Archive, with the flaws of the real ones."""
    import tempfile

    from pipeline.collect.gharchive.files import hours_between
    from pipeline.errors import RedefectError
    from pipeline.importing import read_threads
    from pipeline.replica.gharchive import FLAWS, LOSSY, Flaws, write_archive
    from pipeline.store import read
    from pipeline.store.session import Store

    if (threads is None) == (database is None):
        raise RedefectError("Give what to write: a file or folder of threads, or a store by --database.")
    left_out = set(without or ())
    if unknown := left_out - {*FLAWS, "all", "lossy"}:
        raise RedefectError(f"There is no flaw '{sorted(unknown)[0]}'; give one of: all, lossy, {', '.join(FLAWS)}.")
    flaws = Flaws.none() if "all" in left_out else Flaws().without(*left_out, *(LOSSY if "lossy" in left_out else ()))
    hours = hours_between(begin, end)
    output.mkdir(parents=True, exist_ok=True)

    def write_all(found: Iterable["Thread"]) -> None:
        with tempfile.TemporaryDirectory(dir=output, prefix=".spool") as spool:
            made = write_archive(
                found, output, hours[0].time, len(hours), spool=Path(spool), copies=copies, seed=seed, issue_share=issue_share,
                flaws=flaws, jobs=jobs,
            )  # fmt: skip
        typer.echo(
            f"{made.threads:,} threads in {made.issue_events:,} of {made.events:,} events; {made.files:,} files, "
            f"{made.bytes:,} bytes."
        )
        typer.echo(f"made {from_here(output)}")

    if database is not None:
        with Store(database).reading() as connection:
            write_all(read.threads(connection))
    elif threads is not None:
        write_all(read_threads(threads, lambda _: None))


def _print_flaws(flaws: list["Flaw"]) -> None:
    most = 20
    if flaws:
        print_rows("Flaws found", ["where", "what", "done"], [(f.where, f.what, f.done) for f in flaws[:most]])
    if len(flaws) > most:
        typer.echo(f"and {len(flaws) - most} more, all in flaws.csv.")


@contextmanager
def _shown(hours: list["Hour"]) -> Iterator[Callable[["HourRecord"], None]]:
    with progress_shown(*_COLUMNS) as progress:
        task = progress.add_task(hours[0].name, total=len(hours))

        def watch(record: "HourRecord") -> None:
            progress.update(task, advance=1, description=record.file)

        yield watch
