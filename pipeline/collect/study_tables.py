"""The study's published tables: one with a row a labelled defect, one with the issues that were set aside."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.collect.tables import Row, read_csv, rows_in_words
from pipeline.facts import Flaw, IssueFacts, IssueReference, Label, RepositoryFacts
from pipeline.study import LabelTableSource, SetAsideSource
from pipeline.taxonomy import Taxonomy, normalise

_URL, _OWNER, _NAME, _NUMBER = "URL", "Repo owner", "Repo name", "Issue #"
_KIND, _PROTOTYPE = "Repo type", "Research Prototype"
_REPOSITORY_TIME, _ISSUE_TIME, _DAYS, _TRACKER_LABELS = (
    "Repo creation time",
    "Issue creation time",
    "Time Slot/d",
    "Label",
)
_COLUMNS = [_URL, _OWNER, _NAME, _NUMBER, _KIND, _PROTOTYPE, _REPOSITORY_TIME, _ISSUE_TIME, _DAYS, _TRACKER_LABELS]

_KINDS = {"solo repository": "solo", "zoo repository": "zoo"}
_YES_NO = {"yes": True, "no": False}


@dataclass(frozen=True, slots=True)
class StudyTable:
    """What one of the tables holds: `rows` of the file, and the facts and labels read from them, in its order."""

    rows: int
    repositories: list[RepositoryFacts]
    issues: list[IssueFacts]
    labels: list[Label]


def read_label_table(path: Path, source: LabelTableSource, taxonomy: Taxonomy, report: Callable[[Flaw], None]) -> StudyTable:
    """Read the table of labelled defects: a row a defect, a column a facet.

    The facets' columns are those that the taxonomy names. The defects of an issue are numbered in the table's order; a row
    that repeats another stays a defect of its own, since the published counts have it so.

    Raises
    ------
    RedefectError
        If a row has no issue's address, one of another host, or a category that the taxonomy does not know.
    """
    rows = list(read_csv(path, _COLUMNS))
    columns = [(f, c) for f in taxonomy.defect_facets for c in f.columns if rows and c in rows[0].cells]
    found = {facet.id for facet, _ in columns}
    if rows and (missing := [f"'{f.columns[0]}'" for f in taxonomy.defect_facets if f.id not in found]):
        raise rows[0].error(f"the table has no column {', '.join(missing)}, which taxonomy '{taxonomy.id}' asks for.")
    labels: list[Label] = []
    defects: Counter[IssueReference] = Counter()
    variants: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    earlier: dict[tuple[str, ...], int] = {}
    references = [_reference(row, report) for row in rows]
    for row, issue in zip(rows, references, strict=True):
        defects[issue] += 1
        for facet, column in columns:
            value = row.cells[column]
            category = facet.canonicalise(value, f"{path}: row {row.number}, column '{column}'")
            if value != facet.label(category):
                variants[column, value, facet.label(category)].append(row.number)
            labels.append(Label(issue, defects[issue], facet.id, category, value, source.annotator, source.round))
        key = tuple(cell for name, cell in row.cells.items() if name)  # the column without a name only counts the rows
        if (first := earlier.setdefault(key, row.number)) != row.number:
            report(
                Flaw(
                    path.name,
                    f"row {row.number}",
                    f"repeats row {first} to the letter",
                    "kept as a defect of its own, as published",
                )
            )
    for (column, value, label), numbers in sorted(variants.items()):
        report(
            Flaw(
                path.name,
                f"column '{column}', {rows_in_words(numbers)}",
                f"'{value}' stands for '{label}'",
                "read as that",
            )
        )
    several = [issue for issue, count in sorted(defects.items()) if count > 1]
    if several:
        report(
            Flaw(path.name, f"{len(several)} issues", f"have several rows ({sum(defects[i] for i in several)} in all)",
                 "each row is a defect of its own")
        )  # fmt: skip
    _report_tracker_labels(path, rows, report)
    labels += _issue_labels(references, source)
    repositories = _repositories(path, rows, references, report)
    return StudyTable(len(rows), repositories, _issues(rows, references), labels)


def read_set_aside_table(path: Path, source: SetAsideSource, report: Callable[[Flaw], None]) -> StudyTable:
    """Read the table of issues that were sampled and set aside as no reengineering defects.

    As published, its cells are shifted: the issue's number stands twice, so that everything between has moved by a column,
    the repository's type is lost and with it the tracker labels. Shifted rows are put right.
    """
    rows = list(read_csv(path, _COLUMNS))
    references = [_reference(row, report) for row in rows]
    shifted = [row for row in rows if row[_KIND] == row[_NUMBER] and row[_DAYS].endswith("Z")]
    if shifted:
        report(
            Flaw(
                path.name, rows_in_words([row.number for row in shifted], most=3),
                f"cells are shifted: '{_KIND}' holds the issue's number, '{_ISSUE_TIME}' the repository's time, "
                f"'{_DAYS}' the issue's time and '{_TRACKER_LABELS}' the days",
                "read from where they stand; the repository's type and the tracker labels are lost",
            )
        )  # fmt: skip
        if blank := [row.number for row in shifted if not row[_REPOSITORY_TIME]]:
            report(Flaw(path.name, rows_in_words(blank), f"'{_REPOSITORY_TIME}' is empty", f"taken from '{_ISSUE_TIME}'"))
    rows = [_unshift(row) if row in shifted else row for row in rows]
    repositories = _repositories(path, rows, references, report)
    return StudyTable(len(rows), repositories, _issues(rows, references), _issue_labels(references, source))


def _issues(rows: list[Row], references: list[IssueReference]) -> list[IssueFacts]:
    facts = {
        issue: IssueFacts(issue, row.time(_ISSUE_TIME), _tracker_labels(row[_TRACKER_LABELS]))
        for row, issue in zip(rows, references, strict=True)
    }
    return list(facts.values())


def _issue_labels(references: list[IssueReference], source: LabelTableSource | SetAsideSource) -> list[Label]:
    says = source.each_issue
    return [Label(issue, 0, says.facet, says.category, "", source.annotator, source.round) for issue in dict.fromkeys(references)]


def _unshift(row: Row) -> Row:
    cells = row.cells
    shifted = {
        _KIND: "",
        _REPOSITORY_TIME: cells[_ISSUE_TIME],
        _ISSUE_TIME: cells[_DAYS],
        _DAYS: cells[_TRACKER_LABELS],
        _TRACKER_LABELS: "",
    }
    return replace(row, cells=cells | shifted)


def _reference(row: Row, report: Callable[[Flaw], None]) -> IssueReference:
    issue, rest = row.issue(_URL)
    if rest:
        report(Flaw(row.path.name, f"row {row.number}", f"the issue's address ends in '{rest}'", "cut off"))
    said = f"{row[_OWNER]}/{row[_NAME]}#{row[_NUMBER].removesuffix(rest)}"
    if said != f"{issue.repository}#{issue.number}":
        report(
            Flaw(
                row.path.name,
                f"row {row.number}",
                f"the columns say {said}, the address {issue.url}",
                "the address was taken",
            )
        )
    return issue


def _repositories(
    path: Path, rows: list[Row], references: list[IssueReference], report: Callable[[Flaw], None]
) -> list[RepositoryFacts]:
    by_name: dict[str, list[Row]] = defaultdict(list)
    for row, issue in zip(rows, references, strict=True):
        by_name[issue.repository].append(row)
    facts: list[RepositoryFacts] = []
    for name, of_repository in by_name.items():
        said = {column: Counter(row[column] for row in of_repository) for column in (_KIND, _PROTOTYPE, _REPOSITORY_TIME)}
        one: dict[str, str] = {}
        for column, values in said.items():
            blank, given = values.pop("", 0), sorted(values)
            numbers = [row.number for row in of_repository]
            if blank and given:
                empty = [row.number for row in of_repository if not row[column]]
                report(
                    Flaw(
                        path.name,
                        rows_in_words(empty),
                        f"'{column}' is empty",
                        f"other rows of {name} say '{given[0]}'",
                    )
                )
            if len(given) > 1:
                report(
                    Flaw(
                        path.name,
                        rows_in_words(numbers),
                        f"'{column}' of {name} is both {' and '.join(given)}",
                        "left unknown",
                    )
                )
            one[column] = given[0] if len(given) == 1 else ""
        first = of_repository[0]
        if one[_KIND] and normalise(one[_KIND]) not in _KINDS:
            raise first.error(f"column '{_KIND}' holds '{one[_KIND]}', which is none of: Solo Repository, Zoo Repository.")
        facts.append(
            RepositoryFacts(
                name,
                kind=_KINDS.get(normalise(one[_KIND])),
                prototype=_YES_NO.get(normalise(one[_PROTOTYPE])),
                created_at=replace(first, cells=one).time(_REPOSITORY_TIME),
            )
        )
    return facts


def _tracker_labels(text: str) -> list[str] | None:
    """Read the tracker's labels, of which the table has three forms: `['a', 'b']`, `a, b` and `a; b`."""
    if normalise(text) in ("", "n/a"):
        return None
    return [part.strip(" '\"") for part in re.split(r"[,;]", text.strip("[]"))]


def _report_tracker_labels(path: Path, rows: list[Row], report: Callable[[Flaw], None]) -> None:
    lists = sum(row[_TRACKER_LABELS].startswith("[") for row in rows)
    unknown = sum(_tracker_labels(row[_TRACKER_LABELS]) is None for row in rows)
    others = len(rows) - lists - unknown
    if lists and others:
        report(
            Flaw(
                path.name, f"column '{_TRACKER_LABELS}'",
                f"tracker labels are written as a list in {lists} rows, separated by commas or semicolons in {others}, "
                f"and empty or n/a in {unknown}",
                "all forms read; empty and n/a mean not known",
            )
        )  # fmt: skip
