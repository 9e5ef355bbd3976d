from pathlib import Path

import pytest
from conftest import CHECKOUT
from hypothesis import given
from hypothesis import strategies as st

from pipeline.classify.features import Place, blocks, places, vector_words
from pipeline.classify.lexicon import read_lexicon
from pipeline.classify.text import Document, read_document
from pipeline.taxonomy import read_taxonomy
from pipeline.thread import Comment, Thread

LEXICON = read_lexicon(CHECKOUT / "taxonomy/lexicons/jiang2024.yaml", read_taxonomy(CHECKOUT / "taxonomy/jiang2024.yaml"))
BODY = """Loss becomes NaN with my own dataset.

> quoted words of another

```
model.fit(x)
```
"""
THREAD = Thread(
    repository="a/b", number=1, title="CUDA out of memory", body=BODY, comments=(Comment(body="Try a smaller batch"),)
)


def text_at(thread: Thread, place: Place) -> str:
    if place.comment is not None:
        return (thread.comments or ())[place.comment].body[place.start : place.end]
    return (thread.title if place.origin == "title" else thread.body or "")[place.start : place.end]


def test_each_block_reads_its_part_of_the_thread() -> None:
    found = blocks(read_document(THREAD), LEXICON)
    assert {"nan", "becomes nan", "cuda out"} <= set(found.opening)
    assert set(found.comments) == {"try", "a", "smaller", "batch"}
    assert "GPU:memory" in found.signals
    assert "gpu-out-of-memory" in found.rules


def test_quotes_are_not_read_and_code_only_for_its_words() -> None:
    found = blocks(read_document(THREAD), LEXICON)
    assert not {"quoted"} & {*found.opening, *found.opening_words}
    assert "fit" in found.opening_words
    assert "fit" not in found.opening


def test_pairs_do_not_reach_from_one_part_to_the_next() -> None:
    assert "memory loss" not in blocks(read_document(THREAD), LEXICON).opening


def test_without_rules_none_hit() -> None:
    assert blocks(read_document(THREAD), None).rules == []


def test_numbers_have_no_vector() -> None:
    assert vector_words("Conv2d of 3x3, 1.5 or x") == ["conv2d", "of", "or"]


def read(title: str, body: str, comment: str) -> tuple[Thread, Document]:
    thread = Thread(repository="a/b", number=1, title=title, body=body, comments=(Comment(body=comment),))
    return thread, read_document(thread)


WORDS = st.text(st.sampled_from("aB İß?!.1 \n>`#中é"), max_size=60)


@given(WORDS, WORDS, WORDS)
def test_terms_stand_where_they_are_said_to(title: str, body: str, comment: str) -> None:
    thread, document = read(title, body, comment)
    found = blocks(document, LEXICON)
    seen: dict[str, set[str]] = {}
    for block, term, place in places(document, LEXICON):
        seen.setdefault(block, set()).add(term)
        text = text_at(thread, place)
        assert len(text) == place.end - place.start
        if block in ("opening_words", "comments"):
            assert len(text) == len(term)
    for block in ("opening", "comments", "signals", "rules"):
        assert seen.get(block, set()) == set(getattr(found, block))
    assert set(found.opening_words) <= seen.get("opening_words", set())


def test_the_longest_threads_are_read_to_a_limit() -> None:
    _, document = read("word " * 100_000, "word " * 100_000, "word " * 100_000)
    assert len(blocks(document, LEXICON).opening) < 3_000


@pytest.mark.parametrize("name", ["opening", "comments", "rules", "opening_words"])
def test_real_threads_fill_each_block(denchmark: Path, name: str) -> None:
    from pipeline.importing import read_threads

    threads = (thread for thread, _ in zip(read_threads(denchmark, lambda _: None), range(30), strict=False))
    assert sum(bool(getattr(blocks(read_document(thread), LEXICON), name)) for thread in threads) > 20
