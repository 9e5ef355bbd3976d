"""Run github-to-sqlite against an address other than GitHub's: `make bench-crawl` starts this with that tool's own Python.

The tool has https://api.github.com hard-coded, and no option for it. So its HTTP library's `Session.request` is replaced by one
that replaces this beginning of an address by the one given, and does nothing else; tool and library are what was installed.

Usage: github_to_sqlite_elsewhere.py ADDRESS ARGUMENTS-OF-THE-TOOL...
"""

import sys

import requests.sessions
from github_to_sqlite.cli import cli

_HARD_CODED = "https://api.github.com/"


def main() -> None:
    address = sys.argv.pop(1).rstrip("/") + "/"
    request = requests.sessions.Session.request

    def elsewhere(self, method, url, *arguments, **named):
        if url.startswith(_HARD_CODED):
            url = address + url.removeprefix(_HARD_CODED)
        return request(self, method, url, *arguments, **named)

    requests.sessions.Session.request = elsewhere
    cli()


if __name__ == "__main__":
    main()
