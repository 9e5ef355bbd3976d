"""Tokens, and how much of GitHub's budget each has left."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from github import Auth, Consts

from pipeline.errors import RedefectError

TOKEN_VARIABLES = ("REDEFECT_GITHUB_TOKENS", "GITHUB_TOKEN", "GH_TOKEN")
"""Where tokens come from, the first that is set; several are separated by commas or spaces."""


def tokens_from(environment: Mapping[str, str]) -> list[str]:
    """Return the tokens that the environment holds, each once; none is fine.

    Raises
    ------
    RedefectError
        If one cannot be sent in a header; it is not shown.
    """
    for variable in TOKEN_VARIABLES:
        if tokens := list(dict.fromkeys(part for part in re.split(r"[\s,]+", environment.get(variable, "")) if part)):
            for position, token in enumerate(tokens, start=1):
                if not re.fullmatch(r"[!-~]+", token):
                    raise RedefectError(f"Token {position} in {variable} holds a character that no token has; copy it anew.")
            return tokens
    return []


@dataclass(slots=True)
class Budget:
    """What is left of one resource for one identity; `None` as long as the tracker has not said."""

    limit: int | None = None
    remaining: int | None = None
    reset_at: float = 0.0

    def left(self, now: float) -> float:
        """Return how many requests are left, as far as is known; a window that has ended is full again."""
        if self.remaining is None or now >= self.reset_at:
            return self.limit or float("inf")
        return self.remaining


@dataclass(slots=True)
class Identity:
    """Who asks: the holder of a token, or nobody in particular. The token is in no text that this class gives."""

    name: str
    auth: Auth.Token | None = field(repr=False)
    budgets: dict[str, Budget] = field(default_factory=dict)

    def budget(self, resource: str) -> Budget:
        """Return the budget of a resource (`core`, `graphql`, `search`)."""
        return self.budgets.setdefault(resource, Budget())

    def authenticate(self, headers: dict[str, str]) -> None:
        """Add the token, if there is one, to a request's headers."""
        if self.auth is not None:
            self.auth.authentication(headers)

    def note(self, headers: Mapping[str, str], resource: str) -> Budget:
        """Take in what an answer's headers say of the budget."""
        budget = self.budget(headers.get("x-ratelimit-resource", resource))
        if Consts.headerRateRemaining in headers:
            budget.remaining = int(float(headers[Consts.headerRateRemaining]))
        if Consts.headerRateLimit in headers:
            budget.limit = int(float(headers[Consts.headerRateLimit]))
        if Consts.headerRateReset in headers:
            budget.reset_at = float(headers[Consts.headerRateReset])
        return budget


def identities(tokens: list[str]) -> list[Identity]:
    """Return an identity a token, or the anonymous one."""
    if not tokens:
        return [Identity("anonymous", None)]
    return [Identity(f"token {i} of {len(tokens)}", Auth.Token(token)) for i, token in enumerate(tokens, start=1)]
