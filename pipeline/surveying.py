"""What is asked of all of GH Archive: every thread rebuilt, cleaned and labelled, and the labels counted, partition by partition.

A part is what there is of one bucket of repositories: a pure function of its events and of the model, which a laptop or any
worker of a cluster computes to the same bytes. Its file tells what it was made from, and is there when it is whole, so that a
survey that was stopped goes on with the parts that are missing.
"""

import gc
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.analyze.clustered import KEYS, NO_SUMS, cluster_shares, cluster_sums
from pipeline.classify.model_file import GATE, Classifier, likeliest, read_model
from pipeline.classify.parts import Kind
from pipeline.collect.gharchive import manifest, partitions
from pipeline.engines import Engine
from pipeline.errors import RedefectError
from pipeline.files import alone, sha256, whole, write
from pipeline.thread import Thread

ABSTAINED = "abstained"
"""As which a defect is counted of whose facet the classifier is not sure enough."""

_GATE = "gate"
_DEFECT = "defect"
_GUESS = ".guess"
_AT_ONCE = 1_000
_PROSE: tuple[Kind, ...] = ("prose",)
_MADE_FROM = b"redefect"


@dataclass(frozen=True, slots=True)
class Survey:
    """What is to be surveyed, as a worker anywhere gets it.

    Attributes
    ----------
    events
        The folder of partitions that GH Archive's events were collected in.
    output
        The folder of the survey's files.
    model, digest
        The model file, and its SHA-256.
    """

    events: Path
    output: Path
    model: Path
    digest: str

    def labels(self, bucket: int) -> Path:
        """Return the file of a bucket's labels."""
        return self.output / "labels" / f"part-{bucket:03}.parquet"

    def amiss(self) -> str:
        """Tell what a worker does not see of all this, in a sentence that follows on its name; nothing if all is there."""
        if not (self.events / manifest.NAME).is_file():
            return f"does not see {self.events}; mount the folder at the same place on each machine."
        try:
            same = sha256(self.model) == self.digest
        except RedefectError:
            same = False
        return "" if same else f"does not see the model {self.model}, or sees another; bring the same file to each machine."


@dataclass(frozen=True, slots=True)
class Part:
    """A bucket's labels: how many threads there are, the file's SHA-256, and whether it was there before."""

    bucket: int
    threads: int
    sha256: str
    kept: bool


@dataclass(frozen=True, slots=True)
class SurveyReport:
    """The parts in the order of their buckets, and the shares of all categories (see `cluster_shares`)."""

    parts: Sequence[Part]
    shares: pd.DataFrame


def survey_all(survey: Survey, engine: Engine, watch: Callable[[int], None] = lambda _: None) -> SurveyReport:
    """Label the threads of all partitions, count the labels, and tell in `manifest.json` what was made from what.

    Parameters
    ----------
    watch
        Is told how many parts there are each time that one is there.

    Raises
    ------
    RedefectError
        If nothing was collected, a partition is damaged, or who works does not live to the end; the parts that are done stay.
    """
    parts = label_all(survey, engine, watch)
    made = {
        "events": sha256(survey.events / manifest.NAME),
        "model": survey.digest,
        "labels": [{"file": survey.labels(p.bucket).name, "threads": p.threads, "sha256": p.sha256} for p in parts],
    }
    write(survey.output / "manifest.json", (json.dumps(made, indent=1) + "\n").encode())
    return SurveyReport(parts, count_all(survey, engine))


def label_all(survey: Survey, engine: Engine, watch: Callable[[int], None] = lambda _: None) -> list[Part]:
    """Label the threads of all partitions; return the parts in the order of their buckets."""
    buckets = partitions.buckets(survey.events)
    if not (survey.events / manifest.NAME).is_file() or not buckets:
        raise RedefectError(f"{survey.events}: holds no events; collect some by `redefect collect gharchive`.")
    parts = []
    labels = survey.labels(0).parent
    with alone(labels, "another survey"):
        for part in engine.map(partial(label_part, survey), buckets):
            watch(len(buckets))
            parts.append(part)
        for stale in sorted({*labels.iterdir()} - {survey.labels(bucket) for bucket in buckets}):
            stale.unlink()  # of other buckets, or what a worker was writing when it died
    return sorted(parts, key=lambda part: part.bucket)


def count_all(survey: Survey, engine: Engine) -> pd.DataFrame:
    """Count the labels of all parts; return the shares of all categories (see `cluster_shares`)."""
    sums = engine.sums(partial(count_part, survey), partitions.buckets(survey.events), KEYS, NO_SUMS)
    categories = _classifier(survey.model, survey.digest).categories
    return cluster_shares(sums, {_GATE: tuple(GATE.values())} | {facet: (*of, ABSTAINED) for facet, of in categories.items()})


def label_part(survey: Survey, bucket: int) -> Part:
    """Rebuild, clean and label the threads of a bucket, unless its file is there and made from the same.

    In memory are a few events and threads at a time.
    """
    path = survey.labels(bucket)
    inputs = {str(file.relative_to(survey.events)): sha256(file) for file in partitions.files(survey.events, bucket)}
    made_from = json.dumps({"model": survey.digest, "events": inputs}).encode()
    kept = _made_from(path) == made_from
    if not kept:
        classifier = _classifier(survey.model, survey.digest)
        schema = labels_schema(classifier).with_metadata({_MADE_FROM: made_from})
        with whole(path) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
            for threads in _batches(survey.events, bucket):
                writer.write_table(label(classifier, threads).cast(schema))
    return Part(bucket, pq.read_metadata(path).num_rows, sha256(path), kept)


def labels_schema(classifier: Classifier) -> pa.Schema:
    """Return the columns of labels: what is known of a thread, its clean text, and what the classifier says of it.

    `prose` is what people wrote, without code, traces, logs, quotes and boilerplate. Of a facet there are three columns: the
    category, null where the classifier abstains; its best guess; and how likely that one is.
    """
    fields: list[tuple[str, pa.DataType]] = [
        ("repository", pa.string()),
        ("number", pa.int64()),
        ("created_at", pa.timestamp("ms", tz="UTC")),
        ("state", pa.string()),
        ("comments", pa.int32()),
        ("title", pa.string()),
        ("prose", pa.string()),
        (_GATE, pa.string()),
    ]
    for facet in _facets(classifier):
        fields += zip(_columns(facet), (pa.string(), pa.string(), pa.float32()), strict=True)
    return pa.schema(fields)


def label(classifier: Classifier, threads: Sequence[Thread]) -> pa.Table:
    """Return the labels of threads, a row each, in their order: see `labels_schema`."""
    documents, facets = classifier.read(threads), _facets(classifier)
    rows: list[dict[str, Any]] = []
    for thread, document, said in zip(threads, documents, classifier.predict(threads, documents), strict=True):
        row = {
            "repository": thread.repository, "number": thread.number, "created_at": thread.created_at, "state": thread.state,
            "comments": None if thread.comments is None else len(thread.comments), "title": thread.title,
            "prose": document.text(_PROSE), _GATE: likeliest(said.gate),
        }  # fmt: skip
        for facet in facets:
            of = said.facets[facet]
            row |= zip(_columns(facet), (None if of.abstained else of.category, of.category, of.probability), strict=True)
        rows.append(row)
    return pa.Table.from_pylist(rows, labels_schema(classifier))


def count_part(survey: Survey, bucket: int) -> pd.DataFrame:
    """Count the labels of a bucket: see `cluster_sums`."""
    with pq.ParquetFile(survey.labels(bucket)) as file:
        facets = [name.removesuffix(_GUESS) for name in file.schema_arrow.names if name.endswith(_GUESS)]
        labels = file.read(columns=["repository", "created_at", _GATE, *facets])
    years = pc.year(labels["created_at"]).to_pylist()
    periods = ["unknown" if year is None else str(year) for year in years]
    return cluster_sums(labels.to_pydict() | {"period": periods}, _GATE, _DEFECT, facets, ABSTAINED)


def _columns(facet: str) -> tuple[str, str, str]:
    return facet, facet + _GUESS, f"{facet}.probability"


def _facets(classifier: Classifier) -> list[str]:
    return [facet for facet in classifier.categories if facet not in classifier.withheld]


@lru_cache(maxsize=1)
def _classifier(path: Path, digest: str) -> Classifier:
    """Read the model once a process."""
    if sha256(path) != digest:
        raise RedefectError(f"{path}: is not the model any more that the survey began with; begin again.")
    classifier = read_model(path)
    gc.freeze()  # it lives as long as the process: collecting garbage among threads need not visit it
    gc.set_threshold(50_000)
    return classifier


def _batches(events: Path, bucket: int) -> Iterator[list[Thread]]:
    threads = (thread for rebuilt in partitions.rebuild_bucket(events, bucket) for thread in rebuilt.threads)
    while batch := list(islice(threads, _AT_ONCE)):
        yield batch


def _made_from(path: Path) -> bytes | None:
    try:
        return (pq.read_metadata(path).metadata or {}).get(_MADE_FROM)
    except (OSError, pa.ArrowInvalid):
        return None
