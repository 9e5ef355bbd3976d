import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.analyze.difference_figures import paired_dots
from pipeline.analyze.differences import COUNTED, Estimate, counted, differences, holm
from pipeline.analyze.results import distribution
from pipeline.openstudy import OpenStudy
from pipeline.taxonomy import Taxonomy


def test_the_correction_for_many_differences_is_holms() -> None:
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=25))
def test_a_corrected_p_is_between_the_plain_one_and_bonferronis_and_keeps_the_order(p: list[float]) -> None:
    plain, corrected = np.array(p), holm(np.array(p))
    assert (corrected >= plain).all()
    assert (corrected <= np.minimum(1, plain * len(p)) + 1e-12).all()
    assert (np.diff(corrected[np.argsort(plain, kind="stable")]) >= 0).all()


def frame(shares: dict[str, tuple[float, float, float]]) -> pd.DataFrame:
    return pd.DataFrame([(c, *of) for c, of in shares.items()], columns=["category", "share", "low", "high"])


def test_a_count_is_compared_with_every_correction_and_corrections_with_their_like(taxonomy: Taxonomy) -> None:
    facet = taxonomy.facet("stage")
    shares = {"training": (0.5, 0.4, 0.6), "modeling": (0.5, 0.4, 0.6)}
    count, gold, held = (Estimate(facet, by, frame(shares)) for by in (COUNTED, "gold", "held-out"))
    assert list(differences([count], [gold, held])["method"].unique()) == ["gold", "held-out"]
    assert list(differences([gold, held], [gold, held])["method"].unique()) == ["gold", "held-out"]
    assert len(differences([gold], [held])) == 0


def test_categories_that_one_group_cannot_have_are_not_compared(taxonomy: Taxonomy) -> None:
    facet = taxonomy.facet("stage")
    one = Estimate(facet, COUNTED, frame({"training": (0.5, 0.4, 0.6), "modeling": (0.5, 0.4, 0.6)}))
    other = Estimate(facet, "gold", frame({"training": (0.9, 0.8, 1.0)}))
    table = differences([one], [other])
    assert table["category"].tolist() == ["training"]
    assert table["difference"].tolist() == [pytest.approx(0.4)]
    assert table["p"].item() < 0.001


def test_p_agrees_with_the_interval_on_what_is_clear(demo: OpenStudy) -> None:
    facet = demo.taxonomy.facet("framework")
    everything = [counted(demo.distribution("framework"))]
    assert (differences(everything, everything)["p"] == 1).all()
    kinds = [demo.defects[demo.defects["kind"] == kind] for kind in ("solo", "zoo")]
    table = differences(*([counted(distribution(of, facet))] for of in kinds))
    clear = (table["low"] > 0) | (table["high"] < 0)
    assert clear.sum() > 3
    assert (clear == (table["p"] < 0.05)).all()


def test_a_figure_shows_each_share_once_and_tells_the_largest_difference(taxonomy: Taxonomy) -> None:
    facet = taxonomy.facet("stage")
    one = Estimate(facet, COUNTED, frame({"training": (0.6, 0.5, 0.7), "modeling": (0.4, 0.3, 0.5)}))
    ways = [
        Estimate(facet, "gold", frame({"training": (0.9, 0.8, 1.0), "modeling": (0.1, 0.0, 0.2)})),
        Estimate(facet, "held-out", frame({"training": (0.7, 0.6, 0.8)})),
    ]
    chart = paired_dots({"all": differences([one], ways)}, facet, {"all": ("then", "now")})
    shares, gaps = chart.axes
    legend = [text.get_text() for text in shares.get_legend().get_texts()]
    assert legend == ["then", "now, corrected by gold", "now, corrected by held-out"]
    assert [label.get_text() for label in shares.get_yticklabels()] == ["Modeling", "Training"]
    assert gaps.get_title() == "now less then"
    assert "Training 60.0% and 90.0%, difference +30.0 points" in chart.description
