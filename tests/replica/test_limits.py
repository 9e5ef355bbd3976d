import time
from contextlib import suppress

import requests
from served import ISSUES, Asked, serve

from pipeline.replica import Faults, Limits, World

PATH = "/repos/acme/anvil/issues"
RATE = '{ rateLimit { cost limit remaining used } repository(owner: "acme", name: "anvil") { name } }'


def state(headers: "dict[str, str]") -> dict[str, str]:
    return {name.removeprefix("x-ratelimit-"): value for name, value in headers.items() if name.startswith("x-ratelimit-")}


def test_every_answer_tells_the_budget(client: Asked) -> None:
    for number, path in enumerate((PATH, f"{PATH}/99", "/nothing", f"{PATH}/1"), start=1):
        told = state(dict(client.at(path).headers))
        assert told.pop("reset").isdecimal()
        assert told == {"limit": "5000", "used": str(number), "remaining": str(5000 - number), "resource": "core"}
    told = state(dict(client.post_query(RATE).headers))
    assert (told["resource"], told["used"]) == ("graphql", "1")
    assert state(dict(client.at("/search/issues", q="x").headers))["limit"] == "30"


def test_each_token_has_a_budget_of_its_own(world: World) -> None:
    with serve(world, Limits(core=2, anonymous=1)) as replica:
        statuses = []
        for token in ("one", "two", None):
            with Asked(replica, token) as client:
                statuses.append([client.at(PATH).status_code for _ in range(3)])
    assert statuses == [[200, 200, 403], [200, 200, 403], [200, 403, 403]]


def test_a_spent_budget_is_refused_with_the_time_of_its_end(world: World) -> None:
    with serve(world, Limits(core=1, anonymous=0)) as replica, Asked(replica) as client, Asked(replica, None) as anonymous:
        client.at(PATH)
        refused = client.at(PATH)
        assert refused.json()["message"].startswith("API rate limit exceeded for user ID")
        assert state(dict(refused.headers))["remaining"] == "0"
        assert int(refused.headers["x-ratelimit-reset"]) > time.time()
        assert "t0ken" not in refused.text
        assert "API rate limit exceeded for 127.0.0.1. (But here's the good news" in anonymous.at(PATH).json()["message"]


def test_a_budget_is_full_again_after_its_reset(world: World) -> None:
    with serve(world, Limits(core=1, window=0.2)) as replica, Asked(replica) as client:
        client.at(PATH)
        refused = client.at(PATH)
        assert refused.status_code == 403
        while time.time() < int(refused.headers["x-ratelimit-reset"]):
            time.sleep(0.02)
        assert client.at(PATH).status_code == 200


def test_points_of_queries_are_taken_from_their_own_budget(world: World) -> None:
    with serve(world, Limits(graphql=6)) as replica, Asked(replica) as client:
        first = client.query(ISSUES, owner="acme", name="anvil", first=100)["data"]["rateLimit"]
        assert (first["cost"], first["limit"], first["remaining"]) == (4, 6, 2)
        client.query(ISSUES, owner="acme", name="anvil", first=100)
        refused = client.post_query(RATE)
        assert refused.status_code == 200
        assert [error["type"] for error in refused.json()["errors"]] == ["RATE_LIMITED"]
        assert "data" not in refused.json()
        assert state(dict(refused.headers))["remaining"] == "0"
        assert client.at(PATH).status_code == 200


def test_the_rate_limit_can_be_asked_for_nothing(client: Asked) -> None:
    client.at(PATH)
    for _ in range(2):
        answer = client.at("/rate_limit").json()
    assert {name: (of["limit"], of["used"]) for name, of in answer["resources"].items()} == {
        "core": (5000, 1), "graphql": (5000, 0), "search": (30, 0),
    }  # fmt: skip
    assert answer["rate"] == answer["resources"]["core"]


def test_an_unchanged_answer_costs_a_token_nothing_and_an_address_one(world: World) -> None:
    with serve(world) as replica:
        for token, used in (("t0ken", "1"), (None, "2")):
            with Asked(replica, token) as client:
                first = client.at(PATH)
                again = client.at(PATH, headers={"If-None-Match": first.headers["ETag"]})
                assert (again.status_code, again.content, state(dict(again.headers))["used"]) == (304, b"", used)


def test_tokens_come_in_two_forms_and_revoked_ones_are_refused(world: World) -> None:
    with serve(world, Limits(revoked=frozenset({"old"}))) as replica, Asked(replica, None) as client:
        for form in ("token {}", "Bearer {}", "bearer {}"):
            assert client.at(PATH, headers={"Authorization": form.format("new")}).headers["x-ratelimit-limit"] == "5000"
            refused = client.at(PATH, headers={"Authorization": form.format("old")})
            assert (refused.status_code, refused.json()["message"]) == (401, "Bad credentials")
        client.headers["Authorization"] = "token old"
        assert client.post_query(RATE).status_code == 401


def test_queries_need_a_token(world: World) -> None:
    with serve(world) as replica, Asked(replica, None) as client:
        assert client.post_query(RATE).status_code == 401


def test_a_faulted_request_is_counted_but_for_a_reset(world: World) -> None:
    used = {}
    for kind in ("server-error", "secondary-limit", "truncated", "not-json", "redirect", "timeout", "reset"):
        faults = (Faults(seed, 0.5, (kind,), hang=0.01) for seed in range(100))
        first_only = next(f for f in faults if f.decide(0) and not f.decide(1))
        with serve(world, faults=first_only) as replica, Asked(replica) as client:
            with suppress(requests.RequestException):
                client.at(PATH)
            used[kind] = int(client.at(PATH).headers["x-ratelimit-used"])
    assert used.pop("reset") == 1
    assert used == dict.fromkeys(used, 2)
