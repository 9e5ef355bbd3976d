"""Does the check of labels find wrong ones? `make bench-label-errors`.

First, a tenth of each facet's labels on the annotated threads is made wrong on purpose, at random and under several seeds, and
what is looked for is how many of these are among the first in the list: beside chance, which finds a tenth, beside confident
learning's own issues before the others, and beside normalised margins. The labels were not perfect before: some of the rest are
wrong, too. Then the real check, on the threads that two annotators labelled and a third adjudicated: are labels that were
overturned lower in the list than those that were kept? The model never saw the repository whose labels it judges.
"""

import argparse

import numpy as np
import pandas as pd
from label_queue import ARCHIVE, CHECKOUT, FACETS, defects
from sklearn.metrics import roc_auc_score

from pipeline.classify.evaluation import Evaluation, evaluate
from pipeline.classify.facets import FacetClassifier
from pipeline.classify.features import vector_words
from pipeline.classify.groups import Groups, find_groups, several_repositories_out
from pipeline.classify.label_errors import label_errors
from pipeline.classify.labelled import Labelled
from pipeline.classify.lexicon import read_lexicon
from pipeline.classify.text import read_document
from pipeline.classify.vectors import WordVectors
from pipeline.taxonomy import read_taxonomy

PLANTED = 0.1
RESAMPLES = 2000


def held_out(labelled: Labelled, model: FacetClassifier, groups: Groups, seed: int) -> Evaluation:
    folds = list(several_repositories_out(groups, labelled.labels, seed=seed))
    return evaluate("repositories left out", labelled, {"classifier": model}, folds, groups.families)


def planted(labels: pd.DataFrame, random: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return labels of which a tenth is wrong, each another category of its facet at random, and which these are."""
    changed, wrong = labels.copy(), labels.notna() & False
    for facet in labels.columns:
        categories = np.unique(labels[facet].dropna().astype(str))
        known = np.flatnonzero(labels[facet].notna())
        for row in random.choice(known, round(PLANTED * len(known)), replace=False):
            changed.loc[row, facet] = random.choice(categories[categories != labels.loc[row, facet]])
            wrong.loc[row, facet] = True
    return changed, wrong


def found_first(errors: pd.DataFrame, wrong: np.ndarray) -> dict[str, dict[str, float]]:
    margin = errors["probability"] - np.where(errors["said"] == errors["label"], 0.0, errors["probability_said"])
    orders = {
        "probability of the label": np.arange(len(errors)),
        "issues first, then that": np.argsort(~errors["issue"].to_numpy(), kind="stable"),
        "normalised margin": np.argsort(margin.to_numpy(), kind="stable"),
    }
    measured = {}
    for how, order in orders.items():
        hit = wrong[order]
        measured[how] = {
            "precision in 50": hit[:50].mean(),
            "precision in 100": hit[:100].mean(),
            "recall in 142": hit[:142].sum() / hit.sum(),
            "AUC": roc_auc_score(hit, -np.arange(len(hit))),
        }
    issue = errors["issue"].to_numpy()
    measured["issues alone"] = {
        "issues": issue.sum(),
        "precision": wrong[issue].mean(),
        "recall": wrong[issue].sum() / wrong.sum(),
    }
    return measured


def auc(overturned: np.ndarray, probability: np.ndarray, clusters: np.ndarray) -> tuple[float, float, float]:
    """Return how often an overturned label is less likely than a kept one, with the interval of resampled threads."""
    random = np.random.default_rng(1)
    numbers = np.unique(clusters)
    rows = {number: np.flatnonzero(clusters == number) for number in numbers}
    drawn = []
    for _ in range(RESAMPLES):
        sample = np.concatenate([rows[number] for number in random.choice(numbers, len(numbers))])
        if 0 < overturned[sample].sum() < len(sample):
            drawn.append(roc_auc_score(overturned[sample], -probability[sample]))
    return (roc_auc_score(overturned, -probability), *np.percentile(drawn, [2.5, 97.5]))


def independent(labelled: Labelled, annotator: str) -> tuple[Labelled, pd.DataFrame]:
    """Return the material with an independent annotator's labels where there are any, and which of these were overturned."""
    said = pd.read_csv(CHECKOUT / "data" / "annotations" / "labels.csv")
    said = said[(said["annotator"] == annotator) & (said["defect"] == 1)]
    theirs = {(r.repository.casefold(), r.number, r.facet): r.category for r in said.itertuples()}
    labels, rows = labelled.labels.copy(), []
    for row, document in enumerate(labelled.documents):
        for facet in FACETS:
            own = theirs.get((document.repository.casefold(), document.number, facet))
            if own is not None and labels.loc[row, facet] is not None:
                rows.append((row, facet, own != labels.loc[row, facet]))
                labels.loc[row, facet] = own
    return Labelled(labelled.documents, labels), pd.DataFrame(rows, columns=["row", "facet", "overturned"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    seeds = parser.parse_args().seeds
    if not ARCHIVE.exists():
        parser.error(f"Denchmark is not here: {ARCHIVE} (set REDEFECT_SHARED to the folder that holds corpora/)")
    threads, labels = defects()
    lexicon = read_lexicon(
        CHECKOUT / "taxonomy" / "lexicons" / "jiang2024.yaml", read_taxonomy(CHECKOUT / "taxonomy" / "jiang2024.yaml")
    )
    labelled = Labelled([read_document(thread) for thread in threads], labels)
    groups = find_groups(labelled.documents)
    model = FacetClassifier(
        lexicon, WordVectors(50, min_df=5).fit([vector_words(document.text()) for document in labelled.documents])
    )
    rows = []
    for seed in range(seeds):
        changed, wrong = planted(labels, np.random.default_rng(seed))
        evaluation = held_out(Labelled(labelled.documents, changed), model, groups, seed)
        for facet, predicted in evaluation.predicted["classifier"].items():
            errors = label_errors(predicted)
            for how, measured in found_first(errors, wrong[facet].to_numpy()[errors["row"]]).items():
                rows += [(seed, facet, how, measure, value) for measure, value in measured.items()]
        print(f"seed {seed} done", flush=True)
    frame = pd.DataFrame(rows, columns=["seed", "facet", "how", "measure", "value"])
    every = frame.groupby(["seed", "how", "measure"], as_index=False)["value"].mean().assign(facet="mean of facets")
    table = pd.concat([frame, every]).groupby(["facet", "how", "measure"])["value"].agg(["mean", "std"])
    half = 1.96 * table["std"] / np.sqrt(seeds)
    shown = table["mean"].map("{:.2f}".format) + " +-" + half.map("{:.2f}".format)
    print(f"\n{len(labelled)} defects, a tenth of the labels made wrong, {seeds} seeds; chance finds a tenth")
    print(shown.unstack("measure").fillna("").to_string())
    print("\nLabels that the adjudicator overturned, against those kept:")
    for annotator in ("auto-a", "auto-b"):
        theirs, kept = independent(labelled, annotator)
        evaluation = held_out(theirs, model, groups, 0)
        errors = pd.concat([label_errors(p).assign(facet=f) for f, p in evaluation.predicted["classifier"].items()])
        both = kept.merge(errors, on=["row", "facet"])
        for facet, of in [("all facets", both), *both.groupby("facet")]:
            n = int(of["overturned"].sum())
            if n > 1:
                value, low, high = auc(of["overturned"].to_numpy(), of["probability"].to_numpy(), of["row"].to_numpy())
                first = of.nsmallest(50, "probability")["overturned"]
                print(
                    f"{annotator}, {facet}: {n} of {len(of)} overturned, AUC {value:.2f} [{low:.2f}, {high:.2f}], "
                    f"{first.sum()} of the first {len(first)} (by chance {n / len(of) * len(first):.1f})"
                )


if __name__ == "__main__":
    main()
