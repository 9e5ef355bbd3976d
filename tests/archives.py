"""What tests of GH Archive read: files made from threads, and lines of its forms, all of them fiction."""

import json
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from test_thread import THREADS

from pipeline.replica.gharchive import Flaws, Made, write_archive
from pipeline.thread import Thread

BEGIN = datetime(2021, 1, 1, tzinfo=UTC)

ARCHIVABLE = st.lists(
    st.tuples(THREADS, st.sampled_from(["acme/anvil", "Acme/rocket.py", "x-y/Z_z"]), st.integers(1, 50)).map(
        lambda t: t[0].model_copy(update={"repository": t[1], "number": t[2]})
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda thread: (thread.repository, thread.number),
)


def make(threads: Iterable[Thread], folder: Path, hours: int = 6, begin: datetime = BEGIN, **options: Any) -> Made:
    """Write hourly files that hold nothing but events of issues, unless told otherwise."""
    with tempfile.TemporaryDirectory() as spool:
        return write_archive(threads, folder, begin, hours, spool=Path(spool), **({"issue_share": 1.0} | options))


def often(lossy: bool = False) -> Flaws:
    """Flaws so frequent that a few threads meet them."""
    return Flaws(*[0.4] * 11, *[0.2 if lossy else 0.0] * 4)


def present(number: int = 7, **changes: Any) -> dict[str, Any]:
    """An event of the form that GH Archive has since 2015."""
    issue = {
        "id": 70, "number": number, "title": "Loss is NaN", "body": "From the second epoch on.", "user": {"login": "ada"},
        "state": "open", "created_at": "2021-01-01T00:00:00Z", "updated_at": "2021-01-01T00:10:00Z", "closed_at": None,
        "comments": 0, "labels": [{"name": "bug"}],
    }  # fmt: skip
    event = {
        "id": "500", "type": "IssuesEvent", "actor": {"login": "ada"}, "repo": {"id": 9, "name": "acme/anvil"},
        "payload": {"action": "opened", "issue": issue}, "public": True, "created_at": "2021-01-01T00:00:00Z",
    }  # fmt: skip
    return event | changes


def line(event: Any) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode()
