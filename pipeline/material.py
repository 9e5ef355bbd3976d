"""What a classifier learns from, brought together from a study's store, its labels, and those of the project."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from pipeline.classify.features import MOST_CHARACTERS, vector_words
from pipeline.classify.habits import Habits, learn_habits
from pipeline.classify.labelled import Labelled
from pipeline.classify.lexicon import Lexicon, read_lexicon
from pipeline.classify.text import Document, read_document
from pipeline.classify.vectors import WordVectors
from pipeline.errors import RedefectError
from pipeline.facts import IssueReference, Label
from pipeline.importing import project_labels, study_labels
from pipeline.store import read
from pipeline.store.session import Store
from pipeline.study import Study, Verdict
from pipeline.thread import Thread

PROJECT_VERDICTS = (Verdict(annotator="adjudicated", round="adjudicated"), Verdict(annotator="auto-c", round="single"))
"""Whose labels of `data/annotations` are learnt from, best first: see the data sheet there."""

FEWEST_THREADS_FOR_VECTORS = 5_000
"""Threads of a store that word vectors are learnt from; below, those of the shipped model serve better."""

_FEWEST_LABELS = 30
"""Of a facet, below which nothing can be learnt and nothing measured."""

_GATE = "gate"
_MOST_OF_BODY = 3_000

Progress = Callable[[Iterable[Thread]], Iterable[Thread]]


@dataclass(frozen=True, slots=True)
class Material:
    """What there is to learn from.

    Attributes
    ----------
    labelled
        The defects, with their facets.
    gated
        Threads and whether each holds a defect, `defect` or `no-defect`.
    habits, lexicon
        By which documents were read, and the written rules, None if there are none for the taxonomy.
    counts
        Threads by annotator and round.
    without_text
        Labelled issues whose text the store does not hold.
    threads
        How many the store holds.
    """

    labelled: Labelled
    gated: tuple[list[Thread], list[str]]
    habits: Habits
    lexicon: Lexicon | None
    counts: dict[str, int]
    without_text: int
    threads: int


def material(store: Store, study: Study, progress: Progress = iter, whose: Verdict | None = None) -> Material:
    """Read what a classifier for a study can learn from.

    A thread's labels are those of the study's verdict (or of `whose`), or else the best of the project's own (of
    `data/annotations`, which studies that are fictional do without).

    Raises
    ------
    RedefectError
        If no labelled issue has a text in the store.
    """
    with store.reading() as connection:
        known = read.labels(connection, study.name)
    chosen = _chosen(_as_labels(known), [whose or study.verdict])
    if not study.fictional:
        for issue, labels in _chosen(project_labels(study), PROJECT_VERDICTS).items():
            chosen.setdefault(issue, labels)
    return _material(store, study, chosen, progress)


def learnt_from(study: Study) -> pd.DataFrame:
    """Return the project's own labels that the shipped model learnt from, in the order of its held-out rows.

    Columns: `repository` (case folded), `number`, and a column a facet of the study's taxonomy; a row a defect.
    """
    chosen = dict(sorted(_chosen(project_labels(study), PROJECT_VERDICTS).items()))
    rows = []
    for (repository, number), labels in chosen.items():
        for defect in sorted({label.defect for label in labels if label.defect}):
            said = {label.facet: label.category for label in labels if label.defect == defect}
            rows.append({"repository": repository, "number": number} | said)
    facets = [facet.id for facet in study.read_taxonomy().defect_facets]
    return pd.DataFrame(rows, columns=["repository", "number", *facets], dtype=object)


def labelled_by(store: Store, study: Study, other: Study, habits: Habits) -> Labelled:
    """Return the threads of a study's store that another study's verdict labels, with the labels of that study's files.

    Raises
    ------
    RedefectError
        If the other study's files are missing, or the store holds none of its threads.
    """
    chosen = _chosen(study_labels(other), [other.verdict])
    documents = {}
    with store.reading() as connection:
        for thread in read.threads(connection, sorted({repository for repository, _ in chosen})):
            if (key := (thread.repository.casefold(), thread.number)) in chosen:
                documents[key] = read_document(thread, habits, most=MOST_CHARACTERS)
    if not documents:
        raise RedefectError(f"The store of study '{study.name}' holds no thread that study '{other.name}' labels.")
    return _labelled({key: chosen[key] for key in sorted(documents)}, documents, other)


def learn_vectors(store: Store, seed: int) -> WordVectors | None:
    """Learn word vectors from the titles and bodies of all threads of a store; None if they are too few."""
    texts = _Texts(store)
    if sum(1 for _ in texts) < FEWEST_THREADS_FOR_VECTORS:
        return None
    return WordVectors(seed=seed).fit(texts)


class _Texts:
    """The words of each thread in a store, read anew each time that they are gone through, so that no corpus lies in memory."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __iter__(self) -> Iterator[list[str]]:
        with self._store.reading() as connection:
            for thread in read.threads(connection):
                yield vector_words(f"{thread.title}\n{(thread.body or '')[:_MOST_OF_BODY]}")


_Key = tuple[str, int]
_Chosen = dict[_Key, list[Label]]


def _material(store: Store, study: Study, chosen: _Chosen, progress: Progress) -> Material:
    with store.reading() as connection:
        habits = learn_habits(progress(read.threads(connection)))
    threads: dict[_Key, Thread] = {}
    count = 0
    with store.reading() as connection:
        for thread in read.threads(connection):
            count += 1
            if (key := (thread.repository.casefold(), thread.number)) in chosen:
                threads[key] = thread
    if not threads:
        raise RedefectError(
            f"The store of study '{study.name}' holds no text of a labelled issue; "
            f"run `redefect collect --labelled --study {study.name}` first."
        )
    found = {key: chosen[key] for key in sorted(threads)}
    documents = {key: read_document(thread, habits, most=MOST_CHARACTERS) for key, thread in threads.items()}
    gates = [(threads[key], label.category) for key, labels in found.items() for label in labels if label.facet == _GATE]
    by_annotator = Counter(f"{labels[0].annotator}, {labels[0].round}" for labels in found.values())
    path = study.lexicon_path
    return Material(
        labelled=_labelled(found, documents, study),
        gated=([thread for thread, _ in gates], [category for _, category in gates]),
        habits=habits,
        lexicon=read_lexicon(path, study.read_taxonomy()) if path.is_file() else None,
        counts=dict(sorted(by_annotator.items())),
        without_text=len(chosen) - len(threads),
        threads=count,
    )


def _labelled(chosen: _Chosen, documents: dict[_Key, Document], study: Study) -> Labelled:
    """Make a row a defect, and a column for each facet of defects that has labels enough."""
    facets = [facet.id for facet in study.read_taxonomy().defect_facets]
    rows: list[dict[str, str]] = []
    of: list[Document] = []
    for key, labels in chosen.items():
        for defect in sorted({label.defect for label in labels if label.defect}):
            rows.append({label.facet: label.category for label in labels if label.defect == defect and label.facet in facets})
            of.append(documents[key])
    frame = pd.DataFrame(rows, columns=facets, dtype=object)
    enough = [facet for facet in facets if frame[facet].notna().sum() >= min(_FEWEST_LABELS, len(frame))]
    frame = frame[[facet for facet in enough if frame[facet].nunique() > 1]]
    return Labelled(of, frame.astype(object).where(frame.notna(), None))


def _chosen(labels: Iterable[Label], verdicts: Sequence[Verdict]) -> _Chosen:
    """Return each issue's labels by the first of the verdicts that says anything of it."""
    by: dict[tuple[str, str], _Chosen] = {(v.annotator, v.round): {} for v in verdicts}
    for label in labels:
        if (issues := by.get((label.annotator, label.round))) is not None:
            issues.setdefault((label.issue.repository.casefold(), label.issue.number), []).append(label)
    chosen: _Chosen = {}
    for issues in by.values():
        for key, found in issues.items():
            chosen.setdefault(key, found)
    return chosen


def _as_labels(frame: pd.DataFrame) -> Iterator[Label]:
    columns = ["defect", "facet", "category", "value", "annotator", "round"]
    for repository, number, *said in frame[["repository", "number", *columns]].to_numpy().tolist():
        yield Label(IssueReference(repository, number), *said)
