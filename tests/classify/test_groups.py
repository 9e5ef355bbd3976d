from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stories import NOUNS, corpus, document, story

from pipeline.classify.groups import (
    Fold,
    Groups,
    checked,
    find_groups,
    leave_one_repository_out,
    several_repositories_out,
    stratified,
)
from pipeline.classify.text import Document, read_document
from pipeline.errors import RedefectError
from pipeline.importing import read_threads
from pipeline.thread import Thread


def labels(rows: int) -> pd.DataFrame:
    return pd.DataFrame({"stage": [NOUNS[row % 3] for row in range(rows)], "symptom": [NOUNS[row % 2] for row in range(rows)]})


def groups(duplicates: list[int], families: list[int]) -> Groups:
    return Groups(np.array(duplicates), np.array(families), tuple((str(family),) for family in sorted(set(families))))


def apart(fold: Fold, numbers: np.ndarray) -> bool:
    return not set(numbers[fold.train]) & set(numbers[fold.test])


rows = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 4)), min_size=12, max_size=60)


@settings(max_examples=40)
@given(rows)
def test_of_any_grouping_no_group_is_on_both_sides_of_a_fold(drawn: list[tuple[int, int]]) -> None:
    found = groups([d for d, _ in drawn], [f for _, f in drawn])
    try:
        left_out = list(leave_one_repository_out(found))
    except RedefectError:  # too few repositories, or all that there is to train on is a duplicate
        left_out = []
    for fold in left_out:
        assert apart(fold, found.families)
        assert apart(fold, found.duplicates)
    if len(set(found.duplicates)) >= 3:
        folds = list(stratified(found, labels(len(drawn)), folds=3, repeats=2, seed=1))
        assert all(apart(fold, found.duplicates) for fold in folds)
        for repeat in (folds[:3], folds[3:]):
            assert sorted(np.concatenate([fold.test for fold in repeat])) == list(range(len(drawn)))


def test_each_repository_is_left_out_once_and_no_two_tests_share_a_row() -> None:
    folds = list(leave_one_repository_out(find_groups(corpus())))
    assert [list(fold.test) for fold in folds] == [list(range(8 * r, 8 * r + 8)) for r in range(4)]
    assert all(len(fold.train) == 24 for fold in folds)


def test_rows_of_one_thread_are_never_parted() -> None:
    documents = [d for d in corpus() for _ in range(2)]
    found = find_groups(documents)
    assert list(found.duplicates[::2]) == list(found.duplicates[1::2])
    assert len(set(found.duplicates)) == 32
    assert find_groups([document("Reed/Pond", 1), document("reed/pond", 1)]).duplicates.tolist() == [0, 0]


def test_a_planted_duplicate_is_found_and_never_leaks() -> None:
    told = story(1) + " " + story(2)
    altered = told.replace("anchor", "bread", 3) + " thanks"
    documents = [*corpus(), document("lake/mirror", 5, told), document("owner0/project0", 70, altered, ("Me too.",))]
    found = find_groups(documents)
    assert found.duplicates[-1] == found.duplicates[-2]
    assert len(set(found.duplicates)) == len(documents) - 1
    for fold in [*leave_one_repository_out(found), *stratified(found, labels(len(documents)), folds=4, repeats=3, seed=2)]:
        assert not ({32, 33} & set(fold.train) and {32, 33} & set(fold.test))


def test_what_a_thread_quotes_and_how_it_is_answered_does_not_make_it_a_duplicate() -> None:
    quoted = "\n".join(f"> {line}" for line in story(3, 200).split(" "))
    first = document("owner0/project0", 1, f"{quoted}\n\n{story(4)}", (story(6, 300),))
    second = document("owner1/project1", 2, f"{quoted}\n\n{story(5)}", (story(6, 300),))
    assert len(set(find_groups([first, second]).duplicates)) == 2


def test_short_and_empty_threads_are_compared_too() -> None:
    empty = Thread(repository="reed/pond", number=1, title="")
    documents = [read_document(empty.model_copy(update={"number": n, "title": t})) for n, t in enumerate(["", "", "It", "it"])]
    assert [d.number for d in documents] == [0, 1, 2, 3]
    found = find_groups(documents).duplicates
    assert found[0] != found[1]
    assert found[2] == found[3]


def test_a_planted_template_makes_relatives_of_two_repositories_and_never_leaks() -> None:
    form = "Please tell the revision of the code\n{}\nWhich cameras were they filmed with\n{}\nWho was on deck that day\n{}\n"
    filled = [
        document(name, n, form.format(*(story(1000 * r + 10 * n + i, 30) for i in range(3))))
        for r, name in enumerate(["deck/sloop", "deck/yawl"])
        for n in (1, 2, 3)
    ]
    found = find_groups([*corpus(), *filled])
    assert found.merged == [("deck/sloop", "deck/yawl")]
    assert len(set(found.duplicates)) == 38
    for fold in leave_one_repository_out(found):
        assert len({32, 33, 34, 35, 36, 37} & set(fold.test)) in (0, 6)


def test_a_form_that_many_owners_use_makes_no_relatives() -> None:
    form = "A clear description of the bug\nSteps to do it again\nWhat you expected to happen\n"
    documents = [document(f"owner{r}/project{r}", n, form + story(10 * r + n)) for r in range(4) for n in (1, 2, 3)]
    assert find_groups(documents).merged == []


def test_one_name_under_two_owners_is_a_relative() -> None:
    assert find_groups([document("reed/pond", 1), document("lake/Pond", 2), document("lake/mere", 3)]).merged == [
        ("lake/pond", "reed/pond")
    ]


def test_a_fold_that_leaks_is_refused() -> None:
    numbers = np.array([0, 0, 1])
    with pytest.raises(RedefectError, match="1 groups of threads are in both"):
        checked(Fold(np.array([0]), np.array([1, 2])), numbers)
    with pytest.raises(RedefectError, match="threads of several repositories"):
        checked(Fold(np.array([0, 1]), np.array([], int)), numbers)


def test_there_are_no_more_folds_than_groups_and_one_group_makes_none() -> None:
    three = groups([0, 0, 1, 1, 2, 2], [0, 0, 0, 0, 1, 1])
    assert len(list(stratified(three, labels(6), folds=5, repeats=1, seed=1))) == 3
    assert len(list(several_repositories_out(three, labels(6), folds=5, seed=1))) == 2
    one = groups([0, 0, 0], [0, 0, 0])
    for folds in (leave_one_repository_out(one), stratified(one, labels(3), seed=1)):
        with pytest.raises(RedefectError, match="threads of several repositories"):
            list(folds)


def test_several_repositories_are_left_out_at_once_with_their_relatives_and_without_duplicates() -> None:
    documents = [*corpus(), document("lake/mirror", 5, story(1)), document("lake/mirror", 6, story(2))]
    found = find_groups(documents)
    tested = []
    for fold in several_repositories_out(found, labels(len(documents)), folds=2, seed=3):
        assert apart(fold, found.families)
        assert apart(fold, found.duplicates)
        tested += list(fold.test)
    assert sorted(tested) == list(range(len(documents)))


def test_rare_categories_are_spread_over_the_folds() -> None:
    rare = ["hang"] * 5 + ["crash"] * 45
    found = groups(list(range(50)), [0] * 50)
    table = pd.DataFrame({"symptom": rare, "stage": ["training"] * 30 + [None] * 20})
    for fold in stratified(found, table, folds=5, repeats=3, seed=4):
        assert [rare[row] for row in fold.test].count("hang") == 1


def test_folds_depend_on_the_seed_alone() -> None:
    found = find_groups(corpus())
    table = labels(32)

    def drawn(seed: int) -> list[list[int]]:
        return [list(fold.test) for fold in stratified(found, table, folds=4, repeats=2, seed=seed)]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_among_real_threads_few_are_duplicates_and_those_are_alike(denchmark: Path) -> None:
    documents = [read_document(thread) for thread in islice(read_threads(denchmark, lambda _: None), 700)]
    found = find_groups(documents)
    size = np.bincount(found.duplicates)
    assert 0 < (size > 1).sum() < 60

    def shingles(document: Document) -> set[tuple[str, ...]]:
        words = document.text(origins=["title", "body"]).lower().split()
        return set(pairwise(words))

    for number in np.flatnonzero(size == 2):
        first, second = (shingles(documents[row]) for row in np.flatnonzero(found.duplicates == number))
        assert len(first & second) > 0.3 * min(len(first), len(second))
