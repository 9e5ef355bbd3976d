import csv
import io

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.cells import rearm
from pipeline.export.tables import Table, study_tables
from pipeline.openstudy import OpenStudy

CELLS = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=30)


@given(st.lists(st.tuples(CELLS, st.integers(-1000, 1000)), min_size=1))
def test_no_cell_of_a_csv_is_a_formula_and_texts_read_back(rows: list[tuple[str, int]]) -> None:
    data = Table("t", "", pd.DataFrame(rows, columns=["text", "n"])).to_csv().decode()
    back = list(csv.reader(io.StringIO(data, newline="")))
    assert back[0] == ["text", "n"]
    for (text, n), cells in zip(rows, back[1:], strict=True):
        assert (rearm(cells[0]), cells[1]) == (text, str(n))
        assert not cells[0].lstrip().startswith(("=", "+", "-", "@"))


def test_shares_have_six_places_and_lines_end_the_same_everywhere() -> None:
    data = Table("t", "", pd.DataFrame({"share": [1 / 3, None]})).to_csv()
    assert data == b'share\n0.333333\n""\n'


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("50 % & more #1", r"50 \% \& more \#1"),
        (r"a\b {c} $d$ ~e ^f", r"a\textbackslash{}b \{c\} \$d\$ \textasciitilde{}e \textasciicircum{}f"),
        ("p < 1 > 0", r"p \textless{} 1 \textgreater{} 0"),
        ("two\nlines", "two lines"),
    ],
)
def test_text_in_latex_is_escaped_in_cells_names_and_captions(text: str, latex: str) -> None:
    table = Table("t", text.replace("\n", " "), pd.DataFrame({text: [text]})).to_latex().decode()
    assert table.replace("\n", " ").count(latex) == 3
    assert r"\toprule" in table
    assert r"\label{tab:t}" in table


def test_a_table_of_many_rows_runs_over_pages() -> None:
    assert rb"\begin{longtable}" in Table("t", "c", pd.DataFrame({"n": range(41)})).to_latex()
    assert rb"\begin{tabular}" in Table("t", "c", pd.DataFrame({"n": range(40)})).to_latex()


def test_all_tables_of_a_study_have_names_of_their_own_and_both_forms(demo: OpenStudy) -> None:
    tables = study_tables(demo)
    names = [table.name for table in tables]
    assert len(set(names)) == len(names)
    assert {"defects", "findings", "sensitivity", "agreement", "independence", "crosstab-stage-symptom"} <= set(names)
    for table in tables:
        assert table.to_csv().endswith(b"\n")
        assert rb"\bottomrule" in table.to_latex()
        assert b"nan" not in table.to_latex()
        assert "fictional" in table.caption


def test_the_table_of_defects_refers_to_issues_and_holds_no_text_and_no_login(demo: OpenStudy) -> None:
    (table,) = [table for table in study_tables(demo) if table.name == "defects"]
    assert "title" not in table.frame
    assert "author" not in table.frame
    assert len(table.frame) == 152


def test_the_longer_side_of_a_cross_table_runs_down_the_page(demo: OpenStudy) -> None:
    tables = {table.name: table.to_latex().decode() for table in study_tables(demo)}
    assert "Root cause & Environment & Data pipeline & Modeling & Training & Total" in tables["crosstab-stage-root-cause"]
    assert r"Project type & Basic defects &" in tables["crosstab-project-type-manifestation"]


def test_shares_in_print_are_percents_with_their_interval(demo: OpenStudy) -> None:
    (table,) = [table for table in study_tables(demo) if table.name == "distribution-stage"]
    text = table.to_latex().decode()
    assert r"41.4\% & [33.9\%, 49.4\%]" in text
    assert r"Stage (n = 152; fictional data)" in text
