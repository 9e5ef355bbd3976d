"""Files that people write by hand (TOML, YAML), read into typed models whose errors name file, line and key."""

import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.errors import RedefectError

Location = tuple[int | str, ...]

_YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same in C, where PyYAML was built with it

_TOML_TABLE = re.compile(r"^\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(#.*)?$")
_TOML_KEY = re.compile(r"^\s*([A-Za-z0-9_.\"'-]+?)\s*=")


class Document(BaseModel):
    """A part of a hand-written file: unknown keys are errors, types are not guessed, values do not change."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    def contradictions(self) -> Iterator[tuple[Location, str]]:
        """Yield what cannot be true at once, each with the location of the key to change."""
        yield from ()


DocumentT = TypeVar("DocumentT", bound=Document)


def read_text(path: Path) -> str:
    """Read a UTF-8 text file.

    Raises
    ------
    RedefectError
        If the file is missing, unreadable or not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RedefectError(f"{path}: there is no such file.") from None
    except UnicodeDecodeError as error:
        raise RedefectError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8.") from None
    except OSError as error:
        raise RedefectError(f"{path}: cannot be read ({error.strerror}).") from None


def read_toml(path: Path, model: type[DocumentT]) -> DocumentT:
    """Read a TOML file into `model`; errors name file, line and key."""
    text = read_text(path)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RedefectError(f"{path}: not valid TOML: {error}.") from None
    return _validated(path, model, data, lambda location: _toml_line(text, location))


def read_yaml(path: Path, model: type[DocumentT]) -> DocumentT:
    """Read a YAML file (safe subset, no tags, no aliases to objects) into `model`; errors name file, line and key."""
    text = read_text(path)
    try:
        data = yaml.load(text, Loader=_YAML)  # noqa: S506 (both loaders are the safe one)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise RedefectError(f"{path}:{line}: not valid YAML: {error.problem}.") from None
    except yaml.YAMLError as error:
        raise RedefectError(f"{path}: not valid YAML: {error}.") from None
    return _validated(path, model, data, lambda location: _yaml_line(yaml.compose(text, Loader=_YAML), location))


def _validated(path: Path, model: type[DocumentT], data: Any, line_of: Callable[[Location], int]) -> DocumentT:
    def sentence(location: Location, message: str) -> RedefectError:
        key = ".".join(str(part) for part in location)
        return RedefectError(f"{path}:{line_of(location)}: " + (f"{key}: " if key else "") + message)

    try:
        document = model.model_validate(data, context=path)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        location: Location = first["loc"]
        others = error.error_count() - 1
        more = f" ({others} more after it)" if others else ""
        message = first["msg"].removeprefix("Value error, ").rstrip(".")
        if first["type"] == "extra_forbidden":
            message = f"unknown key; known here: {', '.join(_known_keys(model, location[:-1]))}"
        elif first["type"] == "missing":
            message = "this key is required"
        raise sentence(location, f"{message}{more}.") from None
    for location, message in document.contradictions():
        raise sentence(location, message)
    return document


def _known_keys(model: type[BaseModel], location: Location) -> list[str]:
    """Return the keys that the model at `location` below `model` knows, by the names used in the file."""
    for part in location:
        field = next((f for name, f in model.model_fields.items() if part in (name, f.alias)), None)
        if field is None:
            continue  # an index into a list, or a key of a mapping: the model stays the one already found
        model = next((m for m in _models_in(field.annotation)), model)
    return [field.alias or name for name, field in model.model_fields.items()]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models_in(part)]


def _toml_line(text: str, location: Location) -> int:
    """Find the line of the key at `location`: tomllib keeps no positions, so headers and keys are matched anew."""
    best_line, best_depth = 1, 0
    table: list[int | str] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _TOML_TABLE.match(line):
            name = header[2].strip()
            table = [part.strip("\"' ") for part in name.split(".")]
            if header[1] == "[[":
                seen[name] = seen.get(name, -1) + 1
                table.append(seen[name])
            here = table
        elif key := _TOML_KEY.match(line):
            here = table + [part.strip("\"' ") for part in key[1].split(".")]
        else:
            continue
        depth = 0
        while depth < min(len(here), len(location)) and here[depth] == location[depth]:
            depth += 1
        if depth > best_depth and depth == len(here):
            best_line, best_depth = number, depth
    return best_line


def _yaml_line(node: yaml.Node | None, location: Location) -> int:
    """Find the line of the value at `location`, or of the nearest value above it that exists."""
    line = 1
    for part in location:
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
        elif isinstance(node, yaml.MappingNode):
            found = next((pair for pair in node.value if pair[0].value == str(part)), None)
            if found is None:
                return line
            line = found[0].start_mark.line + 1
            node = found[1]
            continue
        else:
            return line
        if node is not None:
            line = node.start_mark.line + 1
    return line
