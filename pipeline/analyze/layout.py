"""How large a figure is, and how its parts share the room: on a screen, or in print, where the file is as large as the paper."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.errors import RedefectError

_STYLE: dict[Any, Any] = {  # keys are matplotlib's own
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same on every machine
    "text.parse_math": False,  # a $ in a category's name is a $
    "hatch.linewidth": 0.4,
    "svg.hashsalt": "redefect",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_MEAN_WIDTH = 0.6  # of a letter of DejaVu Sans, in its size, on the safe side
_LINE = 1.17  # of a line, in the size of its letters
_POINTS = 72  # in an inch
_EXACT = 0.01  # inches of a panel's height


@dataclass(frozen=True, slots=True)
class Layout:
    """The room that a figure has.

    Attributes
    ----------
    width
        Inches.
    highest
        Inches that it may be high; None on a screen, which scrolls.
    text, numbers
        Sizes of letters, in points: of all text, and of the numbers on bars.
    grey
        Whether to do without colours.
    place
        What the room is, for a person.
    """

    width: float = 7.0  # the text width of common journals
    highest: float | None = None
    text: float = 8
    numbers: float = 7
    grey: bool = False
    place: str = "the screen"

    @property
    def printed(self) -> bool:
        """Whether it is for a page: then titles are left to captions, long names are broken, and legends stand below."""
        return self.highest is not None

    @property
    def style(self) -> dict[Any, Any]:
        """Matplotlib's parameters."""
        return _STYLE | {"font.size": self.text}

    def broken(self, text: str, share: float = 1) -> str:
        """Break a text into lines that take at most a share of the width; on a screen, leave it as it is."""
        return broken(text, int(share * self.width * _POINTS / (_MEAN_WIDTH * self.text))) if self.printed else text

    def lines(self, texts: Sequence[str]) -> np.ndarray:
        """Return the height of each text, in inches."""
        return np.array([(text.count("\n") + 1) * _LINE * self.text / _POINTS for text in texts])

    def digits(self, count: int) -> float:
        """Return the width of a number on a bar, in inches."""
        return (count * 0.65 + 0.5) * self.numbers / _POINTS


SCREEN = Layout()


def broken(text: str, most: int) -> str:
    """Break a text into lines of at most `most` columns: at spaces, behind strokes and hyphens, and within a word that is longer.

    Nothing but spaces is lost; `n = 12` and `95 %` stay in one line. A wide character (Chinese, Japanese) takes two columns.
    """
    wide = "\0"  # a column more, for as long as lines are measured
    kept = re.sub(r"\bn = (?=\d)|(?<=\d) (?=%)", lambda n: n[0].replace(" ", "\N{NO-BREAK SPACE}"), text)
    spread = "".join(wide + c if unicodedata.east_asian_width(c) in "WF" else c for c in kept)
    lines = wrap(spread.replace("/", "/\1 "), max(most, 4))  # a break that is no space
    return "\n".join(lines).replace("\1 ", "").replace("\1", "").replace(wide, "").replace("\N{NO-BREAK SPACE}", " ")


def legend_below(figure: Figure, axes: Axes, layout: Layout, title: str | None = None) -> None:
    """Put the legend of a panel below the figure, in as many columns as have room."""
    handles, names = axes.get_legend_handles_labels()
    for columns in sorted({-(-len(names) // rows) for rows in range(-(-len(names) // 4), len(names) + 1)}, reverse=True):
        shown = [layout.broken(name, 0.85 / columns) if columns == 1 else name for name in names]
        legend = figure.legend(handles, shown, title=title, loc="outside lower center", ncols=columns, frameon=False)
        figure.draw_without_rendering()
        if columns == 1 or legend.get_window_extent().width <= 0.99 * figure.bbox.width:
            return
        legend.remove()


def set_height(figure: Figure, axes: Axes, inches: float, layout: Layout, what: str) -> None:
    """Make a figure as high as it must be for a panel of it to be `inches` high.

    Raises
    ------
    RedefectError
        If that is higher than the layout allows; the sentence begins with `what`.
    """
    for _ in range(4):  # what stands around the panel moves a little when the height changes
        figure.draw_without_rendering()
        lacks = inches - axes.get_position().height * figure.get_figheight()
        if abs(lacks) < _EXACT:
            break
        figure.set_figheight(figure.get_figheight() + lacks)
    figure.set_layout_engine("none")  # else each time that it is drawn moves it by a hair
    if layout.highest is not None and figure.get_figheight() > layout.highest:
        raise RedefectError(
            f"{what}: needs {figure.get_figheight():.1f} inches of height, and {layout.place} has {layout.highest:.1f}; "
            "take two columns, or a table."
        )
