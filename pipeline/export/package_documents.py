"""What a data package says to people: README, data sheet and licences, in Markdown. Nothing that it counts becomes mark-up."""

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline import markdown
from pipeline.export.package_facts import Origin, PackageFacts
from pipeline.export.package_metadata import SOFTWARE, citation, licence_address, taxonomy_doi
from pipeline.package_tables import PackageTable

DOCUMENTS = ("DATASHEET.md", "LICENSES.md", "README.md")

_WHOSE = {
    "ours": "made by the creators of this package",
    "published": "a study's published data, by its authors",
    "tracker": "facts that the tracker tells",
    "collection": "somebody's collection of threads",
}


def documents(facts: PackageFacts, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the documents of a package by name.

    Parameters
    ----------
    files
        Its other files so far, which the documents count.
    """
    values: dict[str, Any] = {
        "facts": facts,
        "study": facts.study,
        "dataset": facts.study.dataset,
        "taxonomy": facts.taxonomy,
        "citation": citation(facts),
        "software": SOFTWARE,
        "licence_address": licence_address(facts.study.dataset.license),
        "taxonomy_doi": taxonomy_doi(facts.taxonomy),
        "study_files": [name for name in sorted(files) if name.startswith("study/")],
        "whose": _whose,
    }
    return {name: _ENVIRONMENT.get_template(f"{name}.j2").render(values).encode() for name in DOCUMENTS}


class _Ready(str):
    """A text that is Markdown already."""


def _code(text: object) -> _Ready:
    """Show a text as code, in a line or in a cell of a table."""
    shown = " ".join(str(text).split()).replace("`", "'").replace("|", "\\|")
    return _Ready(f"`{shown}`" if shown else "")


def _number(number: int) -> _Ready:
    return _Ready(f"{number:,}")


def _several(number: int, noun: str) -> _Ready:
    """Count things: `1 issue`, `2,000 issues`, `3 repositories`."""
    plural = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return _Ready(f"{number:,} {noun if number == 1 else plural}")


def _whose(origin: Origin) -> str:
    return _WHOSE[origin.whose]


def _columns(table: PackageTable) -> _Ready:
    return _Ready(", ".join(_code(name) for name in table.key))


def _in_markdown(value: object) -> str:
    return value if isinstance(value, _Ready) else markdown.literal(str(value))


_ENVIRONMENT = Environment(  # noqa: S701  # Markdown has no autoescape: `finalize` takes its place, and sees each value shown
    loader=PackageLoader("pipeline.export", "templates/package"),
    undefined=StrictUndefined,
    finalize=_in_markdown,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_ENVIRONMENT.filters |= {
    "python": lambda text: _Ready(repr(str(text))),
    "code": _code,
    "number": _number,
    "several": _several,
    "key": _columns,
    "markdown": _Ready,
    "link": markdown.bare_link,
}
