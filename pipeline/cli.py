"""The command `redefect`: parses, calls the stages, prints. Decides nothing.

Each command imports its stage when it runs, so that none pays for another's libraries.
"""

import gc
import json
import os
import re
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from pipeline import __version__
from pipeline.annotate_commands import agreement, annotate_app, codebook, label_errors
from pipeline.errors import RedefectError
from pipeline.export_commands import export_app
from pipeline.gharchive_commands import collect_gharchive, replica_gharchive, survey
from pipeline.interview_commands import interviews_app
from pipeline.package_commands import dataset, import_package, rehydrate
from pipeline.report_commands import notebooks, paper, report
from pipeline.search_commands import search
from pipeline.terminal import (
    ERR,
    DatabaseOption,
    FolderOption,
    ModelOption,
    StudyOption,
    from_here,
    name_made,
    name_made_folder,
    named_study,
    print_crawl,
    print_frame,
    print_plan,
    print_rows,
    progress_shown,
    table_csv,
)

if TYPE_CHECKING:
    from pipeline.classify.model_file import Classifier
    from pipeline.classify.nlbse import Score
    from pipeline.classifying import ClassificationReport
    from pipeline.facts import ImportReport
    from pipeline.replica import Replica
    from pipeline.selection import Step
    from pipeline.thread import Thread

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="From issue trackers to the tables of a paper.")
import_app = typer.Typer(no_args_is_help=True, help="Bring issues and labels into the store, all or nothing.")
select_app = typer.Typer(no_args_is_help=True, help="Draw what to label from what the store holds.")
collect_app = typer.Typer(invoke_without_command=True)
replica_app = typer.Typer(no_args_is_help=True, help="Give issue threads as GitHub would: on loopback, or as an archive.")
benchmark_app = typer.Typer(no_args_is_help=True, help="Train and score on public benchmarks.")
app.add_typer(collect_app, name="collect")
app.add_typer(import_app, name="import")
app.add_typer(annotate_app, name="annotate")
app.command("codebook")(codebook)
app.command("agreement")(agreement)
app.command("label-errors")(label_errors)
import_app.command("package")(import_package)
app.command("rehydrate")(rehydrate)
app.command("notebooks")(notebooks)
app.command("report")(report)
app.command("dataset")(dataset)
app.command("paper")(paper)
app.command("search")(search)
app.add_typer(interviews_app, name="interviews")
app.add_typer(select_app, name="select")
app.add_typer(export_app, name="export")
app.command("survey")(survey)
collect_app.command("gharchive")(collect_gharchive)
replica_app.command("gharchive")(replica_gharchive)
app.add_typer(replica_app, name="replica")
app.add_typer(benchmark_app, name="benchmark")

ThreadsArgument = Annotated[Path | None, typer.Argument(help="A .jsonl file, a folder of them, or Denchmark's.")]
LatencyOption = Annotated[float, typer.Option(min=0, help="Milliseconds that each answer takes longer.")]
FaultsOption = Annotated[int | None, typer.Option(help="The seed of faults that break answers; without it none do.")]
FaultRateOption = Annotated[float, typer.Option(min=0, max=1, help="The share of answers that break.")]
BudgetOption = Annotated[int, typer.Option(min=1, help="Requests an hour that a token has.")]


def main() -> None:
    """Run the command line; a failure is one sentence on standard error and a non-zero exit, never a traceback."""
    gc.set_threshold(50_000)  # what a command imports stays: looking for garbage among it takes a tenth of a second
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
    ERR.print(Text(f"redefect: {sentence}"))
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
    fetch_study_data(named_study(study), Path(folder) if folder else None, typer.echo, base_url)


@import_app.command("study")
def import_study_(study: StudyOption = "demo", database: DatabaseOption = None) -> None:
    """Import all sources of a study, and write what was amiss in them to flaws.csv."""
    from pipeline.files import write
    from pipeline.importing import import_study, study_inputs
    from pipeline.store.session import Store, database_url

    described = named_study(study)
    store = Store(database_url(database, described.database))
    report = import_study(store, described, _progress)
    store.close()
    if described.reference.findings:
        from pipeline.openstudy import open_study

        report.flaws += open_study(str(described.path), database).agreement_flaws()
    _print_report(report, f"Imported: {described.title}")
    flaws = described.build / "flaws.csv"
    write(
        flaws,
        table_csv("flaws", ["source", "where", "what", "done"], [(f.source, f.where, f.what, f.done) for f in report.flaws]),
    )
    inputs = [re.sub(r"([\\ #%:])", r"\\\1", from_here(path)).replace("$", "$$") for path in study_inputs(described)]
    rule = f"{from_here(flaws)}: {' '.join(inputs)}\n\n" + "".join(f"{path}:\n" for path in inputs)
    write(described.build / "inputs.mk", rule.encode())
    name_made([flaws])


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

    store = Store(database_url(database, named_study(study).database))
    report = import_threads(store, path, name or path.name.partition(".")[0], _progress)
    store.close()
    _print_report(report, f"Imported: {path.name}")


@collect_app.callback()
def collect(
    context: typer.Context,
    study: StudyOption = "demo",
    repository: Annotated[
        list[str] | None, typer.Option(help="Only this repository (owner/name), of the study or not; may be repeated.")
    ] = None,
    labelled: Annotated[bool, typer.Option("--labelled", help="Only the issues that labels name, each by its number.")] = False,
    whole: Annotated[bool, typer.Option("--whole", help="All threads, whatever the study selects.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and its price, and fetch no issue.")] = False,
    archive: Annotated[Path | None, typer.Option(help="A folder to keep each answer in, as it came.")] = None,
    from_archive: Annotated[Path | None, typer.Option(help="Rebuild the store from such a folder, without the network.")] = None,
    first_wait: Annotated[float, typer.Option(min=0.001, help="Seconds to wait after a failure; doubles each time.")] = 1.0,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for an answer.")] = 60.0,
    database: DatabaseOption = None,
) -> None:
    """Crawl a study's issues from GitHub into its store; the same command goes on where it was stopped, and later refreshes.

    Tokens come from REDEFECT_GITHUB_TOKENS (several, separated by commas), GITHUB_TOKEN or GH_TOKEN, the API's address from
    GITHUB_API_URL.
    """
    if context.invoked_subcommand is not None:
        return
    from pipeline.collect.github.archive import Archive
    from pipeline.collect.github.budget import tokens_from
    from pipeline.collect.github.client import ADDRESS_VARIABLE, DEFAULT_ADDRESS, Client, Patience
    from pipeline.crawling import Crawl, wish_of
    from pipeline.files import write
    from pipeline.intake import rebuild
    from pipeline.progress import watched
    from pipeline.store.session import Store, database_url

    described = named_study(study)
    store = Store(database_url(database, described.database))
    if from_archive is not None:
        typer.echo(f"{rebuild(store, from_archive)} answers stored from {from_archive}.")
        return
    wish = wish_of(described, repository or [], labelled=labelled, whole=whole)
    address = os.environ.get(ADDRESS_VARIABLE) or DEFAULT_ADDRESS
    with watched(ERR) as watch:
        patience = Patience(first_wait=first_wait, read=timeout)
        client = Client(address, tokens_from(os.environ), patience, watch)
        if not client.has_token:
            ERR.print(Text("No token: GitHub answers 60 requests an hour, and nothing by GraphQL."))
        crawl = Crawl(store, described, client, archive=Archive(archive) if archive else None, watch=watch)
        if dry_run:
            print_plan(crawl.plan(wish))
            typer.echo(f"Nothing fetched; {client.requests} requests sent to learn the numbers.")
            return
        report = crawl.run(wish, print_plan)
        client.close()
    store.close()
    print_crawl(report)
    path = described.build / "crawl.json"
    write(path, (json.dumps(report.as_json(), indent=2, ensure_ascii=False) + "\n").encode())
    name_made([path])


@replica_app.command("serve")
def replica_serve(
    threads: ThreadsArgument = None,
    database: DatabaseOption = None,
    port: Annotated[int, typer.Option(help="On 127.0.0.1; 0 takes any that is free.")] = 8765,
    latency_ms: LatencyOption = 0.0,
    faults: FaultsOption = None,
    fault_rate: FaultRateOption = 0.2,
    budget: BudgetOption = 5000,
) -> None:
    """Serve threads (files, or those of a store) as GitHub's API until Ctrl-C; set GITHUB_API_URL to the address it prints."""
    with _replica(threads, database, port, latency_ms, faults, fault_rate, budget) as replica:
        typer.echo(f"{replica.url} serves; export GITHUB_API_URL={replica.url}")
        sys.stdout.flush()
        replica.serve_forever()


@replica_app.command("run", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def replica_run(
    command: Annotated[list[str], typer.Argument(help="The command, after --.")],
    threads: Annotated[Path | None, typer.Option("--threads", help="A .jsonl file, a folder of them, or Denchmark's.")] = None,
    database: DatabaseOption = None,
    latency_ms: LatencyOption = 0.0,
    faults: FaultsOption = None,
    fault_rate: FaultRateOption = 0.2,
    budget: BudgetOption = 5000,
) -> None:
    """Run a command while threads are served as GitHub's API, whose address and a token it finds in its environment."""
    import subprocess

    from pipeline.collect.github.budget import TOKEN_VARIABLES
    from pipeline.collect.github.client import ADDRESS_VARIABLE

    with _replica(threads, database, 0, latency_ms, faults, fault_rate, budget) as replica:
        environment = os.environ | {ADDRESS_VARIABLE: replica.url, TOKEN_VARIABLES[0]: "replica"}
        try:
            code = subprocess.run(command, env=environment, check=False).returncode  # noqa: S603  # the user's own command
        except OSError as error:
            raise RedefectError(f"{command[0]}: cannot be run ({error.strerror}).") from None
    sys.exit(code)


@select_app.command("repositories")
def select_repositories_(
    study: StudyOption = "demo",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The file to write; else one below data/build.")] = None,
) -> None:
    """Find candidate repositories by the searches of a study's file, and decide on each by its criteria."""
    from pipeline.collect.github.budget import tokens_from
    from pipeline.collect.github.client import ADDRESS_VARIABLE, DEFAULT_ADDRESS, Client
    from pipeline.files import write
    from pipeline.progress import watched
    from pipeline.selecting import find_repositories

    described = named_study(study)
    with watched(ERR) as watch:
        client = Client(os.environ.get(ADDRESS_VARIABLE) or DEFAULT_ADDRESS, tokens_from(os.environ), watch=watch)
        decisions = find_repositories(described, client)
        client.close()
    reasons = Counter(d.fails for d in decisions if d.fails)
    print_rows(
        f"Repositories: {described.title}",
        ["", "repositories"],
        [("found", len(decisions)), *((f"left out: {why}", n) for why, n in sorted(reasons.items())),
         ("left", sum(d.fails is None for d in decisions))],
    )  # fmt: skip
    listed = {repository.name.casefold() for repository in described.repositories}
    path = output or described.build / "repositories.csv"
    columns = ["repository", "architecture", "kind", "stars", "closed_issues", "in_study", "fails"]
    rows = [
        (r.name, r.architecture, r.kind, r.stars, r.closed_issues, r.name.casefold() in listed, d.fails)
        for d in decisions
        for r in [d.repository]
    ]
    write(path, table_csv("repositories", columns, rows))
    typer.echo(f"{client.requests} requests sent.")
    name_made([path])


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

    described = named_study(study)
    store = Store(database_url(database, described.database))
    report = select_sample(store, described, margin, repository or ())
    store.close()
    print_rows(
        f"Selected: {described.title}",
        ["criterion", "issues", "repositories", "dropped", "unknown"],
        [
            (s.criterion, s.issues, s.repositories, "" if s.dropped is None else s.dropped, _unknown(s))
            for s in report.drawn.steps
        ],
    )
    print_rows(
        f"Sample sizes of a random draw, margin {margin:.1%}",
        ["stratum", "population", "drawn", "needed", "margin reached"],
        [(s.stratum, s.population, s.drawn, s.needed, f"{s.margin:.1%}" if s.drawn else "") for s in report.sizes],
    )
    if report.missing:
        typer.echo(f"No issue in the store of {', '.join(report.missing)}.")
    typer.echo("Nothing stored: a trial." if report.changed is None else f"{report.changed} rows changed.")
    table = output or report.file
    columns = ["repository", "number", "url", "rule", "stratum", "seed", "why"]
    rows = [(d.issue.repository, d.issue.number, d.issue.url, d.rule, d.stratum, d.seed, d.why) for d in report.drawn.sample]
    write(table, table_csv("sample", columns, rows))
    name_made([table])


@app.command("checklist")
def checklist(study: StudyOption = "demo", database: DatabaseOption = None, folder: FolderOption = None) -> None:
    """Write what a team should check before it re-engineers a model, phase by phase, from a study's defects."""
    from pipeline.export.checklist import checklist_files
    from pipeline.export.threads import Pseudonyms
    from pipeline.files import write_folder
    from pipeline.openstudy import open_study

    opened = open_study(study, database)
    files = checklist_files(opened.checklist(), opened.study, opened.taxonomy, Pseudonyms(opened.people))
    name_made_folder(write_folder(folder or opened.study.build / "checklist", files))


@app.command("browse")
def browse(
    study: StudyOption = "demo",
    port: Annotated[int, typer.Option(help="On 127.0.0.1; 0 takes any that is free.")] = 8001,
    no_open: Annotated[bool, typer.Option("--no-open", help="Open no browser; only print the address.")] = False,
    database: DatabaseOption = None,
) -> None:
    """Show a study's store in the browser until Ctrl-C: tables, facets, queries, full-text search. Nothing can be written.

    What is shown is a copy below data/build, with pseudonyms for logins, made anew when the store has changed.
    """
    import webbrowser

    from pipeline.browsing import copy_to_browse, datasette, serve
    from pipeline.store.session import database_url

    def ready(address: str) -> None:
        typer.echo(f"{address} shows it; Ctrl-C ends it.")
        sys.stdout.flush()
        if not no_open and sys.stdout.isatty():
            webbrowser.open(address)

    described = named_study(study)
    with ERR.status("Copying what may be seen of the store"):
        copy, new = copy_to_browse(described, database_url(database, described.database))
    if new:
        name_made([copy])
    try:
        serve(datasette(described, copy), port, ready)
    except _StoppedError:
        typer.echo("Ended.")


@app.command("classify")
def classify(
    study: Annotated[str | None, typer.Option("--study", "-s", help="Whose store to label; else demo's.")] = None,
    text: Annotated[
        Path | None,
        typer.Option(help="Only this thread: Markdown whose first line is the title; - reads standard input."),
    ] = None,
    threads: Annotated[Path | None, typer.Option(help="Only the threads of this file, JSON lines: a line of JSON each.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The file for --threads; else standard output.")] = None,
    html: Annotated[Path | None, typer.Option(help="With --text: a page to write, the phrases marked in the text.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="With --text: print JSON.")] = False,
    withheld: Annotated[
        bool, typer.Option("--withheld", help="Store and print what is said of facets that cannot be learnt yet, too.")
    ] = False,
    model: ModelOption = None,
    database: DatabaseOption = None,
) -> None:
    """Label threads: those of a store, those of a file, or a single text. No token and no network is needed.

    A store gets all probabilities and best guesses (tables `model` and `prediction`). With --threads and --json, a facet's
    category is the best guess even where it abstains; of a facet that cannot be learnt yet it always abstains, and its guess is
    worth little.
    """
    from pipeline.classify.model_file import read_model
    from pipeline.classifying import classify_store, predictions
    from pipeline.collect.json_lines import read_json_lines
    from pipeline.files import write_pieces
    from pipeline.models import shipped_model
    from pipeline.store.session import Store, database_url

    if sum(what is not None for what in (text, threads, study or database)) > 1:
        raise RedefectError("Give one thing to label: a store (--study, --database), a text (--text) or a file (--threads).")
    if (html is not None or as_json) and text is None:
        raise RedefectError("--html and --json go with --text only.")
    if output is not None and threads is None:
        raise RedefectError("--output goes with --threads only.")
    path = model or shipped_model()
    classifier = read_model(path)
    if text is not None:
        _classify_text(classifier, text, html, as_json=as_json, withheld=withheld)
    elif threads is not None:
        lines = (p.to_json().encode() + b"\n" for p in predictions(classifier, read_json_lines(threads)))
        if output is None:
            sys.stdout.buffer.writelines(lines)
        else:
            write_pieces(output, lines)
            name_made([output])
    else:
        described = named_study(study or "demo")
        store = Store(database_url(database, described.database))
        report = classify_store(store, described, path, classifier, withheld=withheld, progress=_progress)
        store.close()
        _print_classified(f"Classified: {described.title}, by {path.name}", report, () if withheld else classifier.withheld)


@app.command("prevalence")
def prevalence(
    study: StudyOption = "demo",
    half_width: Annotated[
        float, typer.Option(min=0.001, max=0.5, help="How wide to each side intervals may be before more labels are asked for.")
    ] = 0.05,
    model: ModelOption = None,
    database: DatabaseOption = None,
    folder: FolderOption = None,
) -> None:
    """Estimate the share of each category among a store's defects from machine labels, corrected for the machine's errors."""
    from pipeline.classify.model_file import read_model
    from pipeline.estimating import estimate_shares, shares_table
    from pipeline.export.table import files
    from pipeline.files import sha256, write_folder
    from pipeline.models import shipped_model
    from pipeline.store.session import Store, database_url

    described = named_study(study)
    path = model or shipped_model()
    classifier = read_model(path)
    store = Store(database_url(database, described.database))
    shares = estimate_shares(store, described, classifier, sha256(path), half_width=half_width)
    store.close()
    for of in shares:
        if of.estimate is None:
            typer.echo(f"{of.facet.title}: no estimate, {of.why}\n")
            continue
        typer.echo(f"{of.facet.title}. {of.estimate}")
        typer.echo(f"{of.warning}\n" if of.warning else "")
    name_made_folder(write_folder(folder or described.build / "prevalence", files([shares_table(shares)])))


@app.command("queue")
def queue(
    study: StudyOption = "demo",
    size: Annotated[int, typer.Option(min=1, help="How many issues to put into it.")] = 100,
    by_repository: Annotated[bool, typer.Option("--by-repository", help="As many of each repository as of another.")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The file to write; else one below data/build.")] = None,
    model: ModelOption = None,
    database: DatabaseOption = None,
) -> None:
    """Rank the store's unlabelled issues by what labelling them would teach, most first."""
    from pipeline.classify.model_file import read_model
    from pipeline.classifying import label_queue
    from pipeline.files import write
    from pipeline.models import shipped_model
    from pipeline.store.session import Store, database_url

    described = named_study(study)
    classifier = read_model(model or shipped_model())
    store = Store(database_url(database, described.database))
    ranked = label_queue(store, described, classifier, size, by_repository=by_repository, progress=_progress)
    store.close()
    path = output or described.build / "queue.csv"
    columns = ["rank", "repository", "number", "url", "uncertainty", "why", "uncertain_facets"]
    rows = [
        (rank, q.issue.repository, q.issue.number, q.issue.url, q.uncertainty, q.why, "; ".join(q.uncertain_facets))
        for rank, q in enumerate(ranked, start=1)
    ]
    write(path, table_csv("queue", columns, rows))
    typer.echo(f"{len(rows)} issues to label.")
    name_made([path])


@app.command("evaluate")
def evaluate(
    study: StudyOption = "demo",
    database: DatabaseOption = None,
    beside: Annotated[
        str | None, typer.Option(help="A study that labelled some of the store's threads, to test against its labels, too.")
    ] = None,
    precision: Annotated[
        float, typer.Option(min=0, max=1, help="Of answers: the share to be right, by the interval's lower bound; else abstain.")
    ] = 0.8,
    quick: Annotated[
        bool, typer.Option("--quick", help="Leave several repositories out at once and repeat nothing: a first look.")
    ] = False,
    jobs: Annotated[int, typer.Option(min=1, help="Processes to use; the result does not depend on it.")] = 2,
    folder: FolderOption = None,
) -> None:
    """Measure the classifier on threads that it did not learn from, beside baselines and people; write tables and figures."""
    from pipeline.evaluating import evaluate_study, files, summary
    from pipeline.files import write_folder
    from pipeline.store.session import Store, database_url

    described = named_study(study)
    store = Store(database_url(database, described.database))
    other = None if beside is None else named_study(beside)
    report = evaluate_study(
        store, described, beside=other, precision=precision, quick=quick, jobs=jobs, progress=_progress,
        say=lambda line: ERR.print(Text(line)),
    )  # fmt: skip
    store.close()
    for evaluation in report.evaluations:
        print_frame(f"{described.title}: {evaluation.protocol}", summary(report, evaluation.protocol))
    for merged in report.groups.merged:
        typer.echo(f"Left out together, since they share a form or a name: {', '.join(merged)}.")
    for worth in report.worth:
        typer.echo(str(worth))
    for row in report.verdicts[report.verdicts["withheld"]].itertuples():
        typer.echo(f"Withheld: {row.facet}. {row.why}")
    made = files(report, described.read_taxonomy())
    name_made_folder(write_folder(folder or described.build / "evaluation", made))


@app.command("train")
def train_(
    study: StudyOption = "demo",
    database: DatabaseOption = None,
    evaluation: Annotated[
        Path | None, typer.Option(help="The folder that `redefect evaluate` wrote; else the study's below data/build.")
    ] = None,
    gate_data: Annotated[
        Path | None, typer.Option(help="The folder of NLBSE'24, for the gate; else the shipped model's gate is taken.")
    ] = None,
    folder: FolderOption = None,
) -> None:
    """Train a classifier on a study's labels and the project's; write the model file and its card."""
    from pipeline.store.session import Store, database_url
    from pipeline.training import train

    described = named_study(study)
    store = Store(database_url(database, described.database))
    trained = train(
        store,
        described,
        evaluation or described.build / "evaluation",
        (folder or described.build / "model") / f"{described.taxonomy}.skops",
        f"make train STUDY={described.name}",
        gate_data=gate_data,
        progress=_progress,
        say=lambda line: ERR.print(Text(line)),
    )
    store.close()
    print_frame("What was tried, on owners left out", trained.candidates.round(3))
    for annotator, count in trained.material.counts.items():
        typer.echo(f"{count:,} threads labelled by {annotator}.")
    if trained.material.without_text:
        typer.echo(f"{trained.material.without_text:,} labelled issues have no text in the store and were left out.")
    name_made(trained.files)


@benchmark_app.command("nlbse24")
def benchmark_nlbse24(
    data: Annotated[Path, typer.Option("--data", help="The folder with issues_train.csv and issues_test.csv.")],
    embeddings: Annotated[
        Path | None,
        typer.Option(
            "--embeddings", help="The folder of a sentence-transformers model; else REDEFECT_EMBEDDINGS; none if neither."
        ),
    ] = None,
    validate: Annotated[
        bool, typer.Option("--validate", help="Cross-validate within the training split, too: ten trainings more.")
    ] = False,
) -> None:
    """Train the gate on NLBSE'24's training split and score it on the test split, by the competition's measure.

    Once on the text alone (with embeddings, too, where a model is named), and once on the date of opening, too: the
    benchmark's classes were drawn from different years, so that the date tells much here and little elsewhere.
    """
    from pipeline.classify.embeddings import embeddings_folder
    from pipeline.classify.nlbse import SETFIT, benchmark

    model = embeddings_folder(embeddings)
    runs: list[tuple[str, bool, str | None]] = [("text alone", False, None), ("text and date of opening", True, None)]
    if model is not None:
        runs.insert(1, ("text alone, with embeddings", False, str(model)))
    for reads, dated, folder in runs:
        result = benchmark(data, dated=dated, embeddings=folder, validate=validate)
        _print_score(f"{reads}: test split", result.test)
        typer.echo(f"Trained in {result.seconds:.1f} s. The competition's SetFit baseline: {SETFIT:.4f}.\n")
        if result.validated is not None:
            _print_score(f"{reads}: cross-validated within the training split", result.validated)


@app.command("findings")
def findings(study: StudyOption = "demo", database: DatabaseOption = None) -> None:
    """Print published findings beside those reproduced; exit with 1 when one that must hold does not."""
    from pipeline.analyze.findings import broken
    from pipeline.export.tables import findings_shown
    from pipeline.openstudy import open_study

    opened = open_study(study, database)
    table = opened.findings()
    print_frame(opened.study.title, findings_shown(table))
    if opened.study.reference.figures:
        cells = opened.figure_cells()
        same = int((cells["difference"] == 0).sum())
        print_frame(f"Figures: {same} of {len(cells)} cells equal; differences:", opened.figure_differences())
    if failed := broken(table):
        raise RedefectError(f"{len(failed)} of the findings that must hold do not: {', '.join(failed)}.")


def _classify_text(classifier: "Classifier", path: Path, html: Path | None, *, as_json: bool, withheld: bool) -> None:
    from pipeline.classify.explanation import explain, page, to_dict, visible
    from pipeline.classify.model_file import likeliest
    from pipeline.classifying import parse_text
    from pipeline.documents import read_text
    from pipeline.files import write

    thread = parse_text(_standard_input() if str(path) == "-" else read_text(path), str(path))
    prediction = classifier.predict([thread])[0]
    found = explain(classifier, thread, prediction)
    shown = [facet for facet in prediction.facets if withheld or facet not in classifier.withheld]
    if as_json:
        typer.echo(json.dumps({"title": thread.title, **to_dict(prediction, found)}, ensure_ascii=False))
    else:
        print_rows(
            visible(thread.title),
            ["facet", "best guess", "probability", "", "carried by"],
            [
                ("gate", gate := likeliest(prediction.gate), f"{prediction.gate[gate]:.2f}", "", ""),
                *(
                    (
                        facet, of.category, f"{of.probability:.2f}", "not sure enough" if of.abstained else "",
                        ", ".join(f'"{visible(phrase.text)}"' for phrase in found[facet]),
                    )
                    for facet in shown
                    for of in [prediction.facets[facet]]
                ),
            ],
        )  # fmt: skip
        if hidden := [facet for facet in prediction.facets if facet not in shown]:
            typer.echo(f"Withheld, since they cannot be learnt yet: {', '.join(hidden)}.")
    if html is not None:
        write(html, page(thread, prediction, found, shown).encode())
        if not as_json:
            name_made([html])


def _standard_input() -> str:
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise RedefectError(f"-: byte {error.start} is not UTF-8; give the text as UTF-8.") from None


def _print_classified(title: str, report: "ClassificationReport", withheld: Iterable[str]) -> None:
    def most(guesses: Counter[str]) -> str:
        return ", ".join(f"{name} {count}" for name, count in sorted(guesses.items(), key=lambda item: (-item[1], item[0]))[:4])

    print_rows(
        title,
        ["facet", "labelled", "abstained", "most frequent best guesses"],
        [
            ("gate", report.threads, 0, most(report.gate)),
            *(
                (facet, "withheld", "", "cannot be learnt yet")
                if facet in withheld
                else (facet, report.threads - of.abstained, of.abstained, most(of.guesses))
                for facet, of in report.facets.items()
            ),
        ],
    )
    typer.echo(f"{report.threads} threads, of {report.changed} the predictions are new or changed.")
    typer.echo("These counts hold the machine's errors: `redefect prevalence` estimates shares that are corrected for them.")


def _progress(threads: Iterable["Thread"]) -> Iterator["Thread"]:
    gc.freeze()  # the modules loaded by now live as long as the process: collecting garbage among threads need not visit them
    columns = (
        SpinnerColumn(),
        TextColumn("{task.completed} threads, now {task.fields[repository]}"),
        TimeElapsedColumn(),
    )
    with progress_shown(*columns) as progress:
        task = progress.add_task("import", total=None, repository="")
        for count, thread in enumerate(threads, start=1):
            if count % 200 == 0:
                progress.update(task, completed=count, repository=thread.repository)
            yield thread


@contextmanager
def _replica(
    threads: Path | None, database: str | None, port: int, latency_ms: float, faults: int | None, fault_rate: float, budget: int
) -> Iterator["Replica"]:
    import tempfile

    from pipeline.importing import read_threads
    from pipeline.replica import Faults, Limits, Replica, World
    from pipeline.store import read
    from pipeline.store.session import Store

    if (threads is None) == (database is None):
        raise RedefectError("Give what to serve: a file or folder of threads, or a store by --database.")
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder) / "world.sqlite")
        if database is not None:
            with Store(database).reading() as connection:
                world.add(read.threads(connection))
        elif threads is not None:
            world.add(read_threads(threads, lambda _: None))
        broken = None if faults is None else Faults(faults, fault_rate)
        with world, Replica(world, Limits(core=budget, graphql=budget), broken, latency_ms / 1000, port) as replica:
            yield replica


def _print_report(report: "ImportReport", title: str) -> None:
    if report.flaws:
        print_rows(
            "Flaws found",
            ["source", "where", "what", "done"],
            [(f.source, f.where, f.what, f.done) for f in report.flaws],
        )
    print_rows(
        title,
        ["source", "what", "read", "stored"],
        [(c.source, c.what, str(c.read), str(c.stored)) for c in report.counts],
    )
    typer.echo(f"{report.changed} rows changed; {len(report.flaws)} flaws found.")


def _print_score(title: str, score: "Score") -> None:
    from pipeline.classify.nlbse import CLASSES

    print_rows(
        title,
        ["repository", *(f"{label} P/R/F1" for label in CLASSES), "macro F1", "n"],
        [
            (
                r.repository,
                *(f"{p:.3f} {c:.3f} {f:.3f}" for p, c, f in zip(r.precision, r.recall, r.f1, strict=True)),
                f"{r.macro_f1:.4f}",
                r.n,
            )
            for r in score.repositories
        ],
    )
    typer.echo(f"Mean macro F1 {score.mean:.4f}, 95 % interval {score.low:.4f} to {score.high:.4f}.")


def _unknown(step: "Step") -> str:
    if not step.unknown:
        return ""
    what = "kept" if step.unknown_kept else "not drawn" if step.dropped is None else "dropped"
    return f"{step.unknown} ({what})"


if __name__ == "__main__":
    main()
