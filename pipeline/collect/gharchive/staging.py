"""Events on their way into partitions: staged hour by hour, then merged into those of their month.

The events of each hour are staged in one file (Arrow IPC), in batches sorted by bucket, repository and issue. `merge` writes the
partitions of some buckets, from what is staged of these in all hours and from what they held before. It first adds up how much
there is of each issue, and from this plans loads: runs of issues, in the order of the partitions, that memory can hold. Neither
where loads are cut nor which buckets are merged together changes a byte.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.collect.gharchive.events import SCHEMA, Event, to_table
from pipeline.collect.gharchive.partitions import bucket_of, cuts, damaged, part_number, partition, parts, sketch
from pipeline.files import whole

_BATCH = 20_000
_BATCH_LETTERS = 20_000_000
_ROW_GROUP = 10_000
_ROW_GROUP_BYTES = 4_000_000  # some threads are so long that so many rows of them would fill the memory
_SMALL_ROW_GROUP_BYTES = 1_000_000
"""Of parts that are there until the month's end only, of each of which a group is held while they become one."""

_TEXTS = ("title", "body", "comment")
_WITHOUT_TEXTS = 200
"""Bytes of a row beside its texts, about."""

_BUCKET = pa.field("bucket", pa.int32())
_STAGED = SCHEMA.append(_BUCKET)
_LOADED = pa.schema(  # all texts of a column may be longer together than 32 bits can tell
    [field.with_type(pa.large_string()) if field.type == pa.string() else field for field in _STAGED]
)
_ISSUE = ["bucket", "repository_id", "number"]
_SORTED_BY: list[tuple[str, Literal["ascending", "descending"]]] = [
    (name, "ascending") for name in (*_ISSUE, "repository", "at", "event", "digest")
]
_Key = tuple[int, bool, int, bool, int]


def stage(events: Iterable[Event], path: Path) -> None:
    """Write the events of an hour to a file, which is there when all are in it; in memory is a batch at a time."""
    coming = iter(events)
    known: dict[tuple[int | None, str], int] = {}
    with whole(path) as part, pa.OSFile(str(part), "wb") as file, pa.ipc.new_file(file, _STAGED) as writer:
        while batch := _batch(coming):
            keys = []
            for event in batch:
                repository = (event.repository_id, event.repository)
                if repository not in known:
                    known[repository] = bucket_of(*repository)
                keys.append(_key(known[repository], event.repository_id, event.number))
            order = sorted(range(len(batch)), key=keys.__getitem__)
            table = to_table([batch[i] for i in order])
            writer.write_table(table.append_column(_BUCKET, pa.array([keys[i][0] for i in order], _BUCKET.type)))


def _batch(coming: Iterator[Event]) -> list[Event]:
    """Take events until there are enough of them, or of their texts: some threads are so long that few fill the memory."""
    batch, letters = [], 0
    for event in coming:
        batch.append(event)
        letters += len(event.body or "") + len(event.comment or "")
        if len(batch) == _BATCH or letters > _BATCH_LETTERS:
            break
    return batch


def _key(bucket: int, repository_id: int | None, number: int | None) -> _Key:
    """Return by what issues are in order; those of which something is not known come last."""
    return bucket, repository_id is None, repository_id or 0, number is None, number or 0


def merge(
    folder: Path, month: str, buckets: range, staged: Sequence[Path], *, whole: bool = True, at_once: int = 40_000_000
) -> None:
    """Add what is staged of some buckets to their partitions of a month; to do so twice changes nothing.

    Parameters
    ----------
    whole
        Whether to make one of all parts that a partition has; else what is staged is another part of it, which is less work.
    at_once
        How many bytes of texts to hold in memory, if no single issue has more in that month.

    Raises
    ------
    RedefectError
        If a file is damaged, as a power cut may leave it.
    """
    there = {bucket: parts(folder, bucket, month) for bucket in buckets}
    before = there if whole else {}
    issues = _issues(before, staged, buckets)
    key = _keys(issues)
    loads = [(key(begin), key(end - 1)) for begin, end in cuts((issues["bytes"].to_numpy(), at_once))]
    held = {bucket: [_Part(folder, path, bucket) for path in paths] for bucket, paths in before.items()}
    rows = (part for first, last in loads for part in _sorted(_loaded(held, staged, first, last)))
    for bucket, of_bucket in groupby(rows, key=itemgetter(0)):
        part = 0 if whole else 1 + max(map(part_number, there[bucket]), default=0)
        path = partition(folder, bucket, month, part)
        _write(path, map(itemgetter(1), of_bucket), _ROW_GROUP_BYTES if whole else _SMALL_ROW_GROUP_BYTES)
        for other in before.get(bucket, ()):
            if other != path:
                other.unlink()


def _issues(before: Mapping[int, Sequence[Path]], staged: Sequence[Path], buckets: range) -> pa.Table:
    """Return how many `bytes` there are of each issue, in order."""

    def sketches() -> Iterator[pa.Table]:
        for bucket, paths in before.items():
            for path in paths:
                yield _in_bucket(sketch(path, _ISSUE[1:]), bucket).select([*_ISSUE, "bytes"])
        for path in staged:
            for batch in _staged(path, buckets[0], buckets[-1]):
                yield _copied(batch.select(_ISSUE), 0, len(batch)).append_column("bytes", pa.array(_sizes(batch)))

    def added_up() -> pa.Table:
        found = pa.concat_tables(waiting).group_by(_ISSUE).aggregate([("bytes", "sum")])
        return found.rename_columns([*_ISSUE, "bytes"])

    fields = [_BUCKET, SCHEMA.field("repository_id"), SCHEMA.field("number"), pa.field("bytes", pa.int64())]
    waiting = [pa.schema(fields).empty_table()]
    for rows in sketches():
        waiting.append(rows)
        if sum(map(len, waiting)) > 2 * len(waiting[0]) + 500_000:
            waiting = [added_up()]
    return added_up().sort_by(_SORTED_BY[: len(_ISSUE)])


def _in_bucket(rows: pa.Table, bucket: int) -> pa.Table:
    return rows.append_column(_BUCKET, pa.repeat(pa.scalar(bucket, _BUCKET.type), len(rows)))


def _staged(path: Path, first: int, last: int) -> Iterator[pa.RecordBatch]:
    """Yield what a file holds of some buckets, not copied: only what is taken from it is read."""
    with damaged(path, path), pa.memory_map(str(path)) as source:
        reader = pa.ipc.open_file(source)
        for i in range(reader.num_record_batches):
            batch = reader.get_batch(i)
            begin, end = np.searchsorted(batch.column("bucket").to_numpy(), [first, last + 1]).tolist()
            if begin < end:
                yield batch.slice(begin, end - begin)


def _copied(batch: pa.RecordBatch, begin: int, end: int) -> pa.Table:
    """Copy rows, so that the file need not stay mapped, which would count as memory."""
    return pa.Table.from_batches([batch.take(pa.array(range(begin, end)))])


def _sizes(rows: pa.Table | pa.RecordBatch) -> NDArray[np.int64]:
    sizes = np.full(len(rows), _WITHOUT_TEXTS, dtype=np.int64)
    for name in _TEXTS:
        texts: Any = rows.column(name)
        sizes += pc.binary_length(texts).fill_null(0).to_numpy()
    return sizes


def _keys(rows: pa.Table | pa.RecordBatch) -> Callable[[int], _Key]:
    columns = [rows.column(name) for name in _ISSUE]
    return lambda row: _key(*(column[row].as_py() for column in columns))


def _between(rows: pa.Table | pa.RecordBatch, first: _Key, last: _Key) -> tuple[int, int]:
    """Return where, in rows that are in order, those of some issues begin and end."""
    key = _keys(rows)
    begin = bisect_left(range(len(rows)), first, key=key)
    return begin, bisect_right(range(len(rows)), last, lo=begin, key=key)


class _Part:
    """The rows of a part of a partition, in order, each read once; open and in memory is what is being taken of it."""

    def __init__(self, folder: Path, path: Path, bucket: int) -> None:
        self._folder, self._path, self._bucket = folder, path, bucket
        self._groups = self._read()
        self._rest: pa.Table | None = None  # of the group of rows that was read last

    def until(self, last: _Key) -> Iterator[pa.Table]:
        """Take the rows up to those of an issue."""
        while (rows := self._rest or next(self._groups, None)) is not None:
            end = bisect_right(range(len(rows)), last, key=_keys(rows))
            self._rest = rows.slice(end)
            yield rows.slice(0, end)
            if self._rest:
                return

    def _read(self) -> Iterator[pa.Table]:
        with damaged(self._path, self._folder), pq.ParquetFile(self._path) as file:
            for group in range(file.num_row_groups):
                yield _in_bucket(file.read_row_group(group), self._bucket).cast(_STAGED)


def _loaded(held: Mapping[int, Sequence[_Part]], staged: Sequence[Path], first: _Key, last: _Key) -> pa.Table:
    """Return all that there is of some issues, which come after those of the last time."""
    loaded = [rows for bucket in range(first[0], last[0] + 1) for part in held.get(bucket, ()) for rows in part.until(last)]
    for path in staged:
        for batch in _staged(path, first[0], last[0]):
            begin, end = _between(batch, first, last)
            if begin < end:
                loaded.append(_copied(batch, begin, end))
    columns: list[Any] = pa.concat_tables(loaded).columns
    loaded.clear()
    for i, field in enumerate(_LOADED):  # one by one, or all would be in memory twice
        columns[i] = columns[i].cast(field.type).combine_chunks()
    return pa.table(columns, schema=_LOADED)


def _sorted(rows: pa.Table) -> Iterator[tuple[int, pa.Table]]:
    """Yield rows in the order of the partitions, each once; some at a time, with their bucket."""
    order = pc.sort_indices(rows, sort_keys=_SORTED_BY)
    digests = rows.column("digest").chunk(0).take(order)
    order = order.filter(pa.concat_arrays([pa.array([True]), pc.not_equal(digests[1:], digests[:-1])]))
    buckets = rows.column("bucket").chunk(0).take(order).to_numpy()
    rows = rows.select(SCHEMA.names)
    for begin, end in pairwise([0, *(np.flatnonzero(np.diff(buckets)) + 1).tolist(), len(order)]):
        for at in range(begin, end, _ROW_GROUP // 4):  # so that what is sorted is never all in memory
            yield int(buckets[begin]), rows.take(order[at : min(at + _ROW_GROUP // 4, end)])


def _write(path: Path, parts: Iterable[pa.Table], group_bytes: int) -> None:
    """Write a part of a partition; the rows alone tell where groups of them end, not which came together."""
    with (
        whole(path) as part,
        pq.ParquetWriter(
            part,
            SCHEMA,
            compression="zstd",
            use_dictionary=["kind", "action", "actor", "repository", "state", "author", "comment_author"],  # type: ignore[arg-type]  # its stub
            write_statistics=["repository_id", "repository", "number", "at"],
            store_schema=False,
        ) as writer,
    ):
        waiting: list[pa.Table] = []
        for rows in parts:
            rows = pa.concat_tables([*waiting, rows]).combine_chunks()
            for begin, end in cuts((np.ones(len(rows), dtype=np.int64), _ROW_GROUP), (_sizes(rows), group_bytes)):
                waiting = [rows.slice(begin, end - begin)]
                if end < len(rows):
                    writer.write_table(waiting[0].cast(SCHEMA), row_group_size=_ROW_GROUP)
        for rows in waiting:
            writer.write_table(rows.cast(SCHEMA), row_group_size=_ROW_GROUP)
