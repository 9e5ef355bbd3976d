from dataclasses import replace
from datetime import UTC, datetime, timedelta

from pipeline.facts import CrawledComment, CrawledIssue, IssueReference, ThreadPart
from pipeline.store import crawls
from pipeline.store.schema import Base
from pipeline.store.session import Store

NAME = "acme/anvil"
THEN = datetime(2020, 1, 1, tzinfo=UTC)
_TABLES = Base.metadata.tables


def issue(number: int, comments: int, updated: datetime = THEN) -> CrawledIssue:
    return CrawledIssue(NAME, number, "Title", "", "ann", "open", THEN, updated, None, comments, [], pull_request=False)


def comment(number: int) -> CrawledComment:
    when = THEN + timedelta(minutes=number)
    return CrawledComment(number, "ben", when, when, f"Remark {number}")


def part(number: int, comments: list[int], *, begins: str | None = None, after: str | None) -> ThreadPart:
    return ThreadPart(IssueReference(NAME, number), [comment(c) for c in comments], begins, after)


def stored(store: Store, *steps: list[CrawledIssue] | list[ThreadPart]) -> list[int]:
    changes = []
    for step in steps:
        with store.writing() as connection:
            if isinstance(step[0], CrawledIssue):
                changes.append(crawls.put_issues(connection, NAME, [i for i in step if isinstance(i, CrawledIssue)]))
            else:
                changes.append(crawls.put_thread_parts(connection, [p for p in step if isinstance(p, ThreadPart)]))
    return changes


def state_of(store: Store) -> tuple[dict[int, bool], dict[int, str]]:
    with store.reading() as connection:
        states = crawls.issue_states(connection, NAME)
        return {s.number: s.complete for s in states}, crawls.unfinished_threads(connection, NAME)


def comments_of(store: Store) -> list[tuple[int, int]]:
    comment, issue = _TABLES["comment"], _TABLES["issue"]
    with store.reading() as connection:
        query = comment.join(issue).select().order_by(issue.c.number, comment.c.position)
        return [(row.number, row.tracker_id) for row in connection.execute(query)]


def test_a_thread_that_comes_in_parts_is_complete_with_the_last_and_loses_what_is_gone(store: Store) -> None:
    changes = stored(
        store,
        [issue(1, 3)],
        [part(1, [1, 2], after="x")],
        [part(1, [3], begins="x", after=None)],
        [issue(1, 2, THEN + timedelta(days=1))],
        [part(1, [1, 3], after=None)],
    )
    assert changes == [1, 2, 1, 1, 1]
    assert state_of(store) == ({1: True}, {})
    assert comments_of(store) == [(1, 1), (1, 3)]


def test_two_crawls_that_read_a_thread_part_by_part_lose_nothing_of_it(store: Store) -> None:
    one = [[part(1, [1], after="x")], [part(1, [2], begins="x", after="y")], [part(1, [3], begins="y", after=None)]]
    stored(store, [issue(1, 3)], one[0], one[1])
    stored(store, one[0])  # the other crawl begins
    stored(store, one[2])
    assert comments_of(store) == [(1, 1), (1, 2), (1, 3)]
    assert state_of(store) == ({1: False}, {1: "x"})
    stored(store, one[1], one[2])
    assert state_of(store) == ({1: True}, {})
    assert comments_of(store) == [(1, 1), (1, 2), (1, 3)]


def test_an_answer_that_is_older_than_what_is_there_replaces_nothing(store: Store) -> None:
    later = THEN + timedelta(days=1)
    stored(store, [issue(1, 1, later)], [part(1, [1], after=None)])
    assert stored(store, [issue(1, 0)]) == [0]
    edited = [replace(comment(1), updated_at=later, body="Edited")]
    with store.writing() as connection:
        crawls.put_comments(connection, NAME, [(IssueReference(NAME, 1), c) for c in edited])
        assert crawls.put_comments(connection, NAME, [(IssueReference(NAME, 1), comment(1))]) == 0
    assert state_of(store) == ({1: True}, {})


def test_a_last_part_that_comes_twice_takes_nothing_away(store: Store) -> None:
    last = [part(1, [3], begins="x", after=None)]
    stored(store, [issue(1, 3)], [part(1, [1, 2], after="x")], last)
    assert stored(store, last) == [0]
    assert state_of(store) == ({1: True}, {})
    assert comments_of(store) == [(1, 1), (1, 2), (1, 3)]


def test_a_first_part_of_a_thread_that_is_here_as_a_whole_leaves_nothing_to_go_on_with(store: Store) -> None:
    first, last = [part(1, [1, 2], after="x")], [part(1, [3], begins="x", after=None)]
    stored(store, [issue(1, 3)], first, last)
    assert stored(store, first) == [0]
    assert state_of(store) == ({1: True}, {})


def test_a_thread_whose_issue_changes_between_its_parts_is_read_anew_from_its_first_comment(store: Store) -> None:
    later = THEN + timedelta(days=1)
    stored(store, [issue(1, 3)], [part(1, [1, 2], after="x")])
    stored(store, [issue(1, 2, later)], [part(1, [3], begins="x", after=None)])  # comment 1 was deleted
    assert state_of(store) == ({1: False}, {})
    stored(store, [part(1, [2, 3], after=None)])
    assert state_of(store) == ({1: True}, {})
    assert comments_of(store) == [(1, 2), (1, 3)]


def test_a_thread_completed_by_a_listing_of_all_comments_leaves_nothing_to_go_on_with(store: Store) -> None:
    stored(store, [issue(1, 3), issue(2, 2)], [part(1, [1, 2], after="2")])
    with store.writing() as connection:
        crawls.put_comments(connection, NAME, [(IssueReference(NAME, n), comment(c)) for n, c in ((1, 3), (2, 4), (9, 5))])
        crawls.complete_by_count(connection, NAME)
    assert state_of(store) == ({1: True, 2: False}, {})
    assert comments_of(store) == [(1, 1), (1, 2), (1, 3), (2, 4)]
