from pathlib import Path

import pytest
import standins

from pipeline.classify.habits import NO_HABITS
from pipeline.errors import RedefectError
from pipeline.facts import IssueReference, Label
from pipeline.importing import import_study
from pipeline.material import labelled_by, learn_vectors, material
from pipeline.store.session import Store
from pipeline.store.write import put_labels, put_threads
from pipeline.study import Study, read_study
from pipeline.thread import Thread

HEADER = "repository,number,defect,facet,category,annotator,round,confidence\n"


@pytest.fixture
def database(tmp_path: Path) -> str:
    """SQLite is enough for what computes on what it read."""
    return str(tmp_path / "store.sqlite")


@pytest.fixture
def study(root: Path) -> Study:
    return read_study(root / "data" / "studies" / "demo.toml")


@pytest.fixture
def real(root: Path) -> Study:
    """The demo study as if it were no fiction, so that the project's labels count."""
    path = root / "data" / "studies" / "real.toml"
    path.write_text((root / "data" / "studies" / "demo.toml").read_text().replace("fictional = true", ""))
    return read_study(path)


@pytest.fixture
def filled(store: Store, study: Study) -> Store:
    with store.writing() as connection:
        put_threads(connection, standins.demo_threads(), "demo")
    import_study(store, study)
    return store


def test_a_row_is_a_defect_and_holds_what_the_verdict_says(filled: Store, study: Study) -> None:
    found = material(filled, study)
    labels = standins.demo_labels()
    rows = {
        (document.repository, document.number): stage
        for document, stage in zip(found.labelled.documents[::-1], found.labelled.labels["stage"][::-1], strict=True)
    }
    assert rows == labels["stage"].to_dict()
    assert len(found.labelled) > len(rows)  # some threads hold several defects
    assert "symptom" in found.labelled.labels.columns
    assert "gate" not in found.labelled.labels.columns
    assert found.without_text == 0
    assert found.threads == len(standins.demo_threads())
    assert found.lexicon is not None


def test_the_gate_learns_from_threads_without_a_defect_too(filled: Store, study: Study) -> None:
    threads, said = material(filled, study).gated
    assert set(said) == {"defect", "no-defect"}
    assert len(threads) == len(said)


def test_the_project_s_labels_count_where_the_study_has_none(filled: Store, real: Study, root: Path) -> None:
    labelled, unlabelled = standins.demo_labels().index[0], ("anvil/works", 7)
    with filled.writing() as connection:
        put_threads(connection, [Thread(repository="anvil/works", number=7, title="It stops")], "test")
    lines = [
        f"{repository},{number},1,stage,{stage},{annotator},{round_},\n"
        for repository, number in (labelled, unlabelled, ("no/where", 1))
        for stage, annotator, round_ in (
            ("modeling", "adjudicated", "adjudicated"),
            ("training", "auto-c", "single"),
            ("environment", "someone", "else"),
        )
    ]
    (root / "data" / "annotations" / "labels.csv").write_text(HEADER + "".join(lines))
    import_study(filled, real)
    found = material(filled, real)
    rows = zip(found.labelled.documents, found.labelled.labels["stage"], strict=True)
    stages = [((document.repository, document.number), stage) for document, stage in rows]
    assert [stage for key, stage in stages if key == unlabelled] == ["modeling"]
    assert next(stage for key, stage in stages if key == labelled) == standins.demo_labels().loc[labelled, "stage"]
    assert found.counts["adjudicated, adjudicated"] == 1
    assert found.without_text == 1


def test_fiction_learns_from_its_own_labels_alone(filled: Store, study: Study) -> None:
    assert list(material(filled, study).counts) == ["demo-adjudicated, adjudicated"]


def test_without_any_text_the_sentence_says_how_to_get_some(store: Store, study: Study) -> None:
    import_study(store, study)
    with pytest.raises(RedefectError, match="run `redefect collect --labelled --study demo` first"):
        material(store, study)


def test_another_study_s_labels_are_read_from_its_files(filled: Store, real: Study, study: Study) -> None:
    beside = labelled_by(filled, real, study, NO_HABITS)
    assert len({(d.repository, d.number) for d in beside.documents}) == len(standins.demo_labels())


def test_a_store_without_the_other_study_s_threads_is_told(store: Store, real: Study, study: Study) -> None:
    with pytest.raises(RedefectError, match="holds no thread that study 'demo' labels"):
        labelled_by(store, real, study, NO_HABITS)


def test_vectors_are_not_learnt_from_a_few_threads(filled: Store) -> None:
    assert learn_vectors(filled, 0) is None


def test_labels_of_another_annotator_are_nobody_s_verdict(store: Store, study: Study) -> None:
    issue = IssueReference("a/b", 1)
    with store.writing() as connection:
        put_threads(connection, [Thread(repository="a/b", number=1, title="It stops")], "test")
        put_labels(connection, [Label(issue, 1, "stage", "training", "training", "someone", "else")], "test")
    with pytest.raises(RedefectError):
        material(store, study)
