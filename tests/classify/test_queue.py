import numpy as np
import standins

from pipeline.classify.model_file import FacetPrediction, Prediction
from pipeline.classify.queue import queued, ranked, uncertainty, vectors
from pipeline.facts import IssueReference
from pipeline.thread import Thread


def guess(abstained: bool = False, **probabilities: float) -> FacetPrediction:
    best = max(probabilities, key=lambda category: probabilities[category])
    return FacetPrediction(best, probabilities[best], abstained, probabilities)


def prediction(defect: float = 1.0, **facets: FacetPrediction) -> Prediction:
    return Prediction("a/b", 7, {"defect": defect, "question": 1 - defect, "feature": 0.0}, facets)


def threads(*titles: str) -> list[Thread]:
    return [Thread(repository="a/b", number=i, title=title) for i, title in enumerate(titles, start=1)]


def test_doubt_is_the_share_of_facets_that_are_expected_to_be_wrong_in_what_is_a_defect() -> None:
    one = prediction(0.5, stage=guess(training=0.6, modeling=0.4), symptom=guess(crash=1.0))
    assert uncertainty(one) == 0.5 * (0.4 + 0.0) / 2
    assert uncertainty(prediction()) == 0


def test_an_issue_in_the_queue_says_what_is_asked() -> None:
    told = queued(
        prediction(
            stage=guess(True, training=0.41, modeling=0.38, environment=0.21),
            symptom=guess(crash=0.7, hang=0.3),
            reporter=guess(enhancer=1.0),
        )
    )
    assert told.issue == IssueReference("a/b", 7)
    assert told.why == "stage: training 0.41 or modeling 0.38"
    assert told.uncertain_facets == ("stage",)
    assert queued(prediction(reporter=guess(enhancer=1.0))).why == ""


def test_of_issues_alike_the_doubtful_comes_first_and_the_other_last() -> None:
    counts = vectors(threads("loss is nan", "loss is nan", "out of memory now", "out of memory then"))
    assert ranked([0.5, 0.9, 0.5, 0.4], counts, 4) == [1, 2, 3, 0]


def test_a_queue_holds_each_issue_once_and_no_more_than_there_are() -> None:
    counts = vectors(threads("same", "same", "same"))
    assert sorted(ranked([0.0, 0.0, 0.0], counts, 10)) == [0, 1, 2]
    assert ranked([0.1, 0.2, 0.3], counts, 1) == [2]


def test_a_text_without_words_can_be_queued() -> None:
    assert sorted(ranked([0.5, 0.5], vectors(threads("??", "a word")), 2)) == [0, 1]


def test_of_each_repository_as_many_while_it_has_some() -> None:
    demo = standins.demo_threads()
    groups = [thread.repository for thread in demo]
    doubts = np.linspace(0.1, 0.9, len(demo)).tolist()
    rows = ranked(doubts, vectors(demo), 19, groups)
    counts = [sum(groups[row] == repository for row in rows) for repository in set(groups)]
    assert sorted(counts) == [2] * 5 + [3] * 3
    everything = ranked(doubts, vectors(demo), 1000, groups)
    assert sorted(everything) == list(range(len(demo)))
    assert everything[:19] == rows
