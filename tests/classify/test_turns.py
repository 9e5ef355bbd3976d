import pandas as pd
import pytest

from pipeline.classify.turns import CueMatcher, cues, evaluate, proposals, wordings
from pipeline.taxonomy import Source
from pipeline.themes import Phase, Theme, Themes


def book(least_words: int = 0, **of: str) -> Themes:
    themes = [Theme(id=name, title=name, kind="practice", definition=".", cues=text) for name, text in of.items()]
    phases = [Phase(id="whole", title="Whole", definition=".")]
    return Themes(
        id="x",
        title="x",
        source=Source(citation="none"),
        about=".",
        taxonomy="x",
        least_words=least_words,
        phases=phases,
        themes=themes,
    )


def found(themes: Themes, text: str) -> dict[str, list[str]]:
    return next(CueMatcher(themes).found([text]))


def test_a_cue_s_choices_are_written_out() -> None:
    assert wordings("(code|pull|) review*") == ["code review*", "pull review*", "review*"]
    assert cues(Theme(id="a", title="", kind="practice", definition="", cues="one (a, b|c), two,\n three")) == [
        "one (a, b|c)", "two", "three",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("cue", "text", "hit"),
    [
        ("review*", "We had Reviews on Friday", True),
        ("review*", "a preview", False),
        ("unit test*", "unit\n testing helps", True),
        ("keep* track", "keeping good track", False),
        ("takes * days", "it takes three days", True),
        ("don't support", "They don't support it", True),
        ("数据", "我们的数据很少", True),
        ("数据", "数 no 据", False),
        ("gpu*", "换了GPU以后", True),
    ],
)
def test_cues_are_found_as_words_whatever_their_case_in_both_scripts(cue: str, text: str, hit: bool) -> None:
    assert (found(book(theme=cue), text) == {"theme": [cue]}) == hit


def test_a_turn_of_few_words_is_proposed_for_nothing() -> None:
    assert found(book(least_words=4, theme="tests"), "we have tests") == {}
    assert found(book(least_words=3, theme="tests"), "we have tests") == {"theme": ["tests"]}


def frame(*rows: tuple[object, ...], columns: str = "transcript turn theme") -> pd.DataFrame:
    return pd.DataFrame(rows, columns=columns.split())


def test_proposals_name_turns_and_cues_but_not_what_is_said() -> None:
    turns = frame(("a", 2, "we review and test"), ("a", 4, "nothing"), columns="transcript turn text")
    assert proposals(turns, CueMatcher(book(team="review", testing="test, review"))).values.tolist() == [
        ["a", 2, "team", "review"], ["a", 2, "testing", "review; test"],
    ]  # fmt: skip


def test_proposals_are_compared_with_codings_by_theme_and_for_any_theme() -> None:
    turns = frame(*(("a", i) for i in range(4)), *(("b", i) for i in range(4)), columns="transcript turn")
    coded = frame(("a", 0, "x"), ("a", 1, "x"), ("b", 0, "x"), ("b", 1, "y"))
    proposed = frame(("a", 0, "x"), ("b", 1, "x"), ("b", 3, "x"))
    table = evaluate(turns, proposed, coded, ["x", "y"], seed=1).set_index("theme")
    assert table.loc["x", ["n", "coded", "proposed", "right"]].tolist() == [8, 3, 3, 1]
    assert table.loc["any", ["n", "coded", "proposed", "right"]].tolist() == [8, 4, 3, 2]
    assert table.loc["x", "precision"] == pytest.approx(1 / 3)
    assert table.loc["any", "f1"] == pytest.approx(4 / 7)
    assert pd.isna(table.loc["y", "precision"])
    assert table.loc["y", "recall"] == 0
    assert table.loc["x", "precision_low"] < 1 / 3 < table.loc["x", "precision_high"]
