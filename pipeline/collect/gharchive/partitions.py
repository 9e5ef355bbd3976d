"""Issue events in Parquet, parted by a hash of their repository and by the month of their files: bucket=07/month=2021-02.

All events of a repository are in one bucket, so that buckets are worked on one by one, or each on another machine. What a
partition holds is told by its events alone: each once, sorted; neither their order nor who read them changes a byte.

On their way there, the events of each hour are staged in one file (Arrow IPC), batches sorted by bucket; `merge` then writes a
partition from the rows of its bucket in all hours, and from what the partition held before.
"""

import contextlib
import os
import re
import tempfile
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.collect.gharchive.events import SCHEMA, Event, from_table, to_table
from pipeline.collect.gharchive.threads import Rebuilt, rebuild
from pipeline.errors import RedefectError
from pipeline.files import explained

if TYPE_CHECKING:
    import pyarrow.dataset as ds

BUCKETS = 64
_BATCH = 20_000
_BATCH_LETTERS = 20_000_000
_ROW_GROUP = 10_000
_STAGED = SCHEMA.append(pa.field("bucket", pa.int32()))
_SORTED_BY: list[tuple[str, Literal["ascending", "descending"]]] = [
    (name, "ascending") for name in ("repository_id", "repository", "number", "at", "event", "digest")
]
_BUCKET = re.compile(r"bucket=(\d+)")


def bucket_of(repository_id: int | None, repository: str) -> int:
    """Return the bucket of a repository: CRC-32 of its number in decimal, or of its name (case folded) if that is not known."""
    key = str(repository_id) if repository_id is not None else repository.casefold()
    return zlib.crc32(key.encode()) % BUCKETS


def stage(events: Iterable[Event], path: Path) -> None:
    """Write the events of an hour to a file, which is there when all are in it; in memory is a batch at a time."""
    coming = iter(events)
    known: dict[tuple[int | None, str], int] = {}
    with _whole(path) as part, pa.OSFile(str(part), "wb") as file, pa.ipc.new_file(file, _STAGED) as writer:
        while batch := _batch(coming):
            buckets = np.empty(len(batch), dtype=np.int32)
            for i, event in enumerate(batch):
                key = (event.repository_id, event.repository)
                if key not in known:
                    known[key] = bucket_of(*key)
                buckets[i] = known[key]
            order = np.argsort(buckets, kind="stable")
            table = to_table([batch[i] for i in order.tolist()])
            writer.write_table(table.append_column(_STAGED.field("bucket"), pa.array(buckets[order])))


def _batch(coming: Iterator[Event]) -> list[Event]:
    """Take events until there are enough of them, or of their texts: some threads are so long that few fill the memory."""
    batch, letters = [], 0
    for event in coming:
        batch.append(event)
        letters += len(event.body or "") + len(event.comment or "")
        if len(batch) == _BATCH or letters > _BATCH_LETTERS:
            break
    return batch


def merge(folder: Path, month: str, bucket: int, staged: Sequence[Path]) -> None:
    """Add what is staged of a bucket to its partition of a month; to do so twice changes nothing.

    Raises
    ------
    RedefectError
        If a file is damaged, as a power cut may leave it.
    """
    path = partition(folder, bucket, month)
    tables = []
    if path.exists():
        with _damaged(path, folder):
            tables.append(pq.read_table(path, schema=SCHEMA, partitioning=None))
    for file in staged:
        with _damaged(file, file), pa.memory_map(str(file)) as source:
            reader = pa.ipc.open_file(source)
            for i in range(reader.num_record_batches):
                batch = reader.get_batch(i)  # not copied: only what is taken from it below is read
                begin, end = np.searchsorted(batch.column("bucket").to_numpy(), [bucket, bucket + 1]).tolist()
                if begin < end:
                    tables.append(pa.Table.from_batches([batch.slice(begin, end - begin).select(SCHEMA.names)]))
    if not tables:
        return
    table = pa.concat_tables(tables).combine_chunks()
    tables.clear()
    order = pc.sort_indices(table, sort_keys=_SORTED_BY)
    digests = table.column("digest").combine_chunks().take(order)
    order = order.filter(pa.concat_arrays([pa.array([True]), pc.not_equal(digests[1:], digests[:-1])]))
    with (
        _whole(path) as part,
        pq.ParquetWriter(
            part,
            SCHEMA,
            compression="zstd",
            use_dictionary=["kind", "action", "actor", "repository", "state", "author", "comment_author"],  # type: ignore[arg-type]
            write_statistics=["repository_id", "repository", "at"],
            store_schema=False,
        ) as writer,
    ):
        for begin in range(0, len(order), _ROW_GROUP):  # so that what is sorted is never all in memory
            writer.write_table(table.take(order[begin : begin + _ROW_GROUP]), row_group_size=_ROW_GROUP)


def partition(folder: Path, bucket: int, month: str) -> Path:
    """Return the path of a partition."""
    return folder / f"bucket={bucket:02}" / f"month={month}" / "part-0.parquet"


def buckets(folder: Path) -> list[int]:
    """Return the buckets in which there are events, in order."""
    return sorted(int(match[1]) for path in folder.glob("bucket=*") if (match := _BUCKET.fullmatch(path.name)))


def files(folder: Path, bucket: int) -> list[Path]:
    """Return the partitions of a bucket that there are, month by month."""
    return sorted((folder / f"bucket={bucket:02}").glob("month=*/part-0.parquet"))


def rows(folder: Path, month: str) -> int:
    """Return how many events the partitions of a month hold."""
    return sum(pq.read_metadata(path).num_rows for path in folder.glob(f"bucket=*/month={month}/part-0.parquet"))


def repositories(folder: Path, bucket: int) -> pa.Table:
    """Return the names of a bucket's repositories, those of before a renaming, too.

    Returns
    -------
    `repository_id`, `repository`, `last` (when it last had that name), `events`; sorted.
    """
    table = _dataset(folder, bucket).to_table(columns=["repository_id", "repository", "at"])
    found = table.group_by(["repository_id", "repository"]).aggregate([("at", "max"), ("at", "count")])
    found = found.rename_columns({"at_max": "last", "at_count": "events"})
    return found.sort_by([("repository_id", "ascending"), ("repository", "ascending")])


def read_events(folder: Path, bucket: int, which: pc.Expression | None = None) -> pa.Table:
    """Return events of a bucket (`events.SCHEMA`), of all its months: all, or those of which an expression is true."""
    return _dataset(folder, bucket).to_table(filter=which)


def rebuild_bucket(folder: Path, bucket: int, only: Collection[int] | None = None, at_once: int = 20_000) -> Iterator[Rebuilt]:
    """Rebuild the threads of a bucket's repositories, in the order of their numbers.

    Parameters
    ----------
    only
        The numbers of the repositories to rebuild; None for all, those without a number, too.
    at_once
        How many events to hold in memory, if no single repository has more.
    """
    known = repositories(folder, bucket).group_by("repository_id").aggregate([("events", "sum")]).sort_by("repository_id")
    number = pc.field("repository_id")
    chosen: list[int] = []
    held = 0
    for row in [*known.to_pylist(), {"repository_id": None, "events_sum": at_once}]:
        if chosen and held + row["events_sum"] > at_once:
            within = (number >= chosen[0]) & (number <= chosen[-1])  # whole groups of rows are passed over by this
            table = read_events(folder, bucket, within if only is None else within & number.isin(chosen))
            yield from sorted(rebuild(from_table(table)), key=lambda rebuilt: rebuilt.repository_id or 0)
            chosen, held = [], 0
        if row["repository_id"] is not None and (only is None or row["repository_id"] in only):
            chosen.append(row["repository_id"])
            held += row["events_sum"]
    if only is None:
        yield from rebuild(from_table(read_events(folder, bucket, number.is_null())))


def _dataset(folder: Path, bucket: int) -> "ds.Dataset":
    import pyarrow.dataset as ds  # brings all of pandas, which processes that only read need not wait for

    return ds.dataset([str(path) for path in files(folder, bucket)], schema=SCHEMA, format="parquet")


@contextlib.contextmanager
def _damaged(path: Path, remove: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowInvalid, OSError):
        raise RedefectError(f"{path}: is damaged; remove {remove} and run the same command again.") from None


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """Give a file to write that gets its name when it is whole."""
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        part = Path(name)
        try:
            yield part
            part.chmod(0o644)
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
