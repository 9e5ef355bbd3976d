"""How a crawl goes, for people: a live display in a terminal, plain lines now and then where there is none."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from pipeline.collect.github.budget import Budget
from pipeline.collect.github.client import Watch

_SECONDS_BETWEEN_LINES = 10.0


class _Numbers:
    """What both displays count."""

    def __init__(self) -> None:
        self.about = ""
        self.issues = self.comments = self.requests = 0
        self.budgets: dict[str, tuple[int | None, int | None, float]] = {}

    def describe(self) -> str:
        left = ", ".join(
            f"{resource} {remaining:,} of {limit:,} left, full again in {_duration(reset - time.time())}"
            for resource, (remaining, limit, reset) in sorted(self.budgets.items())
            if remaining is not None and limit is not None
        )
        counted = f"{self.issues:,} issues, {self.comments:,} comments, {self.requests:,} requests"
        return f"{counted} ({left})" if left else counted


class LiveDisplay(_Numbers):
    """The state of the crawl in three lines that stay where they are."""

    def __init__(self, live: Live) -> None:
        super().__init__()
        self._live = live
        self._spinner = Spinner("dots")
        self._waiting = ""

    def requested(self, resource: str, budget: Budget, total: int) -> None:
        """Show what is left of the budget."""
        self.requests = total
        self.budgets[resource] = (budget.remaining, budget.limit, budget.reset_at)
        self._waiting = ""
        self._show()

    def waiting(self, why: str, seconds: float) -> None:
        """Count down."""
        self._waiting = f"waiting {_duration(seconds)}: {why} (Ctrl-C stops; the same command goes on later)"
        self._show()

    def asking(self, about: str) -> None:
        """Show what is asked for."""
        self.about = about
        self._show()

    def stored(self, issues: int, comments: int) -> None:
        """Count what is stored."""
        self.issues += issues
        self.comments += comments
        self._show()

    def _show(self) -> None:
        lines = Table.grid(padding=(0, 1))
        lines.add_row(self._spinner, Text(self._waiting or self.about, overflow="ellipsis", no_wrap=True))
        lines.add_row("", Text(self.describe()))
        self._live.update(lines)


class PlainLines(_Numbers):
    """A line every ten seconds, and one for each wait that is long."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self._last_line = time.monotonic()
        self._announced = ""

    def requested(self, resource: str, budget: Budget, total: int) -> None:
        """Take in what is left of the budget."""
        self.requests = total
        self.budgets[resource] = (budget.remaining, budget.limit, budget.reset_at)
        self._announced = ""

    def waiting(self, why: str, seconds: float) -> None:
        """Say once that there is a wait, if it is one that people notice."""
        if self._announced != why and seconds >= 5:
            self._announced = why
            self._line(f"waiting {_duration(seconds)}: {why}")

    def asking(self, about: str) -> None:
        """Take in what is asked for."""
        self.about = about

    def stored(self, issues: int, comments: int) -> None:
        """Count what is stored, and say so now and then."""
        self.issues += issues
        self.comments += comments
        if time.monotonic() - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._line(f"{self.describe()}; now {self.about}")

    def _line(self, text: str) -> None:
        self._last_line = time.monotonic()
        self._console.print(Text(text))


@contextmanager
def watched(console: Console) -> Iterator[Watch]:
    """Show how a crawl goes, as the console allows."""
    if not console.is_terminal:
        yield PlainLines(console)
        return
    with Live(console=console, transient=True, refresh_per_second=8) as live:
        yield LiveDisplay(live)


def _duration(seconds: float) -> str:
    whole = max(0, round(seconds))
    return f"{whole} s" if whole < 100 else f"{whole // 60} min {whole % 60:02d} s"
