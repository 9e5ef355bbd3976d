from pathlib import Path

import pytest
from conftest import CHECKOUT, Run

from pipeline.export.threads import json_lines, pseudonymised
from pipeline.thread import Comment, Thread


def test_logins_become_pseudonyms_by_appearance_also_where_they_are_mentioned() -> None:
    thread = Thread(
        repository="a/b", number=1, title="for @Bob", author="ann",
        body="thanks @bob and @nobody, see a@bob.org and `@bob`",
        comments=(Comment(author="Bob", body="hi @ann."), Comment(body="?")),
    )  # fmt: skip
    (line,) = json_lines([thread], people=["ann", "Bob"])
    text = line.decode()
    assert '"author": "person-1"' in text
    assert "for @person-2" in text
    assert "thanks @person-2 and @nobody, see a@bob.org" in text
    assert "hi @person-1." in text
    assert "ann" not in text.replace("thanks", "")


def test_a_thread_for_itself_has_its_opener_first() -> None:
    comments = (Comment(author="Bob", body="hi @ann"), Comment(author="ANN", body="hi @cleo"), Comment(body="?"))
    thread = pseudonymised(Thread(repository="a/b", number=1, title="t", author="ann", comments=comments))
    assert [thread.author, *(c.author for c in thread.comments or ())] == ["person-1", "person-2", "person-1", None]
    assert [c.body for c in thread.comments or ()] == ["hi @person-1", "hi @cleo", "?"]


def test_what_is_not_known_stays_unknown() -> None:
    thread = Thread(repository="a/b", number=1, title="t")
    assert list(json_lines([thread], people=[])) == [thread.to_json().encode() + b"\n"]


def test_an_export_reads_back_to_the_same_bytes(redefect: Run, tmp_path: Path) -> None:
    redefect("import", "threads", "data/demo/threads")
    redefect("export", "threads", "-o", tmp_path / "one.jsonl")
    redefect("import", "threads", tmp_path / "one.jsonl", "--database", tmp_path / "second.sqlite")
    redefect("export", "threads", "-o", tmp_path / "two.jsonl", "--database", tmp_path / "second.sqlite")
    one = (tmp_path / "one.jsonl").read_bytes()
    assert one == (tmp_path / "two.jsonl").read_bytes()
    assert one.count(b"\n") == 168
    assert b"person-1" in one


@pytest.mark.parametrize("path", sorted((CHECKOUT / "data" / "demo" / "threads").glob("*.jsonl")), ids=lambda path: path.stem)
def test_with_logins_the_demo_s_own_files_come_back(redefect: Run, path: Path) -> None:
    redefect("import", "threads", path, "--database", "one.sqlite")
    name = path.stem.replace("__", "/")
    done = redefect("export", "threads", "--with-logins", "--repository", name, "--database", "one.sqlite")
    assert done.stdout == path.read_text()
