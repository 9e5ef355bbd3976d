import multiprocessing
import re
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import standins
from conftest import contents
from sqlalchemy import func, insert, select, update

from pipeline.classify.model_file import Classifier, write_model
from pipeline.classifying import classify_store, label_queue, parse_text, predictions
from pipeline.errors import RedefectError
from pipeline.facts import IssueReference, Label
from pipeline.store.predictions import Said, put_predictions
from pipeline.store.predictions import predictions as stored
from pipeline.store.schema import Base
from pipeline.store.session import Store
from pipeline.store.write import put_labels, put_threads
from pipeline.study import Study, read_study
from pipeline.thread import Comment, Thread

TABLES = Base.metadata.tables


@pytest.fixture
def study(root: Path) -> Study:
    return read_study(root / "data" / "studies" / "demo.toml")


@pytest.fixture
def filled(store: Store) -> Store:
    with store.writing() as connection:
        put_threads(connection, standins.demo_threads(), "demo")
    return store


@pytest.fixture
def model(tmp_path: Path) -> Path:
    write_model(tmp_path / "demo.skops", standins.demo_classifier())
    return tmp_path / "demo.skops"


def rows(store: Store, table: str) -> int:
    with store.reading() as connection:
        return connection.scalar(select(func.count()).select_from(TABLES[table])) or 0


def test_the_store_gets_the_probabilities_of_each_thread(filled: Store, study: Study, model: Path) -> None:
    report = classify_store(filled, study, model, standins.demo_classifier())
    assert report.threads == report.changed == report.gate.total() == 168
    with filled.reading() as connection:
        frame = stored(connection, "demo")
    assert set(frame["facet"]) == {"gate", "stage", "symptom"}
    sums = frame.groupby(["repository", "number", "facet"])["probability"].sum()
    assert len(sums) == 168 * 3
    assert all(abs(sums - 1) < 1e-9)
    first = standins.demo_classifier().predict(standins.demo_threads()[:1])[0]
    of_first = frame[(frame["repository"] == first.repository) & (frame["number"] == first.number)]
    stage = of_first[of_first["facet"] == "stage"].set_index("category")["probability"].to_dict()
    guess = first.facets["stage"]
    assert stage == {category: p for category, p in guess.probabilities.items() if p > 0 or category == guess.category}
    told = of_first[of_first["facet"] == "stage"]
    assert told.loc[told["guess"], "category"].tolist() == [guess.category]
    assert set(told["abstained"]) == {guess.abstained}


def test_what_cannot_be_learnt_is_stored_only_when_asked_for(filled: Store, study: Study, model: Path) -> None:
    report = classify_store(filled, study, model, standins.demo_classifier(), withheld=True)
    assert report.facets["root-cause"].abstained == 168
    with filled.reading() as connection:
        assert "root-cause" in set(stored(connection, "demo")["facet"])
    assert classify_store(filled, study, model, standins.demo_classifier()).changed == 168
    with filled.reading() as connection:
        assert "root-cause" not in set(stored(connection, "demo")["facet"])


def test_a_second_run_changes_nothing(filled: Store, study: Study, model: Path, database: str) -> None:
    classify_store(filled, study, model, standins.demo_classifier())
    before = contents(database)
    runs = rows(filled, "run")
    assert classify_store(filled, study, model, standins.demo_classifier()).changed == 0
    assert contents(database) == before
    assert rows(filled, "run") == runs == 1


def test_a_thread_whose_text_changed_gets_new_predictions_and_no_other_does(filled: Store, study: Study, model: Path) -> None:
    classify_store(filled, study, model, standins.demo_classifier())
    issue = TABLES["issue"]
    with filled.writing() as connection:
        connection.execute(update(issue).where(issue.c.id == 3).values(title="Question: how do I train this?", body="nan " * 50))
    assert classify_store(filled, study, model, standins.demo_classifier()).changed == 1


def test_another_models_predictions_stay(filled: Store, study: Study, model: Path, tmp_path: Path) -> None:
    classify_store(filled, study, model, standins.demo_classifier())
    count = rows(filled, "prediction")
    other = replace(standins.demo_classifier(), thresholds={})
    write_model(tmp_path / "other.skops", other)
    assert classify_store(filled, study, tmp_path / "other.skops", other).changed == 168
    assert rows(filled, "prediction") == 2 * count
    assert rows(filled, "model") == 6


def test_a_run_that_is_stopped_leaves_each_thread_with_all_or_none(filled: Store, study: Study, model: Path) -> None:
    with filled.writing() as connection:
        many = [replace_number(thread, thread.number + 10_000 * i) for i in range(1, 5) for thread in standins.demo_threads()]
        put_threads(connection, many, "demo")

    def stopping(threads: Iterator[Thread]) -> Iterator[Thread]:
        for count, thread in enumerate(threads):
            if count == 700:
                raise KeyboardInterrupt
            yield thread

    with pytest.raises(KeyboardInterrupt):
        classify_store(filled, study, model, standins.demo_classifier(), processes=1, progress=stopping)  # type: ignore[arg-type]
    with filled.reading() as connection:
        facets = stored(connection, "demo").groupby(["repository", "number"])["facet"].nunique()
    assert len(facets) == 500
    assert set(facets) == {3}
    assert classify_store(filled, study, model, standins.demo_classifier()).changed == 840 - 500


def replace_number(thread: Thread, number: int) -> Thread:
    return thread.model_copy(update={"number": number})


def test_several_processes_say_what_one_says_in_the_same_order() -> None:
    many = [replace_number(thread, 1 + n) for n, thread in enumerate(standins.demo_threads() * 7)]
    alone = list(predictions(standins.demo_classifier(), many, processes=1))
    assert [p.number for p in alone] == list(range(1, len(many) + 1))
    assert list(predictions(standins.demo_classifier(), many, processes=2)) == alone


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="this system does not tell what a process ignores")
def test_no_process_takes_the_interrupt_of_a_terminal_for_its_own() -> None:
    others = multiprocessing.active_children()  # of tests before, which may still be ending
    several = predictions(standins.demo_classifier(), standins.demo_threads() * 7, processes=3)
    next(several)
    workers = [child for child in multiprocessing.active_children() if child not in others]
    assert len(workers) == 3
    for worker in workers:
        ignored = re.search(r"^SigIgn:\s*(\w+)$", Path(f"/proc/{worker.pid}/status").read_text(), re.MULTILINE)
        assert ignored is not None
        assert int(ignored[1], 16) & 1 << (signal.SIGINT - 1)
    several.close()


def test_a_process_that_dies_is_one_sentence() -> None:
    broken: Classifier = replace(standins.demo_classifier(), gate=standins.Fragile())
    with pytest.raises(RedefectError, match="A process that labels threads ended by itself; is there enough memory"):
        list(predictions(broken, standins.demo_threads() * 7, processes=2))


def test_a_text_is_a_thread_whose_first_line_is_the_title() -> None:
    assert parse_text("# Loss is NaN\n\nAt epoch 3.\n", "-") == Thread(
        repository="no/repository", number=1, title="Loss is NaN", body="At epoch 3.", comments=()
    )
    assert parse_text("\ufeff\n\nLoss", "-").title == "Loss"
    assert parse_text("Loss", "-").body is None
    assert parse_text("a\r\n    b\r\n", "-").body == "    b"
    for empty in ("", "\n \n", "# \nbody"):
        with pytest.raises(RedefectError, match=r"^x\.md: holds no text; its first line is the title"):
            parse_text(empty, "x.md")


def test_the_queue_holds_issues_that_no_person_labelled_yet(filled: Store, study: Study) -> None:
    labelled = list(standins.demo_labels().index)
    with filled.writing() as connection:
        verdict = [
            Label(IssueReference(repository.upper(), number), 1, "stage", "training", "training", study.verdict.annotator,
                  study.verdict.round)
            for repository, number in labelled[:100]
        ]  # fmt: skip
        others = [Label(IssueReference(*labelled[100]), 1, "stage", "training", "training", "demo-a", "independent")]
        put_labels(connection, verdict + others, "labels.csv")
        issue = TABLES["issue"]
        pull = connection.execute(select(issue.c.id).where(issue.c.number == labelled[101][1])).scalars().first()
        connection.execute(update(issue).where(issue.c.id == pull).values(pull_request=True))
    queue = label_queue(filled, study, standins.demo_classifier(), 500)
    asked = {(q.issue.repository, q.issue.number) for q in queue}
    assert len(queue) == len(asked) == 168 - 100 - 1
    assert not asked & set(labelled[:100])
    assert labelled[100] in asked
    assert label_queue(filled, study, standins.demo_classifier(), 10) == queue[:10]
    by_repository = label_queue(filled, study, standins.demo_classifier(), 5, by_repository=True)
    assert len({q.issue.repository for q in by_repository}) == 5


def test_a_store_without_threads_gives_no_predictions_and_an_empty_queue(store: Store, study: Study, model: Path) -> None:
    assert classify_store(store, study, model, standins.demo_classifier()).threads == 0
    assert label_queue(store, study, standins.demo_classifier(), 10) == []
    assert rows(store, "run") == 0


def test_predictions_follow_their_issue_out_of_the_store(filled: Store) -> None:
    with filled.writing() as connection:
        issue = TABLES["issue"]
        new = {"repository_id": 1, "number": 999, "source": "x", "title": "x"}
        connection.execute(insert(issue), new)
        name = connection.execute(select(TABLES["repository"])).first()
        assert name is not None
        reference = IssueReference(f"{name.owner}/{name.name}", 999)
        for probabilities, rows in (({"training": 0.5, "modeling": 0.5}, 2), ({"training": 1.0, "modeling": 0.0}, 1)):
            said = Said(probabilities, "training", abstained=False)
            assert put_predictions(connection, "m", "0" * 64, {reference: {"stage": said}}) == 1
            assert put_predictions(connection, "m", "0" * 64, {reference: {"stage": said}}) == 0
            assert len(stored(connection, "m")) == rows
        connection.execute(issue.delete().where(issue.c.number == 999))
        assert len(stored(connection, "m")) == 0


def test_comments_are_read_as_they_are_stored(filled: Store, study: Study, model: Path) -> None:
    with filled.writing() as connection:
        thread = Thread(repository="a/b", number=1, title="T", body="B", comments=(Comment(body="out of memory"),))
        put_threads(connection, [thread], "x")
    classify_store(filled, study, model, standins.demo_classifier())
    expected = standins.demo_classifier().predict([thread])[0].facets["stage"]
    with filled.reading() as connection:
        frame = stored(connection, "demo")
    of_thread = frame[(frame["repository"] == "a/b") & (frame["facet"] == "stage")].set_index("category")["probability"]
    assert of_thread.to_dict() == {c: p for c, p in expected.probabilities.items() if p > 0 or c == expected.category}
