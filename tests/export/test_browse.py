import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from conftest import CHECKOUT
from sqlalchemy import text

from pipeline.export.browse import add_search_functions, metadata, write_copy
from pipeline.importing import import_threads
from pipeline.openstudy import OpenStudy
from pipeline.store.session import Store
from pipeline.study import Study, read_study
from pipeline.taxonomy import Taxonomy, read_taxonomy
from pipeline.thread import Comment, Thread

DEMO = read_study(CHECKOUT / "data" / "studies" / "demo.toml")
TAXONOMY = read_taxonomy(CHECKOUT / "taxonomy" / "jiang2024.yaml")
HOSTILE = Thread(
    repository="o/<b>", number=1, title="<script>alert(1)</script> \x1b[31m", body="javascript:alert(1) by @Ann and @zoe",
    author="ann", fix="o/n#12", comments=(Comment(author="Bob", body="Thanks @ann!"), Comment(author="ANN", body="ok")),
)  # fmt: skip


def copied(store: Store, path: Path, study: Study = DEMO) -> sqlite3.Connection:
    with store.reading() as connection:
        write_copy(connection, study, TAXONOMY, path)
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True)


def import_of(store: Store, folder: Path, *threads: Thread) -> None:
    path = folder / "threads.jsonl"
    path.write_text("".join(thread.to_json() + "\n" for thread in threads))
    import_threads(store, path, "invented")


def test_people_are_pseudonyms_also_where_texts_mention_them(store: Store, tmp_path: Path) -> None:
    import_of(store, tmp_path, HOSTILE)
    copy = copied(store, tmp_path / "copy.sqlite")
    said = copy.execute("SELECT author, body FROM issue UNION ALL SELECT author, body FROM comment").fetchall()
    assert said == [
        ("person-1", "javascript:alert(1) by @person-1 and @zoe"),
        ("person-2", "Thanks @person-1!"),
        ("person-1", "ok"),
    ]
    copy.close()
    content = (tmp_path / "copy.sqlite").read_bytes().lower()
    assert b"@ann" not in content
    assert b"bob" not in content


def test_only_names_that_github_allows_become_addresses_and_no_character_steers_a_terminal(store: Store, tmp_path: Path) -> None:
    import_of(store, tmp_path, HOSTILE)
    copy = copied(store, tmp_path / "copy.sqlite")
    assert copy.execute("SELECT reference, url, fix_url FROM issue").fetchall() == [
        ("o/<b>#1", None, "https://github.com/o/n/pull/12")
    ]
    assert copy.execute("SELECT repository, url FROM repository").fetchall() == [("o/<b>", None)]
    assert copy.execute("SELECT title FROM issue").fetchone() == ("<script>alert(1)</script> \N{REPLACEMENT CHARACTER}[31m",)
    copy.close()


def test_what_is_not_listed_stays_in_the_store(store: Store, tmp_path: Path) -> None:
    import_of(store, tmp_path, HOSTILE)
    with store.writing() as connection:
        connection.execute(text("CREATE TABLE diary (id INTEGER PRIMARY KEY, words TEXT)"))
        connection.execute(text("INSERT INTO diary (id, words) VALUES (1, 'what a participant said')"))
        connection.execute(text("ALTER TABLE issue ADD COLUMN remembered TEXT DEFAULT 'what a participant said'"))
    copied(store, tmp_path / "copy.sqlite").close()
    assert b"participant" not in (tmp_path / "copy.sqlite").read_bytes()


def test_what_is_said_in_interviews_stays_in_the_store(demo: OpenStudy, tmp_path: Path) -> None:
    copy = copied(Store(str(demo.study.database)), tmp_path / "copy.sqlite")
    assert {"turn", "coding"}.isdisjoint(name for (name,) in copy.execute("SELECT name FROM sqlite_schema"))
    copy.close()


def test_the_same_store_gives_the_same_bytes_and_is_not_written(demo: OpenStudy, tmp_path: Path) -> None:
    before = demo.study.database.read_bytes()
    store = Store(str(demo.study.database))
    for name in ("one", "two"):
        copied(store, tmp_path / name, demo.study).close()
    store.close()
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert demo.study.database.read_bytes() == before


@pytest.mark.parametrize("study", ["demo", "published"])
def test_the_copy_holds_all_rows_and_a_table_of_defects(study: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    opened: OpenStudy = request.getfixturevalue(study)
    store = Store(str(opened.study.database))
    copy = copied(store, tmp_path / "copy.sqlite", opened.study)
    with store.reading() as connection:
        for table in ("repository", "issue", "comment", "sample", "label", "remark", "rating", "model", "prediction"):
            count = f"SELECT count(*) FROM {table}"
            assert copy.execute(count).fetchone() == tuple(connection.execute(text(count)).one())
    store.close()
    assert copy.execute("PRAGMA foreign_key_check").fetchall() == []
    stages = copy.execute("SELECT stage, count(*) FROM defect GROUP BY stage").fetchall()
    counted = opened.distribution("stage").frame
    assert dict(stages) == dict(zip(counted["category"], counted["n"], strict=True))
    copy.close()


def test_descriptions_are_of_tables_and_columns_that_are_there(demo: OpenStudy, tmp_path: Path, taxonomy: Taxonomy) -> None:
    store = Store(str(demo.study.database))
    copy = copied(store, tmp_path / "copy.sqlite", demo.study)
    store.close()
    described = metadata(demo.study, taxonomy)["databases"]["demo"]["tables"]
    there = {name for (name,) in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'") if "_fts" not in name}
    assert set(described) == there
    for name, table in described.items():
        columns = [row[1] for row in copy.execute(f"PRAGMA table_info({name})")]
        assert list(table["columns"]) == columns
        assert set(table["facets"]) | set(table["sortable_columns"]) <= set(columns)
    assert described["defect"]["columns"]["stage"] == "Stage: In which part of the implementation does the defect lie?"
    copy.close()


def test_each_query_runs_on_a_study_of_any_taxonomy(store: Store, tmp_path: Path) -> None:
    import_of(store, tmp_path, HOSTILE)
    humbatova = read_taxonomy(CHECKOUT / "taxonomy" / "humbatova2020.yaml")
    study = DEMO.model_copy(update={"crosstabs": [], "title": "'; DROP TABLE issue; --"})
    with store.reading() as connection:
        write_copy(connection, study, humbatova, tmp_path / "copy.sqlite")
    copy = sqlite3.connect(tmp_path / "copy.sqlite")
    add_search_functions(copy)
    for query in metadata(DEMO, TAXONOMY)["databases"]["demo"]["queries"].values():
        assert query["title"]
    for query in metadata(study, humbatova)["databases"][study.name]["queries"].values():
        copy.execute(query["sql"], {"words": "script"}).fetchall()
    copy.close()


def test_machine_labels_stand_beside_those_of_the_verdict(demo: OpenStudy, tmp_path: Path, taxonomy: Taxonomy) -> None:
    with closing(sqlite3.connect(demo.study.database)) as original:
        original.execute("VACUUM INTO ?", (str(tmp_path / "store.sqlite"),))
    store = Store(str(tmp_path / "store.sqlite"))
    first = demo.labels.query("annotator == 'demo-adjudicated' and facet == 'stage'").iloc[0]
    with store.writing() as connection:
        connection.execute(text("INSERT INTO model (id, name, facet, digest) VALUES (1, 'm', 'stage', 'x')"))
        connection.execute(
            text(
                "INSERT INTO prediction (model_id, issue_id, facet, category, probability, guess, abstained) "
                "SELECT 1, issue.id, 'stage', 'training', 0.5, 1, 1 FROM issue JOIN repository r ON r.id = repository_id "
                "WHERE number = :number AND owner || '/' || name = :repository"
            ),
            {"number": int(first["number"]), "repository": first["repository"]},
        )
    copy = copied(store, tmp_path / "copy.sqlite", demo.study)
    store.close()
    query = metadata(demo.study, taxonomy)["databases"]["demo"]["queries"]["machine-beside-people"]["sql"]
    rows = copy.execute(query).fetchall()
    copy.close()
    assert [(row[0], *row[3:]) for row in rows] == [
        (f"{first['repository']}#{first['number']}", "stage", first["category"], "training", 0, 0.5, 1, "m")
    ]
