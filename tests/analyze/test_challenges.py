import pandas as pd
import pytest

from pipeline.analyze.challenges import clauses, expectations, matches, phases_and_defects, profile, ranking
from pipeline.intervals import newcombe
from pipeline.taxonomy import Taxonomy
from pipeline.themes import Clause, Expectation, Phase, Theme

ROWS = (
    [("data-pipeline", "crash", "corrupt-data")] * 3
    + [("training", "lower-accuracy", "loss-function")] * 4
    + [("training", "crash", "corrupt-data")] * 1
    + [("environment", "crash", None)] * 2
)


@pytest.fixture
def defects(taxonomy: Taxonomy) -> pd.DataFrame:
    frame = pd.DataFrame(ROWS, columns=["stage", "symptom", "root-cause"])
    return frame.assign(**{f: pd.Categorical(frame[f], categories=taxonomy.facet(f).ids) for f in frame})


def challenge(*clauses: dict[str, list[str]], expected: list[Expectation] | None = None) -> Theme:
    told = [Clause(where=where, reason="because it is so") for where in clauses]
    return Theme(id="data", title="Data", kind="challenge", definition=".", defects=told, expected=expected or [])


DATA = challenge({"stage": ["data-pipeline"]}, {"root-cause": ["corrupt-data"]})


def test_a_defect_tells_of_a_challenge_if_it_matches_any_clause(defects: pd.DataFrame, taxonomy: Taxonomy) -> None:
    assert matches(defects, [DATA], taxonomy)["data"].sum() == 4
    table = clauses(defects, [DATA], taxonomy)
    assert table[["n", "alone"]].to_numpy().tolist() == [[3, 0], [4, 1]]
    assert table["clause"].iloc[0] == "stage: Data pipeline"


def test_defects_of_a_challenge_are_compared_with_all_and_with_the_others(defects: pd.DataFrame, taxonomy: Taxonomy) -> None:
    table = profile(defects, matches(defects, [DATA], taxonomy), [DATA], taxonomy, ["stage", "symptom"])
    crash = table[(table["facet"] == "symptom") & (table["category"] == "crash")].iloc[0]
    assert crash[["count", "n", "all_n"]].tolist() == [4, 4, 10]
    assert (crash["share"], crash["all_share"]) == (1, 0.6)
    assert crash["difference"] == pytest.approx(1 - 2 / 6)
    assert (crash["low"], crash["high"]) == pytest.approx(newcombe(4, 4, 2, 6))
    assert table.groupby("facet")["defining"].all().to_dict() == {"stage": True, "symptom": False}


@pytest.mark.parametrize(
    ("of", "among", "than", "verdict"),
    [
        ({"symptom": ["lower-accuracy"]}, {"stage": ["training"]}, {}, "as expected"),
        ({"symptom": ["crash"]}, {"stage": ["training"]}, {"stage": ["data-pipeline", "environment"]}, "the opposite"),
        ({"symptom": ["crash"]}, {"stage": ["data-pipeline"]}, {"stage": ["environment"]}, "not decided"),
        ({"symptom": ["crash"]}, {"stage": ["modeling"]}, {}, "no data"),
    ],
)
def test_what_would_follow_shows_or_does_not(
    defects: pd.DataFrame, taxonomy: Taxonomy, of: dict[str, list[str]], among: dict[str, list[str]], than: dict[str, list[str]],
    verdict: str,
) -> None:  # fmt: skip
    theme = challenge({"stage": ["training"]}, expected=[Expectation(statement="So.", of=of, among=among, than=than)])
    assert expectations(defects, [theme], taxonomy)["verdict"].tolist() == [verdict]


def test_phases_that_show_in_the_same_defects_are_one_place(defects: pd.DataFrame, taxonomy: Taxonomy) -> None:
    votes = pd.DataFrame(
        [("data", "training", 1.5), ("data", "evaluation", 1.0), ("data", "data", 2.0), ("data", "reading", 9.0)],
        columns=["theme", "phase", "votes"],
    )
    phases = [
        Phase(id="reading", title="", definition=""),
        Phase(id="data", title="", definition="", shows={"stage": ["data-pipeline"]}),
        Phase(id="training", title="", definition="", shows={"stage": ["training"]}),
        Phase(id="evaluation", title="", definition="", shows={"stage": ["training"]}),
    ]
    table = phases_and_defects(votes, defects, matches(defects, [DATA], taxonomy), [DATA], phases, taxonomy)
    assert table[["where", "votes", "votes_n", "count", "n"]].to_numpy().tolist() == [
        ["Data pipeline", 2.0, 4.5, 3, 4], ["Training", 2.5, 4.5, 1, 4],
    ]  # fmt: skip


def test_ranks_tell_how_often_resampling_keeps_them() -> None:
    counts = pd.DataFrame({"often": [True] * 8 + [False] * 2, "seldom": [True] + [False] * 9, "never": [False] * 10})
    table = ranking(counts, [str(i) for i in range(10)], seed=1).set_index("challenge")
    assert table["rank"].to_dict() == {"often": 1, "seldom": 2, "never": 3}
    assert table.loc["often", "support"] > 0.99
    assert 0.5 < table.loc["seldom", "support"] <= 1
    assert table.loc["often", ["count", "n"]].tolist() == [8, 10]
