"""Texts in the cells of tables: what every format of tables can hold, and what no spreadsheet program runs as a formula."""

import re

_FORMULA = "=+\\-@＝＋－＠"
_RUN = re.compile(rf"['\s]*[{_FORMULA}\t\r\n]")
_LATER = re.compile(rf"(?<=[,;|\t])(?=\s*[{_FORMULA}])")
_LINE_END = re.compile(r"\r\n?")
# Workbooks write control characters as codes, and no reader tells a code from a text that looks like one.
_IN_NO_WORKBOOK = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]|x005F_|_x00[01][0-9A-Fa-f]_")


def cell_text(text: str) -> str:
    r"""Return what every format can hold of a text: lines end with \n, control characters, and codes of them, become U+FFFD."""
    return _IN_NO_WORKBOOK.sub("\N{REPLACEMENT CHARACTER}", _LINE_END.sub("\n", text))


def disarm(text: str) -> str:
    """Put ' before a text that a spreadsheet program would run as a formula, and before one that looks so disarmed."""
    return "'" + text if _RUN.match(text) else text


def rearm(text: str) -> str:
    """Undo `disarm`."""
    return text[1:] if text.startswith("'") and _RUN.match(text) else text


def disarm_throughout(text: str) -> str:
    """Disarm a stranger's text also where a program that separates cells by another character would begin a cell."""
    return disarm(_LATER.sub("'", text))
