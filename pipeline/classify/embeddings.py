"""Texts as vectors by a sentence-transformers model in a local folder: the optional extra `embeddings`."""

import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import RedefectError

FOLDER_VARIABLE = "REDEFECT_EMBEDDINGS"
"""Names the folder of the model where no option does."""

_TOKENS = 128  # what a text is about stands in its beginning, and time grows with length
_BATCH = 16
_REMEMBERED = 4096  # texts: as many as a benchmark has, so that cross-validation encodes each once


class Encoder:
    """A model of the sentence-transformers library, asked for more than its sentence vectors.

    The last layer tells topics, which is what such models are trained for; one a little below it tells better how a thing is
    said, so that the mean of each is a part of the vector.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._known: OrderedDict[str, np.ndarray] = OrderedDict()

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return an array (texts, layers, dimensions) of what the beginning of each text is turned into."""
        found: dict[str, np.ndarray] = {}
        new = []
        for text in dict.fromkeys(texts):
            if text in self._known:
                found[text] = self._known[text]
            else:
                new.append(text)
        new.sort(key=len, reverse=True)  # texts of one length together, so that little is padded
        for start in range(0, len(new), _BATCH):
            batch = new[start : start + _BATCH]
            found.update(zip(batch, self._forward(batch), strict=True))
        self._known.update((text, found[text]) for text in new)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return np.array([found[text] for text in texts])

    def _forward(self, texts: list[str]) -> np.ndarray:
        import torch

        tokens = self._model.tokenizer(texts, padding=True, truncation=True, max_length=_TOKENS, return_tensors="pt")
        with torch.inference_mode():
            layers = self._model[0].auto_model(**tokens, output_hidden_states=True).hidden_states
        deepest = len(layers) - 1
        mask = tokens["attention_mask"].unsqueeze(-1).float()
        means = [(layers[at].float() * mask).sum(1) / mask.sum(1) for at in (round(5 / 6 * deepest), deepest)]
        return np.asarray(torch.stack(means, dim=1).numpy())


def embeddings_folder(folder: Path | None = None) -> Path | None:
    """Return the folder that an option names, or else the environment; None where neither does."""
    named = os.environ.get(FOLDER_VARIABLE)
    return folder or (Path(named) if named else None)


@lru_cache(maxsize=1)
def load_encoder(folder: str) -> Encoder:
    """Load the model in a folder, and nothing from anywhere else.

    Raises
    ------
    RedefectError
        If the extra is not installed, or the folder holds no such model.
    """
    if not (Path(folder) / "modules.json").is_file():
        raise RedefectError(f"{folder}: holds no sentence-transformers model (no modules.json); name a folder that does.")
    with _offline():
        try:
            import torch
            from sentence_transformers import SentenceTransformer
        except ImportError:
            raise RedefectError("Embeddings need an extra: pip install 'redefect[embeddings]'.") from None
        try:
            model = SentenceTransformer(folder, device="cpu", local_files_only=True)
            model[0].auto_model  # noqa: B018 (other kinds of models have none)
        except Exception as error:  # whatever is broken in the folder, the library lets it through
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise RedefectError(f"{folder}: cannot be loaded by sentence-transformers ({reason}).") from None
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    if capabilities.get("avx512_bf16"):  # twice as fast there, much slower elsewhere
        model = model.to(torch.bfloat16)
    return Encoder(model.eval())


@contextmanager
def _offline() -> Iterator[None]:
    """Keep the library off the network, and its progress bars off the screen."""
    wanted = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "TRANSFORMERS_VERBOSITY": "error"}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
