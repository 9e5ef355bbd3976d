import json
from datetime import UTC, datetime
from typing import Any

import pytest
from archives import line, present
from hypothesis import given
from hypothesis import strategies as st

from pipeline.collect.gharchive.events import SCHEMA, Event, from_table, parse_line, to_table

TIMELINE = {
    "created_at": "2013-05-01T16:30:00-08:00", "payload": {"action": "opened", "issue": 70, "number": 7}, "public": True,
    "type": "IssuesEvent", "url": "https://github.com/acme/anvil/issues/7", "actor": "ada", "actor_attributes": {"login": "ada"},
    "repository": {"id": 9, "name": "anvil", "owner": "acme", "url": "https://github.com/acme/anvil"},
}  # fmt: skip


def one(event: Any) -> Event:
    (found,) = parse_line(line(event), fail)
    return found


def fail(reason: str) -> None:
    raise AssertionError(reason)


def parsed(text: bytes) -> tuple[list[Event], list[str]]:
    reasons: list[str] = []
    return parse_line(text, reasons.append), reasons


def test_an_event_of_today_holds_the_issue_as_it_was() -> None:
    event = one(present())
    assert (event.event, event.kind, event.action, event.actor) == (500, "issue", "opened", "ada")
    assert (event.repository_id, event.repository, event.number, event.title) == (9, "acme/anvil", 7, "Loss is NaN")
    assert event.tracker_labels == ("bug",)
    assert event.pull_request is False
    assert event.updated_at == datetime(2021, 1, 1, 0, 10, tzinfo=UTC)


def test_an_event_of_before_2015_names_its_issue_and_has_no_text() -> None:
    event = one(TIMELINE)
    assert (event.repository, event.number, event.issue_id, event.title) == ("acme/anvil", 7, 70, None)
    assert event.at == datetime(2013, 5, 2, 0, 30, tzinfo=UTC)


def test_a_comment_of_before_2015_finds_its_number_in_the_address() -> None:
    event = one(
        TIMELINE
        | {"type": "IssueCommentEvent", "payload": {"comment_id": 3, "issue_id": 70}}
        | {"url": "https://github.com/acme/anvil/issues/12#issuecomment-3"}
    )
    assert (event.kind, event.action, event.number, event.comment_id, event.comment_author) == (
        "comment",
        "created",
        12,
        3,
        "ada",
    )


def test_an_event_of_2011_has_the_frame_of_today_and_the_payload_of_then() -> None:
    event = one(present(type="IssueCommentEvent", payload={"comment_id": 3, "issue_id": 70}, created_at="2011-05-31T15:13:56Z"))
    assert (event.number, event.issue_id, event.comment_id) == (None, 70, 3)


def test_a_time_of_2012_is_read() -> None:
    assert one(TIMELINE | {"created_at": "2012/03/11 12:00:00 -0700"}).at == datetime(2012, 3, 11, 19, tzinfo=UTC)


def test_the_organisation_owns_the_repository() -> None:
    repository = TIMELINE["repository"] | {"organization": "foundry"}  # type: ignore[operator]
    assert one(TIMELINE | {"repository": repository}).repository == "foundry/anvil"


def test_what_every_issue_of_2015_had_makes_no_pull_request_of_it() -> None:
    event = present()
    event["payload"]["issue"]["pull_request"] = {"html_url": None, "diff_url": None}
    assert one(event).pull_request is False
    event["payload"]["issue"]["pull_request"] = {"html_url": "https://github.com/acme/anvil/pull/7"}
    assert one(event).pull_request is True


def test_events_that_are_glued_together_are_all_read() -> None:
    first, second = line(present()), line(present(8, id="501"))
    other = line({"id": "1", "type": "PushEvent", "payload": {}})
    for seam in (b"", b"\0" * 1409, b" \0 "):
        assert [event.number for event in parse_line(first + seam + other + seam + second, fail)] == [7, 8]
    assert [event.number for event in parse_line(first + b"\0\0", fail)] == [7]


def test_of_events_that_are_glued_together_only_the_broken_ones_are_lost() -> None:
    events, reasons = parsed(line(present())[:200] + b"\0\0" + line(present(8)))
    assert ([event.number for event in events], reasons) == ([8], ["is no JSON"])


def test_other_events_are_passed_over() -> None:
    assert parse_line(line({"id": "1", "type": "PushEvent", "payload": {"IssuesEvent": 1}}), fail) == []


def test_a_nul_in_a_text_is_replaced() -> None:
    event = present()
    event["payload"]["issue"]["title"] = "a\0b"
    assert one(event).title == "a\N{REPLACEMENT CHARACTER}b"


HOSTILE = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=20)
    | st.sampled_from(["2021-01-01T00:00:00Z", "2021-01-01", "0001-01-01T00:00:00+14:00", "9" * 5000, "\0", "/", "open"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "name", "login", "number"]), inner),
    max_leaves=6,
)  # fmt: skip


def paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here] * bool(here) + [path for key, child in inner for path in paths(child, (*here, key))]


@given(st.data())
def test_a_line_with_anything_anywhere_is_read_or_malformed(data: st.DataObject) -> None:
    form = data.draw(st.sampled_from([present(), TIMELINE, present(type="IssueCommentEvent")]))
    event = json.loads(line(form))
    if event["type"] == "IssueCommentEvent":
        event["payload"]["comment"] = {"id": 1, "user": {"login": "bob"}, "body": "x", "created_at": "2021-01-01T00:00:00Z"}
    *before, last = data.draw(st.sampled_from(paths(event)))
    place = event
    for key in before:
        place = place[key]
    if data.draw(st.booleans()):
        place[last] = data.draw(HOSTILE)
    else:
        del place[last]
    found, _ = parsed(line(event))
    assert list(from_table(to_table(found))) == found


@given(st.binary(max_size=200))
def test_bytes_are_events_or_malformed(noise: bytes) -> None:
    for text in (noise, line(present())[:300] + noise, noise + line(present())):
        events, reasons = parsed(text)
        assert events or reasons or not text.strip(b"\0 \t\n\r\v\f")


@pytest.mark.parametrize(
    "text",
    [b"[" * 100_000 + b'"IssuesEvent"', b'{"type":["IssuesEvent"]}', b'"IssuesEvent"', b'{"type":"IssuesEvent"}',
     line(present(created_at="2021-01-01T00:00:00")), line(present(repo={"id": 9, "name": "/"})),
     line(present(repo={"id": -1, "name": "acme/anvil"})), line(present(2**31))],
)  # fmt: skip
def test_what_is_no_event_is_malformed(text: bytes) -> None:
    events, reasons = parsed(text)
    assert events == []
    assert len(reasons) == 1


def test_no_events_are_a_table_without_rows() -> None:
    assert to_table([]).schema == SCHEMA
    assert list(from_table(to_table([]))) == []
