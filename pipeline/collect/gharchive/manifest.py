"""What was read of each hour of GH Archive: a line of JSON an hour, by which a collection goes on where it was stopped."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.collect.gharchive.files import Hour, Source
from pipeline.errors import RedefectError
from pipeline.facts import Flaw
from pipeline.files import explained, write

NAME = "manifest.jsonl"


@dataclass(frozen=True, slots=True)
class HourRecord:
    """What was read of an hour's file.

    Attributes
    ----------
    file
        Its name.
    bytes, trailer
        Its length, and its last eight bytes in hexadecimal (CRC-32 and length of what it holds); 0 and empty if there is no file.
    unpacked, lines, events, malformed
        Bytes and lines that it holds, events of issues and comments among them, and lines that should be such and are not.
    first_malformed, amiss
        Which is the first of these, and why the file could not be read (to its end); empty if it could.
    merged
        Whether its events are in the partitions.
    """

    file: str
    bytes: int = 0
    trailer: str = ""
    unpacked: int = 0
    lines: int = 0
    events: int = 0
    malformed: int = 0
    first_malformed: str = ""
    amiss: str = ""
    merged: bool = False

    def is_done(self, hour: Hour, source: Source) -> bool:
        """Tell whether the hour need not be read (again)."""
        return self.merged and not (self.amiss and source.changed(hour, self.bytes, self.trailer))

    def flaws(self) -> list[Flaw]:
        """Return what is amiss in the file."""
        found = []
        if self.amiss:
            done = f"the {self.events} events before are kept" if self.events else "left out"
            found.append(Flaw("gharchive", self.file, self.amiss, done))
        if self.malformed:
            lines = "1 malformed line" if self.malformed == 1 else f"{self.malformed} malformed lines"
            found.append(Flaw("gharchive", self.file, f"has {lines}, first {self.first_malformed}", "left out"))
        return found


def read_manifest(folder: Path) -> dict[str, HourRecord]:
    """Return what was read so far, by the file's name; a last line that was cut off does not count.

    Raises
    ------
    RedefectError
        If another line is none of a manifest.
    """
    path = folder / NAME
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").split("\n")
    records = {}
    for number, line in enumerate(lines[:-1], start=1):
        try:
            record = HourRecord(**json.loads(line))
        except (ValueError, TypeError):
            raise RedefectError(f"{path}:{number}: is no line of a manifest; remove {folder} and collect again.") from None
        records[record.file] = record
    if lines[-1]:
        rewrite(folder, records.values())  # or the next line would be glued to what was cut off
    return records


def append(folder: Path, record: HourRecord) -> None:
    """Add what was read of an hour."""
    with explained(folder / NAME), (folder / NAME).open("a", encoding="utf-8") as file:
        file.write(_line(record))


def rewrite(folder: Path, records: Iterable[HourRecord]) -> None:
    """Write the manifest anew, sorted."""
    write(folder / NAME, "".join(_line(record) for record in sorted(records, key=_order)).encode())


def _order(record: HourRecord) -> tuple[str, int]:
    day, _, hour = record.file.partition(".")[0].rpartition("-")
    return day, int(hour)


def _line(record: HourRecord) -> str:
    return json.dumps(asdict(record)) + "\n"
