import pytest

from pipeline.analyze.figures import Chart
from pipeline.analyze.results import Distribution, Gallery, Sentences, TitledFrame
from pipeline.chapters.defect_results import DefectResults
from pipeline.openstudy import OpenStudy


@pytest.fixture(scope="module")
def bare(demo: OpenStudy) -> DefectResults:
    """The demo, with a study file that names nothing to show."""
    nothing = {"distributions": [], "crosstabs": [], "figures": [], "reference": type(demo.study.reference)()}
    return OpenStudy(demo.study.model_copy(update=nothing), demo._store).results


def frame_of(result: object) -> TitledFrame:
    assert isinstance(result, TitledFrame), result
    return result


def test_distributions_come_in_the_study_file_s_order_each_with_its_chart(demo: OpenStudy) -> None:
    gallery = demo.results.distributions
    assert isinstance(gallery, Gallery)
    assert [item.facet.id for item in gallery if isinstance(item, Distribution)] == [
        wanted.facet for wanted in demo.study.distributions
    ]
    assert sum(isinstance(item, Chart) for item in gallery) == len(demo.study.distributions)


def test_every_published_figure_stands_beside_its_reproduction_cell_by_cell(published: OpenStudy) -> None:
    gallery = published.results.figures
    assert isinstance(gallery, Gallery)
    charts, tables = gallery[::2], gallery[1::2]
    for figure, chart, table in zip(published.study.figures, charts, tables, strict=True):
        number = int(figure.name.removeprefix("figure-"))
        assert isinstance(chart, Chart)
        assert [axes.get_title() for axes in chart.axes] == ["published (n = 348)", "reproduced (n = 348)"]
        assert f"Figure {number}: {figure.title}" in chart.description
        cells = frame_of(table).frame
        assert cells.xs("repr.", axis=1, level=1).loc["Total"].sum() == 348
        assert (cells.xs("diff.", axis=1, level=1) == "0").all(axis=None)


def test_figures_without_published_ones_are_shown_alone_and_said_to_be(demo: OpenStudy) -> None:
    gallery = demo.results.figures
    assert isinstance(gallery, Gallery)
    first, *rest = gallery
    assert isinstance(first, Sentences)
    assert "there is nothing to compare" in str(first)
    assert len(rest) == 2 * len(demo.study.figures)
    assert isinstance(demo.results.differences, Sentences)


def test_all_differences_between_print_and_data_are_listed(published: OpenStudy) -> None:
    table = frame_of(published.results.differences)
    assert table.title.endswith("(209 of 209 cells equal; 0 numbers and 4 names differ)")
    assert list(table.frame["Figure"]) == ["figure-08", "figure-09", "figure-09", "figure-09"]


def test_findings_stand_with_n_interval_and_verdict(published: OpenStudy) -> None:
    table = frame_of(published.results.findings)
    assert table.title == "Findings (16: 12 reproduced, 4 differs)"
    rows = table.frame.drop(columns="Source").to_numpy().tolist()
    assert ["Most defects are reported by re-users.", "58.0 %", "58.3 %", 348, "[53.1, 63.4] %", "reproduced"] in rows
    assert table.frame.iloc[9, 1:6].tolist() == ["training", "data-pipeline", 68, "first in 49 % of resamples", "differs"]


def test_sensitivity_has_a_row_a_finding_and_a_column_a_choice(published: OpenStudy) -> None:
    frame = frame_of(published.results.sensitivity).frame
    assert frame.iloc[0].tolist() == [
        "Most defects are reported by re-users.",
        "58.0 %",
        "58.3 % [53.1, 63.4], n = 348",
        "56.6 % [50.9, 62.1], n = 297 (without tensorflow/models)",
        "60.0 % [54.6, 65.1], n = 330 (without fizyr/keras-retinanet)",
        "59.1 % [53.8, 64.3], n = 334",
        "51.4 % [44.7, 58.1], n = 208",
        "68.6 % [60.5, 75.7], n = 140",
    ]


def test_the_conclusion_says_what_is_reproduced_and_what_is_not(published: OpenStudy, demo: OpenStudy) -> None:
    figures, findings, most = published.results.conclusion
    assert figures.startswith("209 of the 209 cells of the published figures are reproduced from n = 348 labelled defects; 4")
    assert findings.startswith("12 of 16 findings are reproduced; not as published are: “Training defects have diverse root")
    assert "(published training, here data-pipeline, first in 49 % of resamples, n = 68)" in findings
    assert "(published 0.699, here 0.626 [0.57, 0.68], n = 613)" in findings
    assert "stage Environment (45.1 % [40.0, 50.4], n = 348)" in most
    assert demo.results.conclusion[1] == "6 of 6 findings are reproduced."
    assert demo.results.conclusion[-1].endswith("fictional data.")


@pytest.mark.parametrize("name", ["distributions", "figures", "differences", "shares", "independence", "findings", "sensitivity"])
def test_what_a_study_file_does_not_name_is_said(bare: DefectResults, name: str) -> None:
    told = getattr(bare, name)
    assert isinstance(told, Sentences)
    assert "'demo'" in str(told)
    assert len(bare.conclusion) == 1
