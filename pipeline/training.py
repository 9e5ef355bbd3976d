"""The training of a classifier for a study: its facets, its gate, where it abstains, and the card that goes with it."""

import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from pipeline.classify.facets import CANDIDATES, FacetClassifier
from pipeline.classify.gate import Gate, train_gate
from pipeline.classify.labelled import Labelled
from pipeline.classify.model_card import write_card
from pipeline.classify.model_file import Classifier, hashes, in_order, read_model, write_model
from pipeline.classify.nlbse import TEST, TRAIN, read_split
from pipeline.classify.vectors import WordVectors
from pipeline.documents import read_text
from pipeline.errors import RedefectError
from pipeline.files import sha256
from pipeline.importing import relative, study_inputs
from pipeline.material import Material, Progress, learn_vectors, material
from pipeline.models import shipped_model
from pipeline.store.session import Store
from pipeline.study import Study

ABOUT = "data/models/ABOUT.md"
"""What the card of any model says in people's words."""

_PACKAGES = ("numpy", "scikit-learn", "scipy", "skops")


@dataclass(frozen=True, slots=True)
class Trained:
    """What was trained, on what, and which files hold it; `candidates` is the table of what was tried for each facet."""

    material: Material
    classifier: Classifier
    candidates: pd.DataFrame
    files: list[Path]


def untrained(found: Material, store: Store, study: Study) -> FacetClassifier:
    """Return the classifier of facets for a study, before it has learnt from labels.

    Its word vectors are learnt from the store, or are those of the shipped model if the store has too few threads. Without
    either, it reads words alone.
    """
    vectors = learn_vectors(store, study.seeds.resampling)
    if vectors is None:
        try:
            vectors = read_model(shipped_model()).facets.vectors  # type: ignore[attr-defined]  # a FacetClassifier
        except RedefectError:
            wordless = {name: weights for name, weights in CANDIDATES.items() if "vectors" not in name}
            return FacetClassifier(found.lexicon, WordVectors(), candidates=wordless)
    return FacetClassifier(found.lexicon, vectors)


def train(
    store: Store,
    study: Study,
    evaluation: Path,
    model: Path,
    rebuild: str,
    *,
    gate_data: Path | None = None,
    progress: Progress = iter,
    say: Callable[[str], None] = lambda _: None,
) -> Trained:
    """Train on all labels that a study can learn from, and write the model file, its card and the table of candidates.

    One training is like another to the byte: one thread computes, and nothing is left to chance.

    Parameters
    ----------
    evaluation
        The folder that `redefect evaluate` wrote for the study: it tells where to abstain and what to withhold.
    rebuild
        The command that trains anew, for the card.
    gate_data
        The folder of NLBSE'24; without it, the gate is the shipped model's.

    Raises
    ------
    RedefectError
        If there is nothing to learn from, no evaluation, or neither gate data nor a shipped model.
    """
    tables = {name: pd.read_csv(_made(evaluation / f"{name}.csv")) for name in ("scores", "verdicts", "abstention", "human")}
    found = material(store, study, progress)
    with threadpool_limits(1):
        say("word vectors ...")
        facets = untrained(found, store, study)
        say("facets ...")
        facets.fit(found.labelled.documents, found.labelled.labels)
        say("gate ...")
        gate = read_model(shipped_model()).gate if gate_data is None else _gate(gate_data, found)
    abstention = tables["abstention"]
    thresholds = (
        abstention["threshold"].astype(float).fillna(np.inf)
    )  # where no threshold keeps the precision, it always abstains
    withheld = tables["verdicts"].loc[tables["verdicts"]["withheld"], "facet"]
    classifier = Classifier(
        name=study.taxonomy,
        gate=gate,
        facets=facets,
        categories=in_order(study.read_taxonomy(), facets.facets_),
        thresholds=dict(sorted(zip(abstention["facet"], thresholds, strict=True))),
        withheld=tuple(sorted(withheld)),
        habits=found.habits,
        data=_hashes(study, gate_data),
        held_out=_held_out(facets, found.labelled),
        seen=hashes(
            [*((d.repository, d.number) for d in found.labelled.documents), *((t.repository, t.number) for t in found.gated[0])]
        ),
        versions={"Python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
    )
    write_model(model, classifier)
    text = read_text(study.root / ABOUT) + "\n\n" + _counts(found)
    card = write_card(model, classifier, text, _metrics(tables, facets.candidates_), rebuild)
    return Trained(found, classifier, facets.candidates_, [model, card])


def _gate(folder: Path, found: Material) -> Gate:
    splits = [read_split(folder / name) for name in (TRAIN, TEST)]
    threads = [thread for split in splits for thread in split.threads]
    labels = [label for split in splits for label in split.labels]
    own, said = found.gated
    return train_gate(threads, labels, own, [category == "defect" for category in said])


def _held_out(facets: FacetClassifier, labelled: Labelled) -> dict[str, dict[str, np.ndarray]]:
    held_out = {}
    for facet, classes, probabilities in zip(facets.facets_, facets.classes_, facets.left_out_, strict=True):
        known = labelled.labels[facet].notna().to_numpy()
        truth = np.searchsorted(classes, labelled.labels[facet].to_numpy()[known].astype(str))
        held_out[facet] = {"probabilities": probabilities[known].astype(np.float16), "truth": truth.astype(np.int16)}
    return held_out


def _hashes(study: Study, gate_data: Path | None) -> dict[str, str]:
    paths = [*study_inputs(study), study.lexicon_path, *sorted((study.root / "data" / "annotations").glob("labels*.csv"))]
    if gate_data is not None:
        paths += [gate_data / TRAIN, gate_data / TEST]
    return {relative(study, path): sha256(path) for path in sorted(set(paths)) if path.is_file()}


def _counts(found: Material) -> str:
    of = "; ".join(f"{annotator}: {count:,}" for annotator, count in found.counts.items())
    return (
        f"Threads that were learnt from, by annotator and round: {of}. Labelled threads without a text in the store: "
        f"{found.without_text:,}. Word vectors and habits were learnt from the texts of {found.threads:,} threads."
    )


def _metrics(tables: dict[str, pd.DataFrame], candidates: pd.DataFrame) -> dict[str, pd.DataFrame]:
    scores = tables["scores"]
    shown = scores[scores["measure"].isin(["kappa", "macro_f1", "calibration_error"]) & (scores["estimator"] == "classifier")]
    return {
        "Verdicts": tables["verdicts"],
        "Scores, with 95 % intervals": shown,
        "Where it abstains": tables["abstention"],
        "How well people and annotators agree": tables["human"],
        "What was tried, on owners left out": candidates.sort_values(["facet", "log_loss"], ignore_index=True),
    }


def _made(path: Path) -> Path:
    if not path.is_file():
        raise RedefectError(f"{path}: there is no such file; run `redefect evaluate` for the study first.")
    return path
