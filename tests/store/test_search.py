import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from conftest import CHECKOUT
from hypothesis import given, settings
from hypothesis import strategies as st
from postgres import Server
from sqlalchemy import text

from pipeline.errors import RedefectError
from pipeline.facts import IssueReference
from pipeline.importing import import_threads
from pipeline.store import write
from pipeline.store.search import MOST, Clause, Found, Term, in_brackets, parse, passage, search
from pipeline.store.session import Store
from pipeline.thread import Comment, Thread

DEMO = CHECKOUT / "data" / "demo" / "threads"
QUERIES = (
    "cuda", "CUDA", '"out of memory"', "memory out of", "tens*", '"out of mem*"', '"cuda out"*', "cuda -windows", "-cuda",
    "nan OR inf", 'loss nan OR "batch size" -gpu', "torch.cuda", "batch_size", "a-b", "tf.keras.layers", "1080", "1e-3", "0.001",
    "<b>", "don't", "größe", "e", "the", "OR", "OR OR cuda", '"', '"cuda', '""', "*", "-", "--gpus", "(cuda AND memory)",
    "NEAR(cuda memory)", "title:cuda", "cuda & memory", "cuda | memory", "cuda'; DROP TABLE issue; --", "user@example.com",
    "https://github.com", "/usr/lib", "C++", "0²", "x" * 999,
)  # fmt: skip


def found(store: Store, query: str, limit: int = 1000, **only: str | list[str]) -> Found:
    with store.reading() as connection:
        return search(connection, query, limit=limit, **only)  # type: ignore[arg-type]


def threads_of(store: Store, query: str) -> list[str]:
    return sorted(f"{hit.repository}#{hit.number}" for hit in found(store, query).hits)


def put(store: Store, *threads: Thread) -> None:
    with store.writing() as connection:
        write.put_threads(connection, threads, "x")


def thread(number: int, title: str = "", body: str | None = None, *comments: str) -> Thread:
    return Thread(repository="a/b", number=number, title=title, body=body, comments=tuple(Comment(body=c) for c in comments))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, postgresql: Server) -> Iterator[tuple[Store, Store]]:
    """The demo's threads on both databases."""
    with postgresql.database() as url:
        stores = Store(str(tmp_path_factory.mktemp("search") / "s.sqlite")), Store(url)
        for store in stores:
            import_threads(store, DEMO, "demo")
        yield stores
        for store in stores:
            store.close()


@pytest.mark.parametrize("query", QUERIES)
def test_both_databases_find_the_same_threads(both: tuple[Store, Store], query: str) -> None:
    one, other = (threads_of(store, query) for store in both)
    assert one == other


@settings(max_examples=150)
@given(
    query=st.text(st.sampled_from("ab cuda\"'*-()|&:!<>\\\0\ud800\u0301é.^~OR\n"), max_size=40)
    | st.text(st.characters(max_codepoint=0x24F), max_size=40)
)
def test_any_text_is_a_query_and_both_databases_find_the_same(both: tuple[Store, Store], query: str) -> None:
    one, other = (threads_of(store, query) for store in both)
    assert one == other


def test_a_query_is_read_as_people_write_it() -> None:
    cuda, memory = Term(("cuda",), False), Term(("out", "of", "memory"), False)
    assert parse('cuda "Out of memory" -"a b" -mem* OR torch.cuda') == [
        Clause((cuda, memory), (Term(("a", "b"), False), Term(("mem",), True))),
        Clause((Term(("torch", "cuda"), False),), ()),
    ]
    assert parse("--gpus") == [Clause((Term(("gpus",), False),), ())]
    assert parse('-cuda OR "" OR *') == []


def test_a_query_that_is_far_too_long_is_one_sentence() -> None:
    with pytest.raises(RedefectError, match=r"The query has 1,001 characters; give at most 1,000\."):
        parse("x" * (MOST + 1))


def test_a_thread_matches_as_a_whole(store: Store) -> None:
    put(
        store,
        thread(1, "CUDA fails", "on Linux", "no memory left", "same on windows"),
        thread(2, "cuda", None, "memory"),
        thread(3, "memory"),
        thread(4, "all out", "of memory"),
    )
    assert threads_of(store, "cuda memory") == ["a/b#1", "a/b#2"]
    assert threads_of(store, "cuda memory -windows") == ["a/b#2"]
    assert threads_of(store, "windows OR linux OR memory -cuda") == ["a/b#1", "a/b#3", "a/b#4"]
    assert threads_of(store, '"out of memory"') == []  # no phrase runs from the title into the text
    assert threads_of(store, "mem* LIN*") == ["a/b#1"]


def test_what_is_searched_is_what_the_store_holds_now(store: Store) -> None:
    put(store, thread(1, "first", "alpha", "beta"))
    put(store, thread(1, "second", "alpha", "gamma"))
    assert threads_of(store, "first OR beta") == []
    assert threads_of(store, "second gamma alpha") == ["a/b#1"]
    with store.writing() as connection:
        connection.execute(text("DELETE FROM repository"))
    assert threads_of(store, "second OR gamma") == []


def test_hits_are_few_ranked_and_say_where(store: Store) -> None:
    put(
        store,
        thread(1, "Nothing", "word " * 300 + "anvil", "none"),
        thread(2, "Anvil: the anvil of anvils", "anvil"),
        thread(3, "Nothing", "", "", "the anvil fell"),
        *(thread(n, "Other", "words", "and more") for n in range(4, 40)),
    )
    three = found(store, "anvil")
    assert three.total == 3
    assert three.hits[0].number == 2
    assert {hit.number: hit.position for hit in three.hits} == {1: 0, 2: 0, 3: 2}
    (one,) = found(store, "anvil", limit=1).hits
    assert in_brackets(one.title) == "[Anvil]: the [anvil] of anvils"
    assert found(store, "anvil", limit=1).total == 3
    assert next(in_brackets(hit.passage) for hit in three.hits if hit.number == 1).endswith("word [anvil]")


def test_only_in_some_repositories_or_in_a_sample(store: Store) -> None:
    put(store, thread(1, "anvil"), Thread(repository="C/d", number=2, title="anvil"))
    with store.writing() as connection:
        write.put_sample(connection, "s", [write.SampleRow(IssueReference("a/b", 1), "r", None, None)], "x", ["r"])
    assert [hit.number for hit in found(store, "anvil", repositories=["c/D"]).hits] == [2]
    assert [hit.number for hit in found(store, "anvil", study="s").hits] == [1]
    assert found(store, "anvil", study="t") == Found([], 0)


@given(st.text(max_size=400), st.sampled_from(["anvil", '"a b"', "a*"]))
def test_a_passage_is_short_on_one_line_and_steers_no_terminal(told: str, query: str) -> None:
    terms = parse(query)[0].wanted
    shown = "".join(piece.text for piece in passage(f"{told} anvil a b {told}", terms))
    assert len(shown) <= 250
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c in "\u202e\u2066" for c in shown)


def test_texts_of_any_length_and_kind_are_stored(store: Store) -> None:
    distinct = " ".join(f"w{i:05x}" for i in range(200_000))
    put(store, thread(1, "long", distinct, "x" * 3_000_000, "\N{SNAKE} 汉字 \x01 </script>"))
    assert threads_of(store, "w00000 汉字") == ["a/b#1"]


def test_a_store_of_an_earlier_version_is_indexed_when_it_is_opened(store: Store, database: str) -> None:
    config = Config()
    config.set_main_option("script_location", "pipeline:store/migrations")
    with store.writing() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0007")
        write.put_threads(connection, [thread(1, "anvil", None, "hammer")], "x")
    with closing(Store(database)) as opened:
        assert threads_of(opened, "anvil hammer") == ["a/b#1"]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_index_of_sqlite_is_sound(store: Store, database: str) -> None:
    put(store, *(thread(n, f"title {n}", "text", "answer") for n in range(1, 50)))
    put(store, *(thread(n, f"other {n}", "text", "answer", "more") for n in range(1, 50, 3)))
    store.close()
    with closing(sqlite3.connect(Path(database))) as connection:
        for index in ("issue_fts", "comment_fts"):
            connection.execute(f"INSERT INTO {index} ({index}, rank) VALUES ('integrity-check', 1)")
