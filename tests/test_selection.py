import math
import random
from collections import Counter
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import RedefectError
from pipeline.facts import IssueReference
from pipeline.selection import (
    RULES,
    Candidate,
    CandidateRepository,
    Drawn,
    margin_reached,
    sample_size,
    sample_sizes,
    select_issues,
)
from pipeline.study import Selection

NAMES = ["some/solo", "Some/other-solo", "big/zoo", "small/Zoo", "un/known"]
LABELS = ["bug", "Bug", "question", "crash"]

REPOSITORIES = st.tuples(
    *(
        st.builds(
            CandidateRepository,
            st.just(name),
            st.just("zoo" if "zoo" in name.lower() else "solo" if "solo" in name else None),
            st.sampled_from([None, "A", "B"]),
            st.none() | st.integers(0, 2000),
            st.none() | st.integers(0, 100),
        )
        for name in NAMES
    )
).map(list)
CANDIDATES = st.lists(
    st.builds(
        Candidate,
        st.builds(IssueReference, st.sampled_from(NAMES), st.integers(1, 40)),
        st.booleans(),
        st.sampled_from([None, "open", "closed"]),
        st.none() | st.datetimes(datetime(2019, 12, 1), datetime(2020, 2, 1), timezones=st.just(UTC)),
        st.none() | st.integers(0, 5),
        st.none() | st.lists(st.sampled_from(LABELS), max_size=2).map(tuple),
        st.sampled_from([None, "o/n#1"]),
    ),
    max_size=60,
    unique_by=lambda c: c.issue,
)
SELECTIONS = st.builds(
    Selection,
    minimum_stars=st.sampled_from([0, 1000]),
    minimum_closed_issues=st.sampled_from([0, 50]),
    repositories_per_architecture=st.sampled_from([None, 1]),
    pull_requests=st.booleans(),
    state=st.sampled_from(["open", "closed", "all"]),
    with_fix=st.booleans(),
    labels_include=st.sampled_from([[], ["BUG"]]),
    labels_exclude=st.sampled_from([[], ["Question"]]),
    minimum_comments=st.integers(0, 2),
    most_commented=st.none() | st.integers(1, 4),
    random_share_of_largest_zoos=st.floats(0, 1),
    largest_zoos=st.sampled_from([None, 1]),
    opened_from=st.sampled_from([None, date(2020, 1, 1)]),
    opened_until=st.sampled_from([None, date(2020, 1, 31)]),
)


def many(name: str, count: int, comments: int | None = 1) -> list[Candidate]:
    return [Candidate(IssueReference(name, n), comment_count=comments) for n in range(1, count + 1)]


def draw(candidates: list[Candidate], seed: int = 1, kinds: str = "zoo", **criteria: object) -> Drawn:
    names = sorted({c.issue.repository for c in candidates})
    repositories = [CandidateRepository(name, kinds) for name in names]
    return select_issues(Selection.model_validate(criteria), repositories, candidates, seed)


def left(drawn: Drawn) -> list[tuple[str, int, int, int | None, int]]:
    return [(s.criterion, s.issues, s.repositories, s.dropped, s.unknown) for s in drawn.steps]


@given(SELECTIONS, REPOSITORIES, CANDIDATES, st.integers(0, 3))
def test_the_funnel_adds_up(
    selection: Selection, repositories: list[CandidateRepository], candidates: list[Candidate], seed: int
) -> None:
    drawn = select_issues(selection, repositories, candidates, seed)
    first, *rest = [step for step in drawn.steps if step.dropped is not None]
    assert (first.criterion, first.issues) == ("in the store", len(candidates))
    before = first
    for step in rest:
        assert before.issues == step.issues + (step.dropped or 0)
        assert before.repositories >= step.repositories
        assert step.unknown <= (step.issues if step.unknown_kept else step.dropped or 0)
        before = step
    assert before.criterion == "in the sample"
    assert before.issues == len({d.issue for d in drawn.sample})
    assert rest[-2].issues == len(drawn.kept) if len(rest) > 1 else len(candidates) == len(drawn.kept)


@given(SELECTIONS, REPOSITORIES, CANDIDATES, st.integers(0, 3), st.randoms(use_true_random=False))
def test_a_sample_depends_on_the_issues_and_the_seed_alone(
    selection: Selection,
    repositories: list[CandidateRepository],
    candidates: list[Candidate],
    seed: int,
    order: random.Random,
) -> None:
    drawn = select_issues(selection, repositories, candidates, seed)
    order.shuffle(candidates)
    order.shuffle(repositories)
    again = select_issues(selection, repositories, candidates, seed)
    assert again == drawn
    assert list(again.kept) == list(drawn.kept)


@given(SELECTIONS, REPOSITORIES, CANDIDATES, st.integers(0, 3))
def test_a_sample_holds_only_what_was_kept_each_once_a_rule_and_sorted(
    selection: Selection, repositories: list[CandidateRepository], candidates: list[Candidate], seed: int
) -> None:
    drawn = select_issues(selection, repositories, candidates, seed)
    kinds = {r.name: r.kind for r in repositories}
    assert set(drawn.kept) <= {c.issue for c in candidates}
    keys = [(d.issue.repository.casefold(), d.issue.number, d.rule) for d in drawn.sample]
    assert keys == sorted(set(keys))
    for d in drawn.sample:
        assert d.issue in drawn.kept
        assert d.rule in RULES
        assert d.stratum == kinds[d.issue.repository]
        assert d.seed == (seed if d.rule == "random" else None)
        assert d.stratum == "zoo" or d.rule != "random"
    if selection.most_commented is None and not selection.random_share_of_largest_zoos:
        assert [d.issue for d in drawn.sample] == list(drawn.kept)


@given(SELECTIONS, REPOSITORIES, CANDIDATES)
def test_what_is_kept_meets_every_criterion_that_is_set(
    selection: Selection, repositories: list[CandidateRepository], candidates: list[Candidate]
) -> None:
    kept = select_issues(selection, repositories, candidates, 1).kept
    stars = {r.name: r.stars for r in repositories}
    for c in (c for c in candidates if c.issue in kept):
        known = stars[c.issue.repository]
        assert known is None or known >= selection.minimum_stars
        assert selection.pull_requests or not c.pull_request
        assert selection.state in ("all", c.state)
        assert c.fix or not selection.with_fix
        labels = {label.lower() for label in c.tracker_labels or ()}
        assert "bug" in labels or not selection.labels_include
        assert "question" not in labels or not selection.labels_exclude
        assert (c.comment_count or 0) >= selection.minimum_comments


def test_each_criterion_is_a_step_in_the_order_of_the_study_file_and_says_what_was_not_known() -> None:
    noon = datetime(2020, 1, 31, 12, tzinfo=UTC)
    good = Candidate(IssueReference("a/b", 1), False, "closed", noon, 3, ("bug",), "a/b#9")
    others = [
        Candidate(IssueReference("a/b", 2), True),
        Candidate(IssueReference("a/b", 3)),
        Candidate(IssueReference("a/b", 4), state="closed"),
        Candidate(IssueReference("a/b", 5), state="closed", fix="a/b#8"),
        Candidate(IssueReference("a/b", 6), state="closed", fix="a/b#8", tracker_labels=("Bug",)),
        Candidate(IssueReference("a/b", 7), state="closed", fix="a/b#8", tracker_labels=("Bug",), comment_count=2),
        Candidate(IssueReference("few/stars", 1), state="closed", fix="a/b#8"),
    ]
    selection = Selection(
        minimum_stars=10, state="closed", with_fix=True, labels_include=["bug"], labels_exclude=["question"],
        minimum_comments=2, opened_from=date(2020, 1, 31), opened_until=date(2020, 1, 31),
    )  # fmt: skip
    repositories = [CandidateRepository("A/B", "solo"), CandidateRepository("few/stars", "solo", stars=9)]
    assert left(select_issues(selection, repositories, [*others, good], 1)) == [
        ("in the store", 8, 2, 0, 0),
        ("repository has at least 10 stars", 7, 1, 1, 7),
        ("is no pull request", 6, 1, 1, 0),
        ("is closed", 5, 1, 1, 1),
        ("has a known fix", 4, 1, 1, 0),
        ("is labelled bug", 3, 1, 1, 1),
        ("is not labelled question", 3, 1, 0, 0),
        ("has at least 2 comments", 2, 1, 1, 1),
        ("was opened on 2020-01-31 or later", 1, 1, 1, 1),
        ("was opened on 2020-01-31 or earlier", 1, 1, 0, 0),
        ("in the sample", 1, 1, 0, 0),
    ]


def test_of_an_architecture_the_solo_repositories_with_the_most_stars_are_kept() -> None:
    repositories = [
        CandidateRepository("a/few", "solo", "YOLO", 5),
        CandidateRepository("b/many", "solo", "YOLO", 50),
        CandidateRepository("c/unknown", "solo", "YOLO"),
        CandidateRepository("d/other", "solo", "GAN", 1),
        CandidateRepository("e/zoo", "zoo", "YOLO", 1),
        CandidateRepository("f/no-architecture", "solo"),
    ]
    candidates = [c for r in repositories for c in many(r.name, 1)]
    drawn = select_issues(Selection(repositories_per_architecture=1), repositories, candidates, 1)
    assert [i.repository for i in drawn.kept] == ["b/many", "d/other", "e/zoo", "f/no-architecture"]
    assert (drawn.steps[1].unknown, drawn.steps[1].unknown_kept) == (1, True)


def test_the_most_commented_are_drawn_of_each_repository_and_of_equals_the_lower_number() -> None:
    comments = {1: 4, 2: 9, 3: 4, 4: None, 5: 0}
    candidates = [Candidate(IssueReference(name, n), comment_count=c) for name in ("a/b", "c/d") for n, c in comments.items()]
    drawn = draw(candidates, most_commented=2)
    assert [(d.issue.repository, d.issue.number, d.why) for d in drawn.sample] == [
        ("a/b", 1, "rank 2 by comments (4) in a/b"),
        ("a/b", 2, "rank 1 by comments (9) in a/b"),
        ("c/d", 1, "rank 2 by comments (4) in c/d"),
        ("c/d", 2, "rank 1 by comments (9) in c/d"),
    ]
    assert left(drawn)[-2:] == [
        ("drawn: the 2 most commented of each repository", 4, 2, None, 2),
        ("in the sample", 4, 2, 6, 0),
    ]


@pytest.mark.parametrize(
    ("share", "of", "size"),
    [(0.1, 48, 5), (0.1, 4, 1), (0.1, 15, 2), (0.1, 14, 1), (0.29, 50, 15), (0.145, 100, 15), (1.0, 7, 7), (0.01, 1, 1)],
)
def test_a_share_is_rounded_half_up_as_it_is_written_and_at_least_one(share: float, of: int, size: int) -> None:
    assert len(draw(many("a/zoo", of), random_share_of_largest_zoos=share).sample) == size


def test_a_random_draw_is_of_the_largest_zoos_and_of_equals_of_the_first_by_name() -> None:
    candidates = [*many("c/zoo", 10), *many("B/zoo", 10), *many("a/small", 9)]
    drawn = draw(candidates, seed=2024, random_share_of_largest_zoos=0.2, largest_zoos=1)
    assert {d.why for d in drawn.sample} == {"drawn 2 of 10 at random in B/zoo, seed 2024"}
    assert Counter(d.issue.repository for d in draw(candidates, random_share_of_largest_zoos=0.2).sample) == {
        "a/small": 2, "B/zoo": 2, "c/zoo": 2,
    }  # fmt: skip
    assert draw(candidates, kinds="solo", random_share_of_largest_zoos=0.2).sample == ()


def test_an_issue_that_two_rules_draw_is_in_by_both_and_counts_once() -> None:
    drawn = draw(many("a/zoo", 5), most_commented=2, random_share_of_largest_zoos=1.0)
    assert [d.rule for d in drawn.sample if d.issue.number == 1] == ["most-commented", "random"]
    assert (len(drawn.sample), drawn.steps[-1].issues) == (7, 5)


def test_the_name_s_case_does_not_change_a_random_draw_and_the_seed_does() -> None:
    lower, upper = many("a/zoo", 50), many("A/ZOO", 50)
    numbers = [
        [d.issue.number for d in draw(candidates, seed, random_share_of_largest_zoos=0.1).sample]
        for candidates, seed in ((lower, 1), (upper, 1), (lower, 2))
    ]
    assert numbers[0] == numbers[1] != numbers[2]


def test_a_larger_share_contains_a_smaller_and_a_new_issue_displaces_at_most_one() -> None:
    tenth, fifth = (
        {d.issue for d in draw(many("a/zoo", 100), random_share_of_largest_zoos=share).sample} for share in (0.1, 0.2)
    )
    more = {d.issue for d in draw(many("a/zoo", 101), random_share_of_largest_zoos=0.1).sample}
    assert tenth < fifth
    assert len(tenth - more) <= 1


def test_over_many_seeds_each_issue_is_drawn_as_often_as_any_other() -> None:
    counts = Counter(
        d.issue.number for seed in range(1000) for d in draw(many("a/zoo", 20), seed, random_share_of_largest_zoos=0.2).sample
    )
    # 200 are expected of each, with a standard deviation of 12.6.
    assert all(150 < counts[number] < 250 for number in range(1, 21))


@pytest.mark.parametrize(
    ("population", "margin", "confidence", "size"),
    [
        (10**9, 0.05, 0.95, 385),  # the usual figure for a population without end
        (1000, 0.05, 0.95, 278),  # Krejcie & Morgan 1970
        (100, 0.05, 0.95, 80),  # Krejcie & Morgan 1970
        (10, 0.05, 0.95, 10),  # Krejcie & Morgan 1970
        (2000, 0.05, 0.95, 323),  # Israel 1992
        (3200, 0.05, 0.9545, 356),  # Cochran 1977, ch. 4, with his z of 2
        (0, 0.05, 0.95, 0),
        (1, 0.05, 0.95, 1),
    ],
)
def test_a_sample_size_is_the_published_one(population: int, margin: float, confidence: float, size: int) -> None:
    assert sample_size(population, margin, confidence) == size


@pytest.mark.parametrize(("margin", "confidence"), [(0, 0.95), (1, 0.95), (-0.1, 0.95), (math.nan, 0.95), (0.05, 1)])
def test_a_margin_that_cannot_be_is_named(margin: float, confidence: float) -> None:
    with pytest.raises(RedefectError, match="cannot be: give one between 0 and 1"):
        sample_size(100, margin, confidence)


@given(st.integers(1, 10**6), st.floats(0.005, 0.5))
def test_a_sample_of_the_size_asked_for_reaches_the_margin_and_one_less_does_not(population: int, margin: float) -> None:
    size = sample_size(population, margin)
    assert margin_reached(population, size) <= margin * (1 + 1e-9)
    if size > 1:
        assert margin_reached(population, size - 1) > margin * (1 - 1e-9)


def test_sample_sizes_are_told_of_each_stratum_and_of_all() -> None:
    repositories = [CandidateRepository("a/solo", "solo"), CandidateRepository("b/zoo", "zoo"), CandidateRepository("c/d")]
    candidates = [*many("a/solo", 1000), *many("b/zoo", 100), *many("c/d", 10, comments=None)]
    drawn = select_issues(Selection(most_commented=278), repositories, candidates, 1)
    of = {s.stratum: (s.population, s.drawn, s.needed) for s in sample_sizes(drawn, 0.05)}
    assert of == {
        "not known": (10, 0, 10), "solo": (1000, 278, 278), "zoo": (100, 100, 80), "all": (1110, 378, 286),
    }  # fmt: skip
    margins = {s.stratum: s.margin for s in sample_sizes(drawn, 0.05)}
    assert margins["zoo"] == 0
    assert 0.049 < margins["solo"] < 0.05
    assert math.isnan(margins["not known"])
