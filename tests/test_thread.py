import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import RedefectError
from pipeline.thread import Comment, Thread, parse_thread

TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=80)
TIMES = st.none() | st.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1), timezones=st.just(UTC)).map(
    lambda time: time.replace(microsecond=0)
)
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
COMMENTS = st.builds(Comment, author=st.none() | NAMES, created_at=TIMES, body=TEXTS)
THREADS = st.builds(
    Thread,
    repository=st.builds("{}/{}".format, NAMES, NAMES),
    number=st.integers(1, 2**31 - 1),
    title=TEXTS,
    body=st.none() | TEXTS,
    state=st.sampled_from([None, "open", "closed"]),
    author=st.none() | NAMES,
    created_at=TIMES,
    updated_at=TIMES,
    closed_at=TIMES,
    fix=st.none()
    | st.builds("{}/{}#{}".format, NAMES, NAMES, st.integers(1, 99999))
    | st.builds("{}/{}@{:040x}".format, NAMES, NAMES, st.integers(0, 2**160 - 1)),
    labels=st.none() | st.lists(TEXTS, max_size=3).map(tuple),
    comments=st.none() | st.lists(COMMENTS, max_size=4).map(tuple),
)


@given(THREADS)
def test_a_thread_reads_back_from_its_line(thread: Thread) -> None:
    line = thread.to_json()
    assert "\n" not in line
    assert parse_thread(line, "here") == thread
    assert parse_thread(line, "here").to_json() == line


def test_only_repository_number_and_title_are_required() -> None:
    thread = parse_thread('{"repository": "a/b", "number": 1, "title": ""}', "here")
    assert thread.body is None
    assert thread.comments is None
    assert list(json.loads(thread.to_json())) == [
        "repository", "number", "title", "body", "state", "author", "created_at", "updated_at", "closed_at", "fix",
        "labels", "comments",
    ]  # fmt: skip


def test_what_no_database_can_store_is_replaced() -> None:
    assert parse_thread('{"repository": "a/b", "number": 1, "title": "x\\u0000y"}', "here").title == "x\N{REPLACEMENT CHARACTER}y"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("{", "f.jsonl:3: Invalid JSON"),
        ('{"repository": "ab", "number": 1, "title": ""}', "f.jsonl:3: repository: "),
        ('{"repository": "a/b", "number": 0, "title": ""}', "f.jsonl:3: number: "),
        ('{"repository": "a/b", "number": 1}', "f.jsonl:3: title: Field required"),
        ('{"repository": "a/b", "number": 1, "title": "", "stars": 1}', "f.jsonl:3: stars: "),
        (
            '{"repository": "a/b", "number": 1, "title": "", "created_at": "2020-01-31"}',
            "created_at: '2020-01-31' is no time like",
        ),
        ('{"repository": "a/b", "number": 1, "title": "", "created_at": "2020-13-31T00:00:00Z"}', "is no time like"),
        ('{"repository": "a/b", "number": 1, "title": "\\ud800"}', "f.jsonl:3: "),
    ],
)
def test_a_line_that_is_no_thread_is_named(line: str, sentence: str) -> None:
    with pytest.raises(RedefectError) as caught:
        parse_thread(line, "f.jsonl:3")
    assert sentence in str(caught.value)
