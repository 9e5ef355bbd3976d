import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.cells import cell_text, disarm, disarm_throughout, rearm

BEGINS_A_FORMULA = tuple("=+-@\t\r\n＝＋－＠")
HOSTILE = st.lists(st.sampled_from([*BEGINS_A_FORMULA, "'", " ", "\xa0", ",", ";", "|", "x", "1"])).map("".join)


@given(st.text() | HOSTILE)
@example("'=1")
@example("''")
def test_to_rearm_undoes_to_disarm(text: str) -> None:
    assert rearm(disarm(text)) == text


@given(HOSTILE)
def test_no_disarmed_text_begins_a_formula(text: str) -> None:
    assert not disarm(text).startswith(BEGINS_A_FORMULA)
    assert not disarm(text).lstrip().startswith(BEGINS_A_FORMULA)


@given(HOSTILE)
def test_a_stranger_s_text_begins_no_formula_whatever_separates_cells(text: str) -> None:
    for separator in (",", ";", "|", "\t"):
        for cell in disarm_throughout(text).split(separator):
            assert not cell.lstrip().startswith(BEGINS_A_FORMULA)


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="_\ufffe\uffff")))
def test_what_every_format_can_hold_stays_as_it_is(text: str) -> None:
    assert disarm("x" + text) == "x" + text
    assert cell_text(text) == text


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("a\r\nb\rc\nd\te", "a\nb\nc\nd\te"),
        ("\0a\x1b[31m\ud800\ufffe", "\ufffda\ufffd[31m\ufffd\ufffd"),
        ("_x000D_ and _x005F_", "\ufffd and _\ufffd"),  # how a workbook writes \r and _
    ],
)
def test_control_characters_are_made_visible(text: str, held: str) -> None:
    assert cell_text(text) == held


@given(st.text(st.characters(codec="utf-8") | st.sampled_from("_x05Fa\r\n")))
def test_a_text_that_was_made_to_fit_fits(text: str) -> None:
    held = cell_text(text)
    assert cell_text(held) == held
    assert not re.search("[\0-\x08\x0b-\x1f\ufffe\uffff]", held)
