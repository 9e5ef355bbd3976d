import hashlib
import json
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from served import Asked, at, serve, thread

from pipeline.errors import RedefectError
from pipeline.replica import Replica, World

PATH = "/repos/acme/anvil/issues"


def test_an_unchanged_answer_is_not_sent_again_and_a_changed_one_is(world: World, client: Asked) -> None:
    first = client.at(f"{PATH}/1")
    etag = {"If-None-Match": first.headers["ETag"]}
    unchanged = client.at(f"{PATH}/1", headers=etag)
    assert (unchanged.status_code, unchanged.content, unchanged.headers["ETag"]) == (304, b"", first.headers["ETag"])
    world.comment("acme/anvil", 1, "eve", "New", at(30))
    changed = client.at(f"{PATH}/1", headers=etag)
    assert (changed.status_code, changed.json()["comments"]) == (200, 3)
    assert "ETag" not in client.at(f"{PATH}/99").headers


def test_answers_are_compressed_for_those_who_accept_it(client: Asked) -> None:
    plain = client.at(PATH, state="all", headers={"Accept-Encoding": "identity"})
    small = client.at(PATH, state="all", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in plain.headers
    assert small.headers["Content-Encoding"] == "gzip"
    assert small.json() == plain.json()
    assert int(small.headers["Content-Length"]) < len(plain.content) / 5


def test_a_connection_is_kept_for_many_requests(replica: Replica) -> None:
    with (
        socket.create_connection(("127.0.0.1", urlsplit(replica.url).port or 0)) as connection,
        connection.makefile("rb") as file,
    ):
        for number in range(1, 4):
            body = b"{}" if number == 2 else b""
            head = f"{'POST' if body else 'GET'} /rate_limit HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)
            assert file.readline().startswith(b"HTTP/1.1 404" if body else b"HTTP/1.1 200")
            length = 0
            while line := file.readline().strip():
                if line.lower().startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
                assert not line.lower().startswith(b"connection: close")
            assert json.loads(file.read(length))


def test_only_the_head_is_sent_when_only_the_head_is_asked_for(client: Asked) -> None:
    head = client.head(client.replica.url + PATH, timeout=10)
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["Content-Length"]) > 0
    assert client.at(PATH).status_code == 200


def test_many_clients_are_answered_at_once(world: World, replica: Replica) -> None:
    world.add([thread(number) for number in range(100, 300)])

    def read(number: int) -> int:
        with Asked(replica, f"token-{number}") as client:
            titles = {client.at(f"{PATH}/{n}").json()["title"] for n in range(100 + number, 300, 8)}
            world.comment("acme/anvil", 100 + number, "eve", "Meanwhile", at(500))
            return len(titles)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read, range(8))) == [25] * 8
    assert replica.statistics()["requests"] == 200


def test_the_statistics_count_by_endpoint_and_never_show_a_token(world: World) -> None:
    with serve(world) as replica, Asked(replica, "s3cret") as client, Asked(replica, None) as anonymous:
        client.at(PATH)
        client.at(PATH, page=2)
        client.at(f"{PATH}/1/comments")
        client.at("/repositories/1/issues/99")
        client.query("{ rateLimit { cost } }")
        anonymous.at("/nothing")
        counted = replica.statistics()
        assert client.at("/_replica/statistics").json() == counted
        assert client.post(f"{replica.url}/_replica/reset", timeout=10).status_code == 200
        assert replica.statistics()["requests"] == 0
    assert counted["requests"] == 6
    assert counted["endpoints"] == {
        "/graphql": 1, "/repos/{owner}/{repo}/issues": 2, "/repos/{owner}/{repo}/issues/{number}/comments": 1,
        "/repositories/{id}/issues/{number}": 1, "other": 1,
    }  # fmt: skip
    assert counted["statuses"] == {"200": 4, "404": 2}
    assert counted["tokens"] == {hashlib.sha256(b"s3cret").hexdigest()[:12]: 5, "anonymous": 1}
    assert counted["bytes"] > 1_000


def test_issues_can_be_touched_from_outside(client: Asked) -> None:
    url = f"{client.replica.url}/_replica/touch"
    touched = client.post(url, params={"repository": "acme/anvil", "share": "0.3", "seed": "5"}, timeout=10).json()["touched"]
    assert len(touched) == 2
    updated = client.at(PATH, state="all", sort="updated", since="2020-01-01T09:00:00Z").json()
    assert sorted(issue["number"] for issue in updated) == touched
    assert client.post(url, params={"repository": "acme/nothing", "share": "1", "seed": "5"}, timeout=10).status_code == 404
    assert client.post(url, timeout=10).status_code == 422


def test_a_port_in_use_is_an_error_of_one_sentence(world: World, replica: Replica) -> None:
    with pytest.raises(RedefectError, match=r"cannot be listened on \(Address already in use\); give another port\.$"):
        Replica(world, port=urlsplit(replica.url).port or 0)


def test_a_closed_replica_answers_nobody(world: World) -> None:
    with serve(world) as replica, Asked(replica) as client:
        client.at(PATH)
        replica.close()
        with pytest.raises(requests.ConnectionError):
            client.at(PATH)


def test_bodies_that_are_no_query_are_refused(client: Asked) -> None:
    url = f"{client.replica.url}/graphql"
    assert client.post(url, data=b"{", timeout=10).status_code == 400
    for body in ({}, [], {"query": 3}):
        assert "A query attribute must be specified" in client.post(url, json=body, timeout=10).json()["errors"][0]["message"]
    assert client.get(url, timeout=10).status_code == 404


def test_a_command_serves_until_it_is_interrupted_and_prints_nothing(tmp_path: Path) -> None:
    program = (
        "import signal, sys\nfrom pathlib import Path\nfrom pipeline.replica import Replica, World\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background job begins by ignoring it
        "replica = Replica(World(Path(sys.argv[1])))\nprint(replica.url, flush=True)\nreplica.serve_forever()\nreplica.close()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "world")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        headers = {"Authorization": "token s3cret"}
        assert requests.get(f"{url}/rate_limit", headers=headers, timeout=10).status_code == 200
        process.send_signal(2)
        output, errors = process.communicate(timeout=20)
    assert (process.returncode, output, errors) == (0, "", "")


def test_latency_is_added_and_ends_with_the_server(world: World) -> None:
    def ask(client: Asked) -> None:
        with pytest.raises(requests.ConnectionError):
            client.at(PATH)

    with ThreadPoolExecutor(1) as pool, Replica(world, latency=60) as replica, Asked(replica) as client:
        asking = pool.submit(ask, client)
        with pytest.raises(TimeoutError):
            asking.result(0.1)
        replica.close()
        asking.result(10)
