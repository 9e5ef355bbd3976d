from contextlib import suppress
from datetime import UTC, datetime

import pytest
from conftest import contents
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from test_thread import THREADS

from pipeline.errors import RedefectError
from pipeline.facts import IssueFacts, IssueReference, Label, Rating, RepositoryFacts
from pipeline.store import read, write
from pipeline.store.session import Store
from pipeline.thread import Comment, Thread

ISSUE = IssueReference("a/b", 1)
TIME = datetime(2020, 1, 31, 12, tzinfo=UTC)


def label(category: str = "crash", annotator: str = "me", facet: str = "symptom", defect: int = 1) -> Label:
    return Label(ISSUE, defect, facet, category, category, annotator, "final")


class _UndoneError(Exception):
    """Takes a unit of work back."""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=40)
@given(threads=st.lists(THREADS, max_size=8, unique_by=lambda t: (t.repository.lower(), t.number)))
def test_threads_read_back_as_they_were_stored(store: Store, threads: list[Thread]) -> None:
    with suppress(_UndoneError), store.writing() as connection:
        write.put_threads(connection, threads, "test")
        back = list(read.threads(connection))
        raise _UndoneError
    # The case of a repository's name is the one that came first; all else is the same.
    assert [t.model_copy(update={"repository": ""}) for t in back] == [
        t.model_copy(update={"repository": ""})
        for t in sorted(threads, key=lambda t: (*t.repository.lower().split("/"), t.number))
    ]


def test_many_threads_of_any_text_read_back_as_they_were_stored(store: Store) -> None:
    texts = ["\\N", "a\tb", "one\r\ntwo\n", "\\.", '"', "'", "\x01\x7f", "\N{SNAKE}\u202e", "", "{}", "\\x41\\", "\ufffe"]
    threads = [
        Thread(
            repository="a/b", number=n, title=text, body=text, author="x" if n % 2 else None, created_at=TIME,
            labels=(text, "\0"), comments=(Comment(body=text), Comment(body=text * 2, author=text or None, created_at=TIME)),
        )
        for n, text in enumerate(texts * 4, 1)
    ]  # fmt: skip
    with store.writing() as connection:
        assert write.put_threads(connection, threads, "x").added == len(threads)
        assert list(read.threads(connection)) == threads


def test_storing_again_changes_nothing(store: Store, database: str) -> None:
    threads = [Thread(repository="a/b", number=n, title="t", comments=(Comment(body="c"),)) for n in range(1, 2500)]
    with store.writing() as connection:
        assert write.put_threads(connection, threads, "x").added == 2499
    before = contents(database)
    with store.writing() as connection:
        counts = write.put_threads(connection, threads, "x")
    assert (counts.added, counts.changed, counts.unchanged) == (0, 0, 2499)
    assert contents(database) == before


def test_a_changed_thread_replaces_what_it_knows_and_keeps_what_it_does_not(store: Store) -> None:
    old = Thread(
        repository="a/b", number=1, title="old", body="body", labels=("bug",), comments=(Comment(body="1"), Comment(body="2"))
    )
    new = Thread(repository="A/B", number=1, title="new", closed_at=TIME, comments=(Comment(body="3"),))
    with store.writing() as connection:
        write.put_threads(connection, [old], "x")
        assert write.put_threads(connection, [new], "y").changed == 1
        (got,) = read.threads(connection)
    assert got == Thread(
        repository="a/b", number=1, title="new", body="body", labels=("bug",), closed_at=TIME, comments=(Comment(body="3"),)
    )


def test_a_thread_without_its_comments_keeps_those_that_are_known(store: Store) -> None:
    with store.writing() as connection:
        write.put_threads(connection, [Thread(repository="a/b", number=1, title="t", comments=(Comment(body="1"),))], "x")
        write.put_threads(connection, [Thread(repository="a/b", number=1, title="u")], "x")
        (got,) = read.threads(connection)
    assert got.comments == (Comment(body="1"),)


def test_one_issue_twice_is_fine_when_equal_and_an_error_when_not(store: Store) -> None:
    thread = Thread(repository="a/b", number=1, title="t")
    with store.writing() as connection:
        counts = write.put_threads(connection, [thread, thread], "x")
    assert (counts.added, counts.unchanged) == (1, 1)
    with pytest.raises(RedefectError, match="y: a/b#1 comes twice with different contents"), store.writing() as connection:
        write.put_threads(connection, [thread, thread.model_copy(update={"title": "u"})], "y")


@pytest.mark.parametrize("thread_first", [True, False])
def test_a_thread_and_a_table_s_facts_give_the_same_in_either_order(store: Store, thread_first: bool) -> None:
    thread = Thread(repository="a/b", number=1, title="t", created_at=TIME)
    fact = IssueFacts(ISSUE, created_at=TIME.replace(year=2019), tracker_labels=["bug"])
    with store.writing() as connection:
        for step in sorted(["fact", "thread"], reverse=thread_first):
            if step == "thread":
                write.put_threads(connection, [thread], "x")
            else:
                assert write.put_issues(connection, [fact], "table") > 0
                assert write.put_issues(connection, [fact], "table") == 0
        (got,) = read.threads(connection)
    assert got == thread.model_copy(update={"labels": ("bug",)})


def test_facts_fill_gaps_and_only_authoritative_ones_replace(store: Store) -> None:
    query = text("SELECT kind, prototype, architecture FROM repository")
    with store.writing() as connection:
        assert write.put_repositories(connection, [RepositoryFacts("a/b", kind="solo")], "s") == 1
        assert write.put_repositories(connection, [RepositoryFacts("A/B", kind="zoo", prototype=True)], "s") == 1
        assert tuple(connection.execute(query).one()) == ("solo", 1, None)
        assert write.put_repositories(connection, [RepositoryFacts("a/b", kind="zoo")], "s", authoritative=True) == 1
        assert write.put_repositories(connection, [RepositoryFacts("a/b", kind="zoo")], "s", authoritative=True) == 0
        assert tuple(connection.execute(query).one()) == ("zoo", 1, None)


def test_labels_follow_their_source(store: Store) -> None:
    with store.writing() as connection:
        assert write.put_labels(connection, [label(), label("hang", defect=2)], "file") == 3  # the issue is new, too
        assert write.put_labels(connection, [label(), label("hang", defect=2)], "file") == 0
        assert write.put_labels(connection, [label("hang")], "file") == 2
        assert connection.execute(text("SELECT defect, category FROM label")).all() == [(1, "hang")]


def test_no_source_overwrites_what_another_said_under_the_same_name(store: Store) -> None:
    with store.writing() as connection:
        write.put_labels(connection, [label()], "file")
    with (
        pytest.raises(RedefectError, match="by 'me' in round 'final' is already there from another source"),
        store.writing() as connection,
    ):
        write.put_labels(connection, [label("hang")], "other")
    with store.writing() as connection:
        assert write.put_labels(connection, [label("hang", annotator="you")], "other") == 1


def test_ratings_and_samples_follow_their_source(store: Store) -> None:
    rating = Rating("final", "r1", 2, "17", "symptom", "Crash", "crash")
    sample = write.SampleRow(ISSUE, "table", "solo", None)
    with store.writing() as connection:
        assert write.put_ratings(connection, [rating], "sheet") == 1
        assert write.put_ratings(connection, [rating], "sheet") == 0
        assert write.put_ratings(connection, [], "sheet") == 1
        assert write.put_sample(connection, "study", [sample], "s", ["table"]) == 2
        assert write.put_sample(connection, "study", [sample._replace(stratum="zoo")], "s", ["table"]) == 1
        assert write.put_sample(connection, "study", [], "s", ["table"]) == 1


def test_a_sample_by_some_rules_leaves_alone_what_is_in_by_others(store: Store) -> None:
    labelled = write.SampleRow(ISSUE, "labels", "solo", None)
    drawn = write.SampleRow(ISSUE, "random", "solo", 7)
    query = text("SELECT rule, seed FROM sample ORDER BY rule")
    with store.writing() as connection:
        write.put_sample(connection, "study", [labelled], "s", ["labels"])
        assert write.put_sample(connection, "study", [drawn], "s", ["criteria", "random"]) == 1
        assert write.put_sample(connection, "study", [labelled], "s", ["labels"]) == 0
        assert connection.execute(query).all() == [("labels", None), ("random", 7)]
        assert write.put_sample(connection, "study", [], "s", ["criteria", "random"]) == 1
        assert connection.execute(query).all() == [("labels", None)]
        with pytest.raises(ValueError, match="no such rule here: labels"):
            write.put_sample(connection, "study", [labelled], "s", ["random"])


def test_times_without_a_zone_are_refused(store: Store) -> None:
    naive = TIME.replace(tzinfo=None)
    with pytest.raises(Exception, match="has no time zone"), store.writing() as connection:
        write.put_issues(connection, [IssueFacts(ISSUE, created_at=naive)], "s")
