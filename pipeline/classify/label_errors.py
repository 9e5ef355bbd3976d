"""Which labels are most likely wrong, by confident learning (Northcutt, Jiang & Chuang, JAIR 2021).

A model that has not seen a label says how likely it is. A category counts as confidently another's where that is more likely
than it is on average among threads that carry it; how many labels of each category are confidently another's tells how many
are thought wrong. Which ones these are is told by how unlikely each label is: on labels that were made wrong on purpose this
ranking was as good as any that also weighs the other categories (`make bench-label-errors`).
"""

import numpy as np
import pandas as pd

from pipeline.classify.evaluation import Predicted

FEWEST = 10
"""Labels of a category that are not of its largest cluster: of fewer, a model without that cluster has learnt nothing."""


def rare(predicted: Predicted) -> dict[str, int]:
    """Return the categories whose labels cannot be checked, with how many labels each has."""
    counts = np.zeros((len(predicted.classes), predicted.clusters.max(initial=0) + 1), dtype=int)
    np.add.at(counts, (predicted.truth, predicted.clusters), 1)
    few = counts.sum(axis=1) - counts.max(axis=1) < FEWEST
    return {str(predicted.classes[i]): int(counts[i].sum()) for i in np.flatnonzero(few & (counts.sum(axis=1) > 0))}


def label_errors(predicted: Predicted) -> pd.DataFrame:
    """Rank the labels of a facet, that which is most likely wrong first; those of rare categories are left out.

    Parameters
    ----------
    predicted
        What a model that saw neither a label nor its relatives said: each row once.

    Returns
    -------
    Columns `row` (see `Predicted.rows`), `label`, `probability` (of the label), `said` (the likeliest category),
    `probability_said`, and `issue` (whether confident learning counts the label among the wrong ones). Empty if fewer than two
    categories are left.
    """
    from cleanlab.filter import find_label_issues  # takes a second

    if predicted.repeats != 1:
        raise ValueError("a label is checked by one prediction")
    left_out = rare(predicted)
    kept = np.array([str(c) not in left_out and bool((predicted.truth == i).any()) for i, c in enumerate(predicted.classes)])
    rows = kept[predicted.truth] if kept.sum() > 1 else np.zeros(len(predicted.truth), dtype=bool)
    classes = predicted.classes[kept].astype(str)
    truth = (np.cumsum(kept) - 1)[predicted.truth[rows]]
    probabilities = predicted.probabilities[rows][:, kept] + 1e-12  # a model may know none of the categories that are left
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    said = probabilities.argmax(axis=1) if rows.any() else truth
    each = np.arange(len(truth))
    found = pd.DataFrame(
        {
            "row": predicted.rows[rows],
            "label": classes[truth] if rows.any() else np.array([], dtype=str),
            "probability": probabilities[each, truth],
            "said": classes[said] if rows.any() else np.array([], dtype=str),
            "probability_said": probabilities[each, said],
            "issue": find_label_issues(truth, probabilities, n_jobs=1) if rows.any() else np.array([], dtype=bool),
        }
    )
    return found.sort_values(["probability", "row"], ignore_index=True)
