"""Issue events of GH Archive, whichever form they have, as rows of one schema.

Until the end of 2014 GH Archive recorded GitHub's Timeline API, which names issues and comments and holds none of their texts (in
2011 within the frame of today's events); from 2015 on the Events API, whose events carry the whole issue, and the comment, as
they were then. From October 2025 on some files are all but empty: GH Archive lost events then (igrigorik/gharchive.org, issues
310 and 312). Some lines hold several events, glued together or with NULs between them (2023-05-14-19).
"""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson
import pyarrow as pa

_TIME: pa.DataType = pa.timestamp("ms", tz="UTC")  # the coarsest that Parquet has
_TEXTS: pa.DataType = pa.list_(pa.string())
SCHEMA = pa.schema(
    [
        ("event", pa.int64()),
        ("at", _TIME),
        ("kind", pa.string()),
        ("action", pa.string()),
        ("actor", pa.string()),
        ("repository_id", pa.int64()),
        ("repository", pa.string()),
        ("number", pa.int64()),
        ("issue_id", pa.int64()),
        ("title", pa.string()),
        ("body", pa.string()),
        ("author", pa.string()),
        ("state", pa.string()),
        ("created_at", _TIME),
        ("updated_at", _TIME),
        ("closed_at", _TIME),
        ("comment_count", pa.int64()),
        ("pull_request", pa.bool_()),
        ("tracker_labels", _TEXTS),
        ("comment_id", pa.int64()),
        ("comment_author", pa.string()),
        ("comment_created_at", _TIME),
        ("comment_updated_at", _TIME),
        ("comment", pa.string()),
        ("digest", pa.binary()),
    ]
)
"""The columns of events as Arrow has them, in the order of `Event`."""


class Event(NamedTuple):
    """What happened to an issue, and what it and the comment were like right after; `None` means not known.

    `kind` is `issue` or `comment`; `action` what was done to it: opened, closed, reopened, edited, transferred, deleted, created.
    `digest` is of the event's bytes in the archive.
    """

    event: int | None
    at: datetime
    kind: str
    action: str
    actor: str | None
    repository_id: int | None
    repository: str
    number: int | None
    issue_id: int | None
    title: str | None
    body: str | None
    author: str | None
    state: str | None
    created_at: datetime | None
    updated_at: datetime | None
    closed_at: datetime | None
    comment_count: int | None
    pull_request: bool | None
    tracker_labels: tuple[str, ...] | None
    comment_id: int | None
    comment_author: str | None
    comment_created_at: datetime | None
    comment_updated_at: datetime | None
    comment: str | None
    digest: bytes


_MALFORMED = (ValueError, TypeError, KeyError, AttributeError, ArithmeticError)
_KINDS = {"IssuesEvent": "issue", "IssueCommentEvent": "comment"}
_NAME = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")
_PLACE = re.compile(r"/(?:issues|pull)/([0-9]{1,10})(?:#|$)")
_SEAM = re.compile(rb'\0+|(?<=\})\s*(?=\{")')
_LARGEST = 2**63 - 1
_LARGEST_ISSUE = 2**31 - 1
_UNKNOWN_ISSUE = (None,) * 10
_UNKNOWN_COMMENT = (None,) * 5


def parse_line(line: bytes, malformed: Callable[[str], None]) -> list[Event]:
    """Read the issue events of a line: one, or none if it is of another type; several if events were glued together.

    Parameters
    ----------
    malformed
        Is told what is wrong with the line, or with a part of it, that should be such an event.
    """
    try:
        event = _parse(line)
    except orjson.JSONDecodeError as error:
        parts = [part for part in _SEAM.split(line) if part.strip()]
        if parts == [line]:
            malformed(_reason(error))
            return []
        return [event for part in parts for event in parse_line(part, malformed)]
    except _MALFORMED as error:
        malformed(_reason(error))
        return []
    return [] if event is None else [event]


def _reason(error: BaseException) -> str:
    if isinstance(error, orjson.JSONDecodeError):
        return "is no JSON"
    if isinstance(error, KeyError):
        return f"has no key {str(error)[:40]}"
    return str(error).partition(":")[0][:80] if type(error) is ValueError else f"is no event ({type(error).__name__})"


def _parse(line: bytes) -> Event | None:
    data = orjson.loads(line)
    kind = _KINDS.get(data["type"])
    if kind is None:
        return None
    payload = data["payload"]
    at = _moment(data["created_at"])
    actor = _login(data.get("actor"))
    repository = data.get("repo")
    if repository is not None:
        name = repository["name"]
    else:
        repository = data["repository"]
        name = f"{_login(repository.get('organization')) or _login(repository['owner'])}/{_text(repository['name'])}"
    issue = payload.get("issue")
    snapshot: tuple[Any, ...]
    if isinstance(issue, dict):
        number, issue_id, snapshot = issue["number"], issue.get("id"), _snapshot(issue)
    else:  # the Timeline API names an issue by its id
        issue_id = payload.get("issue_id") if issue is None else issue
        number, snapshot = payload.get("number"), _UNKNOWN_ISSUE
        if number is None and (place := _PLACE.search(_text(data.get("url")) or "")):
            number = place[1]
        if number is None and issue_id is None:
            raise ValueError("names no issue")
    comment: tuple[Any, ...] = _UNKNOWN_COMMENT
    if kind == "comment":
        whole = payload.get("comment")
        # The Timeline API only ever told of comments that were made.
        comment = _comment(whole) if isinstance(whole, dict) else (_number(payload["comment_id"]), actor, at, None, None)
    values = (
        _number(data.get("id")),
        at,
        kind,
        _text(payload.get("action")) or "created",
        actor,
        _number(repository.get("id")),
        _name(name),
        _number(number, _LARGEST_ISSUE),
        _number(issue_id),
        *snapshot,
        *comment,
        blake2b(line.strip(), digest_size=16).digest(),
    )
    return Event._make(values)


def _snapshot(issue: dict[str, Any]) -> tuple[Any, ...]:
    get = issue.get
    labels, pull_request, state = get("labels"), get("pull_request"), get("state")
    if state not in ("open", "closed", None):
        raise ValueError("is in a state that is neither open nor closed")
    return (
        _text(get("title")),
        _text(get("body")),
        _login(get("user")),
        state,
        _known(get("created_at")),
        _known(get("updated_at")),
        _known(get("closed_at")),
        _number(get("comments")),
        # There once was such a key in every issue, with addresses only in those that are pull requests.
        pull_request is not None and any(pull_request.values()),
        None if labels is None else tuple(sorted(_text(label["name"]) or "" for label in labels)),
    )


def _comment(comment: dict[str, Any]) -> tuple[Any, ...]:
    get = comment.get
    return (
        _number(comment["id"]),
        _login(get("user")),
        _known(get("created_at")),
        _known(get("updated_at")),
        _text(get("body")),
    )


def _moment(text: str) -> datetime:
    if text[4:5] == "/":  # as in 2012: 2012/03/11 12:00:00 -0700
        return datetime.strptime(text, "%Y/%m/%d %H:%M:%S %z").astimezone(UTC)
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError("has a time without its zone")
    if time.tzinfo is not UTC:
        time = time.astimezone(UTC)
    return time.replace(microsecond=0) if time.microsecond else time


def _known(text: str | None) -> datetime | None:
    return None if text is None else _moment(text)


def _number(value: int | str | None, largest: int = _LARGEST) -> int | None:
    if value is None:
        return None
    if isinstance(value, str) and len(value) < 20 and value.isascii() and value.isdecimal():
        value = int(value)
    if type(value) is not int or not 0 <= value <= largest:
        raise ValueError("has a number that GitHub gives to nothing")
    return value


def _name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("has a repository without owner/name")
    return name


def _login(user: Any) -> str | None:
    return _text(user) if isinstance(user, str) or user is None else _text(user.get("login"))


def _text(text: str | None) -> str | None:
    if text is None:
        return None
    if not isinstance(text, str):
        raise ValueError("has a text that is none")
    # As everywhere in the store: a NUL ends a text in PostgreSQL.
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def to_table(events: Sequence[Event]) -> pa.Table:
    """Return events as a table of `SCHEMA`, a row an event, in their order."""
    columns = zip(*events, strict=True) if events else ((),) * len(SCHEMA)
    return pa.Table.from_arrays(
        [
            pa.array(_milliseconds(column) if field.type == _TIME else column, field.type)
            for column, field in zip(columns, SCHEMA, strict=True)
        ],
        schema=SCHEMA,
    )


def from_table(table: pa.Table) -> Iterator[Event]:
    """Yield the rows of a table of `SCHEMA` as events; the inverse of `to_table`."""
    columns: list[Any] = []
    for field in SCHEMA:
        column = table.column(field.name)
        if field.type == _TIME:
            moments = column.cast(pa.int64()).to_pylist()
            columns.append([None if moment is None else datetime.fromtimestamp(moment // 1000, UTC) for moment in moments])
        elif field.name == "tracker_labels":
            columns.append([None if labels is None else tuple(labels) for labels in column.to_pylist()])
        elif field.type == pa.string():  # a text that stands in many rows is made once
            encoded = column.combine_chunks().dictionary_encode()
            values: list[Any] = [*encoded.dictionary.to_pylist(), None]
            columns.append([values[index] for index in encoded.indices.fill_null(len(values) - 1).to_numpy()])
        else:
            columns.append(column.to_pylist())
    return map(Event._make, zip(*columns, strict=True))


def _milliseconds(moments: Sequence[datetime | None]) -> list[int | None]:
    return [None if moment is None else int(moment.timestamp()) * 1000 for moment in moments]
