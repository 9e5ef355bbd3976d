import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.errors import RedefectError
from pipeline.pseudonym_key import KEY_VARIABLE, pseudonym_key
from pipeline.study import Study, read_study

KEY = "a key that is long enough for anybody"


@pytest.fixture
def study(root: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """A study of real people, none of whose files of keys is there."""
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    return read_study(root / "data" / "studies" / "cv-reengineering.toml")


@pytest.fixture
def kept(study: Study) -> Path:
    return study.root / "data" / "keys" / "pseudonyms.key"


def test_the_key_is_made_at_first_use_for_its_owner_alone_and_stays(study: Study, kept: Path) -> None:
    key = pseudonym_key(study)
    assert len(key) == 64
    assert pseudonym_key(study) == key == kept.read_bytes().strip()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert list(kept.parent.iterdir()) == [kept]


def test_two_studies_roots_have_keys_of_their_own(study: Study, kept: Path) -> None:
    first = pseudonym_key(study)
    kept.unlink()
    assert pseudonym_key(study) != first


def test_who_makes_it_at_the_same_time_gets_the_same_key(study: Study) -> None:
    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(pseudonym_key, [study] * 16))) == 1


def test_a_key_in_the_environment_comes_first_and_makes_no_file(
    study: Study, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, f" {KEY}\n")
    assert pseudonym_key(study) == KEY.encode()
    assert not kept.exists()


def test_the_key_of_a_file_can_be_given_in_the_environment_elsewhere(
    study: Study, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = pseudonym_key(study)
    monkeypatch.setenv(KEY_VARIABLE, kept.read_text())
    kept.unlink()
    assert pseudonym_key(study) == key


@pytest.mark.parametrize("given", ["", "a" * 31, " " * 40])
def test_a_short_key_is_refused_and_not_shown(study: Study, given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, given)
    with pytest.raises(RedefectError, match=f"The key in {KEY_VARIABLE} has fewer than 32 characters") as refused:
        pseudonym_key(study)
    assert "aaaa" not in str(refused.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_file_that_others_may_read_or_change_is_refused(study: Study, kept: Path, mode: int) -> None:
    key = pseudonym_key(study).decode()
    kept.chmod(mode)
    with pytest.raises(RedefectError, match=r"pseudonyms\.key: others may read or change .* run chmod 600") as refused:
        pseudonym_key(study)
    assert key not in str(refused.value)


@pytest.mark.parametrize(("content", "said"), [(b"short\n", "fewer than 32"), (b"\xff" * 40, "is no key of pseudonyms")])
def test_a_damaged_file_is_refused(study: Study, kept: Path, content: bytes, said: str) -> None:
    pseudonym_key(study)
    kept.write_bytes(content)
    with pytest.raises(RedefectError, match=rf"pseudonyms\.key: .*{said}"):
        pseudonym_key(study)


def test_a_folder_that_cannot_be_made_is_told_in_a_sentence(study: Study, kept: Path) -> None:
    kept.parent.write_text("in the way")
    with pytest.raises(RedefectError, match="cannot be written"):
        pseudonym_key(study)


def test_a_fictional_study_has_the_same_key_everywhere(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    demo = read_study(root / "data" / "studies" / "demo.toml")
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    assert pseudonym_key(demo) == b"the people of a fictional study have nothing to hide"
    assert not (root / "data" / "keys").exists()
