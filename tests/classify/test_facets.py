from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import CHECKOUT
from sklearn.base import clone
from sklearn.kernel_ridge import KernelRidge

from pipeline.classify.facets import FacetClassifier, _ridge
from pipeline.classify.features import vector_words
from pipeline.classify.lexicon import read_lexicon
from pipeline.classify.text import Document, read_document
from pipeline.classify.vectors import WordVectors
from pipeline.taxonomy import read_taxonomy
from pipeline.thread import Thread

LEXICON = read_lexicon(CHECKOUT / "taxonomy/lexicons/jiang2024.yaml", read_taxonomy(CHECKOUT / "taxonomy/jiang2024.yaml"))
WORDS = {"opening": 1.0}

# What each stage's threads say, and which cause goes with it. Every third thread says nothing of its cause.
SAYS = {"environment": "installing pip wheel compiler", "training": "epoch loss optimizer diverges"}
CAUSE = {"environment": "wrong-environment-configuration", "training": "optimizer"}
SAYS_CAUSE = {"wrong-environment-configuration": "version mismatch", "optimizer": "momentum decay"}


def thread(stage: str, number: int, *, tells_cause: bool = True) -> Document:
    words = f"{SAYS[stage]} {SAYS_CAUSE[CAUSE[stage]] if tells_cause else ''}"
    body = f"{words} happens on machine m{number}. Please look at case c{number % 5}."
    return read_document(Thread(repository=f"owner{number % 4}/project", number=number + 1, title=f"{words} again", body=body))


EMPTY = read_document(Thread(repository="a/b", number=1, title=" "))
STAGES = ["environment", "training"] * 20
DOCUMENTS = [thread(stage, i, tells_cause=i % 3 > 0) for i, stage in enumerate(STAGES)]
LABELS = pd.DataFrame({"stage": STAGES, "root-cause": [CAUSE[stage] for stage in STAGES]}, dtype=object)
VECTORS = WordVectors(4, min_df=3).fit([vector_words(document.text()) for document in DOCUMENTS])


def classifier(**changes: object) -> FacetClassifier:
    return FacetClassifier(LEXICON, VECTORS).set_params(**changes)


def test_labels_are_learnt_and_probabilities_add_up_to_one() -> None:
    learnt = classifier().fit(DOCUMENTS, LABELS)
    assert learnt.facets_ == ("stage", "root-cause")
    assert [list(classes) for classes in learnt.classes_] == [
        ["environment", "training"],
        ["optimizer", "wrong-environment-configuration"],
    ]
    new = [thread("training", 100), thread("environment", 101)]
    assert learnt.predict(new)[:, 0].tolist() == ["training", "environment"]
    for rows in learnt.predict_proba(new):
        assert rows.sum(axis=1) == pytest.approx(np.ones(2))


def test_scores_of_owners_left_out_are_those_of_a_regression_without_them() -> None:
    generator = np.random.default_rng(1)
    features, wanted, owners = generator.normal(size=(30, 8)), generator.normal(size=(30, 3)), generator.integers(5, size=30)
    dual, left_out = _ridge(features @ features.T, wanted, owners, 0.7)
    assert dual == pytest.approx(KernelRidge(alpha=0.7).fit(features, wanted).dual_coef_)
    for owner in range(5):
        out = owners == owner
        without = KernelRidge(alpha=0.7).fit(features[~out], wanted[~out])
        assert left_out[out] == pytest.approx(without.predict(features[out]))


def test_what_was_tried_is_told_with_what_was_chosen() -> None:
    tried = classifier(alphas=(0.3, 1.0)).fit(DOCUMENTS, LABELS).candidates_
    assert len(tried) == 2 * 2 * len(classifier().candidates)
    for _, of_facet in tried.groupby("facet"):
        assert of_facet.loc[of_facet["chosen"], "log_loss"].tolist() == [of_facet["log_loss"].min()]
        assert set(of_facet["n"]) == {40}


def test_a_thread_with_two_defects_gives_both_categories_ahead_of_others() -> None:
    third = [thread("training", 200 + i) for i in range(8)]
    rows = pd.DataFrame({"stage": ["modeling"] * 8}, dtype=object)
    labels = pd.concat([LABELS[["stage"]], rows, pd.DataFrame({"stage": ["training"] * 8})], ignore_index=True)
    learnt = classifier().fit([*DOCUMENTS, *third, *third], labels)
    (ranked,) = learnt.predict_proba([thread("training", 300)])
    assert set(learnt.classes_[0][np.argsort(-ranked[0])[:2]]) == {"modeling", "training"}


def test_a_facet_that_nobody_answered_for_some_threads_is_learnt_from_the_others() -> None:
    labels = LABELS.copy()
    labels.loc[::4, "root-cause"] = None
    learnt = classifier().fit(DOCUMENTS, labels)
    assert learnt.predict([thread("training", 100)]).tolist() == [["training", "optimizer"]]
    assert np.isnan(learnt.left_out_[1][::4]).all()
    assert not np.isnan(learnt.left_out_[1][1::4]).any()
    assert not np.isnan(learnt.left_out_[0]).any()


def test_a_facet_without_any_label_is_refused() -> None:
    with pytest.raises(ValueError, match="no label of root-cause"):
        classifier().fit(DOCUMENTS, LABELS.assign(**{"root-cause": None}))


def test_which_categories_go_together_is_learnt_and_used() -> None:
    learnt = classifier(candidates={"words": WORDS}).fit(DOCUMENTS, LABELS)
    cause = learnt.calibrations_[1]
    assert cause.lift["stage"].argmax(axis=1).tolist() == [1, 0]  # optimizer and training, configuration and environment
    silent = [thread("training", 100, tells_cause=False)]
    probabilities = []
    for others in (0.0, 1.0):
        learnt.calibrations_[1] = replace(cause, scale=1.0, others=others)
        probabilities.append(learnt.predict_proba(silent)[1][0, 0])
    assert probabilities[1] > probabilities[0]


def test_the_guess_leans_to_rare_categories_and_probabilities_do_not() -> None:
    learnt = classifier().fit(DOCUMENTS, LABELS)
    learnt.calibrations_[0] = replace(learnt.calibrations_[0], shares=np.array([0.05, 0.95]))
    assert learnt.best_guesses([np.array([[0.3, 0.7]]), np.array([[0.5, 0.5]])])[0, 0] == "environment"
    assert learnt.best_guesses([np.array([[0.1, 0.9]]), np.array([[0.5, 0.5]])])[0, 0] == "training"


def test_what_terms_add_is_all_that_there_is() -> None:
    learnt = classifier(candidates={"words": {**WORDS, "signals": 1.0, "rules": 1.0}}).fit(DOCUMENTS, LABELS)
    document = thread("training", 100)
    added = sum(c.weight for c in learnt.contributions(document, "stage", "training"))
    wanted = np.array([0.0, 1.0]) - learnt.predict_proba([document])[0][0]
    # Log-odds of the category against the others (weighed by their probabilities), above those of a thread that says nothing.
    learnt.calibrations_[0] = replace(learnt.calibrations_[0], others=0.0)
    said, nothing = (np.log(learnt.predict_proba([d])[0][0]) for d in (document, EMPTY))
    expected = float(wanted @ (said - nothing))
    assert added == pytest.approx(expected, rel=1e-3)
    assert added > 0


def test_what_speaks_for_a_category_stands_where_it_is_said_to() -> None:
    learnt = classifier().fit(DOCUMENTS, LABELS)
    document = thread("training", 100)
    best = max(learnt.contributions(document, "stage", "training"), key=lambda c: c.weight)
    text = {part.origin: part.text for part in document.parts}[best.place.origin][best.place.start : best.place.end]
    assert set(text.lower().split()) & {"epoch", "loss", "optimizer", "diverges", "momentum", "decay"}


def test_a_clone_is_unfitted_and_keeps_the_vectors() -> None:
    copy = clone(classifier(alphas=(1.0,)).fit(DOCUMENTS, LABELS))
    assert not hasattr(copy, "classes_")
    assert copy.vectors is VECTORS
    assert copy.alphas == (1.0,)


def test_a_training_of_one_repository_is_possible() -> None:
    own = [document for document in DOCUMENTS if document.repository == "owner1/project"]
    labels = LABELS[[document.repository == "owner1/project" for document in DOCUMENTS]].reset_index(drop=True)
    labels["stage"] = ["environment", "training"] * (len(own) // 2)
    assert classifier().fit(own, labels).predict(own).shape == (len(own), 2)
