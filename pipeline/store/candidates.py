"""Reads what a selection asks of issues and repositories. Without bodies: 100,000 issues are cheap."""

from sqlalchemy import Connection, func, select

from pipeline.facts import IssueReference
from pipeline.selection import Candidate, CandidateRepository
from pipeline.store.predictions import settled
from pipeline.store.schema import Base
from pipeline.study import Verdict

_TABLES = Base.metadata.tables
_REPOSITORY, _ISSUE = _TABLES["repository"].c, _TABLES["issue"].c


def candidates(
    connection: Connection, repositories: list[str] | None = None
) -> tuple[list[CandidateRepository], list[Candidate]]:
    """Return the issues that may be selected, and the repositories that have some; in no order, since selecting sorts them.

    An issue whose text was never collected (known only by a label's reference) is no candidate.

    Parameters
    ----------
    repositories
        Names to which to keep, whatever their case; None for all.
    """
    known = _repositories(connection, repositories)
    found: list[Candidate] = []
    with_issues: list[CandidateRepository] = []
    for id_, repository in known.items():
        rows = connection.execute(
            select(
                _ISSUE.number, _ISSUE.pull_request, _ISSUE.state, _ISSUE.created_at, _ISSUE.comment_count,
                _ISSUE.tracker_labels, _ISSUE.fix,
            ).where(_ISSUE.repository_id == id_, _ISSUE.title.is_not(None))
        ).all()  # fmt: skip
        found += [
            Candidate(
                IssueReference(repository.name, number),
                pull_request,
                state,
                created_at,
                comment_count,
                None if labels is None else tuple(labels),
                fix,
            )
            for number, pull_request, state, created_at, comment_count, labels, fix in rows
        ]
        if rows:
            with_issues.append(repository)
    return with_issues, found


def candidate_repositories(connection: Connection, names: list[str]) -> list[CandidateRepository]:
    """Return what the store knows of these repositories, with issues or without, whatever the case of their names."""
    return list(_repositories(connection, names).values())


def _repositories(connection: Connection, names: list[str] | None) -> dict[int, CandidateRepository]:
    query = select(
        _REPOSITORY.id, _REPOSITORY.owner, _REPOSITORY.name, _REPOSITORY.kind, _REPOSITORY.architecture,
        _REPOSITORY.stars, _REPOSITORY.closed_issues,
    )  # fmt: skip
    if names is not None:
        query = query.where(func.lower(_REPOSITORY.owner + "/" + _REPOSITORY.name).in_([name.lower() for name in names]))
    return {
        r.id: CandidateRepository(f"{r.owner}/{r.name}", r.kind, r.architecture, r.stars, r.closed_issues)
        for r in connection.execute(query)
    }


def issues_to_label(connection: Connection, study: str, verdict: Verdict | None) -> list[tuple[IssueReference, str]]:
    """Return a study's sampled issues that its verdict does not label yet, with the kind of their repository, sorted.

    Pull requests are left out. Without a verdict, issues that are labelled are not.
    """
    sample = _TABLES["sample"].c
    known = settled(connection, verdict)
    rows = connection.execute(
        select(_REPOSITORY.owner + "/" + _REPOSITORY.name, _ISSUE.number, _REPOSITORY.kind)
        .join(_TABLES["issue"], _ISSUE.repository_id == _REPOSITORY.id)
        .where(_ISSUE.id.in_(select(sample.issue_id).where(sample.study == study)))
        .order_by(func.lower(_REPOSITORY.owner), func.lower(_REPOSITORY.name), _ISSUE.number)
    )
    return [
        (IssueReference(name, number), kind or "unknown") for name, number, kind in rows if (name.casefold(), number) not in known
    ]
