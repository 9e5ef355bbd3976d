import gzip
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import contents
from hypothesis import given
from hypothesis import strategies as st
from scripted import asking
from served import thread

from pipeline.collect.github.archive import Archive, read_archive
from pipeline.collect.github.questions import (
    QUESTION,
    ClosedIssueCount,
    CommentPage,
    IssuePage,
    OneIssue,
    OneRepository,
    Question,
    RepositoryFacts,
    RepositorySearch,
    ThreadItem,
    ThreadPage,
    Threads,
)
from pipeline.crawling import Crawl, Wish
from pipeline.errors import RedefectError
from pipeline.intake import rebuild
from pipeline.replica import Faults, Replica, World
from pipeline.store.session import Store
from pipeline.study import Selection, Study, read_study

NAMES = ["acme/anvil", "acme/rocket"]

# Questions as they are written down

NAME = st.from_regex(r"[A-Za-z0-9-]{1,39}/[A-Za-z0-9._-]{1,20}", fullmatch=True)
TIME = st.none() | st.datetimes(datetime(1970, 1, 1), timezones=st.just(UTC)).map(lambda time: time.replace(microsecond=0))
NUMBER = st.integers(1, 2**31 - 1)
AFTER = st.none() | st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)
STATE = st.sampled_from(["open", "closed", "all"])
QUESTIONS: st.SearchStrategy[Question] = st.one_of(
    st.builds(RepositoryFacts, repositories=st.lists(NAME, min_size=1, max_size=4).map(tuple)),
    st.builds(OneRepository, repository=NAME),
    st.builds(
        IssuePage, api=st.sampled_from(["rest", "graphql"]), repository=NAME, state=STATE, since=TIME, after=AFTER,
        size=st.integers(1, 100), comments=st.booleans(), pull_requests=st.booleans(), adds=STATE,
    ),
    st.builds(CommentPage, repository=NAME, since=TIME, after=AFTER),
    st.builds(ThreadPage, repository=NAME, number=NUMBER, after=AFTER),
    st.builds(OneIssue, repository=NAME, number=NUMBER),
    st.builds(
        Threads, items=st.lists(st.builds(ThreadItem, repository=NAME, number=NUMBER, after=AFTER), min_size=1).map(tuple)
    ),
    st.builds(
        RepositorySearch, words=st.text(st.characters(codec="utf-8")), minimum_stars=st.integers(0),
        maximum_stars=st.none() | st.integers(0), after=st.none() | st.just("page=2"),
    ),
    st.builds(ClosedIssueCount, repository=NAME),
)  # fmt: skip


@given(QUESTIONS)
def test_a_question_is_the_same_after_it_was_written_down(question: Question) -> None:
    line = json.dumps(question.model_dump(mode="json"))
    read = QUESTION.validate_python(json.loads(line), strict=False)
    assert read == question
    assert type(read) is type(question)
    assert read.call() == question.call()


# An archive on disk

THREE = [
    (OneIssue(repository="acme/anvil", number=1), 1),
    (OneIssue(repository="acme/anvil", number=2), 2),
    (OneIssue(repository="acme/rocket", number=3), 3),
]


def answer(number: int) -> str:
    issue = {"number": number, "title": "Ä \U0001f41b", "body": None, "user": None, "state": "open", "labels": [], "comments": 0}
    return json.dumps(issue | {"created_at": "2020-01-01T00:00:00Z", "updated_at": "2020-01-01T00:00:00Z", "closed_at": None})


def add(archive: Archive, question: Question, number: int) -> None:
    archive.add(question, answer(number), {"etag": '"e"', "date": "Mon", "x-github-request-id": "7", "set-cookie": "secret=1"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An archive of three answers."""
    archive = Archive(tmp_path / "archive")
    for question, number in THREE:
        add(archive, question, number)
    return tmp_path / "archive"


def numbers(folder: Path) -> list[int]:
    return [page.issues[0].number for _, page in read_archive(folder)]


def lines(folder: Path) -> list[bytes]:
    return (folder / "answers.jsonl").read_bytes().splitlines(keepends=True)


def text_of(folder: Path, line: int) -> Path:
    digest = json.loads(lines(folder)[line - 1])["sha256"]
    return folder / "texts" / digest[:2] / f"{digest}.json.gz"


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_questions_and_answers_come_back_in_their_order(folder: Path) -> None:
    assert [question for question, _ in read_archive(folder)] == [question for question, _ in THREE]
    assert numbers(folder) == [1, 2, 3]


def test_nothing_is_kept_of_headers_but_what_an_answer_needs(folder: Path) -> None:
    assert [json.loads(line)["headers"] for line in lines(folder)] == [{"etag": '"e"'}] * 3
    assert b"secret" not in b"".join(files(folder).values())


def test_an_archive_that_was_cut_off_in_its_last_line_is_read_up_to_there_and_goes_on(folder: Path, tmp_path: Path) -> None:
    whole = files(folder)
    before, last = b"".join(lines(folder)[:2]), lines(folder)[2]
    for length in range(len(last)):
        (folder / "answers.jsonl").write_bytes(before + last[:length])
        assert numbers(folder) == [1, 2]
        archive = Archive(folder)
        assert (folder / "answers.jsonl").read_bytes() == before
        add(archive, *THREE[2])
        assert files(folder) == whole


def test_the_same_answers_are_the_same_bytes_and_each_text_is_there_once(folder: Path, tmp_path: Path) -> None:
    again = Archive(tmp_path / "again")
    for question, number in THREE:
        add(again, question, number)
    assert files(tmp_path / "again") == files(folder)
    add(again, *THREE[0])
    assert len(list((tmp_path / "again" / "texts").rglob("*.gz"))) == 3
    assert numbers(tmp_path / "again") == [1, 2, 3, 1]


def _missing(path: Path) -> None:
    path.unlink()


def _no_gzip(path: Path) -> None:
    path.write_bytes(b"{}")


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-12])


def _bits(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:12] + bytes(255 - byte for byte in whole[12:20]) + whole[20:])


@pytest.mark.parametrize("damage", [_missing, _no_gzip, _cut, _bits])
def test_a_text_that_is_missing_or_damaged_is_one_sentence_with_its_line(folder: Path, damage: Callable[[Path], None]) -> None:
    damage(text_of(folder, 2))
    with pytest.raises(RedefectError, match=r"answers\.jsonl:2: the text [0-9a-f]{64}\.json\.gz is missing or damaged; restore"):
        numbers(folder)


def test_no_change_of_a_text_goes_unnoticed(folder: Path) -> None:
    path = text_of(folder, 2)
    whole = path.read_bytes()
    for place in range(10, len(whole)):  # what is before is the header, which does not matter
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(RedefectError, match=r"answers\.jsonl:2: the text"):
            numbers(folder)


def test_texts_that_were_swapped_are_found(folder: Path) -> None:
    shutil.copy(text_of(folder, 1), text_of(folder, 2))
    with pytest.raises(RedefectError, match=r"answers\.jsonl:2: the text .* is not the one that was archived; restore"):
        numbers(folder)
    text_of(folder, 2).write_bytes(b"")
    with pytest.raises(RedefectError, match=r"answers\.jsonl:2: the text .* is not the one that was archived; restore"):
        numbers(folder)


@pytest.mark.parametrize(
    "line",
    [
        b"\n", b"nonsense\n", b"\xff\n", b"[]\n", b"7\n", b"null\n", b'{"question": {"kind": "issue"}}\n',
        b'{"question": {"kind": "other"}, "headers": {}, "sha256": ""}\n',
        b'{"question": {"kind": "closed-issue-count", "repository": "a/b"}, "headers": 7, "sha256": ""}\n',
        b'{"question": {"kind": "closed-issue-count", "repository": "a/b", "x": 1}, "headers": {}, "sha256": ""}\n',
    ],
)  # fmt: skip
def test_a_line_that_is_no_entry_is_one_sentence_with_its_place(folder: Path, line: bytes) -> None:
    (folder / "answers.jsonl").write_bytes(lines(folder)[0] + line)
    with pytest.raises(RedefectError, match=r"answers\.jsonl:2: is no entry of an archive; restore the archive\.$"):
        numbers(folder)


@pytest.mark.parametrize("digest", ["../../../../etc/passwd", "a/" * 32, "..", "", "A" * 64, "\u0660" * 64, "g" * 64, "a" * 63])
def test_what_is_no_hash_names_no_file(folder: Path, digest: str) -> None:
    entry = json.loads(lines(folder)[0]) | {"sha256": digest}
    (folder / "answers.jsonl").write_bytes(lines(folder)[0] + json.dumps(entry).encode() + b"\n")
    with pytest.raises(RedefectError, match=r"answers\.jsonl:2: is no entry of an archive; restore the archive\.$"):
        numbers(folder)


def test_an_answer_to_another_question_is_found(folder: Path) -> None:
    entry = json.loads(lines(folder)[0]) | {"question": {"kind": "closed-issue-count", "repository": "a/b"}}
    (folder / "answers.jsonl").write_bytes(json.dumps(entry).encode() + b"\n")
    with pytest.raises(RedefectError, match=r"answers\.jsonl:1: the text .* does not answer its question; restore"):
        numbers(folder)


def test_a_folder_without_an_archive_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RedefectError, match=r"answers\.jsonl: cannot be read \(No such file or directory\); give the folder"):
        numbers(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(RedefectError, match=r"file"):
        Archive(tmp_path / "file")


# A crawl and its archive


@pytest.fixture
def study(root: Path) -> Study:
    """A study that takes all closed issues."""
    study = read_study(root / "data" / "studies" / "demo.toml")
    return study.model_copy(update={"selection": Selection(state="all", with_fix=False)})


@contextmanager
def served(folder: Path, faults: Faults | None = None) -> Iterator[Replica]:
    with World(folder / "world.sqlite") as world:
        world.add([thread(n, name, comments=n % 4) for name in NAMES for n in range(1, 131)])
        with Replica(world, faults=faults) as replica:
            yield replica


def crawl(address: str, study: Study, database: Path, archive: Path, *tokens: str) -> Store:
    store = Store(str(database))
    with asking(address, *tokens) as client:
        Crawl(store, study, client, archive=Archive(archive)).run(Wish(NAMES, whole=True))
    return store


@pytest.mark.parametrize("tokens", [("t0ken",), ()])
def test_an_archive_gives_the_store_of_its_crawl_without_the_network(
    tmp_path: Path, study: Study, tokens: tuple[str, ...]
) -> None:
    with served(tmp_path) as replica:
        crawl(replica.url, study, tmp_path / "crawled.sqlite", tmp_path / "archive", *tokens).close()
    rebuilt = Store(str(tmp_path / "rebuilt.sqlite"))
    count = rebuild(rebuilt, tmp_path / "archive")
    assert count == len(lines(tmp_path / "archive")) > 4
    whole = contents(tmp_path / "crawled.sqlite")
    assert contents(tmp_path / "rebuilt.sqlite") == whole
    rebuild(rebuilt, tmp_path / "archive")
    rebuilt.close()
    assert contents(tmp_path / "rebuilt.sqlite") == whole


def test_equal_crawls_give_equal_archives(tmp_path: Path, study: Study) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        with served(tmp_path / name) as replica:
            crawl(replica.url, study, tmp_path / name / "store.sqlite", tmp_path / name / "archive", "t0ken").close()
    first = files(tmp_path / "one" / "archive")
    assert first == files(tmp_path / "two" / "archive")
    assert all(gzip.decompress(content)[:1] in (b"{", b"[") for name, content in first.items() if name.endswith(".gz"))


def test_an_archive_of_a_crawl_that_broke_down_again_and_again_gives_the_same_store(tmp_path: Path, study: Study) -> None:
    kinds = ("server-error", "reset", "truncated", "not-json", "graphql-timeout", "redirect")
    with served(tmp_path, Faults(5, 0.5, kinds)) as replica:
        runs = 0
        while True:
            runs += 1
            store = Store(str(tmp_path / "crawled.sqlite"))
            try:
                with asking(replica.url, "t0ken", attempts=1) as client:
                    Crawl(store, study, client, archive=Archive(tmp_path / "archive")).run(Wish(NAMES, whole=True))
                break
            except RedefectError:
                continue
            finally:
                store.close()
    assert runs > 1
    rebuilt = Store(str(tmp_path / "rebuilt.sqlite"))
    rebuild(rebuilt, tmp_path / "archive")
    rebuilt.close()
    assert contents(tmp_path / "rebuilt.sqlite") == contents(tmp_path / "crawled.sqlite")
