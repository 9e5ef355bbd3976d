"""Annotation at work: batches drawn from the store, worksheets for annotators, and what comes back from their tools.

A batch is a folder `data/annotations/STUDY/BATCH/` that belongs into version control: who labels what (`batch.toml`), and a table
of labels an annotator. The store takes them from there, as from every other source.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from rapidfuzz import process
from sqlalchemy import Connection

from pipeline import __version__
from pipeline.annotate import label_studio
from pipeline.annotate.annotation import Annotation, Task, Worksheet
from pipeline.annotate.batches import FILE, Batch, Strata, check_name, draw
from pipeline.annotate.codebook import Codebook, examples
from pipeline.annotate.filled_sheets import read_annotation_file, read_sheets
from pipeline.annotate.sheets import annotation_file, to_csv, to_xlsx
from pipeline.collect.tables import read_csv as read_table
from pipeline.documents import read_text, read_toml
from pipeline.errors import RedefectError
from pipeline.export.threads import pseudonymised
from pipeline.facts import Flaw, ImportReport, IssueReference
from pipeline.files import sha256, write
from pipeline.importing import ignore, put_annotations
from pipeline.models import shipped_model
from pipeline.selection import permanent_number
from pipeline.store import read
from pipeline.store.candidates import issues_to_label
from pipeline.store.predictions import guesses
from pipeline.store.session import Store
from pipeline.store.write import put_run
from pipeline.study import Study
from pipeline.taxonomy import Taxonomy
from pipeline.thread import Thread


@dataclass(frozen=True, slots=True)
class Wish:
    """What a batch is to be: see `Batch` and `draw`.

    Attributes
    ----------
    queue
        A table whose issues are taken, the first first.
    relabel
        Whether issues come in, too, that the study's verdict labels, so that its labels can be compared with those of others.
    """

    name: str
    round: str
    annotators: tuple[str, ...]
    size: int = 0
    overlap: int = 0
    strata: Strata = "repository"
    seed: int | None = None
    queue: Path | None = None
    suggestions: bool = False
    repeats: str | None = None
    relabel: bool = False


@dataclass(slots=True)
class Progress:
    """How far an annotator is with a batch, and what the last import changed."""

    batch: str
    annotator: str
    asked: int
    labelled: int
    added: int = 0
    corrected: int = 0


@dataclass(slots=True)
class AnnotationReport:
    """What an import of annotations did: to each batch and annotator, into which files it went, and what was amiss."""

    progress: list[Progress] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    flaws: list[Flaw] = field(default_factory=list)


def batches(study: Study) -> dict[str, Batch]:
    """Return the batches of a study by name.

    Raises
    ------
    RedefectError
        If a file is no batch, or one of another study.
    """
    found = {path.parent.name: read_toml(path, Batch) for path in sorted(study.annotations.glob(f"*/{FILE}"))}
    for name, batch in found.items():
        if batch.study != study.name:
            raise RedefectError(
                f"{study.annotations / name / FILE}: is a batch of study '{batch.study}', not of '{study.name}'; "
                "move it to that study's folder."
            )
    return found


def draw_batch(store: Store, study: Study, wish: Wish) -> Path:
    """Draw a batch, and write it to its file.

    Issues come from the study's sample (or from `wish.queue`), those left out that its verdict labels and that are in another
    batch: batches are disjoint, unless one repeats another.

    Raises
    ------
    RedefectError
        If the batch is there already, a name cannot be one, or there are too few issues.
    """
    check_name(wish.name, "a batch")
    check_name(wish.round, "a round")
    there = batches(study)
    path = study.annotations / wish.name / FILE
    if wish.name in there:
        raise RedefectError(f"{path}: is there already, and annotators may work by it; give the new batch another name.")
    seed = study.seeds.sample if wish.seed is None else wish.seed
    if wish.repeats is not None:
        batch = _repeated(there, wish, study)
    else:
        _check_annotators(wish.annotators)
        if wish.size < 1:
            raise RedefectError("A batch needs issues; say how many by --size.")
        with store.reading() as connection:
            candidates = _candidates(connection, study, wish, there)
        issues = draw(candidates, wish.annotators, wish.size, wish.overlap, seed)
        batch = Batch(
            study=study.name, round=wish.round, annotators=list(wish.annotators), seed=seed, suggestions=wish.suggestions,
            issues=issues,
        )  # fmt: skip
    write(path, batch.to_toml())
    return path


def worksheets(
    store: Store, study: Study, name: str, annotators: Sequence[str] = (), model: Path | None = None, *, shared: bool = False
) -> list[Worksheet]:
    """Return what each annotator of a batch is to label, with what the same annotator, and nobody else, has said so far.

    Parameters
    ----------
    annotators
        Only these; all of the batch, if none are named.
    model
        The file of the model whose suggestions are shown, where the batch has suggestions; the shipped one, if none is given.
    shared
        Make one worksheet of all issues and of nobody, for a Label Studio project in which all annotators work: what they said so
        far is left out, since everybody would see it.

    Raises
    ------
    RedefectError
        If there is no such batch or annotator, or suggestions are wanted and the store holds none of this model.
    """
    there = batches(study)
    if name not in there:
        raise RedefectError(f"Study '{study.name}' has no batch '{name}'; it has {', '.join(there) or 'none'}.")
    batch = there[name]
    for annotator in annotators:
        _check_annotator(annotator, batch, name)
    taxonomy = study.read_taxonomy()
    issues = [issue.reference for issue in batch.issues]
    with store.reading() as connection:
        threads = _threads(connection, issues)
        suggested = guesses(connection, sha256(model or shipped_model()), issues) if batch.suggestions else {}
    if batch.suggestions and not suggested:
        raise RedefectError(
            f"Batch '{name}' shows suggestions and the store holds none of this model; run `redefect classify --study "
            f"{study.name}` first."
        )
    if shared:
        tasks = (Task(issue, threads.get(_key(issue)), None, _choosable(suggested.get(issue, {}), taxonomy)) for issue in issues)
        return [Worksheet(study.name, name, batch.round, "", taxonomy, tuple(tasks))]
    earlier = {} if batch.repeats is None else _said(study, batch.repeats)
    said = earlier | _said(study, name)
    return [
        Worksheet(
            study.name,
            name,
            batch.round,
            annotator,
            taxonomy,
            tuple(
                Task(
                    issue,
                    threads.get(_key(issue)),
                    _again(said.get((annotator, *_key(issue))), batch),
                    _choosable(suggested.get(issue, {}), taxonomy),
                )
                for issue in batch.tasks_of(annotator)
            ),
        )
        for annotator in annotators or batch.annotators
    ]


def import_annotations(
    store: Store, study: Study, paths: Sequence[Path], people: Mapping[str, str], *, correct: bool = False
) -> AnnotationReport:
    """Bring what annotators filled in into the study's annotation files and the store, all of these files or nothing.

    What an annotator has said of a batch so far stays, unless the same issue comes again. A batch that is half labelled can be
    imported, and again when it is done.

    Parameters
    ----------
    paths
        Label Studio's JSON exports, workbooks and CSV tables, in any order.
    people
        Who a Label Studio user (number or address) is as an annotator, where tasks do not say whose they are.
    correct
        Whether an issue may come again with other labels: the new ones then replace the old, which version control keeps.

    Raises
    ------
    RedefectError
        If anything in any file is wrong; files and store are as they were then.
    """
    taxonomy = study.read_taxonomy()
    there = batches(study)
    found: dict[tuple[str, str], dict[_Key, Annotation]] = {}
    places: dict[tuple[str, str, _Key], Path] = {}
    report = AnnotationReport()
    for path, annotation in _read(paths, study, taxonomy, people, report.flaws.append):
        name = _batch_of(annotation, there, path)
        key = _key(annotation.issue)
        where = (name, annotation.annotator, key)
        if where in places and found[where[:2]][key] != annotation:
            raise RedefectError(
                f"{path}: {_shown(annotation)} has other labels than in {places[where]}, both by '{annotation.annotator}'; "
                "remove one of the two."
            )
        places[where] = path
        found.setdefault(where[:2], {})[key] = annotation
    new: dict[Path, list[Annotation]] = {}
    for (name, annotator), said in sorted(found.items()):
        path = study.annotations / name / f"{annotator}.csv"
        old = {_key(a.issue): a for a in read_annotation_file(path, taxonomy, ignore)} if path.exists() else {}
        changed = [a for key, a in said.items() if key in old and old[key] != a]
        if changed and not correct:
            raise RedefectError(
                f"{places[name, annotator, _key(changed[0].issue)]}: {_shown(changed[0])} was imported before with other labels "
                f"by '{annotator}' ({len(changed)} such issues); if these are corrections, give --correct."
            )
        new[path] = sorted((old | said).values(), key=lambda a: _key(a.issue))
        asked = len(there[name].tasks_of(annotator))
        report.progress.append(Progress(name, annotator, asked, len(new[path]), len(said.keys() - old.keys()), len(changed)))
    keep_annotations(store, study, new, "annotate import", {path.name: sha256(path) for path in paths})
    report.files = sorted(new)
    return report


def keep_annotations(
    store: Store, study: Study, new: Mapping[Path, Sequence[Annotation]], command: str, inputs: dict[str, str]
) -> None:
    """Put annotations into their files and into the store, all or nothing.

    Killed between two files, it leaves a store that takes up the first with the next import of the study.
    """
    done = ImportReport()
    contents = {path: annotation_file(of, path.parent.name, study.read_taxonomy()) for path, of in new.items()}
    before = {path: path.read_bytes() if path.exists() else None for path in contents}
    with store.writing() as connection:
        put_annotations(connection, study, new, done)
        if done.changed:
            put_run(
                connection, command=command, study=study.name, study_digest=study.digest, version=__version__,
                inputs=inputs, finished_at=datetime.now(UTC),
            )  # fmt: skip
        written: list[Path] = []
        try:
            for path, content in contents.items():
                write(path, content)
                written.append(path)
        except BaseException:
            for path in written:
                if (old := before[path]) is None:
                    path.unlink()
                else:
                    write(path, old)
            raise


def labelling_files(sheets: Sequence[Worksheet], tool: str) -> dict[str, bytes]:
    """Return the files that annotators are given, by name: one for each, and for Label Studio the interface of all.

    Raises
    ------
    RedefectError
        If there is no such tool.
    """
    if tool == "label-studio":
        most = max(map(label_studio.defects_needed, sheets))
        interface = {f"{sheets[0].batch}.xml": label_studio.interface(sheets[0].taxonomy, most)}
        return interface | {f"{sheet.batch}-{sheet.annotator or 'shared'}.json": label_studio.tasks(sheet) for sheet in sheets}
    writers = {"xlsx": to_xlsx, "csv": to_csv}
    if tool not in writers:
        raise RedefectError(f"--tool: '{tool}' is none of label-studio, xlsx, csv.")
    if not all(sheet.annotator for sheet in sheets):
        raise RedefectError("--shared: a sheet is of one annotator; only a project of Label Studio can be shared.")
    return {f"{sheet.batch}-{sheet.annotator}.{tool}": writers[tool](sheet) for sheet in sheets}


def progress(study: Study) -> list[tuple[str, Progress]]:
    """Return how far each annotator is with each batch, and the batch's round."""
    return [
        (batch.round, Progress(name, annotator, len(tasks), sum((annotator, *_key(issue)) in said for issue in tasks)))
        for name, batch in batches(study).items()
        for said in [_said(study, name)]
        for annotator in batch.annotators
        for tasks in [batch.tasks_of(annotator)]
    ]


def study_codebook(store: Store, study: Study) -> Codebook:
    """Return the labelling guide of a study, its examples being issues of the store that no batch asks about."""
    asked = {_key(issue.reference) for batch in batches(study).values() for issue in batch.issues}
    with store.reading() as connection:
        labels = read.labels(connection, study.name)
    places = zip(labels["repository"].str.casefold(), labels["number"], strict=True)
    free = labels[[place not in asked for place in places]]
    return Codebook(study.read_taxonomy(), examples(free, study.verdict))


_Key = tuple[str, int]


def _key(issue: IssueReference) -> _Key:
    return issue.repository.casefold(), issue.number


def _shown(annotation: Annotation) -> str:
    return f"{annotation.issue.repository}#{annotation.issue.number}"


def _read(
    paths: Sequence[Path], study: Study, taxonomy: Taxonomy, people: Mapping[str, str], report: Callable[[Flaw], None]
) -> Iterator[tuple[Path, Annotation]]:
    """Yield what annotators say, with the file that says it."""
    sheets = [path for path in paths if path.suffix in (".xlsx", ".csv")]
    for path in paths:
        if path.suffix == ".json":
            content = read_text(path).encode()
            yield from ((path, a) for a in label_studio.read_export(content, str(path), taxonomy, study.name, people))
        elif path not in sheets:
            raise RedefectError(f"{path}: is none of: Label Studio's JSON export (.json), a workbook (.xlsx), a table (.csv).")
    for path in sheets:
        for sheet in read_sheets([path], taxonomy, report):
            yield from ((path, annotation) for annotation in sheet.annotations)


def _batch_of(annotation: Annotation, there: Mapping[str, Batch], path: Path) -> str:
    """Return the batch in which an annotator was asked about an issue: in a round there is one at most."""
    of_round = {name: batch for name, batch in there.items() if batch.round == annotation.round}
    if not of_round:
        raise RedefectError(
            f"{path}: {_shown(annotation)} is of round '{annotation.round}', of which this study has no batch; it may be another "
            "project's."
        )
    known = sorted({annotator for batch in of_round.values() for annotator in batch.annotators})
    if annotation.annotator not in known:
        raise RedefectError(
            f"{path}: '{annotation.annotator}' is no annotator of round '{annotation.round}'"
            f"{_near(annotation.annotator, known)}; an annotator keeps one name."
        )
    for name, batch in of_round.items():
        if _key(annotation.issue) in {_key(issue) for issue in batch.tasks_of(annotation.annotator)}:
            return name
    raise RedefectError(
        f"{path}: '{annotation.annotator}' was not asked about {_shown(annotation)} in round '{annotation.round}'; it may be "
        "another project's, or its number was changed."
    )


def _near(name: str, known: Sequence[str]) -> str:
    near = process.extractOne(name, known)
    return f"; did you mean '{near[0]}'?" if near else ""


def _check_annotator(annotator: str, batch: Batch, name: str) -> None:
    if annotator not in batch.annotators:
        raise RedefectError(f"'{annotator}' is no annotator of batch '{name}'; it has {', '.join(batch.annotators)}.")


def _check_annotators(annotators: Sequence[str]) -> None:
    if not annotators:
        raise RedefectError("A batch needs annotators; name each by --annotator.")
    for annotator in annotators:
        check_name(annotator, "an annotator")
    if twice := [name for name, count in Counter(map(str.casefold, annotators)).items() if count > 1]:
        raise RedefectError(f"Annotator '{twice[0]}' stands twice; name each once.")


def _repeated(there: Mapping[str, Batch], wish: Wish, study: Study) -> Batch:
    """Return a batch anew, for another round."""
    if wish.repeats is None or wish.repeats not in there:
        raise RedefectError(f"Study '{study.name}' has no batch '{wish.repeats}' to repeat; it has {', '.join(there) or 'none'}.")
    if wish.annotators or wish.size or wish.queue:
        raise RedefectError(
            "A batch that repeats another has its annotators and issues; leave out --annotator, --size and --queue."
        )
    before = there[wish.repeats]
    rounds = {batch.round for batch in there.values() if wish.repeats in (batch.repeats, None)} | {before.round}
    if wish.round in rounds:
        raise RedefectError(
            f"Batch '{wish.repeats}' was labelled in round '{wish.round}' already; give the new batch another round."
        )
    return before.model_copy(update={"round": wish.round, "suggestions": wish.suggestions, "repeats": wish.repeats})


def _candidates(connection: Connection, study: Study, wish: Wish, there: Mapping[str, Batch]) -> list[tuple[IssueReference, str]]:
    """Return the issues that a batch may have with their strata, those to take first standing first."""
    taken = {_key(issue.reference) for batch in there.values() for issue in batch.issues}
    seed = study.seeds.sample if wish.seed is None else wish.seed
    if wish.queue is None:
        found = issues_to_label(connection, study.name, None if wish.relabel else study.verdict)
        found.sort(key=lambda item: permanent_number(item[0], seed))
    else:
        kinds = {repository.name.casefold(): repository.kind for repository in study.repositories}
        found = [(issue, kinds.get(issue.repository.casefold(), "unknown")) for issue in _queued(wish.queue)]
    free = [(issue, kind) for issue, kind in found if _key(issue) not in taken]
    return [(issue, {"repository": issue.repository, "kind": kind, "none": ""}[wish.strata]) for issue, kind in free]


def _queued(path: Path) -> list[IssueReference]:
    """Read the issues of a queue (`redefect queue`), or of any table with repository and number, in its order."""
    issues = []
    for row in read_table(path, ["repository", "number"]):
        if row["repository"].count("/") != 1 or not row["number"].isdecimal():
            raise row.error("names no issue; write owner/name as repository and a whole number as number.")
        issues.append(IssueReference(row["repository"], int(row["number"])))
    if len(set(map(_key, issues))) < len(issues):
        raise RedefectError(f"{path}: names an issue twice; remove one of the two.")
    return issues


def _threads(connection: Connection, issues: Iterable[IssueReference]) -> dict[_Key, Thread]:
    wanted = {_key(issue) for issue in issues}
    threads = read.threads(connection, sorted({repository for repository, _ in wanted}))
    return {key: pseudonymised(t) for t in threads if (key := (t.repository.casefold(), t.number)) in wanted}


def _said(study: Study, batch: str) -> dict[tuple[str, str, int], Annotation]:
    """Return what the annotators of a batch have said so far, by annotator and issue."""
    paths = (study.annotations / batch).glob("*.csv")
    said = [a for path in sorted(paths) for a in read_annotation_file(path, study.read_taxonomy(), ignore)]
    return {(a.annotator, *_key(a.issue)): a for a in said}


def _again(annotation: Annotation | None, batch: Batch) -> Annotation | None:
    return None if annotation is None else replace(annotation, round=batch.round)


def _choosable(guesses: Mapping[str, tuple[str, float]], taxonomy: Taxonomy) -> dict[str, tuple[str, float]]:
    """Keep the suggestions that an annotator may follow: the gate's classes, for instance, are no categories of the taxonomy."""
    known = {facet.id: {category.id for category in facet.choices} for facet in taxonomy.facets}
    return {facet: guess for facet, guess in guesses.items() if guess[0] in known.get(facet, ())}
