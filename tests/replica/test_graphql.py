from typing import Any

import graphql
import pytest
from contracts import check_answer
from graphql import GraphQLSchema
from served import COMMIT, ISSUES, LISTING, THREADS, Asked, at, thread

from pipeline.replica import World
from pipeline.replica.graphql import InvalidQueryError, execute, plan
from pipeline.replica.limits import Allowance

ANVIL = {"owner": "acme", "name": "anvil"}
BATCH = {"o0": "acme", "n0": "anvil", "o1": "acme", "n1": "rocket"}


def ask(world: World, document: str, **variables: Any) -> dict[str, Any]:
    return execute(world, plan(document, variables, None), Allowance("graphql", 5000, 1, 2_000_000_000))


def cost(document: str, **variables: Any) -> tuple[int, int]:
    made = plan(document, variables, None)
    return made.cost, made.nodes


# The schema


def test_every_type_field_argument_and_value_is_one_of_githubs(github: GraphQLSchema) -> None:
    from pipeline.replica.graphql import _schema

    ours = {name: kind for name, kind in _schema().type_map.items() if not name.startswith("__")}
    for name, kind in ours.items():
        theirs = github.type_map[name]
        assert type(kind) is type(theirs), name
        if isinstance(kind, graphql.GraphQLEnumType):
            assert set(kind.values) <= set(theirs.values), name
        elif isinstance(kind, graphql.GraphQLUnionType):
            assert {t.name for t in kind.types} <= {t.name for t in theirs.types}, name
        elif isinstance(kind, graphql.GraphQLInputObjectType):
            for field, ours_field in kind.fields.items():
                assert str(ours_field.type) == str(theirs.fields[field].type), f"{name}.{field}"
        elif isinstance(kind, graphql.GraphQLObjectType | graphql.GraphQLInterfaceType):
            assert {i.name for i in kind.interfaces} <= {i.name for i in theirs.interfaces}, name
            for field, ours_field in kind.fields.items():
                assert str(ours_field.type) == str(theirs.fields[field].type), f"{name}.{field}"
                for argument, ours_argument in ours_field.args.items():
                    described = theirs.fields[field].args[argument]
                    assert str(ours_argument.type) == str(described.type), f"{name}.{field}({argument})"
                    assert ours_argument.default_value == described.default_value, f"{name}.{field}({argument})"


def test_no_argument_that_github_demands_is_missing(github: GraphQLSchema) -> None:
    from pipeline.replica.graphql import _schema

    for name, kind in _schema().type_map.items():
        for field, ours in getattr(kind, "fields", {}).items() if not name.startswith("__") else ():
            for argument, described in getattr(github.type_map[name].fields[field], "args", {}).items():
                assert argument in ours.args or not graphql.is_required_argument(described), f"{name}.{field}({argument})"


def test_answers_are_what_githubs_schema_allows(world: World, github: GraphQLSchema) -> None:
    for document, variables in (
        (ISSUES, ANVIL | {"first": 100}),
        (ISSUES, ANVIL | {"first": 2, "since": "2020-01-01T03:00:00Z", "states": ["OPEN"]}),
        (LISTING, ANVIL | {"first": 3}),
        (THREADS, BATCH),
        (ISSUES, {"owner": "acme", "name": "nothing", "first": 1}),
    ):
        check_answer(github, document, ask(world, document, **variables), variables)


def test_the_check_finds_what_the_schema_forbids(world: World, github: GraphQLSchema) -> None:
    variables = ANVIL | {"first": 1}
    for key, wrong in (("number", "one"), ("title", None), ("state", "MERGED"), ("createdAt", "yesterday"), ("labels", 3)):
        answer = ask(world, ISSUES, **variables)
        answer["data"]["repository"]["issues"]["nodes"][0][key] = wrong
        with pytest.raises(AssertionError):
            check_answer(github, ISSUES, answer, variables)
    answer = ask(world, ISSUES, **variables)
    answer["data"]["repository"]["issues"]["nodes"][0]["timelineItems"]["nodes"][0] = {"subject": None}
    with pytest.raises(AssertionError):
        check_answer(github, ISSUES, answer, variables)
    with pytest.raises(AssertionError):
        check_answer(github, "{ repository { stars } }", answer)


# Listings


def test_a_listing_goes_by_update_time_and_pages_by_cursor(world: World) -> None:
    pages, after = [], None
    while True:
        issues = ask(world, LISTING, **ANVIL, first=3, after=after)["data"]["repository"]["issues"]
        assert issues["totalCount"] == 7
        pages.append([node["number"] for node in issues["nodes"]])
        after = issues["pageInfo"]["endCursor"]
        if not issues["pageInfo"]["hasNextPage"]:
            break
    assert pages == [[1, 2, 3], [4, 5, 6], [7]]


def test_an_update_during_a_listing_hides_no_issue(world: World) -> None:
    first = ask(world, LISTING, **ANVIL, first=3)["data"]["repository"]["issues"]
    world.comment("acme/anvil", 1, "eve", "Still there", at(20))
    second = ask(world, LISTING, **ANVIL, first=9, after=first["pageInfo"]["endCursor"])["data"]["repository"]["issues"]
    assert [node["number"] for node in second["nodes"]] == [4, 5, 6, 7, 1]


def test_since_and_states_narrow_a_listing_and_its_count(world: World) -> None:
    def issues(**variables: Any) -> tuple[int, list[int]]:
        found = ask(world, ISSUES, **ANVIL, first=9, **variables)["data"]["repository"]["issues"]
        return found["totalCount"], [node["number"] for node in found["nodes"]]

    assert issues(since="2020-01-01T06:02:00Z") == (2, [6, 7])
    assert issues(since="2020-01-01T07:02:01+01:00") == (1, [7])
    assert issues(states=["OPEN"]) == (1, [4])
    assert issues(states=["OPEN", "CLOSED"])[0] == 7
    assert issues(states=["CLOSED"], since="2020-01-01T04:00:00Z") == (3, [5, 6, 7])


def test_all_comments_of_a_page_come_with_it_and_more_by_cursor(world: World) -> None:
    issues = ask(world, ISSUES, **ANVIL, first=100)["data"]["repository"]["issues"]["nodes"]
    assert [[c["body"] for c in issue["comments"]["nodes"]] for issue in issues[3:5]] == [
        ["Comment 1", "Comment 2"],
        [f"Comment {i}" for i in range(1, 6)],
    ]
    assert issues[2]["comments"] == {"totalCount": 0, "pageInfo": {"hasNextPage": False, "endCursor": None}, "nodes": []}
    seen, cursor = [], None
    while True:
        comments = ask(world, THREADS, **BATCH, c5=cursor)["data"]["r0"]["i5"]["comments"]
        assert comments["totalCount"] == 5
        seen.append(len(comments["nodes"]))
        cursor = comments["pageInfo"]["endCursor"]
        if not comments["pageInfo"]["hasNextPage"]:
            break
    assert seen == [2, 2, 1]


def test_what_closed_an_issue_is_its_closers_commit_or_pull_request(world: World) -> None:
    issues = {i["number"]: i for i in ask(world, ISSUES, **ANVIL, first=9)["data"]["repository"]["issues"]["nodes"]}
    closers = {n: [event["closer"] for event in issue["timelineItems"]["nodes"]] for n, issue in issues.items()}
    assert closers == {
        1: [{"__typename": "PullRequest", "number": 8, "repository": {"nameWithOwner": "acme/anvil"}}],
        2: [{"__typename": "Commit", "oid": COMMIT, "repository": {"nameWithOwner": "acme/anvil"}}],
        3: [None],
        4: [],
        5: [None],
        6: [{"__typename": "PullRequest", "number": 3, "repository": {"nameWithOwner": "elsewhere/tools"}}],
        7: [None],
    }
    assert [n for n, issue in issues.items() if issue["closedByPullRequestsReferences"]["nodes"]] == [1, 6]


def test_whoever_is_deleted_is_null_and_an_empty_body_is_an_empty_text(world: World) -> None:
    issue = ask(world, ISSUES, **ANVIL, first=9)["data"]["repository"]["issues"]["nodes"][4]
    assert (issue["number"], issue["author"], issue["body"]) == (5, None, "")


def test_pull_requests_are_no_issues_but_are_found_by_number(world: World) -> None:
    answer = ask(world, THREADS, **BATCH)
    assert answer["data"]["r0"]["i8"]["__typename"] == "PullRequest"
    assert answer["data"]["r0"]["i8"]["title"] == "Do not crash"
    assert answer["data"]["r1"]["issues"] == {"totalCount": 1}


# Errors


def test_what_is_not_there_is_null_and_an_error_beside_the_rest(world: World) -> None:
    answer = ask(world, THREADS, **BATCH | {"n1": "gone"})
    assert answer["data"]["r0"]["nameWithOwner"] == "acme/anvil"
    assert answer["data"]["r0"]["i404"] is None
    assert answer["data"]["r1"] is None
    assert [(e["type"], e["path"], e["message"]) for e in answer["errors"]] == [
        ("NOT_FOUND", ["r0", "i404"], "Could not resolve to an issue or pull request with the number of 404."),
        ("NOT_FOUND", ["r1"], "Could not resolve to a Repository with the name 'acme/gone'."),
    ]
    assert all(set(place) == {"line", "column"} for error in answer["errors"] for place in error["locations"])


def test_a_connection_needs_a_page_size_to_be_listed_but_not_to_be_counted(world: World) -> None:
    listed = ask(world, 'query { repository(owner: "acme", name: "anvil") { issues { nodes { number } } } }')
    assert listed["data"] == {"repository": None}
    assert [(e["type"], e["path"]) for e in listed["errors"]] == [("MISSING_PAGINATION_BOUNDARIES", ["repository", "issues"])]
    counted = ask(world, 'query { repository(owner: "acme", name: "anvil") { issues { totalCount } } }')
    assert counted == {"data": {"repository": {"issues": {"totalCount": 7}}}}


def test_a_page_has_a_hundred_records_at_most(world: World) -> None:
    answer = ask(world, ISSUES, **ANVIL, first=101)
    assert answer["data"]["repository"] is None
    assert answer["errors"][0]["type"] == "EXCESSIVE_PAGINATION"
    assert answer["errors"][0]["message"] == (
        "Requesting 101 records on the `issues` connection exceeds the `first` limit of 100 records."
    )


def test_a_cursor_that_is_none_is_an_error(world: World) -> None:
    of_a_comment = ask(world, THREADS, **BATCH)["data"]["r0"]["i5"]["comments"]["pageInfo"]["endCursor"]
    for cursor in ("nonsense", of_a_comment):
        answer = ask(world, LISTING, **ANVIL, first=1, after=cursor)
        assert (answer["data"]["repository"], answer["errors"][0]["type"]) == (None, "INVALID_CURSOR_ARGUMENTS")


@pytest.mark.parametrize(
    "document", ["query {", "query { nothing }", "query A { rateLimit { cost } } query B { rateLimit { cost } }"]
)
def test_what_is_no_query_has_errors_and_no_data(document: str) -> None:
    with pytest.raises(InvalidQueryError) as error:
        plan(document, {}, None)
    assert set(error.value.answer) == {"errors"}
    assert error.value.answer["errors"][0]["message"]


# Costs, by the examples in GitHub's documentation


def test_points_are_a_hundredth_of_the_requests_and_one_at_least() -> None:
    assert cost(ISSUES, **ANVIL, first=100) == (4, 100 + 100 * 100 + 100 + 100 + 100 * 100)
    assert cost(ISSUES, **ANVIL, first=1)[0] == 1
    assert cost(LISTING, **ANVIL, first=100) == (1, 100)
    assert cost(THREADS, **BATCH)[0] == 1


def test_what_is_left_out_costs_nothing() -> None:
    document = """query Q($full: Boolean!) { repository(owner: "a", name: "b") { issues(first: 100) {
        nodes { number comments(first: 100) @include(if: $full) { nodes { body } } } } } }"""
    assert [cost(document, full=full) for full in (True, False)] == [(1, 10_100), (1, 100)]


def test_a_query_may_ask_for_half_a_million_nodes_at_most() -> None:
    listed = "{ issues(first: 100) { nodes { comments(first: 100) { nodes { body } } } } }"
    batch = " ".join(f'r{i}: repository(owner: "a", name: "b") {listed}' for i in range(50))
    with pytest.raises(InvalidQueryError) as error:
        plan(f"query {{ {batch} }}", {}, None)
    assert error.value.answer == {
        "errors": [
            {
                "type": "MAX_NODE_LIMIT_EXCEEDED",
                "message": "This query requests up to 505,000 possible nodes which exceeds the maximum limit of 500,000.",
            }
        ]
    }


# Both APIs


def test_graphql_and_rest_tell_the_same_facts(world: World, client: Asked) -> None:
    world.add([thread(2, "acme/rocket", comments=120)])
    for name in ("anvil", "rocket"):
        nodes = client.query(ISSUES, owner="acme", name=name, first=100)["data"]["repository"]["issues"]["nodes"]
        rest = client.at(f"/repos/acme/{name}/issues", state="all", sort="updated", direction="asc").json()
        rest = [issue for issue in rest if "pull_request" not in issue]
        assert [issue["number"] for issue in rest] == [node["number"] for node in nodes]
        for issue, node in zip(rest, nodes, strict=True):
            assert issue["title"] == node["title"]
            assert (issue["body"] or "") == node["body"]
            assert issue["state"].upper() == node["state"]
            assert issue["user"]["login"] == (node["author"] or {"login": "ghost"})["login"]
            assert [issue[k] for k in ("created_at", "updated_at", "closed_at")] == [
                node[k] for k in ("createdAt", "updatedAt", "closedAt")
            ]
            assert [label["name"] for label in issue["labels"]] == [label["name"] for label in node["labels"]["nodes"]]
            assert issue["comments"] == node["comments"]["totalCount"]
            comments = client.at(f"/repos/acme/{name}/issues/{issue['number']}/comments", per_page=100).json()
            assert [(c["id"], c["user"]["login"], c["body"], c["created_at"], c["updated_at"]) for c in comments] == [
                (int(c["fullDatabaseId"]), c["author"]["login"], c["body"], c["createdAt"], c["updatedAt"])
                for c in node["comments"]["nodes"]
            ]
