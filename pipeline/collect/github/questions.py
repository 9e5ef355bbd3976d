"""What the crawler asks GitHub: each question knows its request, and how to read the answer into one kind of page.

A question is a value that can be written down: an archive of questions and answers is enough to rebuild a store.

Sources: GitHub's REST reference (issues, issue comments, repositories, search), version 2022-11-28, and its GraphQL reference
(Repository, Issue, IssueCommentConnection, ClosedEvent).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from pipeline.collect.github.answers import (
    graphql_issue,
    listing,
    missing_from,
    next_page,
    repository_facts,
    rest_comment,
    rest_issue,
    thread_part,
    time_of,
)
from pipeline.facts import CrawledComment, CrawledIssue, CrawledRepository, IssueReference, ThreadPart

PAGE = 100
"""The most items that GitHub gives in a page, of a REST listing and of a GraphQL connection alike."""

MOST_SEARCHED = 1000
"""The most results that GitHub gives of a search."""

Api = Literal["rest", "graphql"]
Parameters = dict[str, str | int]


@dataclass(frozen=True, slots=True)
class Call:
    """A request without address and credentials: a REST path with parameters, or a GraphQL query with variables."""

    path: str = ""
    parameters: Parameters = field(default_factory=dict)
    query: str | None = None
    variables: dict[str, Any] = field(default_factory=dict)

    @property
    def api(self) -> Api:
        """Which of GitHub's two interfaces answers it."""
        return "rest" if self.query is None else "graphql"


@dataclass(slots=True)
class Page:
    """What an answer holds, whatever was asked and of which interface."""

    repositories: list[CrawledRepository] = field(default_factory=list)
    issues: list[CrawledIssue] = field(default_factory=list)
    threads: list[ThreadPart] = field(default_factory=list)
    comments: list[tuple[IssueReference, CrawledComment]] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    """What is not there, `owner/name` or `owner/name#12`, and why."""
    passed_over: int = 0
    """Pull requests in a listing of issues."""
    after: str | None = None
    """Where the listing goes on; None at its end."""
    last_update: datetime | None = None
    total: int | None = None
    etag: str | None = None
    unchanged: bool = False
    """The tracker says that nothing changed since the answer that bore the ETag."""


class _Question(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @property
    def about(self) -> str:
        """What the question is about, for people."""
        raise NotImplementedError

    @property
    def place(self) -> str:
        """The repository or issue that is not there when GitHub says so."""
        return self.about

    def call(self) -> Call:
        """Return the request."""
        raise NotImplementedError

    def read(self, body: Any, headers: Mapping[str, str]) -> Page:
        """Read the answer's JSON.

        Raises
        ------
        KeyError, TypeError, ValueError, AttributeError
            If it is not what was asked for.
        """
        raise NotImplementedError


class RepositoryFacts(_Question):
    """What repositories there are under these names, and how many issues and pull requests each holds (GraphQL)."""

    kind: Literal["repository-facts"] = "repository-facts"
    repositories: tuple[str, ...]

    @property
    def about(self) -> str:
        return f"facts of {len(self.repositories)} repositories"

    def call(self) -> Call:
        variables: dict[str, Any] = {}
        parts = [f"{_repository_alias(i, name, variables)} {{ {_FACTS} {_NUMBERS} }}" for i, name in enumerate(self.repositories)]
        return _query("RepositoryFacts", variables, " ".join(parts))

    def read(self, body: Any, headers: Mapping[str, str]) -> Page:
        page = Page(missing=missing_from(body, {f"r{i}": name for i, name in enumerate(self.repositories)}))
        for i, name in enumerate(self.repositories):
            if (node := body["data"][f"r{i}"]) is not None:
                page.repositories.append(repository_facts(name, node))
        return page


class OneRepository(_Question):
    """What there is under one name (REST: for those without a token)."""

    kind: Literal["one-repository"] = "one-repository"
    repository: str

    @property
    def about(self) -> str:
        return self.repository

    def call(self) -> Call:
        return Call(f"/repos/{self.repository}")

    def read(self, body: Any, headers: Mapping[str, str]) -> Page:
        return Page(
            repositories=[
                CrawledRepository(self.repository, body["full_name"], time_of(body["created_at"]), int(body["stargazers_count"]))
            ]
        )


class IssuePage(_Question):
    """A page of a repository's issues in the order of their last updates, from the time `since` on.

    Going on from the last update seen, and not by counting pages, nothing is missed when issues are updated meanwhile: they
    move to the end, and are met there. `after` goes on within issues of one and the same second.
    """

    kind: Literal["issues"] = "issues"
    api: Api
    repository: str
    state: Literal["open", "closed", "all"] = "all"
    since: datetime | None = None
    after: str | None = None
    size: Annotated[int, Field(ge=1, le=PAGE)] = PAGE
    comments: bool = False
    pull_requests: bool = False
    adds: Literal["open", "closed", "all"] = "all"
    """Issues of another state are wanted only if they are known: to learn that they were closed or opened again."""

    @property
    def about(self) -> str:
        return f"issues of {self.repository}" + (f" since {_text_of(self.since)}" if self.since else "")

    @property
    def place(self) -> str:
        return self.repository

    def call(self) -> Call:
        if self.api == "rest":
            parameters: Parameters = {"state": self.state, "sort": "updated", "direction": "asc", "per_page": self.size}
            if self.since is not None:
                parameters["since"] = _text_of(self.since)
            return Call(f"/repos/{self.repository}/issues", parameters | _further(self.after))
        owner, name = self.repository.split("/")
        variables = {
            "owner": owner,
            "name": name,
            "size": self.size,
            "states": None if self.state == "all" else [self.state.upper()],
            "since": None if self.since is None else _text_of(self.since),
            "after": self.after,
        }
        return Call(query=_ISSUES_WITH_COMMENTS if self.comments else _ISSUES, variables=variables)

    def read(self, body: Any, headers: Mapping[str, str]) -> Page:
        page = Page(etag=headers.get("etag"))
        if self.api == "rest":
            for item in listing(body):
                issue = rest_issue(self.repository, item)
                if issue.pull_request and not self.pull_requests:
                    page.passed_over += 1
                else:
                    page.issues.append(issue)
            page.after = next_page(headers)
            page.last_update = max((time_of(item["updated_at"]) for item in body), default=None)
            return page
        node = body["data"]["repository"]
        if node is None:
            page.missing = missing_from(body, {"repository": self.repository})
            return page
        page.repositories.append(repository_facts(self.repository, node))
        listed = node["issues"]
        page.total = int(listed["totalCount"])
        for item in listed["nodes"]:
            page.issues.append(graphql_issue(self.repository, item))
            if self.comments:
                page.threads.append(
                    thread_part(IssueReference(self.repository, int(item["number"])), item["comments"], begins=None)
                )
        page.after = listed["pageInfo"]["endCursor"] if listed["pageInfo"]["hasNextPage"] else None
        page.last_update = max((issue.updated_at for issue in page.issues), default=None)
        return page


class CommentPage(_Question):
    """A page of all comments of a repository, in the order of their last updates, from the time `since` on (REST)."""

    kind: Literal["comments"] = "comments"
    repository: str
    since: datetime | None = None
    after: str | None = None

    @property
    def about(self) -> str:
        return f"comments of {self.repository}" + (f" since {_text_of(self.since)}" if self.since else "")

    @property
    def place(self) -> str:
        return self.repository

    def call(self) -> Call:
        parameters: Parameters = {"sort": "updated", "direction": "asc", "per_page": PAGE}
        if self.since is not None:
            parameters["since"] = _text_of(self.since)
        return Call(f"/repos/{self.repository}/issues/comments", parameters | _further(self.after))

    def read(self, body: Any, headers: Mapping[str, str]) -> Page:
        page = Page(etag=headers.get("etag"))
        for item in listing(body):
            number = int(item["issue_url"].rpartition("/")[2])
            page.comments.append((IssueReference(self.repository, number), rest_comment(item)))
        page.after = next_page(headers)
        page.last_update = max((comment.updated_at for _, comment in page.comments), default=None)
        return page


class ThreadPage(_Question):
    """A page of the comments of one issue (REST)."""

    kind: Literal["thread"] = "thread"
    repository: str
    number: int
    after: str | None = None

    @property
    def about(self) -> str:
        return f"comments of {self.repository}#{self.number}"

    @property
    def place(self) -> str:
        return f"{self.repository}#{self.number}"

    def call(self) -> Call:
        parameters: Parameters = {"per_page": PAGE}
        return Call(f"/repos/{self.repository}/issues/{self.number}/comments", parameters | _further(self.after))

    def read(self, body: Any, headers: Mapping[str, str]) -> Page:
        comments = [rest_comment(item) for item in listing(body)]
        return Page(threads=[ThreadPart(IssueReference(self.repository, self.number), comments, self.after, next_page(headers))])


class OneIssue(_Question):
    """One issue without its comments (REST): for those without a token, and to learn what became of one that is missing."""

    kind: Literal["issue"] = "issue"
    repository: str
    number: int

    @property
    def about(self) -> str:
        return f"{self.repository}#{self.number}"

    def call(self) -> Call:
        return Call(f"/repos/{self.repository}/issues/{self.number}")

    def read(self, body: Any, headers: Mapping[str, str]) -> Page:
        page = Page()
        if int(body["number"]) == self.number:
            page.issues.append(rest_issue(self.repository, body))
        else:  # an issue keeps its number when its repository gets another name, and loses it when it moves to another
            place = "/".join(body["repository_url"].split("/")[-2:])
            page.missing[self.about] = f"transferred to {place}#{int(body['number'])}"
        return page


class ThreadItem(BaseModel):
    """An issue whose thread is wanted, from its first comment on, or from where an earlier part ended."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    repository: str
    number: int
    after: str | None = None

    @property
    def issue(self) -> IssueReference:
        """Its reference."""
        return IssueReference(self.repository, self.number)


class Threads(_Question):
    """Whole threads of issues of any repositories, up to 100 comments of each (GraphQL)."""

    kind: Literal["threads"] = "threads"
    items: tuple[ThreadItem, ...]

    @property
    def about(self) -> str:
        first = self.items[0]
        return f"{len(self.items)} threads from {first.repository}#{first.number} on"

    @cached_property
    def _by_repository(self) -> dict[str, list[ThreadItem]]:
        grouped: dict[str, list[ThreadItem]] = {}
        for item in self.items:
            grouped.setdefault(item.repository, []).append(item)
        return grouped

    def call(self) -> Call:
        variables: dict[str, Any] = {}
        parts = []
        for i, (name, items) in enumerate(self._by_repository.items()):
            inner = []
            for item in items:
                alias = f"i{item.number}"
                after = ""
                if item.after is not None:
                    variables[f"a{i}_{item.number}"] = item.after
                    after = f", after: $a{i}_{item.number}"
                comments = f"comments(first: {PAGE}{after}) {{ ...comments }}"
                inner.append(
                    f"{alias}: issueOrPullRequest(number: {item.number}) {{ __typename "
                    f"... on Issue {{ ...issue {comments} }} ... on PullRequest {{ ...pullRequest {comments} }} }}"
                )
            parts.append(f"{_repository_alias(i, name, variables)} {{ nameWithOwner {' '.join(inner)} }}")
        return _query("Threads", variables, " ".join(parts), _ISSUE, _PULL_REQUEST, _COMMENTS)

    def read(self, body: Any, headers: Mapping[str, str]) -> Page:
        names = list(self._by_repository)
        page = Page(missing=missing_from(body, {f"r{i}": name for i, name in enumerate(names)}))
        for i, (name, items) in enumerate(self._by_repository.items()):
            repository = body["data"][f"r{i}"]
            for item in items:
                node = None if repository is None else repository[f"i{item.number}"]
                if node is None:
                    page.missing.setdefault(f"{name}#{item.number}", page.missing.get(name, "not found"))
                    continue
                page.issues.append(graphql_issue(name, node))
                page.threads.append(thread_part(item.issue, node["comments"], item.after))
        return page


class RepositorySearch(_Question):
    """A page of repositories that match words, those with most stars first (REST)."""

    kind: Literal["repository-search"] = "repository-search"
    words: str
    minimum_stars: int
    maximum_stars: int | None = None
    after: str | None = None

    @property
    def about(self) -> str:
        return f"repositories for '{self.words}'"

    def call(self) -> Call:
        most = "*" if self.maximum_stars is None else self.maximum_stars
        parameters: Parameters = {
            "q": f"{self.words} stars:{self.minimum_stars}..{most}", "sort": "stars", "order": "desc", "per_page": PAGE,
        }  # fmt: skip
        return Call("/search/repositories", parameters | _further(self.after))

    def read(self, body: Any, headers: Mapping[str, str]) -> Page:
        page = Page(total=int(body["total_count"]))
        page.repositories = [
            CrawledRepository(r["full_name"], r["full_name"], time_of(r["created_at"]), int(r["stargazers_count"]))
            for r in body["items"]
            if not r["fork"] and not r.get("archived", False)
        ]
        page.after = next_page(headers)
        return page


class ClosedIssueCount(_Question):
    """How many closed issues a repository has (REST search: for those without a token)."""

    kind: Literal["closed-issue-count"] = "closed-issue-count"
    repository: str
    now: str | None = None
    """The name that the repository has today, if it is another: a search knows no former names."""

    @property
    def about(self) -> str:
        return f"closed issues of {self.repository}"

    @property
    def place(self) -> str:
        return self.repository

    def call(self) -> Call:
        return Call("/search/issues", {"q": f"repo:{self.now or self.repository} is:issue is:closed", "per_page": 1})

    def read(self, body: Any, headers: Mapping[str, str]) -> Page:
        return Page(total=int(body["total_count"]))


Question = Annotated[
    RepositoryFacts
    | OneRepository
    | IssuePage
    | CommentPage
    | ThreadPage
    | OneIssue
    | Threads
    | RepositorySearch
    | ClosedIssueCount,
    Field(discriminator="kind"),
]
QUESTION: TypeAdapter[Question] = TypeAdapter(Question)
"""Reads a question back from the JSON that `model_dump` gives."""

_NUMBERS = (
    "issues { totalCount } pullRequests { totalCount } "
    "latest: issues(first: 1, orderBy: {field: UPDATED_AT, direction: DESC}) { nodes { updatedAt } }"
)
_FACTS = "nameWithOwner createdAt stargazerCount closed: issues(states: CLOSED) { totalCount }"
_ISSUE = """
fragment issue on Issue {
  number title body state author { __typename login } createdAt updatedAt closedAt
  labels(first: 100) { nodes { name } }
  timelineItems(last: 1, itemTypes: [CLOSED_EVENT]) {
    nodes {
      ... on ClosedEvent {
        closer {
          __typename
          ... on Commit { oid repository { nameWithOwner } }
          ... on PullRequest { number repository { nameWithOwner } }
        }
      }
    }
  }
  closedByPullRequestsReferences(first: 1, includeClosedPrs: true) { nodes { number merged repository { nameWithOwner } } }
}
"""
_PULL_REQUEST = """
fragment pullRequest on PullRequest {
  number title body prState: state author { __typename login } createdAt updatedAt closedAt
  labels(first: 100) { nodes { name } }
}
"""
_COMMENTS = """
fragment comments on IssueCommentConnection {
  totalCount pageInfo { hasNextPage endCursor }
  nodes { fullDatabaseId author { __typename login } createdAt updatedAt body }
}
"""
_ISSUES_HEAD = f"""
query Issues(
  $owner: String!, $name: String!, $since: DateTime, $states: [IssueState!], $size: Int!, $after: String
) {{
  repository(owner: $owner, name: $name) {{
    {_FACTS}
    issues(
      first: $size, after: $after, states: $states, filterBy: {{since: $since}},
      orderBy: {{field: UPDATED_AT, direction: ASC}}
    ) {{
      totalCount pageInfo {{ hasNextPage endCursor }}
"""
_ISSUES = _ISSUES_HEAD + "      nodes { ...issue comments { totalCount } }\n    }\n  }\n}\n" + _ISSUE
_ISSUES_WITH_COMMENTS = (
    _ISSUES_HEAD
    + f"      nodes {{ ...issue comments(first: {PAGE}) {{ ...comments }} }}\n    }}\n  }}\n}}\n"
    + _ISSUE
    + _COMMENTS
)


def _further(after: str | None) -> Parameters:
    return dict(parse_qsl(after or ""))


def _query(name: str, variables: dict[str, Any], selection: str, *fragments: str) -> Call:
    declared = ", ".join(f"${key}: String{'' if key.startswith('a') else '!'}" for key in variables)
    return Call(query=f"query {name}({declared}) {{ {selection} }}" + "".join(fragments), variables=variables)


def _repository_alias(i: int, full_name: str, variables: dict[str, Any]) -> str:
    variables[f"o{i}"], variables[f"n{i}"] = full_name.split("/")
    return f"r{i}: repository(owner: $o{i}, name: $n{i})"


def _text_of(time: datetime | None) -> str:
    return "" if time is None else written(time)


def written(time: datetime) -> str:
    """Write a time as GitHub does."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
