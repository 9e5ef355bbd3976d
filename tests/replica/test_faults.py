import json
import time
from collections import Counter

import pytest
import requests
from served import Asked, serve

from pipeline.replica import Faults, World
from pipeline.replica.faults import ALL

PATH = "/repos/acme/anvil/issues"
QUERY = '{ repository(owner: "acme", name: "anvil") { name } }'


def broken(world: World, kind: str, path: str = PATH, seed: int = 1, **more: float) -> requests.Response:
    with serve(world, faults=Faults(seed, 1.0, (kind,), **more)) as replica, Asked(replica) as client:
        return client.at(path, state="all", per_page=2)


def broken_query(world: World, kind: str, seed: int = 1) -> requests.Response:
    with serve(world, faults=Faults(seed, 1.0, (kind,))) as replica, Asked(replica) as client:
        return client.post_query(QUERY)


# The draw


def test_the_same_seed_breaks_the_same_requests() -> None:
    drawn = [[Faults(seed, 0.2).decide(k) for k in range(2_000)] for seed in (7, 7, 8)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert 350 < sum(fault is not None for fault in drawn[0]) < 450


def test_all_kinds_are_drawn_alike() -> None:
    kinds = Counter(fault.kind for k in range(22_000) if (fault := Faults(1, 0.5).decide(k)))
    assert set(kinds) == set(ALL)
    assert all(850 < count < 1_150 for count in kinds.values())


def test_a_rate_of_one_breaks_all_and_of_zero_none() -> None:
    assert all(Faults(1, 1.0).decide(k) for k in range(100))
    assert not any(Faults(1, 0.0).decide(k) for k in range(100))
    assert not any(Faults(1, 1.0, ()).decide(k) for k in range(100))


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="flood: no such kind of fault"):
        Faults(1, 0.1, ("flood",))


# Each kind, as a client sees it


def test_a_primary_limit_says_when_it_ends(world: World) -> None:
    before = time.time()
    answer = broken(world, "primary-limit", reset_after=5.0)
    assert (answer.status_code, answer.headers["x-ratelimit-remaining"]) == (403, "0")
    assert int(answer.headers["x-ratelimit-reset"]) >= before + 5
    assert "API rate limit exceeded" in answer.json()["message"]
    query = broken_query(world, "primary-limit")
    assert (query.status_code, query.json()["errors"][0]["type"]) == (200, "RATE_LIMITED")
    assert query.headers["x-ratelimit-remaining"] == "0"


def test_a_secondary_limit_says_for_how_long_or_not(world: World) -> None:
    with_time, without = broken(world, "secondary-limit"), broken(world, "secondary-limit-without-time")
    assert (with_time.status_code, with_time.headers["Retry-After"]) == (403, "1")
    assert (without.status_code, "Retry-After" in without.headers) == (429, False)
    for answer in (with_time, without):
        assert "secondary rate limit" in answer.json()["message"]
        assert int(answer.headers["x-ratelimit-remaining"]) > 0


def test_server_errors_come_with_all_statuses_as_html_or_json(world: World) -> None:
    seen = {
        (answer.status_code, answer.headers["Content-Type"].partition(";")[0])
        for answer in (broken(world, "server-error", seed=seed) for seed in range(40))
    }
    assert {status for status, _ in seen} == {500, 502, 503, 504}
    assert {form for _, form in seen} == {"application/json", "text/html"}


def test_a_timeout_says_nothing_and_closes(world: World) -> None:
    with (
        serve(world, faults=Faults(1, 1.0, ("timeout",), hang=30)) as replica,
        Asked(replica) as client,
        pytest.raises(requests.ReadTimeout),
    ):
        client.get(replica.url + PATH, timeout=0.1)
    with pytest.raises(requests.ConnectionError):
        broken(world, "timeout", hang=0.05)


def test_a_reset_ends_the_connection(world: World) -> None:
    with pytest.raises(requests.ConnectionError, match=r"Connection reset by peer"):
        broken(world, "reset")


def test_a_truncated_answer_ends_before_its_length(world: World) -> None:
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.ConnectionError), match="IncompleteRead"):
        broken(world, "truncated")


def test_an_answer_that_is_no_json_is_html_or_ends_in_the_middle(world: World) -> None:
    answers = [broken(world, "not-json", seed=seed) for seed in range(12)]
    for answer in answers:
        assert answer.status_code == 200
        with pytest.raises(json.JSONDecodeError):
            json.loads(answer.content)
    assert {answer.headers["Content-Type"].partition(";")[0] for answer in answers} == {"application/json", "text/html"}


def test_a_query_times_out_within_an_answer_and_a_resource_with_502(world: World) -> None:
    query = broken_query(world, "graphql-timeout")
    assert (query.status_code, query.json()["data"]) == (200, None)
    assert query.json()["errors"][0]["message"].startswith("Something went wrong while executing your query.")
    assert broken(world, "graphql-timeout").status_code == 502


def test_only_later_pages_of_listings_are_beyond_a_limit(world: World) -> None:
    with serve(world, faults=Faults(1, 1.0, ("pagination-limited",))) as replica, Asked(replica) as client:
        statuses = [client.at(PATH, page=page).status_code for page in (1, 2)]
        assert client.at(f"{PATH}/1", page=2).status_code == 200
        assert client.query(QUERY) == {"data": {"repository": {"name": "anvil"}}}
    assert statuses == [200, 422]


def test_a_redirection_leads_to_the_same_below_the_repositorys_id(world: World) -> None:
    with serve(world, faults=Faults(1, 1.0, ("redirect",))) as replica, Asked(replica) as client:
        moved = client.at(PATH, state="all", per_page=2)
        assert (moved.status_code, moved.headers["Location"]) == (
            301,
            f"{replica.url}/repositories/1/issues?state=all&per_page=2",
        )
        assert len(client.at(moved.headers["Location"]).json()) == 2
        assert client.at("/users/ada").status_code == 200
        assert client.query(QUERY) == {"data": {"repository": {"name": "anvil"}}}


def test_the_server_goes_on_after_all_faults(world: World) -> None:
    with serve(world, faults=Faults(3, 0.5, hang=0.01)) as replica, Asked(replica) as client:
        good = 0
        for _ in range(150):
            try:
                answer = client.at(f"{PATH}/1")
                good += answer.status_code == 200 and json.loads(answer.content)["number"] == 1
            except (requests.RequestException, json.JSONDecodeError):
                continue
    assert good > 60
