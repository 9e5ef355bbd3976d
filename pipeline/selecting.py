"""Selection at work: a study's sample drawn from the store and stored in one unit of work; repositories found by searching."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection

from pipeline import __version__
from pipeline.collect.github.client import Client
from pipeline.collect.github.questions import (
    MOST_SEARCHED,
    PAGE,
    ClosedIssueCount,
    RepositoryFacts,
    RepositorySearch,
)
from pipeline.errors import RedefectError
from pipeline.selection import (
    RULES,
    CandidateRepository,
    Decision,
    Drawn,
    SampleSize,
    sample_sizes,
    select_issues,
    select_repositories,
)
from pipeline.store import write
from pipeline.store.candidates import candidate_repositories, candidates
from pipeline.store.session import Store
from pipeline.study import Study


@dataclass(frozen=True, slots=True)
class SelectionReport:
    """What was drawn, how far it carries, and where it goes.

    `missing` names the repositories asked for of which the store holds no issue's text; `changed` counts the rows of the
    store that had to change, and is None when the sample was not stored; `file` is the place for its table.
    """

    drawn: Drawn
    sizes: list[SampleSize]
    missing: list[str]
    changed: int | None
    file: Path


def select_sample(store: Store, study: Study, margin: float, only: Sequence[str] = ()) -> SelectionReport:
    """Draw a study's sample from the issues of its repositories that the store holds, and store it.

    Labels say of themselves that their issues are in the study (`redefect import study`); what is drawn stands beside that and
    replaces only what was drawn before. What the study file says of a repository goes before what the store knows of it.

    Parameters
    ----------
    margin
        The margin for which sample sizes are asked.
    only
        Repositories to draw from instead, in the study or not. Such a sample is a trial of the study's criteria: it is not
        stored, because it would stand for the study's whole sample and would then be but a part of it.

    Raises
    ------
    RedefectError
        If the store holds no issue of these repositories; the store is as it was.
    """
    wanted = list(only) or [repository.name for repository in study.repositories]
    with store.reading() if only else store.writing() as connection:
        drawn, there = draw(connection, study, wanted)
        if not there:
            whose = ", ".join(only) or f"study '{study.name}'"
            raise RedefectError(
                f"The database holds no text of an issue of {whose} to select from; crawl its repositories or import their "
                "threads first."
            )
        sizes = sample_sizes(drawn, margin)
        missing = sorted({name for name in wanted if name.casefold() not in there}, key=str.casefold)
        if only:
            return SelectionReport(drawn, sizes, missing, None, study.build / "sample-trial.csv")
        rows = [write.SampleRow(d.issue, d.rule, d.stratum, d.seed) for d in drawn.sample]
        changed = write.put_sample(connection, study.name, rows, f"study {study.name}", RULES)
        if changed:
            write.put_run(
                connection, command="select issues", study=study.name, study_digest=study.digest, version=__version__,
                inputs={}, finished_at=datetime.now(UTC),
            )  # fmt: skip
    return SelectionReport(drawn, sizes, missing, changed, study.build / "sample.csv")


def find_repositories(study: Study, client: Client) -> list[Decision]:
    """Search the tracker for the repositories that a study's searches describe, and decide on them by its criteria.

    A search gives no more than 1,000 repositories: beyond, it is asked again for those with fewer stars. With a token, the
    numbers of closed issues come for 100 repositories a request, without one for one.

    Raises
    ------
    RedefectError
        If the study has no searches.
    """
    selection = study.selection
    if not selection.searches:
        raise RedefectError(f"{study.path}: the study has no [[selection.searches]]; add one with words to search for.")
    found: dict[str, CandidateRepository] = {}
    for search in selection.searches:
        question = RepositorySearch(words=search.words, minimum_stars=selection.minimum_stars)
        while True:
            page = client.ask(question)
            for r in page.repositories:
                found.setdefault(r.name.casefold(), CandidateRepository(r.name, search.kind, search.architecture, r.stars))
            fewest = min((r.stars for r in page.repositories), default=None)
            if page.after is not None:
                question = question.model_copy(update={"after": page.after})
            elif (page.total or 0) > MOST_SEARCHED and fewest not in (None, question.maximum_stars):
                question = question.model_copy(update={"maximum_stars": fewest, "after": None})
            else:
                break
    names = sorted((r.name for r in found.values()), key=str.casefold)
    closed: dict[str, int | None] = {}
    if not selection.minimum_closed_issues:
        pass
    elif client.has_token:
        for start in range(0, len(names), PAGE):
            for facts in client.ask(RepositoryFacts(repositories=tuple(names[start : start + PAGE]))).repositories:
                closed[facts.name] = facts.closed_issues
    else:
        closed = {name: client.ask(ClosedIssueCount(repository=name)).total for name in names}
    return select_repositories(selection, [replace(r, closed_issues=closed.get(r.name)) for r in found.values()])


def draw(connection: Connection, study: Study, names: Sequence[str]) -> tuple[Drawn, set[str]]:
    """Draw by a study's criteria from the issues of repositories that the store holds, changing nothing.

    What the study file says of a repository goes before what the store knows of it. The second value holds the repositories
    (names case folded) of which the store holds issues.
    """
    repositories, issues = candidates(connection, list(names))
    drawn = select_issues(study.selection, _as_the_study_says(study, repositories), issues, study.seeds.sample)
    return drawn, {r.name.casefold() for r in repositories}


def failing(connection: Connection, study: Study, names: Sequence[str]) -> dict[str, str]:
    """Return which of these repositories fail a study's criteria of repositories, by name (case folded), and which one."""
    known = _as_the_study_says(study, candidate_repositories(connection, list(names)))
    return {d.repository.name.casefold(): d.fails for d in select_repositories(study.selection, known) if d.fails is not None}


def _as_the_study_says(study: Study, repositories: Iterable[CandidateRepository]) -> list[CandidateRepository]:
    listed = {repository.name.casefold(): repository for repository in study.repositories}
    return [
        replace(r, kind=told.kind, architecture=told.architecture or r.architecture)
        if (told := listed.get(r.name.casefold()))
        else r
        for r in repositories
    ]
