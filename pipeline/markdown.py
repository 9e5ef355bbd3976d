"""Texts in Markdown: of what others wrote, nothing is taken for mark-up or an address."""

import re
from urllib.parse import quote

from pipeline.addresses import page_address

_SPECIAL = re.compile(r"[\\`*_\[\]<>|~$]|&(?=#?\w+;)|:(?=//)|(?<=www)\.|(?:^|(?<= ))#|^[-+=:]|^[0-9]+[.)]", re.IGNORECASE)


def literal(text: str) -> str:
    """Return a text in one line, of which Markdown takes nothing for mark-up or an address."""
    return _SPECIAL.sub(lambda found: f"{found[0][:-1]}\\{found[0][-1]}", " ".join(text.split()))


def link(text: str, address: str) -> str:
    """Return a link that shows a text as it is."""
    return f"[{literal(text)}]({quote(address, safe=':/')})"


def bare_link(address: str) -> str:
    """Return an address as a link that shows itself, or as plain text if it is no address."""
    return f"<{address}>" if page_address(address) else literal(address)
