"""The texts of an imported package, fetched anew from the tracker: exactly the issues that the package names.

What others wrote is in no default package. Whoever has one can fetch it by reference, as far as it is still there.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import pyarrow.parquet as pq

from pipeline.crawling import Wish
from pipeline.errors import RedefectError
from pipeline.facts import IssueReference
from pipeline.package_import import REFERENCES
from pipeline.package_tables import tables
from pipeline.store import crawls
from pipeline.store.package_rows import rows
from pipeline.store.session import Store
from pipeline.study import Study

Status = Literal["complete", "changed since", "moved", "gone", "not fetched"]


@dataclass(frozen=True, slots=True)
class Reference:
    """An issue as a package tells it: when it was last changed and how many comments it had, where that is known."""

    issue: IssueReference
    updated_at: datetime | None
    comment_count: int | None


@dataclass(frozen=True, slots=True)
class Rehydrated:
    """What became of an issue of a package.

    `complete`: its whole thread is in the store, as far as can be told as it was; `changed since`: it is, and the issue was
    changed or answered after the package was made; `moved`: it is in another repository today, where it is not followed; `gone`:
    there is no such issue any more; `not fetched`: nobody has asked yet.
    """

    issue: IssueReference
    status: Status
    why: str = ""


def references(study: Study) -> list[Reference]:
    """Return the issues of the package that a study was imported from, as the package tells them.

    Raises
    ------
    RedefectError
        If the study is from no package.
    """
    path = study.root / REFERENCES / "issues.parquet"
    if not path.is_file():
        raise RedefectError(
            f"Study '{study.name}' in {study.root} is from no package; give a package (a .zip or a folder), or the folder that "
            "`redefect import package` made."
        )
    found = pq.read_table(path, columns=["repository", "number", "updated_at", "comment_count"]).to_pylist()
    return [Reference(IssueReference(r["repository"], r["number"]), r["updated_at"], r["comment_count"]) for r in found]


def wish_for(references: list[Reference]) -> Wish:
    """Return the crawl that fetches these issues and nothing else; it passes over the threads that the store holds whole."""
    return Wish([], named=[reference.issue for reference in references])


def outcome(store: Store, study: Study, references: list[Reference], places: dict[str, str]) -> list[Rehydrated]:
    """Tell what became of the issues of a package, from what the store holds now and what the crawl met.

    Parameters
    ----------
    places
        Why something is not there or elsewhere, by `owner/name` or `owner/name#12`: see `pipeline.crawling.CrawlReport`.
    """
    described = {table.name: table for table in tables(with_text=True)}
    with store.reading() as connection:
        now = {(r["repository"], r["number"]): r for r in rows(connection, described["issues"], study.name).to_pylist()}
        whole = {
            (name, state.number)
            for name in {reference.issue.repository for reference in references}
            for state in crawls.issue_states(connection, name)
            if state.complete
        }
    return [
        _became(reference, now.get(key) if key in whole else None, places)
        for reference in references
        for key in [(reference.issue.repository, reference.issue.number)]
    ]


def _became(reference: Reference, now: dict[str, Any] | None, places: dict[str, str]) -> Rehydrated:
    issue = reference.issue
    if now is None:
        why = places.get(f"{issue.repository}#{issue.number}") or places.get(issue.repository)
        if why is None:
            return Rehydrated(issue, "not fetched")
        return Rehydrated(issue, "moved" if why.startswith("transferred to ") else "gone", why)
    changed = []
    if reference.updated_at is not None and reference.updated_at != now["updated_at"]:
        changed.append(f"last changed at {reference.updated_at:%Y-%m-%dT%H:%M:%SZ} then")
    if reference.comment_count is not None and reference.comment_count != now["comment_count"]:
        changed.append(f"{reference.comment_count} comments then")
    return Rehydrated(issue, "changed since" if changed else "complete", ", ".join(changed))


def counts(became: list[Rehydrated]) -> dict[str, int]:
    """Count the issues of each status, all of them named."""
    found = Counter(one.status for one in became)
    return {status: found[status] for status in ("complete", "changed since", "moved", "gone", "not fetched")}
