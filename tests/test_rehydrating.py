from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import make_root
from packages import write_package
from served import at, serve, thread

from pipeline.collect.github.client import Client, Patience
from pipeline.crawling import Crawl, CrawlReport, Wish
from pipeline.errors import RedefectError
from pipeline.facts import IssueReference
from pipeline.openstudy import OpenStudy
from pipeline.package_import import import_package, imported_study
from pipeline.rehydrating import counts, outcome, references, wish_for
from pipeline.replica import Limits, Replica, World
from pipeline.store import read
from pipeline.store.session import Store
from pipeline.study import Study, read_study

ANVIL = [IssueReference("acme/anvil", number) for number in range(1, 9)]
BIG = IssueReference("acme/anvil", 9)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path / "world.sqlite") as world:
        world.add([*(thread(issue.number, comments=issue.number % 4) for issue in ANVIL), thread(BIG.number, comments=230)])
        world.add([thread(1, "acme/rocket"), thread(99)])
        yield world


def crawl(store: Store, study: Study, replica: Replica, wish: Wish, *, token: bool) -> CrawlReport:
    client = Client(replica.url, ["t0ken"] if token else [], Patience(first_wait=0.001))
    report = Crawl(store, study, client).run(wish)
    client.close()
    return report


@pytest.fixture(params=[True, False], ids=["with a token", "without"])
def package(request: pytest.FixtureRequest, world: World, tmp_path: Path) -> Iterator[tuple[Path, Replica, bool]]:
    """A package of nine issues that were crawled, so that their last changes are known; and who serves them."""
    token: bool = request.param
    study = read_study(make_root(tmp_path / "root") / "data" / "studies" / "demo.toml")
    with serve(world, Limits(anonymous=5_000)) as replica:
        store = Store(str(study.database))
        crawl(store, study, replica, Wish([], named=[*ANVIL, BIG]), token=token)
        yield write_package(OpenStudy(study, store), tmp_path), replica, token


def test_exactly_the_issues_of_the_package_come_back_whole(
    package: tuple[Path, Replica, bool], tmp_path: Path, world: World
) -> None:
    path, replica, token = package
    study = import_package(path, tmp_path / "imported").study
    store, original = Store(str(study.database)), Store(str(tmp_path / "root" / "data" / "build" / "demo" / "redefect.sqlite"))
    named = references(study)
    report = crawl(store, study, replica, wish_for(named), token=token)
    assert counts(outcome(store, study, named, report.places)) == {
        "complete": 9, "changed since": 0, "moved": 0, "gone": 0, "not fetched": 0
    }  # fmt: skip
    with store.reading() as one, original.reading() as other:
        assert list(read.threads(one)) == list(read.threads(other))
    again = crawl(store, study, replica, wish_for(named), token=token)
    assert again.requests == 0


def test_what_became_of_issues_since_is_told(package: tuple[Path, Replica, bool], tmp_path: Path, world: World) -> None:
    path, replica, token = package
    later = at(24 * 365)
    world.delete_issue("acme/anvil", 1)
    world.edit("acme/anvil", 2, at=later, body="It still crashes.")
    world.comment("acme/anvil", 3, "carol", "Me too.", later)
    world.transfer("acme/anvil", 4, "acme/rocket", 77)
    study = import_package(path, tmp_path / "imported").study
    store, named = Store(str(study.database)), references(study)
    assert counts(outcome(store, study, named, {}))["not fetched"] == 9
    report = crawl(store, study, replica, wish_for(named), token=token)
    became = {one.issue.number: (one.status, one.why) for one in outcome(store, study, named, report.places)}
    assert {number: status for number, (status, _) in became.items()} == {
        1: "gone", 2: "changed since", 3: "changed since", 4: "moved", **dict.fromkeys((5, 6, 7, 8, 9), "complete")
    }  # fmt: skip
    assert became[3][1] == "last changed at 2020-01-01T03:03:00Z then, 3 comments then"
    assert became[4][1] == "transferred to acme/rocket#77"
    again = crawl(store, study, replica, wish_for(named), token=token)
    assert {one.issue.number: one.status for one in outcome(store, study, named, again.places)}[1] == "gone"


def test_a_renamed_repository_s_issues_come_back_and_a_blocked_one_s_are_gone(
    package: tuple[Path, Replica, bool], tmp_path: Path, world: World
) -> None:
    path, replica, token = package
    study = import_package(path, tmp_path / "imported").study
    store, named = Store(str(study.database)), references(study)
    world.rename("acme/anvil", "acme/hammer")
    report = crawl(store, study, replica, wish_for(named[:4]), token=token)
    assert counts(outcome(store, study, named[:4], report.places))["complete"] == 4
    world.block("acme/hammer")
    report = crawl(store, study, replica, wish_for(named), token=token)
    found = counts(outcome(store, study, named, report.places))
    assert (found["complete"], found["gone"]) == (4, 5)


def test_a_crawl_that_stopped_between_an_issue_and_its_comments_goes_on(
    package: tuple[Path, Replica, bool], tmp_path: Path
) -> None:
    path, replica, token = package
    study = import_package(path, tmp_path / "imported").study
    store, named = Store(str(study.database)), references(study)

    class StopError(Exception):
        """The machine goes to sleep."""

    class Stopping(Client):
        def ask(self, *arguments: object, **named: object) -> object:
            if self.requests == 2:
                raise StopError
            return super().ask(*arguments, **named)  # type: ignore[arg-type]

    with pytest.raises(StopError):
        Crawl(store, study, Stopping(replica.url, ["t0ken"] if token else [])).run(wish_for(named))
    with store.reading() as connection:
        assert all(t.comments is None or len(t.comments) == t.number % 4 for t in read.threads(connection) if t.number < 9)
    report = crawl(store, study, replica, wish_for(named), token=token)
    assert counts(outcome(store, study, named, report.places))["complete"] == 9
    with store.reading() as connection:
        assert [len(t.comments or ()) for t in read.threads(connection)] == [*(n % 4 for n in range(1, 9)), 230]


def test_only_an_imported_package_can_be_rehydrated(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root")
    with pytest.raises(RedefectError, match=r"Study 'demo' in .*root is from no package; give a package"):
        references(read_study(root / "data" / "studies" / "demo.toml"))
    with pytest.raises(RedefectError, match="is neither a data package nor the folder that `redefect import package` made"):
        imported_study(root)
