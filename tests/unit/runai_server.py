"""A real HTTP server that answers as a test scripts it: what Run:ai's REST API may do to a client."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

JSON = dict[str, Any]


class Given(NamedTuple):
    """One request that was received."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    token: str
    body: JSON


class Reply(NamedTuple):
    """One answer: a JSON document, or a text as it is; after so many seconds."""

    status: int = 200
    document: Any = None
    headers: Mapping[str, str] = {}
    text: str | None = None
    delay: float = 0.0
    trickle: float = 0.0
    """Seconds between the bytes of the answer; 0: all at once."""
    cut: bool = False
    """The connection ends instead of an answer."""


def error(status: int, message: str, details: str = "", **headers: str) -> Reply:
    """An error document, as the API writes them."""
    document = {"code": status, "message": message, "details": details}
    return Reply(status, document, {name.replace("_", "-"): value for name, value in headers.items()})


@dataclass
class Server:
    """What it was asked, and what it answers.

    Attributes:
        script: the answers by ``METHOD /path``, one after the other; the last one stays.
        tokens: what ``POST /api/v1/token`` answers, likewise; by default ``token-1``, ``token-2``, …
    """

    port: int = 0
    script: dict[str, list[Reply]] = field(default_factory=dict)
    tokens: list[Reply] = field(default_factory=list)
    given: list[Given] = field(default_factory=list)
    lifetime: float = 3600
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _logins: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def asked(self, what: str) -> list[Given]:
        """The requests ``METHOD /path``."""
        return [one for one in self.given if f"{one.method} {one.path}" == what]

    def answer(self, given: Given) -> Reply:
        with self._guard:
            self.given.append(given)
            if given.path == "/api/v1/token":
                self._logins += 1
                known: JSON = {"accessToken": f"token-{self._logins}-of-the-test", "expiresIn": self.lifetime}
                return self._next(self.tokens) or Reply(200, known)
            found = self._next(self.script.get(f"{given.method} {given.path}", []))
            return found or error(404, "The specified resource was not found")

    def _next(self, replies: list[Reply]) -> Reply | None:
        return replies.pop(0) if len(replies) > 1 else replies[0] if replies else None


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            query = tuple(parse_qsl(parts.query))
            reply = server.answer(Given(self.command, parts.path, query, token, json.loads(body or b"{}")))
            time.sleep(reply.delay)
            if reply.cut:
                self.close_connection = True
                self.connection.close()
                return
            text = reply.text if reply.text is not None else json.dumps(reply.document)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            for piece in text if reply.trickle else [text]:
                self.wfile.write(piece.encode())
                self.wfile.flush()
                time.sleep(reply.trickle)

        do_GET = do_POST = _any

        def log_message(self, *_: Any) -> None:
            return

    return Handler


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gave up is what some tests are about."""


@contextmanager
def serving(script: Mapping[str, list[Reply]] | None = None) -> Iterator[Server]:
    """A server on loopback, until the end of the block."""
    server = Server(script=dict(script or {}))
    listening = _Quiet(("127.0.0.1", 0), _handler(server))
    server.port = int(listening.server_address[1])
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join(5)
