import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score, matthews_corrcoef

from pipeline.analyze.coded_turns import (
    agreement,
    answers_in,
    coded_answers,
    cooccurrence,
    marks_in,
    phases,
    prevalence,
    saturation,
)


def frame(columns: str, *rows: tuple[object, ...]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=columns.split())


TURNS = frame(
    "transcript turn speaker role text",
    ("a", 1, "Interviewer", "interviewer", "Why?"),
    ("a", 2, "Leader 7", "leader", "It's hard, isn't it?"),
    ("a", 3, "Leader 9", "leader", "No."),
    ("b", 1, "Speaker 1", "interviewer", "Why?"),
    ("b", 2, "Speaker 2", "practitioner", "因为GPU很慢。"),
    ("c", 1, "", "", "A note."),
    ("c", 2, "Leader 1", "leader", "Well, yes and no."),
)
CODINGS = frame(
    "transcript turn coder kind theme phase confidence",
    ("a", 2, "x", "challenge", "hard", "training", "high"),
    ("a", 2, "y", "challenge", "hard", "modeling", "high"),
    ("a", 3, "x", "practice", "tests", None, None),
    ("b", 2, "x", "challenge", "hard", "training", "low"),
    ("b", 2, "x", "practice", "tests", None, None),
    ("b", 2, "y", "practice", "tests", None, None),
)


def test_participants_are_told_apart_and_named_by_role_alone() -> None:
    answers = answers_in(TURNS)
    assert answers["participant"].tolist() == ["leader 1", "leader 2", "practitioner 1", "leader 3"]
    assert answers["words"].tolist() == [4, 1, 5, 4]
    assert answers["script"].tolist() == ["Latin", "Latin", "Han", "Latin"]


def test_without_transcripts_roles_come_from_the_names_of_the_transcripts_and_the_study_file() -> None:
    codings = frame("transcript turn", ("talk_leader2&3", 5), ("talk_practitioner1", 2), ("talk_practitioner2", 2))
    answers = coded_answers(codings, {"talk_practitioner2": "contributor"})
    assert answers["role"].tolist() == ["leader", "practitioner", "contributor"]


def test_a_theme_is_counted_by_participants_interviews_and_turns_and_where_all_coders_see_it() -> None:
    table = prevalence(answers_in(TURNS), marks_in(CODINGS), ["hard", "tests"], 2).set_index(["theme", "group"])
    everyone = table.loc[("hard", "all")]
    assert everyone[["participants", "participants_n", "interviews", "interviews_n"]].tolist() == [2, 4, 2, 3]
    assert everyone[["turns", "agreed", "n"]].tolist() == [2, 1, 4]
    assert table.loc[("tests", "leader"), ["turns", "agreed", "n"]].tolist() == [1, 0, 3]
    assert table.loc[("tests", "practitioner"), "share"] == 1


def test_agreement_is_over_all_turns_of_those_who_answer_coded_or_not() -> None:
    answers = answers_in(TURNS)
    table = agreement(answers, CODINGS, {"hard": ["hard"], "both": ["hard", "tests"]}, seed=1).set_index("pool")
    x, y = [1, 0, 1, 0], [1, 0, 0, 0]
    assert table.loc["hard", "cohen"] == pytest.approx(cohen_kappa_score(x, y))
    assert table.loc["hard", "specific"] == pytest.approx(2 / 3)
    assert table.loc["both", "cohen"] == pytest.approx(cohen_kappa_score([*x, 0, 1, 1, 0], [*y, 0, 0, 1, 0]))
    assert table.loc["both", ["turns", "agreed", "n"]].tolist() == [4, 2, 4]


def test_saturation_counts_new_themes_in_file_order_and_over_random_orders() -> None:
    table = saturation(answers_in(TURNS), marks_in(CODINGS), ["hard", "tests", "never"], seed=1)
    assert table["new"].tolist() == [2, 0, 0]
    assert table["seen"].tolist() == [2, 2, 2]
    assert table["mean"].iloc[0] == pytest.approx(4 / 3, abs=0.1)  # one interview of three brings nothing
    assert table["mean_new"].sum() == pytest.approx(2)
    assert (table["low"] <= table["mean"]).all()
    assert (table["mean"] <= table["high"]).all()


def test_cooccurrence_is_the_correlation_of_themes_over_turns() -> None:
    (row,) = cooccurrence(answers_in(TURNS), marks_in(CODINGS), ["hard", "tests"], seed=1).itertuples()
    assert (row.first_n, row.second_n, row.both, row.n) == (2, 2, 1, 4)
    assert row.lift == pytest.approx(1)
    assert row.phi == pytest.approx(matthews_corrcoef([1, 0, 1, 0], [0, 1, 1, 0]))


def test_a_turn_s_vote_on_its_phase_is_split_by_coders_who_differ() -> None:
    table = phases(CODINGS, ["hard", "tests"], ["modeling", "training"]).set_index(["theme", "phase"])
    assert table.loc["hard", "votes"].to_dict() == {"modeling": 0.5, "training": 1.5, "": 0}
    assert table.loc[("tests", ""), ["votes", "n"]].tolist() == [2, 2]
