"""What tests of the replica serve and ask: example threads, a client, and the queries of a crawl."""

from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from pipeline.replica import Faults, Limits, Replica, World
from pipeline.thread import Comment, Thread

START = datetime(2020, 1, 1, tzinfo=UTC)
COMMIT = "3f2a91c0de" * 4


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def thread(number: int, repository: str = "acme/anvil", comments: int = 2, **other: Any) -> Thread:
    """An issue that was opened at the hour of its number, and closed with its last comment."""
    opened = at(number)
    given: dict[str, Any] = {
        "repository": repository, "number": number, "title": f"Crash {number}", "body": f"It crashes, {number} times.",
        "state": "closed", "author": "ada", "created_at": opened, "updated_at": opened + timedelta(minutes=comments),
        "closed_at": opened + timedelta(minutes=comments), "labels": ("bug",),
        "comments": tuple(
            Comment(author="bob", created_at=opened + timedelta(minutes=i), body=f"Comment {i}") for i in range(1, comments + 1)
        ),
    }  # fmt: skip
    return Thread(**(given | other))


def serve(world: World, limits: Limits | None = None, faults: Faults | None = None) -> Replica:
    return Replica(world, limits, faults)


class Asked(requests.Session):
    """A client of a replica, with a token."""

    def __init__(self, replica: Replica, token: str | None = "t0ken") -> None:
        super().__init__()
        self.trust_env = False
        self.replica = replica
        if token:
            self.headers["Authorization"] = f"Bearer {token}"

    def at(self, path: str, **arguments: Any) -> requests.Response:
        """GET a path, without following redirections."""
        headers = arguments.pop("headers", {})
        url = path if path.startswith("http") else self.replica.url + path
        return super().get(url, params=arguments, headers=headers, allow_redirects=False, timeout=10)

    def query(self, document: str, **variables: Any) -> dict[str, Any]:
        """POST a GraphQL query."""
        response = self.post_query(document, **variables)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def post_query(self, document: str, **variables: Any) -> requests.Response:
        body = {"query": document, "variables": variables}
        return self.post(f"{self.replica.url}/graphql", json=body, timeout=10)


ISSUE = """
fragment issue on Issue {
  number title body state author { login } createdAt updatedAt closedAt
  labels(first: 100) { nodes { name } }
  timelineItems(last: 1, itemTypes: [CLOSED_EVENT]) {
    nodes { ... on ClosedEvent { closer {
      __typename
      ... on Commit { oid repository { nameWithOwner } }
      ... on PullRequest { number repository { nameWithOwner } }
    } } }
  }
  closedByPullRequestsReferences(first: 1, includeClosedPrs: true) { nodes { number merged repository { nameWithOwner } } }
}
"""
COMMENTS = """
fragment comments on IssueCommentConnection {
  totalCount pageInfo { hasNextPage endCursor }
  nodes { fullDatabaseId databaseId author { login } createdAt updatedAt body }
}
"""
ISSUES = f"""
query Issues($owner: String!, $name: String!, $since: DateTime, $states: [IssueState!], $first: Int!, $after: String) {{
  rateLimit {{ cost limit remaining resetAt }}
  repository(owner: $owner, name: $name) {{
    nameWithOwner createdAt stargazerCount
    closed: issues(states: CLOSED) {{ totalCount }}
    issues(
      first: $first, after: $after, states: $states, filterBy: {{since: $since}}, orderBy: {{field: UPDATED_AT, direction: ASC}}
    ) {{
      totalCount pageInfo {{ hasNextPage endCursor }}
      nodes {{ ...issue comments(first: 100) {{ ...comments }} }}
    }}
  }}
}}
{ISSUE}{COMMENTS}
"""
LISTING = """
query Listing($owner: String!, $name: String!, $first: Int!, $after: String) {
  repository(owner: $owner, name: $name) {
    issues(first: $first, after: $after, orderBy: {field: UPDATED_AT, direction: ASC}) {
      totalCount pageInfo { hasNextPage endCursor } nodes { number updatedAt comments { totalCount } }
    }
  }
}
"""
THREADS = f"""
query Threads($o0: String!, $n0: String!, $o1: String!, $n1: String!, $c5: String) {{
  rateLimit {{ cost remaining }}
  r0: repository(owner: $o0, name: $n0) {{
    nameWithOwner
    i5: issueOrPullRequest(number: 5) {{
      __typename ... on Issue {{ ...issue comments(first: 2, after: $c5) {{ ...comments }} }}
    }}
    i8: issueOrPullRequest(number: 8) {{
      __typename
      ... on Issue {{ ...issue comments(first: 100) {{ ...comments }} }}
      ... on PullRequest {{
        number title body state author {{ login }} createdAt updatedAt closedAt labels(first: 100) {{ nodes {{ name }} }}
        comments(first: 100) {{ ...comments }}
      }}
    }}
    i404: issueOrPullRequest(number: 404) {{ __typename }}
  }}
  r1: repository(owner: $o1, name: $n1) {{
    nameWithOwner stargazerCount createdAt isFork isArchived issues(states: CLOSED) {{ totalCount }}
  }}
}}
{ISSUE}{COMMENTS}
"""
