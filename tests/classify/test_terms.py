import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.feature_extraction.text import TfidfVectorizer

from pipeline.classify.terms import HashedTerms, RowScaled

TEXTS = [["loss", "nan", "nan"], ["loss", "crash"], ["crash", "nan", "epoch"], [], ["loss", "epoch", "epoch", "epoch"]]


def test_values_are_those_of_tf_idf_by_words() -> None:
    by_words = TfidfVectorizer(analyzer=lambda words: words, sublinear_tf=True, min_df=2).fit_transform(TEXTS).toarray()
    by_hashes = HashedTerms(min_df=2).fit(TEXTS).transform(TEXTS).toarray()
    assert by_hashes.shape == by_words.shape
    # The order of columns is that of the hashes; what two texts have in common does not depend on it.
    assert by_hashes @ by_hashes.T == pytest.approx(by_words @ by_words.T, abs=1e-6)


def test_terms_of_few_texts_and_unknown_terms_count_nothing() -> None:
    terms = HashedTerms(min_df=2).fit([*TEXTS, ["once"]])
    assert terms.transform([["once", "never"], []]).nnz == 0
    assert terms.places(["once", "nan", "never", "nan"]).tolist() == [*terms.places(["nan"])] * 2


def test_a_corpus_without_terms_is_no_error() -> None:
    terms = HashedTerms().fit([[], []])
    assert terms.transform([["a"], []]).shape == (2, 0)
    assert terms.places(["a"]).tolist() == []


def test_the_parts_of_a_product_add_up_to_it() -> None:
    terms = HashedTerms(min_df=1).fit(TEXTS)
    direction = np.arange(1.0, 1 + len(terms.buckets_))
    row = terms.transform([TEXTS[2]])
    shares = terms.shares(TEXTS[2], row, direction)
    assert set(shares) == set(TEXTS[2])
    assert sum(shares.values()) == pytest.approx(float((row @ direction)[0]))


def test_nothing_that_is_kept_holds_a_word() -> None:
    assert not [value for value in vars(HashedTerms().fit(TEXTS)).values() if isinstance(value, (str, dict, list))]


@given(arrays.arrays(np.float64, st.tuples(st.integers(0, 6), st.integers(1, 6)), elements=st.floats(-1e6, 1e6)))
def test_a_matrix_in_bytes_is_off_by_half_a_step_of_its_row(matrix: np.ndarray) -> None:
    kept = RowScaled.of(matrix)
    assert kept.codes.dtype == np.int8
    assert (np.abs(kept.values - matrix) <= 0.51 * kept.steps[:, None] + 1e-6).all()
