import io
import re

from rich.console import Console

from pipeline.collect.github.budget import Budget
from pipeline.progress import LiveDisplay, PlainLines, watched


def console(*, terminal: bool) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, force_terminal=terminal, width=120), out


def test_where_there_is_no_terminal_a_long_wait_is_one_plain_line() -> None:
    shown, out = console(terminal=False)
    with watched(shown) as watch:
        assert isinstance(watch, PlainLines)
        watch.asking("issues of acme/anvil")
        for left in range(3600, 0, -1):
            watch.waiting("the budget of requests is used up", left)
        watch.waiting("a server error (502)", 0.5)
    assert out.getvalue() == "waiting 60 min 00 s: the budget of requests is used up\n"


def test_a_wait_after_an_answer_is_another_wait() -> None:
    shown, out = console(terminal=False)
    with watched(shown) as watch:
        for total in (1, 2):
            watch.waiting("a secondary rate limit", 60)
            watch.requested("core", Budget(5000, 4000, 0.0), total)
    assert out.getvalue().count("waiting 60 s: a secondary rate limit") == 2


def test_in_a_terminal_the_display_counts_what_is_stored_asked_and_left() -> None:
    shown, out = console(terminal=True)
    with watched(shown) as watch:
        assert isinstance(watch, LiveDisplay)
        watch.asking("issues of acme/anvil")
        watch.requested("graphql", Budget(5000, 4990, 0.0), 3)
        watch.stored(100, 1234)
        watch.waiting("a secondary rate limit", 59.6)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", out.getvalue())
    assert "waiting 60 s: a secondary rate limit (Ctrl-C stops; the same command goes on later)" in text
    assert "100 issues, 1,234 comments, 3 requests (graphql 4,990 of 5,000 left, full again in 0 s)" in text
