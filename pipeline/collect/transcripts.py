"""Transcripts of interviews: text files, an interview a file, read into turns whose speakers' roles are known."""

import re
from collections.abc import Mapping
from pathlib import Path

from pipeline.documents import read_text
from pipeline.errors import RedefectError
from pipeline.facts import Turn
from pipeline.study import Role, TranscriptsSource

INTERVIEWER = "interviewer"

_ROLES: tuple[Role, ...] = ("leader", "contributor", "practitioner")
_SPEAKER = re.compile(r"^(Interviewer|(?:Leader|Contributor|Practitioner|Speaker) ?\d+) ?[:：]", re.MULTILINE)
_LINE_END = re.compile(r"\r\n?")


def read_transcripts(folder: Path, source: TranscriptsSource) -> list[Turn]:
    """Read the transcripts of a folder, sorted by their names, turns in the order in which they were spoken.

    A transcript goes by its file's name without the ending. A turn begins where a line begins with `Interviewer:`, or with
    `Leader`, `Contributor`, `Practitioner` or `Speaker`, a number and a colon; the space before the number may be missing, and
    what is said follows on the same line or on the next. Text before the first of these is a turn, too, of nobody.

    Raises
    ------
    RedefectError
        If there is no transcript, one is no text or names no speaker, or it is not known what a speaker is.
    """
    paths = sorted(folder.glob("*.txt"))
    if not paths:
        raise RedefectError(f"{folder}: holds no transcript; put text files there, an interview a file, that end in .txt.")
    if strange := sorted(set(source.roles) - {path.stem for path in paths}):
        known = ", ".join(path.stem for path in paths)
        raise RedefectError(f"{folder}: has no transcript '{strange[0]}', whose roles the study file tells; it has {known}.")
    return [turn for path in paths for turn in _turns(path, source)]


def split_turns(text: str) -> list[tuple[str, str]]:
    """Split a transcript into turns, each with who speaks (empty for what stands before the first) and what is said.

    Kinds of line ends, and white space around what is said, do not matter.
    """
    text = _LINE_END.sub("\n", text.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}"))
    begins = list(_SPEAKER.finditer(text))
    starts = [*(match.start() for match in begins), len(text)]
    before = text[: starts[0]].strip()
    turns = [("", before)] if before else []
    return turns + [(match[1], text[match.end() : end].strip()) for match, end in zip(begins, starts[1:], strict=True)]


def _turns(path: Path, source: TranscriptsSource) -> list[Turn]:
    said = split_turns(read_text(path))
    if not any(speaker for speaker, _ in said):
        raise RedefectError(
            f"{path}: names no speaker; each turn begins with 'Interviewer:', or with 'Leader 1:', 'Contributor 1:', "
            "'Practitioner 1:' or 'Speaker 1:', at the beginning of a line."
        )
    roles = {speaker: _role(path, speaker, source.interviewer, source.roles) for speaker, _ in said}
    return [Turn(path.stem, i, speaker, roles[speaker], text) for i, (speaker, text) in enumerate(said, start=1)]


def _role(path: Path, speaker: str, interviewer: str, roles: Mapping[str, Role]) -> str:
    """Tell what a speaker is: by the name the transcript gives, by the study file, and by the name of the transcript."""
    if not speaker:
        return ""
    if _squeezed(speaker) in (INTERVIEWER, _squeezed(interviewer)):
        return INTERVIEWER
    if path.stem in roles:
        return roles[path.stem]
    found = role_in(speaker) or role_in(path.stem)
    if found is None:
        raise RedefectError(
            f"{path}: nothing tells what '{speaker}' is; name '{path.stem}' in `roles` of the study file's transcripts, as "
            f"{', '.join(_ROLES[:-1])} or {_ROLES[-1]}."
        )
    return found


def role_in(name: str) -> Role | None:
    """Return the role that the name of a speaker or of a transcript tells, if it tells one."""
    return next((role for role in _ROLES if role in name.casefold()), None)


def _squeezed(name: str) -> str:
    return name.replace(" ", "").casefold()
