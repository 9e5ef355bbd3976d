"""Classify all of Denchmark beside fastText and spaCy's text classifiers, in one run: `make bench-classify`.

Each is trained on the same labelled threads, a model a facet, tested on the same repositories, which none was trained on, and
then labels all threads in every facet; each in a process of its own (ReDefect in two as well, as `redefect classify` does).
Seconds are those of reading lines, labelling and, for ReDefect, writing; not of training. Memory is the largest process's peak,
training included. fastText lives in a virtual environment of its own (`data/build/peers/fasttext-wheel`). SetFit takes part where
REDEFECT_SETFIT names a Python that has it, and REDEFECT_EMBEDDINGS the folder of a sentence-transformers model. The slower ones
label a part of the threads.
"""

import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import cycle
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("REDEFECT_SHARED", CHECKOUT.parent / "shared"))
ARCHIVE = SHARED / "corpora" / "denchmark" / "denchmark-stage2-bugreports.tar.xz"
LABELS = CHECKOUT / "data" / "annotations" / "labels.csv"
FASTTEXT = Path(os.environ.get("REDEFECT_FASTTEXT", CHECKOUT / "data/build/peers/fasttext-wheel/bin/python"))

FACETS = ["gate", "reporter", "stage", "manifestation", "symptom", "defect-type", "root-cause"]
_HELD_OUT = 5  # one in so many repositories
_ONE_IN = {
    "fasttext": 1,
    "spacy-bow": 5,
    "spacy-ensemble": 20,
    "setfit": 200,
}  # threads: the slower ones would take half an hour for all
_BATCH = 256
_SETFIT_STEPS, _SETFIT_TOKENS = 20, 128
_CHARACTERS = 4000  # of a text for the peers, which have no notion of a thread's parts
_MAXRSS_UNIT = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, KiB elsewhere

Predict = Callable[[list[dict]], list[str]]


def redefect(folder: Path, processes: int) -> None:
    """Train as `redefect train` does, test, and label all as `redefect classify --threads` does; print a line of JSON."""
    from collections.abc import Iterable

    import pandas as pd

    from pipeline.classify.facets import FacetClassifier
    from pipeline.classify.features import MOST_CHARACTERS, vector_words
    from pipeline.classify.gate import Gate
    from pipeline.classify.lexicon import read_lexicon
    from pipeline.classify.model_file import Classifier, in_order
    from pipeline.classify.text import read_document
    from pipeline.classify.vectors import WordVectors
    from pipeline.classifying import predictions
    from pipeline.collect.json_lines import read_json_lines
    from pipeline.taxonomy import read_taxonomy
    from pipeline.thread import Thread

    taxonomy = read_taxonomy(CHECKOUT / "taxonomy" / "jiang2024.yaml")
    lexicon = read_lexicon(CHECKOUT / "taxonomy" / "lexicons" / "jiang2024.yaml", taxonomy)
    facets = [facet for facet in FACETS if facet != "gate"]

    class Texts:
        def __iter__(self) -> Iterator[list[str]]:
            for thread in read_json_lines(folder / "threads.jsonl"):
                yield vector_words(f"{thread.title}\n{(thread.body or '')[:3_000]}")

    annotated = [
        (thread, row)
        for row, thread in zip(_rows(folder), read_json_lines(folder / "threads.jsonl"), strict=True)
        if row["labels"]
    ]
    train = [(thread, row["labels"]) for thread, row in annotated if not row["held_out"]]
    test = [(thread, row["labels"]) for thread, row in annotated if row["held_out"]]
    defects = [(thread, labels) for thread, labels in train if labels["gate"] == "defect"]
    frame = pd.DataFrame([labels for _, labels in defects], columns=facets, dtype=object)
    documents = [read_document(thread, most=MOST_CHARACTERS) for thread, _ in defects]
    learnt = FacetClassifier(lexicon, WordVectors().fit(Texts())).fit(documents, frame)
    # The annotations tell a defect from none; that all others be questions and wishes by turns costs nothing here.
    none = cycle(("feature", "question"))
    said = ["bug" if labels["gate"] == "defect" else next(none) for _, labels in train]
    gate = Gate().fit([thread for thread, _ in train], said)
    classifier = Classifier("benchmark", gate, learnt, in_order(taxonomy, learnt.facets_))
    tested = classifier.predict([thread for thread, _ in test])
    gated = ["defect" if prediction.gate["defect"] > 0.5 else "no-defect" for prediction in tested]
    kappas = {"gate": _kappa([row["gate"] for _, row in test], gated)}
    for facet in facets:
        known = [(row[facet], p.facets[facet].category) for (_, row), p in zip(test, tested, strict=True) if row.get(facet)]
        kappas[facet] = _kappa([truth for truth, _ in known], [guess for _, guess in known])
    del annotated, train, test, defects, documents, learnt.left_out_

    def until(count: int) -> Iterable[Thread]:
        yield from (thread for thread, _ in zip(read_json_lines(folder / "threads.jsonl"), range(count), strict=False))

    peaks = {}
    for count in (5_000, 10**9):
        before = _times()
        begun, done = time.perf_counter(), 0
        with (folder / "labels.jsonl").open("w", encoding="utf-8") as out:
            for prediction in predictions(classifier, until(count), processes):
                out.write(prediction.to_json() + "\n")
                done += 1
        seconds, cpu = time.perf_counter() - begun, _times() - before
        peaks[count] = _peak()
    found = {"threads": done, "seconds": seconds, "cpu": cpu, "peak": peaks[10**9], "earlier": peaks[5_000], "kappa": kappas}
    print(json.dumps(found))


def _peak() -> float:
    largest = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return largest / _MAXRSS_UNIT


def _times() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(of.ru_utime + of.ru_stime for of in used)


def fasttext_model(folder: Path, rows: list[dict], facet: str) -> Predict:
    import fasttext

    path = folder / "train.txt"
    path.write_text("".join(f"__label__{row['labels'][facet]} {row['text']}\n" for row in rows), encoding="utf-8")
    model = fasttext.train_supervised(str(path), epoch=50, lr=0.5, wordNgrams=2, dim=50, bucket=200_000, thread=1, verbose=0)
    return lambda asked: [model.f.predict(f"{row['text']}\n", 1, 0.0, "strict")[0][1].removeprefix("__label__") for row in asked]


def spacy_model(folder: Path, rows: list[dict], facet: str, architecture: str) -> Predict:
    import random

    import spacy
    from spacy.training import Example
    from spacy.util import fix_random_seed, minibatch

    fix_random_seed(1)
    classes = sorted({row["labels"][facet] for row in rows})
    bow = {
        "@architectures": "spacy.TextCatBOW.v3",
        "exclusive_classes": True,
        "ngram_size": 2,
        "no_output_layer": False,
        "length": 2**18,
    }
    if architecture == "bow":
        model = bow
    else:
        tok2vec = {
            "@architectures": "spacy.HashEmbedCNN.v2", "pretrained_vectors": None, "width": 64, "depth": 2, "embed_size": 2000,
            "window_size": 1, "maxout_pieces": 3, "subword_features": True,
        }  # fmt: skip
        model = {"@architectures": "spacy.TextCatEnsemble.v2", "tok2vec": tok2vec, "linear_model": bow}
    nlp = spacy.blank("en")
    nlp.add_pipe("textcat", config={"model": model})
    examples = [
        Example.from_dict(nlp.make_doc(row["text"]), {"cats": {name: float(name == row["labels"][facet]) for name in classes}})
        for row in rows
    ]
    optimizer = nlp.initialize(lambda: examples)
    for epoch in range(10 if architecture == "bow" else 4):
        random.Random(epoch).shuffle(examples)
        for batch in minibatch(examples, 32):
            nlp.update(batch, sgd=optimizer)

    def predict(asked: list[dict]) -> list[str]:
        docs = nlp.pipe([row["text"] for row in asked], batch_size=_BATCH)
        return [max(doc.cats, key=doc.cats.__getitem__) for doc in docs]

    return predict


def setfit_model(folder: Path, rows: list[dict], facet: str) -> Predict:
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    classes = sorted({row["labels"][facet] for row in rows})
    model = SetFitModel.from_pretrained(os.environ["REDEFECT_EMBEDDINGS"], labels=classes, local_files_only=True)
    model.model_body.max_seq_length = _SETFIT_TOKENS
    learnt = Dataset.from_dict({"text": [row["text"] for row in rows], "label": [row["labels"][facet] for row in rows]})
    # So few steps, since one on two cores takes a second, and there is a model for each facet.
    how = TrainingArguments(
        output_dir=str(folder / "setfit"), batch_size=16, max_steps=_SETFIT_STEPS, seed=1, report_to="none", save_strategy="no"
    )
    Trainer(model=model, args=how, train_dataset=learnt).train()
    return lambda asked: [str(said) for said in model.predict([row["text"] for row in asked], show_progress_bar=False)]


def peer(name: str, folder: Path) -> None:
    """Train, test, and label all; print a line of JSON."""
    annotated = [row for row in _rows(folder) if row["labels"]]
    train = [row for row in annotated if not row["held_out"]]
    test = [row for row in annotated if row["held_out"]]
    models: dict[str, Predict] = {}
    for facet in FACETS:
        known = [row for row in train if row["labels"].get(facet)]
        if name == "fasttext":
            models[facet] = fasttext_model(folder, known, facet)
        elif name == "setfit":
            models[facet] = setfit_model(folder, known, facet)
        else:
            models[facet] = spacy_model(folder, known, facet, name.removeprefix("spacy-"))
    kappas = {}
    for facet, predict in models.items():
        known = [row for row in test if row["labels"].get(facet)]
        kappas[facet] = _kappa([row["labels"][facet] for row in known], predict(known))
    before = resource.getrusage(resource.RUSAGE_SELF)
    begun, count = time.perf_counter(), 0
    share = _ONE_IN[name]
    for rows in _batches(row for number, row in enumerate(_rows(folder)) if number % share == 0):
        for predict in models.values():
            predict(rows)
        count += len(rows)
    seconds = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({"threads": count, "seconds": seconds, "cpu": cpu, "peak": _peak(), "kappa": kappas}))


def _rows(folder: Path) -> Iterator[dict]:
    with (folder / "texts.jsonl").open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _batches(rows: Iterator[dict]) -> Iterator[list[dict]]:
    batch = []
    for row in rows:
        batch.append(row)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _kappa(truth: list[str], said: list[str]) -> float:
    n = len(truth)
    names = set(truth) | set(said)
    chance = sum(truth.count(name) * said.count(name) for name in names) / n**2
    agreed = sum(a == b for a, b in zip(truth, said, strict=True)) / n
    return (agreed - chance) / (1 - chance) if chance < 1 else 0.0


def _prepare(folder: Path) -> None:
    """Write all threads as lines of JSON, with their labels and whether their repository is held out."""
    from pipeline.importing import read_threads

    labels: dict[tuple[str, int], dict[str, str]] = defaultdict(dict)
    with LABELS.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["annotator"] in ("adjudicated", "auto-c") and row["category"]:
                labels[row["repository"].casefold(), int(row["number"])][row["facet"]] = row["category"]
    with (
        (folder / "texts.jsonl").open("w", encoding="utf-8") as out,
        (folder / "threads.jsonl").open("w", encoding="utf-8") as whole,
    ):
        for thread in read_threads(ARCHIVE, lambda _: None):
            repository = thread.repository.casefold()
            texts = [thread.title, thread.body or "", *(comment.body for comment in thread.comments or ())]
            row = {
                "text": " ".join(" ".join(texts)[:_CHARACTERS].split()),
                "labels": labels.get((repository, thread.number), {}),
                "held_out": sha256(repository.encode()).digest()[0] % _HELD_OUT == 0,
            }
            out.write(json.dumps(row) + "\n")
            whole.write(thread.to_json() + "\n")


def main() -> None:
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    peers = [
        ("redefect-1", sys.executable),
        ("redefect-2", sys.executable),
        ("fasttext", str(FASTTEXT)),
        ("spacy-bow", sys.executable),
        ("spacy-ensemble", sys.executable),
        ("setfit", os.environ.get("REDEFECT_SETFIT", "no interpreter named by REDEFECT_SETFIT")),
    ]
    with tempfile.TemporaryDirectory() as name:
        _prepare(Path(name))
        print(f"{'':16}{'threads':>10}{'threads/s':>10}{'per CPU s':>10}{'peak MiB':>10}  kappa on repositories left out")
        for label, python in peers:
            if not Path(python).exists():
                print(f"{label:16}is not here: {python}")
                continue
            command = [python, __file__, label, name]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"{label:16}failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
                continue
            found = json.loads(done.stdout.splitlines()[-1])
            kappas = ", ".join(f"{facet} {kappa:.2f}" for facet, kappa in found["kappa"].items())
            rate, cpu_rate = found["threads"] / found["seconds"], found["threads"] / found["cpu"]
            line = f"{label:16}{found['threads']:10,}{rate:10,.0f}{cpu_rate:10,.0f}{found['peak']:10,.0f}  {kappas}"
            print(line, flush=True)
            if "earlier" in found:
                print(f"{'':16}peak after 5,000 threads: {found['earlier']:,.0f} MiB", flush=True)


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1].startswith("redefect-"):
        redefect(Path(sys.argv[2]), int(sys.argv[1].removeprefix("redefect-")))
    elif len(sys.argv) == 3:
        peer(sys.argv[1], Path(sys.argv[2]))
    else:
        main()
