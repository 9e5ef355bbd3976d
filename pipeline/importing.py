"""The imports: what sources hold, read by `collect` and stored by `store`, in one unit of work each.

An import either stores all of its sources or nothing, and can be repeated: a second one changes nothing.
"""

import csv
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection

from pipeline import __version__
from pipeline.annotate.annotation import Annotation
from pipeline.annotate.filled_sheets import read_annotation_file
from pipeline.cells import rearm
from pipeline.collect.codings import read_codings
from pipeline.collect.denchmark import read_denchmark
from pipeline.collect.download import check_study_data
from pipeline.collect.json_lines import read_json_lines
from pipeline.collect.label_files import read_labels
from pipeline.collect.rater_sheets import read_rater_sheets
from pipeline.collect.study_tables import read_label_table, read_set_aside_table
from pipeline.collect.transcripts import read_transcripts
from pipeline.errors import RedefectError
from pipeline.facts import Count, Flaw, ImportReport, IssueReference, Label, RepositoryFacts, Turn
from pipeline.files import sha256
from pipeline.store import write
from pipeline.store.counts import label_sources, stored
from pipeline.store.session import Store
from pipeline.study import (
    CodingsSource,
    LabelsSource,
    LabelTableSource,
    RaterSheetsSource,
    SetAsideSource,
    Source,
    Study,
    ThreadsSource,
    TranscriptsSource,
)
from pipeline.taxonomy import Taxonomy
from pipeline.themes import read_themes
from pipeline.thread import Thread

Progress = Callable[[Iterable[Thread]], Iterable[Thread]]
"""Passes threads on and shows that they pass."""

_RULES = ("labels", "label-table", "set-aside-table")
"""Why an import takes issues into a study: the kinds of its sources. What was drawn (`pipeline.selection`) is not its own."""

_ANNOTATED = "annotations"
"""Why an issue is in a study that one of its annotators has labelled."""


def import_study(store: Store, study: Study, progress: Progress = iter) -> ImportReport:
    """Import all sources of a study, in the order of its file.

    Raises
    ------
    RedefectError
        If a source is missing, not the published one, or wrong in a way that cannot be handled; the store is as it was then.
    """
    check_study_data(study)
    taxonomy = study.read_taxonomy()
    report = ImportReport()
    inputs = {relative(study, path): sha256(path) for path in study_inputs(study)}
    with store.writing() as connection:
        facts = [RepositoryFacts(r.name, r.kind, r.prototype, r.framework, r.architecture) for r in study.repositories]
        report.changed += write.put_repositories(connection, facts, f"study {study.name}", authoritative=True)
        sampled: dict[IssueReference, str] = {}
        for source in study.sources:
            _import_source(connection, study, source, taxonomy, report, sampled, progress)
        strata = {repository.name.casefold(): repository.kind for repository in study.repositories}
        sample = [
            write.SampleRow(issue, rule, strata.get(issue.repository.casefold()), None) for issue, rule in sorted(sampled.items())
        ]
        report.changed += write.put_sample(connection, study.name, sample, f"study {study.name}", _RULES)
        put_annotations(connection, study, {}, report)
        if outside := sorted({i.repository for i in sampled if i.repository.casefold() not in strata}):
            report.flaws.append(
                Flaw(
                    study.path.name,
                    f"{len(outside)} repositories",
                    f"hold sampled issues and are not listed: {', '.join(outside)}",
                    "kept",
                )
            )
        if report.changed:
            write.put_run(
                connection, command="import study", study=study.name, study_digest=study.digest, version=__version__,
                inputs=inputs, finished_at=datetime.now(UTC),
            )  # fmt: skip
    return report


def annotation_files(study: Study) -> list[Path]:
    """Return the files of what the study's annotators have said so far, sorted."""
    return sorted(study.annotations.glob("*/*.csv"))


def put_annotations(connection: Connection, study: Study, new: Mapping[Path, Sequence[Annotation]], report: ImportReport) -> None:
    """Make the store hold exactly what the study's annotation files say, and their issues as part of the study.

    Parameters
    ----------
    new
        What files say that are about to be written.
    report
        Gets the number of annotations of each file, what was amiss in it, and how many rows of the store changed.
    """
    taxonomy = study.read_taxonomy()
    gone = label_sources(connection, relative(study, study.annotations))
    files: dict[Path, Sequence[Annotation]] = {study.root / source: [] for source in gone}
    for path in annotation_files(study):
        if path not in new:
            files[path] = read_annotation_file(path, taxonomy, report.flaws.append)
    files |= new
    for path, annotations in sorted(files.items()):
        source = relative(study, path)
        report.changed += write.put_labels(connection, [label for a in annotations for label in a.labels()], source)
        report.changed += write.put_remarks(connection, [a.remark for a in annotations], source)
        if annotations:
            report.counts.append(Count(f"{path.parent.name}/{path.name}", "annotations", len(annotations), len(annotations)))
    strata = {repository.name.casefold(): repository.kind for repository in study.repositories}
    issues = sorted({a.issue for annotations in files.values() for a in annotations})
    sample = [write.SampleRow(issue, _ANNOTATED, strata.get(issue.repository.casefold()), None) for issue in issues]
    report.changed += write.put_sample(connection, study.name, sample, f"study {study.name}", [_ANNOTATED])


def import_threads(store: Store, path: Path, name: str, progress: Progress = iter) -> ImportReport:
    """Import issue threads: a JSON-lines file, a folder of them, or Denchmark's bug reports (.tar.xz or folder).

    Parameters
    ----------
    name
        What to call the source in the store.
    """
    report = ImportReport()
    with store.writing() as connection:
        _import_threads(connection, path, name, report, progress)
        if report.changed:
            inputs = {p.name: sha256(p) for p in ([path] if path.is_file() else [])}
            write.put_run(
                connection, command="import threads", study="", study_digest="", version=__version__, inputs=inputs,
                finished_at=datetime.now(UTC),
            )  # fmt: skip
    return report


def read_threads(path: Path, report: Callable[[Flaw], None]) -> Iterator[Thread]:
    """Yield the threads of a file or folder, whatever its form: see `import_threads`.

    Raises
    ------
    RedefectError
        If there is nothing at `path`, or nothing that is known here.
    """
    if path.suffix == ".jsonl" or (path.is_file() and path.suffix in (".json", ".ndjson")):
        yield from read_json_lines(path)
    elif path.is_dir() and (files := sorted(path.glob("*.jsonl"))):
        for file in files:
            yield from read_json_lines(file)
    elif path.is_dir() or path.name.endswith(".tar.xz"):
        yield from read_denchmark(path, report)
    elif not path.exists():
        raise RedefectError(f"{path}: there is no such file or folder.")
    else:
        raise RedefectError(f"{path}: is none of: .jsonl, a folder of .jsonl, Denchmark's .tar.xz or its unpacked folder.")


def study_inputs(study: Study) -> list[Path]:
    """Return the files that a study's import reads, sorted: its file, taxonomy and themes, and all files of its sources."""
    paths = [study.path, study.taxonomy_path, *annotation_files(study), *map(study.themes_path, study.codings)]
    for source in study.sources:
        path = study.root / source.path
        if path.is_dir():
            paths += [p for p in path.rglob("*") if p.is_file()]
        elif path.is_file():
            paths.append(path)
        elif not (isinstance(source, TranscriptsSource) and source.optional):
            raise RedefectError(f"{path}: there is no such file or folder, and study '{study.name}' reads it.")
    return sorted(set(paths))


def labelled_issues(study: Study, *, with_annotations: bool = False) -> list[IssueReference]:
    """Return the issues that a study's labels are of, sorted.

    Parameters
    ----------
    with_annotations
        Those of the project's own labels in `data/annotations`, too.

    Raises
    ------
    RedefectError
        If a file with labels is missing or wrong.
    """
    labels = [*study_labels(study), *(project_labels(study) if with_annotations else ())]
    return sorted({label.issue for label in labels})


def study_labels(study: Study) -> list[Label]:
    """Return the labels that a study's sources hold, in their order, and those of its annotators, without any store.

    Raises
    ------
    RedefectError
        If a file with labels is missing or wrong.
    """
    check_study_data(study)
    taxonomy = study.read_taxonomy()
    found: list[Label] = []
    for source in study.sources:
        path = study.root / source.path
        if isinstance(source, LabelsSource):
            found += _read_labels(study, source, taxonomy, ignore)
        elif isinstance(source, LabelTableSource):
            found += read_label_table(path, source, taxonomy, ignore).labels
        elif isinstance(source, SetAsideSource):
            found += read_set_aside_table(path, source, ignore).labels
    for path in annotation_files(study):
        found += [label for annotation in read_annotation_file(path, taxonomy, ignore) for label in annotation.labels()]
    return found


def read_flaws(study: Study) -> list[Flaw] | None:
    """Return the flaws that the last import found in a study's sources, as it listed them; None if there is no list."""
    path = study.build / "flaws.csv"
    if not path.is_file():
        return None
    with path.open(encoding="utf-8", newline="") as file:
        return [Flaw(*(rearm(row[field.name]) for field in fields(Flaw))) for row in csv.DictReader(file)]


def project_labels(study: Study) -> list[Label]:
    """Return the project's own labels in `data/annotations`, by the names of a study's taxonomy."""
    taxonomy = study.read_taxonomy()
    paths = sorted((study.root / "data" / "annotations").glob("labels*.csv"))
    return [label for path in paths for label in read_labels(path, taxonomy, ignore)]


def ignore(flaw: Flaw) -> None:
    """Leave a flaw of the labels to the import, which reports it."""


def _import_source(
    connection: Connection,
    study: Study,
    source: Source,
    taxonomy: Taxonomy,
    report: ImportReport,
    sampled: dict[IssueReference, str],
    progress: Progress,
) -> None:
    path = study.root / source.path
    name = Path(source.path).name
    listed = {repository.name.casefold(): repository.kind for repository in study.repositories}
    if isinstance(source, ThreadsSource):
        _import_threads(connection, path, source.name, report, progress, listed if source.listed_only else None)
    elif isinstance(source, LabelsSource):
        labels = _read_labels(study, source, taxonomy, report.flaws.append)
        report.changed += write.put_labels(connection, labels, source.path)
        sampled |= {label.issue: "labels" for label in labels}
        report.counts.append(Count(name, "labels", len(labels), stored(connection, source.path)["labels"]))
    elif isinstance(source, RaterSheetsSource):
        ratings = read_rater_sheets(path, source.sheets, taxonomy, report.flaws.append)
        report.changed += write.put_ratings(connection, ratings, source.path)
        report.counts.append(Count(name, "ratings", len(ratings), stored(connection, source.path)["ratings"]))
    elif isinstance(source, TranscriptsSource):
        turns = _turns(study, source)
        if not turns:
            report.flaws.append(Flaw(name, "the whole folder", "is not there", "codings are read without what was said"))
        report.changed += write.put_turns(connection, turns, source.path)
        report.counts.append(Count(name, "turns", len(turns), stored(connection, source.path)["turns"]))
    elif isinstance(source, CodingsSource):
        roles = {(t.transcript, t.turn): t.role for transcripts in study.transcripts for t in _turns(study, transcripts)}
        codings = read_codings(path, read_themes(study.themes_path(source)), roles)
        report.changed += write.put_codings(connection, codings, source.path)
        report.counts.append(Count(name, "codings", len(codings), stored(connection, source.path)["codings"]))
    elif isinstance(source, LabelTableSource | SetAsideSource):
        if isinstance(source, LabelTableSource):
            table = read_label_table(path, source, taxonomy, report.flaws.append)
        else:
            table = read_set_aside_table(path, source, report.flaws.append)
        report.flaws += [
            Flaw(
                name,
                r.name,
                f"is a {r.kind} repository here and {listed[r.name.casefold()]} in the study file",
                "the study file's",
            )
            for r in table.repositories
            if r.kind is not None and listed.get(r.name.casefold(), r.kind) != r.kind
        ]
        report.changed += write.put_repositories(connection, table.repositories, source.path)
        report.changed += write.put_issues(connection, table.issues, source.path)
        report.changed += write.put_labels(connection, table.labels, source.path)
        sampled |= {fact.issue: source.kind for fact in table.issues}
        there = stored(connection, source.path)
        rows = "defects" if isinstance(source, LabelTableSource) else "issues"
        report.counts.append(Count(name, "rows", table.rows, there[rows]))
        report.counts.append(Count(name, "issues", len(table.issues), there["issues"]))
        report.counts.append(Count(name, "repositories", len(table.repositories), there["repositories"]))


def _turns(study: Study, source: TranscriptsSource) -> list[Turn]:
    folder = study.root / source.path
    return [] if source.optional and not folder.exists() else read_transcripts(folder, source)


def _read_labels(study: Study, source: LabelsSource, taxonomy: Taxonomy, report: Callable[[Flaw], None]) -> list[Label]:
    labels = read_labels(study.root / source.path, taxonomy, report)
    listed = {repository.name.casefold() for repository in study.repositories}
    return [label for label in labels if not source.listed_only or label.issue.repository.casefold() in listed]


def _import_threads(
    connection: Connection,
    path: Path,
    name: str,
    report: ImportReport,
    progress: Progress,
    only: Container[str] | None = None,
) -> None:
    flaws: list[Flaw] = []
    threads: Iterable[Thread] = progress(read_threads(path, flaws.append))
    if only is not None:
        threads = (thread for thread in threads if thread.repository.casefold() in only)
    counts = write.put_threads(connection, threads, name)
    report.changed += counts.added + counts.changed
    malformed = sum(flaw.done == "left out" for flaw in flaws)
    report.counts.append(Count(path.name, "threads", counts.total + malformed, counts.total))
    report.counts.append(Count(path.name, "comments", counts.comments, counts.comments))
    report.flaws += flaws


def relative(study: Study, path: Path) -> str:
    """Return what a file is called in records: its path from the study's root, or, outside of it, its name alone."""
    return path.relative_to(study.root).as_posix() if path.is_relative_to(study.root) else path.name
