"""What models say of issues, written and read back; and the issues that are not to be asked about any more."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd
from sqlalchemy import Connection, and_, delete, false, func, insert, or_, select

from pipeline.facts import IssueReference
from pipeline.store.bulk import put_rows
from pipeline.store.schema import Base
from pipeline.study import Verdict

_TABLES = Base.metadata.tables
_ISSUE, _REPOSITORY, _LABEL = (_TABLES[name].c for name in ("issue", "repository", "label"))
_MODEL, _PREDICTION = _TABLES["model"], _TABLES["prediction"]
_NAME = _REPOSITORY.owner + "/" + _REPOSITORY.name
_BATCH = 500


class Said(NamedTuple):
    """What a model says of a facet of an issue: of each category how likely it is, which it guesses, and whether it abstains."""

    probabilities: Mapping[str, float]
    guess: str
    abstained: bool


class _Row(NamedTuple):
    facet: str
    probability: float
    guess: bool
    abstained: bool


def put_predictions(
    connection: Connection, name: str, digest: str, predictions: Mapping[IssueReference, Mapping[str, Said]]
) -> int:
    """Make the store hold exactly these predictions of a model for these issues; return for how many they had to change.

    Parameters
    ----------
    name, digest
        Of the model: what it is called, and the SHA-256 of its file.
    predictions
        By issue and facet.
    """
    models = _models(connection, name, digest, {facet for of in predictions.values() for facet in of})
    issues = _issue_ids(connection, list(predictions))
    wanted = {
        (models[facet], issues[reference], category): _Row(facet, probability, category == said.guess, said.abstained)
        for reference, of in predictions.items()
        for facet, said in of.items()
        for category, probability in said.probabilities.items()
        if probability > 0 or category == said.guess
    }
    stale: list[int] = []
    changed: set[int] = set()
    columns = ("id", "model_id", "issue_id", "category", *_Row._fields)
    query = select(*(_PREDICTION.c[column] for column in columns)).where(
        _PREDICTION.c.model_id.in_(models.values()), _PREDICTION.c.issue_id.in_(issues.values())
    )
    for id_, model, issue, category, *said_before in connection.execute(query):
        key = (model, issue, category)
        if key in wanted and wanted[key] == tuple(said_before):
            del wanted[key]
        else:
            stale.append(id_)
            changed.add(issue)
    for start in range(0, len(stale), _BATCH):
        connection.execute(delete(_PREDICTION).where(_PREDICTION.c.id.in_(stale[start : start + _BATCH])))
    rows: list[dict[str, Any]] = [
        {"model_id": model, "issue_id": issue, "category": category, **row._asdict()}
        for (model, issue, category), row in wanted.items()
    ]
    put_rows(connection, _PREDICTION, rows)
    return len(changed | {row["issue_id"] for row in rows})


def predictions(connection: Connection, name: str, digest: str | None = None, facet: str | None = None) -> pd.DataFrame:
    """Return what models of a name say, a row a probability.

    Columns: `repository`, `number`, `digest` (of the model's file), `facet`, `category`, `probability`, `guess` (true for the
    category that the model names), `abstained` (of the whole facet).

    Parameters
    ----------
    digest, facet
        Only those of this model file, and of this facet; all, if not given.
    """
    wanted = [_MODEL.c.name == name]
    if digest is not None:
        wanted.append(_MODEL.c.digest == digest)
    if facet is not None:
        wanted.append(_PREDICTION.c.facet == facet)
    query = (
        select(
            _NAME.label("repository"), _ISSUE.number, _MODEL.c.digest, _PREDICTION.c.facet, _PREDICTION.c.category,
            _PREDICTION.c.probability, _PREDICTION.c.guess, _PREDICTION.c.abstained,
        )
        .select_from(_PREDICTION)
        .join(_MODEL, _PREDICTION.c.model_id == _MODEL.c.id)
        .join(_TABLES["issue"], _PREDICTION.c.issue_id == _ISSUE.id)
        .join(_TABLES["repository"], _ISSUE.repository_id == _REPOSITORY.id)
        .where(*wanted)
        .order_by(
            func.lower(_REPOSITORY.owner), func.lower(_REPOSITORY.name), _ISSUE.number, _MODEL.c.digest, _PREDICTION.c.facet,
            _PREDICTION.c.category,
        )
    )  # fmt: skip
    result = connection.execute(query)
    return pd.DataFrame(result.fetchall(), columns=list(result.keys()))


def guesses(
    connection: Connection, digest: str, issues: list[IssueReference]
) -> dict[IssueReference, dict[str, tuple[str, float]]]:
    """Return what the model of a file (its SHA-256) guesses of these issues, by facet, with its probability.

    What it is not sure enough of is left out, and so are issues that it was never asked about.
    """
    references = {id_: reference for reference, id_ in _issue_ids(connection, issues).items()}
    query = (
        select(_PREDICTION.c.issue_id, _PREDICTION.c.facet, _PREDICTION.c.category, _PREDICTION.c.probability)
        .join(_MODEL, _PREDICTION.c.model_id == _MODEL.c.id)
        .where(_MODEL.c.digest == digest, _PREDICTION.c.guess, _PREDICTION.c.abstained.is_(False))
        .order_by(_PREDICTION.c.issue_id, _PREDICTION.c.facet)
    )
    found: dict[IssueReference, dict[str, tuple[str, float]]] = {}
    for issue, facet, category, probability in connection.execute(query):
        if issue in references:
            found.setdefault(references[issue], {})[facet] = (category, probability)
    return found


def settled(connection: Connection, verdict: Verdict | None) -> set[tuple[str, int]]:
    """Return the issues that a verdict labels, if one is given (repository case folded, and number), and all pull requests."""
    whose = (_LABEL.annotator == verdict.annotator, _LABEL.round == verdict.round) if verdict else (false(),)
    labelled = select(_LABEL.issue_id).where(*whose)
    rows = connection.execute(
        select(_NAME, _ISSUE.number)
        .join(_TABLES["repository"], _ISSUE.repository_id == _REPOSITORY.id)
        .where(or_(_ISSUE.id.in_(labelled), _ISSUE.pull_request))
    )
    return {(repository.casefold(), number) for repository, number in rows}


def _models(connection: Connection, name: str, digest: str, facets: set[str]) -> dict[str, int]:
    """Return the ids of a model's rows by facet: those that are there, and of these facets those that are added."""
    query = select(_MODEL.c.facet, _MODEL.c.id).where(_MODEL.c.name == name, _MODEL.c.digest == digest)
    known = {row.facet: row.id for row in connection.execute(query)}
    for facet in sorted(facets - known.keys()):
        row = connection.execute(insert(_MODEL).returning(_MODEL.c.id), {"name": name, "facet": facet, "digest": digest})
        known[facet] = row.scalar_one()
    return known


def _issue_ids(connection: Connection, references: list[IssueReference]) -> dict[IssueReference, int]:
    by_repository: dict[str, list[IssueReference]] = {}
    for reference in references:
        by_repository.setdefault(reference.repository.lower(), []).append(reference)
    found: dict[IssueReference, int] = {}
    for these in by_repository.values():
        owner, name = these[0].repository.lower().split("/")
        query = (
            select(_ISSUE.number, _ISSUE.id)
            .join(_TABLES["repository"], _ISSUE.repository_id == _REPOSITORY.id)
            .where(
                and_(func.lower(_REPOSITORY.owner) == owner, func.lower(_REPOSITORY.name) == name),
                _ISSUE.number.in_([reference.number for reference in these]),
            )
        )
        ids = {row.number: row.id for row in connection.execute(query)}
        found |= {reference: ids[reference.number] for reference in these if reference.number in ids}
    return found
