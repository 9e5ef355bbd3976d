from pathlib import Path

import pytest
from conftest import CHECKOUT
from hypothesis import given
from hypothesis import strategies as st

from pipeline.collect.transcripts import read_transcripts, split_turns
from pipeline.errors import RedefectError
from pipeline.study import TranscriptsSource

SPEAKERS = st.one_of(
    st.just("Interviewer"),
    st.builds("{}{}{}".format, st.sampled_from(["Leader", "Contributor", "Practitioner", "Speaker"]), st.sampled_from(["", " "]),
              st.integers(1, 12)),
)  # fmt: skip
LINES = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff"), max_size=40)
SAID = st.lists(LINES, max_size=4).map("\n".join).map(str.strip).filter(lambda text: not any(s for s, _ in split_turns(text)))


def source(**more: object) -> TranscriptsSource:
    return TranscriptsSource.model_validate({"kind": "transcripts", "path": "x", **more})


@given(before=SAID, turns=st.lists(st.tuples(SPEAKERS, SAID), min_size=1), glue=st.sampled_from([" ", "\n", ""]),
       end=st.sampled_from(["\n", "\r\n", "\r"]), between=st.integers(1, 3))  # fmt: skip
def test_turns_that_are_written_in_any_of_the_forms_are_read_again(
    before: str, turns: list[tuple[str, str]], glue: str, end: str, between: int
) -> None:
    written = [f"{speaker}:{glue}{text}" for speaker, text in turns]
    text = ("\n" * between).join([*([before] if before else []), *written])
    read = split_turns(text.replace("\n", end))
    assert read == ([("", before)] if before else []) + turns


def test_a_speaker_within_a_line_begins_no_turn() -> None:
    assert split_turns("Speaker 1: I said\nLeader: and Speaker 2: no") == [("Speaker 1", "I said\nLeader: and Speaker 2: no")]


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    return folder


def test_roles_come_from_the_speaker_from_the_study_file_and_from_the_file_s_name(tmp_path: Path) -> None:
    write(
        tmp_path,
        a_leader1="A note.\nInterviewer:\nWhy?\nLeader 2: Because.",
        b_practitioner1="Speaker1: Why?\nSpeaker2: 因为。",
        c_practitioner2="Speaker 1: Why?\nSpeaker 2: Because.",
    )
    turns = read_transcripts(tmp_path, source(roles={"c_practitioner2": "contributor"}))
    assert [(t.transcript, t.turn, t.role, t.text) for t in turns] == [
        ("a_leader1", 1, "", "A note."), ("a_leader1", 2, "interviewer", "Why?"), ("a_leader1", 3, "leader", "Because."),
        ("b_practitioner1", 1, "interviewer", "Why?"), ("b_practitioner1", 2, "practitioner", "因为。"),
        ("c_practitioner2", 1, "interviewer", "Why?"), ("c_practitioner2", 2, "contributor", "Because."),
    ]  # fmt: skip
    asked = [t.speaker for t in read_transcripts(tmp_path, source(interviewer="Speaker 2")) if t.role == "interviewer"]
    assert asked == ["Interviewer", "Speaker2", "Speaker 2"]


@pytest.mark.parametrize(
    ("name", "text", "more", "sentence"),
    [
        ("talk", "Speaker 1: Why?\nSpeaker 2: So.", {}, "talk.txt: nothing tells what 'Speaker 2' is; name 'talk' in `roles`"),
        ("talk", "No speaker at all.", {}, "talk.txt: names no speaker; each turn begins with"),
        ("talk", "Leader 1: So.", {"roles": {"tlak": "leader"}}, "has no transcript 'tlak', whose roles the study file tells"),
    ],
)
def test_what_cannot_be_told_is_one_sentence(
    tmp_path: Path, name: str, text: str, more: dict[str, object], sentence: str
) -> None:
    with pytest.raises(RedefectError) as caught:
        read_transcripts(write(tmp_path, **{name: text}), source(**more))
    assert sentence in str(caught.value)


def test_a_folder_without_transcripts_and_a_file_that_is_no_text_are_named(tmp_path: Path) -> None:
    with pytest.raises(RedefectError, match="holds no transcript"):
        read_transcripts(tmp_path, source())
    (tmp_path / "leader.txt").write_bytes(b"Leader 1: \xff")
    with pytest.raises(RedefectError, match=r"leader\.txt: byte 10 is not UTF-8"):
        read_transcripts(tmp_path, source())


def test_the_demo_s_interviews_begin_their_turns_in_different_ways() -> None:
    turns = read_transcripts(CHECKOUT / "data" / "demo" / "interviews", source())
    assert {t.speaker for t in turns} == {
        "",
        "Interviewer",
        "Leader 1",
        "Contributor 1",
        "Speaker 1",
        "Speaker 2",
        "Speaker1",
        "Speaker2",
    }
    assert {t.role for t in turns} == {"", "interviewer", "leader", "contributor", "practitioner"}


def test_the_study_s_transcripts_are_read(study_data: Path) -> None:
    turns = read_transcripts(study_data / "transcripts", source())
    assert len({t.transcript for t in turns}) == 11
    assert len(turns) == 1128
    assert sum(t.role == "interviewer" for t in turns) == 524
    assert len({(t.transcript, t.speaker) for t in turns if t.role == "leader"}) == 6
