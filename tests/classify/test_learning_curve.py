import numpy as np
import pandas as pd
import pytest
from stories import document, story

from pipeline.classify.baselines import majority, plain_words
from pipeline.classify.groups import find_groups
from pipeline.classify.labelled import Labelled
from pipeline.classify.learning_curve import LearningCurve, learning_curve, worth_of_more


def labelled() -> Labelled:
    """Each category has some words, of which a thread has one: the more threads, the more of them are known."""
    generator = np.random.default_rng(7)
    categories = generator.integers(0, 2, 120)
    words = generator.integers(0, 12, 120)
    documents = [
        document(f"owner{i % 6}/project{i % 6}", i + 1, f"{'ab'[c]}{'qrstuvwxyzkl'[w]} " * 8 + story(i, 20))
        for i, (c, w) in enumerate(zip(categories, words, strict=True))
    ]
    return Labelled(documents, pd.DataFrame({"stage": np.array(["training", "modeling"])[categories]}))


@pytest.fixture(scope="module")
def curve() -> LearningCurve:
    own = labelled()
    return learning_curve(own, plain_words(), find_groups(own.documents), seed=1, sizes=(12, 40, 5000), folds=3, repeats=2)


def test_scores_rise_with_what_is_learnt_from_up_to_all_that_there_is(curve: LearningCurve) -> None:
    frame = curve.frame
    assert frame["threads"].tolist() == [12, 40, 80]
    assert (frame["n"] == 120).all()
    assert frame["kappa"].is_monotonic_increasing
    assert frame["kappa"].iloc[-1] > frame["kappa"].iloc[0] + 0.2
    assert ((frame["low"] <= frame["kappa"]) & (frame["kappa"] <= frame["high"])).all()


def test_the_same_seed_gives_the_same_curve(curve: LearningCurve) -> None:
    own = labelled()
    again = learning_curve(own, plain_words(), find_groups(own.documents), seed=1, sizes=(12, 40), folds=3, repeats=2)
    pd.testing.assert_frame_equal(again.frame, curve.frame, check_exact=True)


def test_what_learns_nothing_may_be_worth_nothing() -> None:
    own = labelled()
    flat = learning_curve(own, majority(), find_groups(own.documents), seed=1, sizes=(12, 40), folds=3, repeats=2)
    (worth,) = worth_of_more(flat, 120)
    assert worth.low == pytest.approx(0, abs=1e-3)


def made(kappas: np.ndarray, at: np.ndarray) -> LearningCurve:
    frame = pd.DataFrame({"facet": "stage", "threads": at, "n": 100, "kappa": kappas, "low": kappas, "high": kappas})
    return LearningCurve(frame, {"stage": kappas + np.linspace(-0.02, 0.02, 101)[:, None] * np.linspace(0, 1, len(at))})


AT = np.array([100.0, 200, 400, 800, 1200])


def test_a_curve_that_follows_the_law_is_extended_by_it() -> None:
    def law(threads: float | np.ndarray) -> float | np.ndarray:
        return 0.7 - 4 * threads**-0.5

    (worth,) = worth_of_more(made(np.asarray(law(AT)), AT), 1500)
    assert worth.kappa == pytest.approx(law(1500), abs=1e-3)
    assert worth.gain == pytest.approx(law(1600) - law(1500), abs=1e-3)
    assert worth.low <= worth.gain <= worth.high
    assert str(worth) == (
        f"stage: 100 more labelled threads would add about {worth.gain:.3f} to kappa (0.60 with 1,500), "
        f"95 % interval {worth.low:.3f} to {worth.high:.3f}."
    )


def test_a_curve_that_falls_or_has_levelled_off_promises_nothing() -> None:
    (worth,) = worth_of_more(made(np.linspace(0.5, 0.4, 5), AT), 1500)
    assert worth.gain == 0
    level = LearningCurve(made(np.full(5, 0.4), AT).frame, {"stage": np.full((100, 5), 0.4)})
    (worth,) = worth_of_more(level, 1500)
    assert str(worth) == "stage: 100 more labelled threads would not change kappa (0.40) noticeably."
