"""A data package looked through for what must not be in it, before it is written."""

import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from detect_secrets.plugins.base import BasePlugin
from detect_secrets.plugins.basic_auth import BasicAuthDetector
from detect_secrets.plugins.high_entropy_strings import Base64HighEntropyString, HexHighEntropyString
from detect_secrets.plugins.ip_public import IPPublicDetector
from detect_secrets.plugins.jwt import JwtTokenDetector
from detect_secrets.plugins.keyword import KeywordDetector
from detect_secrets.plugins.npm import NpmDetector
from detect_secrets.plugins.openai import OpenAIDetector
from detect_secrets.plugins.telegram_token import TelegramBotTokenDetector

import pipeline
from pipeline.cells import rearm
from pipeline.export.privacy import IS_PSEUDONYM, Pseudonymiser, redact, redactions, without_secrets
from pipeline.package_tables import Field, tables

_OF_OUR_FILES: tuple[BasePlugin, ...] = (
    Base64HighEntropyString(), BasicAuthDetector(), HexHighEntropyString(), IPPublicDetector(), JwtTokenDetector(),
    KeywordDetector(), NpmDetector(), OpenAIDetector(), TelegramBotTokenDetector(),
)  # fmt: skip
"""Those of detect-secrets that take any checksum for a secret, or the square of a hostile text's length: for our files."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_DIGESTS = {"digest", "study_digest", "inputs"}
_FIELDS = {(f"tables/{table.name}", field.name): field for table in tables(with_text=True) for field in table.fields}
_WORD = re.compile(r"[A-Za-z0-9]+(?:-+[A-Za-z0-9]+)*")
_REFERENCE = re.compile(r"(?<![A-Za-z0-9._-])[A-Za-z0-9-]+/[A-Za-z0-9._-]*[A-Za-z0-9_-]")


def owners_who_write(references: Iterable[str], logins: Iterable[str]) -> int:
    """Return how many of those who write own a repository that is referred to (`owner/name`): a reference names them.

    No package can avoid that, for the issues are known by it. The figure cannot stand in a package, as a store that was read back
    from one cannot tell it.
    """
    writers = {login.casefold() for login in logins}
    return len({owner for reference in references if (owner := reference.partition("/")[0].casefold()) in writers})


def scan(files: Mapping[str, bytes], logins: Iterable[str], secrets: Iterable[bytes] = ()) -> list[str]:
    """Look through a package for what must not be in it, before it is written.

    Tables are read, Parquet and CSV, and each of their values is checked: what names somebody who writes is a pseudonym; what
    strangers wrote is what `redact` leaves as it is; all else holds no secret, looks like none (digests, which do, are in columns
    of their own and are checked to be such), and is not a login. All other files are read line by line: with the detectors of
    `redact`, and with those of detect-secrets that go by a text's disorder and by words, none of which asks anybody; SHA-256
    sums may be those of the package's files and of what its tables and studies name.

    A login is found as a whole cell of a table, and as a whole word of other files. It may be that of a repository's owner, who
    is part of the reference, and it may be a word that this program or the package's study uses (some are called `data`).

    Parameters
    ----------
    files
        Contents by name within the package.
    logins
        Those of all who write in the store.
    secrets
        What this program itself must keep, such as the key of the pseudonyms.

    Returns
    -------
    A sentence a finding, sorted: file, row or line, column and kind. What was found is in none of them.
    """
    return sorted(set(_Scan(files, logins, secrets).findings()))


class _Scan:
    def __init__(self, files: Mapping[str, bytes], logins: Iterable[str], secrets: Iterable[bytes]) -> None:
        self._tables = {name: _read_table(name, content) for name, content in files.items() if _is_table(name)}
        self._texts = {name: content.decode(errors="replace") for name, content in files.items() if name not in self._tables}
        self._secrets = [secret.decode(errors="replace") for secret in secrets]
        self._digests = {hashlib.sha256(content).hexdigest() for content in files.values()}
        self._references: set[str] = set()
        for table in self._tables.values():
            for column in table.column_names:
                if column in _DIGESTS:
                    self._digests.update(chain.from_iterable(map(_DIGEST.findall, _values(table[column]))))
                elif column in ("repository", "fix"):
                    self._references.update(m[0].casefold() for m in map(_REFERENCE.match, _values(table[column])) if m)
        of_study = [text for name, text in self._texts.items() if name.startswith("study/")]
        for text in of_study:
            self._digests.update(re.findall(r"sha256 = \"([0-9a-f]{64})\"", text))
        known = _words_of_the_house().union(*map(_words, of_study))
        self._logins = {login for login in map(str.casefold, logins) if login not in known and not login.isdigit()}
        self._nobody = Pseudonymiser(b"")
        self._clean: set[tuple[Field | None, str, str]] = set()

    def findings(self) -> Iterator[str]:
        for name, table in self._tables.items():
            for column in table.column_names:
                field = _FIELDS.get((name.rpartition(".")[0], column))
                for value in _values(table[column], disarmed=name.endswith(".csv")):
                    if (known := (field, column, value)) not in self._clean:
                        kinds = self._in_cell(value, column, field)
                        if not kinds:
                            self._clean.add(known)
                        for kind in kinds:
                            yield f"{name}, row {_row(table[column], value)}, column {column}: {kind}."
        for name, text in self._texts.items():
            if "\N{REPLACEMENT CHARACTER}" in text:
                yield f"{name}: is no text in UTF-8, so that nobody can tell what it holds."
            for number, line in enumerate(text.splitlines(), start=1):
                for kind in self._in_line(name, line):
                    yield f"{name}, line {number}: {kind}."

    def _in_cell(self, value: str, column: str, field: Field | None) -> list[str]:
        if field is not None and field.person:
            return [] if IS_PSEUDONYM.fullmatch(value) else ["a name that is no pseudonym"]
        if field is not None and field.text:
            return self._in_any(value, redact(value, self._nobody))
        kinds = self._in_any(value, without_secrets(value))
        if column in _DIGESTS:
            value = _DIGEST.sub("", value)
        if self._looks_secret(column, f'"{value}"'):
            kinds.append("something that looks like a secret")
        if value.casefold() in self._logins:
            kinds.append("the login of somebody who writes in the store")
        return kinds

    def _in_line(self, name: str, line: str) -> list[str]:
        kinds = self._in_any(line, without_secrets(line))
        if self._looks_secret(name, line):
            kinds.append("something that looks like a secret")
        if not name.startswith("study/"):
            without = _REFERENCE.sub(lambda match: "/" if match[0].casefold() in self._references else match[0], line)
            if not self._logins.isdisjoint(_words(without)):
                kinds.append("the login of somebody who writes in the store")
        return kinds

    def _in_any(self, before: str, after: str) -> list[str]:
        kinds = [f"a text that redaction would change ({kind})" for kind in sorted(redactions(after) - redactions(before))]
        return kinds + ["a secret of this program"] * any(secret in before for secret in self._secrets)

    def _looks_secret(self, name: str, line: str) -> bool:
        return any(
            secret.secret_value not in self._digests for detector in _OF_OUR_FILES for secret in detector.analyze_line(name, line)
        )


def _is_table(name: str) -> bool:
    return name.endswith((".parquet", ".csv"))


def _read_table(name: str, content: bytes) -> pa.Table:
    if name.endswith(".parquet"):
        return pq.read_table(io.BytesIO(content))
    header = content.partition(b"\n")[0].decode().split(",")
    return pyarrow.csv.read_csv(
        io.BytesIO(content),
        read_options=pyarrow.csv.ReadOptions(block_size=len(content) + 1, use_threads=False),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types={name.strip('"'): pa.string() for name in header},
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            null_values=[""],
        ),
    )


def _values(column: "pa.ChunkedArray[Any]", *, disarmed: bool = False) -> Iterator[str]:
    """Yield what a column of texts, or of lists of them, holds, each once."""
    flat: Any = pc.list_flatten(column) if pa.types.is_list(column.type) else column
    if pa.types.is_string(flat.type):
        for value in flat.unique().to_pylist():
            if value is not None:
                yield rearm(value) if disarmed else value


def _row(column: "pa.ChunkedArray[Any]", value: str) -> int:
    """Return which row holds a value: 1 for the first below the header."""

    def holds(cell: str | list[str] | None) -> bool:
        return cell is not None and (value in cell if isinstance(cell, list) else value in (cell, rearm(cell)))

    return next(i for i, cell in enumerate(column.to_pylist(), start=1) if holds(cell))


@cache
def _words_of_the_house() -> frozenset[str]:
    sources = (path for path in Path(pipeline.__file__).parent.rglob("*") if path.suffix not in ("", ".pyc"))
    return frozenset().union(*(_words(path.read_text("utf-8", "replace")) for path in sources))


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.casefold()))
