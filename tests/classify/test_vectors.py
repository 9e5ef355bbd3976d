import numpy as np

from pipeline.classify.vectors import WordVectors

# Two worlds of words that never meet; `nan` and `inf` stand in the same places of one, and never beside each other.
LOSSES = [f"the loss becomes {word} after epoch step".split() for word in ("nan", "inf")] * 20
BUILDS = [f"compiling {word} fails with missing header file".split() for word in ("cuda", "opencv")] * 20


def alike(first: np.ndarray, second: np.ndarray) -> float:
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


def test_words_with_the_same_neighbours_are_alike_though_they_never_meet() -> None:
    nan, inf, cuda = WordVectors(6, min_df=5).fit(LOSSES + BUILDS).transform([["nan"], ["inf"], ["cuda"]])
    assert alike(nan, inf) > 0.9 > 0.3 > alike(nan, cuda)


def test_a_text_without_known_words_is_nothing() -> None:
    vectors = WordVectors(6, min_df=5).fit(LOSSES + BUILDS)
    assert not vectors.transform([["zebra"], []]).any()


def test_two_fits_are_the_same_whatever_gives_the_texts() -> None:
    one, other = WordVectors(6, min_df=5).fit(LOSSES + BUILDS), WordVectors(6, min_df=5).fit(tuple(LOSSES + BUILDS))
    assert (one.vectors_.codes == other.vectors_.codes).all()


def test_a_corpus_too_small_for_any_word_gives_no_vectors_and_no_error() -> None:
    assert WordVectors(6, min_df=5).fit([["a", "b"], []]).transform([["a"]]).shape[0] == 1
