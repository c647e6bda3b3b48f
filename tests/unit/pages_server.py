"""An HTTP server that gives a large cluster away in pages, each made when it is asked for, and packed as asked."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from kubernetes import client

from cluster.api import Api
from tests.unit.places import GPU_WORKER, asking, place


class Server(ThreadingHTTPServer):
    """So many nodes, and pods that run on them.

    Attributes:
        asked: the path and the query of each request.
        holds: while it is cleared, no page but the first of a list is given away.
    """

    daemon_threads = True

    def __init__(self, nodes: int, pods: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.nodes = nodes
        self.pods = pods
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.holds = threading.Event()
        self.holds.set()


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(address.query).items()}
        self.server.asked.append((address.path, query))
        if "continue" in query:
            self.server.holds.wait(20)
        count = {"/api/v1/nodes": self.server.nodes, "/api/v1/pods": self.server.pods}.get(address.path, 0)
        first, limit = int(query.get("continue", 0)), int(query.get("limit", count or 1))
        last = min(first + limit, count)
        made = _node if address.path.endswith("nodes") else self._pod
        metadata = {"resourceVersion": "1", **({"continue": str(last)} if last < count else {})}
        said = json.dumps({"metadata": metadata, "items": [made(at) for at in range(first, last)]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        if "gzip" in self.headers.get("Accept-Encoding", ""):
            said = gzip.compress(said, 1)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def _pod(self, at: int) -> Any:
        made = asking(f"p{at}", cpu="1", namespace="t", nodeName=f"n{at % self.server.nodes}")
        made["metadata"]["uid"] = f"pod-{at}"
        made["spec"]["containers"][0]["env"] = [{"name": f"SETTING_{n}", "value": f"{at}-{n}"} for n in range(40)]
        return made

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name is the library's)
        """Says nothing."""


def _node(at: int) -> Any:
    made = place(f"n{at}", role=GPU_WORKER, cpu="32", memory="64Gi").node
    made["metadata"]["uid"] = f"node-{at}"
    return made


@contextmanager
def serving(nodes: int, pods: int) -> Iterator[tuple[Server, Api]]:
    """A server on loopback, and a session with it."""
    server = Server(nodes, pods)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    configuration = client.Configuration(host=f"http://127.0.0.1:{server.server_address[1]}")
    configuration.retries = False
    try:
        yield server, Api(client.ApiClient(configuration), timeout=10, patience=0)
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
