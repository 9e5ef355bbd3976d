"""The crawl: what GitHub answers, asked by `collect` and stored by `store`, a page a transaction."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from math import ceil
from typing import Any

from sqlalchemy import Connection

from pipeline import __version__
from pipeline.collect.github.archive import Archive
from pipeline.collect.github.budget import TOKEN_VARIABLES
from pipeline.collect.github.client import Client, GoneError, PaginationLimitedError, TooHeavyError, Unwatched, Watch
from pipeline.collect.github.plan import How, Step, pages, plan_issues, plan_threads
from pipeline.collect.github.questions import (
    PAGE,
    ClosedIssueCount,
    CommentPage,
    IssuePage,
    OneIssue,
    OneRepository,
    Page,
    Question,
    RepositoryFacts,
    ThreadItem,
    ThreadPage,
    Threads,
)
from pipeline.errors import RedefectError
from pipeline.facts import IssueReference
from pipeline.importing import labelled_issues
from pipeline.intake import COMMENTS, FACTS, LISTED, WAY, cursor_at, position_of, repositories_of, store_answer
from pipeline.selecting import draw, failing
from pipeline.store import crawls, write
from pipeline.store.crawls import CrawlState, IssueState
from pipeline.store.session import Store
from pipeline.study import State, Study

_MOST_RESTARTS = 5


@dataclass(frozen=True, slots=True)
class Wish:
    """What a crawl is to bring: for each repository the issues whose threads are wanted.

    Parameters
    ----------
    repositories
        Those whose issues are listed; with none, only `named` is fetched.
    whole
        All threads of these repositories are wanted.
    named
        Issues whose threads are wanted whatever a selection says.
    """

    repositories: list[str]
    whole: bool = False
    named: Sequence[IssueReference] = ()

    def state(self, study: Study) -> State:
        """Return the state of the issues that are listed."""
        return "all" if self.whole else study.selection.state


@dataclass(slots=True)
class RepositoryReport:
    """What a crawl brought of one repository, and what the store holds of it now."""

    repository: str
    issues: int = 0
    wanted: int = 0
    complete: int = 0
    comments: int = 0


@dataclass(slots=True)
class CrawlReport:
    """What a crawl planned, asked, got and met."""

    plan: list[Step] = field(default_factory=list)
    requests: int = 0
    """Requests sent, failed ones and redirects included."""
    answers: Counter[str] = field(default_factory=Counter)
    """Usable answers by what was asked."""
    unchanged: int = 0
    """Answers that nothing changed (ETag), which cost nothing."""
    repositories: list[RepositoryReport] = field(default_factory=list)
    incidents: Counter[tuple[str, str]] = field(default_factory=Counter)
    places: dict[str, str] = field(default_factory=dict)
    changed: int = 0

    @property
    def expected(self) -> int:
        """How many requests the plan came to."""
        return sum(step.requests or 0 for step in self.plan)

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON holds it; it tells no times, so that equal crawls give equal reports."""
        return {
            "requests": {"expected": self.expected, "sent": self.requests, "unchanged": self.unchanged},
            "answers": dict(sorted(self.answers.items())),
            "plan": [
                {"repository": s.repository, "what": s.what, "how": s.how, "requests": s.requests, "points": s.points,
                 "others": dict(sorted(s.others.items()))}
                for s in self.plan
            ],
            "repositories": [
                {"repository": r.repository, "issues": r.issues, "wanted": r.wanted, "complete": r.complete,
                 "comments": r.comments}
                for r in self.repositories
            ],
            "incidents": [
                {"what": what, "done": done, "times": times} for (what, done), times in sorted(self.incidents.items())
            ],
            "places": dict(sorted(self.places.items())),
        }  # fmt: skip


def wish_of(study: Study, repositories: Sequence[str], *, labelled: bool, whole: bool) -> Wish:
    """Return what a study's crawl is to bring: what it selects, and the issues that its labels name.

    Parameters
    ----------
    repositories
        Only these; with none, those of the study.
    labelled
        Only what labels name, those in `data/annotations` included; nothing is listed.

    Raises
    ------
    RedefectError
        If a file with labels is missing or wrong, or a name is no `owner/name`.
    """
    for name in repositories:
        if not re.fullmatch(r"[A-Za-z0-9-]+/[A-Za-z0-9._-]+", name):
            raise RedefectError(f"'{name}' is no repository; give owner/name.")
    only = {name.casefold() for name in repositories}
    # Invented studies live on a tracker of their own, where there is nothing of what real labels name.
    labels = labelled_issues(study, with_annotations=labelled and not study.fictional)
    named = [issue for issue in labels if not only or issue.repository.casefold() in only]
    if labelled:
        return Wish([], named=named)
    return Wish(list(repositories) or [r.name for r in study.repositories], whole, named)


class Crawl:
    """A crawl of a study's issues into a store.

    Parameters
    ----------
    client
        Who asks.
    archive
        Where answers are kept as they came, if anywhere.
    """

    def __init__(
        self, store: Store, study: Study, client: Client, *, archive: Archive | None = None, watch: Watch | None = None
    ) -> None:
        self.report = CrawlReport(incidents=client.incidents.counted, places=client.incidents.listed)
        self._store = store
        self._study = study
        self._client = client
        self._archive = archive
        self._watch = watch or Unwatched()
        self._size = PAGE

    def run(self, wish: Wish, announce: Callable[[list[Step]], None] = lambda _: None) -> CrawlReport:
        """Bring what is wished for, and what of it is new or has changed since the last time.

        Parameters
        ----------
        announce
            Told each part of the plan before it is begun.

        Raises
        ------
        RedefectError
            If GitHub cannot tell what the study asks for, or gives no usable answer; what was collected is stored.
        """
        self._check_that_fixes_can_be_known(wish)
        try:
            self.report.plan += self._plan_facts(wish.repositories)
            there = self._learn_facts(wish)
            listings = self._plan_issues(there, wish)
            self.report.plan += listings
            announce(self.report.plan)
            for step in listings:
                self._list_issues(step.repository, wish, step.how)
            self._fetch_threads(there, wish, announce)
        finally:
            self.report.requests = self._client.requests
            if self.report.changed:
                self._put_run()
        self._count(wish, there)
        return self.report

    def plan(self, wish: Wish) -> list[Step]:
        """Say what a crawl would do and what it would cost, asking for nothing but the numbers that this takes."""
        there = self._learn_facts(wish)
        self.report.requests = self._client.requests
        steps = self._plan_issues(there, wish)
        if wish.whole:
            return steps
        with self._store.reading() as connection:
            wanted = self._wanted(connection, there, wish)
            counts = {name: [s.comment_count for s in states] for name, states in wanted.items()}
            for name in there:
                stands = crawls.state(connection, name, LISTED[wish.state(self._study)]) or CrawlState()
                if not stands.counts.get("complete"):  # as many as may be drawn; how long their threads are is not known yet
                    counts[name] += [0] * (self._most_drawn(connection, name) - len(counts[name]))
            totals = {name: _comments_to_list(connection, name, states) for name, states in wanted.items()}
        threads = plan_threads(counts, totals, has_token=self._client.has_token)
        return steps + [step for step in threads if step.how != "nothing"]

    def _most_drawn(self, connection: Connection, name: str) -> int:
        """Return how many issues of a repository may be drawn at most."""
        selection = self._study.selection
        facts = (crawls.state(connection, name, FACTS) or CrawlState()).counts
        issues = (facts.get("closed_issues") if selection.state == "closed" else facts.get("issues")) or 0
        if not selection.most_commented and not selection.random_share_of_largest_zoos:
            return issues
        zoo = any(r.kind == "zoo" for r in self._study.repositories if r.name.casefold() == name.casefold())
        share = selection.random_share_of_largest_zoos if zoo else 0.0
        return min(issues, (selection.most_commented or 0) + ceil(share * issues))

    def _check_that_fixes_can_be_known(self, wish: Wish) -> None:
        if wish.repositories and not wish.whole and self._study.selection.with_fix and not self._client.has_token:
            highest: dict[str, int] = {}
            for issue in wish.named:
                highest[issue.repository] = max(highest.get(issue.repository, 0), issue.number)
            listing = sum(pages(highest.get(name, 0)) for name in wish.repositories)
            raise RedefectError(
                f"Study '{self._study.name}' asks for issues that were closed with a fix: GitHub tells that by GraphQL only, and "
                f"answers GraphQL only to a token. Put one into {TOKEN_VARIABLES[1]} (it needs no permission). It gives 5,000 "
                f"requests an hour; this crawl takes about {listing:,} for the issues of its {len(wish.repositories)} "
                "repositories, by the highest numbers among its labels, and "
                f"{pages(len(wish.named))} or more for the threads that it keeps."
            )

    def _plan_issues(self, repositories: Iterable[str], wish: Wish) -> list[Step]:
        """Plan how the issues of these repositories are listed, from what the store knows of them."""
        selection = self._study.selection
        rest_only = selection.pull_requests
        steps = []
        with self._store.reading() as connection:
            for name in repositories:
                facts = (crawls.state(connection, name, FACTS) or CrawlState()).counts
                issues, pull_requests = facts.get("issues"), facts.get("pull_requests")
                stands = crawls.state(connection, name, LISTED[wish.state(self._study)]) or CrawlState()
                if stands.counts.get("complete"):
                    issues, pull_requests = 1, 0  # what changed since: a page, as a rule
                elif selection.state == "closed" and not wish.whole:
                    issues = facts.get("closed_issues", issues)
                steps.append(
                    plan_issues(
                        name, issues=issues, pull_requests=pull_requests, comments=wish.whole,
                        has_token=self._client.has_token and not rest_only, needs_fix=selection.with_fix,
                    )
                )  # fmt: skip
        return steps

    def _unknown(self, repositories: Sequence[str]) -> list[str]:
        """Return the repositories of which not all is known that the selection asks; a crawl may have been stopped in between."""
        with self._store.reading() as connection:
            facts = {name: crawls.state(connection, name, FACTS) for name in repositories}
        counted = not self._study.selection.minimum_closed_issues
        return [name for name, stands in facts.items() if stands is None or not (counted or "closed_issues" in stands.counts)]

    def _plan_facts(self, repositories: Sequence[str]) -> list[Step]:
        new = len(self._unknown(repositories))
        if not new:
            return []
        a_piece = 2 if self._study.selection.minimum_closed_issues else 1
        requests = pages(new) if self._client.has_token else new * a_piece
        how: How = "graphql" if self._client.has_token else "rest"
        return [Step(f"{new} repositories", "facts", how, requests, requests, {})]

    def _learn_facts(self, wish: Wish) -> list[str]:
        """Ask what there is under names of which nothing is known, and return the repositories whose issues are to be listed."""
        new = self._unknown(wish.repositories)
        gone: set[str] = set()
        if self._client.has_token:
            for start in range(0, len(new), PAGE):
                page = self._ask(RepositoryFacts(repositories=tuple(new[start : start + PAGE])))
                gone |= set() if page is None else set(page.missing)
        else:
            for name in new:
                if (page := self._ask(OneRepository(repository=name))) is None:
                    gone.add(name)
                elif self._study.selection.minimum_closed_issues:
                    now = page.repositories[0].now
                    self._ask(ClosedIssueCount(repository=name, now=None if now.lower() == name.lower() else now))
        there = [name for name in wish.repositories if name not in gone]
        return there if wish.whole else self._meeting_the_criteria(there)

    def _meeting_the_criteria(self, names: list[str]) -> list[str]:
        """Return the repositories that meet the study's criteria of repositories: of others, no issue is listed."""
        with self._store.reading() as connection:
            fails = failing(connection, self._study, names)
        self.report.places |= {name: f"not listed: {fails[name.casefold()]}" for name in names if name.casefold() in fails}
        return [name for name in names if name.casefold() not in fails]

    def _list_issues(self, name: str, wish: Wish, how: How) -> None:
        selection = self._study.selection
        wanted = wish.state(self._study)
        comments, rest = how == "graphql, with comments", how == "rest"
        restarts, goes_on = 0, not rest
        while True:
            with self._store.reading() as connection:
                stands = crawls.state(connection, name, LISTED[wanted]) or CrawlState()
            since, after = position_of(stands.cursor, goes_on=goes_on)
            goes_on = True
            question = IssuePage(
                api="rest" if rest else "graphql", repository=name, since=since, after=after, size=PAGE if rest else self._size,
                state="all" if stands.counts.get("complete") else wanted, adds=wanted,
                comments=comments, pull_requests=selection.pull_requests,
            )  # fmt: skip
            try:
                page = self._ask(question, stands.etag if rest and after is None else None, divisible=self._size > 1)
            except TooHeavyError:
                self._size = max(1, self._size // 2)
                continue
            except PaginationLimitedError:
                restarts = self._restart(name, restarts)
                continue
            if not rest:
                self._size = min(PAGE, self._size * 2)
            if page is None or page.unchanged or page.missing or page.after is None:
                return

    def _restart(self, name: str, restarts: int) -> int:
        """Go back to the beginning of the second in which a listing was refused further pages."""
        if restarts >= _MOST_RESTARTS:
            raise RedefectError(
                f"{name}: GitHub gives no further pages of this listing, again and again; what was collected is stored, and the "
                "same command goes on there. With a token, issues are listed by GraphQL, which has no such limit."
            )
        self._client.incidents.count("a listing that is limited in pages", "listed anew from where it stopped")
        with self._store.writing([name]) as connection:
            for resource in (*LISTED.values(), COMMENTS):
                if (stands := crawls.state(connection, name, resource)) is not None:
                    since, _ = position_of(stands.cursor)
                    crawls.put_state(connection, name, resource, stands._replace(cursor=cursor_at(since, None)))
        return restarts + 1

    def _fetch_threads(self, repositories: Sequence[str], wish: Wish, announce: Callable[[list[Step]], None]) -> None:
        with self._store.reading() as connection:
            wanted = self._wanted(connection, repositories, wish)
            steps = plan_threads(
                {name: [s.comment_count for s in states] for name, states in wanted.items()},
                {name: _comments_to_list(connection, name, states) for name, states in wanted.items()},
                has_token=self._client.has_token,
                begun={name: (crawls.state(connection, name, WAY) or CrawlState()).cursor for name in wanted},
            )
        steps = [step for step in steps if step.how != "nothing"]
        with self._store.writing([step.repository for step in steps]) as connection:
            for step in steps:
                if crawls.knows(connection, step.repository):  # of one that was never met, it may be that there is none
                    crawls.put_state(connection, step.repository, WAY, CrawlState(step.how))
        self.report.plan += steps
        announce(steps)
        batched: list[ThreadItem] = []
        for step in steps:
            numbers = [s.number for s in wanted[step.repository]]
            if step.how == "all comments":
                self._list_comments(step.repository)
                with self._store.reading() as connection:
                    complete = {s.number for s in crawls.issue_states(connection, step.repository, numbers) if s.complete}
                numbers = [number for number in numbers if number not in complete]
            if step.how == "issue by issue" or not self._client.has_token:
                for number in numbers:
                    self._read_thread(step.repository, number)
            else:
                batched += self._items(step.repository, numbers)
        self._read_batches(batched)
        with self._store.writing(wanted) as connection:
            for name in wanted:
                crawls.put_state(connection, name, WAY, None)

    def _wanted(self, connection: Connection, repositories: Sequence[str], wish: Wish) -> dict[str, list[IssueState]]:
        """Return the threads that are wanted and not complete in the store, by repository."""
        named: dict[str, set[int]] = {}
        for issue in wish.named:
            named.setdefault(issue.repository, set()).add(issue.number)
        chosen = {name: set(numbers) for name, numbers in named.items()}
        drawn = () if wish.whole else draw(connection, self._study, repositories)[0].sample
        spelled = {name.casefold(): name for name in repositories}
        for row in drawn:
            chosen.setdefault(spelled[row.issue.repository.casefold()], set()).add(row.issue.number)
        wanted: dict[str, list[IssueState]] = {}
        for name in dict.fromkeys([*repositories, *chosen]):
            everything = wish.whole and name in repositories
            known = crawls.issue_states(connection, name)
            numbers = chosen.get(name, set())
            wanted[name] = [s for s in known if not s.complete and (everything or s.number in numbers)]
            missing = numbers - {s.number for s in known}
            wanted[name] += [IssueState(number, None, complete=False) for number in sorted(missing)]
        return wanted

    def _list_comments(self, name: str) -> None:
        restarts, goes_on = 0, False
        while True:
            with self._store.reading() as connection:
                stands = crawls.state(connection, name, COMMENTS) or CrawlState()
            since, after = position_of(stands.cursor, goes_on=goes_on)
            goes_on = True
            try:
                page = self._ask(CommentPage(repository=name, since=since, after=after), stands.etag if after is None else None)
            except PaginationLimitedError:
                restarts = self._restart(name, restarts)
                continue
            if page is None or page.unchanged or page.after is None:
                return

    def _read_thread(self, name: str, number: int) -> None:
        """Read one thread by REST: its issue if the store does not know it, and its comments, page by page."""
        with self._store.reading() as connection:
            known = crawls.issue_states(connection, name, [number])
            after = crawls.unfinished_threads(connection, name).get(number)
        if not known:
            self._ask(OneIssue(repository=name, number=number))
            with self._store.reading() as connection:
                known = crawls.issue_states(connection, name, [number])
        while known and not known[0].complete:
            page = self._ask(ThreadPage(repository=name, number=number, after=after))
            if page is None or (after := page.threads[0].after) is None:
                return

    def _items(self, name: str, numbers: Iterable[int]) -> Iterator[ThreadItem]:
        with self._store.reading() as connection:
            begun = crawls.unfinished_threads(connection, name)
        for number in numbers:
            yield ThreadItem(repository=name, number=number, after=begun.get(number))

    def _read_batches(self, items: list[ThreadItem]) -> None:
        """Read threads by GraphQL, many a query; what a query could not hold of a thread comes with a later one."""
        size = PAGE
        while items:
            question = Threads(items=tuple(items[:size]))
            try:
                page = self._ask(question, divisible=size > 1)
            except TooHeavyError:
                size = max(1, size // 2)
                continue
            items = items[size:]
            size = min(PAGE, size * 2)
            if page is None:
                continue
            items += self._left_over(page)
            for item in question.items:
                name = f"{item.repository}#{item.number}"
                if name in page.missing and item.repository not in page.missing:
                    self.report.places.pop(name, None)
                    self._ask(OneIssue(repository=item.repository, number=item.number))  # REST tells what became of it
                    self.report.places.setdefault(name, page.missing[name])

    def _left_over(self, page: Page) -> Iterator[ThreadItem]:
        """Yield the threads of which a page held but a part, or that changed while they were read part by part."""
        several: dict[str, list[int]] = {}
        for part in page.threads:
            if part.after is not None or part.begins is not None:
                several.setdefault(part.issue.repository, []).append(part.issue.number)
        for name, numbers in several.items():
            with self._store.reading() as connection:
                left = [s.number for s in crawls.issue_states(connection, name, numbers) if not s.complete]
            yield from self._items(name, left)

    def _ask(self, question: Question, etag: str | None = None, *, divisible: bool = False) -> Page | None:
        """Ask, archive the answer and store it; None when what was asked for is not there."""
        self._watch.asking(question.about)
        received = None if self._archive is None else partial(self._archive.add, question)
        try:
            page = self._client.ask(question, etag, received, divisible=divisible)
        except GoneError as gone:
            self.report.places[question.place] = str(gone)
            return None
        if page.unchanged:
            self.report.unchanged += 1
            return page
        self.report.answers[question.kind] += 1
        self.report.places |= page.missing
        for facts in page.repositories:
            if facts.now.lower() != facts.name.lower():
                self.report.places[facts.name] = f"is called {facts.now} today"
        with self._store.writing(repositories_of(question, page)) as connection:  # one page, one transaction
            self.report.changed += store_answer(connection, question, page)
        comments = len(page.comments) + sum(len(part.comments) for part in page.threads)
        self._watch.stored(len(page.issues), comments)
        return page

    def _put_run(self) -> None:
        with self._store.writing([]) as connection:
            write.put_run(
                connection, command="collect", study=self._study.name, study_digest=self._study.digest, version=__version__,
                inputs={}, finished_at=datetime.now(UTC),
            )  # fmt: skip

    def _count(self, wish: Wish, repositories: Sequence[str]) -> None:
        with self._store.reading() as connection:
            wanted = self._wanted(connection, repositories, wish)
            for name, still in wanted.items():
                held = crawls.held(connection, name)
                self.report.repositories.append(
                    RepositoryReport(name, held.issues, held.complete + len(still), held.complete, held.comments)
                )


def _comments_to_list(connection: Connection, name: str, wanted: Sequence[IssueState]) -> int | None:
    """Estimate what listing all comments of a repository would bring: all of them the first time, then those that are new.

    Comments of pull requests, and of issues of which the study wants none, come along; they are taken to be as many a piece
    as those of the issues that were listed. None if these are not all that there are.
    """
    if (stands := crawls.state(connection, name, COMMENTS)) is not None and stands.counts.get("complete"):
        return sum(state.comment_count or 0 for state in wanted)
    listings = [crawls.state(connection, name, resource) for resource in LISTED.values()]
    if not any(stands is not None and stands.counts.get("complete") for stands in listings):
        return None
    total, listed = crawls.comment_total(connection, name), crawls.held(connection, name).issues
    facts = (crawls.state(connection, name, FACTS) or CrawlState()).counts
    if facts.get("issues") is None or not listed:
        return total
    everything: int = facts["issues"] + facts["pull_requests"]
    return round(total / listed * everything)
