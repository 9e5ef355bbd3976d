"""The hourly files of GH Archive: which there are, how they come, and what of them is read.

A file is whole when it has the length that its server told, and its gzip stream ends with the right sum and length. Of one that
breaks off, what can be read is read. Hours are named in UTC; those before 2015 in Pacific time, which lacks an hour a year.
"""

import calendar
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from isal import isal_zlib

from pipeline import __version__
from pipeline.collect.gharchive.events import Event, parse_line
from pipeline.errors import RedefectError
from pipeline.files import explained

if TYPE_CHECKING:
    import requests

ADDRESS = "https://data.gharchive.org"
FIRST_DAY = date(2011, 2, 12)
_PERIOD = re.compile(r"(\d{4})-(\d\d)(?:-(\d\d))?", re.ASCII)
_PIECE = 1 << 20
_UNPACKED = 1 << 19
_LONGEST_LINE = 100_000_000
"""Bytes; the longest that GitHub's API gives have some 25 million, and what is longer would only fill the memory."""
_MARK = re.compile(rb'"Issue(?:s|Comment)Event"')
_GZIP = b"\x1f\x8b"
_UNPACKING_ERROR: type[Exception] = isal_zlib.error  # type: ignore[assignment]  # its stub says that it is an instance


class Hour(NamedTuple):
    """An hour of the archive."""

    day: date
    hour: int

    @property
    def time(self) -> datetime:
        """When it begins, if its name is in UTC."""
        return datetime(self.day.year, self.day.month, self.day.day, self.hour, tzinfo=UTC)

    @property
    def name(self) -> str:
        """Its name in the archive: 2021-02-03-7."""
        return f"{self.day}-{self.hour}"

    @property
    def month(self) -> str:
        """The month of its file: 2021-02."""
        return f"{self.day:%Y-%m}"

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.name}.json.gz"


def hours_between(begin: str, end: str) -> list[Hour]:
    """Return the hours from the begin of a month (2021-01) or day (2021-01-31) to the end of one, in order.

    Raises
    ------
    RedefectError
        If one is neither, the end is before the begin, or the begin before the archive's.
    """
    first, last = _days(begin)[0], _days(end)[1]
    if first > last:
        raise RedefectError(f"{begin} to {end}: the end is before the begin; exchange the two.")
    if first < FIRST_DAY:
        raise RedefectError(f"{begin}: GH Archive begins on {FIRST_DAY}; begin there or later.")
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return [Hour(day, hour) for day in days for hour in range(24)]


def _days(text: str) -> tuple[date, date]:
    match = _PERIOD.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        year, month = int(match[1]), int(match[2])
        if match[3]:
            return date(year, month, int(match[3])), date(year, month, int(match[3]))
        return date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1])
    except ValueError:
        raise RedefectError(f"'{text}' is no month like 2021-01 and no day like 2021-01-31.") from None


class AmissError(Exception):
    """An hour's file is missing, or not what it should be; the words follow on its name."""


class UnreachableError(AmissError):
    """The server of an hour's file cannot be reached."""

    words = "cannot be fetched"


class Source(Protocol):
    """Where hourly files come from."""

    @property
    def tries(self) -> int:
        """How often to ask for a file that comes whole and is broken."""
        ...

    def changed(self, hour: Hour, size: int, trailer: str) -> bool:
        """Tell whether an hour's file is there now, and is not the broken one that was read before."""
        ...

    def fetched(self, hour: Hour) -> AbstractContextManager[Path]:
        """Have an hour's file for a while; raises `AmissError` if there is none."""


@dataclass(frozen=True, slots=True)
class Folder:
    """Hourly files that are there already."""

    path: Path
    tries: int = 1

    def changed(self, hour: Hour, size: int, trailer: str) -> bool:
        """Look at its length and at its end."""
        path = self.path / hour.file
        return path.is_file() and identity(path) != (size, trailer)

    @contextmanager
    def fetched(self, hour: Hour) -> Iterator[Path]:
        """Give the file's path."""
        path = self.path / hour.file
        if not path.is_file():
            raise AmissError("is missing")
        yield path


@dataclass(frozen=True, slots=True)
class Server:
    """Hourly files over HTTP, each kept in a folder only until it is read; one that was cut off goes on where it stopped.

    Times are in seconds; `first_wait` doubles with each failure.
    """

    address: str
    incoming: Path
    tries: int = 2
    attempts: int = 8
    first_wait: float = 1.0
    timeout: float = 60.0

    def changed(self, hour: Hour, size: int, trailer: str) -> bool:
        """Take it for possible."""
        return True

    @contextmanager
    def fetched(self, hour: Hour) -> Iterator[Path]:
        """Fetch the file, and remove it afterwards, unless that failed."""
        import requests

        path = self.incoming / hour.file
        with explained(self.incoming):
            self.incoming.mkdir(parents=True, exist_ok=True)
        with requests.Session() as session:
            session.headers.update({"User-Agent": f"redefect/{__version__}", "Accept-Encoding": "identity"})
            self._fetch(session, f"{self.address.rstrip('/')}/{hour.file}", path)
        yield path
        path.unlink(missing_ok=True)

    def _fetch(self, session: "requests.Session", url: str, path: Path) -> None:
        import requests
        from urllib3.exceptions import HTTPError

        from pipeline.collect.github.client import Patience

        patience = Patience(first_wait=self.first_wait, longest_wait=60.0)
        failures = 0
        while True:
            have = path.stat().st_size if path.exists() else 0
            try:
                headers = {"Range": f"bytes={have}-"} if have else {}
                with session.get(url, headers=headers, stream=True, timeout=(10, self.timeout)) as answer:
                    problem = _take(answer, path, have)
            except (requests.RequestException, HTTPError) as error:
                problem = type(error).__name__
            if problem is None:
                return
            gained = (path.stat().st_size if path.exists() else 0) - have
            failures = 1 if gained > _PIECE else failures + 1
            if failures >= self.attempts:
                raise UnreachableError(f"{UnreachableError.words} ({problem})")
            time.sleep(patience.wait(failures))


def _take(answer: "requests.Response", path: Path, have: int) -> str | None:
    """Write what an answer holds; return what is wrong with it, None if the file is as long as the server says."""
    told = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+)", answer.headers.get("Content-Range", ""), re.ASCII)
    if answer.status_code == 416:
        if told and int(told[2]) == have:
            return None  # all of it had come before
        path.unlink(missing_ok=True)
        return "the server has less of it than came before"
    if answer.status_code in (403, 404, 410):  # a bucket that does not list its files forbids those that it does not have
        raise AmissError(f"is missing (the server answers {answer.status_code})")
    if answer.status_code not in (200, 206):
        return f"the server answers {answer.status_code}"
    resumes = answer.status_code == 206
    if resumes and (told is None or told[1] is None or int(told[1]) != have):
        path.unlink(missing_ok=True)
        return "the server goes on elsewhere"
    length = answer.headers.get("Content-Length", "")
    whole = int(told[2]) if resumes and told else int(length) if length.isdecimal() else None
    with path.open("ab" if resumes else "wb") as file:
        for piece in answer.raw.stream(_PIECE // 4, decode_content=False):
            with explained(path):  # around the write alone: the network's errors are the system's to Python, too
                file.write(piece)
    size = path.stat().st_size
    if whole is None or size == whole:
        return None
    if size > whole:
        path.unlink()
    return f"{size:,} of {whole:,} bytes came"


@dataclass(slots=True)
class Tally:
    """What was read of a file, and what is amiss in it.

    Attributes
    ----------
    lines, events, malformed
        Lines; events of issues and comments among them; lines that should hold such events and do not, or are too long.
    first_malformed
        The first of these and what is wrong with it.
    broken
        Why the file could not be read to its end.
    """

    lines: int = 0
    events: int = 0
    malformed: int = 0
    first_malformed: str = ""
    broken: str = ""
    unpacked: int = field(default=0, repr=False)

    def count_malformed(self, line: int, reason: str) -> None:
        """Count a malformed line."""
        if not self.malformed:
            self.first_malformed = f"line {line}: {reason}"
        self.malformed += 1


def read_events(path: Path, tally: Tally, longest_line: int = _LONGEST_LINE) -> Iterator[Event]:
    """Yield the events of issues and of comments on them, in the order of an hourly file; all others are passed over unread."""
    for line, number in _candidates(unpacked(path, tally), tally, longest_line):
        events = parse_line(line, partial(tally.count_malformed, number))
        tally.events += len(events)
        yield from events


def identity(path: Path) -> tuple[int, str]:
    """Return a file's length in bytes, and its last eight: in gzip CRC-32 and length of what it holds, in hexadecimal."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - 8))
        return size, file.read(8).hex()


def unpacked(path: Path, tally: Tally) -> Iterator[bytes]:
    """Yield what a gzip file holds, piece by piece, as far as it can be read; `tally.broken` then tells why not to its end."""
    try:
        with path.open("rb") as file:
            start = file.read(2)
            if start != _GZIP:
                tally.broken = "is no gzip file" if start else "is empty"
                return
            file.seek(0)
            unpacker = isal_zlib.decompressobj(wbits=31)
            full = False
            while data := file.read(_PIECE):
                while data or full:
                    if unpacker.eof:  # a further member, or the zeros that pad a tape
                        data = data.lstrip(b"\0")
                        if not data:
                            break
                        if not _GZIP.startswith(data[:2]):
                            tally.broken = "goes on after its end with what is no gzip"
                            return
                        unpacker = isal_zlib.decompressobj(wbits=31)
                    piece = unpacker.decompress(data, _UNPACKED)
                    data = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
                    full = len(piece) == _UNPACKED and not unpacker.eof
                    tally.unpacked += len(piece)
                    yield piece
            if not unpacker.eof:
                tally.broken = "breaks off"
    except _UNPACKING_ERROR:
        tally.broken = "is damaged"
    except OSError as error:
        tally.broken = f"cannot be read ({error.strerror})"


def _candidates(pieces: Iterable[bytes], tally: Tally, longest_line: int) -> Iterator[tuple[bytes, int]]:
    """Yield the lines that name an issue event, and their numbers from 1.

    Nine lines of ten are of other types: only ends of lines beside a name that was found are looked for, and none is parsed.
    """
    rest: list[bytes] = []  # the begin of a line, whose end has not come yet
    length = 0
    too_long = False
    for piece in pieces:
        end = piece.rfind(b"\n") + 1
        if end == 0:
            length += len(piece)
            too_long = too_long or length > longest_line
            rest = [] if too_long else [*rest, piece]
            continue
        if too_long:
            begin = piece.find(b"\n") + 1
            tally.lines += 1
            tally.count_malformed(tally.lines, f"has more than {longest_line:,} bytes")
            block = piece[begin:end]
        else:
            block = b"".join([*rest, piece[:end]])
        too_long, length, rest = False, len(piece) - end, [piece[end:]]
        yield from _named(block, tally)
    if too_long:
        tally.lines += 1
        tally.count_malformed(tally.lines, f"has more than {longest_line:,} bytes")
    elif not tally.broken and (last := b"".join(rest)):
        yield from _named(last, tally)


def _named(block: bytes, tally: Tally) -> Iterator[tuple[bytes, int]]:
    begin = end = 0
    while hit := _MARK.search(block, end):
        tally.lines += _count_lines(block, begin, hit.start())
        begin, end = block.rfind(b"\n", 0, hit.start()) + 1, block.find(b"\n", hit.end())
        end = end if end >= 0 else len(block)
        yield block[begin:end], tally.lines + 1
    tally.lines += _count_lines(block, begin, len(block)) + (block[-1:] not in (b"", b"\n"))


def _count_lines(block: bytes, begin: int, end: int) -> int:
    # `bytes.count` is four times slower on lines of this length.
    count = 0
    at = block.find(b"\n", begin, end)
    while at >= 0:
        count += 1
        at = block.find(b"\n", at + 1, end)
    return count
