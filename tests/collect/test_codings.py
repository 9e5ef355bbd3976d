from pathlib import Path

import pytest
from conftest import CHECKOUT

from pipeline.collect.codings import COLUMNS, read_codings
from pipeline.errors import RedefectError
from pipeline.themes import Themes, read_themes

ROLES = {("talk", 1): "", ("talk", 2): "interviewer", ("talk", 3): "leader", ("talk", 4): "leader"}


@pytest.fixture(scope="module")
def themes() -> Themes:
    return read_themes(CHECKOUT / "taxonomy" / "challenges.yaml")


def write(folder: Path, *rows: str) -> Path:
    path = folder / "codings.csv"
    path.write_text("\n".join([",".join(COLUMNS), *rows, ""]))
    return path


def test_codings_are_read_by_reference(tmp_path: Path, themes: Themes) -> None:
    path = write(tmp_path, "talk,3,me,challenge,portability,modeling,high", "talk,3,you,challenge,portability,,")
    first, second = read_codings(path, themes, ROLES)
    assert (first.transcript, first.turn, first.coder, first.theme, first.phase) == ("talk", 3, "me", "portability", "modeling")
    assert (second.phase, second.confidence) == (None, None)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("talk,3,me,challenge,portabilty,modeling,", "row 3: 'portabilty' is no theme; there are"),
        ("talk,3,me,challenge,portabilty,modeling,", "Did you mean 'portability'?"),
        ("talk,3,me,practice,portability,modeling,", "row 3: theme 'portability' is a challenge, no 'practice'"),
        ("talk,3,me,challenge,portability,modelling,", "row 3: 'modelling' is no phase"),
        ("tlak,3,me,challenge,portability,,", "row 3: there is no transcript 'tlak'; there are talk."),
        ("talk,5,me,challenge,portability,,", "row 3: 'talk' has no turn 5; its last one is 4."),
        ("talk,0,me,challenge,portability,,", "row 3: '0' is no turn"),
        ("talk,2,me,challenge,portability,,", "row 3: turn 2 of 'talk' is the interviewer's"),
        ("talk,1,me,challenge,portability,,", "row 3: turn 1 of 'talk' is nobody's"),
        ("talk,4,me,challenge,portability,,", "row 3: says once more what row 2 says of the same turn"),
        ("talk,3,,challenge,portability,,", "row 3: column 'coder' is empty"),
    ],
)
def test_a_row_that_is_wrong_is_named(tmp_path: Path, themes: Themes, row: str, sentence: str) -> None:
    with pytest.raises(RedefectError) as caught:
        read_codings(write(tmp_path, "talk,4,me,challenge,portability,training,low", row), themes, ROLES)
    assert sentence in str(caught.value)


def test_without_transcripts_references_are_taken_as_they_are(tmp_path: Path, themes: Themes) -> None:
    assert len(read_codings(write(tmp_path, "tlak,99,me,challenge,portability,,"), themes, {})) == 1


def test_the_project_s_codings_are_read(themes: Themes) -> None:
    codings = read_codings(CHECKOUT / "data" / "annotations" / "interview-codings.csv", themes, {})
    said = {coder: {(c.transcript, c.turn, c.theme) for c in codings if c.coder == coder} for coder in ("coder-1", "coder-2")}
    assert [len(codes) for codes in said.values()] == [424, 421]
    assert len(said["coder-1"] & said["coder-2"]) == 381
