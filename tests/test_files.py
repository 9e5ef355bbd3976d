import hashlib
from pathlib import Path

import pytest

from pipeline.errors import RedefectError
from pipeline.files import sha256, write, write_folder, write_pieces


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "below" / "a.txt"
    write(path, b"old")

    def pieces():
        yield b"new"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_pieces(path, pieces())
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_holds_exactly_what_was_written_last_and_its_sums(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": b"1", "b": b"2", "d/e": b"4", "d/f": b"5"})
    assert write_folder(tmp_path, {"c": b"3", "b": b"2", "d/f": b"5"}) == [tmp_path / name for name in ("b", "c", "d/f")]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["SHA256SUMS", "b", "c", "d", "f"]
    sums = dict(reversed(line.split("  ")) for line in (tmp_path / "SHA256SUMS").read_text().splitlines())
    assert sums == {name: hashlib.sha256(content).hexdigest() for name, content in (("b", b"2"), ("c", b"3"), ("d/f", b"5"))}


def test_a_place_that_cannot_be_written_or_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RedefectError, match=r"file/a: cannot be written \(File exists\); what was there before is untouched"):
        write(tmp_path / "file" / "a", b"")
    with pytest.raises(RedefectError, match=r"none: cannot be read \(No such file"):
        sha256(tmp_path / "none")


def test_a_folder_of_no_files_is_made_and_its_sums_are_empty(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there"
    assert write_folder(folder, {}) == []
    assert [(path.name, path.read_bytes()) for path in folder.iterdir()] == [("SHA256SUMS", b"")]
