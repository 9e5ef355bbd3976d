"""Where the models are that come with ReDefect."""

from pathlib import Path

from pipeline.errors import RedefectError


def shipped_model() -> Path:
    """Return the model file of `data/models/` (the last by name) of this folder or the next above, or of this package's checkout.

    Raises
    ------
    RedefectError
        If there is none.
    """
    here = Path.cwd()
    for folder in (here, *here.parents, Path(__file__).parent.parent):
        if found := sorted((folder / "data" / "models").glob("*.skops")):
            return found[-1]
    raise RedefectError("There is no model in data/models/; make one by `make train`, or give a file by --model.")
