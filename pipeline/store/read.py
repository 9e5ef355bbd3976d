"""Reads from the store: tidy pandas frames for analysis, and threads for export. Rows are always sorted."""

from collections.abc import Iterator
from datetime import datetime
from itertools import groupby
from typing import Any

import pandas as pd
from sqlalchemy import Connection, Select, func, literal, select, union_all

from pipeline.store.schema import Base
from pipeline.study import RaterSheetsSource, Verdict
from pipeline.taxonomy import Facet, Taxonomy
from pipeline.thread import Comment, Thread

_TABLES = Base.metadata.tables
_REPOSITORY, _ISSUE, _COMMENT = _TABLES["repository"].c, _TABLES["issue"].c, _TABLES["comment"].c
_SAMPLE, _LABEL, _RATING, _REMARK = (_TABLES[name].c for name in ("sample", "label", "rating", "remark"))
_TURN, _CODING = (_TABLES[name].c for name in ("turn", "coding"))

_NAME = (_REPOSITORY.owner + "/" + _REPOSITORY.name).label("repository")
_KEY = ["repository", "number"]
_ORDER = (
    func.lower(_REPOSITORY.owner).label("owner"),
    func.lower(_REPOSITORY.name).label("name"),
    _ISSUE.number.label("number"),
)


def issues(connection: Connection, study: str, taxonomy: Taxonomy, verdict: Verdict) -> pd.DataFrame:
    """Return the issues of a study's sample, a row an issue, those drawn and not yet labelled included.

    Columns: `repository`, `number`, `url`; of the repository `kind`, `prototype`, `architecture`, `repository_created_at`;
    of the issue `title`, `state`, `created_at`, `closed_at`, `comment_count`, `fix`; `rule` (several joined by "; ") and
    `stratum` by which it was sampled; and a categorical column for each facet of the taxonomy that is answered once an issue.
    """
    query = (
        select(
            _NAME, _ISSUE.number, _REPOSITORY.kind, _REPOSITORY.prototype, _REPOSITORY.architecture,
            _REPOSITORY.created_at.label("repository_created_at"), _ISSUE.title, _ISSUE.state, _ISSUE.created_at,
            _ISSUE.closed_at, _ISSUE.comment_count, _ISSUE.fix, _SAMPLE.rule, _SAMPLE.stratum,
        )
        .join(_TABLES["issue"], _ISSUE.repository_id == _REPOSITORY.id)
        .join(_TABLES["sample"], _SAMPLE.issue_id == _ISSUE.id)
        .where(_SAMPLE.study == study)
        .order_by(_SAMPLE.rule)
    )  # fmt: skip
    frame = _frame(connection, query)
    rules = frame.groupby(_KEY)["rule"].agg("; ".join)
    frame = frame.drop_duplicates(_KEY, ignore_index=True)
    frame["rule"] = [rules[repository, number] for repository, number in zip(*(frame[key] for key in _KEY), strict=True)]
    frame.insert(2, "url", "https://github.com/" + frame["repository"] + "/issues/" + frame["number"].astype(str))
    for column in ("created_at", "closed_at", "repository_created_at"):
        frame[column] = pd.to_datetime(frame[column], utc=True)
    frame["comment_count"] = frame["comment_count"].astype("Int64")
    answers = _answers(connection, study, taxonomy.issue_facets, verdict)
    return _sorted(frame.merge(answers.drop(columns="defect"), on=_KEY, how="left"), _KEY)


def defects(connection: Connection, study: str, taxonomy: Taxonomy, verdict: Verdict) -> pd.DataFrame:
    """Return the frame that all analysis starts from: a row a defect of the study's sample.

    Columns: `repository`, `number`, `defect` (1, 2, ... within an issue); a categorical column for each facet of the
    taxonomy, its categories in the taxonomy's order and missing where nobody answered; and those of `issues`. Labels are
    those that the study's verdict names.
    """
    answers = _answers(connection, study, taxonomy.defect_facets, verdict)
    of_issues = issues(connection, study, taxonomy, verdict)
    return _sorted(answers.merge(of_issues, on=_KEY, how="left"), [*_KEY, "defect"])


def repositories(connection: Connection, names: list[str]) -> pd.DataFrame:
    """Return what the store knows of repositories, a row a repository.

    Columns: `repository`, `kind`, `prototype`, `framework`, `architecture`, `created_at`, `stars`, `closed_issues`, and `texts`,
    the number of its issues whose text the store holds.

    Parameters
    ----------
    names
        Those to which to keep, whatever their case.
    """
    columns = (
        _NAME, _REPOSITORY.kind, _REPOSITORY.prototype, _REPOSITORY.framework, _REPOSITORY.architecture,
        _REPOSITORY.created_at, _REPOSITORY.stars, _REPOSITORY.closed_issues,
    )  # fmt: skip
    texts = select(func.count(_ISSUE.title)).where(_ISSUE.repository_id == _REPOSITORY.id).scalar_subquery()
    query = select(*columns, texts.label("texts")).where(
        func.lower(_REPOSITORY.owner + "/" + _REPOSITORY.name).in_([name.lower() for name in names])
    )
    frame = _frame(connection, query)
    frame["created_at"] = pd.to_datetime(frame["created_at"], utc=True)
    return _sorted(frame.astype({"stars": "Int64", "closed_issues": "Int64"}), ["repository"])


def sample(connection: Connection, study: str) -> pd.DataFrame:
    """Return why issues are in a study's sample, a row for each rule: `repository`, `number`, `rule`, `stratum`, `seed`."""
    query = (
        select(_NAME, _ISSUE.number, _SAMPLE.rule, _SAMPLE.stratum, _SAMPLE.seed)
        .join(_TABLES["issue"], _ISSUE.repository_id == _REPOSITORY.id)
        .join(_TABLES["sample"], _SAMPLE.issue_id == _ISSUE.id)
        .where(_SAMPLE.study == study)
    )
    return _sorted(_frame(connection, query).astype({"seed": "Int64"}), [*_KEY, "rule"])


def text_sizes(connection: Connection, study: str) -> pd.DataFrame:
    """Return how long the texts of a study's sampled issues are, a row an issue whose text the store holds.

    Columns: `repository`, `number`; in characters `title`, `body` and `answers` (all comments together); and `comments`, how
    many of these the store holds.
    """
    of_comments = (
        select(_COMMENT.issue_id, func.count().label("comments"), func.sum(func.length(_COMMENT.body)).label("answers"))
        .group_by(_COMMENT.issue_id)
        .subquery()
    )
    query = (
        select(
            _NAME, _ISSUE.number, func.length(_ISSUE.title).label("title"),
            func.coalesce(func.length(_ISSUE.body), 0).label("body"),
            func.coalesce(of_comments.c.answers, 0).label("answers"), func.coalesce(of_comments.c.comments, 0).label("comments"),
        )
        .join(_TABLES["issue"], _ISSUE.repository_id == _REPOSITORY.id)
        .outerjoin(of_comments, of_comments.c.issue_id == _ISSUE.id)
        .where(_ISSUE.title.is_not(None), _ISSUE.id.in_(select(_SAMPLE.issue_id).where(_SAMPLE.study == study)))
    )  # fmt: skip
    return _sorted(_frame(connection, query), _KEY)


def labels(connection: Connection, study: str) -> pd.DataFrame:
    """Return all labels of a study's sample, a row a label.

    Columns: `repository`, `number`, `defect` (0 for the issue as a whole), `facet`, `category`, `value`, `annotator`,
    `round`, `confidence`, `suggested` (the category that a machine had suggested, where the annotator saw one).
    """
    query = (
        select(
            _NAME, _ISSUE.number, _LABEL.defect, _LABEL.facet, _LABEL.category, _LABEL.value, _LABEL.annotator,
            _LABEL.round, _LABEL.confidence, _LABEL.suggested,
        )
        .join(_TABLES["issue"], _ISSUE.repository_id == _REPOSITORY.id)
        .join(_TABLES["label"], _LABEL.issue_id == _ISSUE.id)
        .where(_ISSUE.id.in_(select(_SAMPLE.issue_id).where(_SAMPLE.study == study)))
    )  # fmt: skip
    return _sorted(_frame(connection, query), [*_KEY, "defect", "facet", "annotator", "round"])


def remarks(connection: Connection, study: str) -> pd.DataFrame:
    """Return what annotators remarked of a study's sample besides labels, a row an issue, annotator and round.

    Columns: `repository`, `number`, `annotator`, `round`, `discuss`, `slow`, `translated`, `note`.
    """
    columns = (_REMARK.annotator, _REMARK.round, _REMARK.discuss, _REMARK.slow, _REMARK.translated, _REMARK.note)
    query = (
        select(_NAME, _ISSUE.number, *columns)
        .join(_TABLES["issue"], _ISSUE.repository_id == _REPOSITORY.id)
        .join(_TABLES["remark"], _REMARK.issue_id == _ISSUE.id)
        .where(_ISSUE.id.in_(select(_SAMPLE.issue_id).where(_SAMPLE.study == study)))
    )
    return _sorted(_frame(connection, query), [*_KEY, "annotator", "round"])


def ratings(connection: Connection, sources: list[RaterSheetsSource], taxonomy: Taxonomy) -> pd.DataFrame:
    """Return what the raters' sheets of these sources say, a row a rating, in the order of the sheets and of the facets.

    Columns: `round`, `annotator`, `row`, `number` (text), `facet`, `value`, `category` (missing where it has none).
    """
    columns = (_RATING.round, _RATING.annotator, _RATING.row, _RATING.number, _RATING.facet, _RATING.value, _RATING.category)
    frame = _frame(connection, select(*columns).where(_RATING.source.in_([source.path for source in sources])))
    sheets = {(sheet.round, sheet.annotator): i for i, sheet in enumerate(sheet for source in sources for sheet in source.sheets)}
    facets = {facet.id: i for i, facet in enumerate(taxonomy.facets)}
    places = frame.assign(
        sheet=[sheets[key] for key in zip(frame["round"], frame["annotator"], strict=True)], facet=frame["facet"].map(facets)
    )
    return frame.loc[places.sort_values(["sheet", "row", "facet"]).index].reset_index(drop=True)


def turns(connection: Connection, sources: list[str]) -> pd.DataFrame:
    """Return what is said in the interviews of these sources, a row a turn, in the order in which it was said.

    Columns: `transcript`, `turn` (1, 2, ...), `speaker`, `role`, `text`.
    """
    columns = (_TURN.transcript, _TURN.turn, _TURN.speaker, _TURN.role, _TURN.text)
    return _sorted(_frame(connection, select(*columns).where(_TURN.source.in_(sources))), ["transcript", "turn"])


def codings(connection: Connection, sources: list[str]) -> pd.DataFrame:
    """Return what coders see in the interviews of these sources, a row a code.

    Columns: `transcript`, `turn`, `coder`, `kind`, `theme`, `phase` and `confidence` (missing where nothing is said).
    """
    columns = (
        _CODING.transcript, _CODING.turn, _CODING.coder, _CODING.kind, _CODING.theme, _CODING.phase, _CODING.confidence,
    )  # fmt: skip
    query = select(*columns).where(_CODING.source.in_(sources))
    return _sorted(_frame(connection, query), ["transcript", "turn", "coder", "theme"])


def newest(connection: Connection, study: str) -> datetime | None:
    """Return the latest time in a study's sample: when an issue or a comment was written, or an issue last changed."""
    of_study = _ISSUE.id.in_(select(_SAMPLE.issue_id).where(_SAMPLE.study == study))
    of_issues = select(func.max(_ISSUE.created_at), func.max(_ISSUE.updated_at), func.max(_ISSUE.closed_at)).where(of_study)
    of_comments = select(func.max(_COMMENT.created_at)).join(_TABLES["issue"], _COMMENT.issue_id == _ISSUE.id).where(of_study)
    times = [*connection.execute(of_issues).one(), *connection.execute(of_comments).one()]
    return max(filter(None, times), default=None)


def threads(connection: Connection, repositories: list[str] | None = None) -> Iterator[Thread]:
    """Yield threads sorted by repository (case folded) and number, holding one at a time.

    An issue whose text was never collected (known only by reference) is no thread and is left out.

    Parameters
    ----------
    repositories
        Names to which to keep; None for all.
    """
    query = (
        select(
            _NAME, _ISSUE.id, _ISSUE.number, _ISSUE.title, _ISSUE.body, _ISSUE.state, _ISSUE.author, _ISSUE.created_at,
            _ISSUE.updated_at, _ISSUE.closed_at, _ISSUE.fix, _ISSUE.tracker_labels, _ISSUE.comments_complete,
            _COMMENT.position, _COMMENT.author.label("commenter"), _COMMENT.created_at.label("commented_at"),
            _COMMENT.body.label("comment"),
        )
        .select_from(_TABLES["issue"])
        .outerjoin(_TABLES["comment"], _COMMENT.issue_id == _ISSUE.id)
        .order_by(*_ORDER, _COMMENT.position)
    )  # fmt: skip
    query = _in_repositories(query, repositories)
    with connection.execute(query, execution_options={"yield_per": 1000}) as rows:
        for _, group in groupby(rows, key=lambda row: row.id):
            first, *rest = group
            answers = [first, *rest] if first.position is not None else []
            complete = first.comments_complete and all(answer.comment is not None for answer in answers)
            yield Thread(
                repository=first.repository,
                number=first.number,
                title=first.title,
                body=first.body,
                state=first.state,
                author=first.author,
                created_at=first.created_at,
                updated_at=first.updated_at,
                closed_at=first.closed_at,
                fix=first.fix,
                labels=None if first.tracker_labels is None else tuple(first.tracker_labels),
                comments=tuple(Comment(author=r.commenter, created_at=r.commented_at, body=r.comment) for r in answers)
                if complete
                else None,
            )


def updates(connection: Connection, repository: str) -> dict[int, datetime]:
    """Return when issues of a repository were last updated on the tracker, by number; those of which it is known."""
    query = select(_ISSUE.number, _ISSUE.updated_at).select_from(_TABLES["issue"])
    query = _in_repositories(query, [repository]).where(_ISSUE.updated_at.is_not(None))
    return {row.number: row.updated_at for row in connection.execute(query)}


def texts(connection: Connection) -> pd.DataFrame:
    """Return which threads there are, a row a thread: `repository`, `number`, the repository's `kind`, and `created_at`."""
    query = select(_NAME, _ISSUE.number, _REPOSITORY.kind, _ISSUE.created_at).select_from(_TABLES["issue"])
    frame = _frame(connection, _in_repositories(query, None))
    frame["created_at"] = pd.to_datetime(frame["created_at"], utc=True)
    return _sorted(frame, _KEY)


def people(connection: Connection, repositories: list[str] | None = None) -> list[str]:
    """Return the logins of all who write, each once (case folded), in the order in which they first do in `threads`.

    After them come those of issues whose texts are not known, as of a data package without texts.
    """
    by_reference = _ISSUE.title.is_(None).label("by_reference")
    opened = select(_ISSUE.author, by_reference, literal(0).label("position"), *_ORDER).select_from(_TABLES["issue"])
    answered = (
        select(_COMMENT.author, by_reference, _COMMENT.position, *_ORDER)
        .select_from(_TABLES["issue"])
        .join(_TABLES["comment"], _COMMENT.issue_id == _ISSUE.id)
    )
    opened, answered = (_in_repositories(query, repositories, texts=False) for query in (opened, answered))
    both = union_all(opened, answered).subquery().c
    rows = connection.execute(
        select(both.author)
        .where(both.author.is_not(None))
        .order_by(both.by_reference, both.owner, both.name, both.number, both.position)
    )
    seen: dict[str, str] = {}
    for login in rows.scalars():
        seen.setdefault(login.casefold(), login)
    return list(seen.values())


def _in_repositories(query: Select[Any], repositories: list[str] | None, *, texts: bool = True) -> Select[Any]:
    """Keep the issues that have a text, unless that does not matter, and those of the named repositories, if any are named."""
    query = query.join(_TABLES["repository"], _ISSUE.repository_id == _REPOSITORY.id)
    if texts:
        query = query.where(_ISSUE.title.is_not(None))
    if repositories is None:
        return query
    return query.where(func.lower(_REPOSITORY.owner + "/" + _REPOSITORY.name).in_([name.lower() for name in repositories]))


def _answers(connection: Connection, study: str, facets: list[Facet], verdict: Verdict) -> pd.DataFrame:
    """Return the verdict's labels with a column a facet: `repository`, `number`, `defect`, and the facets."""
    ids = [facet.id for facet in facets]
    query = (
        select(_NAME, _ISSUE.number, _LABEL.defect, _LABEL.facet, _LABEL.category)
        .join(_TABLES["issue"], _ISSUE.repository_id == _REPOSITORY.id)
        .join(_TABLES["label"], _LABEL.issue_id == _ISSUE.id)
        .where(
            _LABEL.annotator == verdict.annotator,
            _LABEL.round == verdict.round,
            _LABEL.facet.in_(ids),
            _ISSUE.id.in_(select(_SAMPLE.issue_id).where(_SAMPLE.study == study)),
        )
    )
    wide = _frame(connection, query).pivot(index=[*_KEY, "defect"], columns="facet", values="category")
    wide = wide.reindex(columns=ids).reset_index()
    wide.columns.name = None
    for facet in facets:
        wide[facet.id] = pd.Categorical(wide[facet.id], categories=facet.ids)
    return wide


def _frame(connection: Connection, query: Select[Any]) -> pd.DataFrame:
    result = connection.execute(query)
    return pd.DataFrame(result.fetchall(), columns=list(result.keys()))


def _sorted(frame: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Sort by columns, repositories as people sort names (case folded), and count the rows anew."""
    return frame.sort_values(columns, key=lambda c: c.str.casefold() if c.name == "repository" else c, ignore_index=True)
