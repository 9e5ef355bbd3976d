"""Codings of interviews by reference: a CSV file with a row a code, without any word that was said."""

from collections.abc import Mapping
from pathlib import Path

from pipeline.collect.tables import read_csv
from pipeline.collect.transcripts import INTERVIEWER
from pipeline.facts import Coding
from pipeline.themes import Themes

COLUMNS = ["transcript", "turn", "coder", "kind", "theme", "phase", "confidence"]


def read_codings(path: Path, themes: Themes, roles: Mapping[tuple[str, int], str]) -> list[Coding]:
    """Read codings, in the file's order.

    Parameters
    ----------
    roles
        Of each turn of the transcripts (name and number) what its speaker is; empty if the transcripts are not at hand, and
        then no reference is checked.

    Raises
    ------
    RedefectError
        If a row has an unknown kind, theme or phase, names no turn or one that is not there, codes what the interviewer or
        nobody says, or repeats an earlier row.
    """
    transcripts = sorted({transcript for transcript, _ in roles})
    codings: list[Coding] = []
    rows: dict[tuple[str, int, str, str], int] = {}
    for row in read_csv(path, COLUMNS):
        for column in ("transcript", "coder"):
            if not row[column]:
                raise row.error(f"column '{column}' is empty; name the {column}.")
        if not row["turn"].isdecimal() or not row["turn"].isascii() or int(row["turn"]) < 1:
            raise row.error(f"'{row['turn']}' is no turn; turns are whole numbers, counted from 1, the interviewer's included.")
        theme = themes.theme(row["theme"], row.place)
        if row["kind"] != theme.kind:
            raise row.error(f"theme '{theme.id}' is a {theme.kind}, no '{row['kind']}'; correct one of the two.")
        phase = themes.phase(row["phase"], row.place).id if row["phase"] else None
        coding = Coding(row["transcript"], int(row["turn"]), row["coder"], theme.kind, theme.id, phase, row["confidence"] or None)
        if roles:
            if coding.transcript not in transcripts:
                raise row.error(f"there is no transcript '{coding.transcript}'; there are {', '.join(transcripts)}.")
            role = roles.get((coding.transcript, coding.turn))
            if role is None:
                last = max(turn for transcript, turn in roles if transcript == coding.transcript)
                raise row.error(f"'{coding.transcript}' has no turn {coding.turn}; its last one is {last}.")
            if role in (INTERVIEWER, ""):
                whose = "the interviewer's" if role else "nobody's: it stands before the first speaker"
                raise row.error(f"turn {coding.turn} of '{coding.transcript}' is {whose}; code turns of those who answer.")
        place = (coding.transcript, coding.turn, coding.coder, coding.theme)
        if (earlier := rows.setdefault(place, row.number)) != row.number:
            raise row.error(f"says once more what row {earlier} says of the same turn; remove one of the two.")
        codings.append(coding)
    return codings
