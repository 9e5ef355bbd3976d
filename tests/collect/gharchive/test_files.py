import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from archives import line, present
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import Heard, Reply, scripted

from pipeline.collect.gharchive.files import (
    AmissError,
    Folder,
    Server,
    Tally,
    UnreachableError,
    hours_between,
    identity,
    read_events,
    unpacked,
)
from pipeline.errors import RedefectError

HOUR = hours_between("2021-01-01", "2021-01-01")[7]
LINES = [line(present(n)) if n % 3 == 0 else line({"id": str(n), "type": "PushEvent", "text": "x" * n}) for n in range(1, 400)]
TEXT = b"\n".join(LINES) + b"\n"
PACKED = gzip.compress(TEXT, mtime=0)


def numbers(path: Path, tally: Tally, **options: int) -> list[int | None]:
    return [event.number for event in read_events(path, tally, **options)]


def test_a_period_is_of_months_or_days_and_both_ends_are_in_it() -> None:
    hours = hours_between("2021-02", "2021-03-01")
    assert (hours[0].file, hours[-1].file, len(hours)) == ("2021-02-01-0.json.gz", "2021-03-01-23.json.gz", 29 * 24)
    assert {hour.month for hour in hours} == {"2021-02", "2021-03"}


@pytest.mark.parametrize(
    ("begin", "end", "words"),
    [("2021-13", "2021-14", "'2021-13' is no month"), ("2021-02", "2021-01", "exchange the two"),
     ("2021-02-30", "2021-03", "no day like"), ("2010-01", "2011-03", "begins on 2011-02-12"), ("x", "y", "'x' is no month")],
)  # fmt: skip
def test_what_is_no_period_is_refused(begin: str, end: str, words: str) -> None:
    with pytest.raises(RedefectError, match=words):
        hours_between(begin, end)


def test_events_of_issues_are_read_and_all_lines_counted(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(PACKED)
    tally = Tally()
    assert numbers(tmp_path / "x", tally) == list(range(3, 400, 3))
    assert (tally.lines, tally.events, tally.malformed, tally.broken, tally.unpacked) == (399, 133, 0, "", len(TEXT))


def test_a_file_of_several_members_or_with_padding_is_whole(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(PACKED + gzip.compress(line(present(1000)), mtime=0) + bytes(100))
    tally = Tally()
    assert numbers(tmp_path / "x", tally)[-1] == 1000
    assert (tally.lines, tally.broken) == (400, "")


@settings(max_examples=60)
@given(st.integers(0, len(PACKED) - 1) | st.integers(1, 12).map(lambda n: len(PACKED) - n))
def test_of_a_file_that_breaks_off_anywhere_what_is_there_is_read(tmp_path_factory: pytest.TempPathFactory, length: int) -> None:
    path = tmp_path_factory.mktemp("cut") / "x"
    path.write_bytes(PACKED[:length])
    tally = Tally()
    found = numbers(path, tally)
    assert found == list(range(3, 400, 3))[: len(found)]
    assert tally.broken in ("breaks off", "is empty", "is no gzip file")
    assert tally.malformed == 0


@settings(max_examples=60)
@given(st.integers(10, len(PACKED) - 1), st.integers(1, 255))
def test_a_changed_byte_is_noticed(tmp_path_factory: pytest.TempPathFactory, place: int, change: int) -> None:
    path = tmp_path_factory.mktemp("changed") / "x"
    path.write_bytes(PACKED[:place] + bytes([PACKED[place] ^ change]) + PACKED[place + 1 :])
    tally = Tally()
    assert b"".join(unpacked(path, tally)) != TEXT or tally.broken
    assert tally.broken


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "is empty"), (b"<html>", "is no gzip file"), (PACKED + b"<html>", "goes on after its end with what is no gzip")],
)
def test_a_file_that_is_something_else_is_told_of(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "x").write_bytes(content)
    tally = Tally()
    numbers(tmp_path / "x", tally)
    assert tally.broken == words


def test_malformed_lines_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    lines = [*LINES[:4], b'{"type":"IssuesEvent"}', *LINES[4:], b'{"type":"IssuesEvent","payload":[']
    (tmp_path / "x").write_bytes(gzip.compress(b"\n".join(lines)))
    tally = Tally()
    assert numbers(tmp_path / "x", tally) == list(range(3, 400, 3))
    assert (tally.lines, tally.malformed, tally.first_malformed) == (401, 2, "line 5: has no key 'payload'")


@pytest.mark.parametrize("at_the_end", [True, False])
def test_a_line_that_would_fill_the_memory_is_passed_over(tmp_path: Path, at_the_end: bool) -> None:
    giant = b'{"type":"IssuesEvent","body":"' + b"x" * 101_000_000
    content = gzip.compress(TEXT + giant) if at_the_end else gzip.compress(giant + b"\n" + TEXT)
    (tmp_path / "x").write_bytes(content)
    tally = Tally()
    assert numbers(tmp_path / "x", tally) == list(range(3, 400, 3))
    assert (tally.lines, tally.malformed) == (400, 1)
    assert tally.first_malformed == f"line {400 if at_the_end else 1}: has more than 100,000,000 bytes"


def test_a_long_line_below_the_limit_is_read(tmp_path: Path) -> None:
    event = present()
    event["payload"]["issue"]["body"] = "x" * 3_000_000
    (tmp_path / "x").write_bytes(gzip.compress(b"\n".join([line(event)] * 2)))
    assert numbers(tmp_path / "x", Tally()) == [7, 7]


def test_a_folder_gives_what_it_has(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    with pytest.raises(AmissError, match="is missing"), folder.fetched(HOUR):
        pass
    (tmp_path / HOUR.file).write_bytes(PACKED)
    with folder.fetched(HOUR) as path:
        assert identity(path) == (len(PACKED), PACKED[-8:].hex())
    assert folder.changed(HOUR, len(PACKED) - 1, PACKED[-8:].hex())
    assert not folder.changed(HOUR, len(PACKED), PACKED[-8:].hex())


def whole(_: Heard) -> Reply:
    return Reply(200, PACKED)


def part(heard: Heard) -> Reply:
    """The rest, as it is asked for."""
    begin = int(heard.headers["range"].removeprefix("bytes=").removesuffix("-"))
    if begin >= len(PACKED):
        return Reply(416, b"", {"Content-Range": f"bytes */{len(PACKED)}"})
    headers = {"Content-Range": f"bytes {begin}-{len(PACKED) - 1}/{len(PACKED)}"}
    return Reply(206, PACKED[begin:], headers)


def cut(length: int) -> Callable[[Heard], Reply]:
    return lambda _: Reply(200, PACKED[:length], {"Content-Length": str(len(PACKED)), "Connection": "close"})


def cut_later(heard: Heard) -> Reply:
    rest = part(heard)
    headers = {**rest.headers, "Content-Length": str(len(rest.body)), "Connection": "close"}
    return Reply(206, rest.body[: len(rest.body) // 2], headers)


SCRIPTS = {
    "whole": [whole],
    "errors first": [Reply(500), Reply(503), Reply(429), whole],
    "cut, then the rest": [cut(1000), part],
    "cut twice": [cut(1000), cut_later, part],
    "cut, then all again": [cut(1000), whole],
    "cut, then a part of something else": [cut(1000), Reply(206, b"xyz", {"Content-Range": "bytes 5-7/8"}), whole],
    "cut before the first byte": [cut(0), whole],
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_file_comes_whole_whatever_happens_on_the_way(tmp_path: Path, script: str) -> None:
    with scripted(*SCRIPTS[script]) as web:
        server = Server(web.url, tmp_path, first_wait=0.001, timeout=2)
        with server.fetched(HOUR) as path:
            assert path.read_bytes() == PACKED
    assert list(tmp_path.iterdir()) == []
    assert set(web.paths) == {"/2021-01-01-7.json.gz"}


def test_what_an_earlier_run_left_is_gone_on_with(tmp_path: Path) -> None:
    for left in (PACKED[:500], PACKED):
        (tmp_path / HOUR.file).write_bytes(left)
        with scripted(part) as web, Server(web.url, tmp_path, first_wait=0.001).fetched(HOUR) as path:
            assert path.read_bytes() == PACKED
        assert web.heard[0].headers["range"] == f"bytes={len(left)}-"


def test_more_than_the_server_has_is_fetched_anew(tmp_path: Path) -> None:
    (tmp_path / HOUR.file).write_bytes(PACKED + b"more")
    with scripted(part, whole) as web, Server(web.url, tmp_path, first_wait=0.001).fetched(HOUR) as path:
        assert path.read_bytes() == PACKED


@pytest.mark.parametrize("status", [404, 403, 410])
def test_an_hour_that_the_server_does_not_have_is_missing(tmp_path: Path, status: int) -> None:
    with (
        scripted(Reply(status)) as web,
        pytest.raises(AmissError, match=f"is missing .the server answers {status}"),
        Server(web.url, tmp_path).fetched(HOUR),
    ):
        pass
    assert len(web.heard) == 1


def test_a_server_that_never_answers_rightly_cannot_be_reached(tmp_path: Path) -> None:
    with (
        scripted(Reply(500)) as web,
        pytest.raises(UnreachableError, match="cannot be fetched .the server answers 500"),
        Server(web.url, tmp_path, attempts=3, first_wait=0.001).fetched(HOUR),
    ):
        pass
    assert len(web.heard) == 3
