"""What the queue of issues to label is worth, on the project's own labels: does it teach more than drawing issues at random?

For each seed, a third of the repositories is kept for testing, and 200 threads of the others are the labels that there are. A
model of these ranks the rest; 100 more are labelled by its queue, and for comparison as many by doubt alone, as many at random,
and twice as many at random. What counts is Cohen's kappa on the kept repositories, over all facets, and the difference from
drawing at random under the same seed.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import cohen_kappa_score

from pipeline.classify.facets import CANDIDATES, FacetClassifier
from pipeline.classify.features import vector_words
from pipeline.classify.labelled import Labelled
from pipeline.classify.lexicon import read_lexicon
from pipeline.classify.model_file import Classifier, in_order
from pipeline.classify.queue import ranked, uncertainty, vectors
from pipeline.classify.text import read_document
from pipeline.classify.vectors import WordVectors
from pipeline.importing import read_threads
from pipeline.taxonomy import read_taxonomy
from pipeline.thread import Thread

CHECKOUT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("REDEFECT_SHARED", CHECKOUT.parent / "shared"))
ARCHIVE = SHARED / "corpora" / "denchmark" / "denchmark-stage2-bugreports.tar.xz"
FACETS = ["reporter", "stage", "manifestation", "symptom", "defect-type", "root-cause"]
START, MORE, POOL, TEST = 200, 100, 700, 350


class SureGate:
    """Takes every thread for a defect: all that are drawn here are."""

    classes_ = np.array(["bug", "feature", "question"])

    def predict_proba(self, threads: Sequence[Thread]) -> np.ndarray:
        return np.tile([1.0, 0.0, 0.0], (len(threads), 1))


def defects() -> tuple[list[Thread], pd.DataFrame]:
    labels = pd.read_csv(CHECKOUT / "data" / "annotations" / "labels.csv")
    labels = labels[labels["annotator"].isin(["adjudicated", "auto-c"]) & (labels["defect"] == 1)]
    wide = labels.pivot(index=["repository", "number"], columns="facet", values="category")[FACETS].dropna(how="all")
    keys = {(repository.casefold(), number): (repository, number) for repository, number in wide.index}
    found = [t for t in read_threads(ARCHIVE, lambda _: None) if (t.repository.casefold(), t.number) in keys]
    rows = wide.loc[[keys[t.repository.casefold(), t.number] for t in found]].reset_index(drop=True)
    return found, rows.astype(object).where(rows.notna(), None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    seeds = parser.parse_args().seeds
    threads, labels = defects()
    taxonomy = read_taxonomy(CHECKOUT / "taxonomy" / "jiang2024.yaml")
    lexicon = read_lexicon(CHECKOUT / "taxonomy" / "lexicons" / "jiang2024.yaml", taxonomy)
    all_labelled = Labelled([read_document(thread) for thread in threads], labels)
    meanings = WordVectors(50, min_df=5).fit([vector_words(document.text()) for document in all_labelled.documents])
    counts = vectors(threads)
    repositories = np.array([document.repository.casefold() for document in all_labelled.documents])
    print(f"{len(threads)} threads, {len(set(repositories))} repositories; {START} labelled, then {MORE} more; {seeds} seeds")

    def taught(rows: np.ndarray) -> FacetClassifier:
        known = all_labelled[rows]
        model = FacetClassifier(lexicon, meanings, candidates={"all": CANDIDATES["words, vectors and rules"]}, alphas=(0.3,))
        return model.fit(known.documents, known.labels)

    results = []
    for seed in range(seeds):
        random = np.random.default_rng(seed)
        names = random.permutation(np.unique(repositories))
        kept = np.isin(repositories, names[: len(names) // 3])
        test = random.permutation(np.flatnonzero(kept))[:TEST]
        others = random.permutation(np.flatnonzero(~kept))
        start, pool = others[:START], others[START : START + POOL]
        classifier = Classifier("", SureGate(), taught(start), in_order(taxonomy, FACETS))
        doubts = np.array([uncertainty(prediction) for prediction in classifier.predict([threads[row] for row in pool])])
        added = {
            "none": pool[:0],
            "at random": pool[:MORE],
            "at random, twice as many": pool[: 2 * MORE],
            "by doubt alone": pool[np.argsort(-doubts, kind="stable")[:MORE]],
            "by the queue": pool[ranked(doubts.tolist(), counts[pool], MORE)],
        }
        for how, rows in added.items():
            model = classifier.facets if how == "none" else taught(np.concatenate([start, rows]))
            tested = all_labelled[test]
            guesses = model.best_guesses(model.predict_proba(tested.documents))
            for column, facet in enumerate(FACETS):
                truth = tested.labels[facet]
                known = truth.notna().to_numpy()
                kappa = cohen_kappa_score(truth[known].astype(str), guesses[known, column].astype(str))
                results.append((seed, how, facet, kappa))
        print(f"seed {seed} done", flush=True)
    frame = pd.DataFrame(results, columns=["seed", "how", "facet", "kappa"])
    means = frame.pivot_table(index="how", columns="facet", values="kappa", sort=False)[FACETS]
    means["all"] = means.mean(axis=1)
    each = frame.groupby(["how", "seed"])["kappa"].mean().unstack("seed")
    gain = each.sub(each.loc["at random"], axis=1)
    means["more than at random"] = gain.mean(axis=1)
    means["+-"] = 1.96 * gain.std(axis=1, ddof=1) / np.sqrt(seeds)
    print(means.round(3).to_string())


if __name__ == "__main__":
    main()
