"""An API server that knows ``pods/exec`` alone, to have every fault of a connection that a cluster shows by chance."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

from cluster.api import Api

SUCCESS = {"status": "Success"}
Handler = Callable[["Connection"], None]


def failure(message: str, *, code: int | None = None) -> dict[str, Any]:
    """The API server's Status for a program that failed, or for one that could not be started."""
    if code is None:
        return {"status": "Failure", "reason": "InternalError", "message": message, "code": 500}
    causes = [{"reason": "ExitCode", "message": str(code)}]
    return {"status": "Failure", "reason": "NonZeroExitCode", "message": message, "details": {"causes": causes}}


@dataclass(frozen=True)
class Connection:
    """One exec that was accepted, as the kubelet's side sees it."""

    socket: ServerConnection

    def out(self, data: bytes) -> None:
        """Standard output."""
        self.socket.send(b"\x01" + data)

    def err(self, data: bytes) -> None:
        """Standard error."""
        self.socket.send(b"\x02" + data)

    def status(self, status: dict[str, Any]) -> None:
        """How the program ended."""
        self.socket.send(b"\x03" + json.dumps(status).encode())

    def end(self, status: dict[str, Any]) -> None:
        """The same, and the end of the connection."""
        self.status(status)
        self.socket.close()

    def line(self) -> bytes:
        """What comes on standard input until an empty line, as the shell reads it."""
        got = b""
        while not got.endswith(b"\n\n") and got != b"\n":
            message = self.socket.recv(timeout=10)
            assert isinstance(message, bytes)
            assert message[:1] == b"\x00"
            got += message[1:]
        return got


@dataclass
class ExecServer:
    """What was asked, and what is to be answered.

    Attributes:
        refusals: statuses and bodies for the next connections, before any is accepted.
        handler: what happens on one that is accepted.
    """

    handler: Handler
    refusals: list[tuple[int, str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    port: int = 0

    def api(self, timeout: float = 5) -> Api:
        """A session with it."""
        from kubernetes import client

        configuration = client.Configuration()
        configuration.host = f"http://127.0.0.1:{self.port}"
        configuration.api_key["authorization"] = "Bearer of-the-session"
        return Api(client.ApiClient(configuration), timeout, 0)

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        self.asked.append(request.path)
        if request.headers.get("Authorization") != "Bearer of-the-session":
            return connection.respond(HTTPStatus.UNAUTHORIZED, "")
        if not self.refusals:
            return None
        status, body = self.refusals.pop(0)
        return connection.respond(HTTPStatus(status), json.dumps({"message": body}))


@contextmanager
def exec_server(handler: Handler, refusals: list[tuple[int, str]] | None = None) -> Iterator[ExecServer]:
    """Serve on loopback until the ``with`` is left."""
    made = ExecServer(handler, refusals or [])

    def accepted(connection: ServerConnection) -> None:
        made.handler(Connection(connection))

    server: Server = serve(
        accepted,
        "127.0.0.1",
        0,
        process_request=made._answer,
        subprotocols=["v5.channel.k8s.io"],  # type: ignore[list-item]
        compression=None,
    )
    made.port = server.socket.getsockname()[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join(10)
