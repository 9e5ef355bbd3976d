"""Adjudication at work: the worklist of a round from the store, and its decisions into a round of their own."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pipeline.annotate.adjudication import Case, cases, decide
from pipeline.annotate.annotation import Annotation, answered, check
from pipeline.annotate.batches import check_name
from pipeline.annotate.filled_sheets import read_annotation_file
from pipeline.annotate.worklist import Machine, read_worklist, to_csv, to_xlsx
from pipeline.annotating import keep_annotations
from pipeline.errors import RedefectError
from pipeline.facts import IssueReference
from pipeline.files import sha256
from pipeline.importing import ignore
from pipeline.store import read
from pipeline.store.predictions import guesses
from pipeline.store.session import Store
from pipeline.study import Study


def open_cases(store: Store, study: Study, of_round: str, annotator: str, round_: str, model: Path) -> tuple[list[Case], Machine]:
    """Return what is still to be decided of what was labelled in a round, and what a model guesses of the same issues.

    Parameters
    ----------
    annotator, round_
        As whose labels, and in which round, the decisions will count: what is decided there already is left out.

    Raises
    ------
    RedefectError
        If nothing was labelled in this round.
    """
    decided = {a.issue for a in _decided_before(study, _file(study, of_round, annotator, round_))}
    found = [
        case
        for case in cases(_annotations(store, study, of_round), study.read_taxonomy(), study.seeds.sample)
        if case.questions and case.issue not in decided
    ]
    with store.reading() as connection:
        return found, guesses(connection, sha256(model), [case.issue for case in found])


def worklist_file(found: Sequence[Case], study: Study, round_: str, machine: Machine, tool: str) -> bytes:
    """Return a worklist as a file of this kind: xlsx or csv.

    Raises
    ------
    RedefectError
        If it is none of these.
    """
    writers = {"xlsx": to_xlsx, "csv": to_csv}
    if tool not in writers:
        raise RedefectError(f"--tool: '{tool}' is none of xlsx, csv.")
    return writers[tool](found, study.name, round_, study.read_taxonomy(), machine)


def import_decisions(store: Store, study: Study, path: Path, annotator: str, round_: str) -> tuple[int, int, Path]:
    """Keep what all agree on and what was decided as a round of its own, in the study's annotation files and the store.

    A worklist that is decided in part can be imported, and again when it is done; what was decided before stays, unless this
    worklist decides it anew.

    Parameters
    ----------
    annotator, round_
        As whose labels, and in which round, the decisions count.

    Returns
    -------
    How many issues are settled and how many still open, and the annotation file.

    Raises
    ------
    RedefectError
        If the worklist is wrong, or labels have changed since it was written; files and store are as they were then.
    """
    taxonomy = study.read_taxonomy()
    of_round, decisions = read_worklist(path, study.name, taxonomy)
    if of_round == round_:
        raise RedefectError(f"{path}: is of round '{round_}'; decisions need a round of their own, give its name by --into.")
    found = cases(_annotations(store, study, of_round), taxonomy, study.seeds.sample)
    settled = decide(found, decisions, taxonomy, annotator, round_)
    file = _file(study, of_round, annotator, round_)
    before = {a.issue: a for a in _decided_before(study, file)}
    together = before | {a.issue: a for a in settled}
    asked = taxonomy.only(answered(together.values()))
    for said in together.values():
        check(said, asked, str(path))
    digest = {path.name: sha256(path)}
    keep_annotations(store, study, {file: [a for _, a in sorted(together.items())]}, "annotate decide", digest)
    return len(together), len({case.issue for case in found} - together.keys()), file


def _file(study: Study, of_round: str, annotator: str, round_: str) -> Path:
    """Return where decisions are kept; names come from worklists and labels of others, and must not lead elsewhere."""
    check_name(annotator, "an annotator")
    check_name(of_round, "a round")
    check_name(round_, "a round")
    return study.annotations / f"{of_round}-{round_}" / f"{annotator}.csv"


def _decided_before(study: Study, file: Path) -> list[Annotation]:
    return read_annotation_file(file, study.read_taxonomy(), ignore) if file.exists() else []


def _annotations(store: Store, study: Study, round_: str) -> list[Annotation]:
    """Return what annotators said in a round, from whatever source it came."""
    with store.reading() as connection:
        labels = read.labels(connection, study.name)
        remarks = read.remarks(connection, study.name)
    of_round = labels[labels["round"] == round_]
    if of_round.empty:
        known = ", ".join(sorted(labels["round"].unique())) or "none"
        raise RedefectError(
            f"Nothing in the store was labelled in round '{round_}' of study '{study.name}'; its rounds: {known}."
        )
    noted = remarks[remarks["round"] == round_]
    discuss = {place for place, said in zip(_places(noted), noted["discuss"], strict=True) if said}
    notes = dict(zip(_places(noted), noted["note"], strict=True))
    answers: dict[tuple[str, int, str], dict[int, dict[str, str]]] = {}
    for place, defect, facet, category in zip(
        _places(of_round), of_round["defect"], of_round["facet"], of_round["category"], strict=True
    ):
        answers.setdefault(place, {}).setdefault(int(defect), {})[facet] = category
    return [
        Annotation(
            IssueReference(repository, number),
            annotator,
            round_,
            said.pop(0, {}),
            tuple(of for _, of in sorted(said.items())),
            discuss=(repository, number, annotator) in discuss,
            note=notes.get((repository, number, annotator), ""),
        )
        for (repository, number, annotator), said in sorted(answers.items())
    ]


def _places(frame: pd.DataFrame) -> list[tuple[str, int, str]]:
    return list(zip(frame["repository"], frame["number"].astype(int), frame["annotator"], strict=True))
