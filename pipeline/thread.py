"""An issue thread as it travels between the stages, and its JSON form: one thread a line."""

import json
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from pipeline.errors import RedefectError


def _utc(value: Any) -> Any:
    # Parsed here and not by pydantic, so that every time has one and the same zone object, which is quick to test for.
    if isinstance(value, str):
        try:
            if not value.endswith("Z"):
                raise ValueError
            return datetime.fromisoformat(value).replace(microsecond=0)
        except ValueError:
            raise ValueError(f"'{value}' is no time like 2020-01-31T12:00:00Z") from None
    return value


Time = Annotated[datetime, BeforeValidator(_utc)]

# A NUL ends a text in C and in PostgreSQL, and a lone surrogate is no text at all: neither is ever stored.
Text = Annotated[
    str,
    BeforeValidator(lambda value: value.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) else value),
]


class _Value(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Comment(_Value):
    """One answer in a thread. `None` means not known."""

    author: str | None = None
    created_at: Time | None = None
    body: Text


class Thread(_Value):
    """An issue with all its comments, oldest first. `None` means not known; an empty list means that there are none.

    `fix` is the pull request (`owner/name#12`) or commit (`owner/name@3f2a91c`) that closed it.
    """

    repository: str = Field(pattern=r"^[^/\s]+/[^/\s]+$")
    number: int = Field(ge=1, le=2**31 - 1)
    title: Text
    body: Text | None = None
    state: str | None = Field(default=None, pattern=r"^(open|closed)$")
    author: str | None = None
    created_at: Time | None = None
    updated_at: Time | None = None
    closed_at: Time | None = None
    fix: str | None = Field(default=None, pattern=r"^[^/\s]+/[^/\s#@]+(#[0-9]+|@[0-9a-f]{7,40})$")
    labels: tuple[str, ...] | None = None
    comments: tuple[Comment, ...] | None = None

    def to_json(self) -> str:
        """Write the thread as one line of JSON: all keys, in the order of the format, UTF-8 kept as it is."""
        return json.dumps(self.model_dump(mode="json"), ensure_ascii=False, separators=(", ", ": "))


def parse_thread(line: str | bytes, where: str) -> Thread:
    """Read a thread from one line of JSON, the inverse of `Thread.to_json`.

    Raises
    ------
    RedefectError
        If the line is not JSON or not a thread; the sentence begins with `where`.
    """
    try:
        return Thread.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise RedefectError(f"{where}: {key + ': ' if key else ''}{message}.") from None
