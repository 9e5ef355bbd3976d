"""Addresses of what is on GitHub and of pages: of names that GitHub allows only, so that no other text becomes a link."""

import re

_REPOSITORY = r"[A-Za-z0-9][A-Za-z0-9_-]{0,38}/[A-Za-z0-9._-]{1,100}"
_NAME = re.compile(_REPOSITORY)
_FIX = re.compile(rf"(?P<repository>{_REPOSITORY})(?:#(?P<pull>[0-9]+)|@(?P<commit>[0-9a-f]{{7,40}}))")
_PAGE = re.compile(r"https://[!-;=?-~]+")


def page_address(text: str) -> str | None:
    """Return a text that is a page's address and nothing else, or None."""
    return text if _PAGE.fullmatch(text) else None


def repository_address(repository: str) -> str | None:
    """Return a repository's address, or None if no repository on GitHub can have this name."""
    known = _NAME.fullmatch(repository) and repository.partition("/")[2] not in (".", "..")
    return f"https://github.com/{repository}" if known else None


def issue_address(repository: str, number: int) -> str | None:
    """Return an issue's address, or None if no repository on GitHub can have this name."""
    address = repository_address(repository)
    return address and f"{address}/issues/{number}"


def fix_address(fix: str) -> str | None:
    """Return the address of a pull request (`owner/name#12`) or a commit (`owner/name@3f2a91c`), or None if it is neither."""
    found = _FIX.fullmatch(fix)
    address = found and repository_address(found["repository"])
    if not found or not address:
        return None
    return f"{address}/pull/{found['pull']}" if found["pull"] else f"{address}/commit/{found['commit']}"
