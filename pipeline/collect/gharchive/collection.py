"""The hours of a period read side by side into partitions of events.

A collection can be stopped at any time: the same command goes on where it was, and ends with the same bytes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from pathlib import Path

from pipeline.collect.gharchive import manifest, partitions, staging
from pipeline.collect.gharchive.files import AmissError, Hour, Source, Tally, UnreachableError, identity, read_events
from pipeline.collect.gharchive.manifest import HourRecord
from pipeline.errors import RedefectError
from pipeline.facts import Flaw
from pipeline.files import alone, explained
from pipeline.processes import Workers

_STAGING = "staging"
_BUCKETS_AT_ONCE = 16
"""Merged by one process: each has to open all that is staged, however little of it is theirs."""

_MOST_UNREACHABLE = 3


@dataclass(slots=True)
class ArchiveReport:
    """What a period of GH Archive holds.

    Attributes
    ----------
    hours, read
        Hours of the period, and how many of them were read this time.
    bytes, unpacked, lines, events, malformed
        Of all files of the period: see `HourRecord`.
    repeated
        Events that came more than once in a month, byte for byte.
    """

    hours: int = 0
    read: int = 0
    bytes: int = 0
    unpacked: int = 0
    lines: int = 0
    events: int = 0
    malformed: int = 0
    repeated: int = 0
    flaws: list[Flaw] = field(default_factory=list)


def collect_hours(
    folder: Path,
    hours: list[Hour],
    source: Source,
    jobs: int,
    watch: Callable[[HourRecord], None] = lambda _: None,
    most_staged: int = 4_000_000_000,
) -> ArchiveReport:
    """Read the hours that a folder of partitions does not have yet, month by month; missing and broken ones are told of.

    Parameters
    ----------
    jobs
        How many processes read; 1 reads in this one.
    watch
        Is told of each hour that was read.
    most_staged
        How many bytes of events are staged, a day's more or less, before they are merged in the middle of a month.

    Raises
    ------
    RedefectError
        If no hour of the period can be read, the server cannot be reached, a process dies, or another collection is at work here.
    """
    with alone(folder, "another collection"):
        with explained(folder):
            (folder / _STAGING).mkdir(exist_ok=True)
        return _collect(folder, hours, source, jobs, watch, most_staged)


def _collect(
    folder: Path, hours: list[Hour], source: Source, jobs: int, watch: Callable[[HourRecord], None], most_staged: int
) -> ArchiveReport:
    report = ArchiveReport(hours=len(hours))
    records = manifest.read_manifest(folder)
    unreachable: list[Flaw] = []
    with Workers(jobs) as workers:
        for month, of_month in groupby(hours, key=lambda hour: hour.month):
            wanted = [hour for hour in of_month if _is_wanted(hour, records.get(hour.file), source, folder / _STAGING)]
            in_a_row = 0
            for day in range(0, len(wanted), 24):
                for record in workers.map(partial(_read_hour, source, folder / _STAGING), wanted[day : day + 24]):
                    watch(record)
                    report.read += 1
                    if not record.amiss.startswith(UnreachableError.words):
                        in_a_row = 0
                        manifest.append(folder, record)
                        records[record.file] = record
                        continue
                    unreachable += record.flaws()
                    in_a_row += 1
                    if in_a_row == _MOST_UNREACHABLE:
                        raise RedefectError(
                            f"{record.file}: {record.amiss}, nor could the {in_a_row - 1} before it; run the same command again "
                            "when the server answers, it goes on where it stopped."
                        )
                if sum(path.stat().st_size for path in (folder / _STAGING).iterdir()) > most_staged:
                    _merge(folder, month, records, workers, whole=False)
            _merge(folder, month, records, workers, whole=True)
    found = [records[hour.file] for hour in hours if hour.file in records]
    for record in found:
        report.bytes += record.bytes
        report.unpacked += record.unpacked
        report.lines += record.lines
        report.events += record.events
        report.malformed += record.malformed
        report.flaws += record.flaws()
    report.flaws += unreachable
    if not any(record.lines for record in found):
        first = report.flaws[0] if report.flaws else None
        raise RedefectError(
            f"{hours[0].name} to {hours[-1].name}: no hour could be read"
            + (f" ({first.where} {first.what})" if first else "")
            + "; check the period, and where the files should be."
        )
    months = {hour.month for hour in hours}
    of_months = sum(record.events for record in records.values() if record.file[:7] in months)
    report.repeated = of_months - sum(partitions.rows(folder, month) for month in months)
    return report


def _is_wanted(hour: Hour, record: HourRecord | None, source: Source, place: Path) -> bool:
    if record is None:
        return True
    return not (record.is_done(hour, source) or (not record.merged and _staged(place, hour).exists()))


def _staged(place: Path, hour: Hour) -> Path:
    return place / f"{hour.name}.arrow"


def _read_hour(source: Source, place: Path, hour: Hour) -> HourRecord:
    tally = Tally()
    size, trailer = 0, ""
    try:
        for _ in range(source.tries):
            with source.fetched(hour) as path:
                size, trailer = identity(path)
                tally = Tally()
                staging.stage(read_events(path, tally), _staged(place, hour))
            if not tally.broken:
                break
    except AmissError as error:
        return HourRecord(hour.file, amiss=str(error))
    return HourRecord(
        hour.file, size, trailer, tally.unpacked, tally.lines, tally.events, tally.malformed, tally.first_malformed, tally.broken
    )


def _merge(folder: Path, month: str, records: dict[str, HourRecord], workers: Workers, *, whole: bool) -> None:
    """Bring what is staged of a month into its partitions; stopped anywhere in here, it can be done again."""
    place = folder / _STAGING
    new = [record for record in records.values() if record.file.startswith(month) and not record.merged]
    staged = sorted(path for r in new if (path := place / f"{r.file.partition('.')[0]}.arrow").exists())
    if staged or (whole and any(folder.glob(f"bucket=*/month={month}/part-[1-9]*.parquet"))):
        buckets = [range(first, first + _BUCKETS_AT_ONCE) for first in range(0, partitions.BUCKETS, _BUCKETS_AT_ONCE)]
        for _ in workers.map(partial(_merge_buckets, folder, month, staged, whole), buckets):
            pass
    if new:
        records |= {record.file: replace(record, merged=True) for record in new}
        manifest.rewrite(folder, records.values())
    for path in place.iterdir():  # those of other months wait for their turn
        if path.name.lstrip(".").startswith(month):
            path.unlink()


def _merge_buckets(folder: Path, month: str, staged: list[Path], whole: bool, buckets: range) -> None:
    staging.merge(folder, month, buckets, staged, whole=whole)
