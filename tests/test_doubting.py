import hashlib

import numpy as np
import pandas as pd
import pytest
import stories
from conftest import make_root

from pipeline.doubting import Doubts, doubtful_labels
from pipeline.errors import RedefectError
from pipeline.facts import IssueReference, Label
from pipeline.store.session import Store
from pipeline.store.write import SampleRow, put_labels, put_sample, put_threads
from pipeline.study import Study, read_study
from pipeline.thread import Thread

WRONG = ("owner1/project1", 7)
SAYS = {"crash": "it crashes with a traceback", "hang": "it hangs and waits forever", "lower-speed": "it is slow and takes hours"}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return read_study(make_root(tmp_path_factory.mktemp("doubting") / "root") / "data" / "studies" / "demo.toml")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, study: Study) -> Store:
    """Threads of four owners whose words tell the symptom; one label is wrong, and the reporter is nowhere to be read."""
    store = Store(str(tmp_path_factory.mktemp("doubting") / "store.sqlite"))
    threads, labels = [], []
    for r in range(4):
        for n in range(1, 25):
            symptom = stories.SYMPTOMS[(r + n) % 3]
            issue = IssueReference(f"owner{r}/project{r}", n)
            body = f"{SAYS[symptom]} {stories.story(100 * r + n, 30)}"
            threads.append(Thread(repository=issue.repository, number=n, title=f"No {n}", body=body, comments=()))
            said = {"symptom": symptom, "reporter": ("re-user", "adaptor")[int(np.random.default_rng([r, n]).integers(2))]}
            if (issue.repository, n) == WRONG:
                said["symptom"] = next(s for s in stories.SYMPTOMS if s != symptom)
            if (r, n) in ((0, 1), (2, 2)):
                said["symptom"] = "data-corruption"
            said["stage"] = "training"
            for facet, category in said.items():
                labels.append(Label(issue, 1, facet, category, category, study.verdict.annotator, study.verdict.round))
            labels.append(Label(issue, 0, "gate", "defect", "defect", study.verdict.annotator, study.verdict.round))
            labels.append(Label(issue, 1, "symptom", symptom, symptom, "ann", "first"))
    with store.writing() as connection:
        put_threads(connection, threads, "test")
        put_labels(connection, labels, "test")
        sample = sorted({label.issue for label in labels})
        put_sample(connection, study.name, [SampleRow(issue, "test", None, None) for issue in sample], "test", ["test"])
    return store


@pytest.fixture(scope="module")
def doubts(filled: Store, study: Study) -> Doubts:
    return doubtful_labels(filled, study, size=10)


def dump(store: Store) -> str:
    with store.reading() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        return hashlib.sha256("\n".join(driver.iterdump()).encode()).hexdigest()


def test_a_planted_wrong_label_is_listed_first_with_what_the_machine_says(doubts: Doubts) -> None:
    first = doubts.labels.iloc[0]
    assert (first["repository"], first["number"]) == WRONG
    assert (first["defect"], first["facet"]) == (1, "symptom")
    assert first["said"] == stories.SYMPTOMS[(1 + 7) % 3] != first["label"]
    assert first["issue"]
    assert first["url"] == "https://github.com/owner1/project1/issues/7"
    assert len(doubts.labels) == 10
    assert list(doubts.checked["facet"]) == ["symptom"]


def test_a_check_changes_no_label_and_comes_out_the_same_again(filled: Store, study: Study, doubts: Doubts) -> None:
    before = dump(filled)
    pd.testing.assert_frame_equal(doubtful_labels(filled, study, size=10).labels, doubts.labels)
    assert dump(filled) == before


def test_what_is_not_checked_is_told_with_the_reason(doubts: Doubts) -> None:
    unchecked = doubts.unchecked.set_index(["facet", "category"])
    assert unchecked.loc[("gate", ""), "why"].startswith("It is answered once an issue")
    assert unchecked.loc[("stage", ""), "why"] == "It has too few labels, or a single category."
    assert unchecked.loc[("stage", ""), "labels"] == 96
    assert "no better than chance" in unchecked.loc[("reporter", ""), "why"]
    assert unchecked.loc[("symptom", "data-corruption"), "labels"] == 2


def test_another_annotator_s_labels_can_be_checked(filled: Store, study: Study) -> None:
    doubts = doubtful_labels(filled, study, annotator="ann", round_="first", size=1000)
    assert len(doubts.labels) == 96
    assert not doubts.labels["issue"].any()


def test_labels_that_there_are_not_are_one_sentence(filled: Store, study: Study) -> None:
    with pytest.raises(RedefectError, match="no label of a defect by 'nobody' in round"):
        doubtful_labels(filled, study, annotator="nobody")
