"""Score the written rules alone: on the repositories that they were made from, and on those that are new to them; and time them.

The shares of the categories are learnt from the former. Threads that the study itself labelled are scored apart.
"""

import csv
import os
import re
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import cohen_kappa_score

from pipeline.classify.habits import learn_habits
from pipeline.classify.lexicon import LexicalModel, read_lexicon
from pipeline.classify.text import read_document
from pipeline.importing import read_threads
from pipeline.taxonomy import read_taxonomy

CHECKOUT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("REDEFECT_SHARED", CHECKOUT.parent / "shared"))
FACETS = ["symptom", "stage", "reporter", "root-cause", "defect-type", "manifestation"]


def main() -> None:
    lexicon = read_lexicon(CHECKOUT / "taxonomy/lexicons/jiang2024.yaml", read_taxonomy(CHECKOUT / "taxonomy/jiang2024.yaml"))
    rows = pd.read_csv(CHECKOUT / "data/annotations/labels.csv")
    rows = rows[rows["annotator"].isin(["adjudicated", "auto-c"])]
    rows["repository"] = rows["repository"].str.casefold()
    labels = rows.pivot_table(index=["repository", "number"], columns="facet", values="category", aggfunc="first")
    labels = labels[labels["gate"] == "defect"][FACETS].sort_index()
    threads = list(read_threads(SHARED / "corpora/denchmark/denchmark-stage2-bugreports.tar.xz", lambda _: None))
    habits = learn_habits(threads)
    known = {(thread.repository.casefold(), thread.number): thread for thread in threads}
    documents = [read_document(known[key], habits) for key in labels.index]
    with (SHARED / "study/CV_Reengineeirng_Defects.csv").open(encoding="utf-8-sig") as file:
        found = [re.search(r"github\.com/([^/]+/[^/]+)/issues/(\d+)", row["URL"]) for row in csv.DictReader(file)]
    labelled = {(match[1].casefold(), int(match[2])) for match in found if match}
    study = np.array([key in labelled for key in labels.index])
    seen = np.array([repository in lexicon.seen for repository, _ in labels.index]) & ~study
    parts = {"seen": seen, "unseen": ~seen & ~study, "study": study}
    labels = labels.reset_index(drop=True)
    model = LexicalModel(lexicon).fit([documents[row] for row in np.flatnonzero(seen)], labels[seen])
    start = time.process_time()
    guesses = model.predict(documents)
    print(f"{len(documents)} threads, {(time.process_time() - start) / len(documents) * 1000:.2f} ms of a processor each")
    print(f"{'kappa':15}" + "".join(f"{name:>8}" for name in parts))
    print(f"{'threads':15}" + "".join(f"{rows.sum():8}" for rows in parts.values()))
    for column, facet in enumerate(FACETS):
        truth = labels[facet].to_numpy(dtype=str)
        scores = [cohen_kappa_score(truth[rows], guesses[rows, column].astype(str)) for rows in parts.values()]
        print(f"{facet:15}" + "".join(f"{score:8.3f}" for score in scores))


if __name__ == "__main__":
    main()
