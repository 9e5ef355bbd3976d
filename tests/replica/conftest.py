"""A small world behind a running replica."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from served import COMMIT, Asked, at, thread

from pipeline.replica import Replica, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Seven issues and a pull request in one repository, one issue in another."""
    with World(tmp_path / "world.sqlite") as world:
        world.add(
            [
                thread(1, fix="acme/anvil#8"),
                thread(2, fix=f"acme/anvil@{COMMIT}"),
                thread(3, comments=0, labels=("bug", "help wanted")),
                thread(4, state="open", closed_at=None),
                thread(5, body=None, author=None, comments=5),
                thread(6, fix="elsewhere/tools#3", title="Unicode: Gänsefüßchen 🐛"),
                thread(7, labels=None),
                thread(1, "acme/rocket"),
            ],
            stars={"acme/anvil": 4321, "acme/rocket": 1500},
        )
        world.add_pull_request("acme/anvil", 8, "Do not crash", at(8))
        yield world


@pytest.fixture
def replica(world: World) -> Iterator[Replica]:
    with Replica(world) as replica:
        yield replica


@pytest.fixture
def client(replica: Replica) -> Iterator[Asked]:
    with Asked(replica) as client:
        yield client
