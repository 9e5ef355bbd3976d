from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import asking
from served import at, thread

from pipeline.collect.github.plan import Step, batch_requests, pages, plan_issues, plan_threads, windows
from pipeline.collect.github.questions import PAGE
from pipeline.crawling import Crawl, CrawlReport, Wish
from pipeline.facts import IssueReference
from pipeline.replica import Limits, Replica, World
from pipeline.store.session import Store
from pipeline.study import Selection, Study, read_study

A, B, C = "acme/anvil", "acme/rocket", "acme/zeppelin"

# The numbers


@pytest.mark.parametrize(("items", "count"), [(0, 1), (1, 1), (100, 1), (101, 2), (200, 2), (201, 3), (10_000, 100)])
def test_pages_hold_a_hundred_and_an_empty_listing_takes_one(items: int, count: int) -> None:
    assert pages(items) == count


@pytest.mark.parametrize(("items", "count"), [(0, 1), (1, 1), (100, 1), (101, 2), (199, 2), (200, 3), (298, 3), (299, 4)])
def test_windows_hold_one_less_but_for_the_first(items: int, count: int) -> None:
    assert windows(items) == count


@given(st.integers(0, 3_000))
def test_windows_are_the_pages_of_a_listing_that_goes_on_at_its_last_item(items: int) -> None:
    requests, first = 1, 0
    while first + PAGE < items:
        first += PAGE - 1
        requests += 1
    assert windows(items) == requests


@pytest.mark.parametrize(
    ("counts", "requests"),
    [([], 0), ([0], 1), ([5] * 100, 1), ([5] * 101, 2), ([100] * 100, 1), ([101], 2), ([101] * 100, 2), ([250, 1, 1], 3),
     ([1000] + [1] * 99, 10), ([1] * 99 + [101, 101], 3)],
)  # fmt: skip
def test_queries_for_threads_hold_a_hundred_threads_and_a_hundred_comments_of_each(counts: list[int], requests: int) -> None:
    assert batch_requests(counts) == requests


@given(st.lists(st.integers(0, 450), max_size=260))
def test_queries_for_threads_are_between_their_bounds(counts: list[int]) -> None:
    requests = batch_requests(counts)
    longest = max(map(pages, counts), default=0)
    assert (
        max(longest, -(-sum(map(pages, counts)) // PAGE))
        <= requests
        <= -(-len(counts) // PAGE) + sum(map(pages, counts)) - len(counts)
    )


# Issues


def plan(**other: Any) -> Step:
    given: dict[str, Any] = {"issues": 500, "pull_requests": 1500, "comments": False, "has_token": True, "needs_fix": False}
    return plan_issues(A, **(given | other))


def test_with_a_token_issues_are_listed_by_graphql_which_leaves_pull_requests_out() -> None:
    assert plan() == Step(A, "issues", "graphql", 6, 18, {"rest": 21})
    assert plan(comments=True) == Step(A, "issues", "graphql, with comments", 6, 24, {"rest": 21})


def test_rest_is_no_other_way_when_it_must_be_known_what_closed_an_issue() -> None:
    assert plan(needs_fix=True) == Step(A, "issues", "graphql", 6, 18, {})


def test_without_a_token_issues_are_listed_by_rest_with_the_pull_requests_among_them() -> None:
    assert plan(has_token=False) == Step(A, "issues", "rest", 21, 21, {})
    assert plan(has_token=False, comments=True).how == "rest"


@pytest.mark.parametrize("unknown", [{"issues": None}, {"pull_requests": None}])
def test_what_nobody_knows_is_not_made_up(unknown: dict[str, None]) -> None:
    assert plan(has_token=False, **unknown) == Step(A, "issues", "rest", None, None, {})
    assert plan(**unknown).others == {}
    assert plan(issues=None) == Step(A, "issues", "graphql", None, None, {})


# Threads


def test_the_cheapest_way_is_chosen() -> None:
    few, all_of_it, most = plan_threads({A: [3] * 90, B: [1, 1], C: [3] * 900}, {A: 2_000, B: 99, C: 300}, has_token=True)
    assert few == Step(A, "threads", "graphql batches", 1, 6, {"all comments": 21, "issue by issue": 90})
    assert all_of_it == Step(B, "threads", "graphql batches", 0, 0, {"all comments": 1, "issue by issue": 2})
    assert most == Step(C, "threads", "all comments", 4, 4, {"graphql batches": 9, "issue by issue": 900})


def test_a_batch_is_paid_once_by_all_repositories_whose_threads_are_in_it() -> None:
    wanted = {f"a/b-{number}": [1] * 30 for number in range(10)}
    steps = plan_threads(wanted, dict.fromkeys(wanted, 10_000), has_token=True)
    assert {step.how for step in steps} == {"graphql batches"}
    assert [step.requests for step in steps] == [1, 0, 0, 1, 0, 0, 1, 0, 0, 0]
    assert sum(step.requests or 0 for step in steps) == batch_requests([1] * 300) == 3


def test_without_a_token_there_are_two_ways() -> None:
    one_by_one, listed = plan_threads({A: [150, 3], B: [1] * 10}, {A: 1_000, B: 500}, has_token=False)
    assert one_by_one == Step(A, "threads", "issue by issue", 3, 3, {"all comments": 11})
    assert listed == Step(B, "threads", "all comments", 6, 6, {"issue by issue": 10})


def test_a_listing_of_all_comments_that_was_begun_is_ended() -> None:
    (step,) = plan_threads({A: [1]}, {A: 10_000}, has_token=True, begun={A: "all comments"})
    assert step == Step(A, "threads", "all comments", 101, 101, {"graphql batches": 1, "issue by issue": 1})


def test_comments_are_not_listed_where_nobody_knows_what_that_brings() -> None:
    (step,) = plan_threads({A: [1, 1]}, {A: None}, has_token=False, begun={A: "all comments"})
    assert step == Step(A, "threads", "issue by issue", 2, 2, {})


def test_a_repository_of_which_nothing_is_wanted_takes_nothing() -> None:
    assert plan_threads({A: []}, {A: 5_000}, has_token=True, begun={A: "all comments"}) == [
        Step(A, "threads", "nothing", 0, 0, {})
    ]


# What is planned is what is sent


@pytest.fixture
def study(root: Path) -> Study:
    study = read_study(root / "data" / "studies" / "demo.toml")
    return study.model_copy(update={"selection": Selection(state="all")})


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path / "world.sqlite") as world:
        yield world


def crawl(world: World, study: Study, folder: Path, wish: Wish, *tokens: str) -> tuple[CrawlReport, dict[str, int]]:
    """Return the report of a crawl, and what the replica counted by endpoint."""
    store = Store(str(folder / "store.sqlite"))
    with Replica(world, Limits(anonymous=5_000)) as replica, asking(replica.url, *tokens) as client:
        report = Crawl(store, study, client).run(wish)
        asked: dict[str, int] = replica.statistics()["endpoints"]
    store.close()
    return report, asked


def test_batches_of_threads_take_as_many_queries_as_planned(world: World, study: Study, tmp_path: Path) -> None:
    counts = [230, 101, 100, *[0, 1, 2] * 45]
    world.add([thread(number, comments=count) for number, count in enumerate(counts, start=1)])
    named = [IssueReference(A, number) for number in range(1, len(counts) + 1)]
    _, asked = crawl(world, study, tmp_path, Wish([], named=named), "t0ken")
    assert asked == {"/graphql": batch_requests(counts)}


@pytest.mark.parametrize("tokens", [("t0ken",), ()])
@pytest.mark.parametrize("count", [99, 100, 101, 199, 200, 250])
def test_a_listing_takes_as_many_requests_as_planned(
    world: World, study: Study, tmp_path: Path, count: int, tokens: tuple[str, ...]
) -> None:
    world.add([thread(number, comments=0) for number in range(1, count + 1)])
    report, asked = crawl(world, study, tmp_path, Wish([A], whole=True), *tokens)
    assert sum(asked.values()) == report.requests == windows(count) + 1  # one for the facts
    if tokens:
        assert report.expected == report.requests


def test_a_listing_of_all_comments_takes_as_many_requests_as_planned(world: World, study: Study, tmp_path: Path) -> None:
    world.add([thread(number, comments=20) for number in range(1, 31)])
    report, asked = crawl(world, study, tmp_path, Wish([A], whole=True))
    (step,) = (step for step in report.plan if step.what == "threads")
    assert (step.how, step.requests) == ("all comments", windows(600))
    assert asked["/repos/{owner}/{repo}/issues/comments"] == windows(600)


def test_pull_requests_cost_what_the_plan_says(world: World, study: Study, tmp_path: Path) -> None:
    world.add([thread(number, comments=0) for number in range(1, 81)])
    for number in range(101, 181):
        world.add_pull_request(A, number, "Change", at(number))
    report, _ = crawl(world, study, tmp_path, Wish([A], whole=True), "t0ken")
    (step,) = (step for step in report.plan if step.what == "issues")
    assert (step.requests, step.others) == (1, {"rest": windows(160)})


def test_a_named_issue_that_no_listing_held_is_fetched_whatever_the_way_of_the_others(
    world: World, study: Study, tmp_path: Path
) -> None:
    world.add([thread(number, comments=3) for number in range(1, 31)])
    world.add([thread(31, state="open", closed_at=None, comments=2)])
    closed_only = study.model_copy(update={"selection": Selection(state="closed")})
    wish = Wish([A], named=[IssueReference(A, 31)])
    report, _ = crawl(world, closed_only, tmp_path, wish)
    assert [step.how for step in report.plan if step.what == "threads"] == ["all comments"]
    (brought,) = report.repositories
    assert (brought.issues, brought.wanted, brought.complete, brought.comments) == (31, 31, 31, 92)


def test_an_issue_of_which_nothing_is_known_takes_a_request_of_its_own_by_rest() -> None:
    (step,) = plan_threads({A: [None, 150, 0]}, {A: None}, has_token=False)
    assert (step.how, step.requests) == ("issue by issue", 5)
    (step,) = plan_threads({A: [None, 150, 0]}, {A: None}, has_token=True)
    assert (step.how, step.requests, step.others) == ("graphql batches", 2, {"issue by issue": 5})
