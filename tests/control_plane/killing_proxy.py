"""Between one process of the product and the API server: sees every request, and may stop the world at any of them.

The product has no hook for tests: what a test wants to happen just before a write reaches the server, or just after
the server carried it out and before the process knows, happens here. A test gives the proxy a ``Script``; the proxy
asks it about each request, and about each answer before it is handed back.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
import ssl
import tempfile
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from lab.pki import Authority

LOOPBACK = "127.0.0.1"
T = TypeVar("T")
_HEAD_END = b"\r\n\r\n"
_CONFIGMAPS = "/api/v1/namespaces/runai-downtime/configmaps"
_NODE = re.compile(r"/api/v1/nodes/[^/]+")


@dataclass(frozen=True)
class Request:
    """One request of the process."""

    method: str
    path: str
    body: bytes

    @property
    def is_journal_write(self) -> bool:
        """Whether it writes what a later process goes on from: records, the fleet, a Node with its annotation."""
        if self.method == "POST":
            return self.path == _CONFIGMAPS
        return self.method == "PUT" and (
            self.path.startswith(f"{_CONFIGMAPS}/") or _NODE.fullmatch(self.path) is not None
        )

    @property
    def title(self) -> str:
        """For messages: what is written."""
        name = self.path.rsplit("/", 1)[-1]
        if self.method == "POST":
            name = json.loads(self.body)["metadata"]["name"]
        kind = "Node" if "/nodes/" in self.path else "ConfigMap"
        return f"{self.method} {kind} {name}"


class Script:
    """What is to happen. This one lets everything pass; answering False cuts the connection instead of going on."""

    async def before(self, request: Request) -> bool:
        """Called before a request is handed on."""
        return True

    async def instead(self, request: Request) -> int:
        """The status with which the proxy itself answers, and the server is not asked; 0: it is."""
        return 0

    async def after(self, request: Request, status: int) -> bool:
        """Called when the server has answered, before the answer is handed back."""
        return True


class Relay:
    """The thread in which all proxies of the tests live, and the certificates that they show."""

    def __init__(self) -> None:
        self._authority = Authority()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)
        self._thread.start()
        issued = self._authority.server(["localhost"], [LOOPBACK])
        self._serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        _load(self._serving, issued.certificate, issued.key)

    def stop(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something in the relay's thread, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    @contextmanager
    def proxy(self, kubeconfig: Path, folder: Path, script: Script) -> Iterator[Path]:
        """A proxy to the API server of ``kubeconfig``; yields the kubeconfig that leads through it."""
        document = yaml.safe_load(kubeconfig.read_text())
        cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
        talking = ssl.create_default_context(cadata=_decoded(cluster["certificate-authority-data"]))
        _load(talking, _decoded(user["client-certificate-data"]), _decoded(user["client-key-data"]))
        proxy = _Proxy(cluster["server"], talking, script)
        port = self.run(proxy.start(self._serving))
        cluster["server"] = f"https://{LOOPBACK}:{port}"
        cluster["certificate-authority-data"] = base64.b64encode(self._authority.certificate.encode()).decode()
        path = folder / f"kubeconfig-{port}"
        path.write_text(json.dumps(document))
        try:
            yield path
        finally:
            self.run(proxy.stop())


class _Proxy:
    def __init__(self, server: str, context: ssl.SSLContext, script: Script) -> None:
        self._host, _, port = server.removeprefix("https://").partition(":")
        self._port = int(port)
        self._context = context
        self._script = script
        self._tasks: set[asyncio.Task[Any]] = set()
        self._server: asyncio.Server | None = None

    async def start(self, context: ssl.SSLContext) -> int:
        self._server = await asyncio.start_server(self._converse, LOOPBACK, 0, ssl=context)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        upstream: asyncio.StreamWriter | None = None
        try:
            answers, upstream = await asyncio.open_connection(self._host, self._port, ssl=self._context)
            while await self._exchange(reader, writer, answers, upstream):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # one side is gone, or the proxy is: so is this conversation
        finally:
            self._tasks.discard(task)
            for end in (writer, upstream):
                if end is not None:
                    end.transport.abort()

    async def _exchange(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answers: asyncio.StreamReader,
        upstream: asyncio.StreamWriter,
    ) -> bool:
        head = await reader.readuntil(_HEAD_END)
        method, path, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
        body = await reader.readexactly(int(_header(head, b"content-length") or 0))
        request = Request(method, path, body)
        if not await self._script.before(request):
            return False
        status = await self._script.instead(request)
        if status:
            writer.write(f"HTTP/1.1 {status} By the test\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()
            return True
        upstream.write(head + body)
        head = await answers.readuntil(_HEAD_END)
        chunked = b"chunked" in _header(head, b"transfer-encoding")
        # An answer of known length is read whole before it is judged: "the server answered" leaves nothing open.
        body = b"" if chunked else await answers.readexactly(int(_header(head, b"content-length") or 0))
        if not await self._script.after(request, int(head.split(b" ", 2)[1])):
            return False
        writer.write(head + body)
        await writer.drain()
        if chunked:
            await _copy_chunks(answers, writer)
        return True


async def _copy_chunks(answers: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        line = await answers.readuntil(b"\r\n")
        size = int(line.split(b";")[0], 16)
        writer.write(line + await answers.readexactly(size + 2))
        await writer.drain()
        if size == 0:
            return


def _header(head: bytes, name: bytes) -> bytes:
    found = re.search(rb"(?im)^" + re.escape(name) + rb":[ \t]*(.*?)\r$", head)
    return found[1].strip().lower() if found else b""


def _load(context: ssl.SSLContext, certificate: str, key: str) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(f"{certificate}\n{key}")
        file.flush()
        context.load_cert_chain(file.name)


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode()


@contextmanager
def relay() -> Iterator[Relay]:
    """A relay, for a fixture."""
    made = Relay()
    try:
        yield made
    finally:
        with contextlib.suppress(RuntimeError):
            made.stop()
