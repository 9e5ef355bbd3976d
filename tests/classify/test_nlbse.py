from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from conftest import Run
from sklearn.metrics import precision_recall_fscore_support

from pipeline.classify.nlbse import CLASSES, SETFIT, TEST, TRAIN, Split, benchmark, cross_validate, read_split, score
from pipeline.errors import RedefectError
from pipeline.thread import Thread

HEADER = "repo,created_at,label,title,body\n"
WORDS = {"bug": "It crashes with an error", "feature": "Please add support for it", "question": "How can I do this?"}


def split(repositories: list[str], labels: list[str]) -> Split:
    return Split([Thread(repository=name, number=1, title="") for name in repositories], labels)


def table(path: Path, n: int) -> Path:
    rows = [
        f"{repository},2023-0{1 + i % 9}-01 10:00:00,{label},{words} {i % 5},Some words: {words}. And so on {i % 3}.\n"
        for repository in ("a/a", "b/b")
        for label, words in WORDS.items()
        for i in range(n)
    ]
    path.write_text(HEADER + "".join(rows))
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two files as the competition's, of made-up issues that are easily told apart."""
    table(tmp_path / TRAIN, 10)
    table(tmp_path / TEST, 4)
    return tmp_path


def test_the_measure_is_the_mean_over_repositories_of_the_mean_f1_of_the_classes() -> None:
    # a/a: bug P 1/2 R 1, feature 0, question P 1 R 1/2; b/b: all right.
    truth = ["bug", "feature", "question", "question", "bug", "feature", "question"]
    said = ["bug", "bug", "question", "feature", "bug", "feature", "question"]
    found = score(split(["a/a"] * 4 + ["b/b"] * 3, truth), np.array(said))
    a, b = found.repositories
    assert a.f1 == pytest.approx((2 / 3, 0, 2 / 3))
    assert (a.precision, a.recall, a.n) == ((0.5, 0, 1), (1, 0, 0.5), 4)
    assert (b.macro_f1, b.n) == (1, 3)
    assert found.mean == pytest.approx((4 / 9 + 1) / 2)


def test_the_measure_equals_scikit_learns() -> None:
    random = np.random.default_rng(1)
    repositories, truth, said = (random.choice(names, 400) for names in (["a/a", "b/b", "c/c"], CLASSES, CLASSES))
    found = score(split(repositories.tolist(), truth.tolist()), said)
    for r in found.repositories:
        of_it = repositories == r.repository
        theirs = precision_recall_fscore_support(truth[of_it], said[of_it], labels=CLASSES, zero_division=0)
        assert np.array([r.precision, r.recall, r.f1]) == pytest.approx(np.array(theirs[:3]))
    assert found.low < found.mean < found.high


def test_the_interval_holds_as_often_as_it_says() -> None:
    random = np.random.default_rng(2)
    truth = np.tile(CLASSES, 50)
    right, held = 0.8, 0
    for _ in range(200):
        said = np.where(random.random(150) < right, truth, random.choice(CLASSES, 150))
        found = score(split(["a/a"] * 150, truth.tolist()), said)
        held += found.low <= right + (1 - right) / 3 <= found.high
    assert held >= 180


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("repo,label,title,body\n", "row 1: has no column 'created_at'; it has repo, label, title, body."),
        (HEADER, "has no issue labelled bug or feature or question; get it again."),
        (HEADER + "a/a,2023-01-01 10:00:00,bug,x,y\n", "has no issue labelled feature or question; get it again."),
        (HEADER + "a/a,2023-01-01 10:00:00,defect,x,y\n", "row 2: 'defect' is no class of the benchmark; those are bug, "),
        (HEADER + "a,2023-01-01 10:00:00,bug,x,y\n", "row 2: 'a' is no repository; write owner/name."),
        (HEADER + "a/a,soon,bug,x,y\n", "row 2, column B (created_at): 'soon' is no time like"),
        (HEADER + "a/a,2023-01-01 10:00:00,bug\n", "row 2: has 3 cells instead of 5; the file may be truncated"),
    ],
)
def test_a_file_that_is_wrong_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / TRAIN
    path.write_text(text)
    with pytest.raises(RedefectError) as caught:
        read_split(path)
    assert str(caught.value).startswith(f"{path}: {sentence}")


def test_an_issue_may_be_longer_than_what_csv_reads_by_default(tmp_path: Path) -> None:
    path = table(tmp_path / TRAIN, 1)
    path.write_text(path.read_text() + f"a/a,,bug,x,{'y' * 200_000}\n")
    assert len(read_split(path).threads[-1].body or "") == 200_000


def test_training_and_validation_need_no_test_file(data: Path) -> None:
    (data / TEST).unlink()
    assert cross_validate(read_split(data / TRAIN)).mean == 1
    with pytest.raises(RedefectError, match=r"issues_test\.csv: there is no such file"):
        benchmark(data)


def test_what_the_test_file_holds_changes_no_other_prediction(data: Path) -> None:
    whole = benchmark(data).test.repositories
    lines = (data / TEST).read_text().splitlines(keepends=True)
    (data / TEST).write_text("".join(line for line in lines if not line.startswith("b/b")))
    assert benchmark(data).test.repositories == whole[:1]


def test_the_command_prints_the_scores_by_text_alone_and_by_the_date_too(redefect: Run, data: Path) -> None:
    done = redefect("benchmark", "nlbse24", "--data", data, "--validate").stdout
    assert "1.000 1.000 1.000" in done
    assert "Mean macro F1 1.0000, 95 % interval 1.0000 to 1.0000." in done
    for what in ("text alone", "text and date of opening"):
        assert f"{what}: test split" in done
        assert f"{what}: cross-validated within the training split" in done
    assert done.count("Mean macro F1") == 4
    assert done.count("Trained in ") == 2


def test_the_command_says_what_is_missing(redefect: Run, tmp_path: Path) -> None:
    done = redefect("benchmark", "nlbse24", "--data", tmp_path, expect=1)
    assert done.stderr == f"redefect: {tmp_path / TRAIN}: there is no such file.\n"


def test_the_real_files_are_read_whole(nlbse24: Path) -> None:
    for name in (TRAIN, TEST):
        found = read_split(nlbse24 / name)
        counts = Counter(zip(found.repositories, found.labels, strict=True))
        assert len(counts) == 15
        assert set(counts.values()) == {100}


def test_real_issues_are_classified_better_than_by_the_baseline_when_their_date_is_read(nlbse24: Path) -> None:
    assert benchmark(nlbse24, dated=True).test.mean > SETFIT


def test_the_text_alone_tells_real_issues_apart_better_than_plain_words_do(nlbse24: Path) -> None:
    assert benchmark(nlbse24).test.mean > 0.78  # what a plain TF-IDF linear model reaches; the text alone stays below `SETFIT`


def test_embeddings_are_asked_for_by_naming_a_folder_that_holds_a_model(redefect: Run, data: Path, tmp_path: Path) -> None:
    done = redefect("benchmark", "nlbse24", "--data", data, "--embeddings", tmp_path, expect=1)
    assert (
        done.stderr == f"redefect: {tmp_path}: holds no sentence-transformers model (no modules.json); name a folder that does.\n"
    )
