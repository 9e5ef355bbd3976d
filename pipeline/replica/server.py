"""The replica's HTTP server on loopback: GitHub's headers and refusals around what is served, and the faults."""

import gzip
import hashlib
import io
import itertools
import json
import math
import os
import re
import socket
import struct
import threading
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.wrappers import Request, Response

from pipeline.errors import RedefectError
from pipeline.replica import graphql, rest
from pipeline.replica.faults import Fault, Faults
from pipeline.replica.limits import RESOURCES, Allowance, Budgets, Client, Limits, Resource
from pipeline.replica.rest import Answer, Call, problem
from pipeline.replica.world import World

_ENTERPRISE = "/api/v3"
_GRAPHQL_PATHS = ("/graphql", "/api/graphql")
_LEAST_COMPRESSED = 256
_RATE_LIMIT_HELP = "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api"
_SECONDARY = (
    "You have exceeded a secondary rate limit. Please wait a few minutes before you try again. "
    "If you reach out to GitHub Support for help, please include the request ID."
)


class Replica:
    """A server of a world's issues that answers as GitHub does, for as long as the context lasts.

    Parameters
    ----------
    faults
        How answers break; none do unless given.
    latency
        Seconds that every answer takes longer.
    port
        Where on 127.0.0.1; any free one when it is 0.

    Raises
    ------
    RedefectError
        If the port is in use.
    """

    def __init__(
        self, world: World, limits: Limits | None = None, faults: Faults | None = None, latency: float = 0.0, port: int = 0
    ) -> None:
        try:
            listening = socket.create_server(("127.0.0.1", port), backlog=128)
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise RedefectError(f"127.0.0.1:{port}: cannot be listened on ({reason}); give another port.") from None
        with listening:
            self._server = _Server("127.0.0.1", listening.getsockname()[1], self._application, _Handler, fd=listening.fileno())
        self.url = f"http://127.0.0.1:{self._server.port}"
        self._world = world
        self._limits = limits or Limits()
        self._budgets = Budgets(self._limits)
        self._faults = faults
        self._latency = latency
        self._numbers = itertools.count()
        self._statistics = _Statistics()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> "Replica":
        # The short interval is how soon the server notices that it should end.
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving, and close all connections."""
        self._closing.set()
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
        self._server.close()

    def serve_forever(self) -> None:
        """Serve until the program is interrupted; for a command, in or without the context."""
        try:
            if self._thread is None:
                self._server.serve_forever()
            else:
                self._thread.join()
        except KeyboardInterrupt:
            pass

    def statistics(self) -> dict[str, Any]:
        """Return how many requests came, by endpoint, status and token (shown by its hash), and how many bytes went out."""
        return self._statistics.shown(self._server.bytes_sent)

    def _application(self, environ: dict[str, Any], start_response: Any) -> Any:
        request = Request(environ)
        request.max_content_length = 10_000_000
        if request.path.startswith("/_replica/"):
            response = self._administer(request)
        else:
            if self._latency and self._closing.wait(self._latency):
                raise _DroppedError(linger=False)
            response = self._serve(request)
        return response(environ, start_response)

    # What is not GitHub's

    def _administer(self, request: Request) -> Response:
        if request.path == "/_replica/statistics":
            return _json(Answer(200, self.statistics()))
        if request.path == "/_replica/reset" and request.method == "POST":
            self._statistics = _Statistics()
            self._server.bytes_sent = 0
            return _json(Answer(200, {}))
        if request.path == "/_replica/touch" and request.method == "POST":
            try:
                at = request.args.get("at")
                touched = self._world.touch(
                    request.args["repository"], float(request.args["share"]), int(request.args["seed"]),
                    datetime.fromisoformat(at) if at else None,
                )  # fmt: skip
            except (KeyError, ValueError):
                return _json(problem(422, "Give repository, share and seed."))
            except RedefectError as error:
                return _json(problem(404, str(error)))
            return _json(Answer(200, {"touched": touched}))
        return _json(problem(404, "Not Found"))

    # What is

    def _serve(self, request: Request) -> Response:
        number = next(self._numbers)
        client = _client(request)
        fault = self._faults.decide(number) if self._faults else None
        if request.path in _GRAPHQL_PATHS:
            self._statistics.count("/graphql", client)
            response = self._serve_graphql(request, client, fault)
        else:
            response = self._serve_rest(request, client, fault)
        response.headers["x-github-request-id"] = _request_id(number)
        self._statistics.count_status(response.status_code)
        return response

    def _serve_rest(self, request: Request, client: Client, fault: Fault | None) -> Response:
        base, path = self.url, request.path
        if path.startswith(_ENTERPRISE + "/"):
            base, path = self.url + _ENTERPRISE, path.removeprefix(_ENTERPRISE)
        try:
            method = "GET" if request.method == "HEAD" else request.method
            (pattern, function), values = rest.ROUTES.bind("127.0.0.1").match(path, method=method)
        except HTTPException:
            pattern, function, values = "other", None, {}
        if request.method not in ("GET", "HEAD"):
            pattern, function = "other", None
        self._statistics.count(pattern, client)
        resource: Resource = "search" if pattern.startswith("/search/") else "core"
        if client.token in self._limits.revoked:
            return _json(problem(401, "Bad credentials"), self._budgets.look(Client(client.address), resource))
        free = pattern == "/rate_limit" and function is None
        allowance = self._budgets.look(client, resource) if free else self._budgets.charge(client, resource, 1)
        if allowance.exhausted:
            return _json(_exceeded(client), allowance)
        if fault is not None and (broken := self._broken(fault, client, allowance, is_graphql=False)) is not None:
            return broken
        call = Call(self._world, base, path, request.args.to_dict(), self._limits.pagination)
        if fault is not None and fault.kind == "pagination-limited" and rest.is_listing(function) and call.page > 1:
            return _json(rest.pagination_limited(), allowance)
        if fault is not None and fault.kind == "redirect" and pattern.startswith("/repos/"):
            row = self._world.repository(values["owner"], values["repo"])
            if row is not None:
                return _json(rest.moved(rest.by_id(call, row)), allowance)
        if free:
            answer = self._rate_limit(client)
        else:
            answer = rest.answer(call, function, values) if function else problem(404, "Not Found")
        response = self._tagged(request, answer, allowance)
        if response.status_code == 304:
            if client.token is not None and not free:
                response.headers.update(self._budgets.charge(client, resource, -1).headers)
            return response
        return self._spoiled(fault, response)

    def _serve_graphql(self, request: Request, client: Client, fault: Fault | None) -> Response:
        if client.token is None:
            help_page = "https://docs.github.com/graphql/guides/forming-calls-with-graphql#authenticating-with-graphql"
            refusal = problem(401, "This endpoint requires you to be authenticated.", help_page)
            return _json(refusal, self._budgets.look(client, "graphql"))
        if client.token in self._limits.revoked:
            return _json(problem(401, "Bad credentials"), self._budgets.look(Client(client.address), "graphql"))
        if request.method != "POST":
            return _json(problem(404, "Not Found"), self._budgets.look(client, "graphql"))
        try:
            sent = json.loads(request.get_data())
        except ValueError:
            return _json(problem(400, "Problems parsing JSON"), self._budgets.charge(client, "graphql", 1))
        query = sent.get("query") if isinstance(sent, dict) else None
        variables = sent.get("variables") if isinstance(sent, dict) else None
        plan: graphql.Plan | None = None
        if isinstance(query, str):
            try:
                plan = graphql.plan(query, variables if isinstance(variables, dict) else {}, sent.get("operationName"))
                refused: dict[str, Any] = {}
            except graphql.InvalidQueryError as error:
                refused = error.answer
        else:
            refused = {"errors": [{"message": "A query attribute must be specified and must be a string."}]}
        allowance = self._budgets.charge(client, "graphql", plan.cost if plan else 1)
        if allowance.exhausted:
            return _json(Answer(200, graphql.rate_limited(client.described)), allowance)
        if fault is not None and (broken := self._broken(fault, client, allowance, is_graphql=True)) is not None:
            return broken
        body = graphql.execute(self._world, plan, allowance) if plan else refused
        return self._spoiled(fault, _compressed(request, _json(Answer(200, body), allowance)))

    def _rate_limit(self, client: Client) -> Answer:
        looks = {resource: self._budgets.look(client, resource).fields for resource in RESOURCES}
        return Answer(200, {"resources": looks, "rate": looks["core"]})

    def _tagged(self, request: Request, answer: Answer, allowance: Allowance) -> Response:
        """Return an answer with its ETag, or without its body when the client has it already."""
        response = _json(answer, allowance)
        if answer.status == 200:
            response.headers["Cache-Control"] = "private, max-age=60, s-maxage=60"
            response.set_etag(hashlib.sha256(response.get_data()).hexdigest(), weak=True)
            if request.if_none_match.contains_weak(response.get_etag()[0] or ""):
                response.status_code = 304
                response.set_data(b"")
                del response.headers["Content-Length"], response.headers["Content-Type"]
                return response
        return _compressed(request, response)

    # Faults

    def _broken(self, fault: Fault, client: Client, allowance: Allowance, *, is_graphql: bool) -> Response | None:
        """Return what a fault makes of a request that is not even looked at; None when it leaves that to be answered."""
        faults = self._faults
        assert faults is not None  # noqa: S101 (there is no fault without them)
        if fault.kind == "reset":
            self._budgets.charge(client, allowance.resource, -1)
            raise _DroppedError(linger=True)
        if fault.kind == "timeout":
            self._closing.wait(faults.hang)
            raise _DroppedError(linger=False)
        if fault.kind == "primary-limit":
            until = math.ceil(time.time() + faults.reset_after)
            spent = Allowance(allowance.resource, allowance.limit, allowance.limit, until, exhausted=True)
            return _json(Answer(200, graphql.rate_limited(client.described)) if is_graphql else _exceeded(client), spent)
        if fault.kind == "secondary-limit":
            response = _json(problem(403, _SECONDARY, f"{_RATE_LIMIT_HELP}#about-secondary-rate-limits"), allowance)
            response.headers["Retry-After"] = "1"
            return response
        if fault.kind == "secondary-limit-without-time":
            return _json(problem(429, _SECONDARY, f"{_RATE_LIMIT_HELP}#about-secondary-rate-limits"), allowance)
        if fault.kind == "server-error":
            status = (500, 502, 503, 504)[fault.variant % 4]
            return _html(status, allowance) if fault.variant // 4 % 2 else _json(problem(status, "Server Error"), allowance)
        if fault.kind == "graphql-timeout":
            if not is_graphql:
                return _json(problem(502, "Server Error"), allowance)
            message = (
                "Something went wrong while executing your query. This may be the result of a timeout, or it could be a GitHub "
                f"bug. Please include `{_request_id(fault.variant % 2**32)}` when reporting this issue."
            )
            return _json(Answer(200, {"data": None, "errors": [{"message": message}]}), allowance)
        if fault.kind == "not-json" and fault.variant % 2:
            return _html(200, allowance)
        return None

    def _spoiled(self, fault: Fault | None, response: Response) -> Response:
        """Cut a good answer: with the length of the whole and half of it, or as if the half were all."""
        if fault is not None and fault.kind in ("truncated", "not-json"):
            whole = response.get_data()
            response.headers.pop("ETag", None)
            if fault.kind == "truncated":
                response.response = [whole[: len(whole) // 2]]
            else:
                plain = gzip.decompress(whole) if response.headers.pop("Content-Encoding", None) else whole
                response.set_data(plain[: max(1, len(plain) // 2)])
        return response


class _DroppedError(ConnectionError):
    """The connection ends without an answer; with `linger` the client is told so at once, by a reset."""

    def __init__(self, *, linger: bool) -> None:
        super().__init__()
        self.linger = linger


@dataclass
class _Statistics:
    """What was asked for so far."""

    endpoints: Counter[str] = field(default_factory=Counter)
    clients: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, endpoint: str, client: Client) -> None:
        with self.lock:
            self.endpoints[endpoint] += 1
            self.clients[client.name] += 1

    def count_status(self, status: int) -> None:
        with self.lock:
            self.statuses[status] += 1

    def shown(self, bytes_sent: int) -> dict[str, Any]:
        with self.lock:
            return {
                "requests": self.endpoints.total(),
                "endpoints": dict(sorted(self.endpoints.items())),
                "tokens": dict(sorted(self.clients.items())),
                "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
                "bytes": bytes_sent,
            }


class _Server(ThreadedWSGIServer):
    """A thread a connection; all of them end with the server."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.bytes_sent = 0
        self.lock = threading.Lock()
        self._connections: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self.lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self.lock:
            self._connections.discard(request)
        try:
            if struct.unpack("ii", request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8))[0]:
                self.close_request(request)  # closed without a goodbye, it is reset
                return
        except OSError:
            pass
        super().shutdown_request(request)

    def close(self) -> None:
        self.server_close()
        with self.lock:
            remaining = list(self._connections)
        for connection in remaining:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 (werkzeug's word)
        """Say nothing: requests carry tokens, and standard output belongs to commands."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that clients broke."""


class _Handler(WSGIRequestHandler):
    """Keeps connections open from request to request, which werkzeug's own handler does not."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16  # head and body leave in one piece
    timeout = 600
    server: _Server

    def run_wsgi(self) -> None:
        """Answer one request."""
        environ = self.make_environ()
        # Read to the end before anything else: what is left over would be taken for the next request.
        chunked = environ.get("wsgi.input_terminated", False)
        length = int(self.headers.get("Content-Length") or 0)
        sent = environ["wsgi.input"].read() if chunked else self.rfile.read(length)
        if not chunked and len(sent) < length:  # the client died while it was asking
            self.close_connection = True
            return
        environ["wsgi.input"] = io.BytesIO(sent)
        started: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], _error: Any = None) -> Any:
            started[:] = [status, headers]

        try:
            pieces = self.server.app(environ, start_response)
            body = b"".join(pieces)
        except _DroppedError as dropped:
            self.close_connection = True
            if dropped.linger:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return
        except Exception as error:  # a bug of the replica: seen by whoever tests against it, and not taken for a fault
            if os.environ.get("REDEFECT_DEBUG"):
                traceback.print_exc()
            response = _json(problem(500, f"The replica itself failed: {type(error).__name__}"))
            body = b"".join(response(environ, start_response))
        status, headers = started
        code, _, reason = status.partition(" ")
        self.send_response(int(code), reason)
        announced = None
        for name, value in headers:
            self.send_header(name, value)
            if name.lower() == "content-length":
                announced = int(value)
        if self.command != "HEAD" and announced is not None and announced != len(body):
            self.close_connection = True
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        with self.server.lock:
            self.server.bytes_sent += len(body)
        self.wfile.write(body)
        self.wfile.flush()

    def version_string(self) -> str:
        return "redefect-replica"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing, see the server."""


def _client(request: Request) -> Client:
    scheme, _, token = request.headers.get("Authorization", "").strip().partition(" ")
    address = request.remote_addr or "127.0.0.1"
    return Client(address, token.strip() if scheme.lower() in ("token", "bearer") and token.strip() else None)


def _exceeded(client: Client) -> Answer:
    return problem(403, f"API rate limit exceeded for {client.described}", _RATE_LIMIT_HELP)


def _json(answer: Answer, allowance: Allowance | None = None) -> Response:
    body = json.dumps(answer.body, ensure_ascii=False, separators=(",", ":")).encode()
    response = Response(body, answer.status, content_type="application/json; charset=utf-8")
    response.headers["X-GitHub-Media-Type"] = "github.v3; format=json"
    response.headers.update(answer.headers)
    if allowance is not None:
        response.headers.update(allowance.headers)
    return response


def _html(status: int, allowance: Allowance) -> Response:
    body = f"<html>\n<head><title>{status}</title></head>\n<body><h1>{status}: unicorns have taken over</h1></body>\n</html>\n"
    response = Response(body, status, content_type="text/html; charset=utf-8")
    response.headers.update(allowance.headers)
    return response


def _compressed(request: Request, response: Response) -> Response:
    response.headers["Vary"] = "Accept, Authorization, Accept-Encoding"
    body = response.get_data()
    if len(body) >= _LEAST_COMPRESSED and request.accept_encodings["gzip"]:
        response.set_data(gzip.compress(body, compresslevel=1, mtime=0))
        response.headers["Content-Encoding"] = "gzip"
    return response


def _request_id(number: int) -> str:
    return re.sub(r"(.{4})(.{5})(.{7}).*", r"\1:\2:\3", hashlib.sha256(str(number).encode()).hexdigest().upper())
