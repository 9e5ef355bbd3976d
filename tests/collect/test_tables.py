from pathlib import Path

import pytest

from pipeline.collect.tables import read_csv, rows_in_words
from pipeline.errors import RedefectError
from pipeline.facts import IssueReference


def table(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "t.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "t.csv: is empty"),
        ("a,c\n1,2\n", "t.csv: row 1: has no column 'b'; it has a, c"),
        ("a,b\n1,2\n3\n", "t.csv: row 3: has 1 cells instead of 2; the file may be truncated"),
        ('a,b\n1,"2\n', "t.csv: is not valid CSV near row"),
        (b"a,b\n\xff,2\n", "t.csv: byte 4 is not UTF-8"),
    ],
)
def test_a_table_that_is_wrong_is_one_sentence(tmp_path: Path, text: str | bytes, sentence: str) -> None:
    with pytest.raises(RedefectError) as caught:
        list(read_csv(table(tmp_path, text), ["a", "b"]))
    assert sentence in str(caught.value)


def test_a_table_that_is_not_there_or_is_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(RedefectError, match="there is no such file"):
        list(read_csv(tmp_path / "none.csv", []))
    with pytest.raises(RedefectError, match="cannot be read"):
        list(read_csv(tmp_path, []))


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        ("", "row 2, column A (a): is empty; give the issue's address"),
        (
            "https://gitlab.com/o/n/issues/1",
            "row 2, column A (a): 'https://gitlab.com/o/n/issues/1' is on gitlab.com; only issues on github.com",
        ),
        ("https://github.com/o/n/pull/1", "row 2, column A (a): 'https://github.com/o/n/pull/1' is no address of an issue"),
        ("see #12", "is no address of an issue"),
    ],
)
def test_an_address_that_is_none_is_named_with_its_row(tmp_path: Path, cell: str, sentence: str) -> None:
    (row,) = read_csv(table(tmp_path, f"a,b\n{cell},2\n"), ["a"])
    with pytest.raises(RedefectError) as caught:
        row.issue("a")
    assert sentence in str(caught.value)


def test_an_address_is_read_with_what_follows_it(tmp_path: Path) -> None:
    (row,) = read_csv(table(tmp_path, "\ufeffa\nhttps://github.com/o/n/issues/693#issue-5\n"), ["a"])
    assert row.issue("a") == (IssueReference("o/n", 693), "#issue-5")
    assert IssueReference("o/n", 693).url == "https://github.com/o/n/issues/693"


def test_a_time_that_is_none_is_named(tmp_path: Path) -> None:
    rows = list(read_csv(table(tmp_path, "a\nyesterday\n''\n"), ["a"]))
    with pytest.raises(RedefectError, match="row 2, column A \\(a\\): 'yesterday' is no time"):
        rows[0].time("a")


def test_row_numbers_are_written_for_a_person() -> None:
    assert rows_in_words([3]) == "row 3"
    assert rows_in_words([5, 3]) == "rows 3 and 5"
    assert rows_in_words(list(range(20)), most=3) == "rows 0, 1, 2 and 17 more"
