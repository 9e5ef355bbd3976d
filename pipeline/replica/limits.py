"""How much a client may ask for, and how much of that is left: one budget for each token and resource."""

import hashlib
import math
import threading
import time
from dataclasses import dataclass
from typing import Literal

Resource = Literal["core", "graphql", "search"]
RESOURCES: tuple[Resource, ...] = ("core", "graphql", "search")

_ANONYMOUS_SEARCH = 10
_SEARCH_WINDOW = 60.0


@dataclass(frozen=True)
class Limits:
    """What a token may use in a window of so many seconds, and how far listings can be paged.

    Searches have a window of a minute at most, as on GitHub. `anonymous` is the core budget of an address without a token.
    """

    core: int = 5_000
    graphql: int = 5_000
    search: int = 30
    anonymous: int = 60
    window: float = 3_600.0
    pagination: int = 10_000
    revoked: frozenset[str] = frozenset()

    def of(self, resource: Resource, client: "Client") -> int:
        """Return a client's limit for a resource."""
        if client.token is not None:
            return {"core": self.core, "graphql": self.graphql, "search": self.search}[resource]
        return {"core": self.anonymous, "graphql": 0, "search": min(self.search, _ANONYMOUS_SEARCH)}[resource]


@dataclass(frozen=True)
class Client:
    """Who asks: a token or, without one, an address."""

    address: str
    token: str | None = None

    @property
    def name(self) -> str:
        """How the client is shown: never by its token."""
        return "anonymous" if self.token is None else hashlib.sha256(self.token.encode()).hexdigest()[:12]

    @property
    def described(self) -> str:
        """How GitHub calls the client when its budget is used up."""
        if self.token is not None:
            return f"user ID {int(self.name, 16) % 10**8}."
        return (
            f"{self.address}. (But here's the good news: Authenticated requests get a higher rate limit. "
            "Check out the documentation for more details.)"
        )


@dataclass(frozen=True)
class Allowance:
    """The state of a budget; `reset` is in seconds since 1970."""

    resource: Resource
    limit: int
    used: int
    reset: int
    exhausted: bool = False

    @property
    def remaining(self) -> int:
        """What is left of it."""
        return max(0, self.limit - self.used)

    @property
    def headers(self) -> dict[str, str]:
        """What an answer says of it."""
        return {
            "x-ratelimit-limit": str(self.limit),
            "x-ratelimit-remaining": str(self.remaining),
            "x-ratelimit-used": str(self.used),
            "x-ratelimit-reset": str(self.reset),
            "x-ratelimit-resource": self.resource,
        }

    @property
    def fields(self) -> dict[str, int]:
        """What `/rate_limit` says of it."""
        return {"limit": self.limit, "used": self.used, "remaining": self.remaining, "reset": self.reset}


class Budgets:
    """The budgets of all clients; a window begins with the first request in it, and ends on a full second."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._used: dict[tuple[Client, Resource], tuple[int, int]] = {}

    def charge(self, client: Client, resource: Resource, cost: int) -> Allowance:
        """Take the cost of a request, unless nothing is left; a negative cost gives some back."""
        limit = self._limits.of(resource, client)
        with self._lock:
            now = time.time()
            used, reset = self._used.get((client, resource), (0, 0))
            if now >= reset:
                window = min(self._limits.window, _SEARCH_WINDOW) if resource == "search" else self._limits.window
                used, reset = 0, math.ceil(now + window)
            exhausted = cost > 0 and used >= limit
            if not exhausted:
                used = max(0, min(limit, used + cost))
            if cost:
                self._used[client, resource] = (used, reset)
        return Allowance(resource, limit, used, reset, exhausted)

    def look(self, client: Client, resource: Resource) -> Allowance:
        """Return what is left, which costs nothing."""
        return self.charge(client, resource, 0)
