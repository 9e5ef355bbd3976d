"""Every number that a paper's text may quote, as a LaTeX macro and as JSON: what is not typed in cannot be out of date."""

import json
import math
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pandas as pd
from pylatexenc.latexwalker import LatexWalker, LatexWalkerEndOfStream

import pipeline
from pipeline.analyze.findings import NO_DATA
from pipeline.analyze.results import Crosstab, Distribution
from pipeline.annotate.agreement import POOLED
from pipeline.annotate.coefficients import COEFFICIENTS
from pipeline.documents import read_text
from pipeline.errors import RedefectError
from pipeline.export.latex import prose
from pipeline.numerals import NumberKind, interval_text, written
from pipeline.openstudy import OpenStudy
from pipeline.taxonomy import Taxonomy

_DIGITS = ("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")
_PLACES = 6  # of values in JSON
_GROUPS = ("corpus", "version", "finding", "agreement", "challenge")
_HEAD = r"""% The numbers of study '{study}', one macro each. Made by `redefect export numbers`: do not edit, make it again.
% \input it in the preamble. Spaces after a macro stay. A number that is no more is an undefined macro; see also
% `redefect export numbers --check paper.tex`.
%
%   \StageTrainingN, \StageTrainingShare         a category of a facet: defects, and their share of those with an answer
%   \StageTrainingShareInterval                  the 95 % interval of any number that has one
%   \StageN, \StageMissing                       defects with an answer to a facet, and without
%   \SymptomByStageTrainingCrashN, ...Share      of the defects of a row (Training), those of a column (Crash)
%   \SymptomByStageChiSquare, ...Freedom, ...P, ...V, ...N   test of independence (p by permutation), and Cramer's V
%   \FindingReUsersPublished, ...Reproduced, ...N            a published finding beside this data's
%   \AgreementFinalStageCohen, ...N              a round's agreement on a facet (or Pooled), defects matched by best assignment
%   \Corpus..., \Challenge..., \Version...       counts and the date of the data; challenges that interviews name; versions
%
% Names are the ids of taxonomy and study file, digits spelled out. What follows a % is what the number says.
\RequirePackage{{xspace}}
"""


@dataclass(frozen=True, slots=True)
class Number:
    """A number that can be quoted.

    Attributes
    ----------
    key
        What it is called: parts with dots between them, `stage.training.share`.
    text
        As it is printed, `41.4 %`.
    value
        As it is: a share of 1, not of 100.
    meaning
        What it says, for a person.
    unit
        Of what it is a number: `defects`, `share`.
    n
        Of how many.
    low, high
        Its 95 % interval.
    interval
        As it is printed, `[33.9, 49.4]`; empty without one.
    """

    key: str
    text: str
    value: float | int | str
    meaning: str
    unit: str = ""
    n: int | None = None
    low: float | None = None
    high: float | None = None
    interval: str = ""

    @property
    def name(self) -> str:
        """Its macro's name: letters only, `StageTrainingShare`."""
        return macro_name(self.key)

    @property
    def macros(self) -> dict[str, str]:
        """The texts that macros print, by name: the number's, and that of its interval."""
        return {self.name: self.text} | ({f"{self.name}Interval": self.interval} if self.interval else {})


def macro_name(key: str) -> str:
    """Return a name of letters only for a LaTeX macro: words begin with a capital, digits are spelled out, other letters by code.

    Different keys may have the same name: see `unique`.
    """
    plain = "".join(c for c in unicodedata.normalize("NFKD", key) if not unicodedata.combining(c))
    spelled = "".join(c if c.isascii() or not c.isalnum() else f" U{ord(c):X} " for c in plain)
    words = re.findall(r"[A-Za-z]+|[0-9]", spelled)
    return "".join(_DIGITS[int(word)] if word.isdigit() else word[0].upper() + word[1:] for word in words)


def numbers(study: OpenStudy) -> list[Number]:
    """Return all numbers of a study, under names that differ.

    Raises
    ------
    RedefectError
        If two have the same name.
    """
    facets = study.taxonomy.defect_facets
    found = [
        *_corpus(study),
        *(n for facet in facets for n in _distribution(study.distribution(facet.id))),
        *(n for wanted in study.study.crosstabs for n in _crosstab(study.crosstab(wanted.rows, wanted.columns))),
        *_findings(study.findings()),
        *_agreement(study),
        *_challenges(study.interviews.challenge_counts()),
    ]
    return unique(found)


def unique(found: list[Number]) -> list[Number]:
    """Return the numbers, if their macros have names that differ.

    Raises
    ------
    RedefectError
        If two have the same, or one has none.
    """
    keys: dict[str, str] = {}
    for number in found:
        for name in number.macros:
            if not number.name:
                raise RedefectError(f"Number '{number.key}' has no letter or digit to call its LaTeX macro by; rename it.")
            if name in keys:
                raise RedefectError(
                    f"Numbers '{keys[name]}' and '{number.key}' would both be \\{name} in LaTeX; rename a category or a round."
                )
            keys[name] = number.key
    return found


def to_latex(study: str, found: Iterable[Number]) -> bytes:
    """Return the macros as a file to be read in a paper's preamble."""
    lines = []
    for number in found:
        size = "" if number.n is None else f" (n = {number.n})"
        lines += [
            f"\\newcommand*{{\\{name}}}{{{_latex(text)}\\xspace}}% {_line(number.meaning)}{size}"
            for name, text in number.macros.items()
        ]
    return (_HEAD.format(study=study) + "\n".join(lines) + "\n").encode()


def to_json(study: str, found: Iterable[Number]) -> bytes:
    """Return the same numbers as JSON, values to six places."""
    listed = [
        {
            "name": number.name, "key": number.key, "text": number.text, "value": _rounded(number.value), "unit": number.unit,
            "n": number.n, "low": _rounded(number.low), "high": _rounded(number.high), "interval": number.interval,
            "meaning": number.meaning,
        }
        for number in found
    ]  # fmt: skip
    return (json.dumps({"study": study, "numbers": listed}, indent=1, ensure_ascii=False) + "\n").encode()


def check_papers(papers: Iterable[Path], found: Iterable[Number], study: OpenStudy) -> list[str]:
    """Check that each number that papers in LaTeX use is one, and return a sentence a paper.

    Raises
    ------
    RedefectError
        If one is not, or a file cannot be read; a line for each.
    """
    macros = {name for number in found for name in number.macros}
    kept, lost = [], []
    for path in papers:
        paper = read_text(path)
        lost += [
            f"{path}, line {line}: \\{name} is no number of study '{study.study.name}'"
            + (f"; the nearest is \\{near[0]}." if (near := get_close_matches(name, macros, n=1)) else ".")
            for line, name in missing(paper, macros, study.taxonomy)
        ]
        kept.append(f"{path}: it uses {len({name for _, name in _macros(paper)} & macros)} numbers, and all are there.")
    if lost:
        raise RedefectError("\n".join(lost))
    return kept


def missing(paper: str, macros: Collection[str], taxonomy: Taxonomy) -> list[tuple[int, str]]:
    """Return the line and name of each macro in a paper that is called like a number, but is none, nor defined in the paper.

    Parameters
    ----------
    paper
        LaTeX. What stands in comments does not count.
    macros
        The names of all that there are.
    """
    groups = "|".join(macro_name(group) for group in (*_GROUPS, *(facet.id for facet in taxonomy.facets)))
    ours = re.compile(rf"(?:{groups})[A-Z][A-Za-z]*")
    own = re.findall(r"\\(?:(?:re)?new|provide)command\*?\s*\{?\\([A-Za-z]+)|\\[gex]?def\s*\\([A-Za-z]+)", paper)
    known = {name for names in own for name in names} | set(macros)
    used = [(paper.count("\n", 0, position) + 1, name) for position, name in _macros(paper)]
    return [(line, name) for line, name in used if name not in known and ours.fullmatch(name)]


def _macros(paper: str) -> Iterator[tuple[int, str]]:
    walker, position = LatexWalker(paper, tolerant_parsing=True), 0
    while True:
        try:
            token = walker.get_token(position, environments=False)
        except LatexWalkerEndOfStream:
            return
        if token.tok == "macro":
            yield token.pos, token.arg
        position = token.pos + token.len


def _corpus(study: OpenStudy) -> Iterator[Number]:
    defects, issues = study.defects, study.issues
    place = ["repository", "number"]
    with_defect = len(defects[place].drop_duplicates())
    counts = {
        "defects": (len(defects), "defects", "labelled defects"),
        "issues": (with_defect, "issues", "issues with a labelled defect"),
        "issues-sampled": (len(issues), "issues", "issues in the sample"),
        "issues-without-defect": (len(issues) - with_defect, "issues", "issues in the sample without a labelled defect"),
        "repositories": (defects["repository"].nunique(), "repositories", "repositories with a labelled defect"),
        "repositories-sampled": (issues["repository"].nunique(), "repositories", "repositories in the sample"),
        "labels": (len(study.labels), "labels", "labels, of all annotators and rounds"),
    }
    for key, (count, unit, meaning) in counts.items():
        yield Number(f"corpus.{key}", _count(count), count, meaning, unit)
    yield Number("corpus.date-of-data", study.date_of_data, study.date_of_data, "the day of the latest time in the data")
    digest = study.study.digest[:12]
    yield Number("version.redefect", pipeline.__version__, pipeline.__version__, "the version of ReDefect")
    yield Number("version.study-file", digest, digest, "the first digits of the study file's SHA-256")


def _distribution(d: Distribution) -> Iterator[Number]:
    facet, title = d.facet.id, d.facet.title
    yield Number(f"{facet}.n", _count(d.n), d.n, f"defects with an answer to {title}", "defects")
    yield Number(f"{facet}.missing", _count(d.missing), d.missing, f"defects without an answer to {title}", "defects")
    for row in _rows(d.frame):
        what = f"{title}: {row.label}"
        yield from _counted(f"{facet}.{row.category}", what, int(row.n), d.n, row)


def _crosstab(t: Crosstab) -> Iterator[Number]:
    key, what = f"{t.columns.id}-by-{t.rows.id}", f"{t.columns.title} by {t.rows.title.lower()}"
    test = t.independence
    yield Number(f"{key}.n", _count(t.n), t.n, f"{what}: defects with an answer to both", "defects")
    if not math.isnan(test.chi2):
        about = f"{what}: test of independence"
        yield Number(f"{key}.chi-square", written(test.chi2, "statistic"), test.chi2, f"{about}, Pearson's statistic", "", t.n)
        yield Number(f"{key}.freedom", str(test.freedom), test.freedom, f"{about}, degrees of freedom", "", t.n)
        p = written(test.p, "p")
        p = p if p.startswith("<") else f"= {p}"
        yield Number(f"{key}.p", p, test.p, f"{about}, p of {test.permutations} permutations, with its sign", "", t.n)
        yield from _coefficient(f"{key}.v", f"{what}: Cramer's V", test.v, test.v_low, test.v_high, t.n)
    for cell in _rows(t.cells):
        of = f"{what}: {cell.column_label} among {cell.row_label}"
        yield from _counted(f"{key}.{cell.row}.{cell.column}", of, int(cell.n), int(cell.row_n), cell)


def _findings(findings: pd.DataFrame) -> Iterator[Number]:
    for row in _rows(findings[findings["verdict"] != NO_DATA]):
        key, what = f"finding.{row.id}", " ".join(row.statement.split())
        share, low, high, interval = str(row.published).endswith("%"), None, None, ""
        if not math.isnan(row.low):
            low, high = row.low, row.high
            interval = f"[{100 * low:.1f}, {100 * high:.1f}]" if share else f"[{low:.3f}, {high:.3f}]"
        published, reproduced = (str(text).replace("%", " %") for text in (row.published, row.reproduced))
        yield Number(f"{key}.published", published, _value(published), f"published: {what}")
        yield Number(f"{key}.reproduced", reproduced, _value(reproduced), f"reproduced: {what}", "", row.n, low, high, interval)
        yield Number(f"{key}.n", _count(row.n), int(row.n), f"n: {what}")


def _agreement(study: OpenStudy) -> Iterator[Number]:
    table = study.agreement()
    titles = {POOLED: "all facets"} | {facet.id: facet.title for facet in study.taxonomy.facets}
    chosen = table[(table["matched"] == "best assignment") & (table["compared"] == "by category")]
    for (round_, facet), rows in chosen.groupby(["round", "facet"], sort=False):
        key, n = f"agreement.{round_}.{facet}", int(rows["n"].max())
        where = f"round {round_}, {titles[str(facet)]}"
        yield Number(f"{key}.n", _count(n), n, f"{where}: things that two annotators or more labelled", "units")
        for row in _rows(rows):
            yield from _coefficient(
                f"{key}.{row.coefficient}", f"{where}: {COEFFICIENTS[row.coefficient]}", row.value, row.low, row.high, n
            )


def _challenges(table: pd.DataFrame) -> Iterator[Number]:
    asked = {
        "participants": "participants who name it",
        "interviews": "interviews that name it",
        "turns": "turns in which any coder sees it",
        "defects": "defects that tell of it",
    }
    for row in _rows(table):
        for unit, what in asked.items():
            if unit in table:
                count, n = int(getattr(row, unit)), int(getattr(row, f"{unit}_n"))
                yield Number(f"challenge.{row.challenge}.{unit}", _count(count), count, f"{row.title}: {what}", unit, n)
        if "share" in table:
            yield _share(f"challenge.{row.challenge}.turns-share", f"{row.title}: share of turns", row, row.turns_n)


def _counted(key: str, what: str, count: int, n: int, row: Any) -> Iterator[Number]:
    """Yield a count, and its share where that is defined."""
    yield Number(f"{key}.n", _count(count), count, f"{what}: defects", "defects", n)
    if n:
        yield _share(f"{key}.share", f"{what}: share of defects", row, n)


def _share(key: str, what: str, row: Any, n: int) -> Number:
    interval = interval_text(row.low, row.high, "share")
    return Number(key, f"{written(row.share, 'share')} %", row.share, what, "share", int(n), row.low, row.high, interval)


def _coefficient(key: str, what: str, value: float, low: float, high: float, n: int) -> Iterator[Number]:
    """Yield a coefficient where it is defined, with its interval where it has one."""
    kind: NumberKind = "coefficient"
    if not math.isnan(value):
        without = math.isnan(low)
        interval = interval_text(low, high, kind)
        yield Number(
            key, written(value, kind), value, what, kind, n, None if without else low, None if without else high, interval
        )


def _count(n: int) -> str:
    return written(n, "count")


def _value(text: str) -> float | str:
    """Return what a finding's text says: a number, a share of 1, or the text itself."""
    try:
        return float(text.removesuffix(" %")) / (100 if text.endswith(" %") else 1)
    except ValueError:
        return text


def _rounded(value: float | int | str | None) -> float | int | str | None:
    if isinstance(value, str) or value is None:
        return value
    return int(value) if float(value).is_integer() and not isinstance(value, float) else round(float(value), _PLACES)


def _latex(text: str) -> str:
    """Return a number's text as LaTeX prints it the same in a sentence and in a formula."""
    made = prose(text).replace(r" \%", r"\,\%").replace(r"\textless{}", r"\ensuremath{<}")
    made = re.sub(r"(?<=\d),(?=\d{3})", "{,}", made)
    return re.sub(r"(?<![\w])-(?=\d)", r"\\ensuremath{-}", made)


def _rows(frame: pd.DataFrame) -> list[Any]:
    return list(frame.itertuples(index=False))


def _line(text: str) -> str:
    return " ".join(text.split())
