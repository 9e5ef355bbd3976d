"""A stand-in for GitHub's API on loopback, for the demo, tests and rehearsals: it serves threads, keeps its rules, and can break.

>>> from pathlib import Path
>>> from pipeline.replica import Limits, Replica, World
>>> with World(Path("world.sqlite")) as world, Replica(world, Limits(core=100)) as replica:  # doctest: +SKIP
...     world.add(threads)
...     print(replica.url)
"""

from pipeline.replica.faults import Faults
from pipeline.replica.limits import Limits
from pipeline.replica.server import Replica
from pipeline.replica.world import World

__all__ = ["Faults", "Limits", "Replica", "World"]
