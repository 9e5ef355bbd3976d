"""What GitHub's answers hold, as facts that both of its interfaces tell in one form.

Each function raises KeyError, TypeError, ValueError or AttributeError when an answer is not what was asked for.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import requests

from pipeline.facts import CrawledComment, CrawledIssue, CrawledRepository, IssueReference, ThreadPart


def missing_from(body: Any, by_alias: Mapping[str, str]) -> dict[str, str]:
    """Return what GraphQL's errors say is not there; `by_alias` are the repositories by their alias in the query."""
    missing: dict[str, str] = {}
    for error in body.get("errors") or ():
        path = [part for part in error.get("path") or () if isinstance(part, str)]
        if not path or path[0] not in by_alias:
            raise ValueError(str(error.get("message"))[:200])
        repository = body["data"][path[0]]
        if repository is not None and (len(path) == 1 or repository.get(path[1]) is not None):
            continue  # it is there, but for something in it that nobody may see
        name = by_alias[path[0]] + (f"#{path[1][1:]}" if len(path) > 1 else "")
        missing[name] = str(error.get("type") or "not found").replace("_", " ").lower()
    return missing


def repository_facts(name: str, node: Any) -> CrawledRepository:
    """Return what a GraphQL node tells of the repository that was asked for by `name`."""

    def count(key: str) -> int | None:
        return int(node[key]["totalCount"]) if key in node else None

    latest = node["latest"]["nodes"] if "latest" in node else []
    return CrawledRepository(
        name, node["nameWithOwner"], time_of(node["createdAt"]), int(node["stargazerCount"]), int(node["closed"]["totalCount"]),
        count("issues") if "pullRequests" in node else None, count("pullRequests"),
        time_of(latest[0]["updatedAt"]) if latest else None,
    )  # fmt: skip


def listing(body: Any) -> list[Any]:
    """Return a REST listing; an empty object would else pass for a listing of nothing."""
    if not isinstance(body, list):
        raise TypeError
    return body


def rest_issue(repository: str, item: Any) -> CrawledIssue:
    """Return an issue or pull request from a REST answer, which does not tell what closed it."""
    return CrawledIssue(
        repository=repository,
        number=int(item["number"]),
        title=_text(item["title"]),
        body=_text(item["body"]),
        author=_login(item["user"]),
        state=_state(item["state"]),
        created_at=time_of(item["created_at"]),
        updated_at=time_of(item["updated_at"]),
        closed_at=_time_or_none(item["closed_at"]),
        comment_count=int(item["comments"]),
        tracker_labels=sorted(_text(label if isinstance(label, str) else label["name"]) for label in item["labels"]),
        pull_request="pull_request" in item,
    )


def graphql_issue(repository: str, node: Any) -> CrawledIssue:
    """Return an issue or pull request from a GraphQL node."""
    pull_request = node.get("__typename") == "PullRequest"
    return CrawledIssue(
        repository=repository,
        number=int(node["number"]),
        title=_text(node["title"]),
        body=_text(node["body"]),
        author=_login(node["author"]),
        state=_state(node["prState" if pull_request else "state"]),
        created_at=time_of(node["createdAt"]),
        updated_at=time_of(node["updatedAt"]),
        closed_at=_time_or_none(node["closedAt"]),
        comment_count=int(node["comments"]["totalCount"]),
        tracker_labels=sorted(_text(label["name"]) for label in (node["labels"] or {"nodes": []})["nodes"]),
        pull_request=pull_request,
        fix=None if pull_request else _fix(node),
        knows_fix=not pull_request,
    )


def _fix(node: Any) -> str | None:
    """Return what closed the issue: the closing event's commit or pull request, else a merged pull request that says so."""
    if node["closedAt"] is None:
        return None
    for event in node["timelineItems"]["nodes"]:
        closer = event.get("closer")
        if closer is not None and closer["__typename"] in ("Commit", "PullRequest"):
            place = closer["repository"]["nameWithOwner"]
            return f"{place}@{closer['oid']}" if closer["__typename"] == "Commit" else f"{place}#{closer['number']}"
    for reference in (node["closedByPullRequestsReferences"] or {"nodes": []})["nodes"]:
        if reference["merged"]:
            return f"{reference['repository']['nameWithOwner']}#{reference['number']}"
    return None


def thread_part(issue: IssueReference, connection: Any, begins: str | None) -> ThreadPart:
    """Return the comments that a GraphQL connection holds, and where the thread goes on."""
    comments = [
        CrawledComment(
            int(node["fullDatabaseId"]), _login(node["author"]), time_of(node["createdAt"]), time_of(node["updatedAt"]),
            _text(node["body"]),
        )
        for node in connection["nodes"]
    ]  # fmt: skip
    more = connection["pageInfo"]
    return ThreadPart(issue, comments, begins, more["endCursor"] if more["hasNextPage"] else None)


def rest_comment(item: Any) -> CrawledComment:
    """Return a comment from a REST answer."""
    return CrawledComment(
        int(item["id"]), _login(item["user"]), time_of(item["created_at"]), time_of(item["updated_at"]), _text(item["body"])
    )


def _login(user: Any) -> str | None:
    """Return a login as REST writes it; None for `ghost`, the account that stands for all that are gone."""
    if user is None or user["login"] == "ghost":
        return None
    login = str(user["login"])
    return f"{login}[bot]" if user.get("__typename") == "Bot" and not login.endswith("[bot]") else login


def _state(value: str) -> str:
    return "open" if value.lower() == "open" else "closed"  # a pull request can be merged, too


_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def _text(value: str | None) -> str:
    """Return a text as it can be stored: see `pipeline.thread.Text`; one that is missing is empty, as GraphQL has it."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", value) if value else ""


def time_of(value: str) -> datetime:
    """Read a time, to the second, as GitHub writes them."""
    return datetime.fromisoformat(value).astimezone(UTC).replace(microsecond=0)


def _time_or_none(value: str | None) -> datetime | None:
    return None if value is None else time_of(value)


def next_page(headers: Mapping[str, str]) -> str | None:
    """Return how a listing goes on, as its Link header has it: by a page's number, or, where GitHub does so, by a cursor."""
    links = requests.utils.parse_header_links(headers.get("link", ""))
    for link in links:
        if link.get("rel") == "next":
            given = dict(parse_qsl(urlsplit(link["url"]).query))
            return urlencode([(key, given[key]) for key in ("after", "page") if key in given])
    return None
