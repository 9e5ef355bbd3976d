import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.annotate.adjudication import DROP, EXISTS, KEEP, Case, Decision, cases, decide
from pipeline.annotate.annotation import Annotation, check
from pipeline.errors import RedefectError
from pipeline.facts import IssueReference
from pipeline.taxonomy import Taxonomy

ISSUE = IssueReference("a/b", 7)
CRASH = {"stage": "training", "symptom": "crash"}
HANG = {"stage": "training", "symptom": "hang"}
NAN = {"stage": "modeling", "symptom": "numerical-instability"}


@pytest.fixture(scope="module")
def small(taxonomy: Taxonomy) -> Taxonomy:
    return taxonomy.only(["gate", "stage", "symptom"])


def by(annotator: str, *defects: dict[str, str], discuss: bool = False, note: str = "") -> Annotation:
    gate = "defect" if defects else "no-defect"
    return Annotation(ISSUE, annotator, "final", {"gate": gate}, defects, discuss=discuss, note=note)


def asked(case: Case) -> dict[tuple[int, str], tuple[str, ...]]:
    return {question.place: tuple(sorted(question.said)) for question in case.questions}


def decided(case: Case, taxonomy: Taxonomy, **categories: str) -> Annotation:
    places = {place.replace("_", " "): category for place, category in categories.items()}
    decisions = [Decision(ISSUE, int(p.split()[-1]), p.rsplit(" ", 1)[0], c) for p, c in places.items()]
    (final,) = decide([case], decisions, taxonomy, "judge", "adjudicated")
    return final


def test_what_all_say_is_agreed_and_what_they_differ_in_is_asked(small: Taxonomy) -> None:
    (case,) = cases([by("ann", CRASH), by("bob", HANG)], small, seed=1)
    assert case.agreed == {(0, "gate"): "defect", (1, "stage"): "training"}
    assert asked(case) == {(1, "symptom"): ("crash", "hang")}
    final = decided(case, small, symptom_1="hang")
    assert (final.annotator, final.round, final.answers, final.defects) == ("judge", "adjudicated", {"gate": "defect"}, (HANG,))


def test_defects_are_matched_whatever_their_order(small: Taxonomy) -> None:
    (case,) = cases([by("ann", CRASH, NAN), by("bob", NAN, CRASH)], small, seed=1)
    assert case.questions == ()
    assert case.defects == 2


def test_a_defect_that_only_some_saw_is_kept_or_dropped(small: Taxonomy) -> None:
    (case,) = cases([by("ann", CRASH, NAN), by("bob", CRASH)], small, seed=1)
    ((place, said),) = asked(case).items()
    assert place == (2, EXISTS)
    assert said == ("Stage: Modeling; Symptom: Numerical error", "no such defect")
    assert decided(case, small, is_there_2=KEEP).defects == (CRASH, NAN)
    assert decided(case, small, is_there_2=DROP).defects == (CRASH,)


def test_where_one_sees_no_defect_the_other_s_labels_count_if_the_decision_is_theirs(small: Taxonomy) -> None:
    (case,) = cases([by("ann", CRASH), by("bob"), by("cleo", HANG)], small, seed=1)
    assert asked(case) == {(0, "gate"): ("defect", "defect", "no-defect"), (1, "symptom"): ("crash", "hang")}
    assert decided(case, small, gate_0="no-defect").defects == ()
    assert decided(case, small, gate_0="defect", symptom_1="crash").defects == (CRASH,)


def test_an_issue_of_one_annotator_is_taken_over(small: Taxonomy) -> None:
    (case,) = cases([by("ann", CRASH)], small, seed=1)
    assert decided(case, small).defects == (CRASH,)


def test_what_somebody_wants_to_discuss_is_asked_with_what_all_said_proposed(small: Taxonomy) -> None:
    (case,) = cases([by("ann", CRASH, discuss=True, note="odd"), by("bob", CRASH)], small, seed=1)
    assert {q.place: q.proposed for q in case.questions} == {
        (0, "gate"): "defect",
        (1, "stage"): "training",
        (1, "symptom"): "crash",
    }
    assert case.notes == ("odd",)
    assert decided(case, small, gate_0="defect", stage_1="training", symptom_1="hang").defects == (HANG,)


def test_a_proposal_alone_decides_nothing_while_other_questions_are_open(small: Taxonomy) -> None:
    (case,) = cases([by("ann", CRASH, discuss=True), by("bob", HANG)], small, seed=1)
    proposed = [Decision(ISSUE, q.defect, q.facet, q.proposed) for q in case.questions if q.proposed]
    assert decide([case], proposed, small, "judge", "adjudicated") == []


def test_the_order_of_what_was_said_does_not_tell_who_said_it(small: Taxonomy) -> None:
    firsts = set()
    for number in range(30):
        issue = IssueReference("a/b", number + 1)
        said = [Annotation(issue, who, "final", {"gate": "defect"}, (d,)) for who, d in (("ann", CRASH), ("bob", HANG))]
        (case,) = cases(said, small, seed=1)
        firsts.add(case.questions[0].said[0])
        assert cases(said[::-1], small, seed=1) == [case]
    assert firsts == {"crash", "hang"}


def test_reasons_become_the_note(small: Taxonomy) -> None:
    (case,) = cases([by("ann", CRASH), by("bob", HANG)], small, seed=1)
    (final,) = decide([case], [Decision(ISSUE, 1, "symptom", "hang", "it waits for ever")], small, "judge", "adjudicated")
    assert final.note == "it waits for ever"


HALF = r"a/b#7 is half decided, defect 1, 'symptom' has no decision"
STALE = "row 9: nothing is to be decided there; labels have changed"
VAIN = "row 9: decides 'symptom' of a defect that another decision does away with"


@pytest.mark.parametrize(
    ("said", "decisions", "sentence"),
    [
        ([by("ann", CRASH), by("bob", NAN)], [(1, "stage", "training")], HALF),
        ([by("ann", CRASH), by("bob", CRASH)], [(1, "stage", "training")], STALE),
        ([by("ann", CRASH), by("bob", HANG), by("cleo")], [(0, "gate", "no-defect"), (1, "symptom", "hang")], VAIN),
    ],
)
def test_decisions_that_do_not_fit_are_one_sentence(
    small: Taxonomy, said: list[Annotation], decisions: list[tuple[int, str, str]], sentence: str
) -> None:
    made = [Decision(ISSUE, *decision, where="row 9") for decision in decisions]
    with pytest.raises(RedefectError, match=sentence):
        decide(cases(said, small, seed=1), made, small, "judge", "adjudicated")


def test_a_defect_must_be_left_where_there_is_one(small: Taxonomy) -> None:
    found = cases([by("ann", CRASH), by("bob", CRASH, NAN), by("cleo", NAN)], small, seed=1)
    made = [Decision(ISSUE, n, EXISTS, DROP, where="row 9") for n in (1, 2)]
    with pytest.raises(RedefectError, match="row 9: a/b#7 is left without a defect, and is not said to have none"):
        decide(found, made, small, "judge", "adjudicated")


def test_a_defect_that_nobody_described_cannot_be_decided(small: Taxonomy) -> None:
    found = cases([by("ann", discuss=True), by("bob")], small, seed=1)
    made = [Decision(ISSUE, 0, "gate", "defect", where="row 9")]
    with pytest.raises(RedefectError, match="row 9: 'defect' cannot be decided of 'gate' there, .*; decide no-defect"):
        decide(found, made, small, "judge", "adjudicated")


def test_a_decision_about_an_issue_that_nobody_labelled_is_stale(small: Taxonomy) -> None:
    with pytest.raises(RedefectError, match="row 9: nothing is to be decided there"):
        decide([], [Decision(ISSUE, 1, "stage", "training", where="row 9")], small, "judge", "adjudicated")


@given(st.data())
def test_whatever_is_said_and_decided_makes_a_whole_annotation(small: Taxonomy, data: st.DataObject) -> None:
    defect = st.fixed_dictionaries({f.id: st.sampled_from([c.id for c in f.choices]) for f in small.defect_facets})
    said = [by(who, *data.draw(st.lists(defect, max_size=3)), discuss=data.draw(st.booleans())) for who in ("ann", "bob", "cleo")]
    (case,) = cases(said, small, seed=data.draw(st.integers(0, 9)))
    decisions = {q.place: data.draw(st.sampled_from(q.choices)) for q in case.questions}
    gate = decisions.get((0, "gate"), case.agreed.get((0, "gate")))
    if gate == "no-defect":
        decisions = {place: c for place, c in decisions.items() if place[0] == 0}
    elif case.defects and all(decisions.get((n, EXISTS)) == DROP for n in range(1, case.defects + 1)):
        decisions[1, EXISTS] = KEEP
    dropped = {place[0] for place, c in decisions.items() if c == DROP}
    decisions = {p: c for p, c in decisions.items() if p[0] not in dropped or p[1] == EXISTS}
    finals = decide([case], [Decision(ISSUE, *p, c) for p, c in decisions.items()], small, "judge", "adjudicated")
    for final in finals:
        check(final, small, "here")
        assert len(final.defects) <= case.defects
