"""Documents with invented texts, for tests of what learns from texts."""

import numpy as np
import pandas as pd

from pipeline.classify.labelled import Labelled
from pipeline.classify.text import Document, read_document
from pipeline.thread import Comment, Thread

NOUNS = ["anchor", "batch", "canvas", "decoder", "epoch", "filter", "heatmap", "image", "jitter", "kernel", "mask", "pixel"]


def document(repository: str, number: int, body: str = "", comments: tuple[str, ...] = ()) -> Document:
    thread = Thread(repository=repository, number=number, title=f"No {number} of {repository}", body=body or None)
    return read_document(thread.model_copy(update={"comments": tuple(Comment(body=text) for text in comments)}))


def story(seed: int, words: int = 60) -> str:
    """A text of its own."""
    return " ".join(np.random.default_rng(seed).choice(NOUNS, words))


def corpus() -> list[Document]:
    return [document(f"owner{r}/project{r}", n, story(100 * r + n)) for r in range(4) for n in range(1, 9)]


SYMPTOMS = ["crash", "hang", "lower-speed"]


def labelled(repositories: int = 4, each: int = 10) -> Labelled:
    """Threads whose first word tells the symptom, mostly, and nothing tells the reporter."""
    rows = [(r, n, (r + n) % 3) for r in range(repositories) for n in range(each)]
    documents = [
        document(f"owner{r}/project{r}", n + 1, f"{SYMPTOMS[s if n % 4 else 0]} " * 9 + story(100 * r + n)) for r, n, s in rows
    ]
    table = {
        "symptom": [SYMPTOMS[s] for _, _, s in rows],
        "reporter": [None if n % 5 == 0 else ("re-user", "adaptor")[(r * n) % 2] for r, n, _ in rows],
    }
    return Labelled(documents, pd.DataFrame(table))
