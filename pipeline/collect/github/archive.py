"""The archive of a crawl: each answer as it came, so that a store can be rebuilt without the network.

A folder: `answers.jsonl` tells in order what was asked and the SHA-256 of what came back; `texts/` holds each text once,
compressed, under its hash. Headers are not kept, but for the two that tell how a listing goes on and when it changed; so
there is no credential in it. Replayed in order, the answers give the same store, however the crawl was interrupted.
"""

import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.collect.github.questions import QUESTION, Page, Question
from pipeline.errors import RedefectError
from pipeline.files import explained, write

_HEADERS = ("etag", "link")


class Archive:
    """An archive that answers are added to.

    Parameters
    ----------
    folder
        Made when it is missing. A last line that was cut off when a crawl was killed is taken away.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._index = folder / "answers.jsonl"
        with explained(self._index):
            folder.mkdir(parents=True, exist_ok=True)
            if self._index.exists():
                with self._index.open("rb+") as file:
                    content = file.read()
                    file.truncate(content.rfind(b"\n") + 1)

    def add(self, question: Question, text: str, headers: Mapping[str, str]) -> None:
        """Add an answer; when this returns, it is there whatever happens to this process."""
        content = text.encode()
        digest = hashlib.sha256(content).hexdigest()
        path = _path(self._folder, digest)
        if not path.exists():
            write(path, gzip.compress(content, mtime=0))
        kept = {name: headers[name] for name in _HEADERS if name in headers}
        entry = {"question": question.model_dump(mode="json"), "headers": kept, "sha256": digest}
        line = json.dumps(entry, ensure_ascii=False, separators=(", ", ": ")).encode() + b"\n"
        with explained(self._index), self._index.open("ab") as file:
            file.write(line)


def read_archive(folder: Path) -> Iterator[tuple[Question, Page]]:
    """Yield the questions and answers of an archive in their order.

    Raises
    ------
    RedefectError
        If there is none, a line is no entry, or a text is missing or not the one that was archived.
    """
    index = folder / "answers.jsonl"
    try:
        with index.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.endswith(b"\n"):  # a last line without its end was cut off in a crawl that was killed
                    yield _entry(folder, line, f"{index}:{number}")
    except OSError as error:
        raise RedefectError(f"{index}: cannot be read ({error.strerror}); give the folder of an archive.") from None


def _entry(folder: Path, line: bytes, where: str) -> tuple[Question, Page]:
    try:
        entry: dict[str, Any] = json.loads(line)
        question = QUESTION.validate_python(entry["question"], strict=False)
        digest, headers = str(entry["sha256"]), dict(entry["headers"])
        if not re.fullmatch(r"[0-9a-f]{64}", digest):  # a hash becomes a file's name: nothing else may
            raise ValueError
    except (ValueError, KeyError, TypeError, ValidationError):
        raise RedefectError(f"{where}: is no entry of an archive; restore the archive.") from None
    path = _path(folder, digest)
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error):
        raise RedefectError(f"{where}: the text {path.name} is missing or damaged; restore the archive.") from None
    if hashlib.sha256(content).hexdigest() != digest:
        raise RedefectError(f"{where}: the text {path.name} is not the one that was archived; restore the archive.")
    try:
        return question, question.read(json.loads(content), headers)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise RedefectError(f"{where}: the text {path.name} does not answer its question; restore the archive.") from None


def _path(folder: Path, digest: str) -> Path:
    return folder / "texts" / digest[:2] / f"{digest}.json.gz"
