import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import graphql
import pytest
from conftest import CONTRACTS
from contracts import OpenApi, pattern_of
from graphql import GraphQLSchema, OperationDefinitionNode
from graphql.execution.values import get_variable_values
from scripted import Heard, Reply, Server, asking, scripted
from served import COMMIT, at, thread

from pipeline.collect.github.client import GoneError
from pipeline.collect.github.questions import (
    ClosedIssueCount,
    CommentPage,
    IssuePage,
    OneIssue,
    OneRepository,
    Page,
    Question,
    RepositoryFacts,
    RepositorySearch,
    ThreadItem,
    ThreadPage,
    Threads,
    written,
)
from pipeline.errors import RedefectError
from pipeline.facts import CrawledIssue, CrawledRepository, IssueReference
from pipeline.replica import Replica, World
from pipeline.thread import Comment

NAME = "acme/anvil"

# Against GitHub's own descriptions

LISTINGS = [
    IssuePage(api="graphql", repository=NAME, state=state, since=since, after=after, size=size, comments=comments)  # type: ignore[arg-type]
    for comments in (False, True)
    for state in ("open", "closed", "all")
    for since, after in ((None, None), (at(5), None), (at(5), "Y3Vyc29yOnYyOpHOAAE="))
    for size in (1, 100)
]
QUERIES: list[Question] = [
    RepositoryFacts(repositories=(NAME,)),
    RepositoryFacts(repositories=tuple(f"acme/anvil-{number}" for number in range(100))),
    *LISTINGS,
    Threads(items=(ThreadItem(repository=NAME, number=1),)),
    Threads(items=tuple(ThreadItem(repository=f"a/b-{n % 7}", number=n, after="c" if n % 2 else None) for n in range(1, 101))),
]


@pytest.mark.parametrize("question", QUERIES, ids=lambda question: question.kind)
def test_every_query_is_one_that_github_s_schema_allows(question: Question, github: GraphQLSchema) -> None:
    call = question.call()
    assert call.api == "graphql"
    assert call.query is not None
    document = graphql.parse(call.query)
    assert graphql.validate(github, document) == []
    (operation,) = (one for one in document.definitions if isinstance(one, OperationDefinitionNode))
    variables = get_variable_values(github, operation.variable_definitions, call.variables)
    assert not isinstance(variables, list), variables  # else they are errors
    assert set(call.variables) == {one.variable.name.value for one in operation.variable_definitions}


REQUESTS: list[Question] = [
    OneRepository(repository=NAME),
    IssuePage(api="rest", repository=NAME),
    *(IssuePage(api="rest", repository=NAME, state=s, since=at(5), after="page=2", size=7) for s in ("open", "closed", "all")),  # type: ignore[arg-type]
    CommentPage(repository=NAME),
    CommentPage(repository=NAME, since=at(5), after="page=3"),
    ThreadPage(repository=NAME, number=7),
    ThreadPage(repository=NAME, number=7, after="page=2"),
    OneIssue(repository=NAME, number=7),
    RepositorySearch(words="yolo", minimum_stars=10),
    RepositorySearch(words="yolo", minimum_stars=10, maximum_stars=99, after="page=10"),
    ClosedIssueCount(repository=NAME),
]


@pytest.mark.parametrize("question", REQUESTS, ids=lambda question: question.kind)
def test_every_request_has_a_path_and_parameters_that_github_describes(question: Question, openapi: OpenApi) -> None:
    call = question.call()
    assert call.api == "rest"
    operation = openapi.document["paths"][pattern_of(call.path, openapi.document)]["get"]
    described = {}
    for parameter in operation["parameters"]:
        if "$ref" in parameter:
            parameter = openapi.document["components"]["parameters"][parameter["$ref"].rpartition("/")[2]]
        if parameter["in"] == "query":
            described[parameter["name"]] = parameter["schema"]
    for name, value in call.parameters.items():
        schema = described[name]  # each is known
        if "enum" in schema:
            assert value in schema["enum"]
        if schema["type"] == "integer":
            assert int(value) >= 1
        if schema.get("format") == "date-time":
            assert value == "2020-01-01T05:00:00Z"
    assert int(call.parameters.get("per_page", 1)) <= 100


# Recorded answers of GitHub


def recording(scenario: str) -> list[dict[str, Any]]:
    """Return what one of Octokit's scenarios recorded of GitHub."""
    path = CONTRACTS / "node_modules" / "@octokit" / "fixtures" / "scenarios" / "api.github.com" / scenario
    if not path.is_dir():
        pytest.skip(f"GitHub's own descriptions are not here: {path} (set REDEFECT_CONTRACTS to a folder with @octokit/fixtures)")
    answers: list[dict[str, Any]] = json.loads((path / "normalized-fixture.json").read_text())
    return answers


@contextmanager
def played_back(scenario: str) -> Iterator[Server]:
    """Answer as GitHub did when the scenario was recorded: by path and page, whatever else is asked."""
    answers = [answer for answer in recording(scenario) if answer["method"] == "get"]

    def answer(heard: Heard) -> Reply:
        def fits(recorded: dict[str, Any], path: str) -> bool:
            split = urlsplit(recorded["path"])
            return split.path == path and dict(parse_qsl(split.query)).get("page", "1") == heard.parameters.get("page", "1")

        # The later pages of a listing were recorded below the repository's number.
        by_number = "/".join(["/repositories/1000", *heard.path.split("/")[4:]])
        found = [a for path in (heard.path, by_number) for a in answers if fits(a, path)]
        return reply(found[0], server)

    with scripted(answer) as server:
        yield server


def reply(recorded: dict[str, Any], server: Server) -> Reply:
    kept = ("link", "location", "etag", "date", "content-type", "retry-after")
    headers = {k: v for k, v in recorded["headers"].items() if k in kept or k.startswith("x-ratelimit")}
    headers = {k: str(v).replace("https://api.github.com", server.url) for k, v in headers.items()}
    return Reply(recorded["status"], recorded["response"], headers)


def ask(server: Server, question: Question) -> Page:
    with asking(server.url, "t0ken", attempts=1) as client:
        return client.ask(question)


RECORDED_AT = datetime(2017, 10, 10, 16, tzinfo=UTC)


def test_a_recorded_repository_is_read() -> None:
    name = "octokit-fixture-org/hello-world"
    with played_back("get-repository") as server:
        page = ask(server, OneRepository(repository=name))
    assert page.repositories == [CrawledRepository(name, name, RECORDED_AT, 42)]


def test_a_recorded_listing_is_read_to_its_end() -> None:
    issues: list[CrawledIssue] = []
    after, pages = None, 0
    with played_back("paginate-issues") as server:
        while True:
            page = ask(server, IssuePage(api="rest", repository="octokit-fixture-org/paginate-issues", size=3, after=after))
            issues += page.issues
            pages += 1
            assert page.etag == '"00000000000000000000000000000000"'
            assert page.last_update == RECORDED_AT
            if (after := page.after) is None:
                break
    assert pages == 5
    assert [issue.number for issue in issues] == list(range(13, 0, -1))
    assert issues[0] == CrawledIssue(
        repository="octokit-fixture-org/paginate-issues", number=13, title="Test issue 13", body="",
        author="octokit-fixture-user-a", state="open", created_at=RECORDED_AT, updated_at=RECORDED_AT, closed_at=None,
        comment_count=42, tracker_labels=[], pull_request=False,
    )  # fmt: skip


def test_a_recorded_search_is_read() -> None:
    with played_back("search-issues") as server:
        assert ask(server, ClosedIssueCount(repository="octokit-fixture-org/search-issues")).total == 2


def test_issues_that_a_recorded_search_found_are_read() -> None:
    (search,) = recording("search-issues")
    for item in search["response"]["items"]:
        page = OneIssue(repository="octokit-fixture-org/search-issues", number=item["number"]).read(item, {})
        assert (page.issues[0].title, page.issues[0].author) == (item["title"], item["user"]["login"])


def test_a_recorded_issue_with_labels_is_read() -> None:
    made, labels = recording("add-labels-to-issue")
    page = OneIssue(repository="octokit-fixture-org/add-labels-to-issue", number=made["response"]["number"]).read(
        made["response"] | {"labels": labels["response"]}, {}
    )
    assert page.issues[0].tracker_labels == sorted(label["name"] for label in labels["response"]) != []


def test_a_recorded_rename_is_followed_and_tells_the_new_name() -> None:
    old = "octokit-fixture-org/rename-repository"
    with played_back("rename-repository") as server:
        page = ask(server, OneRepository(repository=old))
        assert server.paths == [f"/repos/{old}", "/repositories/1000"]
    assert [(facts.name, facts.now) for facts in page.repositories] == [(old, f"{old}-newname")]


def test_a_recorded_refusal_is_one_sentence() -> None:
    (refused,) = recording("errors")
    with scripted(Reply(refused["status"], refused["response"])) as server, pytest.raises(RedefectError) as error:
        ask(server, OneRepository(repository="octokit-fixture-org/errors"))
    assert str(error.value) == "GitHub refuses /repos/octokit-fixture-org/errors with status 422 (Validation Failed)."


def test_a_recorded_404_says_that_nothing_is_there() -> None:
    missing = recording("branch-protection")[0]
    with scripted(Reply(missing["status"], missing["response"])) as server, pytest.raises(GoneError, match="not found"):
        ask(server, OneRepository(repository="octokit-fixture-org/branch-protection"))


@pytest.mark.parametrize("scenario", ["get-repository", "paginate-issues", "search-issues", "rename-repository"])
def test_no_other_recorded_answer_passes_for_what_was_asked(scenario: str) -> None:
    name = "octokit-fixture-org/x"
    readers: dict[str, list[Callable[[Any, Any], Page]]] = {
        "get-repository": [ThreadPage(repository=name, number=1).read, ClosedIssueCount(repository=name).read],
        "paginate-issues": [OneRepository(repository=name).read, CommentPage(repository=name).read],
        "search-issues": [OneRepository(repository=name).read, IssuePage(api="rest", repository=name).read],
        "rename-repository": [IssuePage(api="rest", repository=name).read, OneIssue(repository=name, number=1).read],
    }
    body = next(answer["response"] for answer in recording(scenario) if answer["status"] == 200)
    for read in readers[scenario]:
        with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
            read(body, {})


# REST and GraphQL


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Issues with everything that texts and people can be, and a pull request."""
    minute = at(40)
    said = [("ada", "one\r\ntwo\rthree\n"), (None, ""), ("bob", " \t\N{ZERO WIDTH SPACE}"), ("ada", "\N{SNAKE}\ufffd")]
    remarks = tuple(Comment(author=author, created_at=minute, body=body) for author, body in [*said, ("ghost", "gone")])
    with World(tmp_path / "world.sqlite") as world:
        world.add(
            [
                thread(1, fix="acme/anvil#9"),
                thread(2, fix=f"elsewhere/tools@{COMMIT}", labels=("zebra", "Bug", "ant", "ängstlich", "Zebra")),
                thread(3, body=None, author=None, comments=0),
                thread(4, body="a\r\nb\rc", state="open", closed_at=None, labels=None),
                thread(5, author="ghost", comments=230),
                thread(6, title="Ünïcode \N{BUG} \ufffd", body="", comments=100),
                thread(40, comments=5).model_copy(update={"comments": remarks}),
                thread(7, "acme/rocket"),
            ],
            stars={NAME: 4321, "acme/rocket": 7},
        )
        world.add_pull_request(NAME, 9, "Do not crash", at(9))
        yield world


@pytest.fixture
def replica(world: World) -> Iterator[Server | Replica]:
    with Replica(world) as replica:
        yield replica


def without_fix(issue: CrawledIssue) -> CrawledIssue:
    return replace(issue, fix=None, knows_fix=False)


def whole_threads(client: Any, number: int) -> tuple[list[Any], list[Any]]:
    """Return an issue's comments as REST and as GraphQL tell them."""
    by_rest: list[Any] = []
    after = None
    while True:
        (part,) = client.ask(ThreadPage(repository=NAME, number=number, after=after)).threads
        assert part.begins == after
        by_rest += part.comments
        if (after := part.after) is None:
            break
    by_graphql: list[Any] = []
    while True:
        (part,) = client.ask(Threads(items=(ThreadItem(repository=NAME, number=number, after=after),))).threads
        assert part.begins == after
        by_graphql += part.comments
        if (after := part.after) is None:
            break
    return by_rest, by_graphql


def test_rest_and_graphql_tell_the_same_of_issues_but_for_the_fix(replica: Replica) -> None:
    with asking(replica.url, "t0ken") as client:
        rest = client.ask(IssuePage(api="rest", repository=NAME))
        query = client.ask(IssuePage(api="graphql", repository=NAME, comments=True))
        (seventh,) = client.ask(Threads(items=(ThreadItem(repository="acme/rocket", number=7),))).issues
        assert [without_fix(seventh)] == client.ask(OneIssue(repository="acme/rocket", number=7)).issues
    assert [without_fix(issue) for issue in query.issues] == rest.issues
    assert rest.last_update == query.last_update == rest.issues[-1].updated_at
    assert (rest.passed_over, rest.after, query.after, query.total) == (1, None, None, 7)
    assert {issue.number: issue.fix for issue in query.issues if issue.fix} == {1: "acme/anvil#9", 2: f"elsewhere/tools@{COMMIT}"}
    assert {issue.knows_fix for issue in query.issues} == {True}
    assert {issue.knows_fix for issue in rest.issues} == {False}


@pytest.mark.parametrize("state", ["open", "closed", "all"])
@pytest.mark.parametrize("since", [None, at(3)])
def test_rest_and_graphql_select_alike(replica: Replica, state: Any, since: datetime | None) -> None:
    listed = []
    with asking(replica.url, "t0ken") as client:
        for api in ("rest", "graphql"):
            issues: list[int] = []
            after = None
            while True:
                question = IssuePage(api=api, repository=NAME, state=state, since=since, size=2, after=after)  # type: ignore[arg-type]
                page = client.ask(question)
                issues += [issue.number for issue in page.issues]
                if (after := page.after) is None:
                    break
            listed.append(issues)
    assert listed[0] == listed[1] != []


def test_rest_and_graphql_tell_the_same_of_comments(replica: Replica) -> None:
    with asking(replica.url, "t0ken") as client:
        for number in (1, 3, 5, 6, 40):
            by_rest, by_graphql = whole_threads(client, number)
            assert by_rest == by_graphql
        odd, _ = whole_threads(client, 40)
        listed = client.ask(CommentPage(repository=NAME, since=at(40)))
    assert [comment.body for comment in odd] == ["one\r\ntwo\rthree\n", "", " \t\N{ZERO WIDTH SPACE}", "\N{SNAKE}\ufffd", "gone"]
    assert [comment.author for comment in odd] == ["ada", None, "bob", "ada", None]
    assert listed.comments == [(IssueReference(NAME, 40), comment) for comment in odd]


def test_rest_and_graphql_tell_the_same_of_a_repository(replica: Replica) -> None:
    with asking(replica.url, "t0ken") as client:
        (rest,) = client.ask(OneRepository(repository=NAME)).repositories
        query, rocket = client.ask(RepositoryFacts(repositories=(NAME, "acme/rocket"))).repositories
        assert replace(query, closed_issues=None, issues=None, pull_requests=None, last_update=None) == rest
        assert (query.closed_issues, query.issues, query.pull_requests) == (6, 7, 1)
        assert query.last_update == max(
            issue.updated_at for issue in client.ask(IssuePage(api="graphql", repository=NAME)).issues
        )
        assert (rocket.name, rocket.stars) == ("acme/rocket", 7)
        assert client.ask(ClosedIssueCount(repository=NAME)).total == 6
        assert [found.name for found in client.ask(RepositorySearch(words="rocket", minimum_stars=1)).repositories] == [
            "acme/rocket"
        ]


def test_pull_requests_are_read_only_when_they_are_wanted(replica: Replica) -> None:
    with asking(replica.url, "t0ken") as client:
        page = client.ask(IssuePage(api="rest", repository=NAME, pull_requests=True))
        (pull,) = (issue for issue in page.issues if issue.pull_request)
        assert (page.passed_over, pull.number) == (0, 9)
        (named,) = client.ask(Threads(items=(ThreadItem(repository=NAME, number=9),))).issues
        assert (named, named.fix, named.knows_fix) == (pull, None, False)


def test_threads_of_several_repositories_come_together_and_say_what_is_missing(replica: Replica) -> None:
    items = [ThreadItem(repository=name, number=number) for name, number in [(NAME, 1), ("acme/rocket", 7), (NAME, 99)]]
    items += [ThreadItem(repository="acme/gone", number=1), ThreadItem(repository=NAME, number=2)]
    with asking(replica.url, "t0ken") as client:
        page = client.ask(Threads(items=tuple(items)))
    assert [(part.issue.repository, part.issue.number) for part in page.threads] == [(NAME, 1), (NAME, 2), ("acme/rocket", 7)]
    assert page.missing == {"acme/anvil#99": "not found", "acme/gone": "not found", "acme/gone#1": "not found"}


def test_a_repository_that_is_not_there_is_missing_in_each_way(replica: Replica) -> None:
    with asking(replica.url, "t0ken") as client:
        assert client.ask(RepositoryFacts(repositories=("acme/gone", NAME))).missing == {"acme/gone": "not found"}
        assert client.ask(IssuePage(api="graphql", repository="acme/gone")).missing == {"acme/gone": "not found"}
        for question in (OneRepository(repository="acme/gone"), IssuePage(api="rest", repository="acme/gone")):
            with pytest.raises(GoneError, match="404"):
                client.ask(question)


# What texts and people can be

REST_ISSUE = {
    "number": 1, "title": "a\0b\ud800c", "body": None, "user": {"login": "dependabot[bot]", "type": "Bot"}, "state": "closed",
    "created_at": "2020-01-01T00:00:00Z", "updated_at": "2020-01-01T02:00:00+02:00", "closed_at": "2020-01-01T00:00:00.987Z",
    "comments": 0, "labels": [{"name": "z\0"}, "b", {"name": None}, {"name": "A"}],
}  # fmt: skip
GRAPHQL_ISSUE = {
    "number": 1, "title": "a\0b\ud800c", "body": "", "author": {"__typename": "Bot", "login": "dependabot"}, "state": "CLOSED",
    "createdAt": "2020-01-01T00:00:00Z", "updatedAt": "2020-01-01T02:00:00+02:00", "closedAt": "2020-01-01T00:00:00.987Z",
    "labels": {"nodes": [{"name": "z\0"}, {"name": "b"}, {"name": ""}, {"name": "A"}]}, "timelineItems": {"nodes": []},
    "closedByPullRequestsReferences": None,
    "comments": {"totalCount": 0, "pageInfo": {"hasNextPage": False, "endCursor": None}, "nodes": []}, "__typename": "Issue",
}  # fmt: skip
ONE_THREAD = Threads(items=(ThreadItem(repository=NAME, number=1),))


def graphql_issue(errors: list[Any] | None = None, **changes: Any) -> Page:
    """Return what is read of an answer with one issue, as it travels."""
    body: dict[str, Any] = {"data": {"r0": {"nameWithOwner": NAME, "i1": GRAPHQL_ISSUE | changes}}}
    if errors is not None:
        body["errors"] = errors
    with scripted(Reply(200, body)) as server:
        return ask(server, ONE_THREAD)


def test_the_same_bot_the_same_labels_and_texts_as_they_can_be_stored_in_both_ways() -> None:
    with scripted(Reply(200, REST_ISSUE)) as server:
        (rest,) = ask(server, OneIssue(repository=NAME, number=1)).issues
    (query,) = graphql_issue().issues
    assert without_fix(query) == rest
    assert rest.author == "dependabot[bot]"
    assert rest.title == "a\ufffdb\ufffdc"
    assert rest.body == ""
    assert rest.tracker_labels == ["", "A", "b", "z\ufffd"]
    assert rest.created_at == rest.updated_at == rest.closed_at == datetime(2020, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("author", [None, {"__typename": "User", "login": "ghost"}])
def test_whoever_is_gone_is_nobody(author: Any) -> None:
    assert graphql_issue(author=author).issues[0].author is None


@pytest.mark.parametrize(
    ("kind", "login"), [("User", "ada"), ("Organization", "acme"), ("Mannequin", "m"), ("EnterpriseUserAccount", "e")]
)
def test_others_are_called_as_they_are(kind: str, login: str) -> None:
    assert graphql_issue(author={"__typename": kind, "login": login}).issues[0].author == login


def test_an_issue_without_labels_where_the_schema_allows_none_has_none() -> None:
    assert graphql_issue(labels=None).issues[0].tracker_labels == []


def closed_by(closer: Any) -> Any:
    return {"nodes": [{"closer": closer}]}


PULL = {"number": 7, "repository": {"nameWithOwner": "b/c"}}


@pytest.mark.parametrize(
    ("timeline", "references", "fix"),
    [
        (closed_by({"__typename": "Commit", "oid": COMMIT, "repository": {"nameWithOwner": "b/c"}}), None, f"b/c@{COMMIT}"),
        (closed_by({"__typename": "PullRequest", **PULL}), None, "b/c#7"),
        (closed_by({"__typename": "PullRequest", **PULL}), {"nodes": [{**PULL, "number": 8, "merged": True}]}, "b/c#7"),
        (closed_by({"__typename": "ProjectV2"}), {"nodes": [{**PULL, "merged": True}]}, "b/c#7"),
        (closed_by(None), {"nodes": [{**PULL, "merged": False}]}, None),
        (closed_by(None), {"nodes": [{**PULL, "merged": True}]}, "b/c#7"),
        ({"nodes": [{}]}, None, None),
        ({"nodes": []}, {"nodes": []}, None),
    ],
)
def test_a_fix_is_what_closed_the_issue(timeline: Any, references: Any, fix: str | None) -> None:
    page = graphql_issue(timelineItems=timeline, closedByPullRequestsReferences=references)
    assert page.issues[0].fix == fix


def test_what_closed_an_issue_that_was_opened_again_is_no_fix() -> None:
    closer = {"__typename": "PullRequest", **PULL}
    page = graphql_issue(state="OPEN", closedAt=None, timelineItems=closed_by(closer))
    assert (page.issues[0].state, page.issues[0].fix) == ("open", None)


def test_what_nobody_may_see_within_an_issue_does_not_make_the_issue_missing() -> None:
    error = {"type": "FORBIDDEN", "path": ["r0", "i1", "timelineItems", "nodes", 0, "closer"], "message": "No access"}
    page = graphql_issue([error], timelineItems=closed_by(None))
    assert page.missing == {}
    assert [issue.number for issue in page.issues] == [1]


def test_a_pull_request_s_states_are_open_and_closed() -> None:
    states = []
    for state in ("OPEN", "CLOSED", "MERGED"):
        (pull,) = graphql_issue(__typename="PullRequest", prState=state).issues
        states.append(pull.state)
    assert states == ["open", "closed", "closed"]


def test_an_issue_that_was_moved_is_not_read_as_the_one_asked_for() -> None:
    body = REST_ISSUE | {"number": 12, "repository_url": "https://api.github.com/repos/acme/forge"}
    page = OneIssue(repository=NAME, number=1).read(body, {})
    assert (page.issues, page.missing) == ([], {"acme/anvil#1": "transferred to acme/forge#12"})


def test_a_search_passes_over_forks_and_what_is_archived() -> None:
    found = {"full_name": "a/b", "created_at": "2020-01-01T00:00:00Z", "stargazers_count": 3, "fork": False}
    items = [found, found | {"full_name": "a/c", "fork": True}, found | {"full_name": "a/d", "archived": True}]
    page = RepositorySearch(words="x", minimum_stars=1, after="page=3").read(
        {"total_count": 3, "items": items}, {"link": '<https://example.org/search?q=x&page=4>; rel="next"'}
    )
    assert ([one.name for one in page.repositories], page.after, page.total) == (["a/b"], "page=4", 3)


def test_times_are_written_as_github_does_whatever_the_zone() -> None:
    assert written(datetime.fromisoformat("2020-01-01T01:30:00+01:30")) == "2020-01-01T00:00:00Z"
