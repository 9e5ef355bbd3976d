"""Spreadsheets that annotators fill in, and the files in which their labels are kept: one layout, a row a defect.

The same columns make a workbook (with drop-down lists), a CSV file, and the annotation file, which has no title and no link and
says categories by their ids. Whoever fills in a sheet adds a defect by copying its issue's row.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence

from pipeline.annotate.annotation import Annotation, Answers, Worksheet, answered
from pipeline.annotate.workbooks import Column, TableSheet, table_xlsx
from pipeline.cells import cell_text, disarm, disarm_throughout
from pipeline.errors import RedefectError
from pipeline.taxonomy import Facet, Taxonomy

CATEGORIES, ABOUT = "Categories", "About"

_LONGEST_TITLE = 256  # GitHub allows no longer one
_SPARE_ROWS = 200

# By title: the width, and of what is asked the comment on the header and the list of what may be said.
_GIVEN = {"Batch": 9, "Round": 9, "Annotator": 11, "Repository": 26, "Number": 9, "Title": 48, "Link": 40, "Suggested": 40}
_ASKED = {
    "Defect": (8, "Which defect of the issue the row is about: 1, 2, ... May be empty for the first.", ""),
    "Discuss": (9, "Do you want to talk about it?", ["yes"]),
    "Over ten minutes": (9, "Did it take you more than ten minutes?", ["yes"]),
    "Translated from": (12, "The thread's language, if it is not English.", ""),
    "Note": (50, "Why you decided so, where it was not clear.", ""),
}


def to_xlsx(worksheet: Worksheet) -> bytes:
    """Return a worksheet as a workbook: the annotator's sheet, the categories that its drop-down lists show, and how to label.

    Raises
    ------
    RedefectError
        If the annotator's name is that of another sheet, or a note is longer than a cell can hold.
    """
    if worksheet.annotator.casefold() in {CATEGORIES.casefold(), ABOUT.casefold(), "history"}:  # the last is Excel's own
        raise RedefectError(f"annotator '{worksheet.annotator}': no sheet of a workbook can be named so; choose another name.")
    taxonomy = worksheet.taxonomy
    categories, ranges = categories_sheet(taxonomy)
    columns = titles(taxonomy, to_fill_in=True)
    rows = [[_as_number(title, row[title]) for title in columns] for row in _worksheet_rows(worksheet)]
    sheet = TableSheet(
        worksheet.annotator,
        [_column(title, taxonomy, ranges) for title in columns],
        rows,
        frozen=columns.index("Number") + 1,
        spare=max(_SPARE_ROWS, len(rows)),
    )
    return table_xlsx([sheet, categories, _about(worksheet)])


def to_csv(worksheet: Worksheet) -> bytes:
    """Return a worksheet as CSV that spreadsheet programs read as UTF-8; texts that they would run as formulas begin with '."""
    return b"\xef\xbb\xbf" + csv_table(titles(worksheet.taxonomy, to_fill_in=True), _worksheet_rows(worksheet))


def annotation_file(annotations: Iterable[Annotation], batch: str, taxonomy: Taxonomy) -> bytes:
    """Return annotations as they are kept in git: CSV, sorted, categories by their ids, no text of any issue.

    Facets that no defect answers were not asked, and have no column.
    """
    annotations = list(annotations)
    asked = taxonomy.only(answered(annotations)) if any(a.defects for a in annotations) else taxonomy
    ordered = sorted(
        annotations, key=lambda a: (a.issue.repository.casefold(), a.issue.repository, a.issue.number, a.annotator, a.round)
    )
    rows = (row for a in ordered for row in _issue_rows(a, batch, asked, lambda _, category: category))
    return csv_table(titles(asked, to_fill_in=False), rows)


def categories_sheet(taxonomy: Taxonomy) -> tuple[TableSheet, dict[str, str]]:
    """Return a sheet that lists each facet's categories, and by facet the range of it that a drop-down list is made from."""
    rows: list[list[str | int]] = []
    ranges: dict[str, str] = {}
    for facet in taxonomy.facets:
        ranges[facet.id] = f"={CATEGORIES}!$B${len(rows) + 2}:$B${len(rows) + 1 + len(facet.choices)}"
        for category in facet.choices:
            group = facet.label(category.parent) if category.parent else ""
            rows.append([facet.title, category.label, group, category.definition])
    columns = [Column("Facet", 22), Column("Category", 34), Column("Group", 18), Column("Definition", 90)]
    return TableSheet(CATEGORIES, columns, rows), ranges


def _about(worksheet: Worksheet) -> TableSheet:
    taxonomy = worksheet.taxonomy
    rows: list[tuple[str, str]] = [
        ("Study", worksheet.study),
        ("Batch", worksheet.batch),
        ("Round", worksheet.round),
        ("Annotator", worksheet.annotator),
        ("Taxonomy", f"{taxonomy.title} ({taxonomy.id}). {taxonomy.source.citation}"),
        ("To label", "Choose a category in each blue column. Press Alt and the down key to open the list of a cell."),
        ("One more defect", "Copy the whole row of the issue, insert it below, and write 2, 3, ... into the column 'Defect'."),
    ]
    rows += [
        ("No defect", f"After '{category.label}' in the column '{facet.title}', leave the columns of the defect empty.")
        for facet in taxonomy.issue_facets
        for category in facet.choices
        if category.final
    ]
    rows += [
        ("Not labelled yet", "Leave every column of the issue empty; the row is left out and can be handed in later."),
        ("Names", "Keep the name of the sheet and the grey columns as they are; they say whose labels of what these are."),
    ]
    rows += [("Rule", rule) for rule in taxonomy.rules]
    rows += [(facet.title, " ".join([facet.question, *facet.rules])) for facet in taxonomy.facets]
    return TableSheet(ABOUT, [Column(ABOUT, 22), Column("", 110)], rows)


def _column(title: str, taxonomy: Taxonomy, ranges: dict[str, str]) -> Column:
    for facet in taxonomy.facets:
        if facet.title == title:
            width = min(max(14, *(len(category.label) + 3 for category in facet.choices)), 30)
            return Column(title, width, " ".join([facet.question, *facet.rules]), ranges[facet.id], asked=True)
    if title in _ASKED:
        width, comment, choices = _ASKED[title]
        return Column(title, width, comment, choices, asked=True)
    return Column(title, _GIVEN[title], linked=title == "Link")


def titles(taxonomy: Taxonomy, *, to_fill_in: bool) -> list[str]:
    """Return the columns of a sheet to fill in, or of an annotation file, in their order."""
    return [
        *["Batch", "Round", "Annotator", "Repository", "Number"],
        *(["Title", "Link"] if to_fill_in else []),
        *(facet.title for facet in taxonomy.issue_facets),
        "Defect",
        *(facet.title for facet in taxonomy.defect_facets),
        *["Discuss", "Over ten minutes", "Translated from", "Note", "Suggested"],
    ]


def _worksheet_rows(worksheet: Worksheet) -> Iterator[dict[str, str]]:
    def label(facet: Facet, category: str) -> str:
        return facet.label(category) if category in facet.ids else category

    for task in worksheet.tasks:
        said = task.annotation or Annotation(task.issue, worksheet.annotator, worksheet.round, {}, ())
        seen = {**said.suggested, **{facet: category for facet, (category, _) in task.suggested.items()}}
        title = " ".join(task.thread.title.split())[:_LONGEST_TITLE] if task.thread else ""
        known = {"Title": disarm_throughout(title), "Link": task.issue.url}
        for row in _issue_rows(said, worksheet.batch, worksheet.taxonomy, label):
            yield row | known | {"Suggested": _suggested(seen)}


def _issue_rows(
    said: Annotation, batch: str, taxonomy: Taxonomy, spelled: Callable[[Facet, str], str]
) -> Iterator[dict[str, str]]:
    """Yield the rows of an issue, one if it holds no defect; what is said of the issue beside its answers stands on the first."""
    once = {
        "Discuss": "yes" if said.discuss else "",
        "Over ten minutes": "yes" if said.slow else "",
        "Translated from": said.translated,
        "Note": said.note,
        "Suggested": _suggested(said.suggested),
    }
    for number, defect in enumerate(said.defects or ({},), start=1):
        answers = {**said.answers, **defect}
        yield {
            "Batch": batch,
            "Round": said.round,
            "Annotator": said.annotator,
            "Repository": said.issue.repository,
            "Number": str(said.issue.number),
            "Defect": str(number) if said.defects else "",
            **{facet.title: spelled(facet, answers[facet.id]) if facet.id in answers else "" for facet in taxonomy.facets},
            **(once if number == 1 else dict.fromkeys(once, "")),
        }


def _suggested(suggested: Answers) -> str:
    return "; ".join(f"{facet}={category}" for facet, category in sorted(suggested.items()))


def _as_number(title: str, text: str) -> str | int:
    return int(text) if title in ("Number", "Defect") and text else text


def csv_table(columns: Sequence[str], rows: Iterable[dict[str, str]]) -> bytes:
    """Return rows, by column, as CSV; texts that a spreadsheet program would run as formulas begin with '."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(map(disarm, columns))
    writer.writerows([disarm(cell_text(row[column])) for column in columns] for row in rows)
    return file.getvalue().encode()
