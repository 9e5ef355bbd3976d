import pytest

from pipeline.analyze.layout import SCREEN
from pipeline.errors import RedefectError
from pipeline.export.venues import VENUES, layout


@pytest.mark.parametrize(
    ("venue", "columns", "points"),
    [("ieee", 1, 252), ("ieee", 2, 516), ("acm", 1, 241.15), ("acm", 2, 506.3), ("springer", 1, 239.0), ("lncs", 1, 347.12)],
)
def test_a_figure_is_as_wide_as_the_venues_latex_class_sets_its_text(venue: str, columns: int, points: float) -> None:
    assert layout(venue, columns).width * 72.27 == pytest.approx(points, abs=0.05)


def test_letters_have_the_smallest_size_that_a_venue_allows_or_a_larger_one_and_numbers_no_smaller() -> None:
    for venue in VENUES.values():
        room = venue.layout(1)
        assert 7 <= room.text == room.numbers == venue.letters
        assert venue.column <= venue.both < venue.highest


def test_without_a_venue_a_figure_is_for_the_screen() -> None:
    assert layout(None, 1) == SCREEN
    assert layout(None, 1, grey=True).grey


def test_an_unknown_venue_and_a_third_column_are_named() -> None:
    with pytest.raises(
        RedefectError, match="There is no venue 'nature'; there are ieee, acm, springer, springer-small, lncs, a4"
    ):
        layout("nature", 1)
    with pytest.raises(RedefectError, match="takes 1 or 2 columns, not 3"):
        layout("ieee", 3)
