from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.annotate.batches import Batch, check_name, draw
from pipeline.documents import read_toml
from pipeline.errors import RedefectError
from pipeline.facts import IssueReference

STRATA = {"a/large": 60, "b/middle": 30, "c/small": 10}
CANDIDATES = [(IssueReference(name, n), name) for name, count in STRATA.items() for n in range(1, count + 1)]


def test_strata_have_their_shares_of_the_batch_and_of_what_all_label() -> None:
    issues = draw(CANDIDATES, ["ann", "bob"], size=50, overlap=10, seed=1)
    assert Counter(issue.stratum for issue in issues) == {"a/large": 30, "b/middle": 15, "c/small": 5}
    shared = [issue for issue in issues if len(issue.annotators) == 2]
    assert Counter(issue.stratum for issue in shared) == {"a/large": 6, "b/middle": 3, "c/small": 1}


def test_what_is_not_shared_is_dealt_out_evenly_in_each_stratum() -> None:
    issues = draw(CANDIDATES, ["ann", "bob", "cleo"], size=60, overlap=6, seed=1)
    alone = Counter((issue.stratum, *issue.annotators) for issue in issues if len(issue.annotators) == 1)
    for stratum in STRATA:
        counts = [alone[stratum, who] for who in ("ann", "bob", "cleo")]
        assert max(counts) - min(counts) <= 1


def test_within_a_stratum_those_that_stand_first_are_taken() -> None:
    issues = draw(CANDIDATES, ["ann"], size=10, overlap=0, seed=1)
    assert sorted(issue.number for issue in issues if issue.stratum == "a/large") == [1, 2, 3, 4, 5, 6]


def test_the_order_tells_nothing_of_who_labels_an_issue() -> None:
    issues = draw(CANDIDATES, ["ann", "bob"], size=60, overlap=30, seed=1)
    shared = [place for place, issue in enumerate(issues) if len(issue.annotators) == 2]
    assert 20 < sum(shared) / len(shared) < 40
    assert max(shared) > 50


def test_a_seed_gives_the_same_batch_and_another_seed_another() -> None:
    by_chance = [draw(CANDIDATES, ["ann", "bob"], size=20, overlap=5, seed=seed) for seed in (1, 1, 2)]
    assert by_chance[0] == by_chance[1] != by_chance[2]


@given(st.data())
def test_a_batch_holds_each_issue_once_and_as_many_as_wanted(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, len(CANDIDATES)))
    overlap = data.draw(st.integers(0, size))
    annotators = data.draw(st.lists(st.sampled_from(["ann", "bob", "cleo", "dan"]), min_size=1, unique=True))
    issues = draw(CANDIDATES, annotators, size, overlap, seed=3)
    assert len({issue.reference for issue in issues}) == len(issues) == size
    if len(annotators) > 1:
        assert sum(len(issue.annotators) == len(annotators) for issue in issues) == overlap


@pytest.mark.parametrize(
    ("size", "overlap", "sentence"),
    [(5, 6, "6 issues for all annotators are more than"), (101, 0, "101 issues are wanted and 100 are there")],
)
def test_numbers_that_cannot_be_are_one_sentence(size: int, overlap: int, sentence: str) -> None:
    with pytest.raises(RedefectError, match=sentence):
        draw(CANDIDATES, ["ann"], size, overlap, seed=1)


def batch(**changes: object) -> Batch:
    issues = draw(CANDIDATES, ["ann", "bob"], size=12, overlap=4, seed=1)
    described = {"study": "demo", "round": "pilot", "annotators": ["ann", "bob"], "seed": 1, "issues": issues} | changes
    return Batch.model_validate(described)


@pytest.mark.parametrize("changes", [{}, {"suggestions": True, "repeats": "one"}])
def test_a_batch_reads_back_from_its_file(tmp_path: Path, changes: dict[str, object]) -> None:
    written = batch(**changes)
    (tmp_path / "one.toml").write_bytes(written.to_toml())
    assert read_toml(tmp_path / "one.toml", Batch) == written


def test_each_annotator_has_what_is_shared_and_a_part_of_the_rest() -> None:
    tasks = {who: batch().tasks_of(who) for who in ("ann", "bob")}
    assert len(tasks["ann"]) == len(tasks["bob"]) == 8
    assert len(set(tasks["ann"]) & set(tasks["bob"])) == 4


def test_a_file_that_contradicts_itself_is_named_with_its_line(tmp_path: Path) -> None:
    text = batch().to_toml().decode()
    (tmp_path / "one.toml").write_text(text.replace('annotators = ["bob"]', 'annotators = ["rob"]', 1))
    with pytest.raises(RedefectError, match=r"one.toml:\d+: issues.\d+.annotators: 'rob' is none of this batch's annotators"):
        read_toml(tmp_path / "one.toml", Batch)
    twice = text + text[text.index("[[issues]]") : text.index("[[issues]]", text.index("[[issues]]") + 1)]
    (tmp_path / "one.toml").write_text(twice)
    with pytest.raises(RedefectError, match="stands twice"):
        read_toml(tmp_path / "one.toml", Batch)


@pytest.mark.parametrize("name", ["", ".", "..", "../up", "a/b", "-a", "a b", "ü", "a" * 32, "a\n"])
def test_names_that_would_be_paths_or_no_names_of_sheets_are_refused(name: str) -> None:
    with pytest.raises(RedefectError, match="is no name for an annotator"):
        check_name(name, "an annotator")
