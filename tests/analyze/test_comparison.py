import pandas as pd
import pytest

from pipeline.analyze.comparison import cell_table, differences_table, independence_table, published_beside, share_table
from pipeline.analyze.figures import Chart
from pipeline.openstudy import OpenStudy
from pipeline.taxonomy import Facet, Taxonomy


@pytest.fixture(scope="module")
def facets(taxonomy: Taxonomy) -> tuple[Facet, Facet]:
    return taxonomy.facet("stage"), taxonomy.facet("manifestation")


CELLS = pd.DataFrame(
    [
        ("figure-07", "environment", "basic", 134, 130, -4),
        ("figure-07", "environment", "evolutionary", 17, 17, 0),
        ("figure-07", "training", "basic", 32, 40, 8),
        ("figure-07", "training", "evolutionary", 0, 0, 0),
    ],
    columns=["figure", "row", "column", "published", "reproduced", "difference"],
)


def numbers(chart: Chart, panel: int) -> list[int]:
    """Return what is written on the bars of a panel."""
    return [int(text.get_text()) for text in chart.axes[panel].texts if text.get_text().isdecimal()]


@pytest.mark.parametrize("style", ["stacked", "grouped"])
def test_a_published_figure_stands_left_of_its_reproduction(style: str, facets: tuple[Facet, Facet]) -> None:
    chart = published_beside(CELLS, *facets, style, "Manifestation by stage")
    assert [axes.get_title() for axes in chart.axes] == ["published (n = 183)", "reproduced (n = 187)"]
    assert sorted(numbers(chart, 0)) == [17, 32, 134]
    assert sorted(numbers(chart, 1)) == [17, 40, 130]
    left, right = chart.axes
    assert left.get_xlim() == right.get_xlim()
    assert left.get_ylim() == right.get_ylim()
    top_down = [label.get_text() for label in left.get_yticklabels()]
    assert left.get_ylim()[0] > left.get_ylim()[1]
    assert top_down == (["Environment", "Training"] if style == "stacked" else ["Basic defects", "Evolutionary defects"])
    assert chart.to_bytes("svg") == published_beside(CELLS, *facets, style, "Manifestation by stage").to_bytes("svg")


def test_both_sides_are_told_in_words(facets: tuple[Facet, Facet]) -> None:
    told = published_beside(CELLS, *facets, "stacked", "Manifestation by stage").description
    assert "as published (n = 183), left, and as reproduced (n = 187), right. 2 of 4 cells differ." in told
    assert "Training: Basic defects 40." in told
    equal = CELLS.assign(reproduced=CELLS["published"], difference=0)
    assert "All 4 cells are equal." in published_beside(equal, *facets, "stacked", "x").description


def test_cells_are_listed_with_their_difference_and_totals(facets: tuple[Facet, Facet]) -> None:
    table = cell_table(CELLS, *facets, "Manifestation by stage")
    assert table.title == "Manifestation by stage, cell by cell (2 of 4 cells equal; n = 183 published and 187 reproduced)"
    assert table.frame["Environment"].loc["Basic defects"].tolist() == [134, 130, "-4"]
    assert table.frame["Training"].loc["Evolutionary defects"].tolist() == [0, 0, "0"]
    assert table.frame["Training"].loc["Total"].tolist() == [32, 40, "+8"]


def test_differences_are_counted_in_numbers_and_in_names(facets: tuple[Facet, Facet], taxonomy: Taxonomy) -> None:
    rows = [
        ("figure-07", "environment x basic", "134", "130"),
        ("figure-07", "name of a category of stage", "Env", "Environment"),
    ]
    table = differences_table(pd.DataFrame(rows, columns=["figure", "where", "published", "data"]), CELLS, taxonomy)
    assert table.title == "Published figures against published data (2 of 4 cells equal; 1 numbers and 1 names differ)"
    assert list(table.frame["What differs"]) == ["environment x basic", "name of a category (Stage)"]


def test_shares_stand_with_interval_and_n_under_the_size_of_their_group(demo: OpenStudy) -> None:
    frame = share_table(demo.crosstab("reporter", "manifestation")).frame
    assert frame.loc["Basic defects", "Re-user (n = 83)"] == "83.1 % [73.7, 89.7], n = 69"
    assert frame.loc["Reproducibility defects", "Adaptor (n = 39)"] == "0"


def test_tests_of_independence_name_what_is_associated_by_design(demo: OpenStudy) -> None:
    table = independence_table([demo.crosstab("stage", "manifestation"), demo.crosstab("stage", "root-cause")])
    assert list(table.frame["Facets"]) == ["Manifestation by stage", "Root cause by stage"]
    assert list(table.frame["n"]) == [152, 152]
    assert table.frame["p"].tolist() == ["< 0.0002", "< 0.0002"]
    assert "Root cause and stage are associated by design" in table.note
    assert "Manifestation" not in table.note
