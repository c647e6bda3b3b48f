"""An S3-compatible store on loopback for the tests, and what such a store does when it is full, read-only or gone.

The store is moto's server (all in memory); what goes wrong is answered before it, in the words of real stores.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import fsspec
import httpx
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

LOOPBACK = "127.0.0.1"
BUCKET = "backups"
KEY, SECRET = "lab-key", "lab-secret"
HANG_SECONDS = 60.0

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
READ_ONLY = ("403 Forbidden", "AccessDenied", "Access Denied.")
FULL = (
    "507 Insufficient Storage",
    "XMinioStorageFull",
    "Storage backend has reached its minimum free drive threshold.",
)


class _Silent(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


class ObjectStore:
    """A store with one empty bucket. ``url`` and ``options`` are what fsspec opens it by (``[recovery] store``)."""

    url = f"s3://{BUCKET}"

    def __init__(self) -> None:
        self._inner: Application = DomainDispatcherApplication(create_backend_app)
        self._refusal: tuple[str, str, str] | None = None
        self._room: int | None = None
        self._hanging: threading.Event | None = None
        self._server: BaseWSGIServer | None = None
        self._port = 0
        self.back()
        # moto keeps what it holds for the whole process: another store of it may have been there before.
        httpx.post(f"{self.endpoint}/moto-api/reset", timeout=10).raise_for_status()
        self.files().mkdir(BUCKET)

    @property
    def options(self) -> dict[str, Any]:
        """fsspec's storage options. (No file of the machine tells it another account or region.)"""
        return {
            "key": KEY,
            "secret": SECRET,
            "client_kwargs": {"endpoint_url": self.endpoint, "region_name": "eu-central-1"},
        }

    @property
    def endpoint(self) -> str:
        return f"http://{LOOPBACK}:{self._port}"

    def files(self) -> Any:
        """A client of its own, for what a test itself looks at and changes."""
        return fsspec.filesystem("s3", skip_instance_cache=True, use_listings_cache=False, **self.options)

    def names(self) -> list[str]:
        """All that lies in the bucket, without the bucket's name."""
        return sorted(name.removeprefix(f"{BUCKET}/") for name in self.files().find(BUCKET))

    def unfinished_uploads(self) -> int:
        """How many multipart uploads were begun and neither completed nor aborted: they cost space unseen."""
        found = self.files().call_s3("list_multipart_uploads", Bucket=BUCKET)
        return len(found.get("Uploads", []))

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """Who writes has no right to."""
        self._refusal = READ_ONLY
        try:
            yield
        finally:
            self._refusal = None

    @contextmanager
    def full_after(self, size: int) -> Iterator[None]:
        """There is room for ``size`` bytes more."""
        self._room = size
        try:
            yield
        finally:
            self._room = None

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Nobody gets an answer any more, until the block ends."""
        self._hanging = threading.Event()
        try:
            yield
        finally:
            self._hanging.set()
            self._hanging = None

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """Connections are refused."""
        self.stop()
        try:
            yield
        finally:
            self.back()

    def back(self) -> None:
        """Serve, at the same place as before."""
        self._server = make_server(LOOPBACK, self._port, self._answer, threaded=True, request_handler=_Silent)
        self._port = int(self._server.server_port)
        threading.Thread(target=self._server.serve_forever, name="object-store", daemon=True).start()

    def stop(self) -> None:
        """Serve nobody."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _answer(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        hanging = self._hanging
        if hanging is not None:
            hanging.wait(HANG_SECONDS)
        # Only what stores data: a client may take its own half-written parts away from a full store.
        size = int(environ.get("CONTENT_LENGTH") or 0) if environ["REQUEST_METHOD"] == "PUT" else 0
        refusal = self._refusal if environ["REQUEST_METHOD"] in {"PUT", "POST", "DELETE"} else None
        if self._room is not None and size:
            self._room -= size
            refusal = FULL if self._room < 0 else refusal
        if refusal is None:
            return self._inner(environ, start)
        environ["wsgi.input"].read(size)
        status, code, text = refusal
        start(status, [("Content-Type", "application/xml")])
        return [f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{text}</Message></Error>".encode()]


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """A store for a fixture; what is in it is lost with the block."""
    made = ObjectStore()
    try:
        yield made
    finally:
        made.stop()
