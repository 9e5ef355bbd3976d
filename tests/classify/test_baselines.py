import numpy as np
import pandas as pd
import pytest
from stories import document

from pipeline.classify.baselines import FacetByFacet, majority, plain_words, stratified_random
from pipeline.classify.text import Document

DOCUMENTS = [document("reed/pond", n, text * 5) for n, text in enumerate(["it crashes ", "slow and slower "] * 8, start=1)]
LABELS = pd.DataFrame(
    {
        "symptom": ["crash", "lower-speed"] * 8,
        "stage": ["training"] * 9 + ["environment"] * 2 + [None] * 5,
        "reporter": ["re-user"] * 16,
    }
)
UNSEEN = [document("lake/mere", 1, "it crashes and crashes"), document("lake/mere", 2, "slow, slower than slow")]


@pytest.mark.parametrize("baseline", [majority(), stratified_random(1), plain_words()])
def test_each_keeps_to_the_interface(baseline: FacetByFacet) -> None:
    fitted = baseline.fit(DOCUMENTS, LABELS)
    assert fitted.facets_ == ("symptom", "stage", "reporter")
    assert [list(of) for of in fitted.classes_] == [["crash", "lower-speed"], ["environment", "training"], ["re-user"]]
    said, probabilities = fitted.predict(UNSEEN), fitted.predict_proba(UNSEEN)
    assert said.shape == (2, 3)
    for place, of in enumerate(probabilities):
        assert of.shape == (2, len(fitted.classes_[place]))
        assert of.sum(axis=1) == pytest.approx([1, 1])
        assert set(said[:, place]) <= set(fitted.classes_[place])


def test_the_majority_is_that_of_the_rows_with_an_answer_and_its_probabilities_are_shares() -> None:
    fitted = majority().fit(DOCUMENTS, LABELS)
    assert fitted.predict(UNSEEN)[:, 1].tolist() == ["training", "training"]
    assert fitted.predict_proba(UNSEEN)[1][0] == pytest.approx([2 / 11, 9 / 11])


def test_chance_draws_by_the_shares_and_the_same_again_by_one_seed() -> None:
    many: list[Document] = UNSEEN * 1000
    first, second = (stratified_random(5).fit(DOCUMENTS, LABELS) for _ in range(2))
    said = first.predict(many)
    assert (said == second.predict(many)).all()
    assert np.mean(said[:, 1] == "training") == pytest.approx(9 / 11, abs=0.03)


def test_the_plain_model_learns_from_words() -> None:
    assert plain_words().fit(DOCUMENTS, LABELS).predict(UNSEEN)[:, 0].tolist() == ["crash", "lower-speed"]
