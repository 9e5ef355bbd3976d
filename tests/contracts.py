"""What GitHub itself says of its API, to hold answers against: its OpenAPI document and its GraphQL schema."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import graphql
from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLResolveInfo,
    GraphQLSchema,
    InlineFragmentNode,
    get_named_type,
)
from openapi_schema_validator import OAS30Validator, oas30_format_checker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

SCALARS = {
    "DateTime": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
    "BigInt": r"\d+",
    "GitObjectID": r"[0-9a-f]{7,40}",  # 40 on GitHub; a thread may know only its beginning
    "URI": r"https?://\S+",
}


class OpenApi:
    """GitHub's description of its REST API."""

    def __init__(self, folder: Path) -> None:
        path = folder / "node_modules" / "@octokit" / "openapi" / "generated" / "api.github.com.json"
        self.document: dict[str, Any] = json.loads(path.read_text(), object_hook=_with_null)
        self._registry = Registry().with_resource("urn:github", Resource(contents=self.document, specification=DRAFT4))

    def check_answer(self, path: str, status: int, content_type: str, body: Any) -> None:
        """Fail unless an answer to a GET is as described for its path (as a pattern) and status."""
        described = self.document["paths"][path]["get"]["responses"]
        assert str(status) in described, f"{path}: status {status} is none of {sorted(described)}"
        pointer = f"/paths/{_escaped(path)}/get/responses/{status}"
        response = described[str(status)]
        if "$ref" in response:
            pointer = response["$ref"].removeprefix("#")
            response = self.document["components"]["responses"][pointer.rpartition("/")[2]]
        if "content" not in response:
            assert body is None, f"{path}: status {status} has no body"
            return
        media = content_type.partition(";")[0]
        assert media in response["content"], f"{path}: {media} is none of {sorted(response['content'])}"
        schema = {"$ref": f"urn:github#{pointer}/content/{_escaped(media)}/schema"}
        validator = OAS30Validator(schema, registry=self._registry, format_checker=oas30_format_checker)
        errors = [f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in validator.iter_errors(body)]
        assert not errors, f"{path}: {errors[:5]}"


def _with_null(part: dict[str, Any]) -> dict[str, Any]:
    # GitHub answers null where an enumeration may be null; OpenAPI wants it among the values then, and they left it out.
    if part.get("nullable") and isinstance(part.get("enum"), list):
        part["enum"].append(None)
    return part


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def pattern_of(url: str, document: Mapping[str, Any]) -> str:
    """Return the pattern of GitHub's OpenAPI document that an address belongs to: the one with the fewest variables."""
    path = urlsplit(url).path.removeprefix("/api/v3")
    path = re.sub(r"^/repositories/\d+", "/repos/{owner}/{repo}", path)
    parts = path.split("/")

    def fits(pattern: str) -> bool:
        other = pattern.split("/")
        return len(parts) == len(other) and all(b.startswith("{") or a == b for a, b in zip(parts, other, strict=True))

    return min((pattern for pattern in document["paths"] if fits(pattern)), key=lambda pattern: pattern.count("{"))


def github_schema(folder: Path) -> GraphQLSchema:
    """Read GitHub's GraphQL schema; it defines two fields twice, which a strict reader refuses."""
    path = folder / "node_modules" / "@octokit" / "graphql-schema" / "schema.graphql"
    return graphql.build_schema(path.read_text(), assume_valid=True, assume_valid_sdl=True)


def check_answer(
    schema: GraphQLSchema, document: str, answer: Mapping[str, Any], variables: Mapping[str, Any] | None = None
) -> None:
    """Fail unless the schema allows the document, and allows this answer to it.

    The document is executed with the answer as the data; whatever the schema forbids then comes out as an error or otherwise.
    """
    parsed = graphql.parse(document)
    # GitHub lets fields of one name differ in type, as the states of issues and pull requests do, where the standard does not.
    assert [e for e in graphql.validate(schema, parsed) if "return conflicting types" not in e.message] == []
    fragments = {d.name.value: d for d in parsed.definitions if isinstance(d, FragmentDefinitionNode)}

    def find_type(value: Mapping[str, Any], info: GraphQLResolveInfo, abstract: Any) -> str:
        if "__typename" in value:
            return str(value["__typename"])
        keys = {
            kind.name: {key for node in info.field_nodes for key in _response_keys(schema, fragments, node.selection_set, kind)}
            for kind in schema.get_possible_types(abstract)
        }
        fitting = [name for name, expected in keys.items() if set(value) == expected]
        if not fitting:
            raise GraphQLError(f"{sorted(value)} is no {abstract}")
        return min(fitting)

    def look_up(source: Mapping[str, Any], info: GraphQLResolveInfo, **_: Any) -> Any:
        value = source[info.path.key]
        form = SCALARS.get(get_named_type(info.return_type).name)
        if form is not None and value is not None and not (isinstance(value, str) and re.fullmatch(form, value)):
            raise GraphQLError(f"{value!r} is no {info.return_type}")
        return value

    _check_errors(answer)
    if answer.get("data") is None:
        assert answer.get("errors"), "neither data nor errors"
        return
    result = graphql.execute_sync(
        schema, parsed, root_value=answer["data"], variable_values=dict(variables or {}), field_resolver=look_up,
        type_resolver=find_type,
    )  # fmt: skip
    assert not result.errors, [(error.message, error.path) for error in result.errors][:5]
    assert result.data == answer["data"]


def _check_errors(answer: Mapping[str, Any]) -> None:
    assert set(answer) <= {"data", "errors", "extensions"}
    for error in answer.get("errors", []):
        assert isinstance(error["message"], str)
        assert isinstance(error.get("type", ""), str)
        value = answer.get("data")
        for key in error.get("path", []) if value is not None else []:
            if value is not None:  # nothing is left below what could not be answered
                value = value[key]
        assert value is None, f"there is an error for {error.get('path')}, and data"


def _response_keys(
    schema: GraphQLSchema, fragments: Mapping[str, FragmentDefinitionNode], selections: Any, kind: Any
) -> Iterator[str]:
    """Yield the keys that a selection gives for an object of this type."""
    for node in selections.selections:
        if isinstance(node, FieldNode):
            yield (node.alias or node.name).value
            continue
        if isinstance(node, FragmentSpreadNode):
            node = fragments[node.name.value]
        condition = node.type_condition.name.value if node.type_condition else kind.name
        if isinstance(node, InlineFragmentNode | FragmentDefinitionNode) and (
            condition == kind.name or _includes(schema, condition, kind)
        ):
            yield from _response_keys(schema, fragments, node.selection_set, kind)


def _includes(schema: GraphQLSchema, condition: str, kind: Any) -> bool:
    abstract = schema.type_map[condition]
    return graphql.is_abstract_type(abstract) and schema.is_sub_type(abstract, kind)
