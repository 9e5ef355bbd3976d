"""What a notebook shows of interviews, on the demo, on the published study, and where something is missing."""

from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import pytest
from conftest import CHECKOUT

from pipeline.analyze.figures import Chart
from pipeline.analyze.interviews import Interviews
from pipeline.analyze.results import Sentences, TitledFrame
from pipeline.openstudy import OpenStudy
from pipeline.study import read_study

OF_TURNS = ["participants", "themes_chart", "cooccurrence", "quotations", "matcher"]
OF_CODINGS = ["themes_by_role", "agreement", "saturation", "phases"]
OF_DEFECTS = [
    "summary", "in_the_tracker", "distributions", "distributions_chart", "phases_and_defects", "ranks", "expectations",
    "conclusions",
]  # fmt: skip
ALL = [*OF_TURNS, *OF_CODINGS, *OF_DEFECTS]


@pytest.fixture(scope="module")
def told(demo: OpenStudy) -> Interviews:
    return demo.interviews


def shown(interviews: Interviews, name: str) -> object:
    method: Callable[[], object] = getattr(interviews, name)
    return method()


def texts(interviews: Interviews) -> list[str]:
    return [text for text in interviews.turns["text"] if len(text) > 30]


@pytest.mark.parametrize("name", ALL)
def test_everything_is_shown_of_the_demo_and_tells_that_it_is_fictional(told: Interviews, name: str) -> None:
    result = shown(told, name)
    if isinstance(result, Chart):
        assert "fictional data" in result.description
        assert "n = " in result.description
    elif isinstance(result, TitledFrame):
        assert len(result.frame)
        assert name == "quotations" or "fictional" in result.title
    else:
        assert isinstance(result, Sentences)
        assert "invented" in result[-1]


@pytest.mark.parametrize("name", ALL)
def test_without_transcripts_codings_show_what_they_can_and_the_rest_says_what_is_missing(told: Interviews, name: str) -> None:
    result = shown(replace(told, turns=told.turns.head(0)), name)
    if name in OF_TURNS:
        assert isinstance(result, Sentences)
        assert result[0].startswith(
            "The transcripts of study 'demo' are not at hand, only codings by reference; `make study-data`"
        )
    else:
        assert isinstance(result, TitledFrame | Chart) or name == "conclusions"


@pytest.mark.parametrize("name", ALL)
def test_a_study_without_interviews_says_so_everywhere(demo: OpenStudy, name: str) -> None:
    denchmark = read_study(CHECKOUT / "data" / "studies" / "denchmark.toml")
    nothing = Interviews(
        denchmark, demo.taxonomy, None, demo.interviews.turns.head(0), demo.interviews.codings.head(0), demo.defects
    )
    result = shown(nothing, name)
    assert isinstance(result, Sentences)
    assert result[0].startswith("Study 'denchmark' has no ")


@pytest.mark.parametrize("name", OF_DEFECTS)
def test_a_study_that_is_labelled_otherwise_says_that_its_defects_cannot_be_compared(told: Interviews, name: str) -> None:
    taxonomy = told.taxonomy.model_copy(update={"id": "other"})
    assert "labelled by taxonomy 'other'" in str(shown(replace(told, taxonomy=taxonomy), name))
    assert "has no labelled defects" in str(shown(replace(told, defects=told.defects.head(0)), name))


def test_one_coder_agrees_with_nobody(told: Interviews) -> None:
    alone = replace(told, codings=told.codings[told.codings["coder"] == "demo-ines"])
    assert alone.agreement() == ("Study 'demo' has one coder, 'demo-ines': there is no agreement to estimate.",)
    assert isinstance(alone.summary(), TitledFrame)
    assert isinstance(alone.matcher(), TitledFrame)


def test_only_quotations_tell_what_was_said_and_under_no_other_name_than_the_role(told: Interviews) -> None:
    said = texts(told)
    assert len(said) > 30
    for name in ALL:
        result = shown(told, name)
        text = result.description if isinstance(result, Chart) else str(result)
        begins = [t for t in said if " ".join(t.split())[:30] in text]
        if name == "quotations":
            assert len(begins) == 4
            assert "Speaker" not in text
        else:
            assert begins == [], name


def test_what_was_said_is_harmless_where_it_is_shown(told: Interviews) -> None:
    evil = "<script>alert(1)</script> \x1b[31m red \x9b31m $x$ & so on, "
    quoted = replace(told, turns=told.turns.assign(text=evil + told.turns["text"])).quotations()
    assert isinstance(quoted, TitledFrame)
    assert "<script>" not in quoted._repr_html_()
    assert "&lt;script&gt;" in quoted._repr_html_()
    assert all(c.isprintable() or c == "\n" for c in str(quoted))


def test_proposals_name_references_only(told: Interviews) -> None:
    proposed = told.proposals()
    assert list(proposed.columns) == ["transcript", "turn", "theme", "cues"]
    asked = told.turns[told.turns["role"] == "interviewer"]
    assert not set(zip(asked["transcript"], asked["turn"], strict=True)) & set(
        zip(proposed["transcript"], proposed["turn"], strict=True)
    )


def test_the_same_data_give_the_same_results(told: Interviews) -> None:
    again = replace(told)
    for name in ("agreement", "cooccurrence", "ranks", "matcher", "quotations"):
        pd.testing.assert_frame_equal(shown(told, name).frame, shown(again, name).frame)


def test_the_four_challenges_of_the_published_study(published: OpenStudy) -> None:
    summary = published.interviews.summary()
    assert isinstance(summary, TitledFrame)
    frame = summary.frame.set_index("Challenge")
    assert frame["Participants"].tolist() == ["12 of 12", "10 of 12", "9 of 12", "10 of 12"]
    assert frame["Interviews"].tolist() == ["11 of 11", "10 of 11", "8 of 11", "10 of 11"]
    assert frame["Turns, any coder (all coders)"].tolist() == ["71 (62)", "62 (47)", "40 (34)", "28 (25)"]
    assert "not of the codes' validity" in summary.note
    roles = published.interviews.participants()
    assert isinstance(roles, TitledFrame)
    assert roles.frame["Participants"].tolist() == [6, 2, 4, 12]
    assert roles.frame["Turns"].sum() == 2 * 604
