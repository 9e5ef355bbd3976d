"""Issue threads as JSON lines, with pseudonyms in place of logins."""

import re
from collections.abc import Iterable, Iterator

from pipeline.thread import Comment, Thread

_MENTION = re.compile(r"(?<![\w`/.])@([A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?)")


def json_lines(threads: Iterable[Thread], people: list[str] | None) -> Iterator[bytes]:
    """Yield threads as lines of JSON, in their order.

    Parameters
    ----------
    people
        The logins of all who write in these threads, in the order in which they first do. They become `person-1`, `person-2`,
        ..., also where a text mentions them with an @. Numbered by appearance, names cannot be found by trying, and an
        export that is read back and exported again gives the same bytes. None keeps the logins, for a copy that stays
        where the store is.
    """
    names = None if people is None else {login.casefold(): f"person-{i}" for i, login in enumerate(people, start=1)}
    for thread in threads:
        yield (thread if names is None else _renamed(thread, names)).to_json().encode() + b"\n"


def pseudonymised(thread: Thread) -> Thread:
    """Return a thread for itself: who opened it is `person-1`, who answered first `person-2`, and so on."""
    authors = (thread.author, *(comment.author for comment in thread.comments or ()))
    seen = dict.fromkeys(login.casefold() for login in authors if login is not None)
    return _renamed(thread, {login: f"person-{i}" for i, login in enumerate(seen, start=1)})


def _renamed(thread: Thread, names: dict[str, str]) -> Thread:
    def name(login: str | None) -> str | None:
        return None if login is None else names[login.casefold()]

    def text(original: str) -> str:
        return _MENTION.sub(lambda match: "@" + names.get(match[1].casefold(), match[1]), original)

    def comment(original: Comment) -> Comment:
        return original.model_copy(update={"author": name(original.author), "body": text(original.body)})

    changes = {
        "author": name(thread.author),
        "title": text(thread.title),
        "body": None if thread.body is None else text(thread.body),
        "comments": None if thread.comments is None else tuple(comment(c) for c in thread.comments),
    }
    return thread.model_copy(update=changes)
