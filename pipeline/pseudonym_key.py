"""The key behind the pseudonyms of a study's packages: who holds it can tell who is who, so it leaves the machine in nothing."""

import os
import secrets
import tempfile
from pathlib import Path

from pipeline.errors import RedefectError
from pipeline.files import explained
from pipeline.study import Study

KEY_VARIABLE = "REDEFECT_PSEUDONYM_KEY"
_SHORTEST = 32
_OF_FICTION = b"the people of a fictional study have nothing to hide"


def pseudonym_key(study: Study) -> bytes:
    """Return the key of a study's pseudonyms.

    A fictional study has one that everybody knows, so that its packages are the same everywhere. Else it is in the
    environment's `REDEFECT_PSEUDONYM_KEY`, or in `data/keys/pseudonyms.key`, made at first use for its owner alone. Whoever
    holds both a package and this key can try all logins there are, and so tell who is who; packages made with the same key
    name people alike.

    Raises
    ------
    RedefectError
        If the key is too short to be secret, cannot be read or made, or if others may read its file. It is not shown.
    """
    if study.fictional:
        return _OF_FICTION
    given = os.environ.get(KEY_VARIABLE)
    if given is not None:
        return _long_enough(given.strip(), f"The key in {KEY_VARIABLE}")
    return _kept(study.root / "data" / "keys" / "pseudonyms.key")


def _kept(path: Path) -> bytes:
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _make(path)
    try:
        with path.open(encoding="ascii") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise RedefectError(f"{path}: others may read or change the key of the pseudonyms; run chmod 600 on that file.")
            return _long_enough(file.read().strip(), f"{path}: the key in it")
    except OSError as error:
        raise RedefectError(f"{path}: cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError:
        raise RedefectError(f"{path}: is no key of pseudonyms; put the key back, or remove the file to have a new one.") from None


def _make(path: Path) -> None:
    """Put a new key where there is none; of two commands that do so at once, the first one's stays."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # with mode 0600
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32) + "\n")
        os.link(name, path)
    except FileExistsError:
        pass
    finally:
        Path(name).unlink()


def _long_enough(key: str, what: str) -> bytes:
    if len(key) < _SHORTEST:
        raise RedefectError(
            f"{what} has fewer than {_SHORTEST} characters, too few to keep who is who a secret; "
            "python -c 'import secrets; print(secrets.token_hex(32))' makes a good one."
        )
    return key.encode()
