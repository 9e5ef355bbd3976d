"""How numbers are written for a person to read, in tables, sentences and print: the one place that decides on decimals."""

import math
from dataclasses import dataclass
from typing import Literal

from pipeline.intervals import wilson

NumberKind = Literal["count", "number", "share", "points", "coefficient", "change", "statistic", "p"]


@dataclass(frozen=True, slots=True)
class Style:
    """How numbers of a kind are written.

    Attributes
    ----------
    form
        A format specification of Python's.
    excel
        The same for a cell of a workbook, where a share stays a share.
    factor
        What a number is multiplied by before it is written.
    unit
        What a column's heading says of it.
    """

    form: str
    excel: str
    factor: int = 1
    unit: str = ""


STYLES: dict[NumberKind, Style] = {
    "count": Style(",.0f", "#,##0"),
    "number": Style(".0f", "0"),  # by which something is known: nobody counts to it
    "share": Style("z.1f", "0.0%", 100, "%"),
    "points": Style("+z.1f", "+0.0%;-0.0%;0.0%", 100, "%"),
    "coefficient": Style("z.2f", "0.00"),
    "change": Style("+z.2f", "+0.00;-0.00;0.00"),
    "statistic": Style(",.1f", "#,##0.0"),
    "p": Style(".3f", "0.000"),
}
_LEAST_P = 0.001


def written(value: float | None, kind: NumberKind) -> str:
    """Return a number as numbers of its kind are written; empty if it is undefined."""
    if value is None or value != value:  # pandas' own missing values are never equal to anything, and no truth
        return ""
    if kind == "p" and value < _LEAST_P:
        return f"< {_LEAST_P}"
    return format(STYLES[kind].factor * value, STYLES[kind].form)


def interval_text(low: float, high: float, kind: NumberKind) -> str:
    """Return an interval, `[53.1, 63.4]`; empty if it is undefined."""
    return "" if math.isnan(low) else f"[{written(low, kind)}, {written(high, kind)}]"


def share_text(share: float, low: float, high: float) -> str:
    """Return a share with its interval for a person to read, `58.3 % [53.1, 63.4]`; empty if it is undefined."""
    return "" if math.isnan(share) else f"{written(share, 'share')} % {interval_text(low, high, 'share')}"


def counted_share(count: float, n: int) -> str:
    """Return `count` of `n` as a share with Wilson's 95 % interval: see `share_text`."""
    return share_text(count / n, *wilson(count, n)) if n else ""


def with_interval(value: float, low: float, high: float, *, signed: bool = False) -> str:
    """Return an estimate with its interval, `0.85 [0.84, 0.86]`; empty if it is undefined."""
    kind: NumberKind = "change" if signed else "coefficient"
    return " ".join(filter(None, [written(value, kind), "" if math.isnan(value) else interval_text(low, high, kind)]))
