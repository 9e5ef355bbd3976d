"""GitHub's GraphQL answers: queries of its schema's part in `schema.graphql`, with GitHub's limits, costs and errors."""

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from importlib import resources
from typing import Any, NoReturn

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLNamedType,
    GraphQLResolveInfo,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    build_schema,
    execute_sync,
    get_named_type,
    parse,
    validate,
)

from pipeline.replica.limits import Allowance
from pipeline.replica.rest import node_id
from pipeline.replica.world import CommentRow, Gone, IssueRow, RepositoryRow, Selection, World, fingerprint, stamp

_MOST_RECORDS = 100
_MOST_NODES = 500_000
_LARGEST_INT = 2**31 - 1
_SORTS = {"CREATED_AT": "created_at", "UPDATED_AT": "updated_at", "COMMENTS": "comments"}
_NO_PAGE = {"hasNextPage": False, "endCursor": None}

Value = dict[str, Any]


class InvalidQueryError(Exception):
    """A query that is not executed at all; `answer` says why."""

    def __init__(self, errors: Sequence[Value]) -> None:
        super().__init__()
        self.answer: Value = {"errors": list(errors)}


@dataclass
class Plan:
    """A query that may be executed, and what it costs in points and nodes at most.

    `refused` holds the fields, by identity, whose page sizes are missing or too large.
    """

    document: DocumentNode
    variables: Mapping[str, Any]
    operation: str | None
    requests: int = 0
    nodes: int = 0
    refused: dict[int, tuple[str, str]] = field(default_factory=dict)

    @property
    def cost(self) -> int:
        """The points: a hundredth of the requests that the query's connections stand for, one at least."""
        return max(1, (self.requests + 50) // 100)


@dataclass(frozen=True)
class _Context:
    world: World
    plan: Plan
    allowance: Allowance


@lru_cache(maxsize=1)
def _schema() -> GraphQLSchema:
    return build_schema(resources.files("pipeline.replica").joinpath("schema.graphql").read_text())


@lru_cache(maxsize=256)
def _checked(query: str) -> DocumentNode | tuple[GraphQLError, ...]:
    try:
        document = parse(query)
    except GraphQLError as error:
        return (error,)
    # GitHub lets fields of one name differ in type, as the states of issues and pull requests do, where the standard does not.
    errors = (error for error in validate(_schema(), document) if "return conflicting types" not in error.message)
    return tuple(errors) or document


def plan(query: str, variables: Mapping[str, Any], operation: str | None) -> Plan:
    """Check a query, and count what it asks for.

    Raises
    ------
    InvalidQueryError
        If it is no query of the schema, or asks for more nodes than one may.
    """
    document = _checked(query)
    if isinstance(document, tuple):
        raise InvalidQueryError([_shown(error) for error in document])
    made = Plan(document, variables, operation)
    fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    operations = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
    named = [o for o in operations if operation is None or (o.name is not None and o.name.value == operation)]
    if len(named) != 1:
        raise InvalidQueryError([{"message": "An operation name is required"}])
    defaults = {d.variable.name.value: d.default_value for d in named[0].variable_definitions or ()}
    query_type = _schema().query_type
    assert query_type is not None  # noqa: S101 (the schema has one)
    _Counter(made, fragments, defaults).count(named[0].selection_set, query_type, 1)
    if made.nodes > _MOST_NODES:
        message = f"This query requests up to {made.nodes:,} possible nodes which exceeds the maximum limit of {_MOST_NODES:,}."
        raise InvalidQueryError([{"type": "MAX_NODE_LIMIT_EXCEEDED", "message": message}])
    return made


def execute(world: World, made: Plan, allowance: Allowance) -> Value:
    """Answer a query, as far as it can be answered."""
    result = execute_sync(
        _schema(),
        made.document,
        root_value=_ROOT,
        context_value=_Context(world, made, allowance),
        variable_values=dict(made.variables),
        operation_name=made.operation,
        field_resolver=_resolve,
    )
    answer: Value = {"data": result.data}
    if result.errors:
        answer["errors"] = [_shown(error) for error in result.errors]
        if result.data is None:
            del answer["data"]
    return answer


def rate_limited(described: str) -> Value:
    """Return what GitHub says when no points are left."""
    return {"errors": [{"type": "RATE_LIMITED", "message": f"API rate limit exceeded for {described}"}]}


def _shown(error: GraphQLError) -> Value:
    shown: Value = {}
    if error.extensions and "type" in error.extensions:
        shown["type"] = error.extensions["type"]
    if error.path is not None:
        shown["path"] = list(error.path)
    if error.locations:
        shown["locations"] = [{"line": place.line, "column": place.column} for place in error.locations]
    shown["message"] = error.message
    return shown


class _Counter:
    """Counts requests and nodes from the page sizes, as GitHub describes it, before anything is executed."""

    def __init__(self, made: Plan, fragments: Mapping[str, FragmentDefinitionNode], defaults: Mapping[str, Any]) -> None:
        self._plan = made
        self._fragments = fragments
        self._defaults = defaults

    def count(self, selections: SelectionSetNode, parent: GraphQLNamedType, times: int) -> None:
        for node, kind in self._fields(selections, parent):
            definition = getattr(kind, "fields", {}).get(node.name.value)
            if definition is None or node.selection_set is None:
                continue
            named = get_named_type(definition.type)
            inner = times
            if named.name.endswith("Connection"):
                inner = times * self._page(node, named, times)
            self.count(node.selection_set, named, inner)

    def _page(self, node: FieldNode, named: GraphQLNamedType, times: int) -> int:
        assert node.selection_set is not None  # noqa: S101 (see count)
        name = node.name.value
        if not {"nodes", "edges"} & {inner.name.value for inner, _ in self._fields(node.selection_set, named)}:
            return 0
        sizes = {a.name.value: self._value(a.value) for a in node.arguments or () if a.name.value in ("first", "last")}
        given = {bound: size for bound, size in sizes.items() if size is not None}
        if not given:
            message = f"You must provide a `first` or `last` value to properly paginate the `{name}` connection."
            self._plan.refused[id(node)] = ("MISSING_PAGINATION_BOUNDARIES", message)
            return 0
        bound, size = max(given.items(), key=lambda item: item[1])
        if not 0 <= size <= _MOST_RECORDS:
            message = (
                f"Requesting {size} records on the `{name}` connection exceeds the `{bound}` limit of {_MOST_RECORDS} records."
            )
            self._plan.refused[id(node)] = ("EXCESSIVE_PAGINATION", message)
            return 0
        self._plan.requests += times
        self._plan.nodes += times * size
        return int(size)

    def _fields(self, selections: SelectionSetNode, parent: GraphQLNamedType) -> Iterator[tuple[FieldNode, GraphQLNamedType]]:
        for node in selections.selections:
            if not self._included(node):
                continue
            if isinstance(node, FieldNode):
                yield node, parent
            elif isinstance(node, InlineFragmentNode):
                condition = node.type_condition
                yield from self._fields(node.selection_set, _schema().type_map[condition.name.value] if condition else parent)
            elif isinstance(node, FragmentSpreadNode):
                fragment = self._fragments[node.name.value]
                yield from self._fields(fragment.selection_set, _schema().type_map[fragment.type_condition.name.value])

    def _included(self, node: Any) -> bool:
        for directive in node.directives or ():
            if directive.name.value in ("include", "skip"):
                value = self._value(directive.arguments[0].value)
                if value is not None and bool(value) != (directive.name.value == "include"):
                    return False
        return True

    def _value(self, node: Any) -> Any:
        if isinstance(node, VariableNode):
            name = node.name.value
            return self._plan.variables[name] if name in self._plan.variables else self._value(self._defaults.get(name))
        return int(node.value) if isinstance(node, IntValueNode) else getattr(node, "value", None)


def _fail(kind: str, message: str) -> NoReturn:
    raise GraphQLError(message, extensions={"type": kind})


def _resolve(source: Value, info: "GraphQLResolveInfo[_Context]", **arguments: Any) -> Any:
    """Look a field up; what has arguments or costs a query is a function in the looked up values."""
    context = info.context
    if context.plan.refused and (problem := context.plan.refused.get(id(info.field_nodes[0]))):
        _fail(*problem)
    value = source[info.field_name]
    return value(context, **arguments) if callable(value) else value


def _rate_limit(context: _Context, **_: Any) -> Value:
    return {
        "cost": context.plan.cost,
        "limit": context.allowance.limit,
        "nodeCount": context.plan.nodes,
        "remaining": context.allowance.remaining,
        "used": context.allowance.used,
        "resetAt": stamp(datetime.fromtimestamp(context.allowance.reset, UTC)),
    }


def _repository(context: _Context, *, owner: str, name: str, followRenames: bool = True) -> Value:  # noqa: N803 (GitHub's)
    row = context.world.repository(owner, name)
    renamed = row is not None and row.full_name.casefold() != f"{owner}/{name}".casefold()
    if row is None or row.blocked or (renamed and not followRenames):
        _fail("NOT_FOUND", f"Could not resolve to a Repository with the name '{owner}/{name}'.")
    return _repository_value(row)


_ROOT: Value = {"rateLimit": _rate_limit, "repository": _repository}


def _repository_value(row: RepositoryRow) -> Value:
    return {
        "id": node_id("R", row.id),
        "databaseId": row.id,
        "name": row.name,
        "nameWithOwner": row.full_name,
        "owner": {"__typename": "User", "login": row.owner},
        "createdAt": row.created_at,
        "stargazerCount": row.stars,
        "isFork": False,
        "isArchived": False,
        "url": f"https://github.com/{row.full_name}",
        "issues": partial(_issues, row),
        "pullRequests": partial(_pull_requests, row),
        "issue": partial(_issue_or_pull, row, "an Issue", (False,)),
        "issueOrPullRequest": partial(_issue_or_pull, row, "an issue or pull request", (False, True)),
    }


def _issues(row: RepositoryRow, context: _Context, **arguments: Any) -> Value:
    filters = arguments.get("filterBy") or {}
    order = arguments.get("orderBy") or {"field": "CREATED_AT", "direction": "ASC"}
    states = set(arguments.get("states") or filters.get("states") or ("OPEN", "CLOSED"))
    sort = _SORTS[order["field"]]
    selection = Selection(
        state=states.pop().lower() if len(states) == 1 else None,
        since=_read_time(filters["since"]) if filters.get("since") else None,
        labels=tuple(arguments.get("labels") or ()),
        sort=sort,
        descending=order["direction"] == "DESC",
    )
    connection: Value = {"totalCount": lambda context: context.world.count_issues(row.id, selection), "pageInfo": _NO_PAGE}
    first = arguments.get("first")
    if first is not None:
        after = arguments.get("after")
        found = context.world.issues(row.id, replace(selection, after=_place(after) if after else None), first + 1)
        page = _Page([one.id for one in found[:first]])
        connection["nodes"] = [_issue_value(row, one, page) for one in found[:first]]
        last = found[:first][-1] if found[:first] else None
        end = _cursor(getattr(last, sort), last.number) if last else None
        connection["pageInfo"] = {"hasNextPage": len(found) > first, "endCursor": end}
    return connection


def _pull_requests(row: RepositoryRow, context: _Context, **_: Any) -> Value:
    both, issues = (context.world.count_issues(row.id, Selection(pulls=pulls)) for pulls in (True, False))
    return {"totalCount": both - issues, "pageInfo": _NO_PAGE}


def _read_time(text: str) -> str:
    try:
        return stamp(datetime.fromisoformat(text))
    except (TypeError, ValueError):
        raise GraphQLError(f"{text!r} is no time like 2020-01-31T12:00:00Z.") from None


def _place(cursor: str) -> tuple[str | int, int]:
    values = _read_cursor(cursor)
    if len(values) != 2:
        _no_cursor(cursor)
    return values[0], values[1]


def _issue_or_pull(row: RepositoryRow, what: str, kinds: Sequence[bool], context: _Context, *, number: int) -> Value:
    found = context.world.issue(row.id, number)
    if found is None or isinstance(found, Gone) or bool(found.pull) not in kinds:
        _fail("NOT_FOUND", f"Could not resolve to {what} with the number of {number}.")
    return _issue_value(row, found, _Page([found.id]))


class _Page:
    """Issues that are answered together, whose comments are therefore read together."""

    def __init__(self, issues: list[int]) -> None:
        self._issues = issues
        self._read: dict[tuple[int, int], dict[int, list[CommentRow]]] = {}

    def comments(self, world: World, issue: int, first: int, after: int) -> list[CommentRow]:
        if (first, after) not in self._read:
            self._read[first, after] = world.first_comments(self._issues, first, after)
        return self._read[first, after][issue]


def _issue_value(repository: RepositoryRow, row: IssueRow, page: _Page) -> Value:
    value: Value = {
        "__typename": "PullRequest" if row.pull else "Issue",
        "id": node_id("PR" if row.pull else "I", row.id),
        "databaseId": row.id,
        "number": row.number,
        "title": row.title,
        "body": row.body or "",
        "state": row.state.upper(),
        "author": _actor(row.author),
        "createdAt": row.created_at,
        "updatedAt": row.updated_at,
        "closedAt": row.closed_at,
        "url": f"https://github.com/{repository.full_name}/{'pull' if row.pull else 'issues'}/{row.number}",
        "repository": lambda _: _repository_value(repository),
        "labels": partial(_labels, row),
        "comments": partial(_comments, repository, row, page),
    }
    if row.pull:
        value["merged"] = False
    else:
        value["timelineItems"] = partial(_timeline, row)
        value["closedByPullRequestsReferences"] = partial(_closing_pulls, row)
    return value


def _actor(login: str | None) -> Value | None:
    return None if login is None else {"__typename": "User", "login": login}


def _labels(row: IssueRow, _context: _Context, **arguments: Any) -> Value:
    return _sliced([{"name": name} for name in json.loads(row.labels)], arguments)


def _comments(
    repository: RepositoryRow,
    row: IssueRow,
    page: _Page,
    context: _Context,
    *,
    first: int | None = None,
    after: str | None = None,
) -> Value:
    connection: Value = {"totalCount": row.comments, "pageInfo": _NO_PAGE}
    if first is not None:
        found = page.comments(context.world, row.id, first + 1, int(_read_cursor(after)[0]) if after else 0)
        above = f"https://github.com/{repository.full_name}/{'pull' if row.pull else 'issues'}/{row.number}#issuecomment-"
        connection["nodes"] = [
            {
                "id": partial(_comment_id, one.id),
                "fullDatabaseId": str(one.id),
                "databaseId": one.id if one.id <= _LARGEST_INT else None,
                "author": _actor(one.author),
                "createdAt": one.created_at,
                "updatedAt": one.updated_at,
                "body": one.body,
                "url": f"{above}{one.id}",
            }
            for one in found[:first]
        ]
        end = _cursor(found[:first][-1].id) if found[:first] else None
        connection["pageInfo"] = {"hasNextPage": len(found) > first, "endCursor": end}
    return connection


def _comment_id(number: int, _context: _Context) -> str:
    return node_id("IC", number)


def _timeline(row: IssueRow, _context: _Context, **arguments: Any) -> Value:
    if row.closed_at is None and row.fix is None:
        return _sliced([], arguments)
    event = {"__typename": "ClosedEvent", "createdAt": row.closed_at or row.updated_at, "closer": partial(_closer, row)}
    return _sliced([event], arguments)


def _closing_pulls(row: IssueRow, context: _Context, *, includeClosedPrs: bool = False, **arguments: Any) -> Value:  # noqa: N803 (GitHub's)
    # A pull request that closed an issue is merged, so it is among the closed ones.
    closer = _closer(row, context) if includeClosedPrs else None
    return _sliced([closer] if closer is not None and closer["__typename"] == "PullRequest" else [], arguments)


def _closer(row: IssueRow, context: _Context) -> Value | None:
    match = re.fullmatch(r"(?P<owner>[^/]+)/(?P<name>[^#@]+)(#(?P<number>\d+)|@(?P<commit>\w+))", row.fix or "")
    if match is None:
        return None
    found = context.world.repository(match["owner"], match["name"])
    # What closed an issue may lie in a repository that is not served; only its name is then true.
    repository = found or RepositoryRow(
        fingerprint(f"{match['owner']}/{match['name']}".casefold()), match["owner"], match["name"], row.created_at, 0, 0
    )
    inside: Callable[[_Context], Value] = lambda _: _repository_value(repository)  # noqa: E731 (others follow)
    if match["commit"]:
        return {"__typename": "Commit", "oid": match["commit"], "repository": inside}
    number = int(match["number"])
    pull = context.world.issue(found.id, number) if found else None
    if isinstance(pull, IssueRow) and pull.pull:
        value = _issue_value(repository, pull, _Page([pull.id]))
    else:
        closed_at = row.closed_at or row.updated_at
        made_up = IssueRow(
            0, repository.id, number, 1, f"Pull request {number}", None, "closed", None, row.created_at, closed_at, closed_at,
            None, "[]", 0,
        )  # fmt: skip
        value = _issue_value(repository, made_up, _Page([]))
    return value | {"merged": True, "state": "MERGED"}


def _sliced(items: list[Any], arguments: Mapping[str, Any]) -> Value:
    """Return a page of what is known as a whole; its cursors are positions."""
    start = int(_read_cursor(arguments["after"])[0]) if arguments.get("after") else 0
    rest = items[start:]
    first, last = arguments.get("first"), arguments.get("last")
    chosen = rest if first is None else rest[:first]
    more = len(chosen) < len(rest)
    end = _cursor(start + len(chosen)) if chosen else None
    if last is not None:
        chosen = chosen[-last:] if last else []
    return {"totalCount": len(items), "nodes": chosen, "pageInfo": {"hasNextPage": more, "endCursor": end}}


def _cursor(*values: str | int) -> str:
    return base64.b64encode(f"cursor:v2:{json.dumps(values, separators=(',', ':'))}".encode()).decode()


def _read_cursor(cursor: str) -> list[Any]:
    try:
        text = base64.b64decode(cursor, validate=True).decode()
        values = json.loads(text.removeprefix("cursor:v2:"))
        if not text.startswith("cursor:v2:") or not isinstance(values, list) or not values:
            raise ValueError
    except (binascii.Error, ValueError):
        _no_cursor(cursor)
    return values


def _no_cursor(cursor: str) -> NoReturn:
    _fail("INVALID_CURSOR_ARGUMENTS", f"`{cursor}` does not appear to be a valid cursor.")
