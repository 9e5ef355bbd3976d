"""Issue threads as JSON lines, with pseudonyms in place of logins."""

import re
from collections.abc import Iterable, Iterator

from pipeline.thread import Comment, Thread

_MENTION = re.compile(r"(?<![\w`/.])@([A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?)")


class Pseudonyms:
    """`person-1`, `person-2`, ... in place of logins, whatever their case.

    Parameters
    ----------
    people
        The logins of all who write, each once, in the order in which they first do. Numbered by appearance, names cannot be found
        by trying.
    """

    def __init__(self, people: Iterable[str]) -> None:
        self._names = {login.casefold(): f"person-{i}" for i, login in enumerate(people, start=1)}

    def name(self, login: str | None) -> str | None:
        """Return the pseudonym of one who writes; of None, who is not known, None."""
        return None if login is None else self._names[login.casefold()]

    def text(self, original: str) -> str:
        """Return a text in which mentions (`@login`) of those who write are pseudonyms, too; mentions of others stay."""
        return _MENTION.sub(lambda match: "@" + self._names.get(match[1].casefold(), match[1]), original)


def json_lines(threads: Iterable[Thread], people: list[str] | None) -> Iterator[bytes]:
    """Yield threads as lines of JSON, in their order.

    Parameters
    ----------
    people
        Whose logins are replaced: see `Pseudonyms`. An export that is read back and exported again gives the same bytes. None
        keeps the logins, for a copy that stays where the store is.
    """
    names = None if people is None else Pseudonyms(people)
    for thread in threads:
        yield (thread if names is None else _renamed(thread, names)).to_json().encode() + b"\n"


def pseudonymised(thread: Thread) -> Thread:
    """Return a thread for itself: who opened it is `person-1`, who answered first `person-2`, and so on."""
    authors = (thread.author, *(comment.author for comment in thread.comments or ()))
    return _renamed(thread, Pseudonyms(dict.fromkeys(login.casefold() for login in authors if login is not None)))


def _renamed(thread: Thread, names: Pseudonyms) -> Thread:
    def comment(original: Comment) -> Comment:
        return original.model_copy(update={"author": names.name(original.author), "body": names.text(original.body)})

    changes = {
        "author": names.name(thread.author),
        "title": names.text(thread.title),
        "body": None if thread.body is None else names.text(thread.body),
        "comments": None if thread.comments is None else tuple(comment(c) for c in thread.comments),
    }
    return thread.model_copy(update=changes)
