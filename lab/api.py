"""A thin client of the Kubernetes API for the lab itself: plain JSON in and out, TLS verified, a timeout on each call.

The lab does not use the product's client on purpose, so that a mistake there can't hide itself here; and it starts
faster than the official one, which matters to a power command that must answer in a fraction of a second.
"""

from __future__ import annotations

import base64
import json
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import urllib3
import yaml

from lab.errors import LabError

JSON = dict[str, Any]
SECONDS = 30.0


class ApiError(LabError):
    """The API server refused, with its HTTP ``status``; or can't be reached (``status`` is 0)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Api:
    """One API server, as one user."""

    def __init__(self, kubeconfig: Path) -> None:
        try:
            config = yaml.safe_load(kubeconfig.read_text())
        except OSError as error:
            raise LabError(f"no cluster to talk to: {kubeconfig}: {error.strerror}") from error
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        context = ssl.create_default_context(cadata=_decoded(cluster["certificate-authority-data"]))
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(_decoded(user["client-certificate-data"]) + "\n" + _decoded(user["client-key-data"]))
            file.flush()
            context.load_cert_chain(file.name)
        self._server = cluster["server"]
        self._pool = urllib3.PoolManager(ssl_context=context, retries=False, maxsize=16)

    def call(
        self, method: str, path: str, body: JSON | None = None, *, patch: str = "merge", seconds: float = SECONDS
    ) -> JSON:
        """One request; ``patch`` is the kind of a PATCH (merge or strategic-merge). Raises ApiError."""
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if method == "PATCH":
            headers["Content-Type"] = f"application/{patch}-patch+json"
        data = json.dumps(body).encode() if body is not None else None
        # A connection that was kept may have ended when the cluster's address moved to another host.
        again = urllib3.Retry(total=1, connect=0, redirect=0, status=0, backoff_factor=0) if method == "GET" else False
        try:
            answer = self._pool.request(
                method, self._server + path, body=data, headers=headers, timeout=seconds, retries=again
            )
        except urllib3.exceptions.HTTPError as error:
            raise ApiError(0, f"{method} {path}: {error}") from error
        if answer.status >= 400:
            raise ApiError(answer.status, f"{method} {path}: {answer.status} {_message(answer.data)}")
        if not answer.headers.get("Content-Type", "").startswith("application/json"):
            return {"text": answer.data.decode(errors="replace")}
        document = json.loads(answer.data)
        return document if isinstance(document, dict) else {}

    def get(self, path: str) -> JSON:
        return self.call("GET", path)

    def find(self, path: str) -> JSON | None:
        """The object, or None if there is none."""
        try:
            return self.get(path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def items(self, path: str) -> list[JSON]:
        found = self.get(path).get("items", [])
        return found if isinstance(found, list) else []

    def create(self, collection: str, body: JSON) -> JSON:
        return self.call("POST", collection, body)

    def patch(self, path: str, body: JSON, kind: str = "merge") -> JSON:
        return self.call("PATCH", path, body, patch=kind)

    def delete(self, path: str, **options: Any) -> None:
        """Delete the object; it is no error if it is gone already."""
        try:
            self.call("DELETE", path, {"kind": "DeleteOptions", "apiVersion": "v1", **options})
        except ApiError as error:
            if error.status != 404:
                raise

    def watch(self, collection: str, version: str, seconds: int) -> Iterator[JSON]:
        """Events after ``version``, for ``seconds`` at most. Raises ApiError when the stream breaks."""
        path = f"{collection}?watch=true&resourceVersion={version}&timeoutSeconds={seconds}&allowWatchBookmarks=true"
        timeout = urllib3.Timeout(connect=5, read=seconds + 10)
        try:
            answer = self._pool.request("GET", self._server + path, timeout=timeout, preload_content=False)
            try:
                if answer.status >= 400:
                    raise ApiError(answer.status, f"watch {collection}: {answer.status} {_message(answer.data)}")
                yield from _lines(answer)
            finally:
                answer.close()
        except urllib3.exceptions.HTTPError as error:
            raise ApiError(0, f"watch {collection}: {error}") from error


def _lines(answer: urllib3.BaseHTTPResponse) -> Iterator[JSON]:
    rest = b""
    for piece in answer.stream(65_536, decode_content=True):
        *lines, rest = (rest + piece).split(b"\n")
        yield from (json.loads(line) for line in lines if line)


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode()


def _message(data: bytes) -> str:
    try:
        return str(json.loads(data).get("message", ""))
    except (ValueError, AttributeError):
        return data[:200].decode(errors="replace")
