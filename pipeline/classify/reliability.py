"""Whether probabilities mean what they say, and where to abstain."""

import numpy as np
import pandas as pd

from pipeline.classify.evaluation import Predicted, confidence_bins
from pipeline.intervals import wilson

_POINTS = 100


def reliability(predicted: Predicted) -> pd.DataFrame:
    """Compare the probability of what was said with how often it is right, in bins that are about equally full.

    Returns
    -------
    A row a bin: `facet`, `n`, `confidence` (its mean), `right` (the share), and the 95 % Wilson interval of that, `low`, `high`.
    """
    bins = confidence_bins(predicted.confidence)
    right = predicted.said == predicted.truth
    rows = []
    for number in np.unique(bins):
        members = bins == number
        n, hits = members.sum() / predicted.repeats, right[members].sum() / predicted.repeats
        rows.append((predicted.facet, round(n), float(predicted.confidence[members].mean()), hits / n, *wilson(hits, n)))
    return pd.DataFrame(rows, columns=["facet", "n", "confidence", "right", "low", "high"])


def coverage(predicted: Predicted) -> pd.DataFrame:
    """Tell for thresholds of confidence how many threads get an answer, and how many of the answers are right.

    Returns
    -------
    A row a threshold, strictest first: `facet`, `threshold`, `n` (answers), `coverage` (their share of all), `precision`, and its
    95 % Wilson interval `low`, `high`.
    """
    confidence = predicted.confidence
    order = np.argsort(-confidence, kind="stable")
    hits = np.cumsum((predicted.said == predicted.truth)[order])
    last = np.flatnonzero(np.diff(confidence[order], append=-1))  # equal probabilities are answered together
    picked = np.unique(np.searchsorted(last, np.linspace(0, len(order) - 1, _POINTS).round()))
    rows = []
    for place in last[picked]:
        n, right = (place + 1) / predicted.repeats, hits[place] / predicted.repeats
        threshold = float(confidence[order[place]])
        rows.append((predicted.facet, threshold, round(n), n / predicted.n, right / n, *wilson(right, n)))
    return pd.DataFrame(rows, columns=["facet", "threshold", "n", "coverage", "precision", "low", "high"])


def threshold_for(curve: pd.DataFrame, precision: float) -> float | None:
    """Return the threshold that answers most and is still that precise: by the interval's lower bound; None if none is.

    Parameters
    ----------
    curve
        What `coverage` returned.
    """
    enough = curve[curve["low"] >= precision]
    return None if enough.empty else float(enough["threshold"].min())
