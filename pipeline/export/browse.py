"""A copy of the store to browse: what may be seen of it, with pseudonyms and an index of words, and what Datasette says of it.

Tables and columns come into the copy because they are listed here. Whatever else the store holds, it is not copied.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from pipeline import addresses
from pipeline.cells import cell_text
from pipeline.export.threads import Pseudonyms
from pipeline.store import read
from pipeline.store.schema import Base
from pipeline.store.search import MOST, PARTS_IN_SQLITE, TOKENS, in_brackets, parse, passage, terms_as_json
from pipeline.study import Study
from pipeline.taxonomy import Facet, Taxonomy

_ID = "Its number in this table."
_ISSUE = "The issue."
_SOURCE = "Which of the study's sources it came from."
_AUTHOR = "Who wrote it, by pseudonym."


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of the copy: its columns with what they hold, those to count by, and that which names a row.

    Columns that the store's table of this name has not are made by `_derived`.
    """

    name: str
    description: str
    columns: dict[str, str]
    facets: tuple[str, ...] = ()
    label: str = ""
    indexed: tuple[str, ...] = ()
    searched: tuple[str, ...] = ()


_TABLES = (
    _Table(
        "repository",
        "The repositories that issues were collected from.",
        {
            "id": _ID, "repository": "Owner and name.", "url": "Its page.", "kind": "A zoo of many models, or solo: one model.",
            "prototype": "Whether it came with a paper (1) or not (0).", "framework": "Its deep-learning framework.",
            "architecture": "The architecture of its model.", "created_at": "When it was made, in UTC.", "stars": "Its stars.",
            "closed_issues": "How many issues of it were closed.", "source": _SOURCE,
        },
        facets=("kind", "framework"), label="repository",
    ),
    _Table(
        "issue",
        "Issues: texts as they were collected, people as pseudonyms. An issue that is known by reference only has no text.",
        {
            "id": _ID, "reference": "Repository and number.", "repository_id": "The repository.",
            "number": "Its number on the tracker.",
            "url": "Its page.", "title": "Its title.", "state": "Open or closed.", "author": _AUTHOR, "body": "Its first text.",
            "created_at": "When it was opened, in UTC.", "updated_at": "When it last changed, in UTC.",
            "closed_at": "When it was closed, in UTC.", "comment_count": "The tracker's count of comments.",
            "comments_complete": "Whether all comments are here (1) or not (0).",
            "pull_request": "Whether it is a pull request (1) or not (0).",
            "tracker_labels": "Labels that it has on the tracker.", "fix": "The pull request or commit that closed it.",
            "fix_url": "The page of what closed it.", "source": _SOURCE,
        },
        facets=("repository_id", "state"), label="reference", indexed=("repository_id",), searched=("title", "body"),
    ),
    _Table(
        "comment",
        "Answers in the issues' threads.",
        {
            "id": _ID, "issue_id": _ISSUE, "position": "From 1, the oldest.", "author": _AUTHOR,
            "created_at": "When it was written, in UTC.", "body": "Its text.",
        },
        indexed=("issue_id",), searched=("body",),
    ),
    _Table(
        "sample",
        "Why an issue is in a study: a row for each rule that drew it.",
        {
            "id": _ID, "study": "The study.", "issue_id": _ISSUE, "rule": "The rule that drew it.",
            "stratum": "Of which part of the issues it was drawn.", "seed": "Of the draw, if it was random.",
        },
        facets=("study", "rule", "stratum"), indexed=("issue_id",),
    ),
    _Table(
        "label",
        "What people said of each facet of each defect: all annotators, all rounds.",
        {
            "id": _ID, "issue_id": _ISSUE, "defect": "1, 2, ... within the issue; 0 is the issue as a whole.",
            "facet": "The question, by the taxonomy's id.", "category": "The answer, by the taxonomy's id.",
            "value": "The answer as its source wrote it.", "annotator": "Who says so.", "round": "In which round.",
            "confidence": "How sure the annotator was.", "note": "The annotator's note.",
            "suggested": "What a machine had suggested, where the annotator saw it.", "source": _SOURCE,
        },
        facets=("facet", "category", "annotator", "round"), indexed=("issue_id", "facet"),
    ),
    _Table(
        "remark",
        "What annotators remarked of an issue besides its labels.",
        {
            "id": _ID, "issue_id": _ISSUE, "annotator": "Who.", "round": "In which round.",
            "discuss": "Wants to talk about it (1).", "slow": "It took more than ten minutes (1).",
            "translated": "From which language.", "note": "The note.",
        },
        facets=("annotator", "round"), indexed=("issue_id",),
    ),
    _Table(
        "rating",
        "Labels on raters' sheets that name an issue by its number only, so that they belong to no issue here.",
        {
            "id": _ID, "round": "The round.", "annotator": "The rater.", "row": "The sheet's row.",
            "number": "The issue's number.", "facet": "The question, by the taxonomy's id.", "value": "What the sheet says.",
            "category": "The category that it spells, if any.",
        },
        facets=("round", "annotator", "facet"), indexed=("row",),
    ),
    _Table(
        "model",
        "Classifiers whose labels are here, one a facet.",
        {"id": _ID, "name": "Its name.", "facet": "The facet.", "digest": "SHA-256 of its file."},
        facets=("facet",), label="name",
    ),
    _Table(
        "prediction",
        "Machine labels: the probability that a classifier gives to each category. Shares of them are wrong until corrected.",
        {
            "id": _ID, "model_id": "The classifier.", "issue_id": _ISSUE, "facet": "The question.", "category": "The answer.",
            "probability": "That it is this one.", "guess": "Whether it is the classifier's best guess (1).",
            "abstained": "Whether it is not sure enough to say so (1).",
        },
        facets=("facet", "guess"), indexed=("issue_id", "model_id"),
    ),
)  # fmt: skip


def _study_tables(taxonomy: Taxonomy) -> tuple[_Table, ...]:
    facets = {facet.id: f"{facet.title}: {facet.question}" for facet in taxonomy.defect_facets}
    return (
        _Table(
            "defect",
            "The study's defects, a column a facet, by the labels that its verdict names; columns hold ids of categories.",
            {
                "id": _ID, "issue_id": _ISSUE, "repository": "Owner and name.", "url": "The issue's page.",
                "defect": "1, 2, ... within the issue.", **facets,
            },
            facets=tuple(facets)[:8], indexed=("issue_id",),
        ),
        _Table(
            "category",
            f"What the ids of facets and categories mean: {taxonomy.title}.",
            {
                "id": "Facet and category.", "facet": "The facet's id.", "category": "The category's id.", "label": "Its name.",
                "definition": "What it means.", "question": "What the facet asks.", "parent": "The group that it belongs to.",
            },
            facets=("facet",), label="label",
        ),
    )  # fmt: skip


_ELSEWHERE = {"issue_id": "issue", "repository_id": "repository", "model_id": "model"}
_PEOPLE = {"author"}
_TEXTS = {"title", "body", "note", "tracker_labels", "value"}


def write_copy(connection: Connection, study: Study, taxonomy: Taxonomy, path: Path) -> None:
    """Write the copy into a new SQLite file: the same store gives the same bytes.

    Parameters
    ----------
    connection
        To the store, which is only read.
    path
        The file, which must not exist.
    """
    names = Pseudonyms(read.people(connection))
    copy = sqlite3.connect(path, isolation_level=None)
    try:
        copy.execute("PRAGMA journal_mode = OFF")
        copy.execute("PRAGMA synchronous = OFF")
        copy.execute("BEGIN")
        for table in _TABLES:
            _fill(copy, table, _rows(connection, table, names))
        defect, category = _study_tables(taxonomy)
        _fill(copy, defect, _defects(connection, copy, study, taxonomy))
        _fill(copy, category, _categories(taxonomy))
        copy.execute("COMMIT")
    finally:
        copy.close()


def add_search_functions(connection: sqlite3.Connection) -> None:
    """Give a connection to a copy the functions that its search needs."""

    def terms(words: str | None) -> str:
        return terms_as_json(parse((words or "")[:MOST]), "fts5")

    def found(told: str | None, words: str | None) -> str:
        wanted = [term for clause in parse((words or "")[:MOST]) for term in clause.wanted]
        return in_brackets(passage(told or "", wanted))

    connection.create_function("search_terms", 1, terms, deterministic=True)
    connection.create_function("search_passage", 2, found, deterministic=True)


def _fill(copy: sqlite3.Connection, table: _Table, rows: Iterable[tuple[Any, ...]]) -> None:
    columns = [f"{_name(column)} {_column_type(table.name, column)}" for column in table.columns]
    copy.execute(f"CREATE TABLE {_name(table.name)} ({', '.join(columns)})")
    marks = ", ".join("?" * len(table.columns))
    copy.executemany(f"INSERT INTO {_name(table.name)} VALUES ({marks})", rows)  # noqa: S608  # names of this file
    for column in table.indexed:
        copy.execute(f"CREATE INDEX {_name(f'{table.name}_{column}')} ON {_name(table.name)} ({_name(column)})")
    if table.searched:
        index = f"{table.name}_fts"
        copy.execute(
            f'CREATE VIRTUAL TABLE {index} USING fts5({", ".join(table.searched)}, content="{table.name}", content_rowid="id", '
            f"tokenize={_text(TOKENS)})"
        )
        copy.execute(f"INSERT INTO {index} ({index}) VALUES ('rebuild')")  # noqa: S608  # names of this file


def _column_type(table: str, column: str) -> str:
    known = Base.metadata.tables[table].c.get(column) if table in Base.metadata.tables else None
    holds = str if known is None else known.type.python_type
    if table == "defect" and column in ("id", "issue_id", "defect"):
        holds = int
    kind = "INTEGER" if issubclass(holds, int) else "REAL" if holds is float else "TEXT"
    if column == "id":
        return f"{kind} PRIMARY KEY"
    return f"{kind} REFERENCES {_ELSEWHERE[column]} (id)" if column in _ELSEWHERE else kind


def _rows(connection: Connection, table: _Table, names: Pseudonyms) -> Iterator[tuple[Any, ...]]:
    """Yield the store's rows as the copy has them."""
    source = Base.metadata.tables[table.name]
    kept = [column for column in table.columns if column in source.c]
    query = select(*(source.c[column] for column in kept)).order_by(source.c.id)
    if table.name == "repository":
        query = query.add_columns(source.c.owner, source.c.name)
    elif table.name == "issue":
        repository = Base.metadata.tables["repository"]
        query = query.join(repository).add_columns(repository.c.owner, repository.c.name)
    made = {column: _derived(column) for column in table.columns if column not in kept}
    with connection.execute(query, execution_options={"yield_per": 1000}) as rows:
        for row in rows.mappings():
            yield tuple(made[column](row) if column in made else _value(row[column], column, names) for column in table.columns)


def _derived(column: str) -> Callable[[Any], str | None]:
    def name(row: Any) -> str:
        return f"{row['owner']}/{row['name']}"

    def url(row: Any) -> str | None:
        if "number" in row:
            return addresses.issue_address(name(row), row["number"])
        return addresses.repository_address(name(row))

    def fix_url(row: Any) -> str | None:
        return addresses.fix_address(row["fix"] or "")

    def reference(row: Any) -> str:
        return f"{name(row)}#{row['number']}"

    return {"repository": name, "url": url, "fix_url": fix_url, "reference": reference}[column]


def _value(value: Any, column: str, names: Pseudonyms) -> Any:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, list):
        value = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, str):
        return value
    if column in _PEOPLE:
        return names.name(value)
    return cell_text(names.text(value) if column in _TEXTS else value)


def _defects(connection: Connection, copy: sqlite3.Connection, study: Study, taxonomy: Taxonomy) -> Iterator[tuple[Any, ...]]:
    frame = read.defects(connection, study.name, taxonomy, study.verdict)
    known = {
        (repository, number): (id_, url)
        for id_, url, repository, number in copy.execute(
            "SELECT issue.id, issue.url, repository, number FROM issue JOIN repository ON repository.id = repository_id"
        )
    }
    facets = [facet.id for facet in taxonomy.defect_facets]
    answers = frame[facets].astype(object).where(frame[facets].notna(), None)
    places = zip(frame["repository"], frame["number"], frame["defect"], answers.itertuples(index=False, name=None), strict=True)
    for id_, (repository, number, defect, of) in enumerate(places, start=1):
        issue, url = known[repository, int(number)]
        yield id_, issue, repository, url, int(defect), *of


def _categories(taxonomy: Taxonomy) -> Iterator[tuple[Any, ...]]:
    for facet in taxonomy.facets:
        for of in facet.categories:
            yield f"{facet.id}/{of.id}", facet.id, of.id, of.label, of.definition, facet.question, of.parent


def metadata(study: Study, taxonomy: Taxonomy) -> dict[str, Any]:
    """Return what Datasette says of the copy: titles, descriptions of tables and columns, facets, and queries ready to run."""
    fiction = " All of it is fictional, and its links lead nowhere." if study.fictional else ""
    said = (
        f"{study.description}{fiction} A copy to read: people are pseudonyms, also where texts mention those who write here, and "
        "nothing of interviews is in it. Texts are what strangers wrote."
    )
    tables = {
        table.name: {
            "description": table.description,
            "columns": table.columns,
            "facets": list(table.facets),
            "sortable_columns": [column for column in table.columns if column not in table.searched],
            **({"label_column": table.label} if table.label else {}),
        }
        for table in (*_TABLES, *_study_tables(taxonomy))
    }
    return {
        "title": study.title,
        "description": said,
        "source": "invented for this project" if study.fictional else "public issue trackers, and the study's own sources",
        "about": f"Taxonomy: {taxonomy.source.citation}",
        **({"about_url": taxonomy.source.url} if addresses.page_address(taxonomy.source.url) else {}),
        "databases": {
            study.name: {"title": study.title, "description": said, "tables": tables, "queries": _queries(study, taxonomy)}
        },
    }


def _queries(study: Study, taxonomy: Taxonomy) -> dict[str, dict[str, Any]]:
    verdict = f"annotator = {_text(study.verdict.annotator)} AND round = {_text(study.verdict.round)}"
    queries: dict[str, dict[str, Any]] = {
        "search": {
            "title": "Search titles, texts and comments",
            "description": 'Words, "phrases", beginnings (mem*), -not, OR, as for `redefect search`: the 500 best passages of '
            "the threads that hold all of it.",
            "sql": _SEARCH,
            "params": ["words"],
        },
        "defects": {
            "title": "Defects with a column a facet",
            "description": "By the labels that the study's verdict names, in the taxonomy's words.",
            "sql": _wide(taxonomy),
        },
        **{
            f"{table.rows}-by-{table.columns}": {
                "title": f"{taxonomy.facet(table.columns).title} by {taxonomy.facet(table.rows).title.lower()}",
                "description": "How many defects have both; a column a category.",
                "sql": _crossed(taxonomy, table.rows, table.columns),
            }
            for table in study.crosstabs
        },
        "disagreements": {
            "title": "Where annotators disagree",
            "description": "Annotators of one round who answer differently of the same defect by number: who saw other defects "
            "in an issue, or numbered them otherwise, only seems to disagree.",
            "sql": _DISAGREEMENTS,
        },
        **(
            {
                "disagreements-on-sheets": {
                    "title": "Where raters' sheets disagree",
                    "description": "Raters of one round who give another category in the same row of their sheets.",
                    "sql": _SHEETS,
                }
            }
            if any(source.kind == "rater-sheets" for source in study.sources)
            else {}
        ),
        "machine-beside-people": {
            "title": "Machine labels beside people's",
            "description": "The classifier's best guess beside the label that the study's verdict names. No rows before "
            "`redefect classify` has run. A thread that the classifier was trained on shows it better than it is.",
            "sql": _MACHINE.format(verdict=verdict),
        },
        "sample": {
            "title": "Why each issue is in the sample",
            "description": "The rule, stratum and seed by which an issue was drawn, and what the verdict says of it as a whole.",
            "sql": _SAMPLE.format(study=_text(study.name), verdict=verdict),
        },
    }
    return {name: query | {"hide_sql": True} for name, query in queries.items()}


def _wide(taxonomy: Taxonomy) -> str:
    def said(facet: Facet) -> str:
        key = f"{_text(facet.id + '/')} || defect.{_name(facet.id)}"
        return f",\n  (SELECT label FROM category WHERE id = {key}) AS {_name(facet.title)}"  # noqa: S608  # quoted

    columns = "".join(map(said, taxonomy.defect_facets))
    return (
        f"SELECT issue.reference, issue.url, issue.title, defect.defect{columns}\n"  # quoted
        "FROM defect JOIN issue ON issue.id = defect.issue_id\nORDER BY defect.id"
    )


def _crossed(taxonomy: Taxonomy, rows: str, columns: str) -> str:
    of = taxonomy.facet(columns)
    counts = "".join(
        f",\n  sum({_name(columns)} = {_text(category.id)}) AS {_name(category.label)}" for category in of.values
    )  # fmt: skip
    head = _name(taxonomy.facet(rows).title)
    return (
        f"SELECT category.label AS {head}{counts},\n  count(*) AS {_name('All')}\n"  # quoted
        f"FROM defect JOIN category ON category.id = {_text(rows + '/')} || {_name(rows)}\n"
        f"WHERE {_name(columns)} IS NOT NULL\nGROUP BY category.id\nORDER BY category.rowid"
    )


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


_SEARCH = f"""\
{PARTS_IN_SQLITE.replace(":terms", "search_terms(:words)")},
best AS (SELECT issue_id, position, score FROM part ORDER BY score DESC, issue_id, position LIMIT 500)
SELECT issue.reference, issue.url, issue.title,
  CASE best.position WHEN 0 THEN 'title or text' ELSE 'comment ' || best.position END AS place,
  search_passage(
    CASE best.position WHEN 0 THEN issue.title || char(10) || coalesce(issue.body, '') ELSE comment.body END, :words
  ) AS passage
FROM best JOIN issue ON issue.id = best.issue_id
LEFT JOIN comment ON comment.issue_id = best.issue_id AND comment.position = best.position
ORDER BY best.score DESC, best.issue_id, best.position"""  # noqa: S608  # nothing in it comes from elsewhere

_DISAGREEMENTS = """\
SELECT issue.reference, issue.url, one.round, one.defect, one.facet, one.annotator AS one, one.category AS says,
  other.annotator AS other, other.category AS "says otherwise"
FROM label AS one
JOIN label AS other ON other.issue_id = one.issue_id AND other.defect = one.defect AND other.facet = one.facet
  AND other.round = one.round AND other.annotator > one.annotator AND other.category <> one.category
JOIN issue ON issue.id = one.issue_id
ORDER BY one.issue_id, one.defect, one.facet, one.annotator, other.annotator"""

_SHEETS = """\
SELECT one.round, one.row, one.number AS issue, one.facet, one.annotator AS one, one.category AS says,
  other.annotator AS other, other.category AS "says otherwise"
FROM rating AS one
JOIN rating AS other ON other.round = one.round AND other.row = one.row AND other.facet = one.facet
  AND other.annotator > one.annotator AND other.category <> one.category
ORDER BY one.round, one.row, one.facet, one.annotator, other.annotator"""

_MACHINE = """\
SELECT issue.reference, issue.url, label.defect, label.facet, label.category AS people, prediction.category AS machine,
  label.category = prediction.category AS same, round(prediction.probability, 3) AS probability, prediction.abstained,
  model.name AS model
FROM prediction
JOIN model ON model.id = prediction.model_id
JOIN label ON label.issue_id = prediction.issue_id AND label.facet = prediction.facet
JOIN issue ON issue.id = prediction.issue_id
WHERE prediction.guess = 1 AND {verdict}
ORDER BY label.issue_id, label.defect, label.facet, model.id"""

_SAMPLE = """\
SELECT issue.reference, issue.url, issue.title, sample.rule, sample.stratum, sample.seed,
  (SELECT group_concat(facet || ': ' || category, '; ') FROM label
   WHERE label.issue_id = issue.id AND label.defect = 0 AND {verdict}) AS "as a whole"
FROM sample JOIN issue ON issue.id = sample.issue_id
WHERE sample.study = {study}
ORDER BY sample.id"""
