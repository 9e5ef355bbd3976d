from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from conftest import CHECKOUT
from hypothesis import given
from hypothesis import strategies as st

from pipeline.analyze.checklist import LEAST_DEFECTS, Check, Checklist, Checks, Count, make_checklist, read_checks
from pipeline.errors import RedefectError
from pipeline.openstudy import OpenStudy
from pipeline.taxonomy import Taxonomy, read_taxonomy

JIANG = read_taxonomy(CHECKOUT / "taxonomy" / "jiang2024.yaml")
CHECKS = Checks(taxonomy="jiang2024")
FACETS = ["stage", "symptom", "root-cause", "defect-type"]


def defects(*rows: tuple[object, ...]) -> pd.DataFrame:
    columns = ["repository", "number", *FACETS, "title", "fix", "comment_count"]
    return pd.DataFrame(rows, columns=columns).astype({"comment_count": "Int64"})


def defect(
    number: int, stage: str | None = "training", symptom: str | None = "crash", cause: str | None = "optimizer",
    repository: str = "o/a", fix: str | None = None, comments: int | None = None,
) -> tuple[object, ...]:  # fmt: skip
    return repository, number, stage, symptom, cause, "logic", None, fix, comments


def made(*rows: tuple[object, ...], checks: Checks = CHECKS) -> Checklist:
    return make_checklist(defects(*rows), JIANG, checks)


def test_phases_come_in_the_order_of_the_process_each_with_its_share_of_all_defects(demo: OpenStudy) -> None:
    checklist = demo.checklist()
    assert [(phase.category.label, str(phase.count)) for phase in checklist.phases] == [
        ("Environment", "63 of 152, 41.4 % [33.9, 49.4]"),
        ("Data pipeline", "31 of 152, 20.4 % [14.8, 27.5]"),
        ("Modeling", "20 of 152, 13.2 % [8.7, 19.5]"),
        ("Training", "38 of 152, 25.0 % [18.8, 32.4]"),
    ]
    assert (checklist.n, checklist.repositories, checklist.without_phase) == (152, 8, 0)


def test_what_is_to_be_checked_in_a_phase_are_its_commonest_causes_with_what_was_seen_of_them(demo: OpenStudy) -> None:
    environment = demo.checklist().phases[0]
    first = environment.items[0]
    assert first.check is not None
    assert first.check.startswith("Pin the versions")
    assert (first.cause.id, str(first.count)) == ("api-defect", "27 of 63, 42.9 % [31.4, 55.1]")
    assert [(s.category.id, s.count) for s in first.symptoms] == [("crash", Count(25, 63))]
    assert [s.category.id for s in first.rarer_symptoms] == ["incorrect-functionality", "data-corruption"]
    assert [(m.category.id, m.count) for m in first.mistakes] == [("external-interface", Count(25, 27))]
    counts = [item.count.n for item in environment.items]
    assert counts == sorted(counts, reverse=True)


def test_a_cause_found_too_seldom_is_named_and_not_checked_for() -> None:
    phase = made(*(defect(n) for n in range(3)), *(defect(n, cause="evaluation") for n in range(3, 5))).phases[-1]
    assert [item.cause.id for item in phase.items] == ["optimizer"]
    assert [(of.category.id, of.count.n) for of in phase.rarer] == [("evaluation", 2)]


def test_in_a_large_phase_three_defects_are_too_few() -> None:
    phase = made(*(defect(n) for n in range(197)), *(defect(n, cause="evaluation") for n in range(197, 200))).phases[-1]
    assert [item.cause.id for item in phase.items] == ["optimizer"]


def test_causes_that_a_published_table_merged_are_counted_and_ask_for_nothing(published: OpenStudy) -> None:
    training = published.checklist().phases[-1]
    assert [(of.category.id, of.count) for of in training.merged] == [("low-frequency-type", Count(30, 90))]
    assert "low-frequency-type" not in {item.cause.id for item in training.items}


def test_where_no_symptom_was_seen_often_all_are_shown() -> None:
    item = made(defect(1, symptom="crash"), defect(2, symptom="hang"), defect(3, symptom=None)).phases[-1].items[0]
    assert [symptom.category.id for symptom in item.symptoms] == ["crash", "hang"]
    assert item.rarer_symptoms == ()


ANSWERS = st.tuples(*(st.sampled_from([None, *JIANG.facet(facet).ids]) for facet in FACETS))


@given(st.lists(ANSWERS, max_size=60))
def test_each_defect_is_counted_once(answers: list[tuple[str | None, ...]]) -> None:
    checklist = made(*(("o/a", n, *of, None, None, None) for n, of in enumerate(answers)))
    assert sum(phase.count.n for phase in checklist.phases) + checklist.without_phase == len(answers)
    for phase in checklist.phases:
        causes = [*phase.items, *phase.rarer, *phase.merged]
        assert sum(cause.count.n for cause in causes) + phase.unanswered == phase.count.n
        for item in phase.items:
            assert item.count.n >= LEAST_DEFECTS
            seen = Counter(of[1] for of in answers if of[0] == phase.category.id and of[2] == item.cause.id and of[1])
            assert {s.category.id: s.count.n for s in (*item.symptoms, *item.rarer_symptoms)} == seen


def test_the_first_checks_are_those_of_most_defects_in_all_phases(demo: OpenStudy) -> None:
    assert [(item.phase.id, item.cause.id, item.count.n) for item in demo.checklist().first] == [
        ("environment", "api-defect", 27),
        ("environment", "wrong-environment-configuration", 25),
        ("data-pipeline", "data-preprocessing", 14),
        ("data-pipeline", "corrupt-data", 9),
        ("training", "evaluation", 9),
    ]


def test_examples_are_fixed_ones_first_of_different_repositories_then_the_most_commented() -> None:
    rows = [
        defect(1, comments=90), defect(2, fix="o/a#9", comments=1), defect(3, fix="o/a#8", comments=5),
        defect(4, repository="o/B", fix="o/B#7"), defect(4, repository="o/B", symptom="hang", fix="o/B#7"),
    ]  # fmt: skip
    for order in (rows, rows[::-1]):
        examples = made(*order).phases[-1].items[0].examples
        assert [(of.repository, of.number, of.fix) for of in examples] == [
            ("o/a", 3, "o/a#8"),
            ("o/B", 4, "o/B#7"),
            ("o/a", 2, "o/a#9"),
        ]


def test_without_a_sentence_for_a_cause_its_definition_must_do() -> None:
    rows = [defect(n) for n in range(3)]
    assert made(*rows).phases[-1].items[0].check is None
    written = Checks(taxonomy="jiang2024", checks={"optimizer": Check(check="Compare the optimizers.", why="They differ.")})
    assert made(*rows, checks=written).phases[-1].items[0].check == "Compare the optimizers."


def test_a_taxonomy_without_symptoms_and_kinds_of_mistakes_has_a_checklist_too() -> None:
    item = (
        make_checklist(defects(*(defect(n) for n in range(3))), JIANG.only(["stage", "root-cause"]), CHECKS).phases[-1].items[0]
    )
    assert (item.cause.id, item.symptoms, item.mistakes) == ("optimizer", (), ())


def test_each_cause_that_can_be_chosen_has_a_sentence(taxonomy: Taxonomy) -> None:
    checks = read_checks(CHECKOUT / "taxonomy" / "checks" / "jiang2024.yaml", taxonomy)
    assert set(checks.checks) == {category.id for category in taxonomy.facet("root-cause").choices}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("checks: {optimiser: {check: Look at it., why: It is wrong.}}", "checks.optimiser: facet 'root-cause' of taxonomy "
         "'jiang2024' has no such category to choose; nearest are optimizer"),
        ("checks: {training: {check: Look at it., why: It is wrong.}}", "has no such category to choose"),
        ("phase: phases", "Taxonomy 'jiang2024' has no facet 'phases' for the phases of re-engineering"),
        ("checks:\n  optimizer: {check: look, why: It is wrong.}", ":3: checks.optimizer.check: "),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_file_is_said(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "checks.yaml"
    path.write_text(f"taxonomy: jiang2024\n{text}")
    with pytest.raises(RedefectError) as error:
        read_checks(path, JIANG)
    assert sentence in str(error.value)


def test_a_file_of_another_taxonomy_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checks.yaml"
    path.write_text("taxonomy: other")
    with pytest.raises(RedefectError, match="is for taxonomy 'other', and this is 'jiang2024'; give each its own file."):
        read_checks(path, JIANG)


def test_a_taxonomy_without_phases_has_no_checklist() -> None:
    humbatova = read_taxonomy(CHECKOUT / "taxonomy" / "humbatova2020.yaml")
    with pytest.raises(RedefectError) as error:
        read_checks(CHECKOUT / "taxonomy" / "checks" / "humbatova2020.yaml", humbatova)
    assert "Taxonomy 'humbatova2020' has no facet 'stage' for the phases of re-engineering" in str(error.value)
