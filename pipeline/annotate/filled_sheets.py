"""Sheets that annotators have filled in, and annotation files, read back: every complaint names a cell."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipeline.annotate.annotation import Annotation, Answers, check
from pipeline.annotate.sheets import ABOUT, CATEGORIES, titles
from pipeline.collect.spreadsheets import read_spreadsheet
from pipeline.collect.tables import Row, rows_in_words
from pipeline.facts import Flaw, IssueReference
from pipeline.taxonomy import Facet, Taxonomy, normalise

Report = Callable[[Flaw], None]

_YES = {"yes": True, "true": True, "x": True, "": False, "no": False, "false": False}
_WHOLE = re.compile(r"#?\s*([0-9]{1,10})(\.0+)?")
_SHORTENED = re.compile(r"[0-9]([.,][0-9]+)?E\+?[0-9]+", re.IGNORECASE)
_REPOSITORY = re.compile(r"[^/\s]+/[^/\s]+")


@dataclass(frozen=True, slots=True)
class FilledSheet:
    """What an annotator has filled in of one worksheet."""

    batch: str
    round: str
    annotator: str
    annotations: tuple[Annotation, ...]
    unlabelled: int
    """Issues without an answer yet, which are left out."""


def read_sheets(paths: Iterable[Path], taxonomy: Taxonomy, report: Report) -> list[FilledSheet]:
    """Read filled-in sheets, workbooks or CSV files, each of one annotator, batch and round; all of them or none.

    Categories may be written in any spelling that the taxonomy knows. Other spellings than its own, columns that no sheet has,
    notes without labels and repeated labels are reported.

    Raises
    ------
    RedefectError
        At the first cell that is wrong, with its place.
    """
    sheets: list[FilledSheet] = []
    earlier: dict[tuple[str, str, str, int], tuple[Annotation, Row]] = {}
    for path in paths:
        for name, rows in _read(path, taxonomy, report, skip=(CATEGORIES, ABOUT)).items():
            _check_one_annotator(name, rows)
            labelled: list[Annotation] = []
            unlabelled = 0
            for said, row in _issues(rows, taxonomy, report):
                if said is None:
                    unlabelled += 1
                    continue
                before, place = earlier.setdefault(_of_issue(said.annotator, said.round, said.issue), (said, row))
                if place is row:
                    labelled.append(said)
                elif before == said:
                    report(Flaw(path.name, row.place.removeprefix(f"{path}: "), f"repeats {place.place}", "read once"))
                else:
                    raise row.error(
                        f"says otherwise of {said.issue.repository}#{said.issue.number} than {said.annotator} says in "
                        f"{place.place}; remove the one that does not hold."
                    )
            first = rows[0]
            sheets.append(FilledSheet(first["Batch"], first["Round"], first["Annotator"], tuple(labelled), unlabelled))
    return sheets


def read_annotation_file(path: Path, taxonomy: Taxonomy, report: Report) -> list[Annotation]:
    """Read an annotation file, which people may have edited since `annotation_file` wrote it. What has no column was not asked.

    Raises
    ------
    RedefectError
        At the first cell that is wrong, with its place.
    """
    header = {normalise(column) for rows in read_spreadsheet(path, {}).values() for column in rows[0].letters}
    named = {facet.id: {normalise(name) for name in (facet.title, facet.id, *facet.columns)} for facet in taxonomy.facets}
    asked = taxonomy.only([facet for facet, names in named.items() if names & header])
    sheets = _read(path, asked, report).values()
    return [said for rows in sheets for said, _ in _issues(rows, asked, report) if said is not None]


def _read(path: Path, taxonomy: Taxonomy, report: Report, skip: Sequence[str] = ()) -> dict[str, list[Row]]:
    columns: dict[str, list[str]] = {title: [] for title in titles(taxonomy, to_fill_in=False)}
    columns |= {facet.title: [facet.id, *facet.columns] for facet in taxonomy.facets}
    sheets = read_spreadsheet(path, columns, skip)
    for name, rows in sheets.items():
        place = f"sheet '{name}', " if name else ""
        for column, letter in rows[0].letters.items():
            if column not in columns and column not in ("Title", "Link"):
                report(Flaw(path.name, f"{place}column {letter} ({column})", "is no column of a sheet", "not read"))
        for facet in taxonomy.facets:
            spelled: dict[tuple[str, str], list[int]] = defaultdict(list)
            for row in rows:
                said, category = normalise(row.cells[facet.title]), facet.find(row.cells[facet.title])
                if category is not None and said not in (category, normalise(facet.label(category))):
                    spelled[said, category].append(row.number)
            for (said, category), numbers in spelled.items():
                what = f"'{said}' stands for {facet.id} '{category}'"
                report(Flaw(path.name, f"{place}{rows_in_words(numbers)}", what, "read as that"))
    return sheets


def _check_one_annotator(sheet: str, rows: list[Row]) -> None:
    first = rows[0]
    for row in rows:
        for column in ("Batch", "Round", "Annotator"):
            if row[column] != first[column]:
                raise row.error(
                    f"says '{row[column]}', and row {first.number} says '{first[column]}'; a sheet is of one annotator, batch "
                    "and round. Correct it, or copy the whole row when you add a defect.",
                    column,
                )
    if sheet and first["Annotator"] != sheet:
        raise first.error(
            f"says '{first['Annotator']}', and the sheet is named '{sheet}'; name both as the annotator was named when the sheet "
            "was made.",
            "Annotator",
        )


def _issues(rows: list[Row], taxonomy: Taxonomy, report: Report) -> Iterator[tuple[Annotation | None, Row]]:
    """Yield what the rows say of each issue, None if they hold no answer, and the first of its rows."""
    of_issue: dict[tuple[str, str, str, int], list[Row]] = defaultdict(list)
    for row in rows:
        for column in ("Batch", "Round", "Annotator", "Repository"):
            if not row[column]:
                raise row.error("is empty; copy the whole row when you add a defect.", column)
        of_issue[_of_issue(row["Annotator"], row["Round"], _issue(row))].append(row)
    for of_one in of_issue.values():
        first = of_one[0]
        said = _annotation(of_one, taxonomy)
        if said is not None:
            check(said, taxonomy, first.place)
        elif any(row[column] for row in of_one for column in ("Discuss", "Over ten minutes", "Translated from", "Note")):
            place = first.place.removeprefix(f"{first.path}: ")
            report(Flaw(first.path.name, place, "has a note or a mark and no answer", "left out as not labelled yet"))
        yield said, first


def _of_issue(annotator: str, round_: str, issue: IssueReference) -> tuple[str, str, str, int]:
    return annotator, round_, issue.repository.casefold(), issue.number


def _issue(row: Row) -> IssueReference:
    if _REPOSITORY.fullmatch(row["Repository"]) is None:
        raise row.error(f"'{row['Repository']}' is no repository; write owner/name.", "Repository")
    issue = IssueReference(row["Repository"], _whole(row, "Number"))
    if row.cells.get("Link", "").strip():
        linked, _ = row.issue("Link")
        if _of_issue("", "", linked) != _of_issue("", "", issue):
            raise row.error(
                f"the row is of {issue.repository}#{issue.number}, and its link leads to {linked.repository}#{linked.number}; "
                "give the row back what belongs together (were single columns sorted or filled down?).",
                "Number",
            )
    return issue


def _annotation(rows: list[Row], taxonomy: Taxonomy) -> Annotation | None:
    """Return what the rows of an issue say of it together, or None if none of them holds an answer."""
    answers: dict[str, str] = {}
    for facet in taxonomy.issue_facets:
        if category := _agreed(rows, facet.title, partial(_category, facet=facet)):
            answers[facet.id] = category
    end = next(
        (c.label for facet in taxonomy.issue_facets for c in facet.choices if c.final and answers.get(facet.id) == c.id), ""
    )
    labelled = {row.number: _defect(row, taxonomy) for row in rows}
    described = any(labelled.values())
    defects: dict[int, tuple[Answers, Row]] = {}
    for row in rows:
        said = labelled[row.number]
        if said and end:
            facet = taxonomy.facet(next(iter(said)))
            raise row.error(
                f"labels a defect of an issue that is said to have none ('{end}'); empty one of the two.", facet.title
            )
        if not said and (end or not (answers or described) or (described and not row["Defect"])):
            continue
        for facet in taxonomy.defect_facets:
            if facet.id not in said:
                raise row.error("is empty, and the row labels a defect; choose a category, or empty the whole row.", facet.title)
        number = _whole(row, "Defect") if row["Defect"] else 1
        _, earlier = defects.setdefault(number, (said, row))
        if earlier is not row:
            raise row.error(
                f"is defect {number} of {row['Repository']}#{row['Number']}, and so is row {earlier.number}; number the defects "
                "1, 2, ... or remove one of the rows.",
                "Defect",
            )
    if not answers and not defects:
        return None
    for number, expected in zip(sorted(defects), range(1, len(defects) + 1), strict=True):
        if number != expected:
            raise defects[number][1].error(
                f"is defect {number}, and there is no defect {expected} of the issue; number the defects 1, 2, ...", "Defect"
            )
    for facet in taxonomy.issue_facets:
        if facet.id not in answers:
            raise rows[0].error(
                "is empty, and the issue has other answers; choose a category, or empty the whole row.", facet.title
            )
    first = rows[0]
    return Annotation(
        issue=_issue(first),
        annotator=first["Annotator"],
        round=first["Round"],
        answers=answers,
        defects=tuple(defects[number][0] for number in sorted(defects)),
        discuss=True in [_yes(row, "Discuss") for row in rows],
        slow=True in [_yes(row, "Over ten minutes") for row in rows],
        translated=_agreed(rows, "Translated from", lambda row: row.text("Translated from")),
        note="\n".join(dict.fromkeys(note for row in rows if (note := row.text("Note")))),
        suggested=_suggested(rows, taxonomy),
    )


def _defect(row: Row, taxonomy: Taxonomy) -> Answers:
    return {facet.id: category for facet in taxonomy.defect_facets if (category := _category(row, facet))}


def _agreed(rows: list[Row], column: str, read: Callable[[Row], str]) -> str:
    """Return the one thing that an issue's rows say in a column, where they say anything."""
    said = [(text, row) for row in rows if (text := read(row))]
    for text, row in said[1:]:
        agreed, first = said[0]
        if text != agreed:
            raise row.error(
                f"says '{row[column]}', and row {first.number} says '{first[column]}' of the same issue; make them one.",
                column,
            )
    return said[0][0] if said else ""


def _category(row: Row, facet: Facet) -> str:
    """Return the id of the category in a facet's cell, or nothing if the cell is empty."""
    text = row[facet.title]
    if not text:
        return ""
    choices = {category.id: category for category in facet.choices}
    found = facet.find(text)
    if found in choices:
        return choices[found].id
    near = [choices[near].label for near in facet.nearest(text, 8) if near in choices][:3]
    why = "is no category" if found is None else "is used by published tables alone and is no category"
    raise row.error(
        f"'{text}' {why} that may be chosen of facet '{facet.id}' (was it renamed or dropped?); nearest are {', '.join(near)}. "
        "Choose one of the list.",
        facet.title,
    )


def _whole(row: Row, column: str) -> int:
    text = normalise(row[column])
    match = _WHOLE.fullmatch(text)
    if match is not None and 1 <= int(match[1]) <= 2**31 - 1:
        return int(match[1])
    if not text:
        raise row.error("is empty; copy the whole row when you add a defect.", column)
    if _SHORTENED.fullmatch(text):
        raise row.error(f"'{text}' was shortened by the spreadsheet program; write the whole number.", column)
    raise row.error(f"'{text}' is no whole number from 1 on; write the number as it was when the sheet was made.", column)


def _yes(row: Row, column: str) -> bool:
    said = _YES.get(normalise(row[column]))
    if said is None:
        raise row.error(f"'{row[column]}' is neither yes nor empty; write yes, or nothing.", column)
    return said


def _suggested(rows: list[Row], taxonomy: Taxonomy) -> Answers:
    suggested: dict[str, str] = {}
    for row in rows:
        for part in filter(None, map(str.strip, row["Suggested"].split(";"))):
            facet_id, _, category = part.partition("=")
            facet = next((f for f in taxonomy.facets if f.id == facet_id), None)
            if facet is None or category not in facet.ids:
                raise row.error(
                    f"'{part}' is no facet=category; leave the column as it was when the sheet was made.", "Suggested"
                )
            if suggested.setdefault(facet_id, category) != category:
                raise row.error(
                    f"'{part}' differs from what another row of the issue says; leave the column as it was.", "Suggested"
                )
    return suggested
