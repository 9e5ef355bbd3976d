"""The client: one session, any number of tokens, and a defined answer to everything that can go wrong on the way.

Requests travel by `requests`; PyGithub knows how a token is sent, what GitHub's errors mean and where its GraphQL lives. Its
own transport is not used: it follows a redirect without the query (so a renamed repository's listing would start anew, 30 a
page), and hides the headers of what it followed.
"""

import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any, NamedTuple, Protocol
from urllib.parse import SplitResult, urlencode, urljoin, urlsplit

import requests
from github.GithubException import RateLimitExceededException
from github.Requester import Requester

from pipeline import __version__
from pipeline.collect.github.budget import TOKEN_VARIABLES, Budget, Identity, identities
from pipeline.collect.github.questions import Call, Page, Question
from pipeline.errors import RedefectError

API_VERSION = "2022-11-28"
ADDRESS_VARIABLE = "GITHUB_API_URL"
"""The environment's name for the API's address, as GitHub's own tools have it."""
DEFAULT_ADDRESS = "https://api.github.com"
_MOST_REDIRECTS = 5

Received = Callable[[str, Mapping[str, str]], None]
"""Takes in an answer as it came: its text, and its headers by their names in lower case."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the client waits and how often it tries. Times are in seconds."""

    first_wait: float = 1.0
    """The wait after a first failure; it doubles with each further one, and a random part of it is left out (jitter)."""
    longest_wait: float = 120.0
    attempts: int = 10
    connect: float = 10.0
    read: float = 60.0

    def wait(self, failures: int) -> float:
        """Return the wait after so many failures in a row, between the half and the whole of what doubling gives."""
        whole: float = min(self.first_wait * 2.0 ** (failures - 1), self.longest_wait)
        return whole * random.SystemRandom().uniform(0.5, 1.0)


class Watch(Protocol):
    """Who wants to know how it goes: the progress display."""

    def requested(self, resource: str, budget: Budget, total: int) -> None:
        """Take in that a request was answered: what is left of the budget, and how many were sent in all."""

    def waiting(self, why: str, seconds: float) -> None:
        """Take in that nothing is sent for so many more seconds; called again as they pass."""

    def asking(self, about: str) -> None:
        """Take in what is asked next."""

    def stored(self, issues: int, comments: int) -> None:
        """Take in that so many more issues and comments are in the store."""


class Unwatched:
    """Nobody wants to know."""

    def requested(self, resource: str, budget: Budget, total: int) -> None:
        """Do nothing."""

    def waiting(self, why: str, seconds: float) -> None:
        """Do nothing."""

    def asking(self, about: str) -> None:
        """Do nothing."""

    def stored(self, issues: int, comments: int) -> None:
        """Do nothing."""


class GoneError(Exception):
    """What was asked for is not there (404), was deleted (410), is blocked (451), or nobody may see it (403)."""


class TooHeavyError(Exception):
    """The server did not manage a GraphQL query in its time: ask for less at once."""


class PaginationLimitedError(Exception):
    """The server gives no further pages of this listing (422): begin a new one where it stopped."""


class _OtherTokenError(Exception):
    """A token was not accepted; there is another."""


class _FailedError(Exception):
    """One attempt failed; the next may not."""

    def __init__(self, what: str, wait: float | None = None, *, heavy: bool = False) -> None:
        super().__init__(what)
        self.wait = wait
        self.heavy = heavy


class _Answer(NamedTuple):
    """What came back; `budget` is that of whoever asked."""

    status: int
    headers: Mapping[str, str]
    text: str
    budget: Budget


@dataclass(slots=True)
class Incidents:
    """What went wrong and what was done about it, counted; and what concerns one place, listed."""

    counted: Counter[tuple[str, str]] = field(default_factory=Counter)
    listed: dict[str, str] = field(default_factory=dict)

    def count(self, what: str, done: str) -> None:
        """Count one more of a kind."""
        self.counted[what, done] += 1


class Client:
    """Asks GitHub questions, one at a time.

    Parameters
    ----------
    address
        The API's address: `https://api.github.com`, or `https://HOST/api/v3` of a GitHub Enterprise server.
    tokens
        Sent to this address alone, over an encrypted connection or within this machine.

    Raises
    ------
    RedefectError
        If the address is none, or would send tokens in the open.
    """

    def __init__(
        self, address: str = DEFAULT_ADDRESS, tokens: list[str] | None = None, patience: Patience = Patience(),
        watch: Watch | None = None, sleep: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        self.address = address.rstrip("/")
        split = _split(self.address)
        in_the_open = split.scheme == "http"
        here = _is_this_machine(split.hostname or "")
        if tokens and in_the_open and not here:
            raise RedefectError(f"{ADDRESS_VARIABLE} begins with http:, so that tokens would be sent in the open; use https.")
        self.patience = patience
        self.incidents = Incidents()
        self.requests = 0
        """How many requests were sent, failed ones and redirects included."""
        self._graphql = split._replace(path=Requester.get_graphql_prefix(split.path)).geturl()
        self._identities = identities(tokens or [])
        self._watch = watch or Unwatched()
        self._sleep = sleep
        self._moved: dict[str, str] = {}
        self._secondary_limits = 0
        self._clock_lag = 0.0
        self._session = requests.Session()
        self._session.trust_env = not (in_the_open and here)  # else what stays within this machine might go by a proxy
        self._session.auth = _leave_alone  # else requests would look for a password in ~/.netrc and send that instead
        self._session.headers.update(
            {
                "Accept": "application/vnd.github+json",
                "User-Agent": f"redefect/{__version__}",
                "X-GitHub-Api-Version": API_VERSION,
            }
        )

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    @property
    def has_token(self) -> bool:
        """Whether there is a token; without one, GitHub answers no GraphQL."""
        return self._identities[0].auth is not None

    def ask(
        self, question: Question, etag: str | None = None, received: Received | None = None, *, divisible: bool = False
    ) -> Page:
        """Ask until there is an answer.

        Parameters
        ----------
        etag
            Of an earlier answer to the same question: if nothing changed since, the page says so and costs nothing.
        received
            Called with the answer's text and headers before its page is returned, unless nothing changed.
        divisible
            Whether the same can be asked in smaller portions.

        Raises
        ------
        GoneError, TooHeavyError, PaginationLimitedError
            If GitHub says so; the second only of what is divisible.
        RedefectError
            If it answers with nothing usable as often as patience lasts, or accepts no token.
        """
        call = question.call()
        failures = 0
        while True:
            try:
                answer = self._send(call, etag)
                if answer.status == requests.codes.not_modified:
                    return Page(unchanged=True, etag=etag)
                body = json.loads(answer.text)
                if call.api == "graphql":
                    self._check_graphql(body, answer)
                page = question.read(body, answer.headers)
            except _OtherTokenError:
                continue
            except _FailedError as failure:
                failures += 1
                self._give_up_or_wait(question.about, failures, failure, divisible=divisible)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                failures += 1
                what = "an answer that is not JSON" if isinstance(error, json.JSONDecodeError) else "an answer of another form"
                self._give_up_or_wait(question.about, failures, _FailedError(what), divisible=divisible)
            else:
                self._secondary_limits = 0
                if received is not None:
                    received(answer.text, answer.headers)
                return page

    def _give_up_or_wait(self, about: str, failures: int, failure: _FailedError, *, divisible: bool) -> None:
        what = str(failure)
        if failures >= self.patience.attempts:
            raise RedefectError(
                f"GitHub gave no usable answer {failures} times in a row for {about} (the last time: {what}); what was "
                "collected is stored, and the same command goes on there."
            ) from None
        self.incidents.count(what, "asked for less at once" if failure.heavy and divisible else "waited and asked again")
        self.wait(what, self.patience.wait(failures) if failure.wait is None else failure.wait)
        if failure.heavy and divisible:
            raise TooHeavyError

    def wait(self, why: str, seconds: float) -> None:
        """Wait, showing how long it still takes; Ctrl-C ends it like anything else."""
        while seconds > 0:
            self._watch.waiting(why, seconds)
            step = min(1.0, seconds)
            self._sleep(step)
            seconds -= step

    def _send(self, call: Call, etag: str | None) -> _Answer:
        """Send a request once, as whoever has most budget left, following redirects within the API."""
        resource = "graphql" if call.api == "graphql" else "search" if call.path.startswith("/search") else "core"
        url, data = self._graphql, None
        if call.api == "graphql":
            data = json.dumps({"query": call.query, "variables": call.variables}).encode()
        else:
            url = self.address + self._current_path(call.path)
            if call.parameters:
                url += "?" + urlencode(call.parameters)
        for _ in range(_MOST_REDIRECTS):
            who = self._who(resource)
            headers = {"If-None-Match": etag} if etag else {}
            if data is not None:
                headers["Content-Type"] = "application/json"
            who.authenticate(headers)
            answer = self._exchange("GET" if data is None else "POST", url, headers, data, call)
            budget = who.note(answer.headers, resource)
            if date := _http_date(answer.headers.get("Date")):
                self._clock_lag = date - time.time()
            self._watch.requested(resource, budget, self.requests)
            if answer.status_code in (301, 302, 307, 308):
                for_good = answer.status_code in (301, 308)
                url = self._follow(url, answer.headers.get("Location", ""), remember=for_good)
                continue
            if answer.status_code not in (requests.codes.ok, requests.codes.not_modified):
                self._refused(answer, who, budget)
            lowered = {k.lower(): v for k, v in answer.headers.items()}
            return _Answer(answer.status_code, lowered, answer.content.decode("utf-8", "replace"), budget)
        raise _FailedError("redirects without an end")

    def _exchange(self, verb: str, url: str, headers: dict[str, str], data: bytes | None, call: Call) -> requests.Response:
        self.requests += 1
        timeout = (self.patience.connect, self.patience.read)
        try:
            return self._session.request(verb, url, headers=headers, data=data, timeout=timeout, allow_redirects=False)
        except requests.Timeout:
            raise _FailedError("no answer in time", heavy=call.api == "graphql") from None
        except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError):
            raise _FailedError("an answer that was cut off") from None
        except requests.ConnectionError as error:
            if _is_nobody_there(error):
                raise _FailedError("no connection") from None
            raise _FailedError("a connection that broke") from None

    def _who(self, resource: str) -> Identity:
        """Choose who asks: the identity with most budget left; when none has any, wait until the first has again."""
        while True:
            now = self._now()
            best = max(self._identities, key=lambda identity: identity.budget(resource).left(now))
            if best.budget(resource).left(now) > 0:
                return best
            reset = min(identity.budget(resource).reset_at for identity in self._identities)
            self.incidents.count("the budget of requests was used up", "waited for the next hour's")
            self.wait("the budget of requests is used up", max(reset - now, 0) + self.patience.first_wait * 0.1)

    def _now(self) -> float:
        """Return the server's time, by which it counts its windows: this machine's clock may be wrong."""
        return time.time() + self._clock_lag

    def _current_path(self, path: str) -> str:
        for old, new in self._moved.items():
            if path == old or path.startswith(old + "/"):
                return new + path[len(old) :]
        return path

    def _follow(self, url: str, location: str, *, remember: bool) -> str:
        """Return where a redirect leads, with the query that was asked; remember where a renamed repository is for good."""
        target = urljoin(url, location)
        old, new, base = urlsplit(url), urlsplit(target), urlsplit(self.address)
        if (new.scheme, new.netloc) != (base.scheme, base.netloc) or not new.path.startswith(base.path + "/"):
            raise RedefectError(f"GitHub redirects {old.path} to another server; nothing was sent there.")
        asked, given = old.path.removeprefix(base.path), new.path.removeprefix(base.path)
        parts = asked.split("/")
        rest = "".join(f"/{part}" for part in parts[4:])
        if remember and parts[1] == "repos" and given.endswith(rest) and not any(part.isdigit() for part in parts[4:]):
            # A single issue may have moved to another repository by itself; a listing moves with its repository only.
            self._moved["/".join(parts[:4])] = given.removesuffix(rest) if rest else given
        self.incidents.count("a redirect to where something is now", "followed")
        return new._replace(query=new.query or old.query).geturl()

    def _refused(self, answer: requests.Response, who: Identity, budget: Budget) -> None:
        """Raise what the status of an answer asks for."""
        status = answer.status_code
        try:
            body = answer.json()
        except ValueError:
            body = None
        body = body if isinstance(body, dict) else {}
        message = str(body.get("message") or "")
        if status == requests.codes.unauthorized:
            self._drop(who)
        headers = {k.lower(): v for k, v in answer.headers.items()}
        if status in (403, 429):
            limited = isinstance(Requester.createException(403, headers, body), RateLimitExceededException)
            if "retry-after" not in headers and (
                budget.remaining == 0 or (limited and Requester.isPrimaryRateLimitError(message))
            ):
                raise self._used_up(budget)
            if limited or "retry-after" in headers or status == requests.codes.too_many_requests:
                raise self._too_fast(headers)
            raise GoneError(f"forbidden ({message[:80]})" if message else "forbidden")
        if status == requests.codes.not_found:
            raise GoneError("not found (404)")
        if status == requests.codes.gone:
            raise GoneError("deleted (410)")
        if status == requests.codes.unavailable_for_legal_reasons:
            raise GoneError("blocked (451)")
        if status == requests.codes.unprocessable_entity and ("pagination" in message.lower() or "first 1000" in message.lower()):
            raise PaginationLimitedError
        if status >= 500:
            raise _FailedError(f"a server error ({status})", heavy=answer.request.method == "POST" and status in (502, 504))
        raise RedefectError(f"GitHub refuses {urlsplit(answer.url).path} with status {status} ({message[:200]}).")

    def _used_up(self, budget: Budget) -> _FailedError:
        """Return the failure of a request that a budget did not pay for; the budget is asked no more until it is full again."""
        budget.remaining = 0
        return _FailedError("a rate limit that was reached", 0.0 if budget.left(self._now()) == 0 else None)

    def _too_fast(self, headers: Mapping[str, str]) -> _FailedError:
        """Return the failure of a secondary rate limit."""
        given = headers.get("retry-after", "")
        if re.fullmatch("[0-9]+", given):
            return _FailedError("a secondary rate limit", float(given))
        self._secondary_limits += 1  # GitHub asks for a minute at least, and for more each time
        return _FailedError("a secondary rate limit", 60 * self.patience.wait(self._secondary_limits + 1))

    def _drop(self, who: Identity) -> None:
        """Use a token no more that is not accepted; its budget is somebody else's to fill."""
        if who.auth is None or len(self._identities) == 1:
            raise RedefectError(
                f"GitHub does not accept {'a request without a token' if who.auth is None else who.name} (401); "
                f"put a valid token into {TOKEN_VARIABLES[0]}."
            )
        self._identities.remove(who)
        self.incidents.listed[who.name] = "not accepted (401); not used any more"
        self.incidents.count("a token that is not accepted", "asked with another")
        raise _OtherTokenError

    def _check_graphql(self, body: Any, answer: _Answer) -> None:
        """Raise what the errors of a GraphQL answer ask for; those that say that something is missing are the question's."""
        errors = body.get("errors") or ()
        kinds = {str(error.get("type") or "") for error in errors}
        text = " ".join(str(error.get("message") or "") for error in errors).lower()
        if kinds & {"RATE_LIMITED", "RATE_LIMIT"} or Requester.isPrimaryRateLimitError(text):
            raise self._used_up(answer.budget)
        if Requester.isSecondaryRateLimitError(text):
            raise self._too_fast(answer.headers)
        if "something went wrong" in text or "timeout" in text or "timed out" in text:
            raise _FailedError("a query that took too long", heavy=True)
        if kinds & {"MAX_NODE_LIMIT_EXCEEDED", "RESOURCE_LIMITS_EXCEEDED"}:
            raise _FailedError("a query that asked for too much", heavy=True)
        if body.get("data") is None:
            raise RedefectError(f"GitHub refuses a GraphQL query ({text[:200] or 'no reason given'}).")


def _split(address: str) -> SplitResult:
    """Return the parts of the API's address; it is not shown when it is none, since it might hold a password."""
    try:
        split = urlsplit(address)
        if split.hostname and split.port != 0 and re.fullmatch(r"https?://[^\s\\/?#@]+(/[^\s\\?#@]*)?", address):
            return split
    except ValueError:
        pass
    raise RedefectError(f"The address of the API ({ADDRESS_VARIABLE}) must be like {DEFAULT_ADDRESS}.")


def _http_date(value: str | None) -> float | None:
    """Return the time of a Date header in seconds since 1970, None for none or nonsense."""
    try:
        return None if value is None else parsedate_to_datetime(value).timestamp()
    except ValueError:
        return None


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _is_nobody_there(error: requests.ConnectionError) -> bool:
    return any(words in str(error) for words in ("Connection refused", "Name or service not known", "NewConnectionError"))


def _leave_alone(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
