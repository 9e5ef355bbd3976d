import numpy as np
import pandas as pd

from pipeline.analyze.agreement_figures import agreement_by_facet, confusions

TABLE = pd.DataFrame(
    [
        ("first", "pooled", 0.5, 0.4, 0.6, 100),
        ("first", "stage", 0.2, -0.1, 0.5, 40),
        ("first", "symptom", np.nan, np.nan, np.nan, 40),
        ("second", "pooled", 0.7, 0.6, 0.8, 90),
        ("second", "stage", 0.9, 0.8, 1.0, 35),
    ],
    columns=["round", "facet", "value", "low", "high", "n"],
)
TITLES = {"pooled": "Pooled", "symptom": "Symptom", "stage": "Stage"}


def test_each_facet_has_a_row_and_each_round_a_marker_with_its_n() -> None:
    chart = agreement_by_facet(TABLE, TITLES, "Cohen's kappa", "Agreement")
    (axes,) = chart.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Pooled", "Stage"]  # kappa of symptom is undefined
    assert [text.get_text() for text in axes.texts] == ["n = 100", "n = 40", "n = 90", "n = 35"]
    assert [text.get_text() for text in chart.legends[0].get_texts()] == ["round first", "round second"]
    assert axes.get_xlim()[0] < -0.1
    assert chart.description == (
        "Points with intervals. Agreement: Cohen's kappa by facet, the highest first. Round first: Pooled 0.50 (n = 100), "
        "Stage 0.20 (n = 40). Round second: Stage 0.90 (n = 35), Pooled 0.70 (n = 90)."
    )


def test_confusions_are_named_by_annotator_and_told_in_words() -> None:
    names = ["crash", "speed", "odd", "odd "]
    counts = pd.DataFrame([[5, 2, 0, 0], [1, 3, 0, 0], [0, 4, 0, 0], [0, 1, 0, 0]], index=names, columns=names)
    chart = confusions(counts.rename_axis(index="ann", columns="bob"), {"crash": "Crash", "speed": "Speed"}, "Symptom")
    (axes,) = chart.axes
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("ann", "bob")
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Crash (n = 7)", "Speed (n = 4)", "odd (n = 5)"]
    assert chart.description == (
        "Matrix of counts. Symptom. ann and bob say the same of 8 of 16 things; the most frequent differences: odd for ann and "
        "Speed for bob: 5; Crash for ann and Speed for bob: 2; Speed for ann and Crash for bob: 1."
    )
