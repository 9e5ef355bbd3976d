"""The classification of threads: of all in a store, of a file of them, or of one text.

Memory does not grow with the number of threads, and what comes out does not depend on how many processes work.
"""

import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain, islice, tee
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import TypeVar

from scipy.sparse import csr_matrix, vstack

from pipeline import __version__
from pipeline.classify.model_file import Classifier, Prediction, likeliest
from pipeline.classify.queue import Queued, queued, ranked, vectors
from pipeline.errors import RedefectError
from pipeline.facts import IssueReference
from pipeline.files import sha256
from pipeline.processes import not_interrupted, processors
from pipeline.store import read
from pipeline.store.predictions import Said, put_predictions, settled
from pipeline.store.session import Store
from pipeline.store.write import put_run
from pipeline.study import Study
from pipeline.thread import Thread

_T = TypeVar("_T")
_BATCH = 100
_BATCHES_ALONE = 10
"""So many are done before further processes would have started."""

_MOST_PROCESSES = 4
_UNIT = 500  # threads whose predictions are stored together

GATE_FACET = "gate"
"""As which the gate's answer is stored: a facet with the categories `defect`, `question` and `feature`."""


@dataclass(slots=True)
class FacetCount:
    """What became of the threads for one facet: how many got which category, where the classifier did not abstain."""

    guesses: Counter[str] = field(default_factory=Counter)
    abstained: int = 0


@dataclass(slots=True)
class ClassificationReport:
    """What was classified, and of how many threads the predictions in the store had to change."""

    threads: int = 0
    changed: int = 0
    gate: Counter[str] = field(default_factory=Counter)
    facets: dict[str, FacetCount] = field(default_factory=dict)


def parse_text(text: str, where: str) -> Thread:
    """Take a Markdown text for a thread: its first line is the title, the rest the body.

    Raises
    ------
    RedefectError
        If there is no title; the sentence begins with `where`.
    """
    title, _, body = text.removeprefix("\ufeff").lstrip().partition("\n")
    title = title.removeprefix("# ").strip()
    if not title:
        raise RedefectError(f"{where}: holds no text; its first line is the title, the rest what the issue says.")
    return Thread(repository="no/repository", number=1, title=title, body=body.strip("\r\n") or None, comments=())


def classify_store(
    store: Store,
    study: Study,
    model: Path,
    classifier: Classifier,
    *,
    withheld: bool = False,
    processes: int | None = None,
    progress: Callable[[Iterable[Thread]], Iterable[Thread]] = iter,
) -> ClassificationReport:
    """Label all threads of a store, and store the probabilities.

    They are stored many threads at a time: when it is stopped, a thread has all of them or none (or those that it had). A second
    run with the same model changes nothing, unless texts have changed. What a thread's predictions by other models are stays.

    Parameters
    ----------
    withheld
        Whether to store what the classifier says of facets that it cannot learn yet, too.
    """
    digest = sha256(model)
    report = ClassificationReport()
    with store.reading() as connection:
        for unit in _units(predictions(classifier, progress(read.threads(connection)), processes), _UNIT):
            stored = {}
            for prediction in unit:
                _count(report, prediction)
                of = {
                    facet: Said(guess.probabilities, guess.category, guess.abstained)
                    for facet, guess in prediction.facets.items()
                    if withheld or facet not in classifier.withheld
                }
                gate = Said(prediction.gate, likeliest(prediction.gate), abstained=False)
                stored[IssueReference(prediction.repository, prediction.number)] = {GATE_FACET: gate} | of
            with store.writing() as writing:
                report.changed += put_predictions(writing, classifier.name, digest, stored)
    if report.changed:
        with store.writing() as connection:
            put_run(
                connection, command="classify", study=study.name, study_digest=study.digest, version=__version__,
                inputs={model.name: digest}, finished_at=datetime.now(UTC),
            )  # fmt: skip
    return report


def label_queue(
    store: Store,
    study: Study,
    classifier: Classifier,
    size: int,
    *,
    by_repository: bool = False,
    processes: int | None = None,
    progress: Callable[[Iterable[Thread]], Iterable[Thread]] = iter,
) -> list[Queued]:
    """Rank the issues of a store that the study's verdict does not label yet, pull requests left out.

    Memory: for each such issue the counts of its first words.

    Parameters
    ----------
    by_repository
        Whether to take as many issues of each repository as of any other.
    """
    found: list[Queued] = []
    counts: list[csr_matrix] = []
    with store.reading() as connection:
        known = settled(connection, study.verdict)
        threads = (t for t in progress(read.threads(connection)) if (t.repository.casefold(), t.number) not in known)
        labelled, read_again = tee(threads)
        for unit in _units(zip(predictions(classifier, labelled, processes), read_again, strict=True), _BATCH):
            found += [queued(prediction) for prediction, _ in unit]
            counts.append(vectors([thread for _, thread in unit]))
    if not found:
        return []
    groups = [q.issue.repository for q in found] if by_repository else None
    return [found[row] for row in ranked([q.uncertainty for q in found], vstack(counts, format="csr"), size, groups)]


def predictions(classifier: Classifier, threads: Iterable[Thread], processes: int | None = None) -> Iterator[Prediction]:
    """Label threads, in their order, in several processes when there are many threads.

    Parameters
    ----------
    processes
        How many; as many as there are processors, if not given.
    """
    count = processes or min(_MOST_PROCESSES, processors())
    batches = _units(iter(threads), _BATCH)
    first = list(islice(batches, _BATCHES_ALONE if count > 1 else 0))
    if len(first) < _BATCHES_ALONE:
        for batch in chain(first, batches):
            yield from classifier.predict(batch)
        return
    with _workers(classifier, count) as pool:
        waiting: deque[Future[list[Prediction]]] = deque()
        for batch in chain(first, batches):
            waiting.append(pool.submit(_predict, batch))
            if len(waiting) > 2 * count:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


def _count(report: ClassificationReport, prediction: Prediction) -> None:
    report.threads += 1
    report.gate[likeliest(prediction.gate)] += 1
    for facet, guess in prediction.facets.items():
        count = report.facets.setdefault(facet, FacetCount())
        if guess.abstained:
            count.abstained += 1
        else:
            count.guesses[guess.category] += 1


def _units(items: Iterator[_T], size: int) -> Iterator[list[_T]]:
    while unit := list(islice(items, size)):
        yield unit


@contextmanager
def _workers(classifier: Classifier, count: int) -> Iterator[ProcessPoolExecutor]:
    """Run processes that label; when this one is stopped, they end without a word."""
    spawning = get_context("spawn")
    pool = ProcessPoolExecutor(count, spawning, _start_worker, (classifier, spawning.Barrier(count)))
    try:
        with not_interrupted():  # a process takes over what is ignored when it starts
            for _ in range(count):
                pool.submit(os.getpid)  # starts a process while none is idle, and none is before all have met
        yield pool
    except BrokenProcessPool:
        raise RedefectError(
            "A process that labels threads ended by itself; is there enough memory? Run the command again."
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


_classifier: Classifier
"""Of a process that labels, from its start."""


def _start_worker(classifier: Classifier, meeting: Barrier) -> None:
    global _classifier
    _classifier = classifier
    meeting.wait()


def _predict(threads: Sequence[Thread]) -> list[Prediction]:
    return _classifier.predict(threads)
