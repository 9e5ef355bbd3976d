"""GitHub's REST answers: what is served as the JSON that its OpenAPI document describes, and the rules of its listings."""

import base64
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, NoReturn
from urllib.parse import urlencode

from werkzeug.routing import Map, Rule

from pipeline.replica.world import CommentRow, Gone, IssueRow, RepositoryRow, Selection, World, fingerprint, stamp

GHOST = "ghost"
_GHOST_ID = 10137
_DOCUMENTATION = "https://docs.github.com/rest"
_MOST_PER_PAGE = 100
_MOST_SEARCHED = 1_000
_ISSUE_SORTS = {"created": "created_at", "updated": "updated_at", "comments": "comments"}
_REACTIONS = ("+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes")
_COMMENT_SORTS = {"created": "created_at", "updated": "updated_at"}


@dataclass(frozen=True)
class Answer:
    """A status, a body to write as JSON, and headers."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)


class RefusedError(Exception):
    """An answer that is no success."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


@dataclass(frozen=True)
class Call:
    """A request for a REST resource.

    Parameters
    ----------
    base
        The API's address, without a slash at the end.
    path
        The resource's path below `base`.
    arguments
        The query, as it was given.
    pagination
        How many items of a listing can be paged through.
    """

    world: World
    base: str
    path: str
    arguments: Mapping[str, str]
    pagination: int

    @property
    def per_page(self) -> int:
        """The size of a page: 30 unless given, 100 at most."""
        given = self.arguments.get("per_page", "")
        return min(int(given), _MOST_PER_PAGE) if given.isdecimal() and int(given) > 0 else 30

    @property
    def page(self) -> int:
        """The page asked for, counted from 1."""
        given = self.arguments.get("page", "")
        return int(given) if given.isdecimal() and int(given) > 0 else 1

    @property
    def since(self) -> str | None:
        """The time from which on something must have been updated."""
        given = self.arguments.get("since")
        if not given:
            return None
        try:
            return stamp(datetime.fromisoformat(given.replace(" ", "+")))  # a plus that was not escaped
        except ValueError:
            invalid("Issue", "since")

    def choice(self, name: str, choices: Sequence[str]) -> str:
        """Return the value of an argument that must be one of these; the first unless given."""
        given = self.arguments.get(name) or choices[0]
        if given not in choices:
            invalid("Issue", name)
        return given


def problem(status: int, message: str, documentation: str = _DOCUMENTATION, **more: Any) -> Answer:
    """Return an answer that says why there is no other."""
    return Answer(status, {"message": message, **more, "documentation_url": documentation, "status": str(status)})


def not_found() -> NoReturn:
    """Refuse because there is nothing of that name."""
    raise RefusedError(problem(404, "Not Found"))


def invalid(resource: str, name: str, code: str = "invalid") -> NoReturn:
    """Refuse because an argument is missing or wrong."""
    errors = [{"resource": resource, "field": name, "code": code}]
    raise RefusedError(problem(422, "Validation Failed", errors=errors))


def moved(url: str) -> Answer:
    """Return a redirection that lasts."""
    body = {"message": "Moved Permanently", "url": url, "documentation_url": f"{_DOCUMENTATION}/guides/best-practices"}
    return Answer(301, body, {"Location": url})


def pagination_limited() -> Answer:
    """Return what GitHub says to a page that is too far from the first."""
    return problem(
        422,
        "In order to keep the API fast for everyone, pagination is limited for this resource. Check the rel=last link relation "
        "in the Link response header to see how far back you can traverse.",
        f"{_DOCUMENTATION}/overview/resources-in-the-rest-api#pagination",
    )


# What is served, as JSON


def node_id(kind: str, number: int) -> str:
    """Return the id that REST and GraphQL share."""
    return base64.b64encode(f"{kind}:{number}".encode()).decode()


@lru_cache(maxsize=4096)
def simple_user(base: str, login: str | None, kind: str = "User") -> dict[str, Any]:
    """Return somebody; whoever is not known is the user that stands for all deleted ones."""
    login = login or GHOST
    number = _GHOST_ID if login == GHOST else fingerprint(login.casefold())
    url = f"{base}/users/{login}"
    return {
        "login": login,
        "id": number,
        "node_id": node_id("U", number),
        "avatar_url": f"https://avatars.githubusercontent.com/u/{number}?v=4",
        "gravatar_id": "",
        "url": url,
        "html_url": f"https://github.com/{login}",
        "followers_url": f"{url}/followers",
        "following_url": f"{url}/following{{/other_user}}",
        "gists_url": f"{url}/gists{{/gist_id}}",
        "starred_url": f"{url}/starred{{/owner}}{{/repo}}",
        "subscriptions_url": f"{url}/subscriptions",
        "organizations_url": f"{url}/orgs",
        "repos_url": f"{url}/repos",
        "events_url": f"{url}/events{{/privacy}}",
        "received_events_url": f"{url}/received_events",
        "type": kind,
        "user_view_type": "public",
        "site_admin": False,
    }


def public_user(base: str, login: str) -> dict[str, Any]:
    """Return what everybody may know of somebody."""
    since = "2014-01-01T00:00:00Z"
    return simple_user(base, login) | {
        "name": login, "company": None, "blog": "", "location": None, "email": None, "hireable": None, "bio": None,
        "twitter_username": None, "public_repos": 0, "public_gists": 0, "followers": 0, "following": 0,
        "created_at": since, "updated_at": since,
    }  # fmt: skip


def issue(base: str, repository: RepositoryRow, row: IssueRow) -> dict[str, Any]:
    """Return an issue or pull request."""
    above = f"{base}/repos/{repository.full_name}"
    url = f"{above}/issues/{row.number}"
    html = f"https://github.com/{repository.full_name}"
    described: dict[str, Any] = {
        "url": url,
        "repository_url": above,
        "labels_url": f"{url}/labels{{/name}}",
        "comments_url": f"{url}/comments",
        "events_url": f"{url}/events",
        "html_url": f"{html}/{'pull' if row.pull else 'issues'}/{row.number}",
        "id": row.id,
        "node_id": node_id("PR" if row.pull else "I", row.id),
        "number": row.number,
        "title": row.title,
        "user": simple_user(base, row.author),
        "labels": [_label(above, name) for name in json.loads(row.labels)],
        "state": row.state,
        "locked": False,
        "assignee": None,
        "assignees": [],
        "milestone": None,
        "comments": row.comments,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "closed_at": row.closed_at,
        "author_association": "NONE",
        "active_lock_reason": None,
        "body": row.body,
        "closed_by": None,
        "reactions": _no_reactions(f"{url}/reactions"),
        "timeline_url": f"{url}/timeline",
        "performed_via_github_app": None,
        "state_reason": "completed" if row.state == "closed" and not row.pull else None,
    }
    if row.pull:
        pull = f"{html}/pull/{row.number}"
        described["draft"] = False
        described["pull_request"] = {
            "url": f"{above}/pulls/{row.number}", "html_url": pull, "diff_url": f"{pull}.diff", "patch_url": f"{pull}.patch",
            "merged_at": None,
        }  # fmt: skip
    return described


def comment(base: str, repository: RepositoryRow, number: int, pull: int, row: CommentRow) -> dict[str, Any]:
    """Return a comment on the issue or pull request with this number."""
    above = f"{base}/repos/{repository.full_name}/issues"
    html = f"https://github.com/{repository.full_name}/{'pull' if pull else 'issues'}/{number}"
    return {
        "url": f"{above}/comments/{row.id}",
        "html_url": f"{html}#issuecomment-{row.id}",
        "issue_url": f"{above}/{number}",
        "id": row.id,
        "node_id": node_id("IC", row.id),
        "user": simple_user(base, row.author),
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "author_association": "NONE",
        "body": row.body,
        "reactions": _no_reactions(f"{above}/comments/{row.id}/reactions"),
        "performed_via_github_app": None,
    }


_REPOSITORY_URLS = {
    "forks": "", "keys": "{/key_id}", "collaborators": "{/collaborator}", "teams": "", "hooks": "", "events": "",
    "assignees": "{/user}", "branches": "{/branch}", "tags": "", "languages": "", "stargazers": "", "contributors": "",
    "subscribers": "", "subscription": "", "commits": "{/sha}", "comments": "{/number}", "merges": "", "downloads": "",
    "issues": "{/number}", "pulls": "{/number}", "milestones": "{/number}", "labels": "{/name}", "releases": "{/id}",
    "deployments": "", "statuses": "/{sha}", "notifications": "{?since,all,participating}", "contents": "/{+path}",
    "compare": "/{base}...{head}",
}  # fmt: skip
_OTHER_REPOSITORY_URLS = {
    "issue_events_url": "issues/events{/number}",
    "issue_comment_url": "issues/comments{/number}",
    "blobs_url": "git/blobs{/sha}",
    "git_tags_url": "git/tags{/sha}",
    "git_refs_url": "git/refs{/sha}",
    "git_commits_url": "git/commits{/sha}",
    "trees_url": "git/trees{/sha}",
    "archive_url": "{archive_format}{/ref}",
}


def repository(base: str, row: RepositoryRow, open_issues: int) -> dict[str, Any]:
    """Return a repository as it is among search results."""
    url = f"{base}/repos/{row.full_name}"
    html = f"https://github.com/{row.full_name}"
    return {
        "id": row.id,
        "node_id": node_id("R", row.id),
        "name": row.name,
        "full_name": row.full_name,
        "private": False,
        "owner": simple_user(base, row.owner, "Organization"),
        "html_url": html,
        "description": None,
        "fork": False,
        "url": url,
        **{f"{name}_url": f"{url}/{name}{ending}" for name, ending in _REPOSITORY_URLS.items()},
        **{name: f"{url}/{ending}" for name, ending in _OTHER_REPOSITORY_URLS.items()},
        "created_at": row.created_at,
        "updated_at": row.created_at,
        "pushed_at": row.created_at,
        "git_url": f"git://github.com/{row.full_name}.git",
        "ssh_url": f"git@github.com:{row.full_name}.git",
        "clone_url": f"{html}.git",
        "svn_url": html,
        "homepage": None,
        "size": 0,
        "stargazers_count": row.stars,
        "watchers_count": row.stars,
        "language": None,
        "has_issues": True,
        "has_projects": False,
        "has_downloads": True,
        "has_wiki": False,
        "has_pages": False,
        "has_discussions": False,
        "forks_count": 0,
        "mirror_url": None,
        "archived": False,
        "disabled": False,
        "open_issues_count": open_issues,
        "license": None,
        "topics": [],
        "visibility": "public",
        "forks": 0,
        "open_issues": open_issues,
        "watchers": row.stars,
        "default_branch": "main",
    }


def _label(above: str, name: str) -> dict[str, Any]:
    number = fingerprint(name)
    return {
        "id": number, "node_id": node_id("LA", number), "url": f"{above}/labels/{name}".replace(" ", "%20"), "name": name,
        "color": "ededed", "default": False, "description": None,
    }  # fmt: skip


def _no_reactions(url: str) -> dict[str, Any]:
    return {"url": url, "total_count": 0} | dict.fromkeys(_REACTIONS, 0)


# Resources


def get_repository(call: Call, row: RepositoryRow) -> Answer:
    """GET a repository."""
    full = repository(call.base, row, call.world.open_issues(row.id))
    return Answer(200, full | {"network_count": 0, "subscribers_count": 0, "temp_clone_token": None})


def list_issues(call: Call, row: RepositoryRow) -> Answer:
    """GET a repository's issues and pull requests."""
    state = call.choice("state", ("open", "closed", "all"))
    selection = Selection(
        state=None if state == "all" else state,
        since=call.since,
        labels=tuple(name for name in call.arguments.get("labels", "").split(",") if name),
        pulls=True,
        sort=_ISSUE_SORTS[call.choice("sort", tuple(_ISSUE_SORTS))],
        descending=call.choice("direction", ("desc", "asc")) == "desc",
    )
    _check_page(call)
    total = call.world.count_issues(row.id, selection)
    found = call.world.issues(row.id, selection, call.per_page, (call.page - 1) * call.per_page)
    return Answer(200, [issue(call.base, row, one) for one in found], _links(call, row, total))


def list_repository_comments(call: Call, row: RepositoryRow) -> Answer:
    """GET the comments on all of a repository's issues and pull requests; by id unless a sort is given."""
    sort, descending = "id", False
    if call.arguments.get("sort"):
        sort = _COMMENT_SORTS[call.choice("sort", tuple(_COMMENT_SORTS))]
        descending = call.choice("direction", ("desc", "asc")) == "desc"
    _check_page(call)
    total, found = call.world.comments(
        repository=row.id, since=call.since, sort=sort, descending=descending, limit=call.per_page,
        offset=(call.page - 1) * call.per_page,
    )  # fmt: skip
    places = call.world.places(one.issue for one in found)
    body = [comment(call.base, row, *places[one.issue], one) for one in found if one.issue in places]
    return Answer(200, body, _links(call, row, total))


def get_issue(call: Call, row: RepositoryRow, number: int) -> Answer:
    """GET an issue or pull request."""
    return Answer(200, issue(call.base, row, _issue(call, row, number)))


def list_issue_comments(call: Call, row: RepositoryRow, number: int) -> Answer:
    """GET the comments on an issue or pull request, oldest first."""
    found = _issue(call, row, number)
    _check_page(call)
    total, comments = call.world.comments(
        issue=found.id, since=call.since, limit=call.per_page, offset=(call.page - 1) * call.per_page
    )
    body = [comment(call.base, row, found.number, found.pull, one) for one in comments]
    return Answer(200, body, _links(call, row, total))


def list_issue_reactions(call: Call, row: RepositoryRow, number: int) -> Answer:
    """GET the reactions to an issue or pull request: there are none here."""
    _issue(call, row, number)
    return Answer(200, [])


def list_comment_reactions(call: Call, row: RepositoryRow, number: int) -> Answer:
    """GET the reactions to a comment: there are none here."""
    if call.world.comment_with_id(number) is None:
        not_found()
    return Answer(200, [])


def get_user(call: Call, login: str) -> Answer:
    """GET somebody who owns or wrote something here."""
    known = GHOST if login == GHOST else call.world.person(login)
    if known is None:
        not_found()
    return Answer(200, public_user(call.base, known))


def list_organizations(call: Call, login: str) -> Answer:
    """GET the organizations of somebody: there are none here."""
    get_user(call, login)
    return Answer(200, [])


def search_repositories(call: Call) -> Answer:
    """GET the repositories whose name holds all words of the query, with so many stars; most stars first."""
    words, qualifiers = _query(call)
    least, most = _range(qualifiers.get("stars", "*"))
    descending = call.arguments.get("order") != "asc"
    offset = _search_offset(call)
    total, found = call.world.search_repositories(words, least, most, descending, call.per_page, offset)
    items = [repository(call.base, row, call.world.open_issues(row.id)) | {"score": 1.0} for row in found]
    body = {"total_count": total, "incomplete_results": False, "items": items}
    return Answer(200, body, _links(call, None, min(total, _MOST_SEARCHED)))


def search_issues(call: Call) -> Answer:
    """GET the issues and pull requests whose title holds all words of the query, newest first."""
    words, qualifiers = _query(call)
    kinds = {"issue": False, "pr": True, "pull-request": True}
    pull = state = None
    for value in (qualifiers.get("is", ""), qualifiers.get("type", ""), qualifiers.get("state", "")):
        for part in value.split(","):
            pull = kinds.get(part, pull)
            state = part if part in ("open", "closed") else state
    repository_id = None
    if "repo" in qualifiers:
        row = call.world.repository(*_split(qualifiers["repo"]))
        if row is None or row.blocked:
            invalid("Search", "q")
        repository_id = row.id
    offset = _search_offset(call)
    total, found = call.world.search_issues(repository_id, words, state, pull, call.per_page, offset)
    rows = {number: call.world.repository_with_id(number) for number in {one.repository for one in found}}
    items = [
        issue(call.base, row, one) | {"body": one.body or "", "score": 1.0}  # a body is no null here, by GitHub's description
        for one in found
        if (row := rows[one.repository]) is not None
    ]
    body = {"total_count": total, "incomplete_results": False, "search_type": "lexical", "items": items}
    return Answer(200, body, _links(call, None, min(total, _MOST_SEARCHED)))


# Below /repos/{owner}/{repo} and, the same, below /repositories/{id}
_IN_REPOSITORY: dict[str, Callable[..., Answer]] = {
    "": get_repository,
    "/issues": list_issues,
    "/issues/comments": list_repository_comments,
    "/issues/{number}": get_issue,
    "/issues/{number}/comments": list_issue_comments,
    "/issues/{number}/reactions": list_issue_reactions,
    "/issues/comments/{number}/reactions": list_comment_reactions,
}
_ELSEWHERE: dict[str, Callable[..., Answer]] = {
    "/users/{login}": get_user,
    "/users/{login}/orgs": list_organizations,
    "/search/repositories": search_repositories,
    "/search/issues": search_issues,
}
_LISTINGS = (list_issues, list_repository_comments, list_issue_comments)


def _rules() -> list[Rule]:
    rules = [Rule("/rate_limit", endpoint=("/rate_limit", None))]
    for pattern, function in _ELSEWHERE.items():
        rules.append(Rule(pattern.replace("{login}", "<login>"), endpoint=(pattern, function)))
    for ending, function in _IN_REPOSITORY.items():
        below = ending.replace("{number}", "<int:number>")
        rules.append(Rule(f"/repos/<owner>/<repo>{below}", endpoint=(f"/repos/{{owner}}/{{repo}}{ending}", function)))
        rules.append(Rule(f"/repositories/<int:id>{below}", endpoint=(f"/repositories/{{id}}{ending}", function)))
    return rules


ROUTES = Map(_rules(), strict_slashes=False, merge_slashes=False, redirect_defaults=False)
"""Which function answers which path; an endpoint is the path's pattern and the function."""


def is_listing(function: Callable[..., Answer] | None) -> bool:
    """Return whether a resource is a listing of issues or comments."""
    return function in _LISTINGS


def answer(call: Call, function: Callable[..., Answer], values: Mapping[str, Any]) -> Answer:
    """Answer a request; what lies in a repository is looked for where the repository and the issue are now."""
    arguments = dict(values)
    try:
        if "id" in arguments:
            row = call.world.repository_with_id(arguments.pop("id"))
        elif "repo" in arguments:
            owner, name = arguments.pop("owner"), arguments.pop("repo")
            row = call.world.repository(owner, name)
            if row is not None and not row.blocked and row.full_name.casefold() != f"{owner}/{name}".casefold():
                return moved(by_id(call, row))
        else:
            return function(call, **arguments)
        if row is None:
            not_found()
        if row.blocked:
            block = {"reason": "dmca", "created_at": row.created_at, "html_url": "https://github.com/github/dmca"}
            return Answer(451, {"message": "Repository access blocked", "block": block})
        return function(call, row, **arguments)
    except RefusedError as refused:
        return refused.answer


def by_id(call: Call, row: RepositoryRow) -> str:
    """Return the address of the same resource below the repository's id."""
    ending = re.sub(r"^/(repos/[^/]+/[^/]+|repositories/[^/]+)", "", call.path)
    query = f"?{urlencode(list(call.arguments.items()))}" if call.arguments else ""
    return f"{call.base}/repositories/{row.id}{ending}{query}"


def _issue(call: Call, row: RepositoryRow, number: int) -> IssueRow:
    found = call.world.issue(row.id, number)
    if found is None:
        not_found()
    if isinstance(found, Gone):
        if found.issue is None:
            raise RefusedError(problem(410, "This issue was deleted"))
        ending = call.path.partition(f"/issues/{number}")[2]
        raise RefusedError(moved(f"{call.base}/repositories/{found.issue.repository}/issues/{found.issue.number}{ending}"))
    return found


def _check_page(call: Call) -> None:
    if call.page * call.per_page > call.pagination and call.page > 1:
        raise RefusedError(pagination_limited())


def _links(call: Call, row: RepositoryRow | None, total: int) -> dict[str, str]:
    last = -(-total // call.per_page)
    if last <= 1 and call.page == 1:
        return {}
    url = by_id(call, row) if row is not None else f"{call.base}{call.path}"
    url = url.partition("?")[0]
    others = [(name, value) for name, value in call.arguments.items() if name != "page"]
    pages = {"prev": call.page - 1, "next": call.page + 1, "last": last, "first": 1}
    if call.page >= last:
        del pages["next"], pages["last"]
    if call.page == 1:
        del pages["prev"], pages["first"]
    links = [f'<{url}?{urlencode([*others, ("page", page)])}>; rel="{relation}"' for relation, page in pages.items()]
    return {"Link": ", ".join(links)}


def _query(call: Call) -> tuple[list[str], dict[str, str]]:
    """Return a search's words and its qualifiers; several of a name are joined by commas."""
    words: list[str] = []
    qualifiers: dict[str, str] = {}
    for part in call.arguments.get("q", "").split():
        name, colon, value = part.partition(":")
        if colon and value:
            value = value.strip('"')
            qualifiers[name] = f"{qualifiers[name]},{value}" if name in qualifiers else value
        elif word := part.strip('"'):
            words.append(word)
    if not words and not qualifiers:
        invalid("Search", "q", "missing")
    return words, qualifiers


def _range(text: str) -> tuple[int, int | None]:
    match = re.fullmatch(r"(?P<sign>>=|>|<=|<)(?P<one>\d+)|(?P<low>\d+|\*)\.\.(?P<high>\d+|\*)|(?P<exact>\d+)|\*", text)
    if match is None:
        invalid("Search", "q")
    if match["exact"]:
        return int(match["exact"]), int(match["exact"])
    if match["sign"]:
        one = int(match["one"])
        return {">=": (one, None), ">": (one + 1, None), "<=": (0, one), "<": (0, one - 1)}[match["sign"]]
    low, high = match["low"] or "*", match["high"] or "*"
    return 0 if low == "*" else int(low), None if high == "*" else int(high)


def _split(full_name: str) -> tuple[str, str]:
    owner, _, name = full_name.partition("/")
    return owner, name


def _search_offset(call: Call) -> int:
    if (call.page - 1) * call.per_page >= _MOST_SEARCHED:
        raise RefusedError(problem(422, "Only the first 1000 search results are available"))
    return (call.page - 1) * call.per_page
