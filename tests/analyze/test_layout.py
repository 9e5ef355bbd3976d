import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from pipeline.analyze.layout import SCREEN, Layout, broken, set_height
from pipeline.errors import RedefectError


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("Assignment/initialization", ["Assignment/", "initialization"]),
        ("Non-functional defects", ["Non-functional", "defects"]),
        ('User "fork" (n = 278)', ['User "fork"', "(n = 278)"]),
        ("Incomprehensibilities", ["Incomprehensibi", "lities"]),
        ("数据预处理错误数据预处理错误", ["数据预处理错误", "数据预处理错误"]),
        ("in short, a 95 % interval", ["in short, a", "95 % interval"]),
        ("Other", ["Other"]),
    ],
)
def test_a_name_breaks_at_spaces_strokes_and_hyphens_and_else_where_its_line_is_full(text: str, lines: list[str]) -> None:
    assert broken(text, 15).split("\n") == lines


@given(st.text(st.characters(categories=["L", "N", "P", "Zs"])), st.integers(4, 40))
def test_a_broken_text_loses_nothing_but_spaces(text: str, most: int) -> None:
    assert re.sub(r"\s", "", broken(text, most)) == re.sub(r"\s", "", text)
    assert all(len(line) <= most for line in broken(text, most).split("\n"))


def test_a_screen_leaves_names_as_they_are_and_has_no_end() -> None:
    assert SCREEN.broken("a name " * 50) == "a name " * 50
    figure = Figure(layout="constrained")
    set_height(figure, figure.subplots(), 90, SCREEN, "All")
    assert figure.get_figheight() > 90


def test_a_panel_gets_its_height_or_the_page_that_is_too_low_is_named() -> None:
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel("one\ntwo\nthree")
    set_height(figure, axes, 4, Layout(highest=5), "Stage")
    assert axes.get_position().height * figure.get_figheight() == pytest.approx(4, abs=0.02)
    figure.set_layout_engine("constrained")
    with pytest.raises(
        RedefectError, match=r"^Stage: needs 5\.\d inches of height, and a page of Nature has 5\.0; take two columns"
    ):
        set_height(figure, axes, 4.9, Layout(highest=5, place="a page of Nature"), "Stage")
