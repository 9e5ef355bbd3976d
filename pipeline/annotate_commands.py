"""The commands for labels that people make: `redefect annotate ...`. Like `pipeline.cli`, they parse, call and print."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from pipeline.errors import RedefectError
from pipeline.terminal import (
    DatabaseOption,
    FolderOption,
    ModelOption,
    StudyOption,
    name_made,
    name_made_folder,
    named_study,
    print_frame,
    print_rows,
    table_csv,
)

annotate_app = typer.Typer(no_args_is_help=True, help="Have people label issues, with the tools that they know.")

AnnotatorsOption = Annotated[list[str] | None, typer.Option("--annotator", "-a", help="Of the batch; may be repeated.")]
RoundOption = Annotated[str, typer.Option("--round", "-r", help="The round, for instance pilot, pilot-discussed or final.")]
ByOption = Annotated[str | None, typer.Option("--by", help="As whose labels decisions count; else the study's verdict's.")]
IntoOption = Annotated[str | None, typer.Option("--into", help="In which round decisions count; else the study's verdict's.")]


@annotate_app.command("batch")
def batch(
    name: Annotated[str, typer.Argument(help="What to call the batch.")],
    round_: RoundOption,
    annotator: AnnotatorsOption = None,
    size: Annotated[int, typer.Option(min=0, help="How many issues.")] = 0,
    overlap: Annotated[int, typer.Option(min=0, help="How many of them all annotators label, to tell agreement by.")] = 0,
    strata: Annotated[
        Literal["repository", "kind", "none"],
        typer.Option(help="What has its share of the batch: each repository, each kind of repositories, or none."),
    ] = "repository",
    queue: Annotated[Path | None, typer.Option(help="Take the first issues of this table (of `redefect queue`) instead.")] = None,
    suggestions: Annotated[
        bool, typer.Option("--suggestions", help="Show what the machine suggests. It biases, and is recorded on each label.")
    ] = False,
    repeats: Annotated[str | None, typer.Option(help="An earlier batch that is labelled again, in another round.")] = None,
    relabel: Annotated[bool, typer.Option("--relabel", help="Take issues that the study's verdict labels, too.")] = False,
    seed: Annotated[int | None, typer.Option(help="Else the study's seed for samples.")] = None,
    study: StudyOption = "demo",
    database: DatabaseOption = None,
) -> None:
    """Draw a batch from the study's sample: issues that are not labelled yet and in no other batch, and who labels which."""
    from pipeline.annotating import Wish, draw_batch
    from pipeline.store.session import Store, database_url

    described = named_study(study)
    store = Store(database_url(database, described.database))
    wish = Wish(name, round_, tuple(annotator or ()), size, overlap, strata, seed, queue, suggestions, repeats, relabel)
    path = draw_batch(store, described, wish)
    store.close()
    name_made([path])


@annotate_app.command("export")
def export(
    name: Annotated[str, typer.Argument(help="The batch.")],
    tool: Annotated[str, typer.Option("--tool", "-t", help="label-studio, xlsx or csv.")],
    annotator: AnnotatorsOption = None,
    shared: Annotated[
        bool, typer.Option("--shared", help="One file for a Label Studio project in which all work; see --person of import.")
    ] = False,
    model: ModelOption = None,
    study: StudyOption = "demo",
    database: DatabaseOption = None,
    folder: FolderOption = None,
) -> None:
    """Write what annotators fill in: a file for each, with the annotator's own labels so far and nobody else's."""
    from pipeline.annotating import labelling_files, worksheets
    from pipeline.files import write
    from pipeline.store.session import Store, database_url

    described = named_study(study)
    store = Store(database_url(database, described.database))
    files = labelling_files(worksheets(store, described, name, annotator or (), model, shared=shared), tool)
    store.close()
    place = folder or described.build / "annotate" / name
    for file, content in files.items():
        write(place / file, content)
    name_made_folder([place / file for file in files])


@annotate_app.command("import")
def import_(
    files: Annotated[list[Path], typer.Argument(help="Label Studio's JSON exports, workbooks, CSV tables.")],
    person: Annotated[
        list[str] | None,
        typer.Option(help="USER=ANNOTATOR: who a user of Label Studio (number or address) is; may be repeated."),
    ] = None,
    correct: Annotated[bool, typer.Option("--correct", help="Let new labels of an issue replace those imported before.")] = False,
    study: StudyOption = "demo",
    database: DatabaseOption = None,
) -> None:
    """Bring annotators' labels into data/annotations and the store, all of these files or nothing."""
    from pipeline.annotating import import_annotations
    from pipeline.store.session import Store, database_url

    people = dict(_person(pair) for pair in person or ())
    described = named_study(study)
    store = Store(database_url(database, described.database))
    report = import_annotations(store, described, files, people, correct=correct)
    store.close()
    if report.flaws:
        columns = ["source", "where", "what", "done"]
        print_rows("Flaws found", columns, [(f.source, f.where, f.what, f.done) for f in report.flaws])
    print_rows(
        f"Annotations: {described.title}",
        ["batch", "annotator", "to label", "labelled", "new", "corrected"],
        [(p.batch, p.annotator, p.asked, p.labelled, p.added, p.corrected) for p in report.progress],
    )
    name_made(report.files)


@annotate_app.command("status")
def status(study: StudyOption = "demo") -> None:
    """Print how far each annotator is with each batch."""
    from pipeline.annotating import progress

    described = named_study(study)
    print_rows(
        f"Batches: {described.title}",
        ["batch", "round", "annotator", "to label", "labelled"],
        [(p.batch, round_, p.annotator, p.asked, p.labelled) for round_, p in progress(described)],
    )


@annotate_app.command("adjudicate")
def adjudicate(
    round_: RoundOption,
    tool: Annotated[str, typer.Option("--tool", "-t", help="xlsx or csv.")] = "xlsx",
    by: ByOption = None,
    into: IntoOption = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The file to write; else one below data/build.")] = None,
    model: ModelOption = None,
    study: StudyOption = "demo",
    database: DatabaseOption = None,
) -> None:
    """Write what annotators of a round differ in as a worklist: labels without names, notes, and last the machine's view."""
    from pipeline.adjudicating import open_cases, worklist_file
    from pipeline.files import write
    from pipeline.models import shipped_model
    from pipeline.store.session import Store, database_url

    described = named_study(study)
    verdict = described.verdict
    store = Store(database_url(database, described.database))
    cases, machine = open_cases(
        store, described, round_, by or verdict.annotator, into or verdict.round, model or shipped_model()
    )
    store.close()
    path = output or described.build / "annotate" / f"{round_}-worklist.{tool}"
    write(path, worklist_file(cases, described, round_, machine, tool))
    typer.echo(f"{sum(len(case.questions) for case in cases)} questions about {len(cases)} issues.")
    name_made([path])


@annotate_app.command("decide")
def decide(
    worklist: Annotated[Path, typer.Argument(help="A worklist with decisions.")],
    by: ByOption = None,
    into: IntoOption = None,
    study: StudyOption = "demo",
    database: DatabaseOption = None,
) -> None:
    """Bring decisions in, with what annotators agree on, as a round of its own; what annotators said stays as it is."""
    from pipeline.adjudicating import import_decisions
    from pipeline.store.session import Store, database_url

    described = named_study(study)
    verdict = described.verdict
    store = Store(database_url(database, described.database))
    settled, still_open, file = import_decisions(store, described, worklist, by or verdict.annotator, into or verdict.round)
    store.close()
    typer.echo(f"{settled} issues are settled, {still_open} still open.")
    name_made([file])


def codebook(study: StudyOption = "demo", database: DatabaseOption = None, folder: FolderOption = None) -> None:
    """Write the guide for annotators from the study's taxonomy, with issues of the store as examples by reference."""
    from pipeline.annotating import study_codebook
    from pipeline.files import write_folder
    from pipeline.store.session import Store, database_url

    described = named_study(study)
    store = Store(database_url(database, described.database))
    guide = study_codebook(store, described)
    store.close()
    files = {"codebook.md": guide.to_markdown().encode(), "codebook.html": guide.to_html().encode()}
    name_made_folder(write_folder(folder or described.build / "codebook", files))


def agreement(
    study: StudyOption = "demo",
    beside: Annotated[str | None, typer.Option(help="A study whose verdict on the same issues is compared, too.")] = None,
    confusion: Annotated[
        tuple[str, str, str, str] | None,
        typer.Option(help="FACET ROUND FIRST SECOND: also print what two annotators said of the same defects."),
    ] = None,
    database: DatabaseOption = None,
    folder: FolderOption = None,
) -> None:
    """Print how well annotators agree, round by round, with 95 % intervals; write all comparisons and the raters' profiles.

    Defects of an issue are matched by best assignment and spelling variants are one, where the title says nothing else.
    """
    from pipeline.annotate.agreement import agreement_shown, changes_shown
    from pipeline.export.table import files
    from pipeline.export.tables import agreement_tables
    from pipeline.files import write_folder
    from pipeline.openstudy import open_study

    opened = open_study(study, database)
    other = None if beside is None else named_study(beside)
    print_frame(f"{opened.study.title}: Cohen's kappa by round", opened.agreement_history())
    table = opened.agreement()
    best = table[(table["matched"] == "best assignment") & (table["compared"] == "by category")]
    print_frame("All coefficients", agreement_shown(best).drop(columns=["matched", "compared"]))
    for title, frame in (
        ("What it changes how labels are compared", changes_shown(opened.agreement_choices())),
        (f"Beside the verdict of {(other or opened.study).name}", agreement_shown(opened.agreement_with_verdict(other))),
    ):
        if len(frame):
            print_frame(title, frame)
    if confusion is not None:
        facet, _, first, second = confusion
        print_frame(f"{facet}: {first} (rows) and {second} (columns)", opened.confusion(*confusion).reset_index())
    tables = agreement_tables(opened, other)
    name_made_folder(write_folder(folder or opened.study.build / "agreement", files(tables)))


def label_errors(
    study: StudyOption = "demo",
    size: Annotated[int, typer.Option(min=1, help="How many labels to list.")] = 50,
    annotator: Annotated[str | None, typer.Option("--annotator", "-a", help="Whose labels; else the verdict's.")] = None,
    round_: Annotated[str | None, typer.Option("--round", "-r", help="Of which round; else the verdict's.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes to use; the result does not depend on it.")] = 2,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The file to write; else one below data/build.")] = None,
    database: DatabaseOption = None,
) -> None:
    """List the labels most likely wrong by a model that saw none of their repository, for another look. No label is changed."""
    from pipeline.doubting import doubtful_labels
    from pipeline.files import write
    from pipeline.store.session import Store, database_url

    described = named_study(study)
    store = Store(database_url(database, described.database))
    found = doubtful_labels(store, described, annotator=annotator, round_=round_, size=size, jobs=jobs)
    store.close()
    print_frame(f"Labels for another look: {described.title}", found.labels.drop(columns="url").round(3))
    print_frame("Checked", found.checked.round(2))
    print_frame("Not checked", found.unchecked)
    path = output or described.build / "label-errors.csv"
    write(path, table_csv("label-errors", list(found.labels.columns), found.labels.itertuples(index=False, name=None)))
    name_made([path])


def _person(pair: str) -> tuple[str, str]:
    user, found, annotator = pair.rpartition("=")
    if not (found and user and annotator):
        raise RedefectError(f"--person: '{pair}' is no USER=ANNOTATOR.")
    return user, annotator
