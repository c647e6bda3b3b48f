"""Where owners are told in tests: a web hook on this machine, that takes, refuses, or never answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

JSON = dict[str, Any]
TOKEN = "T0kenThatNobodyMaySee"


class Hook:
    """The web hook: what it was told, and how it behaves."""

    def __init__(self, port: int) -> None:
        self.told: list[JSON] = []
        self.behaves: Literal["takes", "refuses", "hangs"] = "takes"
        self.released = threading.Event()
        self.url = f"json://127.0.0.1:{port}/hooks/{TOKEN}"

    @property
    def texts(self) -> list[str]:
        """What people read."""
        return [f"{one['title']}\n{one['message']}" for one in self.told]


@contextmanager
def hook() -> Iterator[Hook]:
    """A web hook, until it is no longer needed."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            made.told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            if made.behaves == "hangs":
                made.released.wait(60)
            self.send_response(500 if made.behaves == "refuses" else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing on the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made = Hook(server.server_port)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield made
    finally:
        made.released.set()
        server.shutdown()
        server.server_close()
