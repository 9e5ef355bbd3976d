import re
from typing import Any

import pytest
import requests
from contracts import OpenApi, pattern_of
from served import Asked, at, serve, thread

from pipeline.replica import Limits, World

ISSUES = "/repos/acme/anvil/issues"
REDIRECTED = r"/repositories/\d+"


def numbers(response: requests.Response) -> list[int]:
    assert response.status_code == 200, response.text
    return [issue["number"] for issue in response.json()]


def links(response: requests.Response) -> dict[str, dict[str, str]]:
    """The pages' numbers and addresses by relation."""
    return {relation: link["url"] for relation, link in response.links.items()}


# What GitHub describes


def test_every_answer_is_as_githubs_openapi_document_describes_it(world: World, client: Asked, openapi: OpenApi) -> None:
    comment = client.at(f"{ISSUES}/1/comments").json()[0]["id"]
    for path, arguments in (
        ("/repos/acme/anvil", {}),
        (ISSUES, {"state": "all", "per_page": 100}),
        (ISSUES, {"sort": "nonsense"}),
        (f"{ISSUES}/comments", {"sort": "updated"}),
        (f"{ISSUES}/5", {}),
        (f"{ISSUES}/8", {}),
        (f"{ISSUES}/99", {}),
        (f"{ISSUES}/5/comments", {}),
        (f"{ISSUES}/1/reactions", {}),
        (f"{ISSUES}/comments/{comment}/reactions", {}),
        (f"{ISSUES}/comments/999/reactions", {}),
        ("/repos/acme/nothing", {}),
        ("/repos/acme/nothing/issues", {}),
        ("/users/ada", {}),
        ("/users/ghost", {}),
        ("/users/nobody-at-all", {}),
        ("/users/ada/orgs", {}),
        ("/rate_limit", {}),
        ("/search/repositories", {"q": "stars:>=1000"}),
        ("/search/repositories", {}),
        ("/search/issues", {"q": "repo:acme/anvil crash"}),
        ("/search/issues", {"q": "repo:acme/nothing"}),
    ):
        for prefix in ("", "/api/v3"):
            check(openapi, client.at(prefix + path, **arguments))


def test_refusals_and_redirections_are_as_described(world: World, client: Asked, openapi: OpenApi) -> None:
    etag = client.at(f"{ISSUES}/1").headers["ETag"]
    unchanged = client.at(f"{ISSUES}/1", headers={"If-None-Match": etag})
    world.delete_issue("acme/anvil", 1)
    world.transfer("acme/anvil", 2, "acme/rocket", 7)
    world.rename("acme/rocket", "acme/shuttle")
    answers = [
        unchanged, client.at(f"{ISSUES}/1"), client.at(f"{ISSUES}/1/comments"), client.at(f"{ISSUES}/2"),
        client.at("/repos/acme/rocket"), client.at("/repos/acme/rocket/issues"),
    ]  # fmt: skip
    assert [answer.status_code for answer in answers] == [304, 410, 410, 301, 301, 301]
    for answer in answers:
        check(openapi, answer)
    with serve(world, Limits(core=0)) as spent, Asked(spent) as asked:
        check(openapi, asked.at("/repos/acme/anvil"))


def check(openapi: OpenApi, response: requests.Response) -> None:
    body = response.json() if response.content else None
    path = pattern_of(response.url, openapi.document)
    openapi.check_answer(path, response.status_code, response.headers.get("Content-Type", ""), body)


# Listings


def test_a_listing_shows_open_issues_newest_first_unless_told(client: Asked) -> None:
    assert numbers(client.at(ISSUES)) == [8, 4]
    assert numbers(client.at(ISSUES, state="all")) == [8, 7, 6, 5, 4, 3, 2, 1]
    assert numbers(client.at(ISSUES, state="closed", direction="asc")) == [1, 2, 3, 5, 6, 7]


def test_a_listing_is_sorted_narrowed_and_labelled_as_asked(world: World, client: Asked) -> None:
    world.comment("acme/anvil", 2, "eve", "New", at(30))
    assert numbers(client.at(ISSUES, state="all", sort="updated"))[:3] == [2, 8, 7]
    assert numbers(client.at(ISSUES, state="all", sort="comments"))[:2] == [5, 2]
    assert numbers(client.at(ISSUES, state="all", sort="updated", since="2020-01-01T07:02:00Z")) == [2, 8, 7]
    assert numbers(client.at(ISSUES, state="all", sort="updated", since="2020-01-01T07:02:01Z")) == [2, 8]
    assert numbers(client.at(ISSUES, state="all", labels="Bug,help wanted")) == [3]


def test_equal_times_are_ordered_by_number(world: World, client: Asked) -> None:
    world.touch("acme/anvil", 1.0, 1, at(40))
    assert numbers(client.at(ISSUES, state="all", sort="updated", direction="asc")) == [8, 1, 2, 3, 4, 5, 6, 7]
    assert numbers(client.at(ISSUES, state="all", sort="updated", direction="desc")) == [7, 6, 5, 4, 3, 2, 1, 8]


def test_pages_are_linked_below_the_repositorys_id_with_all_that_was_asked(client: Asked) -> None:
    first = client.at(ISSUES, state="all", per_page=3)
    assert {relation: re.sub(r"^.*//[^/]+", "", url) for relation, url in links(first).items()} == {
        "next": "/repositories/1/issues?state=all&per_page=3&page=2",
        "last": "/repositories/1/issues?state=all&per_page=3&page=3",
    }
    second = client.at(links(first)["next"])
    assert list(links(second)) == ["prev", "next", "last", "first"]
    third = client.at(links(second)["next"])
    assert list(links(third)) == ["prev", "first"]
    assert [numbers(page) for page in (first, second, third)] == [[8, 7, 6], [5, 4, 3], [2, 1]]
    assert links(client.at(ISSUES, state="all")) == {}


def test_a_page_holds_thirty_items_unless_told_and_a_hundred_at_most(world: World, client: Asked) -> None:
    world.add([thread(number, comments=0) for number in range(101, 251)])
    sizes = {
        per_page: len(client.at(ISSUES, state="all", **({"per_page": per_page} if per_page else {})).json())
        for per_page in (None, 7, 100, 500, 0)
    }
    assert sizes == {None: 30, 7: 7, 100: 100, 500: 100, 0: 30}
    assert links(client.at(ISSUES, state="all", per_page=500))["last"].endswith("page=2")
    assert client.at(ISSUES, state="all", page=99).json() == []


def test_a_listing_ends_at_the_ceiling(world: World) -> None:
    with serve(world, Limits(pagination=4)) as replica, Asked(replica) as client:
        assert numbers(client.at(ISSUES, state="all", per_page=2, page=2)) == [6, 5]
        beyond = client.at(ISSUES, state="all", per_page=2, page=3)
    assert beyond.status_code == 422
    assert "pagination is limited for this resource" in beyond.json()["message"]


def test_arguments_that_mean_nothing_are_refused(client: Asked) -> None:
    for name, value in (("state", "ajar"), ("sort", "size"), ("direction", "up"), ("since", "yesterday")):
        refused = client.at(ISSUES, **{name: value})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, name)


def test_comments_of_an_issue_are_oldest_first_and_of_a_repository_by_id(world: World, client: Asked) -> None:
    def bodies(path: str, **arguments: Any) -> list[tuple[int, str]]:
        found = client.at(path, **arguments).json()
        return [(int(c["issue_url"].rpartition("/")[2]), c["body"]) for c in found]

    world.comment("acme/anvil", 1, "eve", "Late", at(40))
    assert bodies(f"{ISSUES}/1/comments") == [(1, "Comment 1"), (1, "Comment 2"), (1, "Late")]
    assert bodies(f"{ISSUES}/1/comments", since="2020-01-01T01:02:00Z") == [(1, "Comment 2"), (1, "Late")]
    assert bodies(f"{ISSUES}/comments", per_page=3) == [(1, "Comment 1"), (1, "Comment 2"), (2, "Comment 1")]
    assert bodies(f"{ISSUES}/comments", sort="updated", per_page=2) == [(1, "Late"), (7, "Comment 2")]
    assert bodies(f"{ISSUES}/comments", sort="created", direction="asc", per_page=1) == [(1, "Comment 1")]
    assert bodies(f"{ISSUES}/comments", since="2020-01-02T00:00:00Z") == [(1, "Late")]
    paged = client.at(f"{ISSUES}/comments", per_page=10)
    assert links(paged)["last"].endswith("/issues/comments?per_page=10&page=2")


def test_pull_requests_are_among_the_issues_and_told_apart_by_a_key(client: Asked) -> None:
    kinds = {issue["number"]: "pull_request" in issue for issue in client.at(ISSUES).json()}
    assert kinds == {8: True, 4: False}
    assert client.at(f"{ISSUES}/8").json()["html_url"].endswith("/acme/anvil/pull/8")


def test_whoever_is_deleted_is_the_ghost(client: Asked) -> None:
    user = client.at(f"{ISSUES}/5").json()["user"]
    assert (user["login"], user["id"]) == ("ghost", 10137)


def test_texts_come_through_as_they_are(client: Asked) -> None:
    assert client.at(f"{ISSUES}/6").json()["title"] == "Unicode: Gänsefüßchen 🐛"
    assert client.at(f"{ISSUES}/5").json()["body"] is None


# What moved or went away


@pytest.mark.parametrize(
    "rest", ["", "/issues?state=all&per_page=2", "/issues/1", "/issues/1/comments?since=2020-01-01T00%3A00%3A00Z"]
)
def test_an_old_name_leads_to_the_repositorys_id_with_path_and_query(world: World, client: Asked, rest: str) -> None:
    before = client.at(f"/repos/acme/anvil{rest}").json()
    world.rename("acme/anvil", "acme/hammer")
    moved = client.at(f"/repos/acme/anvil{rest}")
    assert (moved.status_code, moved.headers["Location"]) == (301, f"{client.replica.url}/repositories/1{rest}")
    followed = client.at(moved.headers["Location"])
    assert followed.status_code == 200
    assert len(followed.json()) == len(before)
    assert client.at(f"/repos/acme/hammer{rest}").json() == followed.json()


def test_a_renamed_repository_is_found_by_graphql_under_both_names(world: World, client: Asked) -> None:
    world.rename("acme/anvil", "newco/hammer")
    document = "query Q($o: String!, $n: String!) { repository(owner: $o, name: $n) { nameWithOwner issues { totalCount } } }"
    answers = [client.query(document, o=o, n=n) for o, n in (("acme", "anvil"), ("newco", "hammer"))]
    assert answers == [{"data": {"repository": {"nameWithOwner": "newco/hammer", "issues": {"totalCount": 7}}}}] * 2


def test_a_transferred_issue_leads_to_where_it_is(world: World, client: Asked) -> None:
    world.transfer("acme/anvil", 2, "other/place", 40)
    for rest in ("", "/comments"):
        moved = client.at(f"{ISSUES}/2{rest}")
        assert moved.status_code == 301
        assert re.fullmatch(rf".*{REDIRECTED}/issues/40{rest}", moved.headers["Location"])
        assert client.at(moved.headers["Location"]).status_code == 200
    assert client.at("/repos/other/place/issues/40").json()["title"] == "Crash 2"
    assert 2 not in numbers(client.at(ISSUES, state="all"))
    assert found(client, 2) == (None, ["NOT_FOUND"])


def test_a_deleted_issue_is_gone_from_everywhere(world: World, client: Asked) -> None:
    world.delete_issue("acme/anvil", 2)
    gone = client.at(f"{ISSUES}/2")
    assert (gone.status_code, gone.json()["message"]) == (410, "This issue was deleted")
    assert 2 not in numbers(client.at(ISSUES, state="all"))
    assert len(client.at(f"{ISSUES}/comments", per_page=100).json()) == 2 + 0 + 2 + 5 + 2 + 2
    assert found(client, 2) == (None, ["NOT_FOUND"])
    assert found(client, 3) == ({"__typename": "Issue"}, [])


def test_a_blocked_repository_is_withheld_whatever_is_asked_of_it(world: World, client: Asked) -> None:
    world.block("acme/anvil")
    for path in ("/repos/acme/anvil", ISSUES, f"{ISSUES}/1", f"{ISSUES}/1/comments", "/repositories/1/issues"):
        answer = client.at(path)
        assert (answer.status_code, answer.json()["message"]) == (451, "Repository access blocked")
        assert set(answer.json()["block"]) == {"reason", "created_at", "html_url"}
    answer = client.query('{ repository(owner: "acme", name: "anvil") { id } }')
    assert (answer["data"]["repository"], answer["errors"][0]["type"]) == (None, "NOT_FOUND")
    assert client.at("/search/repositories", q="anvil").json()["total_count"] == 0


def found(client: Asked, number: int) -> tuple[Any, list[str]]:
    answer = client.query(
        f'{{ repository(owner: "acme", name: "anvil") {{ it: issueOrPullRequest(number: {number}) {{ __typename }} }} }}'
    )
    return answer["data"]["repository"]["it"], [error["type"] for error in answer.get("errors", [])]


# Searches


def test_repositories_are_found_by_words_in_their_name_and_stars(world: World, client: Asked) -> None:
    world.add([], stars={"lab/image-net": 5000, "lab/image-zoo": 900, "lab/Imagery": 1000, "net/other": 1000})

    def search(q: str, **arguments: Any) -> list[str]:
        answer = client.at("/search/repositories", q=q, sort="stars", **arguments).json()
        assert answer["total_count"] == len(answer["items"])
        return [item["full_name"] for item in answer["items"]]

    assert search("image in:name") == ["lab/image-net", "lab/Imagery", "lab/image-zoo"]
    assert search("image net in:name,description") == ["lab/image-net"]
    assert search("image stars:>=1000 language:python") == ["lab/image-net", "lab/Imagery"]
    assert search("image stars:>1000") == ["lab/image-net"]
    assert search("image stars:900..1000", order="asc") == ["lab/image-zoo", "lab/Imagery"]
    assert search("stars:<1000") == ["lab/image-zoo"]
    assert search("stars:5000") == ["lab/image-net"]


def test_a_search_gives_a_thousand_results_at_most(world: World, client: Asked) -> None:
    world.add([], stars={f"lab/tool-{i}": 1 for i in range(1_005)})
    last = client.at("/search/repositories", q="tool", per_page=100, page=10)
    assert (last.json()["total_count"], len(last.json()["items"])) == (1_005, 100)
    assert "next" not in links(last)
    beyond = client.at("/search/repositories", q="tool", per_page=100, page=11)
    assert (beyond.status_code, beyond.json()["message"]) == (422, "Only the first 1000 search results are available")


def test_issues_are_counted_by_repository_kind_and_state(client: Asked) -> None:
    def count(q: str) -> int:
        return int(client.at("/search/issues", q=q, per_page=1).json()["total_count"])

    assert count("repo:acme/anvil") == 8
    assert count("repo:acme/anvil is:issue") == 7
    assert count("repo:acme/anvil type:pr") == 1
    assert count("repo:acme/anvil is:issue is:closed") == 6
    assert count("repo:acme/anvil is:issue state:open") == 1
    assert count("is:issue crash") == 7
    assert client.at("/search/issues").status_code == 422


# Where things are


def test_everything_is_served_as_github_enterprise_too(client: Asked) -> None:
    answer = client.at("/api/v3/repos/acme/anvil/issues", state="all", per_page=3)
    assert links(answer)["next"].startswith(f"{client.replica.url}/api/v3/repositories/1/issues?")
    assert answer.json()[0]["url"].startswith(f"{client.replica.url}/api/v3/repos/acme/anvil/issues/")
    body = {"query": '{ repository(owner: "acme", name: "anvil") { name } }'}
    assert client.post(f"{client.replica.url}/api/graphql", json=body, timeout=10).json() == {
        "data": {"repository": {"name": "anvil"}}
    }


@pytest.mark.parametrize(
    "path", ["/", "/repos/acme", "/repos/acme/anvil/commits", f"{ISSUES}/one", "/repositories/9", "/nothing"]
)
def test_what_is_not_there_is_not_found(client: Asked, path: str) -> None:
    answer = client.at(path)
    assert (answer.status_code, answer.json()["message"]) == (404, "Not Found")
