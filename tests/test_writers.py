"""A round of `make stress-postgres` on each database: what four writers write at once is what they write in turn."""

from pathlib import Path

from postgres_stress import run_round


def test_four_writers_at_once_store_what_they_store_in_turn_neither_less_nor_twice(database: str, tmp_path: Path) -> None:
    problems, runs = run_round(1, database, str(tmp_path / "serial.sqlite"), 3.0, tmp_path)
    assert problems == []
    assert min(runs) >= 1
