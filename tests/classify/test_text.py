import pickle
from collections import Counter
from itertools import islice
from pathlib import Path

from hypothesis import given
from test_thread import THREADS

from pipeline.classify.habits import learn_habits
from pipeline.classify.parts import KINDS
from pipeline.classify.text import Document, Part, Signal, read_document
from pipeline.importing import read_threads
from pipeline.thread import Comment, Thread

POND = Thread(
    repository="reed/pond",
    number=7,
    title="ValueError: loss is nan",
    author="ann",
    body="It stops.\n```\nnet.fit(frames)\n```\n> old RuntimeError\n",
    comments=(
        Comment(author="reed", body="Which PyTorch?"),
        Comment(author="ann", body="PyTorch: 1.8"),
        Comment(author=None, body="  "),
    ),
)


def originals(thread: Thread) -> dict[tuple[str, int | None], str]:
    texts: dict[tuple[str, int | None], str] = {("title", None): thread.title, ("body", None): thread.body or ""}
    for position, comment in enumerate(thread.comments or ()):
        texts["comment", position] = texts["answer", position] = comment.body
    return texts


def is_placed(document: Document, thread: Thread) -> None:
    texts = originals(thread)
    for part in document.parts:
        assert texts[part.origin, part.comment][part.start : part.end] == part.text
    for signal in document.signals:
        assert 0 <= signal.start < signal.end <= len(texts[signal.origin, signal.comment])


def test_a_thread_becomes_its_parts_by_kind_and_origin_each_with_its_place() -> None:
    document = read_document(POND)
    assert document.parts == (
        Part("prose", "title", None, 0, 23, "ValueError: loss is nan"),
        Part("prose", "body", None, 0, 9, "It stops."),
        Part("code", "body", None, 14, 29, "net.fit(frames)"),
        Part("quote", "body", None, 34, 52, "> old RuntimeError"),
        Part("prose", "comment", 0, 0, 14, "Which PyTorch?"),
        Part("versions", "comment", 1, 0, 12, "PyTorch: 1.8"),
    )
    assert document.text(["prose"], ["title", "body"]) == "ValueError: loss is nan\nIt stops."
    assert document.text(["log"]) == ""
    is_placed(document, POND)


def test_signals_are_those_that_the_writers_named_and_no_quoted_ones() -> None:
    document = read_document(POND)
    assert document.signals == (
        Signal("EXC:valueerror", "title", None, 0, 10),
        Signal("MEAS:loss=nan", "title", None, 12, 23),
        Signal("API:net.fit", "body", None, 14, 21),
        Signal("VER:torch=1.8", "comment", 1, 0, 12),
    )
    assert document.names(["EXC", "API"], ["title"]) == ["EXC:valueerror"]


def test_a_maintainer_s_comment_is_an_answer_and_an_opener_s_never() -> None:
    threads = [
        Thread(repository="reed/pond", number=i, title="Dry", author=f"p{i}", comments=(Comment(author="reed", body="ok"),))
        for i in range(1, 7)
    ]
    habits = learn_habits(threads)
    assert [part.origin for part in read_document(POND, habits).parts if part.comment is not None] == ["answer", "comment"]
    own = POND.model_copy(update={"author": "reed"})
    assert {part.origin for part in read_document(own, habits).parts} == {"title", "body", "comment"}


def test_boilerplate_names_nothing() -> None:
    form = "Which of PyTorch and CUDA do you use here?\n{}"
    threads = [Thread(repository="reed/pond", number=i, title="Dry", author=f"p{i}", body=form.format(i)) for i in range(1, 7)]
    document = read_document(threads[0], learn_habits(threads))
    assert [(part.kind, part.text) for part in document.parts[1:]] == [
        ("boilerplate", "Which of PyTorch and CUDA do you use here?"), ("prose", "1"),
    ]  # fmt: skip
    assert document.signals == ()


@given(THREADS)
def test_any_thread_is_read_and_each_part_stands_in_its_text(thread: Thread) -> None:
    document = read_document(thread)
    is_placed(document, thread)
    assert read_document(thread) == document == pickle.loads(pickle.dumps(document))
    for (origin, position), text in originals(thread).items():
        if origin != "answer":
            parts = [part for part in document.parts if (part.origin, part.comment) == (origin, position)]
            assert [part.start for part in parts] == sorted(part.start for part in parts)
            assert (
                "".join("".join(part.text.split()) for part in parts) == "".join(text.split()) or "```" in text or "~~~" in text
            )


def test_real_threads_are_read_and_parted_sanely(denchmark: Path) -> None:
    threads = list(islice(read_threads(denchmark, lambda _: None), 0, 1200, 3))
    habits = learn_habits(threads)
    letters: Counter[str] = Counter()
    covered = whole = 0
    for thread in threads:
        document = read_document(thread, habits)
        is_placed(document, thread)
        for part in document.parts:
            letters[part.kind] += len(part.text)
            covered += len("".join(part.text.split()))
        whole += sum(len("".join(text.split())) for (origin, _), text in originals(thread).items() if origin != "answer")
    assert covered / whole > 0.98
    shares = {kind: letters[kind] / letters.total() for kind in KINDS}
    assert 0.25 < shares["prose"] < 0.7
    assert 0.1 < shares["code"] < 0.5
    for kind in KINDS:
        assert 0 < shares[kind] < 0.7


def test_a_limit_holds_for_the_body_and_for_all_comments_together() -> None:
    thread = Thread(
        repository="a/b",
        number=1,
        title="t" * 50,
        body="b" * 50,
        comments=(Comment(body="c" * 15), Comment(body="d" * 50), Comment(body="e")),
    )
    parts = read_document(thread, most=20).parts
    assert [(part.origin, part.comment, part.text) for part in parts] == [
        ("title", None, "t" * 50), ("body", None, "b" * 20), ("comment", 0, "c" * 15), ("comment", 1, "d" * 5)
    ]  # fmt: skip
    assert len(read_document(thread).parts) == 5
