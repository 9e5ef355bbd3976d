from pathlib import Path

import pytest

from pipeline.documents import Document, read_toml, read_yaml
from pipeline.errors import RedefectError


class Inner(Document):
    size: int
    name: str = ""


class Outer(Document):
    title: str
    inner: Inner | None = None
    many: list[Inner] = []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("title = 'a'\n\n[inner]\nsize = 'x'\n", "4: inner.size: Input should be a valid integer."),
        ("title = 'a'\n[inner]\nsize = 1\ncolour = 2\n", "4: inner.colour: unknown key; known here: size, name."),
        (
            "title = 'a'\n[[many]]\nsize = 1\n[[many]]\nsize = 2\nzise = 3\n",
            "6: many.1.zise: unknown key; known here: size, name.",
        ),
        ("title = 'a'\n[[many]]\nname = 'x'\n", "2: many.0.size: this key is required."),
        ("titel = 'a'\n", "1: title: this key is required (1 more after it)."),
        ("title = \n", ": not valid TOML: Invalid value (at line 1, column 9)."),
    ],
)
def test_an_error_in_toml_names_file_line_and_key(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "a.toml"
    path.write_text(text)
    with pytest.raises(RedefectError) as caught:
        read_toml(path, Outer)
    assert str(caught.value).removeprefix(f"{path}").removeprefix(":").strip() == sentence.removeprefix(":").strip()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("title: a\ninner:\n  size: x\n", ":3: inner.size: Input should be a valid integer."),
        ("title: a\nmany:\n  - {size: 1}\n  - {size: 2, zise: 3}\n", ":4: many.1.zise: unknown key; known here: size, name."),
        ("title: a\nmany:\n  - {size: 1}\n  - {name: b}\n", ":4: many.1.size: this key is required."),
        ("title: [a\n", ":2: not valid YAML: "),
        ("title: !!python/object:os.system x\n", ":1: not valid YAML: could not determine a constructor"),
        ("title: a\x07\n", ": not valid YAML: unacceptable character"),
        ("[]", ":1: Input should be a valid dictionary or instance of Outer."),
    ],
)
def test_an_error_in_yaml_names_file_line_and_key(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(RedefectError) as caught:
        read_yaml(path, Outer)
    assert str(caught.value).startswith(f"{path}{sentence}")


def test_a_missing_an_unreadable_and_a_wrongly_encoded_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(RedefectError, match=r"none\.toml: there is no such file"):
        read_toml(tmp_path / "none.toml", Outer)
    with pytest.raises(RedefectError, match="cannot be read"):
        read_toml(tmp_path, Outer)
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b"title = 'caf\xe9'")
    with pytest.raises(RedefectError, match="byte 12 is not UTF-8"):
        read_toml(latin, Outer)
