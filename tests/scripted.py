"""A server on loopback that answers what a test has written down, in order, and remembers what it was asked."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pipeline.collect.github.client import Client, Incidents, Patience


@dataclass(frozen=True)
class Reply:
    """An answer; `body` is sent as JSON unless it is bytes. There is no Date unless it is among the headers."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Heard:
    """What came: `parameters` are those of the query."""

    path: str
    parameters: dict[str, str]
    headers: dict[str, str]
    body: Any

    @property
    def token(self) -> str | None:
        return self.headers.get("authorization", "").partition(" ")[2] or None


Answering = Reply | Callable[[Heard], Reply]


class Server(ThreadingHTTPServer):
    """Gives each reply once, in order, and the last for ever."""

    daemon_threads = True
    replies: list[Answering]
    heard: list[Heard]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def paths(self) -> list[str]:
        return [heard.path for heard in self.heard]

    @property
    def tokens(self) -> list[str | None]:
        return [heard.token for heard in self.heard]

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    server: Server

    def do_GET(self) -> None:
        split = urlsplit(self.path)
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        heard = Heard(
            split.path, dict(parse_qsl(split.query)), {k.lower(): v for k, v in self.headers.items()},
            json.loads(sent) if sent else None,
        )  # fmt: skip
        self.server.heard.append(heard)
        reply = self.server.replies.pop(0) if len(self.server.replies) > 1 else self.server.replies[0]
        if not isinstance(reply, Reply):
            reply = reply(heard)
        body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        self.send_response_only(reply.status)
        for name, value in ({"Content-Length": str(len(body))} | dict(reply.headers)).items():
            self.send_header(name, value)
        self.end_headers()
        if reply.status != 304:
            self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 (http.server's name)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 (http.server's word)
        pass


@contextmanager
def scripted(*replies: Answering) -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), _Handler)
    server.replies, server.heard = list(replies), []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Slept(list[float]):
    """Sleeps a moment instead of as long as it should, and remembers that."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)
        time.sleep(min(seconds, 0.02))


@contextmanager
def asking(address: str, *tokens: str, attempts: int = 10, first_wait: float = 0.001, read: float = 60.0,
           slept: Callable[[float], None] | None = None, watch: Any = None) -> Iterator[Client]:  # fmt: skip
    """Make a client that loses no time."""
    patience = Patience(first_wait=first_wait, attempts=attempts, connect=60.0, read=read)
    client = Client(address, list(tokens), patience, watch, Slept() if slept is None else slept)
    try:
        yield client
    finally:
        client.close()


def counted(incidents: Incidents) -> dict[tuple[str, str], int]:
    return dict(incidents.counted)
