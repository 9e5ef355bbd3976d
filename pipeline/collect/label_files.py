"""Labels by reference: a CSV file with a row a label, without any issue's text."""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from pipeline.collect.tables import read_csv, rows_in_words
from pipeline.facts import Flaw, IssueReference, Label
from pipeline.taxonomy import Taxonomy, normalise

COLUMNS = ["repository", "number", "defect", "facet", "category", "annotator", "round", "confidence"]


def read_labels(path: Path, taxonomy: Taxonomy, report: Callable[[Flaw], None]) -> list[Label]:
    """Read labels, in the file's order; spellings other than the taxonomy's own are reported.

    Raises
    ------
    RedefectError
        If a row has an unknown facet or category, no valid reference, or repeats an earlier row's place.
    """
    labels: list[Label] = []
    places: dict[tuple[object, ...], int] = {}
    variants: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for row in read_csv(path, COLUMNS):
        facet = taxonomy.facet(row["facet"], f"{path}: row {row.number}")
        category = facet.canonicalise(row["category"], f"{path}: row {row.number}")
        if row["repository"].count("/") != 1:
            raise row.error(f"'{row['repository']}' is no repository; write owner/name.")
        if not (row["number"].isdecimal() and row["defect"].isdecimal()):
            raise row.error("number and defect must be whole numbers, counted from 1.")
        for column in ("annotator", "round"):
            if not row[column]:
                raise row.error(f"column '{column}' is empty; name who made the label, and in which round.")
        label = Label(
            issue=IssueReference(row["repository"], int(row["number"])),
            defect=0 if facet.level == "issue" else int(row["defect"]),
            facet=facet.id,
            category=category,
            value=row["category"],
            annotator=row["annotator"],
            round=row["round"],
            confidence=row["confidence"] or None,
        )
        place = (label.issue, label.defect, label.facet, label.annotator, label.round)
        if (earlier := places.setdefault(place, row.number)) != row.number:
            raise row.error(f"says once more what row {earlier} says of the same defect and facet; remove one of the two.")
        if normalise(label.value) not in (category, normalise(facet.label(category))):
            variants[facet.id, label.value, category].append(row.number)
        labels.append(label)
    for (facet_id, value, category), numbers in sorted(variants.items()):
        report(Flaw(path.name, rows_in_words(numbers), f"'{value}' stands for {facet_id} '{category}'", "read as that"))
    return labels
