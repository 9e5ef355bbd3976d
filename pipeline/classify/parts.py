"""What each stretch of an issue's text is: prose, code, a traceback, a log, versions, a quote, or the template's own words.

Markdown tells where code stands (fences and indentation, in lists and quotes, too); all else is told line by line. Each
pattern sees at most the beginning of a line and has no nested repetition, so that time grows with the text's length only.
"""

import re
from collections import Counter
from collections.abc import Callable
from typing import Literal, NamedTuple

from markdown_it import MarkdownIt

Kind = Literal["prose", "code", "traceback", "log", "versions", "quote", "boilerplate"]
KINDS: tuple[Kind, ...] = ("prose", "code", "traceback", "log", "versions", "quote", "boilerplate")


_Told = Kind | Literal[""] | None
"""What a line was told to be: "" is a blank one, None the mark of a fence."""


class Span(NamedTuple):
    """A stretch of one text, `text[start:end]`, and what it is."""

    kind: Kind
    start: int
    end: int


_SEEN = 240
"""Characters of a line that tell what it is; the longest lines are data and minified code."""

_MARKDOWN = MarkdownIt("commonmark")
_MARKDOWN.core.ruler.enableOnly(["normalize", "block"])
_MARKDOWN.disable(["reference", "lheading", "blockquote"])  # go back over what they read, and tell nothing that is asked here
_NEEDS_MARKDOWN = re.compile(r"```|~~~|<!--|^(?: {4}|[ ]{0,3}\t)", re.MULTILINE)
_BREAK = re.compile(r"\r\n|\r|\n")
_TEXT, _RAW, _FENCE, _REMARK = range(4)

_QUOTE = re.compile(r"[ ]{0,3}>(?!>> )")
_WROTE = re.compile(r"On .{4,200}wrote:\s*$|On .{4,80}(?:\bat\b|,) .{0,80}<$|.{2,80}@.{2,80} wrote:\s*$|-{3,}\s*Original Message")
_MAIL_FOOT = re.compile(
    r"[—-]*\s*(?:You are receiving this because|Reply to this email directly|Sent from my |Get Outlook for |"
    r"(?:Thread|You) .{0,40}unsubscribe|or mute the thread)"
)
_CHECK_LIST = re.compile(r"\s*(?:[-*+]|\d{1,2}[.)])\s{1,4}\[[ xX]?\]")

_TRACEBACK = re.compile(r"Traceback \(most recent call|Traceback \(innermost last|-{10,}\s*Traceback")
_FILE = re.compile(r'File "[^"]{1,200}", line \d')
_FRAME = re.compile(
    r"""\s{0,40}+(?:
        (?:\[\w{0,12}\]:?\s?)?+\#\d{1,4}:?\s+(?:0x[0-9a-fA-F]|[a-zA-Z_][\w.]*+[(:]|<)
      | frame\ \#\d | @\s{1,20}+0x[0-9a-fA-F]{2,16} | \[bt\]\s\(\d
      | at\ [\w.$<>/\[\]\ ]{1,150}\(
      | -{2,}>\s?\d
      | Caused\ by:|Exception\ in\ thread\ |goroutine\ \d+\ \[|\.\.\.\ \d+\ more$|\[Previous\ line\ repeated
      | During\ handling\ of\ the\ above|The\ above\ exception\ was\ the\ direct
      | [/~<][^\s:]{1,160}+(?<=[y>c])\ in\ [\w<]
    )""",
    re.VERBOSE,
)
_RAISED = re.compile(
    r"\s{0,8}(?:[\w.]{0,80}:\s)?[\w.]{0,80}(?:Error|Exception|Interrupt|Exit|StopIteration|Failure)(?:\Z|:(?:\s|\Z)|\s?\()"
)

# In the order of the alternatives: the first that fits a line tells its kind.
_LINE = re.compile(
    r"""\s{0,40}+(?:[-*+]\s{1,3}+|\*{2})?+`{0,2}+(?:
    (?P<versions>(?=
        \[(?:pip3?|conda)\]\s
      | (?:Collecting\ environment\ information|Versions\ of\ relevant\ libraries|Is\ debug\ build|Is\ CUDA\ available)
      | (?:GPU\ models?|Nvidia\ driver|Python\ platform|GPU\ \d:|(?:cuDNN|Libc|CMake|GCC)\ version|HIP\ |MIOpen)
      | (?:OS|OS\ Platform|Platform|System|Operating\ System|Python|CUDA|CUDNN|GPU|CPU|GCC|Clang|Compiler|Driver)\b
          [\w\ ,./()]{0,70}[*`]{0,3}\s?[:=][*`]{0,3}\s?\S
      | (?=[^:=\n]{0,120}+[:=])(?:[A-Za-z][\w.+/`'"()-]{0,30}+\s){0,4}?
          [A-Za-z/]{0,10}[Vv]ersions?\b[^:=\n]{0,60}+[:=][^\d\n]{0,20}+\d
      | [A-Za-z][\w.-]{1,40}+(?:\[[\w,-]{1,40}+\])?+[*`]{0,3}+\s?+(?:===?|>=|<=|~=|@)\s?v?\d[\w.+!-]{0,30}(?:$|[\s,;])
      | [A-Za-z][\w.-]{1,40}+[*`]{0,3}+(?:\s{0,3}+:|\s)\s{0,60}+v?+\d{1,4}+(?:\.\d{1,4}+){1,3}+(?!\d)
          [\w.+-]{0,30}+(?:\s{1,40}+[\w.\[\]:/-]{1,60}+){0,3}+\s*+$
      | \|\s+NVIDIA-SMI | \|\s+\d\s{1,3}[A-Z]\w+.{5,60}\|\s{1,3}0000 | Package\s{1,60}Version
    )(?![^\n]{0,80}[\[(]e\.g\.[^\n]{0,80}[\])]\s*$)(?!True\b|False\b))
  | (?P<log>
        (?:\[|\()?\d{4}[-/]\d\d[-/]\d\d[T\ _]\d\d:\d\d
      | \S?\[\d{1,2}(?:;\d{1,2})?m | \[?\d\d[-/]\d\d\ \d\d:\d\d:\d\d | [IWEF]\d{4}\ \d\d:\d\d | \[?\d\d:\d\d:\d\d[\].,\s]
      | (?:\[\w{0,12}\]\s?)?+\[?(?:INFO|WARN|WARNING|ERROR|DEBUG|FATAL|CRITICAL|TRACE|NOTE|WARNING\ \d+)\]?\s?[:|\]\s]
      | \[\s{0,2}(?:\d{1,3}%|INFO|WARN|ERROR|DEBUG|OK|FAILED|RUN|PASSED)\s{0,2}\]
      | \[?[Ee]poch\s?[:\[#]?\s?\d{1,6}\s?(?:/|\]|\[|:|,|\||$|-)
      | (?:[Ii]ter(?:ation)?|[Ss]tep|[Bb]atch)\s?[:\[#]?\s?\d{1,9}\s?(?:/|\[|:|,|\|)
      | \d{1,9}/\d{1,9}\s{1,3}\[[=>.\s]{2} | \d{1,3}%\s?\|
      | (?:Collecting|Downloading|Building\ wheels?\ for|Requirement\ already
          |Successfully\ (?:installed|built)|Installing\ collected)\s
      | (?:Using\ cached|Created\ wheel|Get:\d|Setting\ up|Unpacking|Looking\ in\ indexes|Solving\ environment)
      | make(?:\[\d+\])?:\s | CMake\ (?:Error|Warning) | --\s(?:Found|Could|Looking|Performing|Check|Build|Configuring|The\ C)
      | (?:gcc|g\+\+|nvcc|clang|ld|collect2|cc1plus)(?:\.exe)?:\s | ninja:\s | npm\ (?:ERR!|WARN)
      | [\w./\\+~-]{1,160}+[:(]\d{1,6}(?:[:,]\d{1,5})?\)?:\s{1,3}(?:\w{1,20}\ )?
          (?:[Ww]arning|[Ee]rror|note|[Uu]ser[Ww]arning|\w{0,30}Warning)\b
      | [A-Z]\w{0,30}Warning:\s | Segmentation\ fault | Killed\s*$ | Aborted\b | terminate\ called | \*{3}\ Error
      | (?:F|W|E|I)\s(?:tensorflow|external|\./tensorflow)/ | (?:ok|FAIL|FAILED|PASSED)\s[\w./:]{3}
      | [\w./]{1,120}+::\w{1,80}+.{0,80}\b(?:PASSED|FAILED|ERROR|SKIPPED)\b | =+\s\w{1,20}.{0,60}\s=+$
      | \+-{5,}[-+=]{0,200}\+?\s*$ | \|[=-]{5,}[+|=-]{0,200}\s*$
    )
  | (?P<code>
        import\ [\w., ]{1,80}(?:\ as\ \w{1,30})?;?\s*$ | from\ [\w.]{1,80}\ import\b | import\ static\ | package\ [\w.]{1,80};
      | (?:async\ )?def\ \w{1,80}\s?\( | class\ \w{1,80}\s?[(:{] | @\w[\w.]{0,60}+\(
      | (?:for|while|if|elif|with|else|try|except|finally)\b[^?]{0,200}:\s*(?:\#.{0,60})?$
      | (?:return|yield|raise|assert|del|global|lambda)\ [\w\[({'"~-][\w.\[\](){}'",:+*/=\ -]{0,120}$
      | (?:else|pass|break|continue);?:?$
      | \#include\b | \#define\b | \#!/ | using\ namespace | (?:public|private|protected|static|const|final|void|template)\ [\w<]
      | (?:int|float|double|auto|bool|char|let|var|const|val|func|fn|std::\w{1,30})\ [*&\w]{1,60}\s?[=;({[]
      | (?:---|\+\+\+)\s[ab]/ | @@\s-\d | diff\ --git\s | (?:\(\w{1,30}\)\s)?\w{1,30}@[\w.-]{1,40}+:?[^\n$%#]{0,60}+[$%#]\s
      | >>>(?:\s|$) | In\ \[\d{0,5}\]: | \$\s\w | sudo\ \w | %\w{1,20}\ | !(?:pip|git|python|wget|apt)
      | (?:pip3?|conda|apt|apt-get|brew|npm|yarn)\ (?:install|uninstall|create|list|show|update)\b
      | (?:python3?|python3?\.\d{1,2})\ (?:-[mcu]|[-\w./]{1,120}+(?<=\.py))
      | git\ (?:clone|checkout|pull|submodule)\s | docker\ (?:run|build|pull)\s
      | (?:export|set)\ [A-Z_]{2,40}=
      | (?:cd|mkdir|wget|curl|cmake|make|bazel|nvidia-docker|CUDA_VISIBLE_DEVICES=)\s?[-./\w]{1,60}(?:\s-|/|$)
      | [\w.\[\]'",:]{1,80}+(?:\s[\w.\[\]'"]{1,40}+,?){0,2}?\s?[-+*/:]?=\s?[\w\['"({+.-][^?]{0,200}+$
      | [A-Za-z_][\w.]{0,100}+\([^?\n]{0,200}\);?\s*+(?:\#.{0,80})?$
      | [\w.]{1,80}+\($ | [\])}]{1,6}[,;:]?\s*$ | [{\[(]\s*$ | ['"][\w.]{1,40}['"]\s?:\s?
      | </?(?!(?:details|summary|p|br|hr|img|div|span|a|b|i|center|table|t[rdh]|h\d|[uo]l|li|su[bp])\b)\w{1,30}[^>]{0,100}>\s*$
    ))
    """,
    re.VERBOSE,
)


Recurring = Callable[[str], int]
"""How many characters of a line, from its beginning, were not written for this issue: none, a prompt's, or all."""


def nothing_recurs(_line: str) -> int:
    """Take every line for one that was written for its issue."""
    return 0


def split(text: str, recurring: Recurring = nothing_recurs) -> list[Span]:
    """Part a text into spans that are disjoint, in order, and cover all of it but white space and the marks of fences.

    Parameters
    ----------
    recurring
        What is known of the lines that recur in the repository's issues, as written.
    """
    lines = _lines(text)
    places = _places(text, len(lines))
    kinds, prompts = _kinds(text, lines, places, recurring)
    spans: list[Span] = []
    kind: Kind | None = None
    start = end = 0

    def close() -> None:
        stretch = text[start:end]
        if kind is not None and stretch.strip():
            spans.append(Span(kind, end - len(stretch.lstrip()), start + len(stretch.rstrip())))

    for number, ((first, last), found) in enumerate(zip(lines, kinds, strict=True)):
        if found == "":
            continue
        if number in prompts:
            close()
            kind, start, end = "boilerplate", first, prompts[number]
            close()
            kind, start = "prose", end
        elif found != kind or found is None:
            close()
            kind, start = found, first
        end = last
    close()
    return spans


def _lines(text: str) -> list[tuple[int, int]]:
    """Return where each line begins and ends, lines being Markdown's and not those of `str.splitlines`."""
    lines = []
    start = 0
    if "\r" not in text:
        for line in text.split("\n"):
            end = start + len(line)
            lines.append((start, end))
            start = end + 1
        return lines
    for found in _BREAK.finditer(text):
        lines.append((start, found.start()))
        start = found.end()
    return [*lines, (start, len(text))]


def _places(text: str, count: int) -> bytearray:
    """Return for each line whether Markdown takes it for text, raw (code), the mark of a fence, or a remark nobody sees."""
    places = bytearray(count)
    if not _NEEDS_MARKDOWN.search(text):
        return places
    lines: list[str] | None = None
    for token in _MARKDOWN.parse(text):
        if token.map is None or token.type not in ("fence", "code_block", "html_block"):
            continue
        first, last = token.map
        if token.type == "code_block":
            places[first:last] = bytes([_RAW]) * (last - first)
        elif token.type == "html_block":
            if token.content.lstrip().startswith("<!--"):
                end = first + token.content.partition("-->")[0].count("\n") + 1
                places[first : min(end, last)] = bytes([_REMARK]) * (min(end, last) - first)
        else:
            lines = lines or _BREAK.split(text)
            places[first] = _FENCE
            close = lines[last - 1].strip(" \t>")
            if last - 1 > first and len(close) >= 3 and close == token.markup[0] * len(close):
                places[last - 1] = _FENCE
                last -= 1
            else:  # Never closed: what follows a blank line is as likely prose again.
                last = next((i for i in range(first + 1, last) if not lines[i].strip()), last)
            places[first + 1 : last] = bytes([_RAW]) * max(0, last - first - 1)
    return places


def _kinds(
    text: str, lines: list[tuple[int, int]], places: bytearray, recurring: Recurring
) -> tuple[list[_Told], dict[int, int]]:
    """Return each line's kind, and where the prompts end with which lines begin."""
    prompts: dict[int, int] = {}
    kinds: list[_Told] = []
    unknown: list[int] = []  # of the raw region that is being read, lines that say nothing by themselves
    told: Counter[str] = Counter()
    in_traceback = after_frame = in_mail = False
    for number, (start, end) in enumerate(lines):
        place = places[number]
        line = text[start : min(end, start + _SEEN)]
        if told and place != _RAW:
            _settle(kinds, unknown, told)
        if place == _FENCE:
            kinds.append(None)
            in_traceback = after_frame = False
            continue
        if not line.strip() and not text[start:end].strip():
            kinds.append("")
            after_frame = False
            continue
        if in_mail and not _MAIL_FOOT.match(line):
            kinds.append("quote")
            continue
        kind: Kind | Literal["unknown", ""] = ""
        if place == _REMARK:
            kind = "boilerplate"
        elif place == _TEXT:
            kind = _marked(line)
            if kind == "quote" and _WROTE.match(line):
                following = next((a for a, b in lines[number + 1 : number + 4] if text[a:b].strip()), None)
                in_mail = following is not None and not _QUOTE.match(text, following)
        if kind:
            in_traceback = after_frame = False
        elif "Traceback" in line and _TRACEBACK.search(line):
            kind, in_traceback, after_frame = "traceback", True, True
        elif _RAISED.match(line):
            kind, in_traceback, after_frame = "traceback", False, False
        elif 'File "' in line and _FILE.search(line):
            kind, in_traceback, after_frame = "traceback", True, True
        elif _FRAME.match(line):
            kind, after_frame = "traceback", True
        elif in_traceback and (after_frame or place == _RAW or line[0] in " \t^~"):
            kind, after_frame = "traceback", False
        else:
            in_traceback = after_frame = False
            if found := _LINE.match(line):
                kind = found.lastgroup  # type: ignore[assignment]  # the groups are named by kind
            elif line[-1] in ";{":
                kind = "code"
            elif place == _RAW:
                kind = "unknown"
            else:
                known = recurring(text[start:end])
                kind = "boilerplate" if known else "prose"
                if 0 < known < end - start:
                    prompts[number] = start + known
        if place == _RAW:
            told[kind] += 1
            if kind == "unknown":
                unknown.append(number)
        kinds.append("code" if kind == "unknown" else kind)
    _settle(kinds, unknown, told)
    return kinds, prompts


def _marked(line: str) -> Literal["quote", "boilerplate", ""]:
    """Tell what marks say at once: an answered mail's words, and a list to tick off."""
    if (">" in line and _QUOTE.match(line)) or _MAIL_FOOT.match(line) or _WROTE.match(line):
        return "quote"
    return "boilerplate" if "[" in line and _CHECK_LIST.match(line) else ""


def _settle(kinds: list[_Told], unknown: list[int], told: Counter[str]) -> None:
    """Take the lines of a raw region that say nothing by themselves for what its other lines are."""
    if not told["code"]:
        kind: Kind = "log" if told["log"] or told["traceback"] else "code"
        if 2 * told["versions"] >= max(len(unknown), 1):
            kind = "versions"
        for number in unknown:
            kinds[number] = kind
    unknown.clear()
    told.clear()
