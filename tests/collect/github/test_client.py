import itertools
import re
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from scripted import Reply, Server, Slept, asking, counted, scripted
from served import at, thread

from pipeline.collect.github.budget import Budget
from pipeline.collect.github.client import Client, GoneError, PaginationLimitedError, Patience, TooHeavyError
from pipeline.collect.github.questions import (
    CommentPage,
    IssuePage,
    OneIssue,
    OneRepository,
    RepositoryFacts,
    ThreadItem,
    ThreadPage,
    Threads,
)
from pipeline.errors import RedefectError
from pipeline.replica import Faults, Limits, Replica, World
from pipeline.replica.faults import ALL

SECOND_TRY = "waited and asked again"
REPOSITORY = OneRepository(repository="acme/anvil")
FACTS = RepositoryFacts(repositories=("acme/anvil",))
ANVIL = Reply(body={"full_name": "acme/anvil", "created_at": "2020-01-01T00:00:00Z", "stargazers_count": 5})
NODE = {"nameWithOwner": "acme/anvil", "createdAt": "2020-01-01T00:00:00Z", "stargazerCount": 5, "closed": {"totalCount": 1}}
NODE |= {"issues": {"totalCount": 2}, "pullRequests": {"totalCount": 3}}
ANVIL_NODE = Reply(body={"data": {"r0": NODE}})
NO_ISSUES = Reply(body=[])


def refusal(status: int, message: str = "", **headers: str) -> Reply:
    return Reply(status, {"message": message}, {name.replace("_", "-"): value for name, value in headers.items()})


def left(remaining: int, limit: int = 5000, reset: float | None = None) -> dict[str, str]:
    until = time.time() + 1000 if reset is None else reset
    return {
        "x-ratelimit-limit": str(limit),
        "x-ratelimit-remaining": str(remaining),
        "x-ratelimit-reset": str(until),
    }


def graphql_error(message: str, kind: str | None = None, **headers: str) -> Reply:
    error = {"message": message} | ({} if kind is None else {"type": kind})
    return Reply(200, {"data": None, "errors": [error]}, {name.replace("_", "-"): value for name, value in headers.items()})


# What the replica can break


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path / "world.sqlite") as world:
        world.add([thread(number) for number in range(1, 7)])
        yield world


def first_breaks(kind: str, variant: int = 0, **more: float) -> Faults:
    """Return faults of which the first request meets one and the next three none."""
    for seed in itertools.count():
        faults = Faults(seed, 0.5, (kind,), **more)
        drawn = [faults.decide(number) for number in range(4)]
        if drawn[0] is not None and drawn[1:] == [None] * 3 and drawn[0].variant % 8 == variant:
            return faults
    raise AssertionError


BROKEN_LISTING = {
    "primary-limit": "a rate limit that was reached",
    "secondary-limit": "a secondary rate limit",
    "secondary-limit-without-time": "a secondary rate limit",
    "timeout": "no answer in time",
    "reset": "a connection that broke",
    "truncated": "an answer that was cut off",
    "not-json": "an answer that is not JSON",
    "graphql-timeout": "a server error (502)",
}
BROKEN_QUERY = BROKEN_LISTING | {"graphql-timeout": "a query that took too long"}
LISTING = IssuePage(api="rest", repository="acme/anvil", state="all")
QUERY = IssuePage(api="graphql", repository="acme/anvil", state="all")


@pytest.mark.parametrize(
    ("question", "kind", "what"),
    [(LISTING, kind, what) for kind, what in BROKEN_LISTING.items()]
    + [(QUERY, kind, what) for kind, what in BROKEN_QUERY.items()],
    ids=lambda value: getattr(value, "api", value),
)
def test_a_request_that_goes_wrong_is_sent_again_and_the_failure_counted(
    world: World, question: IssuePage, kind: str, what: str
) -> None:
    with (
        Replica(world, faults=first_breaks(kind, hang=60, reset_after=0)) as replica,
        asking(replica.url, "t0ken", read=0.5 if kind == "timeout" else 60) as client,
    ):
        page = client.ask(question)
        assert [issue.number for issue in page.issues] == [1, 2, 3, 4, 5, 6]
        seen = counted(client.incidents)
        seen.pop(("the budget of requests was used up", "waited for the next hour's"), None)  # waited for a piece at a time
        if kind == "timeout":
            assert set(seen) == {(what, SECOND_TRY)}  # a busy machine may miss the time more than once
        else:
            assert seen == {(what, SECOND_TRY): 1}
            assert client.requests == 2


@pytest.mark.parametrize("variant", range(8))
@pytest.mark.parametrize("question", [LISTING, QUERY], ids=["rest", "graphql"])
def test_a_server_error_is_asked_again_whatever_its_form(world: World, question: IssuePage, variant: int) -> None:
    with Replica(world, faults=first_breaks("server-error", variant)) as replica, asking(replica.url, "t0ken") as client:
        assert len(client.ask(question).issues) == 6
        assert counted(client.incidents) == {(f"a server error ({(500, 502, 503, 504)[variant % 4]})", SECOND_TRY): 1}


def test_all_faults_that_the_replica_knows_have_an_answer() -> None:
    elsewhere = {"server-error", "redirect", "pagination-limited"}
    assert set(BROKEN_LISTING) | elsewhere == set(ALL)


def test_a_limit_of_pages_is_the_caller_s_to_get_around(world: World) -> None:
    with Replica(world, faults=Faults(1, 1.0, ("pagination-limited",))) as replica, asking(replica.url, "t0ken") as client:
        with pytest.raises(PaginationLimitedError):
            client.ask(LISTING.model_copy(update={"after": "page=2", "size": 2}))
        assert counted(client.incidents) == {}


@pytest.mark.parametrize(
    "message", ["Only the first 1000 search results are available", "Pagination is limited for this resource"]
)
def test_a_refusal_of_further_pages_is_known_by_its_words(message: str) -> None:
    with scripted(refusal(422, message)) as server, asking(server.url) as client, pytest.raises(PaginationLimitedError):
        client.ask(LISTING)


# Limits and tokens


@pytest.mark.parametrize("refused", [True, False])
def test_a_budget_that_is_used_up_is_asked_no_more_but_waited_for_and_counted_down(refused: bool) -> None:
    watch, seconds = Watching(), iter(range(3))

    def sleep(_: float) -> None:
        if next(seconds) == 2:
            raise KeyboardInterrupt

    headers = left(0, reset=time.time() + 1000)
    reply = refusal(403, "API rate limit exceeded for user ID 1.", **headers) if refused else Reply(200, ANVIL.body, headers)
    with scripted(reply) as server, asking(server.url, "t0ken", slept=sleep, watch=watch) as client:
        with pytest.raises(KeyboardInterrupt):
            for _ in range(2):
                client.ask(REPOSITORY)
        assert len(server.heard) == 1
        expected = {("the budget of requests was used up", "waited for the next hour's"): 1}
        assert counted(client.incidents) == expected | ({("a rate limit that was reached", SECOND_TRY): 1} if refused else {})
    assert {why for why, _ in watch.waits} == {"the budget of requests is used up"}
    first, second, third = (left for _, left in watch.waits)
    assert 900 < first <= 1001
    assert (second, third) == (first - 1, first - 2)


def test_after_the_wait_it_is_asked_again() -> None:
    reset = time.time() + 0.2
    replies = (refusal(403, "API rate limit exceeded for user ID 1.", **left(0, reset=reset)), ANVIL)
    with scripted(*replies) as server, asking(server.url, "t0ken") as client:
        assert client.ask(REPOSITORY).repositories[0].stars == 5
        assert len(server.heard) == 2
        assert time.time() >= reset


def test_a_budget_of_one_resource_does_not_hold_up_another() -> None:
    replies = (Reply(200, ANVIL.body, left(0) | {"x-ratelimit-resource": "core"}), ANVIL_NODE)
    with scripted(*replies) as server, asking(server.url, "t0ken") as client:
        client.ask(REPOSITORY)
        client.ask(FACTS)
        assert counted(client.incidents) == {}


def test_the_token_with_most_left_is_used_first_and_the_next_when_it_is_used_up() -> None:
    budgets = {"one": 3, "two": 5}

    def answer(heard: Any) -> Reply:
        budgets[heard.token] -= 1
        return Reply(200, ANVIL.body, left(budgets[heard.token]))

    with scripted(answer) as server, asking(server.url, "one", "two") as client:
        for _ in range(8):
            client.ask(REPOSITORY)
        # Before anything is known of a token, it is taken to have the most.
        assert server.tokens == ["one", "two", "two", "two", "one", "two", "one", "two"]
        assert budgets == {"one": 0, "two": 0}
        assert counted(client.incidents) == {}


def test_the_replica_s_budgets_of_two_tokens_last_for_as_many_requests(world: World) -> None:
    with Replica(world, Limits(core=4)) as replica, asking(replica.url, "one", "two") as client:
        for number in (1, 2, 3, 4, 5, 6, 1, 2):
            client.ask(OneIssue(repository="acme/anvil", number=number))
        assert counted(client.incidents) == {}
        assert sorted(replica.statistics()["tokens"].values()) == [4, 4]


def test_without_a_token_none_is_sent(world: World) -> None:
    with scripted(ANVIL) as server, asking(server.url) as client:
        assert not client.has_token
        client.ask(REPOSITORY)
        assert "authorization" not in server.heard[0].headers
    with Replica(world) as replica, asking(replica.url) as client:
        assert len(client.ask(LISTING).issues) == 6
        assert list(replica.statistics()["tokens"]) == ["anonymous"]


def test_a_request_says_who_asks_and_for_which_form() -> None:
    with scripted(ANVIL) as server, asking(server.url, "t0ken") as client:
        client.ask(REPOSITORY)
        headers = server.heard[0].headers
    assert headers["accept"] == "application/vnd.github+json"
    assert headers["x-github-api-version"] == "2022-11-28"
    assert re.fullmatch(r"redefect/\S+", headers["user-agent"])


@pytest.mark.parametrize("status", [403, 429])
def test_a_secondary_limit_is_waited_for_as_long_as_it_says(status: int) -> None:
    slept = Slept()
    replies = (refusal(status, "You have exceeded a secondary rate limit.", Retry_After="3"), ANVIL)
    with scripted(*replies) as server, asking(server.url, "t0ken", slept=slept) as client:
        client.ask(REPOSITORY)
        assert sum(slept) == 3.0
        assert counted(client.incidents) == {("a secondary rate limit", SECOND_TRY): 1}


SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."


@pytest.mark.parametrize(
    ("question", "limited", "answer"),
    [
        (REPOSITORY, refusal(403, SECONDARY), ANVIL),
        (REPOSITORY, refusal(429, "Too many"), ANVIL),
        (REPOSITORY, refusal(403, SECONDARY, Retry_After="soon"), ANVIL),
        (FACTS, refusal(403, SECONDARY), ANVIL_NODE),
        (FACTS, graphql_error(SECONDARY), ANVIL_NODE),
    ],
)
def test_a_secondary_limit_that_does_not_say_so_is_waited_for_a_minute_at_least_and_longer_each_time(
    question: OneRepository | RepositoryFacts, limited: Reply, answer: Reply
) -> None:
    slept: list[float] = []
    with (
        scripted(limited, limited, limited, answer) as server,
        asking(server.url, "t0ken", slept=slept.append, first_wait=1.0) as client,
    ):
        client.ask(question)
        assert counted(client.incidents) == {("a secondary rate limit", SECOND_TRY): 3}
    assert 60 + 120 + 240 <= sum(slept) <= 2 * (60 + 120 + 240)


def test_a_secondary_limit_within_a_graphql_answer_is_waited_for_as_long_as_it_says() -> None:
    slept = Slept()
    with (
        scripted(graphql_error(SECONDARY, Retry_After="7"), ANVIL_NODE) as server,
        asking(server.url, "t0ken", slept=slept) as client,
    ):
        client.ask(FACTS)
    assert sum(slept) == 7.0


def test_a_graphql_query_that_a_budget_does_not_pay_for_is_asked_with_another_or_waited_for() -> None:
    reset = time.time() + 0.3
    short = graphql_error("API rate limit exceeded for user ID 1.", "RATE_LIMITED", **left(3, reset=reset))
    with scripted(short, short, ANVIL_NODE) as server, asking(server.url, "one", "two") as client:
        client.ask(FACTS)
        assert server.tokens[:2] == ["one", "two"]
        assert len(server.heard) == 3
        assert time.time() >= reset


@pytest.mark.parametrize(
    ("message", "kind"), [("API rate limit exceeded for user ID 1.", "RATE_LIMITED"), ("API rate limit exceeded", None)]
)
def test_a_graphql_limit_without_headers_is_a_failure_like_another(message: str, kind: str | None) -> None:
    with scripted(graphql_error(message, kind), ANVIL_NODE) as server, asking(server.url, "t0ken") as client:
        assert client.ask(FACTS).repositories[0].pull_requests == 3
        assert counted(client.incidents) == {("a rate limit that was reached", SECOND_TRY): 1}


@pytest.mark.parametrize("hours", [-5, 5])
def test_a_wrong_clock_of_this_machine_does_not_make_it_wait_wrongly(hours: int) -> None:
    watch, there = Watching(), time.time() + hours * 3600
    headers = left(0, reset=there + 30) | {"Date": formatdate(there, usegmt=True)}

    def stop(_: float) -> None:
        raise KeyboardInterrupt

    with scripted(Reply(200, ANVIL.body, headers)) as server, asking(server.url, "t0ken", slept=stop, watch=watch) as client:
        client.ask(REPOSITORY)
        with pytest.raises(KeyboardInterrupt):
            client.ask(REPOSITORY)
    ((why, seconds),) = watch.waits
    assert why == "the budget of requests is used up"
    assert 20 < seconds < 40


@pytest.mark.parametrize("date", ["yesterday", "", "Mon, 99 Foo 2020 00:00:00 GMT"])
def test_a_date_that_is_none_is_passed_over(date: str) -> None:
    with scripted(Reply(200, ANVIL.body, {"Date": date})) as server, asking(server.url) as client:
        assert client.ask(REPOSITORY).repositories


def test_a_token_that_is_not_accepted_is_used_no_more() -> None:
    def answer(heard: Any) -> Reply:
        return refusal(401, "Bad credentials") if heard.token == "old" else ANVIL

    with scripted(answer) as server, asking(server.url, "old", "new") as client:
        for _ in range(3):
            client.ask(REPOSITORY)
        assert server.tokens == ["old", "new", "new", "new"]
        assert client.incidents.listed == {"token 1 of 2": "not accepted (401); not used any more"}


def test_no_token_that_is_accepted_is_one_sentence_without_the_token(world: World) -> None:
    with (
        Replica(world, Limits(revoked=frozenset({"s3cret-a", "s3cret-b"}))) as replica,
        asking(replica.url, "s3cret-a", "s3cret-b") as client,
        pytest.raises(RedefectError) as ended,
    ):
        client.ask(QUERY)
    assert str(ended.value) == ("GitHub does not accept token 2 of 2 (401); put a valid token into REDEFECT_GITHUB_TOKENS.")


def test_many_tokens_that_are_not_accepted_do_not_use_up_patience() -> None:
    tokens = [f"old{number}" for number in range(12)]

    def answer(heard: Any) -> Reply:
        return ANVIL if heard.token == "new" else refusal(401, "Bad credentials")

    with scripted(answer) as server, asking(server.url, *tokens, "new", attempts=3) as client:
        client.ask(REPOSITORY)
        assert len(server.heard) == 13


def test_who_needs_a_token_and_has_none_is_told() -> None:
    with scripted(refusal(401, "Requires authentication")) as server, asking(server.url) as client:
        with pytest.raises(RedefectError, match=r"does not accept a request without a token \(401\); put a valid token into"):
            client.ask(REPOSITORY)
        assert len(server.heard) == 1


# Redirects


def moved(to: str, status: int = 301) -> Reply:
    return Reply(status, {"message": "Moved Permanently"}, {"Location": to})


def asked_for(server: Server) -> list[tuple[str, dict[str, str]]]:
    return [(heard.path, heard.parameters) for heard in server.heard]


SINCE = LISTING.model_copy(update={"since": at(2)})
ALL_SINCE = {"state": "all", "sort": "updated", "direction": "asc", "per_page": "100", "since": "2020-01-01T02:00:00Z"}


@pytest.mark.parametrize("status", [301, 308])
def test_a_renamed_repository_is_followed_with_the_whole_query_and_remembered(status: int) -> None:
    def answer(heard: Any) -> Reply:
        return moved("/repositories/7/issues", status) if heard.path.startswith("/repos/") else NO_ISSUES

    with scripted(answer) as server, asking(server.url, "t0ken") as client:
        client.ask(SINCE)
        client.ask(SINCE)
        client.ask(CommentPage(repository="acme/anvil"))
        client.ask(ThreadPage(repository="acme/anvil", number=3))
        assert asked_for(server)[:3] == [
            ("/repos/acme/anvil/issues", ALL_SINCE),
            ("/repositories/7/issues", ALL_SINCE),
            ("/repositories/7/issues", ALL_SINCE),
        ]
        assert server.paths[3:] == ["/repositories/7/issues/comments", "/repositories/7/issues/3/comments"]
        assert server.tokens == ["t0ken"] * 5
        assert counted(client.incidents) == {("a redirect to where something is now", "followed"): 1}


def test_a_query_that_the_redirect_gives_itself_is_taken() -> None:
    with scripted(moved("/repositories/7/issues?state=all&page=1"), NO_ISSUES) as server, asking(server.url) as client:
        client.ask(SINCE)
        assert server.heard[1].parameters == {"state": "all", "page": "1"}


def test_a_renamed_repository_of_the_replica_is_read_under_its_old_name(world: World) -> None:
    world.rename("acme/anvil", "acme/hammer")
    with Replica(world) as replica, asking(replica.url, "t0ken") as client:
        first = client.ask(LISTING.model_copy(update={"size": 2}))
        second = client.ask(LISTING.model_copy(update={"size": 2, "after": first.after}))
        assert [issue.number for issue in first.issues + second.issues] == [1, 2, 3, 4]
        assert {issue.repository for issue in first.issues} == {"acme/anvil"}
        assert client.requests == 3


def test_the_name_of_one_repository_is_not_the_beginning_of_another() -> None:
    def answer(heard: Any) -> Reply:
        return moved("/repositories/7/issues") if heard.path == "/repos/acme/anvil/issues" else NO_ISSUES

    with scripted(answer) as server, asking(server.url) as client:
        client.ask(SINCE)
        client.ask(SINCE.model_copy(update={"repository": "acme/anvil2"}))
        assert server.paths[-1] == "/repos/acme/anvil2/issues"


@pytest.mark.parametrize("status", [302, 307])
def test_a_redirect_for_now_is_followed_and_not_remembered(status: int) -> None:
    def answer(heard: Any) -> Reply:
        return moved("/repositories/7/issues", status) if heard.path.startswith("/repos/") else NO_ISSUES

    with scripted(answer) as server, asking(server.url) as client:
        client.ask(SINCE)
        client.ask(SINCE)
        assert server.paths == ["/repos/acme/anvil/issues", "/repositories/7/issues"] * 2


@pytest.mark.parametrize(
    "where", ["http://127.0.0.1:{other}/repos/x/y/issues", "//127.0.0.1:{other}/repos/x/y/issues", "http://u@127.0.0.1:{own}/x",
              "https://127.0.0.1:{own}/repos/x/y", "ftp://127.0.0.1:{own}/repos/x/y", "http://localhost:{own}/repos/x/y"]
)  # fmt: skip
def test_a_redirect_to_another_server_is_refused_and_nothing_is_sent_there(where: str) -> None:
    with scripted(NO_ISSUES) as other, scripted(NO_ISSUES) as server:
        location = where.format(other=other.server_address[1], own=server.server_address[1])
        server.replies = [moved(location)]
        with asking(server.url, "s3cret") as client, pytest.raises(RedefectError) as refused:
            client.ask(LISTING)
        assert other.heard == []
        assert len(server.heard) == 1
    assert str(refused.value) == "GitHub redirects /repos/acme/anvil/issues to another server; nothing was sent there."


def test_a_redirect_out_of_the_api_of_an_enterprise_server_is_refused() -> None:
    with scripted(moved("/login")) as server, asking(f"{server.url}/api/v3", "t0ken") as client:
        with pytest.raises(RedefectError, match=r"redirects /api/v3/repos/acme/anvil/issues to another server"):
            client.ask(LISTING)
        assert server.paths == ["/api/v3/repos/acme/anvil/issues"]


@pytest.mark.parametrize("reply", [moved("/repos/acme/anvil"), moved(""), Reply(301, {})])
def test_redirects_without_an_end_are_given_up(reply: Reply) -> None:
    with scripted(reply) as server, asking(server.url, attempts=2) as client:
        with pytest.raises(RedefectError, match=r"2 times in a row for acme/anvil \(the last time: redirects without an end\)"):
            client.ask(REPOSITORY)
        assert len(server.heard) <= 12


def test_a_redirect_to_nonsense_is_a_failure_like_another() -> None:
    with scripted(moved("http://[::1"), ANVIL) as server, asking(server.url) as client:
        assert client.ask(REPOSITORY).repositories


# What is not there


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (refusal(404, "Not Found"), "not found (404)"),
        (refusal(410, "This issue was deleted"), "deleted (410)"),
        (refusal(451, "Repository access blocked"), "blocked (451)"),
        (refusal(403, "Repository access blocked"), "forbidden (Repository access blocked)"),
        (Reply(403, b"<html>"), "forbidden"),
        (Reply(404, b"<html>"), "not found (404)"),
        (Reply(404, ["no", "object"]), "not found (404)"),
    ],
)
def test_what_is_not_there_is_said_at_once(reply: Reply, why: str) -> None:
    with scripted(reply) as server, asking(server.url, "t0ken") as client:
        with pytest.raises(GoneError) as gone:
            client.ask(OneIssue(repository="acme/anvil", number=1))
        assert str(gone.value) == why
        assert len(server.heard) == 1


def test_the_replica_s_missing_deleted_and_blocked_are_told_apart(world: World) -> None:
    world.delete_issue("acme/anvil", 2)
    said = []
    with Replica(world) as replica, asking(replica.url, "t0ken") as client:
        for number in (99, 2):
            with pytest.raises(GoneError) as gone:
                client.ask(OneIssue(repository="acme/anvil", number=number))
            said.append(str(gone.value))
        world.block("acme/anvil")
        with pytest.raises(GoneError) as gone:
            client.ask(LISTING)
        said.append(str(gone.value))
    assert said == ["not found (404)", "deleted (410)", "blocked (451)"]


def test_a_transferred_issue_is_missing_here_and_its_repository_is_where_it_was(world: World) -> None:
    world.transfer("acme/anvil", 3, "acme/forge", 12)
    with Replica(world) as replica, asking(replica.url, "t0ken") as client:
        page = client.ask(OneIssue(repository="acme/anvil", number=3))
        assert (page.issues, page.missing) == ([], {"acme/anvil#3": "transferred to acme/forge#12"})
        assert [issue.number for issue in client.ask(LISTING).issues] == [1, 2, 4, 5, 6]


def test_a_refusal_of_another_kind_is_one_sentence() -> None:
    with scripted(refusal(422, "Validation Failed")) as server, asking(server.url, "t0ken") as client:
        with pytest.raises(RedefectError) as refused:
            client.ask(REPOSITORY)
        assert str(refused.value) == "GitHub refuses /repos/acme/anvil with status 422 (Validation Failed)."
        assert len(server.heard) == 1


# Answers that are none


@pytest.mark.parametrize("body", [b"", b"<html>unicorns</html>", b'{"full_name": "acme', b"\xff\xfe", b"{}{}"])
def test_an_answer_that_is_not_json_is_asked_for_again(body: bytes) -> None:
    with scripted(Reply(200, body), ANVIL) as server, asking(server.url) as client:
        assert client.ask(REPOSITORY).repositories
        assert counted(client.incidents) == {("an answer that is not JSON", SECOND_TRY): 1}


STRANGE: list[Any] = [
    None,
    7,
    "text",
    True,
    [],
    {},
    [7],
    [None],
    [{}],
    {"message": "hm"},
    {"data": 7},
    {"data": []},
    {"data": {"r0": 7}},
]


REST = [LISTING, CommentPage(repository="acme/anvil"), ThreadPage(repository="acme/anvil", number=1), REPOSITORY]
REST += [OneIssue(repository="acme/anvil", number=1)]


@pytest.mark.parametrize("question", REST, ids=lambda question: question.kind)
@pytest.mark.parametrize("body", STRANGE, ids=repr)
def test_json_of_another_form_is_asked_for_again(question: Any, body: Any) -> None:
    if body == [] and isinstance(question, IssuePage | CommentPage | ThreadPage):
        return  # an empty listing
    with scripted(Reply(200, body)) as server, asking(server.url, attempts=2) as client:
        with pytest.raises(RedefectError, match=r"2 times in a row for .* \(the last time: an answer of another form\)"):
            client.ask(question)
        assert len(server.heard) == 2


GRAPHQL = [QUERY, FACTS, Threads(items=(ThreadItem(repository="acme/anvil", number=1),))]


@pytest.mark.parametrize("question", GRAPHQL, ids=lambda question: question.kind)
@pytest.mark.parametrize("body", [body for body in STRANGE if body not in ({}, {"message": "hm"})], ids=repr)
def test_graphql_of_another_form_is_asked_for_again(question: Any, body: Any) -> None:
    with (
        scripted(Reply(200, body)) as server,
        asking(server.url, "t0ken", attempts=2) as client,
        pytest.raises(RedefectError, match=r"2 times in a row for .* \(the last time: an answer of another form\)"),
    ):
        client.ask(question)


def test_rate_limit_headers_that_hold_no_numbers_are_an_answer_of_another_form() -> None:
    with scripted(Reply(200, ANVIL.body, {"x-ratelimit-remaining": "many"}), ANVIL) as server, asking(server.url) as client:
        assert client.ask(REPOSITORY).repositories


def test_patience_ends_in_one_sentence() -> None:
    with scripted(refusal(503)) as server, asking(server.url, attempts=3) as client:
        with pytest.raises(RedefectError) as ended:
            client.ask(REPOSITORY)
        assert len(server.heard) == 3
    assert str(ended.value) == (
        "GitHub gave no usable answer 3 times in a row for acme/anvil (the last time: a server error (503)); what was "
        "collected is stored, and the same command goes on there."
    )


def test_waits_double_up_to_the_longest_and_a_part_of_each_is_left_out() -> None:
    slept: list[float] = []
    with scripted(*[refusal(500)] * 9, ANVIL) as server:
        client = Client(server.url, [], Patience(first_wait=1.0, longest_wait=8.0), sleep=slept.append)
        client.ask(REPOSITORY)
        client.close()
    whole = 1 + 2 + 4 + 8 * 6
    assert whole / 2 <= sum(slept) <= whole
    assert all(seconds <= 1.0 for seconds in slept)


def test_failures_are_counted_anew_after_an_answer() -> None:
    with (
        scripted(refusal(500), ANVIL, refusal(500), ANVIL, refusal(500), ANVIL) as server,
        asking(server.url, attempts=2) as client,
    ):
        for _ in range(3):
            client.ask(REPOSITORY)


def test_nobody_there_is_one_sentence() -> None:
    with scripted(ANVIL) as server:
        address = server.url
    with asking(address, attempts=2) as client, pytest.raises(RedefectError, match=r"\(the last time: no connection\)"):
        client.ask(REPOSITORY)


# GraphQL's own


TIMEOUT = "Something went wrong while executing your query. This may be the result of a timeout, or it could be a GitHub bug."
HEAVY = [
    refusal(502),
    refusal(504),
    graphql_error(TIMEOUT),
    graphql_error("This query requests up to 5,000,000 nodes", "MAX_NODE_LIMIT_EXCEEDED"),
    graphql_error("Resource limits for this query exceeded.", "RESOURCE_LIMITS_EXCEEDED"),
    graphql_error("The request timed out."),
]


@pytest.mark.parametrize("heavy", HEAVY)
def test_a_query_that_is_too_heavy_is_to_be_divided_only_if_it_can_be(heavy: Reply) -> None:
    with scripted(heavy, heavy, ANVIL_NODE) as server, asking(server.url, "t0ken") as client:
        with pytest.raises(TooHeavyError):
            client.ask(FACTS, divisible=True)
        assert len(server.heard) == 1
        assert [done for _, done in client.incidents.counted] == ["asked for less at once"]
        assert client.ask(FACTS, divisible=False).repositories
        assert len(server.heard) == 3


def test_a_query_without_an_answer_in_time_is_too_heavy(world: World) -> None:
    with (
        Replica(world, faults=Faults(1, 1.0, ("timeout",), hang=30)) as replica,
        asking(replica.url, "t0ken", read=0.1) as client,
        pytest.raises(TooHeavyError),
    ):
        client.ask(QUERY, divisible=True)


@pytest.mark.parametrize("light", [refusal(500), refusal(503), Reply(200, b"<html>"), refusal(429), refusal(403, SECONDARY)])
def test_other_failures_are_not_taken_for_heaviness(light: Reply) -> None:
    with scripted(light, ANVIL_NODE) as server, asking(server.url, "t0ken") as client:
        assert client.ask(FACTS, divisible=True).repositories


@pytest.mark.parametrize("heavy", [refusal(502), refusal(504)])
def test_no_rest_request_is_too_heavy(heavy: Reply) -> None:
    with scripted(heavy, ANVIL) as server, asking(server.url, "t0ken") as client:
        assert client.ask(REPOSITORY, divisible=True).repositories


def test_an_answer_in_part_says_what_is_missing() -> None:
    error = {"type": "NOT_FOUND", "path": ["r1"], "message": "Could not resolve to a Repository with the name 'acme/gone'."}
    body = {"data": {"r0": NODE, "r1": None}, "errors": [error]}
    with scripted(Reply(200, body)) as server, asking(server.url, "t0ken") as client:
        page = client.ask(RepositoryFacts(repositories=("acme/anvil", "acme/gone")))
        assert [facts.name for facts in page.repositories] == ["acme/anvil"]
        assert page.missing == {"acme/gone": "not found"}
        assert counted(client.incidents) == {}


@pytest.mark.parametrize("path", [None, ["elsewhere"], []])
def test_an_error_that_says_not_where_is_asked_again(path: Any) -> None:
    broken = Reply(200, {"data": {"r0": NODE}, "errors": [{"message": "hm", "path": path}]})
    with scripted(broken, ANVIL_NODE) as server, asking(server.url, "t0ken") as client:
        assert client.ask(FACTS).missing == {}
        assert counted(client.incidents) == {("an answer of another form", SECOND_TRY): 1}


def test_a_query_that_is_refused_is_one_sentence() -> None:
    with scripted(graphql_error("Field 'x' doesn't exist on type 'Issue'")) as server, asking(server.url, "t0ken") as client:
        with pytest.raises(RedefectError, match=r"GitHub refuses a GraphQL query \(field 'x' doesn't exist on type 'issue'\)"):
            client.ask(FACTS)
        assert len(server.heard) == 1


@pytest.mark.parametrize(("base", "path"), [("", "/graphql"), ("/", "/graphql"), ("/api/v3", "/api/graphql")])
def test_graphql_is_beside_the_rest_of_an_enterprise_server(base: str, path: str) -> None:
    with scripted(ANVIL_NODE) as server, asking(server.url + base, "t0ken") as client:
        client.ask(FACTS)
        assert server.paths == [path]
        assert server.heard[0].body["variables"] == {"o0": "acme", "n0": "anvil"}


# What did not change


def test_an_answer_that_did_not_change_costs_nothing_and_is_not_received_again(world: World) -> None:
    received: list[str] = []
    with Replica(world) as replica, asking(replica.url, "t0ken") as client:
        page = client.ask(LISTING, received=lambda text, headers: received.append(headers["etag"] + text[:1]))
        assert page.etag is not None
        assert received == [page.etag + "["]
        again = client.ask(LISTING, page.etag, received=lambda *_: received.append("again"))
        assert (again.unchanged, again.etag, again.issues) == (True, page.etag, [])
        assert len(received) == 1


# Where tokens go


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "[::1]"])
def test_within_this_machine_tokens_may_travel_in_the_open(host: str) -> None:
    Client(f"http://{host}:9/", ["t0ken"]).close()


@pytest.mark.parametrize(
    "host", ["api.example.com", "localhost.example.com", "10.0.0.1", "0.0.0.0", "[2001:db8::1]", "127.0.0.1.example"]
)
def test_elsewhere_they_may_not(host: str) -> None:
    with pytest.raises(
        RedefectError, match=r"GITHUB_API_URL begins with http:, so that tokens would be sent in the open; use https"
    ):
        Client(f"http://{host}", ["t0ken"])
    Client(f"http://{host}").close()
    Client(f"https://{host}", ["t0ken"]).close()


@pytest.mark.parametrize(
    "address", ["", "api.example.com", "ftp://api.example.com", "https://", "https://u:s3cret@api.example.com", "https://:s3cret@a.b",
                "https://s3cret@a.b", "https://a.b/?token=s3cret", "https://a.b/#s3cret", "https://[::1", "https://a.b:port", "file:///x",
                "https://a.b:99999", "https://a b/"]
)  # fmt: skip
def test_an_address_that_is_none_is_refused_without_being_shown(address: str) -> None:
    with pytest.raises(RedefectError) as refused:
        Client(address, ["t0ken"])
    assert str(refused.value) == "The address of the API (GITHUB_API_URL) must be like https://api.github.com."


def test_passwords_in_netrc_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login somebody password pa55word\ndefault login x password y\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with scripted(ANVIL) as server:
        for tokens in ((), ("t0ken",)):
            with asking(server.url, *tokens) as client:
                client.ask(REPOSITORY)
        assert server.tokens == [None, "t0ken"]


def test_what_stays_within_this_machine_takes_no_way_round_by_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(ANVIL) as proxy, scripted(ANVIL) as server:
        for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(variable, proxy.url)
        for variable in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(variable, raising=False)
        with asking(server.url, "s3cret") as client:
            client.ask(REPOSITORY)
        assert (proxy.heard, len(server.heard)) == ([], 1)


# Whoever watches


class Watching:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.waits: list[tuple[str, float]] = []
        self.answered: list[tuple[str, float, int]] = []

    def requested(self, resource: str, budget: Budget, total: int) -> None:
        self.answered.append((resource, budget.left(time.time()), total))

    def waiting(self, why: str, seconds: float) -> None:
        self.waits.append((why, seconds))

    def asking(self, about: str) -> None: ...

    def stored(self, issues: int, comments: int) -> None: ...


def test_a_wait_is_counted_down_by_seconds() -> None:
    watch, slept = Watching(), list[float]()
    with asking("http://127.0.0.1:9", slept=slept.append, watch=watch) as client:
        client.wait("a reason", 3.5)
    assert watch.waits == [("a reason", seconds) for seconds in (3.5, 2.5, 1.5, 0.5)]
    assert slept == [1.0, 1.0, 1.0, 0.5]


def test_a_wait_can_be_interrupted_and_nothing_is_sent_after_that() -> None:
    watch, seconds = Watching(), iter(range(3))

    def sleep(_: float) -> None:
        if next(seconds) == 2:
            raise KeyboardInterrupt

    limited = refusal(429, "Too many", Retry_After="900")
    with scripted(limited) as server, asking(server.url, slept=sleep, watch=watch) as client:
        with pytest.raises(KeyboardInterrupt):
            client.ask(REPOSITORY)
        assert len(server.heard) == 1
    assert watch.waits == [
        ("a secondary rate limit", 900.0),
        ("a secondary rate limit", 899.0),
        ("a secondary rate limit", 898.0),
    ]


def test_each_answer_is_told_with_what_is_left() -> None:
    watch = Watching()
    with (
        scripted(refusal(500, **left(41)), Reply(200, ANVIL.body, left(40)), Reply(200, ANVIL_NODE.body, left(7))) as server,
        asking(server.url, "t0ken", watch=watch) as client,
    ):
        client.ask(REPOSITORY)
        client.ask(FACTS)
    assert watch.answered == [("core", 41, 1), ("core", 40, 2), ("graphql", 7, 3)]
