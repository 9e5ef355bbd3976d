import sys
from pathlib import Path

import pytest
from conftest import CHECKOUT, Run
from served import thread

from pipeline.collect.github.client import Client
from pipeline.errors import RedefectError
from pipeline.replica import Limits, Replica, World
from pipeline.selecting import find_repositories
from pipeline.study import Study, read_study

THREADS = CHECKOUT / "data" / "demo" / "threads"


def study_with(root: Path, selection: str) -> Study:
    path = root / "data" / "studies" / "demo.toml"
    before, _, after = path.read_text().partition("[selection]")
    path.write_text(before + "[selection]\n" + selection + "\n# Its texts" + after.partition("# Its texts")[2])
    return read_study(path)


@pytest.fixture(params=[["t0ken"], []], ids=["with a token", "anonymous"])
def tokens(request: pytest.FixtureRequest) -> list[str]:
    return list(request.param)


def test_repositories_are_found_by_words_and_decided_on_by_the_criteria(root: Path, tmp_path: Path, tokens: list[str]) -> None:
    study = study_with(
        root,
        'searches = [{ words = "yolo", architecture = "YOLO" }, { words = "yolo zoo", kind = "zoo" }]\n'
        "minimum_stars = 1000\nminimum_closed_issues = 2\nrepositories_per_architecture = 2",
    )
    names = ["a/yolo", "b/yolo", "c/yolo", "d/yolo", "e/ssd", "f/my-yolo-zoo"]
    with World(tmp_path / "world.sqlite") as world:
        world.add(
            [thread(n, name, 0) for name in names for n in range(1, 2 if name == "d/yolo" else 4)],
            stars=dict(zip(names, [3000, 5000, 2000, 9000, 8000, 1500], strict=True)),
        )
        with Replica(world, Limits(anonymous=100)) as replica:
            client = Client(replica.url, tokens)
            decisions = find_repositories(study, client)
            requests = client.requests
            client.close()
    assert [(d.repository.name, d.repository.stars, d.fails) for d in decisions] == [
        ("d/yolo", 9000, "fewer than 2 closed issues"),
        ("b/yolo", 5000, None),
        ("a/yolo", 3000, None),
        ("c/yolo", 2000, "2 of its architecture have more stars"),
        ("f/my-yolo-zoo", 1500, "2 of its architecture have more stars"),  # the first search found it as solo
    ]
    assert requests == (3 if tokens else 7)  # two searches; then all counts in one request, or each in one


def test_more_than_a_search_gives_are_found_by_their_stars(root: Path, tmp_path: Path) -> None:
    study = study_with(root, 'searches = [{ words = "yolo" }]\nminimum_stars = 10')
    stars = {f"a/yolo-{n}": 10 + n // 3 for n in range(2300)}
    with World(tmp_path / "world.sqlite") as world:
        world.add([], stars=stars)
        with Replica(world, Limits(search=1000)) as replica:
            client = Client(replica.url, ["t0ken"])
            decisions = find_repositories(study, client)
            client.close()
    assert {d.repository.name for d in decisions} == set(stars)


def test_a_study_without_searches_says_what_is_missing(root: Path) -> None:
    with pytest.raises(RedefectError, match=r"demo\.toml: the study has no \[\[selection\.searches\]\]"):
        find_repositories(study_with(root, ""), Client())


def test_the_command_writes_the_candidates_and_why_some_are_left_out(redefect: Run, root: Path) -> None:
    inner = ["select", "repositories"]
    done = redefect("replica", "run", "--threads", THREADS, "--", sys.executable, "-m", "pipeline.cli", *inner)
    assert "4 requests sent." in done.stdout
    lines = (root / "data" / "build" / "demo" / "repositories.csv").read_text().splitlines()
    assert lines[0] == "repository,architecture,kind,stars,closed_issues,in_study,fails"
    assert [line.split(",")[0] for line in lines[1:]] == [
        "northgate-vision/mosaic-zoo", "ostrava-imaging/quince-gan", "lanternfish-lab/pond-yolo",
    ]  # fmt: skip
