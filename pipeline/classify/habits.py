"""What recurs in the threads of a repository: lines that nobody wrote for an issue, and people who answer many.

Learnt from a corpus, and kept as hashes only: a file of habits holds nobody's words and nobody's name.
"""

import hashlib
import json
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from pipeline.classify.parts import Recurring, split
from pipeline.errors import RedefectError
from pipeline.thread import Thread

_FEWEST_ISSUES = 5
_LEAST_SHARE = 0.01
"""Of a repository's issues, that hold a line (or that a person answered) before it counts as recurring."""

_FEWEST_AUTHORS = 3
_FEWEST_OWNERS = 3
"""With whom a line recurs before it is taken for a template's in repositories that are not known."""

_LONGEST_LINE = 600
_LONGEST_PROMPT = 160
_PROMPT = re.compile(r"[:?](?=\s|[*_`]{1,3}\s)")
_MENTION = re.compile(r"@[\w-]{1,40}")
_NOT_WORD = re.compile(r"[\W_]+")
_WORDS_OF_ASCII = bytes(ord(chr(code).lower()) if chr(code).isalnum() else 32 for code in range(128)) + bytes(128)
_BOT = re.compile(r"(?:\[bot\]|-?bot)$", re.IGNORECASE)
_FORMAT = 1

Hash = bytes


@dataclass(frozen=True, slots=True)
class Habits:
    """What recurs, by repository (in lower case), and which lines recur with many owners."""

    lines: Mapping[str, frozenset[Hash]] = field(default_factory=dict)
    everywhere: frozenset[Hash] = frozenset()
    maintainers: Mapping[str, frozenset[Hash]] = field(default_factory=dict)

    def recurring(self, repository: str) -> Recurring:
        """Return what tells of a line how much of it recurs in a repository; one that is not known has templates' usual lines."""
        own = self.lines.get(repository.lower(), frozenset())
        everywhere = self.everywhere

        def characters(line: str) -> int:
            if len(line) > _LONGEST_LINE:
                return 0
            hashes = _line_hashes(line)
            if own.isdisjoint(hashes) and everywhere.isdisjoint(hashes):
                return next((end for end, prompt in _prompts(line) if prompt in own or prompt in everywhere), 0)
            return len(line)

        return characters

    def is_maintainer(self, repository: str, author: str | None) -> bool:
        """Tell whether a person answers many of a repository's threads; someone unknown is not taken for one."""
        known = self.maintainers.get(repository.lower())
        return known is not None and author is not None and _person(repository, author) in known

    def to_json(self) -> str:
        """Write the habits as JSON, sorted, so that equal habits are equal texts."""
        value = {
            "format": _FORMAT,
            "everywhere": _hex(self.everywhere),
            "lines": {name: _hex(hashes) for name, hashes in sorted(self.lines.items())},
            "maintainers": {name: _hex(hashes) for name, hashes in sorted(self.maintainers.items())},
        }
        return json.dumps(value, indent=0, sort_keys=True) + "\n"


NO_HABITS = Habits()


def parse_habits(text: str, where: str) -> Habits:
    """Read habits from their JSON, the inverse of `Habits.to_json`.

    Raises
    ------
    RedefectError
        If the text is not that; the sentence begins with `where`.
    """
    try:
        value = json.loads(text)
        if value["format"] != _FORMAT:
            raise ValueError
        return Habits(
            {name: _hashes(hashes) for name, hashes in value["lines"].items()},
            _hashes(value["everywhere"]),
            {name: _hashes(hashes) for name, hashes in value["maintainers"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise RedefectError(f"{where}: holds no habits of repositories in format {_FORMAT}; learn them again.") from None


class _Counted:
    """What is counted of one repository while its threads pass."""

    def __init__(self) -> None:
        self.issues = 0
        self.lines: dict[Hash, tuple[int, frozenset[Hash]]] = {}
        """Of each line and prompt, how many issues hold it, and the first people who opened these."""
        self.prompts: dict[Hash, Hash] = {}
        """Of each line that goes on after a prompt, the prompt."""
        self.answered: dict[Hash, int] = defaultdict(int)

    def add(self, thread: Thread) -> None:
        """Count what a thread holds."""
        self.issues += 1
        opener = _person(thread.repository, thread.author or f"#{thread.number}")
        for line in {line for text in _texts(thread) for line in _lines_of_prose(text, self.prompts)}:
            count, people = self.lines.get(line, (0, frozenset()))
            self.lines[line] = (count + 1, people | {opener} if len(people) < _FEWEST_AUTHORS else people)
        for author in {c.author for c in thread.comments or () if c.author and c.author != thread.author}:
            if not _BOT.search(author):
                self.answered[_person(thread.repository, author)] += 1

    @property
    def least(self) -> int:
        """In how many issues something recurs."""
        return max(_FEWEST_ISSUES, math.ceil(_LEAST_SHARE * self.issues))

    def recurring(self) -> frozenset[Hash]:
        """Return the lines and prompts that recur."""
        return frozenset(
            line
            for line, (count, people) in self.lines.items()
            if count >= self.least
            and len(people) >= _FEWEST_AUTHORS
            and (line not in self.prompts or 2 * count > self.lines[self.prompts[line]][0])
        )

    def maintainers(self) -> frozenset[Hash]:
        """Return who answers many threads."""
        return frozenset(person for person, count in self.answered.items() if count >= self.least)


def learn_habits(threads: Iterable[Thread]) -> Habits:
    """Learn from a corpus which lines recur and who answers much, repository by repository.

    A line or a prompt recurs that at least three people's issues hold, five issues in all and one in a hundred; where the
    people are not known, each issue counts as another one's. A line that is one of several answers to a prompt (less than half
    of them) does not recur, though it be a frequent one. Fenced code and what looks like code, versions or output
    never counts. A maintainer answers five threads that others opened, and one in a hundred of the repository's; bots do not.
    """
    counted: dict[str, _Counted] = defaultdict(_Counted)
    for thread in threads:
        counted[thread.repository.lower()].add(thread)
    lines = {name: recurring for name, of in sorted(counted.items()) if (recurring := of.recurring())}
    maintainers = {name: people for name, of in sorted(counted.items()) if (people := of.maintainers())}
    owners: dict[Hash, set[str]] = defaultdict(set)
    for name, recurring in lines.items():
        for line in recurring:
            owners[line].add(name.partition("/")[0])
    everywhere = frozenset(line for line, names in owners.items() if len(names) >= _FEWEST_OWNERS)
    return Habits(lines, everywhere, maintainers)


def _texts(thread: Thread) -> Iterable[str]:
    if thread.body:
        yield thread.body
    for comment in thread.comments or ():
        yield comment.body


def _lines_of_prose(text: str, prompts: dict[Hash, Hash]) -> Iterable[Hash]:
    """Yield the hashes of a text's lines and of their prompts; what follows a prompt is told to `prompts`."""
    for span in split(text):
        if span.kind != "prose":
            continue
        for line in text[span.start : span.end].split("\n"):
            if len(line) <= _LONGEST_LINE:
                whole = _line_hashes(line)
                yield from whole
                for end, prompt in _prompts(line):
                    yield prompt
                    if line[end:].strip("*_` \r\t"):
                        prompts.update((line, prompt) for line in whole)


def _line_hashes(line: str) -> tuple[Hash, ...]:
    """Return the hash of a line's words, whatever their case, their mark-up and whom they address; one without words has none."""
    if "@" in line:  # greetings go to somebody else each time
        line = _MENTION.sub("@", line)
    words = _words(line)
    return (_hash(words),) if words else ()


def _words(line: str) -> str:
    if line.isascii():  # most lines are, and without a pattern that takes a third of the time
        return " ".join(line.encode().translate(_WORDS_OF_ASCII).decode().split())
    return _NOT_WORD.sub(" ", line).strip().lower()


def _prompts(line: str) -> Iterable[tuple[int, Hash]]:
    """Return where the prompts end that a line may begin with, and their hashes: "Model in use: ours" begins with one."""
    for found in _PROMPT.finditer(line, 0, _LONGEST_PROMPT):
        words = _words(line[: found.start()])
        if " " in words:  # one word and a colon ("Error: ...") are anybody's
            yield found.end(), _hash(words + ":")
            return


@lru_cache(maxsize=2**14)
def _hash(text: str) -> Hash:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def _person(repository: str, author: str) -> Hash:
    return _hash(f"{repository.lower()}\n{author.lower()}")


def _hex(hashes: Iterable[Hash]) -> list[str]:
    return sorted(value.hex() for value in hashes)


def _hashes(values: list[str]) -> frozenset[Hash]:
    return frozenset(bytes.fromhex(value) for value in values)
