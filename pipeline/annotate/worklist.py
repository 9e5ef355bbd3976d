"""The worklist of an adjudicator: a row a question, with what annotators said and noted, and the machine's view last."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from pipeline.annotate.adjudication import DROP, EXISTS, KEEP, Case, Decision, Question
from pipeline.annotate.sheets import CATEGORIES, categories_sheet, csv_table
from pipeline.annotate.workbooks import Column, TableSheet, table_xlsx
from pipeline.collect.spreadsheets import read_spreadsheet
from pipeline.collect.tables import Row
from pipeline.errors import RedefectError
from pipeline.facts import IssueReference
from pipeline.taxonomy import Taxonomy

Machine = Mapping[IssueReference, Mapping[str, tuple[str, float]]]
"""What a model guesses by issue and facet, and how likely that is; see `pipeline.store.predictions.guesses`."""

_SHEET = "Worklist"
_EXISTS = "Is there such a defect?"
_KEYS = ("Study", "Round", "Repository", "Number", "Defect", "Question", "Decision", "Reason")


def to_xlsx(cases: Sequence[Case], study: str, round_: str, taxonomy: Taxonomy, machine: Machine) -> bytes:
    """Return the questions as a workbook; each decision has the list of its own facet's categories."""
    categories, ranges = categories_sheet(taxonomy)
    questions = _questions(cases)
    titles = _titles(questions)
    widths = {"Repository": 26, "Number": 9, "Defect": 7, "Link": 40, "Question": 24, "Notes": 40, "Machine": 30}
    asked = {"Decision": 30, "Reason": 50}
    widths |= {title: 30 for title in titles if title.startswith("Label")} | asked
    columns = [Column(t, widths.get(t, 10), asked=t in asked, linked=t == "Link") for t in titles]
    rows = [
        [int(row[title]) if title in ("Number", "Defect") else row[title] for title in titles]
        for row in _rows(cases, study, round_, taxonomy, machine)
    ]
    choices = {
        (index, "Decision"): _labels(question, taxonomy)
        if question.facet == EXISTS or len(question.choices) < len(taxonomy.facet(question.facet).choices)
        else ranges[question.facet]
        for index, question in enumerate(questions)
    }
    sheet = TableSheet(_SHEET, columns, rows, choices, frozen=titles.index("Number") + 1)
    return table_xlsx([sheet, categories])


def to_csv(cases: Sequence[Case], study: str, round_: str, taxonomy: Taxonomy, machine: Machine) -> bytes:
    """Return the questions as CSV that spreadsheet programs read as UTF-8."""
    rows = _rows(cases, study, round_, taxonomy, machine)
    return b"\xef\xbb\xbf" + csv_table(_titles(_questions(cases)), rows)


def read_worklist(path: Path, study: str, taxonomy: Taxonomy) -> tuple[str, list[Decision]]:
    """Return the round of a worklist, and what was decided in it.

    Raises
    ------
    RedefectError
        If the file is no worklist, or one of another study, or a cell holds what it may not; the sentence names the cell.
    """
    sheets = read_spreadsheet(path, {title: [] for title in _KEYS}, [CATEGORIES])
    decisions: dict[tuple[IssueReference, int, str], Decision] = {}
    round_ = ""
    for row in (row for rows in sheets.values() for row in rows):
        if row["Study"] != study:
            raise row.error(f"is a worklist of study '{row['Study']}', not of '{study}'; give that study by --study.", "Study")
        if round_ not in ("", row["Round"]):
            raise row.error(f"is of round '{row['Round']}', and rows before it of '{round_}'; a worklist has one.", "Round")
        round_ = row["Round"]
        decision = _decision(row, taxonomy)
        if decision is None:
            continue
        if decisions.setdefault((decision.issue, decision.defect, decision.facet), decision) != decision:
            raise row.error("decides otherwise what a row before it decides; remove one of the two.", "Decision")
    if not round_:
        raise RedefectError(f"{path}: holds no row of a worklist; write one by `redefect annotate adjudicate`.")
    return round_, list(decisions.values())


def _decision(row: Row, taxonomy: Taxonomy) -> Decision | None:
    if not row["Decision"]:
        return None
    if row["Repository"].count("/") != 1:
        raise row.error(f"'{row['Repository']}' is no repository; put back what the worklist said.", "Repository")
    for title in ("Number", "Defect"):
        if not row[title].isdecimal():
            raise row.error(f"'{row[title]}' is no whole number; put back what the worklist said.", title)
    issue, defect = IssueReference(row["Repository"], int(row["Number"])), int(row["Defect"])
    if row["Question"] == _EXISTS:
        said = row["Decision"].casefold()
        if said not in (KEEP, DROP):
            raise row.error(f"'{row['Decision']}' is neither '{KEEP}' nor '{DROP}'.", "Decision")
        return Decision(issue, defect, EXISTS, said, row["Reason"], row.place)
    facet = next((f for f in taxonomy.facets if f.title == row["Question"]), None)
    if facet is None:
        raise row.error(f"'{row['Question']}' is no question; put back what the worklist said.", "Question")
    category = facet.find(row["Decision"])
    known = {c.id for c in facet.choices}
    if category not in known:
        near = ", ".join(facet.label(c) for c in facet.nearest(row["Decision"], 6) if c in known)
        raise row.error(f"'{row['Decision']}' is no category that may be chosen; nearest are {near}.", "Decision")
    return Decision(issue, defect, facet.id, str(category), row["Reason"], row.place)


def _questions(cases: Iterable[Case]) -> list[Question]:
    return [question for case in cases for question in case.questions]


def _titles(questions: Sequence[Question]) -> list[str]:
    labels = [f"Label {n}" for n in range(1, max((len(q.said) for q in questions), default=0) + 1)]
    return [*_KEYS[:4], "Link", *_KEYS[4:6], *labels, "Notes", *_KEYS[6:], "Machine"]


def _labels(question: Question, taxonomy: Taxonomy) -> list[str]:
    if question.facet == EXISTS:
        return list(question.choices)
    return [taxonomy.facet(question.facet).label(category) for category in question.choices]


def _rows(cases: Sequence[Case], study: str, round_: str, taxonomy: Taxonomy, machine: Machine) -> Iterator[dict[str, str]]:
    empty = dict.fromkeys(_titles(_questions(cases)), "")
    for case in cases:
        for question in case.questions:
            guess = machine.get(case.issue, {}).get(question.facet) if question.defect < 2 else None
            facet = None if question.facet == EXISTS else taxonomy.facet(question.facet)
            said = question.said if facet is None else [facet.label(category) for category in question.said]
            yield empty | {
                "Study": study,
                "Round": round_,
                "Repository": case.issue.repository,
                "Number": str(case.issue.number),
                "Link": case.issue.url,
                "Defect": str(question.defect),
                "Question": facet.title if facet else _EXISTS,
                **{f"Label {n}": label for n, label in enumerate(said, start=1)},
                "Notes": "\n".join(case.notes),
                "Decision": facet.label(question.proposed) if facet and question.proposed else question.proposed,
                "Machine": f"{facet.label(guess[0])} ({guess[1]:.2f})" if facet and guess and guess[0] in facet.ids else "",
            }
