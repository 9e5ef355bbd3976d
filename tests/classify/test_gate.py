import os
import pickle
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

import pipeline
from pipeline.classify.gate import Gate, train_gate
from pipeline.thread import Thread

CHECKOUT = Path(pipeline.__file__).parent.parent

SAID = {"bug": "it crashes with an error", "feature": "please add support for it", "question": "how can I do this?"}


def thread(words: str, i: int, repository: str = "a/a", year: int = 2020) -> Thread:
    body = f"I use it daily. {words}\n\n### Version\n\n{i}.{i % 3}\n\n```\nrun({i})\n```"
    day = datetime(year, 1 + i % 12, 1, tzinfo=UTC)
    return Thread(repository=repository, number=i + 1, title=f"{words} {i}", body=body, created_at=day)


THREADS = [thread(words, i) for words in SAID.values() for i in range(12)]
LABELS = [label for label in SAID for _ in range(12)]


def test_two_trainings_give_the_same_probabilities_whatever_the_order_of_hashes() -> None:
    code = "import sys, test_gate as t; sys.stdout.buffer.write(t.Gate().fit(t.THREADS, t.LABELS).predict_proba(t.THREADS))"
    first, second = (
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=Path(__file__).parent,
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(CHECKOUT)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    )
    assert len(first) == len(THREADS) * len(SAID) * 8
    assert first == second


def test_probabilities_sum_to_one_and_name_the_class() -> None:
    gate = Gate().fit(THREADS, LABELS)
    new = [thread(words, 40) for words in SAID.values()]
    assert gate.predict_proba(new).sum(axis=1) == pytest.approx(np.ones(3))
    assert gate.predict(new).tolist() == list(SAID)


def test_a_repository_that_was_not_trained_on_is_classified_by_what_all_share_and_less_surely() -> None:
    gate = Gate().fit(THREADS, LABELS)
    known, unknown = (gate.predict_proba([thread(SAID["bug"], 40, name)])[0] for name in ("a/a", "z/z"))
    assert unknown.argmax() == known.argmax()
    assert unknown.max() < known.max()


def test_what_a_word_means_may_differ_by_repository() -> None:
    words = ["it is about red things", "it is about blue things"]
    threads = [thread(words[i % 2], i, name) for name in ("a/a", "b/b") for i in range(20)]
    labels = [["bug", "feature"][(i + (t.repository == "b/b")) % 2] for t, i in zip(threads, [*range(20)] * 2, strict=True)]
    gate = Gate().fit(threads, labels)
    assert gate.predict([thread(words[0], 41, name) for name in ("a/a", "b/b")]).tolist() == ["bug", "feature"]


def test_a_repository_that_lacks_a_class_is_not_corrected_for() -> None:
    few = [thread(SAID["bug"], i, "b/b") for i in range(12)]
    gate = Gate().fit([*THREADS, *few], [*LABELS, *["bug"] * 12])
    asked = [thread(SAID["question"], 40, name) for name in ("b/b", "z/z")]
    one, other = gate.predict_proba(asked)
    assert one.tolist() == other.tolist()


def test_a_target_may_be_less_sure_than_a_label() -> None:
    unsure = [thread("it is what it is", i) for i in range(12)]
    labels = [*LABELS, *["feature"] * 12]
    targets = np.vstack([np.repeat(np.eye(3), 12, axis=0), np.tile([0, 0.5, 0.5], (12, 1))])
    asked = [thread("it is what it is", 41)]
    said = Gate().fit([*THREADS, *unsure], labels).predict_proba(asked)[0]
    halved = Gate().fit([*THREADS, *unsure], labels, targets).predict_proba(asked)[0]
    assert said[1] > 0.7
    assert halved[1] == pytest.approx(halved[2], abs=0.1)
    assert halved[0] < halved[1]


def test_annotated_threads_tell_what_is_no_bug_but_not_whether_it_is_a_wish_or_a_question() -> None:
    annotated = [thread("how can it be blue, thanks", i, "b/b") for i in range(12)] + [
        thread("all is lost", i, "b/b") for i in range(12)
    ]
    gate = train_gate(THREADS, LABELS, annotated, [False] * 12 + [True] * 12)
    blue, lost = gate.predict_proba([thread("blue", 40, "z/z"), thread("all is lost", 40, "z/z")])
    assert blue[0] < lost[0]
    assert blue[2] > blue[1]
    assert lost.argmax() == 0


def test_a_gate_holds_no_words_and_is_small() -> None:
    kept = pickle.dumps(vars(Gate().fit(THREADS, LABELS)))
    assert len(kept) < 200_000
    for word in (b"crashes", b"support", b"question?"):
        assert word not in kept


def test_the_date_of_opening_is_read_only_when_asked_for() -> None:
    threads = [thread("it is as it is", i, year=year) for year in (2010, 2020) for i in range(12)]
    labels = [str(t.created_at.year) for t in threads if t.created_at]
    asked = [thread("it is as it is", 5, year=year) for year in (2010, 2020)]
    assert Gate(dated=True).fit(threads, labels).predict(asked).tolist() == ["2010", "2020"]
    undated = Gate().fit(threads, labels).predict_proba(asked)
    assert undated[0].tolist() == undated[1].tolist()


@pytest.mark.parametrize("body", [None, "", "```\nopen", "<!-- open", "\0\u2028", "." * 200_000, "漢字" * 50_000, "`" * 200_000])
def test_any_text_has_a_class(body: str | None) -> None:
    gate = Gate().fit(THREADS, LABELS)
    found = gate.predict_proba([Thread(repository="a/a", number=1, title="", body=body)])
    assert found.sum() == pytest.approx(1)


def test_no_threads_have_no_probabilities() -> None:
    assert Gate().fit(THREADS, LABELS).predict_proba([]).shape == (0, 3)


def test_a_gate_is_copied_as_any_estimator() -> None:
    assert clone(Gate(alpha=2, dated=True)).get_params() == {"alpha": 2, "dated": True, "embeddings": None, "fewest": 4}
