"""The planner: which requests bring what is wanted, and how many; decided from numbers, before anything is sent.

A request is the unit: GitHub gives 5,000 an hour of each interface to a token, and 60 to nobody in particular. A GraphQL query
may cost several points of its own 5,000, which GitHub computes from what it asks for; the plan names them, too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from types import MappingProxyType
from typing import Literal

from pipeline.collect.github.questions import PAGE

How = Literal["graphql, with comments", "graphql", "rest", "graphql batches", "all comments", "issue by issue", "nothing"]

POINTS = {"graphql, with comments": 4, "graphql": 3, "graphql batches": 6}
"""GitHub's price of a full GraphQL query: its connections, times the issues, by 100 (`rateLimit.cost`); of anything else, 1."""


@dataclass(frozen=True, slots=True)
class Step:
    """One repository's part of a plan, with what the other ways would have taken.

    `requests` is None where nobody knows before the first page has come.
    """

    repository: str
    what: Literal["facts", "issues", "threads"]
    how: How
    requests: int | None
    points: int | None
    others: Mapping[How, int]


def pages(items: int) -> int:
    """Return how many pages hold so many items; an empty listing takes one, too."""
    return max(1, ceil(items / PAGE))


def windows(items: int) -> int:
    """Return how many pages it takes to read items in the order of their updates.

    Each page but the first begins with the last item of the one before: reading goes on at a time, not at a count.
    """
    return max(1, ceil((items - 1) / (PAGE - 1)))


def plan_issues(
    repository: str, *, issues: int | None, pull_requests: int | None, comments: bool, has_token: bool, needs_fix: bool
) -> Step:
    """Choose how a repository's issues are listed.

    Parameters
    ----------
    issues, pull_requests
        How many of each there are to list; None when not known. A REST listing holds both.
    comments
        Whether all threads are wanted, so that comments may come along.
    needs_fix
        Whether it must be known what closed an issue, which only GraphQL tells.
    """
    others: dict[How, int] = {}
    listed = None if issues is None else windows(issues)
    if issues is not None and pull_requests is not None and not needs_fix:
        others["rest"] = windows(issues + pull_requests)
    if not has_token:
        requests = others.pop("rest", None)
        return Step(repository, "issues", "rest", requests, requests, others)
    how: How = "graphql, with comments" if comments else "graphql"
    points = None if listed is None else listed * POINTS[how]
    return Step(repository, "issues", how, listed, points, others)


def plan_threads(
    wanted: Mapping[str, Sequence[int | None]],
    all_comments: Mapping[str, int | None],
    *,
    has_token: bool,
    begun: Mapping[str, str | None] = MappingProxyType({}),
) -> list[Step]:
    """Choose how the comments of wanted issues are fetched, repository by repository.

    GraphQL takes up to 100 threads of any repositories in a query: what a repository's threads cost is what they add.

    Parameters
    ----------
    wanted
        For each repository, the numbers of comments of the issues whose comments are to be fetched; None for an issue of which
        nothing is known, so that REST has to ask for the issue, too.
    all_comments
        For each repository, how many comments its listing of all comments would bring; None when that is not known.
    begun
        The ways that an earlier crawl chose and did not come to the end of. They are kept where they can be: so a crawl that was
        stopped brings what it would have brought, and fetches nothing twice.
    """
    steps = []
    batched: list[int | None] = []
    for repository, counts in wanted.items():
        if not counts:
            steps.append(Step(repository, "threads", "nothing", 0, 0, {}))
            continue
        prices: dict[How, int] = {"issue by issue": sum(pages(count or 0) + (count is None) for count in counts)}
        if (total := all_comments[repository]) is not None:
            prices["all comments"] = windows(total)
        if has_token:
            prices["graphql batches"] = batch_requests([*batched, *counts]) - batch_requests(batched)
        how: How = min(prices, key=lambda way: (way != begun.get(repository), prices[way], way))
        if how == "graphql batches":
            batched += counts
        others = {way: price for way, price in prices.items() if way != how}
        steps.append(Step(repository, "threads", how, prices[how], prices[how] * POINTS.get(how, 1), others))
    return steps


def batch_requests(counts: Sequence[int | None]) -> int:
    """Return how many GraphQL queries bring threads with so many comments, 100 threads a query, 100 comments of each."""
    left = [pages(count or 0) for count in counts]
    requests = 0
    while left:
        requests += 1
        left = left[PAGE:] + [n - 1 for n in left[:PAGE] if n > 1]
    return requests
