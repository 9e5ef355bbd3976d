"""The report: a study's pages, to be read from the folder that holds them. They ask nobody for anything, and run no data.

What comes from elsewhere is escaped by the templates; what steers a terminal is taken out of every text that they show. Outputs
of notebooks may bring HTML of their own, of which only tables, lists and the like are kept.
"""

import random
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

import lxml.html
import nbformat
from jinja2 import Environment, PackageLoader, StrictUndefined
from lxml.html import HtmlElement
from markupsafe import Markup
from nbconvert import HTMLExporter
from nbconvert.preprocessors.sanitize import SanitizeHTML
from nbformat import NotebookNode
from traitlets.config import Config

from pipeline import __version__
from pipeline.addresses import issue_address
from pipeline.classify.explanation import Phrase, explain, stretches
from pipeline.classify.model_card import read_card
from pipeline.classify.model_file import Classifier, read_model
from pipeline.errors import RedefectError
from pipeline.export.checklist import checklist_files
from pipeline.export.notebooks import without_escapes
from pipeline.export.tables import findings_shown
from pipeline.export.threads import Pseudonyms, pseudonymised
from pipeline.openstudy import OpenStudy
from pipeline.thread import Thread

_THREADS_SHOWN = 6
_COLOURS = 8
"""That the style sheet has for facets."""

_STYLE = re.compile(r"<(style|script)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
_NUMBER = re.compile(r"[-+−]?[\d.,]+(?: ?%)?")
_SIZE = re.compile(rb'<svg [^>]*?height="([\d.]+)pt"[^>]*? width="([\d.]+)pt"')
_POINT = 96 / 72  # pixels

_ASSETS = ("report.css", "report.js")
_TEMPLATES = Path(str(package_files("pipeline.export"))) / "templates"
_TAGS = [
    "a", "abbr", "b", "bdi", "blockquote", "br", "caption", "cite", "code", "col", "colgroup", "dd", "del", "details", "div",
    "dl", "dt", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "ins", "kbd", "li", "mark", "ol", "p", "pre", "q", "s",
    "small", "span", "strong", "sub", "summary", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul",
]  # fmt: skip
_ATTRIBUTES = {"*": ["dir", "lang"], "a": ["href", "title"], "td": ["colspan", "rowspan"], "th": ["colspan", "rowspan", "scope"]}


@dataclass
class Page:
    """A page of the report.

    Attributes
    ----------
    about
        What it answers, in a sentence or two.
    findings
        What it finds.
    wide
        Whether it needs all of a screen's width.
    headings
        Its parts: their ids, and what they are called.
    """

    file: str
    title: str
    about: str = ""
    findings: tuple[str, ...] = ()
    wide: bool = False
    headings: tuple[tuple[str, str], ...] = ()
    body: str = ""


def report(study: OpenStudy, notebooks: Mapping[str, bytes], model: Path) -> dict[str, bytes]:
    """Return all files of a study's report by name; the same study and notebooks give the same bytes.

    Parameters
    ----------
    notebooks
        The executed notebooks by file name, in their order.
    model
        The classifier's file.

    Raises
    ------
    RedefectError
        If a notebook cannot be read, or the card beside the model is missing or another's.
    """
    told = [notebook_page(name, content) for name, content in notebooks.items()]
    index = Page("index.html", "Overview")
    defects = Page("defects.html", "All defects", "Each defect with its labels and its issue, to sort and filter.", wide=True)
    classifier = Page(
        "classifier.html", "Classifier at work", "What the machine answers of a few threads, and which words carried it."
    )
    pages = [index, *(page for page, _ in told), defects, classifier]
    made = {name: (_TEMPLATES / "report" / name).read_bytes() for name in _ASSETS}
    with suppress(RedefectError):  # not every taxonomy has phases and causes
        files = checklist_files(study.checklist(), study.study, study.taxonomy, Pseudonyms(study.people))
        made["checklist.html"] = files["checklist.html"]
        about = "What to check before re-engineering a model, by the defects seen most often: a page by itself, to print."
        pages.append(Page("checklist.html", "Checklist", about))

    def render(page: Page, template: str, **values: Any) -> bytes:
        text = _ENVIRONMENT.get_template(f"{template}.html.j2").render(
            study=study.study, pages=pages, page=page, version=__version__, **values
        )
        return text.encode()

    for page, pictures in told:
        made |= pictures
        made[page.file] = render(page, "notebook")
    made[index.file] = render(index, "index", **_overview(study))
    made[defects.file] = render(defects, "defects", **_defects(study))
    made[classifier.file] = render(classifier, "classifier", **_classifier(study, model))
    return made


def _shown(value: object) -> object:
    return without_escapes(value) if isinstance(value, str) and not isinstance(value, Markup) else value


_ENVIRONMENT = Environment(
    loader=PackageLoader("pipeline.export", "templates/report"),
    undefined=StrictUndefined,
    autoescape=True,
    finalize=_shown,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def _overview(study: OpenStudy) -> dict[str, Any]:
    issues, findings = study.issues, findings_shown(study.findings())
    opened = issues["created_at"].dropna().dt.year
    numbers = {
        "repositories": f"{issues['repository'].nunique():,}",
        "issues in the sample": f"{len(issues):,}",
        "labelled defects": f"{len(study.defects):,}",
        "facets a defect": f"{len(study.taxonomy.defect_facets)}",
        "when issues were opened": f"{opened.min()}–{opened.max()}" if len(opened) else "",
    }
    cells = ""
    if study.study.reference.figures:
        compared = study.figure_cells()
        same = int((compared["difference"] == 0).sum())
        cells = f"{same} of the {len(compared)} cells of the published figures come out the same."
    return {
        "numbers": [(name, number) for name, number in numbers.items() if number],
        "findings": {
            "columns": list(findings.columns),
            "rows": [tuple(map(str, row)) for row in findings.itertuples(index=False)],
        },
        "cells": cells,
    }


def _defects(study: OpenStudy) -> dict[str, Any]:
    frame, facets = study.defects, study.taxonomy.defect_facets
    titled = bool(frame["title"].notna().any())
    columns: list[dict[str, Any]] = [{"title": "Issue", "options": []}, *([{"title": "Title", "options": []}] if titled else [])]
    labels = {facet.id: {category.id: category.label for category in facet.values} for facet in facets}
    for facet in facets:
        there = set(frame[facet.id].dropna())
        options = [labels[facet.id][category] for category in facet.ids if category in there]
        columns.append({"title": facet.title, "options": options, "place": len(columns)})
    pseudonyms = Pseudonyms(study.people)
    titles = frame["title"].fillna("").map(pseudonyms.text)
    several = frame.groupby(["repository", "number"])["defect"].transform("size") > 1
    rows = []
    for row, title, of_several in zip(frame.to_dict("records"), titles, several, strict=True):
        name = f"{row['repository']}#{row['number']}"
        rows.append(
            {
                "issue": f"{name} ({row['defect']})" if of_several else name,
                "address": issue_address(row["repository"], row["number"]),
                "title": title,
                "labels": [labels[facet.id].get(row[facet.id], "") for facet in facets],
            }
        )
    return {"titled": titled, "columns": columns, "rows": rows}


def _classifier(study: OpenStudy, model: Path) -> dict[str, Any]:
    classifier = read_model(model)
    if classifier.name != study.taxonomy.id:
        said = f"The model {classifier.name} labels by another taxonomy than this study's, {study.taxonomy.id}."
        return {"opening": [said], "verdicts": [], "about_threads": [], "threads": []}
    verdicts = []
    for row in read_card(model)["Verdicts"].to_dict("records"):
        facet = study.taxonomy.facet(row["facet"])
        threshold = classifier.thresholds.get(facet.id, 0.0)
        answers = "always" if not threshold else f"when its probability is {threshold:.2f} or more"
        if threshold > 1:
            answers = "never: no answer is sure enough"
        verdicts.append(
            {
                "title": facet.title,
                "n": f"{row['n']:,.0f}",
                "kappa": f"{row['kappa']:.2f}",
                "interval": f"[{row['low']:.2f}, {row['high']:.2f}]",
                "answers": f"withheld: {row['why']}" if facet.id in classifier.withheld else answers,
            }
        )
    opening = [
        f"The model {classifier.name} reads an issue's thread, says whether it reports a defect, and labels "
        f"{len(classifier.categories)} facets of it, of which it withholds {len(classifier.withheld)}.",
        "Its labels are no findings: only what says so rests on them, and shares of them are corrected for its errors.",
    ]
    threads = _drawn_threads(study)
    about = [
        f"{len(threads)} threads, drawn at random from the study's issues. Beside each guess stand the study's labels, of all "
        "defects of the issue. Names of people are replaced."
        if threads
        else "The store holds no texts of this study's issues, so that there is nothing to read and nothing to mark."
    ]
    if any(classifier.has_seen(thread.repository, thread.number) for thread in threads):
        about.append("Some of these threads were learnt from: of them it knows more than it would of new ones.")
    shown = list(_explained(study, classifier, threads))
    return {"opening": opening, "verdicts": verdicts, "about_threads": about, "threads": shown}


def _drawn_threads(study: OpenStudy) -> list[Thread]:
    """Return a few threads of the study's labelled issues, drawn by its seed, people's names replaced."""
    known = study.defects.loc[study.defects["title"].notna(), ["repository", "number"]].drop_duplicates()
    drawn = set(known.itertuples(index=False, name=None))
    if len(drawn) > _THREADS_SHOWN:
        drawn = set(random.Random(study.study.seeds.sample).sample(sorted(drawn), _THREADS_SHOWN))  # noqa: S311 (a sample, no secret)
    return [pseudonymised(thread) for thread in study.threads(drawn)]


def _explained(study: OpenStudy, classifier: Classifier, threads: list[Thread]) -> Iterator[dict[str, Any]]:
    facets = [facet for facet in study.taxonomy.defect_facets if facet.id in classifier.categories]
    facets = [facet for facet in facets if facet.id not in classifier.withheld]
    colours = {facet.id: i % _COLOURS for i, facet in enumerate(facets)}
    titles = {facet.id: facet.title for facet in facets}
    for thread, prediction in zip(threads, classifier.predict(threads), strict=True):
        found = explain(classifier, thread, prediction)
        of_issue = (study.defects["repository"] == thread.repository) & (study.defects["number"] == thread.number)
        guesses = [
            {
                "facet": facet.title,
                "colour": colours[facet.id],
                "category": facet.label(prediction.facets[facet.id].category),
                "probability": f"{prediction.facets[facet.id].probability:.2f}",
                "abstained": prediction.facets[facet.id].abstained,
                "label": ", ".join(facet.label(c) for c in study.defects.loc[of_issue, facet.id].dropna().unique()),
                "phrases": [phrase.text for phrase in found[facet.id]],
            }
            for facet in facets
        ]
        yield {
            "title": thread.title,
            "issue": f"{thread.repository}#{thread.number}",
            "address": issue_address(thread.repository, thread.number),
            "guesses": guesses,
            "parts": list(_parts(thread, {facet.id: found[facet.id] for facet in facets}, titles, colours)),
        }


def _parts(
    thread: Thread, found: Mapping[str, list[Phrase]], titles: Mapping[str, str], colours: Mapping[str, int]
) -> Iterator[dict[str, Any]]:
    """Yield the texts of a thread in stretches, each with the facets whose answers it carried."""
    texts: list[tuple[str, str, int | None, str]] = [
        ("Title", "title", None, thread.title),
        ("Text", "", None, thread.body or ""),
    ]
    texts += [(f"Comment {i + 1}", "", i, comment.body) for i, comment in enumerate(thread.comments or ())]
    for heading, origin, comment, text in texts:
        marks = [
            (phrase.start, phrase.end, facet)
            for facet, phrases in found.items()
            for phrase in phrases
            if phrase.comment == comment and (comment is not None or (phrase.origin == "title") == (origin == "title"))
        ]
        yield {
            "heading": heading,
            "stretches": [
                {
                    "text": text[start:end],
                    "facets": [titles[facet] for facet in facets],
                    "colour": colours[facets[0]] if len(facets) == 1 else "several",
                }
                for start, end, facets in stretches(len(text), marks)
            ],
        }


def notebook_page(name: str, content: bytes) -> tuple[Page, dict[str, bytes]]:
    """Make a page of an executed notebook, and files of its pictures, which are returned by name.

    Its title and what it answers are those of its first cell; its findings, the lines of its last output, if that is text.

    Raises
    ------
    RedefectError
        If it is no notebook.
    """
    try:
        notebook: NotebookNode = nbformat.reads(content.decode(), as_version=4)
        nbformat.validate(notebook)
    except Exception as error:  # whatever the library makes of a file that is something else
        raise RedefectError(f"{name}: is no Jupyter notebook ({type(error).__name__}); execute it anew.") from None
    stem = Path(name).stem
    exporter = HTMLExporter(
        config=Config(
            {
                "TemplateExporter": {"extra_template_basedirs": [str(_TEMPLATES)], "template_name": "notebook"},
                "HTMLExporter": {"exclude_anchor_links": True},
                "ExtractOutputPreprocessor": {
                    "enabled": True, "output_filename_template": "{unique_key}-{cell_index}-{index}{extension}",
                    "extract_output_types": {"image/svg+xml", "image/png"},
                },
                "NbConvertBase": {"display_data_priority": ["text/html", "image/svg+xml", "image/png", "text/plain"]},
            }
        ),
        filters={"safe_html": _safe_html},
    )  # fmt: skip
    text, resources = exporter.from_notebook_node(notebook, {"unique_key": stem})
    pictures = {str(file): bytes(data) for file, data in resources["outputs"].items()}
    body, headings = _accessible(without_escapes(text), pictures)
    opening = next((cell.source for cell in notebook.cells if cell.cell_type == "markdown"), "")
    title, _, about = opening.strip().partition("\n")
    about, title = about.strip().partition("\n\n")[0].replace("\n", " "), title.lstrip("# ") or stem
    page = Page(f"{stem}.html", title, about, tuple(_last_lines(notebook)), headings=headings, body=body)
    return page, pictures


def _last_lines(notebook: NotebookNode) -> Iterable[str]:
    outputs = [cell.outputs[-1] for cell in notebook.cells if cell.cell_type == "code" and cell.outputs]
    if outputs and "data" in outputs[-1] and outputs[-1].data.get("text/html", "").startswith("<p>"):
        return str(outputs[-1].data["text/plain"]).splitlines()
    return ()


def _safe_html(text: str) -> str:
    """Keep of HTML what says something; what would run, load or restyle anything shows as text."""
    cleaned: str = _SANITIZER.sanitize_html_tags(_STYLE.sub("", text))
    return cleaned


_SANITIZER = SanitizeHTML(tags=_TAGS, attributes=_ATTRIBUTES)


def _accessible(text: str, pictures: Mapping[str, bytes]) -> tuple[Markup, tuple[tuple[str, str], ...]]:
    """Give a page's headings ids, its tables headers and a frame to scroll in, and its pictures their sizes.

    Returns
    -------
    The page, and the ids and texts of its headings below the first.
    """
    root: HtmlElement = lxml.html.fragment_fromstring(text, create_parent="div")
    headings: list[tuple[str, str]] = []
    heading, tables, figures, outputs = "", 0, 0, 0
    for element in list(root.iter("h1", "h2", "table", "img")):
        if element.tag == "table":
            tables += 1
            _frame(element, f"Table {tables}: {heading}")
        elif element.tag == "img":
            figures += 1
            around = element.getparent()
            if around is not None:
                _let_scroll(around, f"Figure {figures}: {heading}")
            size = _SIZE.search(pictures.get(str(element.get("src")), b"")[:2000])
            if size is not None:
                element.set("height", f"{float(size[1]) * _POINT:.0f}")
                element.set("width", f"{float(size[2]) * _POINT:.0f}")
        else:
            heading = " ".join(element.text_content().split())
            if element.tag == "h2":
                element.set("id", f"part-{len(headings) + 1}")
                headings.append((f"part-{len(headings) + 1}", heading))
    for frame in root.iter("pre"):
        if frame.get("tabindex"):
            outputs += 1
            _let_scroll(frame, f"Output {outputs}")
    return Markup(lxml.html.tostring(root, encoding="unicode")), tuple(headings)  # noqa: S704 (all of it was escaped or sanitised)


def _frame(table: HtmlElement, label: str) -> None:
    for cell in table.iter("th"):
        if not cell.text_content().strip():
            cell.tag = "td"  # a header that says nothing
            continue
        in_head = next(cell.iterancestors("thead"), None) is not None
        cell.set("scope", "col" if in_head else "row")
    for cell in table.iter("td"):
        if _NUMBER.fullmatch(cell.text_content().strip()):
            cell.set("class", "n")
    rows = [list(row) for row in table.iterfind("tbody/tr")]
    if len(heads := list(table.iterfind("thead/tr"))) == 1 and rows:
        for place, head in enumerate(heads[0]):
            if all(place < len(row) and row[place].get("class") == "n" for row in rows):
                head.set("class", "n")
    parent, tail = table.getparent(), table.tail
    frame = lxml.html.Element("div", {"class": "table"})
    _let_scroll(frame, label)
    if parent is not None:
        parent.replace(table, frame)
    table.tail, frame.tail = None, tail
    frame.append(table)


def _let_scroll(frame: HtmlElement, label: str) -> None:
    """Let a keyboard reach what is wider than a narrow screen."""
    for name, value in (("role", "region"), ("aria-label", label), ("tabindex", "0")):
        frame.set(name, value)
