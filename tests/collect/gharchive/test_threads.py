import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from archives import ARCHIVABLE, line, make, often, present
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.collect.gharchive.events import Event, parse_line
from pipeline.collect.gharchive.files import Tally, read_events
from pipeline.collect.gharchive.threads import Rebuilt, rebuild
from pipeline.replica.gharchive import archived
from pipeline.thread import Thread


def event(minute: int, action: str = "opened", **issue: Any) -> list[Event]:
    time = f"2021-01-01T00:{minute:02}:00Z"
    data = present(id=str(500 + minute), created_at=time)
    data["payload"]["action"] = action
    data["payload"]["issue"] |= {"updated_at": time} | issue
    return parse_line(line(data), print)


def comment(minute: int, number: int, body: str, action: str = "created", **issue: Any) -> list[Event]:
    time = f"2021-01-01T00:{minute:02}:00Z"
    data = present(id=str(500 + minute), type="IssueCommentEvent", created_at=time)
    data["payload"]["action"] = action
    data["payload"]["issue"] |= {"updated_at": time} | issue
    data["payload"]["comment"] = {"id": number, "user": {"login": "bob"}, "body": body, "updated_at": time}
    return parse_line(line(data), print)


def only(events: list[Event]) -> Rebuilt:
    (rebuilt,) = rebuild(events)
    return rebuilt


@settings(max_examples=40)
@given(ARCHIVABLE, st.integers(0, 2**20))
def test_threads_come_back_from_their_events_whatever_becomes_of_these(
    tmp_path_factory: pytest.TempPathFactory, threads: list[Thread], seed: int
) -> None:
    folder = tmp_path_factory.mktemp("archive")
    make(threads, folder, seed=seed, flaws=often())
    tally = Tally()
    events = [event for path in folder.glob("*.gz") for event in read_events(path, tally)]
    random.Random(seed).shuffle(events)
    found = {(thread.repository, thread.number): thread for repository in rebuild(events) for thread in repository.threads}
    wanted = {}
    for thread in map(archived, threads):
        key = next(key for key in found if key[0].removesuffix("-before") == thread.repository and key[1] == thread.number)
        wanted[key] = thread.model_copy(update={"repository": key[0]})
    assert found == wanted


def test_the_latest_text_counts_even_if_it_comes_first() -> None:
    assert only(event(9, "closed", title="Loss is NaN (solved)", state="closed") + event(1)).threads[0].title.endswith("(solved)")


def test_what_the_latest_snapshot_lacks_an_earlier_one_tells() -> None:
    later = event(9, "closed", labels=None, user=None)
    thread = only(event(1) + later).threads[0]
    assert (thread.author, thread.labels) == ("ada", ("bug",))


def test_a_thread_of_which_comments_are_missing_has_none_and_is_counted() -> None:
    rebuilt = only(event(1) + comment(5, 1, "Me too.", comments=3))
    assert (rebuilt.threads[0].comments, rebuilt.incomplete) == (None, 1)


@pytest.mark.parametrize("counted", [1, 0])
def test_a_count_may_leave_out_the_comment_that_it_comes_with(counted: int) -> None:
    rebuilt = only(event(1) + comment(5, 1, "Me too.", comments=counted))
    assert [c.body for c in rebuilt.threads[0].comments or ()] == ["Me too."]


def test_an_edited_comment_has_its_last_text_and_a_deleted_one_is_gone() -> None:
    made = comment(5, 1, "Me to.", comments=1) + comment(6, 2, "Spam", comments=2)
    changed = comment(7, 1, "Me too.", "edited", comments=2) + comment(8, 2, "Spam", "deleted", comments=1)
    thread = only(changed + event(1) + made).threads[0]
    assert [c.body for c in thread.comments or ()] == ["Me too."]


@pytest.mark.parametrize("action", ["deleted", "transferred"])
def test_an_issue_that_went_away_is_no_thread_even_if_that_came_first(action: str) -> None:
    rebuilt = only(event(5, action) + event(1) + event(9, "edited"))
    assert rebuilt.threads == []
    assert getattr(rebuilt, action) == 1


def test_a_pull_request_is_no_thread() -> None:
    rebuilt = only(comment(5, 1, "LGTM", pull_request={"url": "https://api.github.com"}) + event(1))
    assert (rebuilt.threads, rebuilt.pull_requests) == ([], 1)


def test_a_renamed_repository_is_one_and_has_its_last_name() -> None:
    before = [e._replace(repository="acme/hammer") for e in event(1)]
    rebuilt = only(event(9, "edited") + before)
    assert (rebuilt.repository, len(rebuilt.threads)) == ("acme/anvil", 1)


def test_two_repositories_that_had_one_name_stay_two() -> None:
    other = [e._replace(repository_id=10) for e in event(9)]
    assert [(r.repository, r.repository_id) for r in rebuild(event(1) + other)] == [("acme/anvil", 9), ("acme/anvil", 10)]


def test_events_that_came_twice_are_counted_once() -> None:
    rebuilt = only(event(1) * 3 + event(2, "edited"))
    assert (len(rebuilt.threads), rebuilt.repeated) == (1, 2)


def test_an_issue_without_any_text_is_counted(tmp_path: Path) -> None:
    threads = [Thread(repository="acme/anvil", number=7, title="Lost", body="to time", state="closed", comments=())]
    make(threads, tmp_path, begin=datetime(2013, 1, 1, tzinfo=UTC))
    events = [event for path in tmp_path.glob("*.gz") for event in read_events(path, Tally())]
    assert {(e.repository, e.number, e.title) for e in events if e.number == 7} <= {
        ("acme/anvil", 7, None),
        ("acme/anvil-before", 7, None),
    }
    rebuilt = only(events)
    assert rebuilt.threads == []
    assert rebuilt.untitled >= 1


def test_an_event_that_knows_only_the_id_of_its_issue_finds_its_number() -> None:
    lone = [e._replace(number=None, title=None, at=e.at + timedelta(minutes=1)) for e in event(3, "closed", state="closed")]
    assert len(only(event(1) + lone).threads) == 1
