"""An HTTP server that answers evictions as it is told, and keeps what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from kubernetes import client

from cluster.api import Api

BUDGET = {
    "message": "Cannot evict pod as it would violate the pod's disruption budget.",
    "details": {
        "causes": [{"reason": "DisruptionBudget", "message": "The disruption budget web needs 1 healthy pods"}]
    },
}


class Server(ThreadingHTTPServer):
    """Accepts every eviction but those of the pods in ``answers``.

    Attributes:
        answers: by a pod's name the status, and the Retry-After if there is one.
        says: by a pod's name the body of such an answer, if it is not about a budget.
        asked: the names of the pods in the order of the requests.
        uids: the uids that the requests were about.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, tuple[int, str]] = {}
        self.says: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.uids: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = self.path.split("/")[-2]
        assert self.path.endswith(f"/pods/{name}/eviction")
        self.server.asked.append(name)
        self.server.uids.append(body["deleteOptions"]["preconditions"]["uid"])
        status, retry_after = self.server.answers.get(name, (201, ""))
        said = json.dumps({"status": "Success"} if status == 201 else self.server.says.get(name, BUDGET)).encode()
        self.send_response(status)
        if retry_after:
            self.send_header("Retry-After", retry_after)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name is the library's)
        """Says nothing."""


@contextmanager
def serving() -> Iterator[tuple[Server, Api]]:
    """A server on loopback, and a session with it."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    configuration = client.Configuration(host=f"http://127.0.0.1:{server.server_address[1]}")
    configuration.retries = False
    try:
        yield server, Api(client.ApiClient(configuration), timeout=5, patience=0)
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
