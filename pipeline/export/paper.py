"""An article of a study: methods and results, with all its tables and figures, and every number read from the data."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline import __version__
from pipeline.analyze.figures import Chart
from pipeline.analyze.findings import DIFFERS
from pipeline.analyze.results import Distribution
from pipeline.errors import RedefectError
from pipeline.export.figures import to_pdf
from pipeline.export.latex import STYLE_FILE, prose, style_file
from pipeline.export.numbers import Number, numbers, to_json, to_latex
from pipeline.export.table import Table
from pipeline.export.tables import study_tables
from pipeline.export.venues import layout
from pipeline.openstudy import OpenStudy
from pipeline.selection import select_issues
from pipeline.study import Selection, Study

_PARTS = {
    "agreement": ("Agreement", ("agreement", "rater")),
    "distributions": ("Distributions", ("distribution-",)),
    "associations": ("Cross tables", ("independence", "crosstab-")),
    "findings": ("Findings", ("findings", "sensitivity", "figure-")),
    "data": ("Defects", ("defects",)),
    "others": ("Further tables", ("",)),
}
"""The article's parts: what their tables are called in the appendix, and how these tables' names begin."""

_IN_THE_TEXT = ("independence", "findings")
"""Tables that stand in the text, if they are not so wide that they are turned; all others in the appendix."""

_IN_THE_ABSTRACT = ("stage", "symptom", "root-cause")
"""Facets that the abstract tells of, where there are these."""

_SPECIAL = str.maketrans(
    {character: "\\" + character for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)


class Latex(str):
    """Text that is LaTeX already, or a name of letters, digits and hyphens; all else that a template shows is escaped."""

    __slots__ = ()


def paper(study: OpenStudy) -> dict[str, bytes]:
    """Return all that the article of a study is made of: paths below its folder, and contents.

    `article.tex` is the article, of which `pipeline.export.typeset` makes a PDF; beside it are `references.bib`, the numbers as
    `numbers.tex` and as JSON, `redefect.sty`, and the folders `tables` and `figures`.

    Raises
    ------
    RedefectError
        If the study has no labelled defects to write of.
    """
    if study.defects.empty:
        raise RedefectError(f"Study '{study.study.name}' has no labelled defects yet, so that there is nothing to write of.")
    tables = {table.name: table for table in study_tables(study) if len(table.frame)}
    written = {name: table.to_bytes("latex") for name, table in tables.items()}
    turned = {name for name, content in written.items() if b"{sideways" in content or b"{landscape}" in content}
    wide = {figure.name for figure in study.study.figures}
    charts = {name: study.figure(name, layout("a4", 2 if name in wide else 1)) for name in study.figure_names}
    found = numbers(study)
    context = _context(study, tables, charts, found) | _places(tables, turned)
    files = {
        "article.tex": _written("article.tex.jinja", context),
        "references.bib": _written("references.bib.jinja", {"version": __version__}),
        "numbers.tex": to_latex(study.study.name, found),
        "numbers.json": to_json(study.study.name, found),
        STYLE_FILE: style_file(),
    }
    files |= {f"tables/{name}.tex": content for name, content in written.items()}
    return files | {f"figures/{name}.pdf": to_pdf(chart) for name, chart in charts.items()}


def _context(
    study: OpenStudy, tables: Mapping[str, Table], charts: Mapping[str, Chart], found: Sequence[Number]
) -> dict[str, Any]:
    """Return what the template speaks of: names, titles, keys of numbers; no number itself."""
    described = study.study
    macros = {number.key: Latex(f"\\{number.name}{{}}") for number in found}
    macros |= {f"{number.key}.interval": Latex(f"\\{number.name}Interval{{}}") for number in found if number.interval}

    def macro(key: str) -> Latex:
        if key not in macros:
            raise RedefectError(f"The article quotes a number '{key}', which study '{described.name}' does not have.")
        return macros[key]

    facets = {facet.id: facet.title for facet in study.taxonomy.defect_facets}
    distributions = [_most_frequent(study.distribution(wanted.facet)) for wanted in described.distributions]
    return {
        "study": described,
        "taxonomy": study.taxonomy.title,
        "facets": list(facets.values()),
        "criteria": _criteria(described),
        "rounds": [{"name": r, "key": k} for r in study.rounds if f"{(k := f'agreement.{r}.pooled')}.cohen" in macros],
        "distributions": distributions,
        "told": [of for of in distributions if of["facet"] in _IN_THE_ABSTRACT] or distributions[:3],
        "associations": _extremes(tables, facets, macros),
        "otherwise": _otherwise(tables),
        "challenges": study.interviews.challenge_counts().to_dict("records"),
        "coders": [source.coders for source in described.codings],
        "figures": [Latex(figure.name) for figure in described.figures],
        "pairs": _pairs({name: chart for name, chart in charts.items() if name.startswith("distribution-")}),
        "charts": charts,
        "numbers": found,
        "n": macro,
        "has": macros.__contains__,
    }


def _places(tables: Iterable[str], turned: Collection[str]) -> dict[str, Any]:
    """Return which table belongs to which part, those in the text first, and those that are turned last; and parts' headings."""
    in_the_text = [name for name in _IN_THE_TEXT if name not in turned]
    parts: dict[str, list[str]] = {part: [] for part in _PARTS}
    for name in sorted(tables, key=lambda name: (name not in in_the_text, name in turned)):
        part = next(part for part, (_, beginnings) in _PARTS.items() if name.startswith(beginnings))
        parts[part].append(Latex(name))
    return {"parts": parts, "in_the_text": in_the_text, "headings": {part: heading for part, (heading, _) in _PARTS.items()}}


def _criteria(study: Study) -> list[str]:
    if study.selection == Selection():
        return []
    steps = select_issues(study.selection, [], [], study.seeds.sample).steps
    return [step.criterion for step in steps[1:-1]]  # without all that there are, and all that are left


def _most_frequent(table: Distribution) -> dict[str, str]:
    facet, first = table.facet, table.frame.iloc[int(table.frame["n"].to_numpy().argmax())]
    key, name = f"{facet.id}.{first['category']}", Latex(f"distribution-{facet.id}")
    return {"facet": facet.id, "title": facet.title, "most": str(first["label"]), "key": key, "name": name}


def _extremes(tables: Mapping[str, Table], facets: Mapping[str, str], macros: Mapping[str, Latex]) -> list[dict[str, str]]:
    """Return the strongest and the weakest association, in this order, of those that can be measured."""
    if "independence" not in tables:
        return []
    tests = tables["independence"].frame.sort_values(["v", "rows", "columns"], ascending=[False, True, True])
    pairs = [
        {"rows": facets[str(rows)], "columns": facets[str(columns)], "key": key}
        for rows, columns in tests[["rows", "columns"]].itertuples(index=False)
        if f"{(key := f'{columns}-by-{rows}')}.v" in macros
    ]
    return pairs[:1] + pairs[1:][-1:]


def _otherwise(tables: Mapping[str, Table]) -> list[dict[str, str]]:
    """Return the findings that do not come out as published."""
    if "findings" not in tables:
        return []
    findings = tables["findings"].frame
    differing = findings[findings["verdict"] == DIFFERS]
    return [
        {"statement": statement.rstrip("."), "key": f"finding.{name}"}
        for name, statement in differing[["id", "statement"]].itertuples(index=False)
    ]


def _pairs(charts: Mapping[str, Chart]) -> list[list[Latex]]:
    """Return the names of charts in pairs to stand beside each other, the highest first, so that little room is lost."""
    names = [Latex(name) for name in sorted(charts, key=lambda name: (-charts[name].get_figheight(), name))]
    return [names[at : at + 2] for at in range(0, len(names), 2)]


def _written(template: str, context: Mapping[str, Any]) -> bytes:
    return _TEMPLATES.get_template(template).render(context).encode()


def _shown(value: object) -> str:
    return value if isinstance(value, Latex) else prose(str(value))


def _references(names: Sequence[str], kind: str) -> Latex:
    r"""Return words that refer to tables (`tab`) or figures (`fig`): `Tables~\ref{tab:a}, \ref{tab:b} and~\ref{tab:c}`."""
    word = {"tab": "Table", "fig": "Figure"}[kind]
    named = [f"\\ref{{{kind}:{name}}}" for name in names]
    if len(named) == 1:
        return Latex(f"{word}~{named[0]}")
    return Latex(f"{word}s~{', '.join(named[:-1])} and~{named[-1]}")


def _verb(subjects: Sequence[object], verb: str) -> str:
    return f"{verb}s" if len(subjects) == 1 else verb


def _sentence(text: str) -> str:
    return text if text.rstrip().endswith((".", "!", "?")) else f"{text.rstrip()}."


def _breakable(key: str) -> Latex:
    """Return a key that may be broken after its dots and hyphens, without a hyphen more."""
    return Latex(re.sub(r"(?<=[.-])(?=.)", r"\\allowbreak{}", key.translate(_SPECIAL)))


def _metadata(text: str) -> Latex:
    """Return a text for the PDF's metadata, which hold letters and no fonts: only what LaTeX would run is escaped."""
    return Latex(" ".join(text.split()).translate(_SPECIAL))


def _utf16(text: str) -> Latex:
    """Return a text as hexadecimal digits, as a PDF holds any text."""
    return Latex(("\ufeff" + text).encode("utf-16-be").hex())


_TEMPLATES = Environment(
    loader=PackageLoader("pipeline.export", "templates/paper"),
    undefined=StrictUndefined,
    finalize=_shown,
    autoescape=False,  # noqa: S701  # what is shown is escaped for LaTeX, by `finalize`
    block_start_string=r"\BLOCK{",
    block_end_string="}",
    variable_start_string=r"\VAR{",
    variable_end_string="}",
    comment_start_string=r"\COMMENT{",
    comment_end_string="}",
    line_statement_prefix="%%",
    keep_trailing_newline=True,
)
_TEMPLATES.filters |= {
    "refs": _references, "verb": _verb, "sentence": _sentence, "breakable": _breakable, "metadata": _metadata, "utf16": _utf16,
}  # fmt: skip
