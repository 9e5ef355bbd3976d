"""What an answer does to the store: the same whether it comes from GitHub now or from an archive.

It depends on nothing but the question, the answer and the store. So a crawl that is killed goes on where it was, and the answers
of an archive, stored in their order, give the same store without the network.
"""

from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from pipeline.collect.github.archive import read_archive
from pipeline.collect.github.questions import (
    ClosedIssueCount,
    CommentPage,
    IssuePage,
    OneRepository,
    Page,
    Question,
    RepositoryFacts,
    written,
)
from pipeline.facts import CrawledIssue
from pipeline.store import crawls
from pipeline.store.crawls import CrawlState
from pipeline.store.session import Store

FACTS, COMMENTS, WAY = "facts", "comments", "threads"
LISTED = {"all": "issues", "closed": "closed issues", "open": "open issues"}
"""What a crawl of a repository is made of, as the store keeps where each part stands: its facts, the listing of its issues (a
listing of closed ones is not one of all), the listing of all its comments, and, until all threads are there, the way to them."""


def store_answer(connection: Connection, question: Question, page: Page) -> int:
    """Do to the store what an answer asks for, and return how many issues and comments were new or had changed."""
    crawls.put_facts(connection, page.repositories)
    changed = 0
    grouped: dict[str, list[CrawledIssue]] = {}
    for issue in page.issues:
        grouped.setdefault(issue.repository, []).append(issue)
    for name, issues in grouped.items():
        changed += crawls.put_issues(connection, name, issues, question.adds if isinstance(question, IssuePage) else "all")
    changed += crawls.put_thread_parts(connection, page.threads)
    if isinstance(question, CommentPage):
        changed += crawls.put_comments(connection, question.repository, page.comments)
    if isinstance(question, IssuePage) and not page.missing:
        _advance(connection, question, LISTED[question.adds], page)
    elif isinstance(question, CommentPage):
        _advance(connection, question, COMMENTS, page)
        if page.after is None:
            crawls.complete_by_count(connection, question.repository)
    elif isinstance(question, RepositoryFacts):
        for facts in page.repositories:
            numbers = {"issues": facts.issues, "pull_requests": facts.pull_requests, "closed_issues": facts.closed_issues}
            crawls.put_state(connection, facts.name, FACTS, CrawlState(cursor_at(facts.last_update, None), None, numbers))
    elif isinstance(question, OneRepository):
        crawls.put_state(
            connection, question.repository, FACTS, crawls.state(connection, question.repository, FACTS) or CrawlState()
        )
    elif isinstance(question, ClosedIssueCount) and page.total is not None:
        crawls.put_closed_issues(connection, question.repository, page.total)
        stands = crawls.state(connection, question.repository, FACTS) or CrawlState()
        new = stands._replace(counts=stands.counts | {"closed_issues": page.total})
        crawls.put_state(connection, question.repository, FACTS, new)
    return changed


def repositories_of(question: Question, page: Page) -> set[str]:
    """Return the repositories of which `store_answer` may write."""
    named = {question.repository} if isinstance(question, IssuePage | CommentPage | OneRepository | ClosedIssueCount) else set()
    told = {facts.name for facts in page.repositories} | {issue.repository for issue in page.issues}
    return named | told | {part.issue.repository for part in page.threads}


def rebuild(store: Store, folder: Path) -> int:
    """Store the answers of an archive in their order, and return how many there were; a second time changes nothing."""
    count = 0
    for question, page in read_archive(folder):
        with store.writing(repositories_of(question, page)) as connection:
            store_answer(connection, question, page)
        count += 1
    return count


def _advance(connection: Connection, question: IssuePage | CommentPage, resource: str, page: Page) -> None:
    """Move a listing's cursor on: to the last update seen, or, within one second, to the next page."""
    stands = crawls.state(connection, question.repository, resource) or CrawlState()
    last = max((time for time in (question.since, page.last_update) if time is not None), default=None)
    if page.after is None and isinstance(question, IssuePage) and question.state != "all":
        # What changed its state while issues of one state were listed left the listing, or is not in it yet: the next listing,
        # of all states, begins where this one began.
        facts = crawls.state(connection, question.repository, FACTS) or CrawlState()
        began, _ = position_of(facts.cursor)
        last = began if last is None or began is None else min(last, began)
    if page.after is None:
        nothing_new = question.after is None and question.since is not None and last == question.since
        counts = stands.counts | {"complete": True}
        new = CrawlState(cursor_at(last, None), page.etag if nothing_new else None, counts)
    elif last is not None and (question.since is None or last > question.since):
        new = CrawlState(cursor_at(last, None), None, stands.counts)
    else:
        new = CrawlState(cursor_at(last, page.after), None, stands.counts)
    crawls.put_state(connection, question.repository, resource, new)


def cursor_at(since: datetime | None, after: str | None) -> str | None:
    """Write where a listing goes on: the time of the last update seen, and the page within that second."""
    return None if since is None else written(since) + ("" if after is None else f" {after}")


def position_of(cursor: str | None, *, goes_on: bool = True) -> tuple[datetime | None, str | None]:
    """Return the time and the page where a listing goes on.

    Numbered pages of an earlier crawl mean nothing any more, since what was on them may have moved: with `goes_on` false,
    the listing goes on at the beginning of the second.
    """
    if cursor is None:
        return None, None
    since, _, after = cursor.partition(" ")
    return datetime.fromisoformat(since), (after or None) if goes_on else None
