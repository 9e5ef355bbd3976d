from collections.abc import Callable
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.analyze.figures import (
    _COLOURS,
    Chart,
    confusion_matrix,
    learning_curves,
    precision_by_coverage,
    reliability_diagram,
)
from pipeline.errors import RedefectError
from pipeline.openstudy import OpenStudy


def test_every_figure_of_a_study_can_be_drawn_and_gives_the_same_bytes_again(demo: OpenStudy) -> None:
    for figure in demo.study.figures[:4]:
        for form in ("svg", "pdf"):
            assert demo.figure(figure.name).to_bytes(form) == demo.figure(figure.name).to_bytes(form)


def test_each_bar_carries_its_n(demo: OpenStudy) -> None:
    table = demo.crosstab("stage", "symptom")
    for style in ("grouped", "stacked"):
        (axes,) = table.plot(style).axes
        written = sorted(int(text.get_text()) for text in axes.texts if text.get_text().isdecimal())
        shown = table.counts.loc[:, table.counts.sum() > 0].to_numpy().flatten()
        assert [n for n in written if n] == sorted(n for n in shown if n)
    assert axes.get_title() == "Symptom by stage (n = 152; fictional data)"
    (axes,) = demo.distribution("stage").plot().axes
    assert [text.get_text() for text in axes.texts] == [f"n = {n}" for n in demo.distribution("stage").frame["n"]]


def test_neighbouring_colours_differ_in_grey() -> None:
    def lightness(colour: str) -> float:
        red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
        return 0.299 * red + 0.587 * green + 0.114 * blue

    grey = [lightness(colour) for colour in _COLOURS]
    assert min(np.abs(np.diff(grey))) > 35


def test_a_chart_shows_itself_as_a_picture_that_is_not_empty(demo: OpenStudy) -> None:
    picture = Image.open(BytesIO(demo.distribution("stage").plot().to_bytes("png"))).convert("L")
    assert picture.size[0] > 500
    assert np.asarray(picture).std() > 10


def test_an_unknown_style_or_figure_is_named_with_the_known_ones(demo: OpenStudy) -> None:
    with pytest.raises(RedefectError, match="There is no figure style 'round'; there are grouped and stacked"):
        demo.crosstab("stage", "symptom").plot("round")
    with pytest.raises(RedefectError, match="has no figure 'figure-99'; it has figure-05"):
        demo.figure("figure-99")


TITLES = {"stage": "Stage", "symptom": "Symptom"}
ANSWERS = pd.DataFrame(
    {
        "facet": ["stage"] * 3 + ["symptom"] * 3,
        "n": [10, 20, 30] * 2,
        "confidence": [0.3, 0.5, 0.9] * 2,
        "right": [0.2, 0.5, 0.8] * 2,
        "coverage": [0.3, 0.6, 1.0] * 2,
        "precision": [0.9, 0.7, 0.6] * 2,
        "threads": [100.0, 200.0, 400.0] * 2,
        "kappa": [0.1, 0.3, 0.4] * 2,
        "low": [0.1, 0.2, 0.3] * 2,
        "high": [0.4, 0.8, 0.95] * 2,
    }
)


@pytest.mark.parametrize("draw", [reliability_diagram, precision_by_coverage, learning_curves])
def test_how_far_to_trust_a_classifier_is_drawn_in_a_panel_a_facet(draw: Callable[..., Chart]) -> None:
    chart = draw(ANSWERS, TITLES)
    assert [axes.get_title() for axes in chart.axes] == ["Stage", "Symptom"]
    (line, *_) = [line for line in chart.axes[0].lines if len(line.get_xdata()) == 3]
    shown = {tuple(np.asarray(line.get_ydata()).tolist())}
    assert shown <= {(0.2, 0.5, 0.8), (0.9, 0.7, 0.6), (0.1, 0.3, 0.4)}
    assert chart.to_bytes("svg") == draw(ANSWERS, TITLES).to_bytes("svg")
    assert len(draw(ANSWERS, dict.fromkeys("abcde", "Stage")).axes) == 8


def test_each_cell_of_a_confusion_matrix_carries_its_n_and_an_empty_one_nothing() -> None:
    counts = pd.DataFrame([[40, 3], [0, 7.0]], index=["Crash", "Hang"], columns=["Crash", "Hang"])
    (axes,) = confusion_matrix(counts, "Symptom").axes
    assert [text.get_text() for text in axes.texts] == ["40", "3", "7"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Crash (n = 43)", "Hang (n = 7)"]


def test_a_chart_shows_itself_in_a_notebook_as_svg_with_its_description(demo: OpenStudy) -> None:
    chart = demo.figure("figure-08")
    chart.description = "what it shows"
    shown, about = chart._repr_mimebundle_()
    assert shown["image/svg+xml"] == chart.to_bytes("svg").decode()
    assert shown["text/plain"] == about["image/svg+xml"]["alt"] == "what it shows"


def test_what_bars_show_is_told_in_words_with_the_largest_numbers(demo: OpenStudy) -> None:
    assert demo.distribution("stage").plot().description == (
        "Bar chart. Stage (n = 152; fictional data). The most frequent of 4 categories: Environment 41.4 % [33.9, 49.4] "
        "(n = 63), Training 25.0 % [18.8, 32.4] (n = 38), Data pipeline 20.4 % [14.8, 27.5] (n = 31)."
    )
    table = demo.crosstab("stage", "symptom")
    largest = table.counts.sum().idxmax()
    within = table.counts[largest].idxmax()
    told = table.plot("grouped").description
    assert told.startswith("Grouped bars. Symptom by stage (n = 152; fictional data). The largest of ")
    name, n = table.columns.label(largest), table.counts[largest]
    assert f"{name} {n.sum()}, of which {table.rows.label(within)} {n.max()}" in told
    share = table.counts.loc["environment", largest] / table.counts.loc["environment"].sum()
    assert f"Environment (n = 63): {name} {share:.1%}" in table.plot("stacked").description
    assert learning_curves(ANSWERS, TITLES).description == (
        "Learning curves, a panel a facet. Kappa after 400 threads: Stage 0.40 [0.30, 0.95], Symptom 0.40 [0.30, 0.95]."
    )
