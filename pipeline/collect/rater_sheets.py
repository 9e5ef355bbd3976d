"""Both raters' sheets of the study: an Excel workbook with a sheet a rater and round, a row a defect."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

from pipeline.collect.spreadsheets import open_workbook
from pipeline.collect.tables import rows_in_words
from pipeline.errors import RedefectError
from pipeline.facts import Flaw, Rating
from pipeline.study import RaterSheet
from pipeline.taxonomy import Taxonomy, normalise

_ID = "Issue #"
_BLANK = frozenset({"", "n/a", "na"})
_ESCAPED_CONTROL = re.compile(r"_x00[0-1][0-9A-Fa-f]_")  # how a workbook writes a control character


def read_rater_sheets(path: Path, sheets: list[RaterSheet], taxonomy: Taxonomy, report: Callable[[Flaw], None]) -> list[Rating]:
    """Read the raters' sheets, in the order of `sheets`.

    Cells that are empty or say n/a are no ratings. Values keep their spelling; those that belong to no category of the
    taxonomy (the pilot used an earlier instrument) keep it too, and get no category. Rows without an issue's number are
    left out. All of it is reported.

    Raises
    ------
    RedefectError
        If the file is missing or no workbook, a sheet or column is missing, or the raters of a round have different issues.
    """
    ratings: list[Rating] = []
    spelled: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    with open_workbook(path, read_only=True, values_only=True) as workbook:
        for sheet in sheets:
            if sheet.sheet not in workbook.sheetnames:
                raise RedefectError(f"{path}: has no sheet '{sheet.sheet}'; it has {', '.join(workbook.sheetnames)}.")
            ratings += _sheet(path, workbook[sheet.sheet].iter_rows(values_only=True), sheet, taxonomy, report, spelled)
    for facet, columns in spelled.items():
        if len(columns) > 1:
            words = "; ".join(f"'{column}' in {', '.join(names)}" for column, names in columns.items())
            report(Flaw(path.name, f"facet '{facet}'", f"has different column names: {words}", "read as one facet"))
    _check_same_issues(path, ratings, report)
    return ratings


def _sheet(
    path: Path,
    rows: Iterable[tuple[object, ...]],
    sheet: RaterSheet,
    taxonomy: Taxonomy,
    report: Callable[[Flaw], None],
    spelled: dict[str, dict[str, list[str]]],
) -> list[Rating]:
    table = [["" if cell is None else str(cell) for cell in row] for row in rows]
    if not table or _ID not in table[0]:
        raise RedefectError(f"{path}: sheet '{sheet.sheet}': row 1: has no column '{_ID}'.")
    header, id_column = table[0], table[0].index(_ID)
    facets = {i: facet for i, column in enumerate(header) if column and (facet := taxonomy.facet_of_column(column))}
    for i, facet in facets.items():
        spelled[facet.id][header[i]].append(sheet.sheet)
    ratings: list[Rating] = []
    blank: list[int] = []
    without_id: list[int] = []
    unknown: dict[tuple[str, str], list[int]] = defaultdict(list)
    na = 0
    for number, row in enumerate(table[1:], start=2):
        if not row[id_column].strip():
            (without_id if any(cell.strip() for cell in row) else blank).append(number)
            continue
        for i, facet in facets.items():
            value = row[i]
            if normalise(value) in _BLANK:
                na += bool(value.strip())
                continue
            category = facet.find(_ESCAPED_CONTROL.sub("", value).strip(" '"))
            if category is None:
                unknown[facet.id, value].append(number)
            ratings.append(Rating(sheet.round, sheet.annotator, number, row[id_column].strip(), facet.id, value, category))
    place = f"sheet '{sheet.sheet}'"
    if blank:
        report(Flaw(path.name, f"{place}, {rows_in_words(blank)}", "are empty, amid or after the others", "left out"))
    if without_id:
        report(Flaw(path.name, f"{place}, {rows_in_words(without_id)}", "have labels and no issue number", "left out"))
    if na:
        report(Flaw(path.name, place, f"{na} cells say n/a", "read as empty: no rating"))
    for (facet_id, value), numbers in unknown.items():
        report(
            Flaw(
                path.name,
                f"{place}, {rows_in_words(numbers)}",
                f"'{value}' is no category of {facet_id}",
                "kept as written, without category",
            )
        )
    return ratings


def _check_same_issues(path: Path, ratings: list[Rating], report: Callable[[Flaw], None]) -> None:
    """Compare the issues of a round's raters: other issues are an error, other numbers of rows for an issue a flaw."""
    rounds: dict[str, dict[str, dict[int, str]]] = defaultdict(lambda: defaultdict(dict))
    for rating in ratings:
        rounds[rating.round][rating.annotator][rating.row] = rating.number
    for round_, raters in rounds.items():
        (first, first_rows), *others = raters.items()
        for other, other_rows in others:
            a, b = Counter(first_rows.values()), Counter(other_rows.values())
            if differing := sorted(set(a) ^ set(b)):
                raise RedefectError(
                    f"{path}: round '{round_}': {first} and {other} rated different issues (only one of them has "
                    f"{', '.join(differing[:5])}); give both raters the same issues."
                )
            pairs = zip(sorted(first_rows), sorted(other_rows), strict=False)
            if crossed := [(x, y) for x, y in pairs if first_rows[x] != other_rows[y]]:
                words = ", ".join(f"row {x} (issue {first_rows[x]}) meets row {y} (issue {other_rows[y]})" for x, y in crossed)
                report(
                    Flaw(
                        path.name,
                        f"round '{round_}'",
                        f"matched by position, {words}",
                        "kept: the published kappa matches by position",
                    )
                )
