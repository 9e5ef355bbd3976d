"""The codebook: how to label by a taxonomy, made from its file, for people to read on a screen, on paper or in a repository."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import groupby

import pandas as pd
from jinja2 import Environment, StrictUndefined
from markdown_it import MarkdownIt

from pipeline.facts import IssueReference
from pipeline.markdown import bare_link, link
from pipeline.markdown import literal as _md
from pipeline.study import Verdict
from pipeline.taxonomy import Category, Facet, Taxonomy

_MOST_EXAMPLES = 2  # of a category

Examples = Mapping[tuple[str, str], Sequence[IssueReference]]
"""Issues that show what a category means, by the ids of facet and category."""


@dataclass(frozen=True, slots=True)
class Codebook:
    """A labelling guide. Both its forms say the same, and neither shows any text of an issue."""

    taxonomy: Taxonomy
    examples: Examples = field(default_factory=dict)

    def to_markdown(self) -> str:
        """Return it as Markdown with tables, as GitHub shows it."""
        return "\n\n".join(self._blocks()) + "\n"

    def to_html(self) -> str:
        """Return it as one page that loads and runs nothing, for the screen and for print."""
        return _PAGE.render(title=f"Codebook: {self.taxonomy.title}", body=_TO_HTML.render(self.to_markdown()))

    def _blocks(self) -> Iterator[str]:
        taxonomy = self.taxonomy
        yield f"# Codebook: {_md(taxonomy.title)}"
        yield f"How to label issues by the taxonomy {_md(taxonomy.id)}, from whose file this is made."
        yield f"Source: {_md(taxonomy.source.citation)} {bare_link(taxonomy.source.url)}".rstrip()
        if taxonomy.rules:
            yield "## How to label"
            yield _list(map(_md, taxonomy.rules))
        yield "## What to decide, in this order"
        facets = [*taxonomy.issue_facets, *taxonomy.defect_facets]
        for of_what, level in (("Of the issue as a whole:", "issue"), ("Of each defect in it:", "defect")):
            if steps := [self._step(n, facet) for n, facet in enumerate(facets, start=1) if facet.level == level]:
                yield of_what
                yield "\n".join(steps)
        for number, facet in enumerate(facets, start=1):
            yield f"## {number}. {_md(facet.title)}"
            yield from self._facet(facet)

    def _step(self, number: int, facet: Facet) -> str:
        step = f"{number}. **{_md(facet.title)}**: {_md(facet.question)}"
        for category in facet.choices:
            if category.final:
                step += f" The answer **{_md(category.label)}** ends the issue: label no defect."
        if facet.narrowed_by:
            step += f" Look first in the group named like the answer to **{_md(self.taxonomy.facet(facet.narrowed_by).title)}**."
        return step

    def _facet(self, facet: Facet) -> Iterator[str]:
        yield _md(facet.question)
        if facet.rules:
            yield "In doubtful cases:"
            yield _list(map(_md, facet.rules))
        groups = _groups(facet)
        for path, categories in groups:
            if path:
                yield "### " + " / ".join(_md(group.label) for group in path)
                yield _md(path[-1].definition)
            elif len(groups) > 1:
                yield "### In no group"
            yield self._table(facet, categories)
        if unused := [category for category in facet.values if category.published_only]:
            yield "Not to be chosen, although published data have them:"
            yield _list(f"{_name(category)}: {_md(category.definition)}" for category in unused)
        yield f"Source of the question and its categories: {_md(facet.source)}"

    def _table(self, facet: Facet, categories: list[Category]) -> str:
        rows = [
            (
                _name(category),
                _md(category.definition),
                "; ".join(map(_md, category.variants)),
                ", ".join(map(_link, self.examples.get((facet.id, category.id), ()))),
            )
            for category in categories
        ]
        heads = ("Category", "Meaning", "Other spellings", "Examples")
        used = [column for column in range(len(heads)) if column < 2 or any(row[column] for row in rows)]
        lines = [heads, ("---",) * len(heads), *rows]
        return "\n".join("| " + " | ".join(line[column] for column in used) + " |" for line in lines)


def examples(labels: pd.DataFrame, verdict: Verdict) -> dict[tuple[str, str], list[IssueReference]]:
    """Choose issues that show what the categories mean: those whose annotators agreed first, and of different repositories.

    Parameters
    ----------
    labels
        See `pipeline.store.read.labels`. Leave out the issues that readers of the codebook are still to label.
    verdict
        Whose labels say what an issue is.
    """
    key = ["repository", "number", "defect", "facet"]
    final = (labels["annotator"] == verdict.annotator) & (labels["round"] == verdict.round)
    found = labels[final].merge(labels[~final][[*key, "category"]], on=key, how="left", suffixes=("", "_other"))
    found["alone"] = found["category_other"].isna()
    found["disputed"] = ~found["alone"] & (found["category_other"] != found["category"])
    issue = ["facet", "category", "repository", "number"]
    found = found.groupby(issue, as_index=False)[["disputed", "alone"]].max()
    found["drawn"] = [sha256(repr(row).encode()).hexdigest() for row in found[issue].itertuples(index=False, name=None)]
    found = found.sort_values(["disputed", "alone", "drawn"])
    found["again"] = found.groupby(["facet", "category", "disputed", "alone", "repository"]).cumcount()
    found = found.sort_values(["disputed", "alone", "again", "drawn"])
    chosen: dict[tuple[str, str], list[IssueReference]] = {}
    for (facet, category), issues in found.groupby(["facet", "category"]):
        first = issues.head(_MOST_EXAMPLES)
        chosen[str(facet), str(category)] = [IssueReference(*of) for of in zip(first["repository"], first["number"], strict=True)]
    return chosen


def _groups(facet: Facet) -> list[tuple[list[Category], list[Category]]]:
    """Return the categories to choose from by group, with the way to each group from the outermost one; last those in none."""
    by_id = {category.id: category for category in facet.categories}
    places = {id_: place for place, id_ in enumerate(by_id)}

    def way(category: Category) -> list[Category]:
        return [*way(by_id[category.parent]), by_id[category.parent]] if category.parent else []

    ordered = sorted(facet.choices, key=lambda c: places[c.parent] if c.parent else len(places))
    return [(way(of[0]), of) for _, together in groupby(ordered, key=lambda c: c.parent) for of in [list(together)]]


def _name(category: Category) -> str:
    return f"**{_md(category.label)}** `{category.id}`"


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)


def _link(issue: IssueReference) -> str:
    return link(f"{issue.repository}#{issue.number}", issue.url)


_TO_HTML = MarkdownIt("commonmark", {"html": False}).enable("table")

_PAGE = Environment(autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True).from_string("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="referrer" content="no-referrer">
<title>{{ title }}</title>
<style>
body { font: 16px/1.5 sans-serif; color: #222; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: break-word; }
h1 { line-height: 1.2; }
h2 { margin: 2.5rem 0 1rem; border-top: 1px solid #ccc; padding-top: 1rem; }
h3 { margin: 2rem 0 .5rem; }
a { color: #0b57a4; }
code { font-size: .85em; color: #666; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; }
th, td { text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid #ddd; }
th { font-size: .85em; font-weight: normal; color: #666; }
th:first-child { width: 27%; }
td:first-child code { display: block; }
td:nth-child(n+3) { font-size: .85em; }
@media print {
  body { font-size: 10pt; max-width: none; margin: 0; padding: 0; }
  h1, h2, h3, h3 + p { break-after: avoid; }
  tr, li { break-inside: avoid; }
  a { color: inherit; text-decoration: none; }
}
</style>
</head>
<body>
{{ body | safe }}</body>
</html>
""")
