"""Issue events in Parquet, parted by a hash of their repository and by the month of their files: bucket=007/month=2021-02.

All events of a repository are in one bucket, so that buckets are worked on one by one, or each on another machine. What a
partition holds is told by its events alone: each once, sorted; neither their order nor who read them changes a byte.
"""

import re
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.collect.gharchive.events import SCHEMA, from_table
from pipeline.collect.gharchive.threads import Rebuilt, rebuild
from pipeline.errors import RedefectError

if TYPE_CHECKING:
    import pyarrow.dataset as ds

BUCKETS = 256

_BUCKET = re.compile(r"bucket=(\d+)")
_ISSUE = ["repository_id", "repository", "number", "issue_id"]
_NO_NUMBER = 2**31
"""More than any issue's number."""


def bucket_of(repository_id: int | None, repository: str) -> int:
    """Return the bucket of a repository: CRC-32 of its number in decimal, or of its name (case folded) if that is not known."""
    key = str(repository_id) if repository_id is not None else repository.casefold()
    return zlib.crc32(key.encode()) % BUCKETS


def partition(folder: Path, bucket: int, month: str, part: int = 0) -> Path:
    """Return the path of a partition, or of a part of it (1 and up), as are beside it until the month's end."""
    return folder / f"bucket={bucket:03}" / f"month={month}" / f"part-{part}.parquet"


def part_number(path: Path) -> int:
    """Return the number of the part that a path names."""
    return int(path.stem.removeprefix("part-"))


def parts(folder: Path, bucket: int, month: str) -> list[Path]:
    """Return the parts of a partition that there are, in order."""
    found = partition(folder, bucket, month).parent.glob("part-*.parquet")
    return sorted(found, key=part_number)


def buckets(folder: Path) -> list[int]:
    """Return the buckets in which there are events, in order."""
    return sorted(int(match[1]) for path in folder.glob("bucket=*") if (match := _BUCKET.fullmatch(path.name)))


def files(folder: Path, bucket: int) -> list[Path]:
    """Return the partitions of a bucket that there are, month by month."""
    return sorted((folder / f"bucket={bucket:03}").glob("month=*/part-*.parquet"))


def rows(folder: Path, month: str) -> int:
    """Return how many events the partitions of a month hold."""
    return sum(pq.read_metadata(path).num_rows for path in folder.glob(f"bucket=*/month={month}/part-0.parquet"))


def sketch(path: Path, columns: list[str]) -> pa.Table:
    """Return columns of a partition, and `bytes`: how many each row takes, on average of its group of rows."""
    with damaged(path, path.parents[2]), pq.ParquetFile(path) as file:
        groups = [file.metadata.row_group(i) for i in range(file.num_row_groups)]
        average = [group.total_byte_size // group.num_rows for group in groups]
        sizes = np.repeat(np.array(average, dtype=np.int64), [group.num_rows for group in groups])
        return file.read(columns).select(columns).append_column("bytes", pa.array(sizes))


@contextmanager
def damaged(path: Path, remove: Path) -> Iterator[None]:
    """Turn what reading a damaged file ends with into one sentence, which tells what to remove."""
    try:
        yield
    except (pa.ArrowInvalid, OSError):
        raise RedefectError(f"{path}: is damaged; remove {remove} and run the same command again.") from None


def cuts(*limits: tuple[NDArray[np.int64], int]) -> Iterator[tuple[int, int]]:
    """Yield where what is in a row is to be cut: where each part begins and ends.

    Parameters
    ----------
    limits
        Amounts, one a thing, of which a part must not hold more than so much, unless it is a single thing.
    """
    sums = [(np.cumsum(amounts), most) for amounts, most in limits]
    begin, count = 0, len(sums[0][0])
    while begin < count:
        ends = [np.searchsorted(total, most + (total[begin - 1] if begin else 0), "right") for total, most in sums]
        end = max(int(min(ends)), begin + 1)
        yield begin, end
        begin = end


def repositories(folder: Path, bucket: int) -> pa.Table:
    """Return the names of a bucket's repositories, those of before a renaming, too.

    Returns
    -------
    `repository_id`, `repository`, `last` (when it last had that name), `bytes` (about), `events`; sorted.
    """
    return _counted(folder, bucket, ["repository_id", "repository"])


def rebuild_bucket(
    folder: Path, bucket: int, only: Collection[int] | None = None, at_once: int = 20_000, bytes_at_once: int = 16_000_000
) -> Iterator[Rebuilt]:
    """Rebuild the threads of a bucket's repositories, in the order of their numbers; last, by name, those without.

    Yields
    ------
    A `Rebuilt` a repository; of one that is too large to be held in memory, several in a row, by the numbers of their issues.

    Parameters
    ----------
    only
        The numbers of the repositories to rebuild; None for all, those without a number, too.
    at_once, bytes_at_once
        How many events, and bytes of their texts, to hold in memory, if no single issue has more.
    """
    events = _dataset(folder, bucket)

    def rebuilt(which: pc.Expression, name: str | None = None) -> list[Rebuilt]:
        # Of a part of a file as of the next: reading ahead would take as much memory again.
        with damaged(folder / f"bucket={bucket:03}", folder):
            table = events.to_table(filter=which, batch_readahead=1, fragment_readahead=1, use_threads=False)
        if name is not None:
            table = table.set_column(SCHEMA.get_field_index("repository"), "repository", pa.repeat(name, len(table)))
        return sorted(rebuild(from_table(table)), key=_in_order)

    issues = _counted(folder, bucket, _ISSUE)
    if only is not None:
        issues = issues.filter(pc.is_in(issues["repository_id"], pa.array(sorted(only), pa.int64())))
    nameless = pc.is_null(issues["repository_id"])
    issues = issues.append_column("name", pc.if_else(nameless, pc.utf8_lower(issues["repository"]), ""))
    known = _added_up(issues, ["repository_id", "name"])

    def limits(found: pa.Table) -> list[tuple[NDArray[np.int64], int]]:
        return [(found["events"].to_numpy(), at_once), (found["bytes"].to_numpy(), bytes_at_once)]

    for begin, end in cuts(*limits(known)):
        some = known.slice(begin, end - begin)
        are = _are(some)
        if end - begin > 1 or all(amounts[0] <= most for amounts, most in limits(some)):
            yield from rebuilt(are)
            continue
        of_one = issues.filter(are)
        name = max(zip(of_one["last"].to_pylist(), of_one["repository"].to_pylist(), strict=True))[1]
        of_one = of_one.append_column("place", pa.array(_places(of_one)))
        places = _added_up(of_one, ["place"])
        for first, after in cuts(*limits(places)):
            yield from rebuilt(are & _are_of(of_one, places["place"][first].as_py(), places["place"][after - 1].as_py()), name)


def _in_order(rebuilt: Rebuilt) -> tuple[bool, int, str]:
    return rebuilt.repository_id is None, rebuilt.repository_id or 0, rebuilt.repository.casefold()


def _are(known: pa.Table) -> Any:
    """Return what is true of events of some repositories, by `repository_id` or `name`, which are in order."""
    number = pc.field("repository_id")
    ids = known["repository_id"].drop_null()
    names = known.filter(number.is_null())["name"]
    are = []
    if len(ids):  # whole groups of rows are passed over by the first two
        are.append((number >= ids[0]) & (number <= ids[-1]) & number.isin(ids))
    if len(names):
        are.append(number.is_null() & pc.utf8_lower(pc.field("repository")).isin(names))
    return are[0] if len(are) == 1 else are[0] | are[1]


def _are_of(issues: pa.Table, first: int, last: int) -> Any:
    """Return what is true of a repository's events of some issues, by their `place`."""
    within = (pc.field("place") >= first) & (pc.field("place") <= last)
    lone = issues.filter(within & pc.field("number").is_null())["issue_id"].unique()
    numbered = (pc.field("number") >= first) & (pc.field("number") <= last)
    return numbered | pc.field("number").is_null() & pc.field("issue_id").isin(lone) if len(lone) else numbered


def _places(issues: pa.Table) -> NDArray[np.int64]:
    """Return the numbers of issues, of those that only their ids tell, too; if these do not, more than any number."""
    lone = issues.filter(pc.field("number").is_null())["issue_id"]
    known = issues.select(["issue_id", "number"]).drop_null()
    known = known.filter(pc.is_in(known["issue_id"], lone)).group_by("issue_id").aggregate([("number", "max")])
    numbers = dict(zip(known["issue_id"].to_pylist(), known["number_max"].to_pylist(), strict=True))
    numbered: Any = issues["number"]
    places = np.array(numbered.fill_null(-1).to_numpy())
    places[places < 0] = [numbers.get(issue, _NO_NUMBER + (issue or 0) % _NO_NUMBER) for issue in lone.to_pylist()]
    return places


def _counted(folder: Path, bucket: int, keys: list[str]) -> pa.Table:
    """Return the `last` moment, the `bytes` and the number of `events` that have the same keys; sorted."""
    found = []
    for path in files(folder, bucket):
        rows = sketch(path, [*keys, "at"])
        rows = rows.rename_columns([*keys, "last", "bytes"]).append_column("events", pa.repeat(1, len(rows)))
        found.append(_added_up(rows, keys))
    return _added_up(pa.concat_tables(found), keys)


def _added_up(rows: pa.Table, keys: list[str]) -> pa.Table:
    found = rows.group_by(keys).aggregate([("last", "max"), ("bytes", "sum"), ("events", "sum")])
    return found.rename_columns([*keys, "last", "bytes", "events"]).sort_by([(key, "ascending") for key in keys])


def _dataset(folder: Path, bucket: int) -> "ds.Dataset":
    import pyarrow.dataset as ds  # brings all of pandas, which processes that only read need not wait for

    return ds.dataset([str(path) for path in files(folder, bucket)], schema=SCHEMA, format="parquet")
