import numpy as np
import pandas as pd
import pytest

from pipeline.analyze.results import Gallery, Sentences, TitledFrame, crosstab, distribution, independence
from pipeline.openstudy import OpenStudy
from pipeline.taxonomy import Taxonomy


def defects(taxonomy: Taxonomy, stages: list[str | None], symptoms: list[str | None]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "stage": pd.Categorical(stages, categories=taxonomy.facet("stage").ids),
            "symptom": pd.Categorical(symptoms, categories=taxonomy.facet("symptom").ids),
        }
    )


def test_a_distribution_counts_answers_with_their_intervals(taxonomy: Taxonomy) -> None:
    d = distribution(defects(taxonomy, ["training", "training", "modeling", None], [None] * 4), taxonomy.facet("stage"))
    assert (d.n, d.missing) == (3, 1)
    assert d.frame["category"].tolist() == taxonomy.facet("stage").ids
    row = d.frame.set_index("category").loc["training"]
    assert (row["n"], row["share"]) == (2, pytest.approx(2 / 3))
    assert row["low"] < row["share"] < row["high"]
    assert "Stage (n = 3; 1 without an answer)" in str(d)


def test_categories_of_published_tables_only_show_when_they_occur(taxonomy: Taxonomy) -> None:
    facet = taxonomy.facet("symptom")
    without = distribution(defects(taxonomy, [None], ["crash"]), facet)
    assert "low-frequency-type" not in without.frame["category"].tolist()
    with_it = distribution(defects(taxonomy, [None], ["low-frequency-type"]), facet)
    assert "low-frequency-type" in with_it.frame["category"].tolist()


def test_an_empty_frame_gives_zeros_and_no_shares(taxonomy: Taxonomy) -> None:
    empty = defects(taxonomy, [], [])
    d = distribution(empty, taxonomy.facet("stage"))
    assert d.n == 0
    assert d.frame["share"].isna().all()
    table = crosstab(empty, taxonomy.facet("stage"), taxonomy.facet("symptom"), seed=1)
    assert table.n == 0
    assert np.isnan(table.independence.v)


def test_a_cross_table_counts_pairs_and_gives_shares_of_rows(taxonomy: Taxonomy) -> None:
    frame = defects(taxonomy, ["training", "training", "modeling", None], ["crash", "hang", "crash", "crash"])
    table = crosstab(frame, taxonomy.facet("stage"), taxonomy.facet("symptom"), seed=1)
    assert table.n == 3
    assert table.counts.loc["training", "crash"] == 1
    assert table.shares.loc["training", "crash"] == 0.5
    assert table.shares.loc["environment"].isna().all()
    cell = table.cells.set_index(["row", "column"]).loc[("training", "hang")]
    assert (cell["n"], cell["row_n"]) == (1, 2)
    assert table.labelled().loc["Total", "Total"] == 3


def test_independence_tells_association_from_none_and_repeats_itself() -> None:
    none = pd.DataFrame([[20, 20], [20, 20]])
    strong = pd.DataFrame([[40, 0], [0, 40], [0, 0]])
    assert independence(none, seed=1).p > 0.5
    result = independence(strong, seed=1)
    assert result.p == 1 / 10_000
    assert (result.v, result.freedom) == (1.0, 1)
    assert "p < 0.0002 (9999 permutations)" in str(result)
    assert independence(strong, seed=1) == result


def test_results_print_in_a_terminal_and_in_a_notebook(demo: OpenStudy) -> None:
    for result in (demo.distribution("stage"), demo.crosstab("stage", "symptom")):
        assert "(n = 152; fictional data)" in repr(result)
        assert result._repr_html_().startswith("<p><b>")
        assert "<table" in result._repr_html_()
    assert "Cramer's V = " in repr(demo.crosstab("stage", "symptom"))


def test_text_in_html_is_escaped(taxonomy: Taxonomy) -> None:
    facet = taxonomy.facet("stage")
    first = facet.categories[0].model_copy(update={"label": "<script>alert(1)</script>"})
    hostile = facet.model_copy(update={"title": "<b>Stage", "categories": [first, *facet.categories[1:]]})
    hostile.__dict__.pop("values", None)
    frame = defects(taxonomy, ["environment"], ["crash"])
    for html in (
        distribution(frame, hostile)._repr_html_(),
        crosstab(frame, hostile, taxonomy.facet("symptom"), 1)._repr_html_(),
    ):
        assert "<script" not in html
        assert "<b>Stage" not in html.removeprefix("<p><b>")
        assert "&lt;script&gt;" in html


def test_sentences_show_as_text_and_as_html_in_which_data_stay_text() -> None:
    said = Sentences(["1 of 2 <script>alert(1)</script> & more.", "Second."])
    assert str(said) == "1 of 2 <script>alert(1)</script> & more.\nSecond."
    assert said._repr_html_() == "<p>1 of 2 &lt;script&gt;alert(1)&lt;/script&gt; &amp; more.</p><p>Second.</p>"


def test_a_titled_frame_shows_all_of_a_long_cell_and_escapes_what_it_shows() -> None:
    hostile = "<script>alert(1)</script>"
    table = TitledFrame(f"Title {hostile}", pd.DataFrame({hostile: ["x" * 200, hostile]}), note=hostile)
    html = table._repr_html_()
    assert "x" * 200 in html
    assert "<script" not in html
    assert html.count("&lt;script&gt;") == 4
    assert str(table).startswith("Title <script>")


def test_an_interval_is_not_broken_across_lines() -> None:
    html = TitledFrame("T", pd.DataFrame({"a": ["58.3 % [53.1, 63.4], n = 3", "-0.1 [-0.2, +0.3]"]}))._repr_html_()
    assert "58.3\xa0%\xa0[53.1,\xa063.4], n = 3" in html
    assert "-0.1\xa0[-0.2,\xa0+0.3]" in html


def test_a_gallery_shows_its_results_one_after_the_other(demo: OpenStudy, capsys: pytest.CaptureFixture[str]) -> None:
    gallery = Gallery([demo.distribution("stage"), Sentences(["One."])])
    gallery._ipython_display_()  # outside of a notebook, it is printed
    assert capsys.readouterr().out == f"{demo.distribution('stage')}\nOne.\n"
    assert str(gallery) == f"{demo.distribution('stage')}\n\nOne."
