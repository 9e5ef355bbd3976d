"""The pages of common venues: how wide and how high a figure may be, and how small its letters."""

from dataclasses import dataclass, replace

from pipeline.analyze.layout import SCREEN, Layout
from pipeline.errors import RedefectError

_INCH_MM = 25.4
_INCH_PT = 72.27  # TeX's points, of which classes are made; PDF has 72


@dataclass(frozen=True, slots=True)
class Venue:
    """A venue's page.

    Attributes
    ----------
    column, both
        Width of one column, and of the text over all columns, in inches. They are those of the LaTeX class where there is one: a
        hair wider, and LaTeX calls the figure overfull.
    highest
        The largest height of a figure, in inches; its caption has room below it.
    letters
        The smallest size of letters, in points.
    """

    name: str
    column: float
    both: float
    highest: float
    letters: float

    def layout(self, columns: int, *, grey: bool = False) -> Layout:
        """Return the room that a figure has over one column or two; a venue of one column gives it all of its text's width."""
        width, place = (self.column, "one column") if columns == 1 else (self.both, "a page")
        return Layout(width, self.highest, self.letters, self.letters, grey, f"{place} of {self.name}")


VENUES = {
    venue.name: venue
    for venue in (
        # IEEE Author Center, "Size requirements for graphics": 21 and 43 picas (3.5 and 7.16 inches); IEEEtran: columns of 21 pc,
        # text of 43 pc. IEEE's guide to graphics: letters of 8 points, no higher than 9 inches, in which the caption has room.
        Venue("ieee", 21 * 12 / _INCH_PT, 43 * 12 / _INCH_PT, 8.5, 8),
        # acmart, sigconf: text of 506.295 pt (letter paper less 54 pt each side), columns 24 pt apart, 54 pc (9 inches) high. ACM
        # names no smallest size; 7 points are small beside its text of 9.
        Venue("acm", (506.295 - 24) / 2 / _INCH_PT, 506.295 / _INCH_PT, 8.3, 7),
        # Springer, artwork guidelines for journals of two columns: 84 and 174 mm wide, up to 234 mm high with the caption,
        # letters of 8 to 12 points, no titles in figures.
        Venue("springer", 84 / _INCH_MM, 174 / _INCH_MM, 215 / _INCH_MM, 8),
        # The same for small journals, such as Empirical Software Engineering: one column of 119 mm, figures up to 195 mm high.
        Venue("springer-small", 119 / _INCH_MM, 119 / _INCH_MM, 180 / _INCH_MM, 8),
        # Springer, Lecture Notes in Computer Science, authors' guidelines and llncs: one column, 122 x 193 mm, letters of 6
        # points at least. Here they have 7, and the caption 18 mm.
        Venue("lncs", 122 / _INCH_MM, 122 / _INCH_MM, 175 / _INCH_MM, 7),
        # A4 with margins of 25 mm, and LaTeX's own 10 pt between columns.
        Venue("a4", (160 - 10 / _INCH_PT * _INCH_MM) / 2 / _INCH_MM, 160 / _INCH_MM, 225 / _INCH_MM, 8),
    )
}


def layout(venue: str | None, columns: int, *, grey: bool = False) -> Layout:
    """Return the room that a figure has at a venue; of none, that of a screen.

    Raises
    ------
    RedefectError
        If no such venue is known, or it is asked for more than two columns.
    """
    if venue is None:
        return replace(SCREEN, grey=grey)
    if venue not in VENUES:
        raise RedefectError(f"There is no venue '{venue}'; there are {', '.join(VENUES)}.")
    if columns not in (1, 2):
        raise RedefectError(f"A figure takes 1 or 2 columns, not {columns}.")
    return VENUES[venue].layout(columns, grey=grey)
