"""The ways in which the tracker breaks, drawn for each request by its number and a seed."""

import hashlib
from dataclasses import dataclass

ALL = (
    "primary-limit",
    "secondary-limit",
    "secondary-limit-without-time",
    "server-error",
    "timeout",
    "reset",
    "truncated",
    "not-json",
    "graphql-timeout",
    "pagination-limited",
    "redirect",
)


@dataclass(frozen=True)
class Fault:
    """How an answer is broken; `variant` tells the forms of a kind apart."""

    kind: str
    variant: int


@dataclass(frozen=True)
class Faults:
    """A share of requests that are answered badly: the same ones for the same seed, whatever is asked.

    Parameters
    ----------
    rate
        The share of broken answers, from 0 to 1.
    kinds
        Which kinds there are; see `ALL`.
    hang
        For how many seconds a "timeout" says nothing before the connection is closed.
    reset_after
        In how many seconds a "primary-limit" says that it ends.
    """

    seed: int
    rate: float
    kinds: tuple[str, ...] = ALL
    hang: float = 2.0
    reset_after: float = 1.0

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.kinds) - set(ALL)):
            raise ValueError(f"{', '.join(unknown)}: no such kind of fault; there are {', '.join(ALL)}")

    def decide(self, number: int) -> Fault | None:
        """Return the fault of the request with this number, counted from 0, or None when it goes well."""
        digest = hashlib.sha256(f"{self.seed}:{number}".encode()).digest()
        if not self.kinds or int.from_bytes(digest[:8]) / 2**64 >= self.rate:
            return None
        return Fault(self.kinds[int.from_bytes(digest[8:16]) % len(self.kinds)], int.from_bytes(digest[16:24]))
