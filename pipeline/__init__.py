"""ReDefect: from issue trackers to the tables of a paper.

>>> import pipeline
>>> study = pipeline.open_study("cv-reengineering")  # doctest: +SKIP
>>> study.distribution("stage")  # doctest: +SKIP
"""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.openstudy import open_study

__version__ = version("redefect")
__all__ = ["__version__", "open_study"]


def __getattr__(name: str) -> Any:
    """Import analysis only when it is used: a command that stores threads needs neither pandas nor matplotlib."""
    if name == "open_study":
        from pipeline.openstudy import open_study

        return open_study
    raise AttributeError(f"module 'pipeline' has no attribute '{name}'")
