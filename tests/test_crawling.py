from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from conftest import CHECKOUT, make_root
from postgres import Server
from served import COMMIT, at, thread

from pipeline.collect.github.client import Client, Patience, Unwatched
from pipeline.collect.json_lines import read_json_lines
from pipeline.crawling import Crawl, CrawlReport, Wish, wish_of
from pipeline.errors import RedefectError
from pipeline.replica import Faults, Limits, Replica, World
from pipeline.store import read
from pipeline.store.session import Store
from pipeline.study import Study, read_study
from pipeline.thread import Thread

STUDY = """
title = "Anvils"
description = "A study of invented anvils."
taxonomy = "jiang2024"
seeds = {{ sample = 1, resampling = 2 }}
verdict = {{ annotator = "me", round = "final" }}
selection = {{ {selection} }}
repositories = [{{ name = "acme/anvil", kind = "solo" }}, {{ name = "acme/rocket", kind = "zoo" }}]
sources = [{{ kind = "labels", path = "data/labels.csv" }}]
"""
LABELS = "repository,number,defect,facet,category,annotator,round,confidence\n"
BOTH = ["acme/anvil", "acme/rocket"]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path / "world.sqlite") as world:
        world.add(
            [
                *(thread(n, comments=n % 4) for n in range(1, 131)),
                thread(140, fix="acme/anvil#8", comments=12),
                thread(141, fix=f"acme/anvil@{COMMIT}", comments=230),
                thread(142, state="open", closed_at=None, author=None),
                *(thread(n, "acme/rocket") for n in range(1, 4)),
            ]
        )
        world.add_pull_request("acme/anvil", 150, "Do not crash", at(150))
        yield world


@pytest.fixture
def study_with(tmp_path: Path) -> Callable[..., Study]:
    """Make the study with a selection, and labels of some issues."""

    def make(selection: str = "", labelled: str = "") -> Study:
        root = tmp_path / "root"
        if not root.exists():
            make_root(root)
        rows = "".join(f"{place.replace('#', ',')},1,symptom,crash,me,final,\n" for place in labelled.split())
        (root / "data" / "labels.csv").write_text(LABELS + rows)
        path = root / "data" / "studies" / "anvils.toml"
        path.write_text(STUDY.format(selection=selection))
        return read_study(path)

    return make


def place(thread: Thread) -> tuple[str, int]:
    return thread.repository, thread.number


class Crawling:
    """Crawls a world into a store of its own, as often as asked."""

    def __init__(self, store: Store, replica: Replica, study: Study, token: bool) -> None:
        self.store = store
        self.replica = replica
        self.study = study
        self.tokens = ["t0ken"] if token else []
        self.watch = Unwatched()

    def __call__(self, wish: Wish | None = None, **which: bool) -> CrawlReport:
        wish = wish or wish_of(self.study, [], labelled=which.get("labelled", False), whole=which.get("whole", False))
        before = self.replica.statistics()["requests"]
        client = Client(self.replica.url, self.tokens, Patience(first_wait=0.001), self.watch)
        report = Crawl(self.store, self.study, client, watch=self.watch).run(wish)
        assert report.requests == self.replica.statistics()["requests"] - before
        client.close()
        return report

    def threads(self) -> dict[str, Thread]:
        with self.store.reading() as connection:
            return {f"{t.repository}#{t.number}": t for t in read.threads(connection)}

    def complete(self) -> set[str]:
        return {name for name, thread in self.threads().items() if thread.comments is not None}


class Stopping(Unwatched):
    """Stops a crawl, as Ctrl-C does, after so many stored answers."""

    def __init__(self, after: int) -> None:
        self._left = after

    def stored(self, issues: int, comments: int) -> None:
        self._left -= 1
        if self._left == 0:
            raise KeyboardInterrupt


Crawled = Callable[..., Crawling]


@pytest.fixture(params=["sqlite", "postgresql"])
def crawling(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Crawled]:
    """Make a crawl of a world, for a study, into a store of its own, on each database."""
    server: Server | None = None if request.param == "sqlite" else request.getfixturevalue("postgresql")
    with ExitStack() as stack:

        def make(world: World, study: Study, token: bool = True, faults: Faults | None = None) -> Crawling:
            replica = stack.enter_context(Replica(world, Limits(anonymous=5000), faults))
            file = tmp_path / f"crawled-on-{replica.url.rpartition(':')[2]}.sqlite"
            store = Store(str(file) if server is None else stack.enter_context(server.database()))
            stack.callback(store.close)
            return Crawling(store, replica, study, token)

        yield make


@pytest.fixture(params=[True, False], ids=["with a token", "anonymous"])
def token(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_the_demo_comes_back_as_it_was_served(crawling: Crawled, tmp_path: Path, token: bool) -> None:
    study = read_study(make_root(tmp_path / "root") / "data" / "studies" / "demo.toml")
    files = sorted((CHECKOUT / "data" / "demo" / "threads").glob("*.jsonl"))
    served = [thread for path in files for thread in read_json_lines(path)]
    with World(tmp_path / "world.sqlite") as world:
        world.add(served)
        crawl = crawling(world, study, token)
        crawl(Wish([r.name for r in study.repositories], whole=True))
    unknown = {"updated_at": None} | ({} if token else {"fix": None})  # REST does not tell what closed an issue
    crawled = [t.model_copy(update={"updated_at": None}) for t in crawl.threads().values()]
    assert sorted(crawled, key=place) == [t.model_copy(update=unknown) for t in sorted(served, key=place)]


def test_a_crawl_takes_as_many_requests_as_its_plan_says(
    crawling: Crawled, world: World, study_with: Callable[..., Study]
) -> None:
    crawl = crawling(world, study_with())
    report = crawl(whole=True)
    assert [(s.what, s.how, s.requests) for s in report.plan] == [
        ("facts", "graphql", 1),
        ("issues", "graphql, with comments", 2), ("issues", "graphql, with comments", 1),
        ("threads", "graphql batches", 3),
    ]  # fmt: skip
    # The plan takes a whole thread of 230 comments to be read; its first hundred came with the listing.
    assert (report.expected, report.requests) == (7, 6)
    assert len(crawl.complete()) == 136


def test_a_second_crawl_reads_a_page_a_repository_and_changes_nothing(
    crawling: Crawled, world: World, study_with: Callable[..., Study], token: bool
) -> None:
    crawl = crawling(world, study_with(), token)
    crawl(whole=True)
    before = crawl.threads()
    again = crawl(whole=True)
    assert (again.requests, again.changed) == (2, 0)
    assert crawl.threads() == before
    third = crawl(whole=True)
    assert (third.requests, third.unchanged) == (2, 0 if token else 2)  # an answer that nothing changed costs nothing


def test_comments_are_fetched_only_for_what_the_criteria_keep_and_what_labels_name(
    crawling: Crawled, world: World, study_with: Callable[..., Study]
) -> None:
    study = study_with("state = 'closed', with_fix = true, minimum_comments = 10", "acme/anvil#7 acme/anvil#142 acme/rocket#2")
    crawl = crawling(world, study)
    crawl()
    wanted = {"acme/anvil#140", "acme/anvil#141", "acme/anvil#7", "acme/anvil#142", "acme/rocket#2"}
    without_comments = {f"acme/anvil#{n}" for n in range(4, 131, 4)}  # of these there is nothing to fetch
    assert crawl.complete() == wanted | without_comments
    threads = crawl.threads()
    assert len(threads["acme/anvil#141"].comments or ()) == 230
    assert threads["acme/anvil#141"].fix == f"acme/anvil@{COMMIT}"
    assert threads["acme/anvil#5"].comments is None
    assert "acme/anvil#150" not in threads


def test_labelled_issues_are_fetched_by_their_numbers_and_nothing_is_listed(
    crawling: Crawled, world: World, study_with: Callable[..., Study], token: bool
) -> None:
    world.delete_issue("acme/anvil", 9)
    world.transfer("acme/anvil", 10, "acme/rocket", 77)
    study = study_with("", "acme/anvil#7 acme/anvil#9 acme/anvil#10 acme/anvil#141 acme/anvil#150 acme/rocket#2 acme/gone#1")
    crawl = crawling(world, study, token)
    report = crawl(labelled=True)
    assert crawl.complete() == {"acme/anvil#7", "acme/anvil#141", "acme/anvil#150", "acme/rocket#2"}
    assert report.places["acme/anvil#9"] == "deleted (410)"
    assert report.places["acme/anvil#10"] == "transferred to acme/rocket#77"
    assert report.places["acme/gone" if token else "acme/gone#1"].startswith("not found")
    assert set(report.answers) <= {"threads", "thread", "issue"}


def test_the_project_s_own_labels_are_labels_too_but_not_of_an_invented_study(study_with: Callable[..., Study]) -> None:
    study = study_with("", "acme/anvil#7")
    folder = study.root / "data" / "annotations"
    (folder / "labels.csv").write_text(LABELS + "acme/rocket,2,1,symptom,crash,me,final,\n")
    named = wish_of(study, [], labelled=True, whole=False).named
    assert [f"{issue.repository}#{issue.number}" for issue in named] == ["acme/anvil#7", "acme/rocket#2"]
    assert len(wish_of(study, [], labelled=False, whole=False).named) == 1
    assert len(wish_of(study, ["acme/rocket"], labelled=True, whole=False).named) == 1
    demo = read_study(study.root / "data" / "studies" / "demo.toml")
    assert len(wish_of(demo, [], labelled=True, whole=False).named) == 168


def test_334_labelled_threads_take_less_than_40_requests(
    crawling: Crawled, tmp_path: Path, study_with: Callable[..., Study]
) -> None:
    with World(tmp_path / "world.sqlite") as world:
        world.add(thread(n, f"acme/part-{n % 27}", comments=n % 30) for n in range(1, 335))
        study = study_with("", " ".join(f"acme/part-{n % 27}#{n}" for n in range(1, 335)))
        crawl = crawling(world, study)
        report = crawl(labelled=True)
    assert report.requests == report.expected == 4
    assert len(crawl.complete()) == 334


def test_a_refresh_gives_what_a_fresh_crawl_gives(
    crawling: Crawled, world: World, study_with: Callable[..., Study], token: bool
) -> None:
    study = study_with()
    crawl = crawling(world, study, token)
    crawl(whole=True)
    world.comment("acme/anvil", 20, "carol", "Me too", at(1000))
    world.comment("acme/anvil", 141, "carol", "Me too", at(1001))
    world.delete_comment("acme/anvil", 22, 0, at(1002))
    world.delete_comment("acme/anvil", 21, 0, at(1003))  # its only one
    world.edit("acme/anvil", 30, title="Another title", state="open", at=at(1004))
    world.add([thread(160)])
    refresh = crawl(whole=True)
    fresh = crawling(world, study, token)
    fresh(whole=True)
    assert crawl.threads() == fresh.threads()
    assert refresh.requests < 12


def test_what_was_closed_and_is_open_again_is_learnt_though_only_closed_issues_are_listed(
    crawling: Crawled, world: World, study_with: Callable[..., Study], token: bool
) -> None:
    crawl = crawling(world, study_with("state = 'closed'"), token)
    crawl()
    assert "acme/anvil#142" not in crawl.threads()
    world.edit("acme/anvil", 30, state="open", at=at(1000))
    world.comment("acme/anvil", 142, "carol", "Me too", at(1001))
    crawl()
    assert crawl.threads()["acme/anvil#30"].state == "open"
    assert "acme/anvil#142" not in crawl.threads()


def test_what_opens_again_while_closed_issues_are_listed_is_learnt_by_the_next_crawl(
    crawling: Crawled, world: World, study_with: Callable[..., Study]
) -> None:
    class Reopening(Unwatched):
        def asking(self, about: str) -> None:
            if about.startswith("issues of acme/anvil since"):
                world.edit("acme/anvil", 1, state="open", at=at(1000))
                world.comment("acme/anvil", 130, "carol", "Me too", at(1001))  # the last that the listing will show

    crawl = crawling(world, study_with("state = 'closed', minimum_comments = 10"))
    crawl.watch = Reopening()
    crawl()
    assert crawl.threads()["acme/anvil#1"].state == "closed"
    crawl.watch = Unwatched()
    crawl()
    assert crawl.threads()["acme/anvil#1"].state == "open"


def test_issues_that_are_updated_while_their_pages_are_read_are_neither_missed_nor_doubled(
    crawling: Crawled, world: World, study_with: Callable[..., Study], token: bool
) -> None:
    class Drift(Unwatched):
        seen = 0

        def stored(self, issues: int, comments: int) -> None:
            self.seen += 1
            if self.seen <= 4:  # the first of a page already read, and the next of the page to come
                world.comment("acme/anvil", self.seen, "carol", "Bump", at(2000 + self.seen))
                world.comment("acme/anvil", 120 + self.seen, "carol", "Bump", at(2000.5 + self.seen))

    study = study_with()
    crawl = crawling(world, study, token)
    crawl.watch = Drift()
    crawl(whole=True)
    assert len(crawl.threads()) == 136
    crawl.watch = Unwatched()
    crawl(whole=True)
    fresh = crawling(world, study, token)
    fresh(whole=True)
    assert crawl.threads() == fresh.threads()


def test_more_issues_of_one_second_than_a_page_holds_are_all_read(
    crawling: Crawled, tmp_path: Path, study_with: Callable[..., Study], token: bool
) -> None:
    with World(tmp_path / "world.sqlite") as world:
        world.add(thread(n, comments=0, updated_at=at(300 if n < 351 else n)) for n in range(1, 401))
        crawl = crawling(world, study_with(), token)
        crawl(Wish(["acme/anvil"], whole=True))
        assert len(crawl.threads()) == 400
        assert crawl(Wish(["acme/anvil"], whole=True)).requests == 1


def test_a_crawl_that_breaks_off_goes_on_and_asks_for_nothing_twice(
    crawling: Crawled, world: World, study_with: Callable[..., Study]
) -> None:
    class Break(Unwatched):
        left = 0

        def asking(self, about: str) -> None:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt

    study = study_with()
    whole = crawling(world, study)
    requests = whole(whole=True).requests
    crawl = crawling(world, study)
    crawl.watch, answers = Break(), []
    for part in range(1, 30):
        crawl.watch.left = 1
        before = len(crawl.threads())
        try:
            answers.append(sum(crawl(whole=True).answers.values()))
        except KeyboardInterrupt:
            answers.append(1)
            assert part < 3 or len(crawl.threads()) >= before
        else:
            break
        if part > requests:
            crawl.watch.left = 100
            crawl.watch = Unwatched()
    assert crawl.threads() == whole.threads()


def test_a_thread_that_was_read_in_part_goes_on_there(
    crawling: Crawled, world: World, study_with: Callable[..., Study], token: bool
) -> None:
    study = study_with("", "acme/anvil#141")
    crawl = crawling(world, study, token)
    crawl.watch = Stopping(after=1 if token else 2)
    with pytest.raises(KeyboardInterrupt):
        crawl(labelled=True)
    assert crawl.complete() == set()
    crawl.watch = Unwatched()
    assert crawl(labelled=True).requests == 2  # of three pages, the first was there
    assert len(crawl.threads()["acme/anvil#141"].comments or ()) == 230


def test_pull_requests_come_along_only_when_the_study_wants_them(
    crawling: Crawled, world: World, study_with: Callable[..., Study]
) -> None:
    crawl = crawling(world, study_with("pull_requests = true"))
    report = crawl(whole=True)
    assert "acme/anvil#150" in crawl.complete()
    assert {step.how for step in report.plan if step.what == "issues"} == {"rest"}


def test_a_repository_with_another_name_or_none_is_reported_and_the_others_are_crawled(
    crawling: Crawled, world: World, study_with: Callable[..., Study], token: bool
) -> None:
    world.rename("acme/anvil", "acme/anvil2")
    world.block("acme/rocket")
    crawl = crawling(world, study_with(), token)
    report = crawl(Wish([*BOTH, "acme/nothing"], whole=True))
    assert report.places["acme/anvil"] == "is called acme/anvil2 today"
    assert report.places["acme/nothing"].startswith("not found")
    assert "acme/rocket" in report.places
    assert len(crawl.complete()) == 133
    assert {name.partition("#")[0] for name in crawl.threads()} == {"acme/anvil"}  # the name that the study knows it by


def test_a_repository_that_fails_the_criteria_is_not_listed(
    crawling: Crawled, world: World, study_with: Callable[..., Study], token: bool
) -> None:
    crawl = crawling(world, study_with("minimum_closed_issues = 50", "acme/rocket#2"), token)
    report = crawl()
    assert report.places == {"acme/rocket": "not listed: fewer than 50 closed issues"}
    assert {name for name in crawl.threads() if "rocket" in name} == {"acme/rocket#2"}  # a label names it
    assert len(crawl.threads()) == 134


def test_a_crawl_that_breaks_off_between_the_facts_of_a_repository_learns_the_rest(
    crawling: Crawled, world: World, study_with: Callable[..., Study]
) -> None:
    crawl = crawling(world, study_with("minimum_closed_issues = 50"), False)
    crawl.watch = Stopping(after=3)  # both facts of one repository, and one of the other
    with pytest.raises(KeyboardInterrupt):
        crawl()
    crawl.watch = Unwatched()
    assert crawl().places == {"acme/rocket": "not listed: fewer than 50 closed issues"}
    assert not any("rocket" in name for name in crawl.threads())


def test_what_only_a_token_can_learn_is_said_with_its_price(
    crawling: Crawled, world: World, study_with: Callable[..., Study]
) -> None:
    study = study_with("with_fix = true", "acme/anvil#1041 acme/rocket#3")
    with pytest.raises(RedefectError, match=r"closed with a fix: .* about 12 for the issues of its 2 repositories") as caught:
        crawling(world, study, token=False)()
    assert "Put one into GITHUB_TOKEN" in str(caught.value)


def test_a_plan_tells_its_price_and_fetches_no_issue(tmp_path: Path, world: World, study_with: Callable[..., Study]) -> None:
    study = study_with("most_commented = 20", "acme/anvil#7")
    store = Store(str(tmp_path / "plan.sqlite"))
    with Replica(world) as replica:
        client = Client(replica.url, ["t0ken"])
        steps = Crawl(store, study, client).plan(wish_of(study, [], labelled=False, whole=False))
        assert replica.statistics()["requests"] == 1
        client.close()
    assert [(s.repository, s.what, s.requests, s.points) for s in steps] == [
        ("acme/anvil", "issues", 2, 6), ("acme/rocket", "issues", 1, 3),
        ("acme/anvil", "threads", 1, 6), ("acme/rocket", "threads", 0, 0),
    ]  # fmt: skip
    with store.reading() as connection:
        assert list(read.threads(connection)) == []


def test_a_name_that_is_no_repository_is_refused(study_with: Callable[..., Study]) -> None:
    with pytest.raises(RedefectError, match=r"'\.\./\.\./user' is no repository; give owner/name"):
        wish_of(study_with(), ["../../user"], labelled=False, whole=False)


def test_an_issue_is_not_missed_when_others_of_its_second_move_on_while_no_crawl_runs(
    crawling: Crawled, tmp_path: Path, study_with: Callable[..., Study], token: bool
) -> None:
    with World(tmp_path / "second.sqlite") as world:
        world.add(thread(n, comments=0, updated_at=at(300)) for n in range(1, 251))
        crawl = crawling(world, study_with(), token)
        crawl.watch = Stopping(after=3)  # the repository, then two pages of that one second
        with pytest.raises(KeyboardInterrupt):
            crawl(Wish(["acme/anvil"], whole=True))
        assert len(crawl.threads()) < 250
        for number in range(1, 41):
            world.edit("acme/anvil", number, title="Another title", at=at(400))
        crawl.watch = Unwatched()
        crawl(Wish(["acme/anvil"], whole=True))
        assert len(crawl.threads()) == 250


def test_a_thread_whose_beginning_changes_while_it_is_read_part_by_part_is_read_anew(
    crawling: Crawled, world: World, study_with: Callable[..., Study], token: bool
) -> None:
    crawl = crawling(world, study_with("", "acme/anvil#141"), token)
    crawl.watch = Stopping(after=1 if token else 2)
    with pytest.raises(KeyboardInterrupt):
        crawl(labelled=True)
    world.delete_comment("acme/anvil", 141, 0, at(1000))
    crawl.watch = Unwatched()
    if token:
        crawl(labelled=True)
    else:
        crawl(Wish(["acme/anvil"], whole=True))  # the listing tells that the issue changed
    assert len(crawl.threads()["acme/anvil#141"].comments or ()) == 229


def test_what_is_too_much_for_the_server_is_asked_in_smaller_portions(
    crawling: Crawled, world: World, study_with: Callable[..., Study]
) -> None:
    study = study_with("", "acme/anvil#141 acme/rocket#1")
    whole = crawling(world, study)
    whole(whole=True)
    for which in ({"whole": True}, {"labelled": True}):
        crawl = crawling(world, study, faults=Faults(3, 0.5, ("graphql-timeout",)))
        report = crawl(**which)
        assert ("a query that took too long", "asked for less at once") in report.incidents
        assert crawl.threads().items() <= whole.threads().items()
        assert len(crawl.threads()) == (136 if which.get("whole") else 2)


def test_a_listing_that_is_limited_in_pages_is_begun_anew_where_it_stopped(
    crawling: Crawled, tmp_path: Path, study_with: Callable[..., Study]
) -> None:
    with World(tmp_path / "second.sqlite") as world:
        world.add(thread(n, comments=1, updated_at=at(300)) for n in range(1, 251))
        crawl = crawling(world, study_with(), False, Faults(1, 0.4, ("pagination-limited",)))
        report = crawl(Wish(["acme/anvil"], whole=True))
        assert ("a listing that is limited in pages", "listed anew from where it stopped") in report.incidents
        assert len(crawl.complete()) == 250
        crawl = crawling(world, study_with(), False, Faults(2, 1.0, ("pagination-limited",)))
        with pytest.raises(RedefectError, match="acme/anvil: GitHub gives no further pages of this listing, again and again"):
            crawl(Wish(["acme/anvil"], whole=True))
