"""What a classifier learns from: documents, and what is known of the defects in them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.classify.text import Document


@dataclass(frozen=True, slots=True)
class Labelled:
    """A row a defect: its thread's document, and its category by facet.

    A thread with several defects has several rows with one and the same document.

    Attributes
    ----------
    documents
        Of each row.
    labels
        A column a facet, holding the category's id, or None where nobody answered; as many rows, numbered from 0.
    """

    documents: Sequence[Document]
    labels: pd.DataFrame

    def __len__(self) -> int:
        return len(self.documents)

    def __getitem__(self, rows: np.ndarray) -> "Labelled":
        """Return the rows at these places."""
        return Labelled([self.documents[row] for row in rows], self.labels.iloc[rows].reset_index(drop=True))
