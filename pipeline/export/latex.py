"""Tables as LaTeX: booktabs and siunitx, as wide as a page allows, over pages where they are long; no text is a command.

What a table's file needs is `redefect.sty` beside it, which says what its commands do in LuaLaTeX and in pdfLaTeX.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files as package_files
from itertools import groupby
from math import ceil
from string import ascii_uppercase
from typing import cast

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from pylatexenc.latexencode import get_builtin_uni2latex_dict

from pipeline.addresses import page_address
from pipeline.cells import cell_text
from pipeline.errors import RedefectError
from pipeline.export.table import Column, Table
from pipeline.numerals import NumberKind, written

STYLE_FILE = "redefect.sty"
_LINES_OF_A_PAGE = 40
_HALF_A_PAGE = 28
"""The em of one of two columns of text."""

_TEMPLATES = Environment(  # noqa: S701 (it makes no HTML; `text` escapes what others wrote)
    loader=PackageLoader("pipeline.export", "templates"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    keep_trailing_newline=True, block_start_string="<%", block_end_string="%>", variable_start_string="<<",
    variable_end_string=">>", comment_start_string="<#", comment_end_string="#>",
)  # fmt: skip
_LONGEST_WORD = 10
_LONGEST_HYPHENATED = 16
"""Longer words may break anywhere, and lower-case ones a little longer at hyphens: TeX knows how, but knows no identifiers."""

_PLAIN = re.compile(
    "[ -~\u00a1-\u00ac\u00ae-\u017f\u2013\u2014\u2018-\u201a\u201c-\u201e\u2020-\u2022\u2026\u2039\u203a\u20ac\u2122"
    "\u2190\u2192\u2212\u221e\u2248\u2260\u2264\u2265]"
)
"""What the fonts of every paper have."""

_ASCII = {character: "\\" + character for character in "&%$#_{}"} | {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "'": r"\textquotesingle{}", "`": r"\textasciigrave{}", "[": "{[}", "*": "{*}",
}  # fmt: skip
_LIGATURE = re.compile("(?<=[-,!?<>`'])(?=[-,`'<>])")
_APOSTROPHE = re.compile(r"(?<=[^\W\d_])'(?=[^\W\d_])")
_SILENT = re.compile("[\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff]")
"""What prints nothing: soft hyphens, and marks of direction, which goes by the letters here."""

_JOINS = re.compile("[\u200c\u200d\u20e3\ufe00-\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]")
_EMOJI = re.compile("[\U0001f000-\U0001faff\u231a\u231b\u23e9-\u23f3\u2600-\u27bf\u2b50\u2b55\ufe0f\u20e3]")
_LEFTWARDS = "[\u0590-\u065f\u066e-\u06ef\u06fa-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
_LEFTWARD = re.compile(f"({_LEFTWARDS}(?:[\\s\u200c\u200d,;:.!?-]*{_LEFTWARDS})*)")


def style_file() -> bytes:
    """Return the LaTeX package that tables need beside them."""
    return (package_files("pipeline.export") / "templates" / STYLE_FILE).read_bytes()


def text(original: str) -> str:
    """Return a text for a cell, in one line: nothing in it is a command, and words that no line can hold break anywhere."""
    return _line(original, breaks=True)


def prose(original: str) -> str:
    """Return a text that stands in a paper's own sentences: nothing in it is a command, and words break as the paper's do."""
    return _line(original, breaks=False)


def _line(original: str, *, breaks: bool) -> str:
    clean = unicodedata.normalize("NFC", cell_text(original.encode(errors="replace").decode()))
    line = _APOSTROPHE.sub("\N{RIGHT SINGLE QUOTATION MARK}", " ".join(_SILENT.sub("", clean).split()))
    parts = _LEFTWARD.split(line)
    return "".join(
        _codes("rtl", part) if place % 2 else " ".join(_word(word, breaks=breaks) for word in part.split(" "))
        for place, part in enumerate(parts)
    )


def _word(word: str, *, breaks: bool) -> str:
    """Return a word, which may break if it is long: rather after a sign than between letters."""
    letters = word.lstrip("(").rstrip(").,;:")  # which TeX takes for no part of the word that it hyphenates
    hyphenated = letters.isascii() and letters.isalpha() and (letters.islower() or letters.istitle())
    hyphenated = hyphenated and len(word) <= _LONGEST_HYPHENATED
    if not breaks or len(word) <= _LONGEST_WORD or hyphenated:
        return "".join(
            r"\RDn ".join("".join(map(_plain, part)) for part in _LIGATURE.split("".join(run)))
            if kind == "plain"
            else _codes(kind, "".join(run))
            for kind, run in _runs(word)
        )
    made = ""
    for kind, run in _runs(word):
        for cluster in run:
            made += (r"\RDb " if made[-1:].isalnum() else r"\RDs ") if made else ""
            made += _plain(cluster) if kind == "plain" else _codes(kind, cluster)
    return made


def _plain(character: str) -> str:
    return _ASCII.get(character, character) if character.isascii() else "{" + _commands()[ord(character)] + "}"


def _codes(kind: str, run: str) -> str:
    return rf"\RD{kind}{{{','.join(f'{ord(character):X}' for character in run)}}}"


def _runs(word: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the runs of a word and what prints them: `plain`, `emoji` or `other`; each as the characters that belong together."""
    clusters: list[str] = []
    for character in word:
        joined = _JOINS.match(character) or unicodedata.category(character) in ("Mn", "Me", "Mc")
        flag = clusters and len(clusters[-1]) == 1 and all("\U0001f1e6" <= c <= "\U0001f1ff" for c in clusters[-1] + character)
        if clusters and (joined or flag or clusters[-1].endswith("\u200d")):
            clusters[-1] += character
        else:
            clusters.append(character)
    for kind, run in groupby(clusters, _kind):
        yield kind, list(run)


def _kind(cluster: str) -> str:
    if len(cluster) == 1 and _PLAIN.fullmatch(cluster) and (cluster.isascii() or ord(cluster) in _commands()):
        return "plain"
    return "emoji" if _EMOJI.search(cluster) else "other"


@cache
def _commands() -> dict[int, str]:
    commands: dict[int, str] = get_builtin_uni2latex_dict()
    arrows = {0x2190: r"\ensuremath{\leftarrow}", 0x2192: r"\ensuremath{\rightarrow}"}  # those of text are in few fonts
    return commands | arrows


# How wide texts are, in em: near enough for Latin letters in the fonts of papers, rather too wide than too narrow.
_NARROW, _WIDE = frozenset("ijlIftr.,:;'`|!()[]{}/- "), frozenset("mwMW@%&OQGCDHNUVXY—")


def _wide(words: str, *, codes: bool = False) -> float:
    """Return how wide a text is; if `codes`, what pdfLaTeX's fonts lack shows as codes."""
    if codes and not words.isascii():
        words = "".join(c if _PLAIN.fullmatch(c) else "0000" for c in words)  # of smaller letters
    return sum(0.34 if c in _NARROW else 0.88 if c in _WIDE or ord(c) > 0x2E80 else 0.7 if c.isupper() else 0.53 for c in words)


@dataclass(frozen=True)
class _Layout:
    """Of a page: the size of its letters, how many em of it a line has, and how much wider than others small letters are cut."""

    size: str
    room: float
    wider: float
    turned: bool = False

    @property
    def lines(self) -> int:
        """How many lines of a table a page has."""
        return _LINES_OF_A_PAGE if not self.turned else int(0.7 * _LINES_OF_A_PAGE)


# By the narrowest pages of one column that papers have, in letters of 10 to 12 points.
_LAYOUTS = (
    _Layout("small", 35.0, 1.03), _Layout("footnotesize", 40.0, 1.07), _Layout("footnotesize", 66.0, 1.07, turned=True),
    _Layout("scriptsize", 76.0, 1.15, turned=True),
)  # fmt: skip
_GAP = 1.0
"""Between columns, in em of footnotesize: `\\tabcolsep` of redefect.sty, twice."""


@dataclass(frozen=True)
class _Set:
    """A column as it is set: its cells, how wide it is or would like to be, and how narrow it may get."""

    column: Column
    cells: list[str]
    natural: float
    least: float
    head: str
    interval: bool = False
    upright: bool = False
    lengths: Sequence[float] = ()

    @property
    def flexible(self) -> bool:
        return not (self.column.numeric or self.column.kind in ("date", "flag"))


def table(shown: Table) -> bytes:
    """Return a table for LaTeX, which is to find redefect.sty beside it.

    Raises
    ------
    RedefectError
        If it has more columns than a page holds.
    """
    empty = [column for column in shown.body if len(shown.frame) and shown.frame[column.name].isna().all()]
    columns = [column for column in shown.body if not (shown.shortened and (column.minor or column in empty))]
    several = sum(column.interval is not None for column in columns) > 1
    layout, sets = _layout(shown, [made for column in columns for made in _set(column, shown.frame, paired=several)])
    texts = [of for of in sets if of.flexible]
    fixed = sum(of.natural for of in sets if not of.flexible)
    least, wish = sum(of.least for of in texts), sum(of.natural for of in texts)
    letters = iter(ascii_uppercase)
    widths = [rf"\RDw{next(letters)}" if of.flexible else "" for of in sets]
    wider = layout.wider
    settings = [
        rf"\redefecttext{{{width[-1]}}}{{{wider * of.natural:.2f}\RDem}}{{{wider * of.least:.2f}\RDem}}"
        rf"{{{(of.natural - of.least) / (wish - least or 1):.4f}}}"
        for of, width in zip(sets, widths, strict=True)
        if width
    ]
    gaps = 2 * len(sets) - 2
    places = {label: place for place, label in enumerate(shown.frame.index)}
    parts = [
        (text(heading), [" & ".join(of.cells[places[label]] for of in sets) for label in part.index])
        for heading, part in shown.parts()
    ]
    left = ", ".join(column.title.lower() for column in shown.body if column not in [*columns, *empty])
    wide = layout.turned or fixed + wish + _GAP * len(sets) > _HALF_A_PAGE
    return (
        _TEMPLATES.get_template("table.tex.j2")
        .render(
            name=shown.name,
            caption=text(shown.caption),
            note=prose(" ".join(filter(None, [shown.note, f"Also in the data: {left}." if left else ""]))),
            long=_lines(sets, layout) + len(parts) > layout.lines,
            turned=layout.turned,
            size=layout.size,
            around=("sidewaystable" if layout.turned else "table") + ("*" if wide else ""),
            fixed=rf"{wider * fixed:.2f}\RDem",
            least=rf"{wider * least:.2f}\RDem",
            gaps=gaps,
            settings=settings,
            columns="@{}" + "".join(map(_specification, sets, widths)) + "@{}",
            head=_heads(sets, widths),
            span=len(sets),
            parts=parts,
        )
        .encode()
    )


def _set(column: Column, frame: pd.DataFrame, *, paired: bool) -> Iterator[_Set]:
    """Yield a column, and its interval's; if they are paired, one heading stands over both."""
    values = frame[column.name]
    shown = [column.text(value) for value in values]
    title = column.title
    words = max(map(_wide, re.split(r"[\s/-]", title)))
    if column.numeric:
        cells = [_number(value) for value in shown]
        numbers = max([*map(_wide_number, shown), 1.3])
        yield _Set(column, cells, numbers if paired and column.interval else max(numbers, words), numbers, title)
        if column.interval:
            bounds = [frame[name] for name in column.interval]
            kind = cast(NumberKind, column.kind)
            texts = [(written(low, kind), written(high, kind)) for low, high in zip(*bounds, strict=True)]
            longest = [max((len(t[end]) for t in texts), default=0) for end in (0, 1)]
            cells = [_interval(low, high, *longest) for low, high in texts]
            inner = [max((_wide_number(of[end]) for of in texts), default=0.0) for end in (0, 1)]
            widest = max(sum(inner) + 1.3, words if paired else _wide("interval"))
            yield _Set(column, cells, widest, widest, "95 % interval", interval=True)
        return
    cells = [_url(value) if column.kind == "url" else text(value) for value in shown]
    widths = [_wide(value) for value in shown]
    natural = max([*widths, words, 2.0]) + 0.3
    if column.kind in ("date", "flag"):
        yield _Set(column, cells, natural, natural, title)
        return
    parts = [part for value in [*shown, title] for part in re.split(r"(?<=[/-])|\s", value) if part]
    word = float(max(map(_wide, parts), default=0.0))
    own = bool(column.labels)  # our words are not broken
    lengths = [_wide(value, codes=True) for value in shown]
    page = max(lengths, default=0.0) / (_LINES_OF_A_PAGE - 5)  # no row breaks between pages
    least = min(natural, max(min(word, 10.0 if own else 8.0) + 0.3, 6.0, min(page, 28.0)))
    yield _Set(column, cells, min(natural, 40.0), least, title, lengths=lengths)


def _layout(shown: Table, sets: list[_Set]) -> tuple[_Layout, list[_Set]]:
    """Choose the page on which all columns have room, of the largest letters.

    First texts get a quarter more than they need of what they would like; then what they need; then headings stand upright.
    """
    for upright, part in ((False, 0.25), (False, 0.0), (True, 0.0)):
        tried = [of if of.flexible or not upright else replace(of, natural=of.least, upright=True) for of in sets]
        for layout in _LAYOUTS:
            taken = layout.wider * sum(of.least + part * (of.natural - of.least) if of.flexible else of.natural for of in tried)
            if taken + _GAP * (len(sets) - 1) <= layout.room:
                return layout, tried
    raise RedefectError(f"Table '{shown.name}' has more columns than a page of a paper holds; choose some with --columns.")


def _lines(sets: list[_Set], layout: _Layout) -> int:
    """Return about how many lines the rows take, their longest texts folded into the columns."""
    texts = [of for of in sets if of.flexible]
    spare = sum(of.natural - of.least for of in texts) or 1.0
    rest = layout.room / layout.wider - sum(of.least if of.flexible else of.natural for of in sets) - _GAP * len(sets)
    widths = [min(of.natural, of.least + max(rest, 0.0) * (of.natural - of.least) / spare) for of in texts]
    folded = [[ceil(length / width) for length in of.lengths] for of, width in zip(texts, widths, strict=True)]
    return sum(map(max, zip(*folded, strict=True))) if folded else max((len(of.cells) for of in sets), default=0)


def _specification(of: _Set, width: str) -> str:
    if of.flexible:
        return rf">{{\RDtext}}p{{{width}}}"
    if of.interval or not of.column.numeric:
        return "r" if of.interval else "l"
    numbers = [cell.lstrip("<+- ") for cell in of.cells if cell]
    whole = max((len(number.partition(".")[0]) for number in numbers), default=1)
    decimals = max((len(number.partition(".")[2]) for number in numbers), default=0)
    sign = (
        "<"
        if any(cell.startswith("<") for cell in of.cells)
        else "+"
        if any(cell[:1] in "+-" for cell in of.cells if cell)
        else ""
    )
    return f"S[table-format={sign}{whole}.{decimals}]"


def _heads(sets: list[_Set], widths: list[str]) -> str:
    """Return the line of headings, or two if several columns have an interval beside them, over which their heading stands."""
    several = sum(of.interval for of in sets) > 1
    cells, rules, place = [], [], 1
    for of, beside, width in zip(sets, [*sets[1:], None], widths, strict=True):
        if several and beside is not None and beside.interval:
            room = of.natural + beside.natural + _GAP
            cells.append(rf"\multicolumn{{2}}{{c}}{{\RDover{{{_head(of.head, room, 'c')}}}}}")
            rules.append(rf"\cmidrule(lr){{{place}-{place + 1}}}")
        elif of.flexible:
            cells.append(rf"\multicolumn{{1}}{{>{{\RDtext}}b{{{width}}}}}{{{text(of.head)}}}")
        elif of.upright:
            cells.append(rf"\multicolumn{{1}}{{r}}{{\RDup{{{text(of.head)}}}}}")
        elif not (several and of.interval):
            side = "r" if of.column.numeric else "l"
            cells.append(rf"\multicolumn{{1}}{{{side}}}{{{_head(of.head, of.natural, side)}}}")
        place += 1
    cells[0] = cells[0].replace(r"\multicolumn{1}{", r"\multicolumn{1}{@{}", 1)
    cells[-1] = re.sub(r"^\\multicolumn\{(\d)\}\{([rlc])\}", r"\\multicolumn{\1}{\2@{}}", cells[-1])  # flush with the rules
    return "\n".join([" & ".join(cells) + r" \\", *(["".join(rules)] if rules else [])])


def _head(words: str, room: float, side: str) -> str:
    lines = [""]
    for word in words.split():
        longer = f"{lines[-1]} {word}".strip()
        lines[-1:] = [longer] if not lines[-1] or _wide(longer) <= room else [lines[-1], word]
    return text(lines[0]) if len(lines) == 1 else rf"\RDhead[{side}]{{{(chr(92) * 2).join(map(text, lines))}}}"


def _number(shown: str) -> str:
    return shown.replace(",", "")


def _wide_number(shown: str) -> float:
    return sum(0.28 if c in ".," else 0.78 if c in "+-<" else 0.5 for c in shown if c != " ")


def _interval(low: str, high: str, low_longest: int, high_longest: int) -> str:
    if not low:
        return ""
    pads = [
        rf"\phantom{{{'0' * (longest - len(of))}}}" if len(of) < longest else ""
        for of, longest in ((low, low_longest), (high, high_longest))
    ]
    signs = [of.replace("-", r"\textminus ") for of in (low, high)]
    return f"{pads[0]}{{[}}{signs[0]}, {pads[1]}{signs[1]}]"


def _url(address: str) -> str:
    if page_address(address) and re.fullmatch(r"[\w:/.#-]+", address, re.ASCII):
        target = address.replace("#", r"\#").replace("_", r"\_")
        return rf"\RDurl{{{target}}}{{{text(address)}}}"
    return text(address)
