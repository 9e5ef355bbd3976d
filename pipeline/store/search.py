"""Full-text search over threads: one small language of queries, the same answers from SQLite (FTS5) and PostgreSQL (tsvector).

A query holds words, "phrases in quotes", beginnings of words (`mem*`), and, with `-` before them, what a thread must not hold
anywhere. All of these must be met, by the title, the text and the comments of a thread together; `OR` parts alternatives.
Capitals do not count. Whatever is neither letter nor digit separates words, so that `torch.cuda` is the phrase "torch cuda".
Any text is a query: what means nothing is passed over.

Where databases differ: PostgreSQL indexes no words of more than 2,047 bytes, nothing after the first 200,000 characters of a
text, and no phrases after some 16,000 words; and it takes `7e5c` for two words, a number and the rest.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, Float, Integer, and_, func, select, text

from pipeline.errors import RedefectError
from pipeline.store.schema import Base

TOKENS = "unicode61 remove_diacritics 0 categories 'L* Nd Nl'"
"""How FTS5 tells words apart; the store's own index is made by a migration."""

MOST = 1_000
"""Characters that a query may have."""

_WORD = re.compile(r"(?:[^\W_]|[\u0300-\u036f])+")  # as FTS5's unicode61 has it: letters and digits, and marks above them
_PIECE = re.compile(r'(?P<not>-(?=[^\s-]))?(?:"(?P<phrase>[^"]*)"?|(?P<word>[^\s"]+))(?P<prefix>\*)?')
_LONGEST_WORD = 256  # PostgreSQL takes no query with a word of over 2 kB
_EXCERPT, _BEFORE = 240, 60
_LOOKED_THROUGH = 100_000
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

_TABLES = Base.metadata.tables
_REPOSITORY, _ISSUE, _COMMENT, _SAMPLE = (_TABLES[name] for name in ("repository", "issue", "comment", "sample"))


class Term(NamedTuple):
    """Words that follow each other; the last one may be but a beginning."""

    words: tuple[str, ...]
    prefix: bool


class Clause(NamedTuple):
    """Terms that a thread must hold, each somewhere, and those that it must hold nowhere."""

    wanted: tuple[Term, ...]
    unwanted: tuple[Term, ...]


class Piece(NamedTuple):
    """A piece of a text, and whether it is what was searched for."""

    text: str
    found: bool


class Hit(NamedTuple):
    """A thread that matches, and its best passage; no character of it steers a terminal.

    `position` is that of the comment that the passage is from, 0 for the issue's own text.
    """

    repository: str
    number: int
    title: list[Piece]
    position: int
    passage: list[Piece]


class Found(NamedTuple):
    """The best hits, the best first, and how many there are in all."""

    hits: list[Hit]
    total: int


def parse(query: str) -> list[Clause]:
    """Read a query: its alternatives, of which a thread must meet one; none of them where nothing is searched for.

    Raises
    ------
    RedefectError
        If it has more than `MOST` characters.
    """
    if len(query) > MOST:
        raise RedefectError(f"The query has {len(query):,} characters; give at most {MOST:,}.")
    clauses: list[tuple[dict[Term, None], dict[Term, None]]] = [({}, {})]
    for piece in _PIECE.finditer(query):
        if piece["word"] == "OR" and not piece["not"]:
            clauses.append(({}, {}))
            continue
        written = piece["word"] if piece["phrase"] is None else piece["phrase"]
        words = [word.lower() for word in _WORD.findall(written)]
        prefix = bool(piece["prefix"]) or written.endswith("*") or any(len(word) > _LONGEST_WORD for word in words)
        if words:
            term = Term(tuple(word[:_LONGEST_WORD] for word in words), prefix)
            clauses[-1][1 if piece["not"] else 0][term] = None
    return [Clause(tuple(wanted), tuple(unwanted)) for wanted, unwanted in clauses if wanted]


def search(
    connection: Connection, query: str, *, repositories: Sequence[str] = (), study: str | None = None, limit: int = 20
) -> Found:
    """Find the threads that match a query.

    Hits are ordered by how much their best passage is about the words (BM25 on SQLite, `ts_rank` on PostgreSQL: databases agree
    on which threads match, and not on the order), then by repository and number.

    Parameters
    ----------
    repositories
        Only in these, whatever the case of their names; in all, if none are named.
    study
        Only among the issues of this study's sample.
    """
    clauses = parse(query)
    if not clauses:
        return Found([], 0)
    statement, terms = (_IN_POSTGRESQL, "tsquery") if connection.dialect.name == "postgresql" else (_IN_SQLITE, "fts5")
    matches = text(statement).columns(issue_id=Integer, position=Integer, score=Float).subquery("match")
    name = (_REPOSITORY.c.owner + "/" + _REPOSITORY.c.name).label("repository")
    found = (
        select(
            name, _ISSUE.c.number, _ISSUE.c.title, _ISSUE.c.body, matches.c.position, _COMMENT.c.body.label("comment"),
            func.count().over().label("total"),
        )
        .join(_ISSUE, _ISSUE.c.id == matches.c.issue_id)
        .join(_REPOSITORY, _REPOSITORY.c.id == _ISSUE.c.repository_id)
        .outerjoin(_COMMENT, and_(_COMMENT.c.issue_id == _ISSUE.c.id, _COMMENT.c.position == matches.c.position))
        .order_by(matches.c.score.desc(), func.lower(_REPOSITORY.c.owner), func.lower(_REPOSITORY.c.name), _ISSUE.c.number)
        .limit(limit)
    )  # fmt: skip
    if repositories:
        found = found.where(func.lower(name.element).in_([repository.lower() for repository in repositories]))
    if study is not None:
        found = found.where(_ISSUE.c.id.in_(select(_SAMPLE.c.issue_id).where(_SAMPLE.c.study == study)))
    rows = connection.execute(found, {"terms": terms_as_json(clauses, terms)}).all()
    wanted = [term for clause in clauses for term in clause.wanted]
    hits = [
        Hit(
            row.repository,
            row.number,
            _marked(_visible(row.title or ""), wanted),
            row.position,
            passage((row.body or row.title or "") if row.position == 0 else row.comment or "", wanted),
        )
        for row in rows
    ]
    return Found(hits, rows[0].total if rows else 0)


def terms_as_json(clauses: Sequence[Clause], form: str) -> str:
    """Write a query for the statements below: a list of its terms, each with the numbers of its clause and of itself.

    Parameters
    ----------
    form
        Of each term: `fts5` or `tsquery`. Either holds nothing but words, for `parse` has let nothing else through.
    """
    write = _as_fts5 if form == "fts5" else _as_tsquery
    return json.dumps(
        [
            {"clause": i, "term": j, "wanted": wanted, "words": write(term)}
            for i, clause in enumerate(clauses)
            for wanted, terms in ((1, clause.wanted), (0, clause.unwanted))
            for j, term in enumerate(terms)
        ],
        ensure_ascii=False,
    )


def passage(told: str, terms: Sequence[Term]) -> list[Piece]:
    """Return what of a text is most about these terms, about 240 characters of one line, cut into pieces."""
    line = " ".join(_visible(told[:_LOOKED_THROUGH]).split())
    spans = list(_spans(line, terms))
    start = 0
    if spans:
        near = [
            len({term for at, _, term in spans[i : i + 50] if at < begin + _EXCERPT - _BEFORE})
            for i, (begin, *_) in enumerate(spans)
        ]
        start = spans[near.index(max(near))][0] - _BEFORE
    start = 0 if start <= 0 else line.rfind(" ", 0, start) + 1 if " " in line[max(0, start - _BEFORE) : start] else start
    end = start + _EXCERPT
    end = len(line) if end >= len(line) else max(line.rfind(" ", start + _EXCERPT // 2, end), 0) or end
    shown = _marked(line[start:end], terms)
    return [*([Piece("… ", False)] if start else []), *shown, *([Piece(" …", False)] if end < len(line) else [])]


def in_brackets(pieces: Sequence[Piece]) -> str:
    """Write pieces as one text, what was searched for in brackets."""
    return "".join(f"[{piece.text}]" if piece.found else piece.text for piece in pieces)


def _visible(told: str) -> str:
    return _UNSEEN.sub(lambda found: " " if found[0] in "\t\n\r\f\v" else "\N{REPLACEMENT CHARACTER}", told)


def _marked(line: str, terms: Sequence[Term]) -> list[Piece]:
    pieces, done = [], 0
    for start, end, _ in _spans(line, terms):
        if end > done:
            pieces += [Piece(line[done:start], False)] * (start > done) + [Piece(line[max(start, done) : end], True)]
            done = end
    return pieces + [Piece(line[done:], False)] * (done < len(line))


def _spans(line: str, terms: Sequence[Term]) -> Iterator[tuple[int, int, Term]]:
    """Yield where terms begin and end in a text, in its order."""
    words = [(found.start(), found.end(), found[0].lower()) for found in _WORD.finditer(line)]
    for i, (start, _, first) in enumerate(words):
        for term in terms:
            *before, last = term.words
            here = [word for *_, word in words[i : i + len(term.words)]]
            if (before or [last])[0][:1] != first[:1] or len(here) < len(term.words) or here[:-1] != before:
                continue
            if here[-1] == last or (term.prefix and here[-1].startswith(last)):
                yield start, words[i + len(before)][1], term


def _as_fts5(term: Term) -> str:
    return f'"{" ".join(term.words)}"{" *" if term.prefix else ""}'


def _as_tsquery(term: Term) -> str:
    return " <-> ".join(f"'{word}'" for word in term.words) + (":*" if term.prefix else "")


_MATCHES = """
matching AS (
  SELECT issue_id FROM found GROUP BY issue_id, clause
  HAVING max(1 - wanted) = 0
    AND count(DISTINCT term) = (SELECT count(*) FROM asked WHERE asked.clause = found.clause AND asked.wanted = 1)
),
part AS (
  SELECT issue_id, position, sum(score) AS score FROM found
  WHERE wanted = 1 AND issue_id IN (SELECT issue_id FROM matching) GROUP BY issue_id, position
)"""

PARTS_IN_SQLITE = f"""\
WITH asked AS MATERIALIZED (
  SELECT json_extract(value, '$.clause') AS clause, json_extract(value, '$.term') AS term,
    json_extract(value, '$.wanted') AS wanted, json_extract(value, '$.words') AS words
  FROM json_each(:terms)
),
found AS MATERIALIZED (
  SELECT clause, term, wanted, issue_fts.rowid AS issue_id, 0 AS position, -bm25(issue_fts, 10.0, 1.0) AS score
  FROM asked CROSS JOIN issue_fts WHERE issue_fts MATCH asked.words
  UNION ALL
  SELECT clause, term, wanted, comment.issue_id, comment.position, -bm25(comment_fts)
  FROM asked CROSS JOIN comment_fts CROSS JOIN comment ON comment.id = comment_fts.rowid WHERE comment_fts MATCH asked.words
),{_MATCHES}"""  # noqa: S608  # nothing in it comes from elsewhere

_PARTS_IN_POSTGRESQL = f"""\
WITH asked AS MATERIALIZED (
  SELECT clause, term, wanted, to_tsquery('simple', words) AS words
  FROM jsonb_to_recordset(CAST(:terms AS jsonb)) AS asked (clause integer, term integer, wanted integer, words text)
),
found AS MATERIALIZED (
  SELECT clause, term, wanted, issue.id AS issue_id, 0 AS position, ts_rank('{{0.1, 0.1, 0.1, 1}}', issue.fts, words, 1) AS score
  FROM asked JOIN issue ON issue.fts @@ asked.words
  UNION ALL
  SELECT clause, term, wanted, comment.issue_id, comment.position, ts_rank(comment.fts, words, 1)
  FROM asked JOIN comment ON comment.fts @@ asked.words
),{_MATCHES}"""  # noqa: S608  # nothing in it comes from elsewhere

_BEST = """
SELECT issue_id, position, score FROM (
  SELECT issue_id, position, score, row_number() OVER (PARTITION BY issue_id ORDER BY score DESC, position) AS place FROM part
) AS ranked WHERE place = 1"""

_IN_SQLITE = PARTS_IN_SQLITE + _BEST
_IN_POSTGRESQL = _PARTS_IN_POSTGRESQL + _BEST
