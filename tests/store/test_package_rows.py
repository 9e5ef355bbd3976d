from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, insert

from pipeline.errors import RedefectError
from pipeline.openstudy import OpenStudy
from pipeline.package_tables import tables
from pipeline.store import read
from pipeline.store.package_rows import put_rows, rows
from pipeline.store.schema import Base
from pipeline.store.session import Store

# What a store may hold: any text but NUL and lone surrogates (see `pipeline.thread.Text`).
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=12)
NAMES = st.sampled_from(["a", "B", "é", "=x", "-1", "x y"])
MAYBE = st.none() | TEXTS
TIMES = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)).map(lambda t: t.replace(microsecond=0, tzinfo=UTC))
COUNTS = st.none() | st.integers(0, 2**31 - 1)
FLAGS = st.booleans()


def some(keys: st.SearchStrategy[Any], **columns: st.SearchStrategy[Any]) -> st.SearchStrategy[list[tuple[Any, dict[str, Any]]]]:
    """Rows with different keys."""
    row = st.tuples(keys, st.fixed_dictionaries(columns))
    return st.lists(row, max_size=4, unique_by=lambda pair: pair[0])


@st.composite
def stores(draw: st.DrawFn) -> dict[str, list[dict[str, Any]]]:
    """The rows of a store's tables, some with what no package tells: other studies' samples, crawls, turns."""
    names = draw(st.lists(st.tuples(st.sampled_from("abC"), st.sampled_from(["x", "Y", "z-1"])), unique=True, max_size=4))
    held: dict[str, list[dict[str, Any]]] = {table.name: [] for table in Base.metadata.sorted_tables}
    for id_, (owner, name) in enumerate(names, 1):
        held["repository"].append(
            {"id": id_, "owner": owner, "name": name, "source": draw(TEXTS), "kind": draw(st.sampled_from([None, "zoo"])),
             "prototype": draw(st.none() | FLAGS), "framework": draw(MAYBE), "stars": draw(COUNTS),
             "created_at": draw(st.none() | TIMES)}
        )  # fmt: skip
    if not names:
        return held
    places = st.tuples(st.integers(1, len(names)), st.integers(1, 2**31 - 1))
    of_issue = {
        "title": MAYBE, "body": MAYBE, "author": MAYBE, "state": st.sampled_from([None, "open"]), "created_at": st.none() | TIMES,
        "updated_at": st.none() | TIMES, "comment_count": COUNTS, "comments_complete": FLAGS, "pull_request": FLAGS,
        "tracker_labels": st.none() | st.lists(TEXTS, max_size=2), "fix": MAYBE, "source": TEXTS,
    }  # fmt: skip
    for id_, ((repository, number), row) in enumerate(draw(some(places, **of_issue)), 1):
        held["issue"].append({"id": id_, "repository_id": repository, "number": number, **row})
    if held["issue"]:
        _of_issues(draw, held)
    return held


def _of_issues(draw: st.DrawFn, held: dict[str, list[dict[str, Any]]]) -> None:
    ids = st.integers(1, len(held["issue"]))

    def fill(table: str, names: tuple[str, ...], *keys: st.SearchStrategy[Any], **columns: st.SearchStrategy[Any]) -> None:
        held[table] += [dict(zip(names, key, strict=True)) | row for key, row in draw(some(st.tuples(*keys), **columns))]

    fill(
        "comment", ("issue_id", "position"), ids, st.integers(1, 99), author=MAYBE, created_at=st.none() | TIMES,
        updated_at=st.none() | TIMES, tracker_id=st.none() | st.integers(1, 2**62), body=MAYBE,
    )  # fmt: skip
    fill(
        "sample", ("issue_id", "study", "rule"), ids, st.sampled_from(["mine", "another"]), NAMES, stratum=MAYBE,
        seed=st.none() | st.integers(0, 2**31 - 1),
    )  # fmt: skip
    fill(
        "label", ("issue_id", "defect", "facet", "annotator", "round"), ids, st.integers(0, 3), NAMES, NAMES, NAMES,
        category=TEXTS, value=TEXTS, confidence=MAYBE, note=MAYBE, suggested=MAYBE, source=TEXTS,
    )  # fmt: skip
    fill(
        "remark", ("issue_id", "annotator", "round"), ids, NAMES, NAMES, discuss=FLAGS, slow=FLAGS, translated=TEXTS,
        note=TEXTS, source=TEXTS,
    )  # fmt: skip
    fill(
        "rating", ("round", "annotator", "row", "facet"), NAMES, NAMES, st.integers(1, 99), NAMES, number=TEXTS, value=TEXTS,
        category=MAYBE, source=TEXTS,
    )  # fmt: skip
    fill(
        "coding", ("source", "transcript", "turn", "coder", "theme"), NAMES, NAMES, st.integers(1, 99), NAMES, NAMES,
        kind=TEXTS, phase=MAYBE, confidence=MAYBE,
    )  # fmt: skip
    fill("model", ("name", "digest", "facet"), NAMES, NAMES, NAMES)
    for id_, model in enumerate(held["model"], 1):
        model["id"] = id_
        said = draw(some(st.tuples(ids, NAMES), probability=st.floats(0, 1), guess=FLAGS, abstained=FLAGS))
        held["prediction"] += [
            {"model_id": id_, "facet": model["facet"], "issue_id": issue, "category": category, **row}
            for (issue, category), row in said
        ]
    fill("run", (), command=TEXTS, study=TEXTS, study_digest=TEXTS, version=TEXTS, finished_at=TIMES,
         inputs=st.dictionaries(TEXTS, st.sampled_from(["0a" * 32, "ff" * 32]), max_size=3))  # fmt: skip


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(str(tmp_path_factory.mktemp("stores") / "empty.sqlite"))


@contextmanager
def passing(store: Store) -> Iterator[Connection]:
    """A unit of work that is taken back, so that the store is empty for the next one."""
    with store.engine.connect() as connection, connection.begin() as work:
        yield connection
        work.rollback()


def everything(connection: Connection, *, with_text: bool, study: str = "mine") -> dict[str, pa.Table]:
    return {table.name: rows(connection, table, study) for table in tables(with_text=with_text)}


@settings(max_examples=60)
@given(held=stores(), with_text=st.booleans())
def test_what_a_store_holds_comes_back_from_the_tables_of_a_package(
    empty: Store, held: dict[str, list[dict[str, Any]]], with_text: bool
) -> None:
    with passing(empty) as connection:
        for name, found in held.items():
            for row in found:
                connection.execute(insert(Base.metadata.tables[name]).values(**row))
        told = everything(connection, with_text=with_text)
    with passing(empty) as connection:
        put_rows(connection, told)
        again = everything(connection, with_text=with_text)
    assert {name: table.to_pylist() for name, table in again.items()} == {n: table.to_pylist() for n, table in told.items()}
    assert all(table.schema == told[name].schema for name, table in again.items())
    assert len(told["samples"]) == sum(row["study"] == "mine" for row in held["sample"])
    assert len(told["predictions"]) == len(held["prediction"])
    if with_text:
        assert len(told["comment_texts"]) == sum(row["body"] is not None for row in held["comment"])
        assert len(told["label_notes"]) == sum(row["note"] is not None for row in held["label"])


def test_rows_are_sorted_by_their_table_s_key_and_repositories_as_people_sort_names(demo: OpenStudy) -> None:
    with demo._store.reading() as connection:
        told = everything(connection, with_text=True, study="demo")
    for table in tables(with_text=True):
        keys = [
            tuple((v.casefold(), v) if n == "repository" else v for n, v in zip(table.key, key, strict=True))
            for key in zip(*(told[table.name][name].to_pylist() for name in table.key), strict=True)
        ]
        assert keys == sorted(set(keys))
    assert {r["study"] for r in told["samples"].to_pylist()} == {"demo"}


def test_of_a_package_without_texts_no_thread_is_made_up(demo: OpenStudy, empty: Store) -> None:
    with demo._store.reading() as connection:
        told = everything(connection, with_text=False, study="demo")
    with passing(empty) as connection:
        put_rows(connection, told)
        assert rows(connection, next(t for t in tables(with_text=False) if t.name == "comments"), "demo").num_rows == 994
        assert list(read.threads(connection)) == []
        writers = {login.casefold() for name in ("issues", "comments") for login in told[name]["author"].drop_null().to_pylist()}
        assert {login.casefold() for login in read.people(connection)} == writers


def test_a_store_that_holds_anything_takes_no_package(store: Store) -> None:
    with store.writing() as connection:
        connection.execute(
            insert(Base.metadata.tables["turn"]).values(transcript="t", turn=1, speaker="s", role="", text="x", source="s")
        )
        with pytest.raises(RedefectError, match=r"The store has 1 rows in its table 'turn' already, and a package goes"):
            put_rows(connection, {})
