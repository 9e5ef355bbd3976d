import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from served import at, thread

from pipeline.errors import RedefectError
from pipeline.replica import World
from pipeline.replica.world import CommentRow, Gone, IssueRow, Selection
from pipeline.thread import Comment, Thread


def issue(world: World, repository: str, number: int) -> IssueRow:
    row = world.repository(*repository.split("/"))
    assert row is not None
    found = world.issue(row.id, number)
    assert isinstance(found, IssueRow)
    return found


def comments(world: World, found: IssueRow) -> list[CommentRow]:
    return world.comments(issue=found.id, since=None, limit=1000, offset=0)[1]


def numbers(world: World, repository: str, **selection: Any) -> list[int]:
    row = world.repository(*repository.split("/"))
    assert row is not None
    return [one.number for one in world.issues(row.id, Selection(**selection), 1000)]


def times(**known: Any) -> list[str | None]:
    """What is served of a thread of which only this is known."""
    with World(Path(known.pop("path"))) as world:
        world.add([Thread(repository="a/b", number=24, title="Crash", **known)])
        found = issue(world, "a/b", 24)
        return [found.created_at, found.closed_at, found.updated_at, *(c.created_at for c in comments(world, found))]


def test_what_a_thread_does_not_know_is_made_up_in_order(tmp_path: Path) -> None:
    path = tmp_path / "world"
    two = (Comment(body="1"), Comment(body="2"))
    day = "2015-01-02T{}:00:00Z".format
    assert times(path=path) == [day("00"), day("00"), day("00")]
    assert times(path=path, comments=two) == [day("00"), day("02"), day("02"), day("01"), day("02")]
    assert times(path=path, comments=two, state="open") == [day("00"), None, day("02"), day("01"), day("02")]
    dated = (Comment(body="1", created_at=at(5)), Comment(body="2"))
    assert times(path=path, comments=dated) == [
        "2015-01-02T00:00:00Z", "2020-01-01T06:00:00Z", "2020-01-01T06:00:00Z", "2020-01-01T05:00:00Z", "2020-01-01T06:00:00Z",
    ]  # fmt: skip


def test_what_is_made_up_stays_within_what_is_known(tmp_path: Path) -> None:
    path, two = tmp_path / "world", (Comment(body="1"), Comment(body="2"))
    assert times(path=path, created_at=at(0), updated_at=at(1), comments=two) == [
        "2020-01-01T00:00:00Z", "2020-01-01T00:40:00Z", "2020-01-01T01:00:00Z", "2020-01-01T00:20:00Z", "2020-01-01T00:40:00Z",
    ]  # fmt: skip
    before = Thread.model_validate({"repository": "a/b", "number": 1, "title": "", "closed_at": "1999-01-01T00:00:00Z"})
    assert before.closed_at is not None
    assert times(path=path, closed_at=before.closed_at) == ["1999-01-01T00:00:00Z"] * 3


def test_the_largest_number_has_a_time_too(tmp_path: Path) -> None:
    with World(tmp_path / "world") as world:
        world.add([Thread(repository="a/b", number=2**31 - 1, title="Crash")])
        assert issue(world, "a/b", 2**31 - 1).created_at < "2027"


def test_what_is_known_is_served_as_it_is(tmp_path: Path) -> None:
    with World(tmp_path / "world") as world:
        world.add([thread(5, labels=("a", "b"), fix="x/y#1")])
        found = issue(world, "acme/anvil", 5)
        assert (found.title, found.body, found.state, found.author) == ("Crash 5", "It crashes, 5 times.", "closed", "ada")
        assert (found.created_at, found.closed_at) == ("2020-01-01T05:00:00Z", "2020-01-01T05:02:00Z")
        assert (found.labels, found.fix, found.comments) == ('["a", "b"]', "x/y#1", 2)


def test_comment_ids_grow_and_are_never_given_again(world: World) -> None:
    before = [c.id for c in comments(world, issue(world, "acme/anvil", 7))]
    assert before == sorted(before)
    world.comment("acme/anvil", 7, "eve", "New", at(30))
    newest = comments(world, issue(world, "acme/anvil", 7))[-1].id
    world.delete_comment("acme/anvil", 7, 2, at(31))
    world.comment("acme/anvil", 1, "eve", "Newer", at(32))
    assert [c.id for c in comments(world, issue(world, "acme/anvil", 7))] == before
    assert comments(world, issue(world, "acme/anvil", 1))[-1].id > newest


def test_a_repository_is_older_than_its_issues_and_has_at_least_a_thousand_stars(tmp_path: Path) -> None:
    with World(tmp_path / "world") as world:
        old = thread(1).model_copy(update={"created_at": at(-24 * 365 * 9)})
        world.add([old, thread(1, "some/other")], stars={"Acme/Anvil": 7, "only/stars": 9})
        anvil, other, only = (world.repository(*name.split("/")) for name in ("acme/anvil", "some/other", "only/stars"))
        assert anvil is not None
        assert other is not None
        assert only is not None
        assert (anvil.stars, only.stars) == (7, 9)
        assert 1_000 <= other.stars < 10_000
        assert (anvil.created_at, other.created_at) == ("2011-01-02T00:00:00Z", "2015-01-01T00:00:00Z")


def test_the_same_threads_make_the_same_world(tmp_path: Path) -> None:
    worlds = []
    for name in ("one", "two"):
        with World(tmp_path / name) as world:
            world.add([Thread(repository=f"a/{i % 3}", number=i, title="x", comments=(Comment(body="y"),)) for i in range(1, 40)])
            world.touch("a/1", 0.5, seed=3)
            worlds.append([[issue(world, f"a/{r}", n) for n in numbers(world, f"a/{r}")] for r in range(3)])
    assert worlds[0] == worlds[1]


def test_a_new_world_forgets_what_the_file_held(tmp_path: Path) -> None:
    for _ in range(2):
        with World(tmp_path / "world") as world:
            assert world.repository("acme", "anvil") is None
            world.add([thread(1)])


def test_a_file_that_cannot_be_made_is_an_error_of_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RedefectError, match=r"cannot be made anew \(.*\); give another file\.$"):
        World(tmp_path / "file" / "world")


def test_a_number_that_is_given_twice_is_refused_and_nothing_changes(world: World) -> None:
    before = issue(world, "acme/anvil", 1)
    for change in (
        lambda: world.add([thread(9), thread(1, title="Another")]),
        lambda: world.transfer("acme/anvil", 1, "acme/rocket", 1),
        lambda: world.add_pull_request("acme/anvil", 1, "Another", at(1)),
    ):
        with pytest.raises(RedefectError, match=r"one number would belong to two issues of a repository; give each once\.$"):
            change()
    assert issue(world, "acme/anvil", 1) == before
    assert numbers(world, "acme/anvil") == [1, 2, 3, 4, 5, 6, 7]


def test_threads_stream_through_with_flat_memory(tmp_path: Path) -> None:
    def many() -> Iterator[Thread]:
        for number in range(1, 6_001):
            yield thread(number, comments=1, body="x" * 2_000)

    with World(tmp_path / "world") as world:
        tracemalloc.start()
        world.add(many())
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 20_000_000


def test_each_change_moves_the_update_time_forward_and_never_back(world: World) -> None:
    for change in (
        lambda when: world.comment("acme/anvil", 3, "eve", "Hello", when),
        lambda when: world.edit("acme/anvil", 3, title="New title", at=when),
        lambda when: world.delete_comment("acme/anvil", 3, 0, when),
        lambda when: world.touch("acme/anvil", 1.0, 1, when),
    ):
        change(at(50))
        assert issue(world, "acme/anvil", 3).updated_at == "2020-01-03T02:00:00Z"
    world.edit("acme/anvil", 3, body="Late", at=at(2))
    assert issue(world, "acme/anvil", 3).updated_at == "2020-01-03T02:00:00Z"


def test_an_edit_changes_what_is_given_only(world: World) -> None:
    before = issue(world, "acme/anvil", 4)
    world.edit("acme/anvil", 4, state="closed", at=at(40))
    closed = issue(world, "acme/anvil", 4)
    assert (closed.state, closed.closed_at, closed.title, closed.body) == (
        "closed", "2020-01-02T16:00:00Z", before.title, before.body,
    )  # fmt: skip
    world.edit("acme/anvil", 4, state="open", at=at(41))
    assert issue(world, "acme/anvil", 4).closed_at is None


def test_a_touch_comments_on_a_seeded_share_and_on_one_at_least(world: World) -> None:
    touched = world.touch("acme/anvil", 0.4, seed=1)
    assert len(touched) == 3
    assert touched == sorted(touched)
    assert [issue(world, "acme/anvil", n).comments for n in (1, 2, 3)] == [2 + (1 in touched), 2 + (2 in touched), 3 in touched]
    assert numbers(world, "acme/anvil", sort="updated_at")[-3:] == touched
    assert len(world.touch("acme/anvil", 0.0, seed=1)) == 1
    assert {tuple(world.touch("acme/anvil", 0.4, seed)) for seed in range(20)} != {tuple(touched)}


def test_deleted_and_transferred_issues_leave_a_mark(world: World) -> None:
    anvil, rocket = world.repository("acme", "anvil"), world.repository("acme", "rocket")
    assert anvil is not None
    assert rocket is not None
    world.delete_issue("acme/anvil", 1)
    world.transfer("acme/anvil", 2, "acme/rocket", 9)
    assert world.issue(anvil.id, 1) == Gone(None)
    moved = world.issue(anvil.id, 2)
    assert isinstance(moved, Gone)
    assert moved.issue is not None
    assert (moved.issue.repository, moved.issue.number) == (rocket.id, 9)
    assert world.issue(anvil.id, 99) is None
    assert numbers(world, "acme/anvil") == [3, 4, 5, 6, 7]
    assert numbers(world, "acme/rocket") == [1, 9]
    assert [c.body for c in comments(world, moved.issue)] == ["Comment 1", "Comment 2"]
    world.delete_issue("acme/rocket", 9)
    assert world.issue(anvil.id, 2) == Gone(None)


def test_a_renamed_repository_is_found_by_both_names(world: World) -> None:
    world.rename("acme/anvil", "Newco/Hammer")
    by_old, by_new = world.repository("ACME", "Anvil"), world.repository("newco", "hammer")
    assert by_old == by_new
    assert by_new is not None
    assert by_new.full_name == "Newco/Hammer"


def test_changes_of_what_is_not_there_say_so(world: World) -> None:
    with pytest.raises(RedefectError, match=r"acme/anvil#99: is not in the replica\."):
        world.comment("acme/anvil", 99, None, "x", at(1))
    with pytest.raises(RedefectError, match=r"acme/nothing: is not in the replica\."):
        world.block("acme/nothing")
    with pytest.raises(RedefectError, match=r"has no comment at position 7\."):
        world.delete_comment("acme/anvil", 1, 7, at(1))
