import gzip
import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from archives import make
from served import thread

from pipeline.errors import RedefectError
from pipeline.replica.gharchive import FLAWS, Flaws, archived

THREADS = [thread(number, f"acme/part{number % 5}", comments=3) for number in range(1, 41)]


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for content in files(folder).values() for line in gzip.decompress(content).splitlines()]


def test_the_same_seed_gives_the_same_bytes_whatever_the_processes(tmp_path: Path) -> None:
    for name, jobs, seed in (("a", 1, 1), ("b", 2, 1), ("c", 1, 2)):
        make(THREADS, tmp_path / name, seed=seed, jobs=jobs, issue_share=0.5)
    assert files(tmp_path / "a") == files(tmp_path / "b") != files(tmp_path / "c")


def test_without_flaws_all_events_of_an_hour_are_in_its_file_in_order(tmp_path: Path) -> None:
    made = make(THREADS, tmp_path, hours=6, flaws=Flaws.none(), issue_share=0.2)
    assert (made.files, made.issue_events, made.threads) == (6, 40 * 5, 40)
    for name, content in files(tmp_path).items():
        times = [json.loads(line)["created_at"] for line in gzip.decompress(content).splitlines()]
        assert times == sorted(times)
        hour = int(name.split("-")[3].partition(".")[0])
        assert {datetime.fromisoformat(time).hour for time in times} <= {hour}


def test_other_events_have_the_share_that_is_asked_for(tmp_path: Path) -> None:
    made = make(THREADS, tmp_path, issue_share=0.1, flaws=Flaws.none())
    assert made.issue_events / made.events == pytest.approx(0.1, rel=0.05)
    kinds = Counter(event["type"] for event in lines(tmp_path))
    assert {"PushEvent", "WatchEvent", "CreateEvent", "PullRequestEvent"} < set(kinds)


def test_copies_are_other_repositories_with_numbers_of_their_own(tmp_path: Path) -> None:
    make(THREADS, tmp_path, copies=3, flaws=Flaws.none())
    events = lines(tmp_path)
    assert {event["repo"]["name"].split("/")[0] for event in events} == {"acme", "acme-copy1", "acme-copy2"}
    assert len({event["repo"]["id"] for event in events}) == 15
    assert len({event["id"] for event in events}) == len(events) == 3 * 200
    assert {event["payload"]["issue"]["number"] for event in events} == set(range(1, 41))
    assert archived(THREADS[0], 2).repository == "acme-copy2/part1"
    assert "acme-copy2/part1" in events[-1]["payload"]["issue"]["url"] or len(events) > 1


def test_before_2015_events_have_the_form_of_then(tmp_path: Path) -> None:
    make(THREADS, tmp_path, begin=datetime(2014, 5, 1, tzinfo=UTC), flaws=Flaws.none())
    events = lines(tmp_path)
    assert all(event["created_at"].endswith("-08:00") and "repo" not in event for event in events)
    assert "It crashes" not in json.dumps(events)


@pytest.mark.parametrize("flaw", FLAWS)
def test_each_flaw_shows_when_it_alone_is_there(tmp_path: Path, flaw: str) -> None:
    make(THREADS, tmp_path / "right", flaws=Flaws.none())
    make(THREADS, tmp_path / "wrong", flaws=replace(Flaws.none(), **{flaw: 0.9}))
    assert files(tmp_path / "wrong") != files(tmp_path / "right")


def test_no_threads_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(RedefectError, match="no threads to make files of"):
        make([], tmp_path)
