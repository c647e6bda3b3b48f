"""The session with the Kubernetes API: raw JSON, selection on the server, paging, and a timeout on everything.

Objects are plain dictionaries as the API sends them. The client library brings authentication (kubeconfig, exec
plugins, in-cluster tokens) and TLS; its models are not used: 10,000 pods as models took 9 s and 727 MB, raw pages
2.8 s. Its silent retries are off, because a write that is sent twice looks like a conflict with somebody else.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any
from urllib.parse import urlencode

from cluster.api_errors import Busy, Gone, from_status, from_transport
from cluster.api_socket import Opening
from cluster.api_tls import files_of_the_library, read_into_memory
from cluster.config import ClusterSettings
from cluster.errors import Misused, Unreachable

Object = dict[str, Any]
PAGE = 500
_READ_PAUSE = 0.25
_LONGEST_PAUSE = 3.0
# How often a list is begun whose pages become too old while they are read.
_LISTINGS = 4


class Api:
    """One session with one cluster.

    Args:
        client: a configured ``kubernetes.client.ApiClient``.
        timeout: seconds for one request (connecting, and each read).
        patience: seconds for which requests are tried again when the server is gone or busy. A server that restarts
            is back within tens of seconds; one attempt only (0) where an answer is wanted at once.
    """

    def __init__(self, client: Any, timeout: float, patience: float) -> None:
        self._client = client
        self.timeout = timeout
        self.patience = patience

    @property
    def server(self) -> str:
        """The address of the API server, for messages."""
        return str(self._client.configuration.host)

    def with_patience(self, patience: float, timeout: float | None = None) -> Api:
        """The same session, with another patience, and at most this timeout."""
        return Api(self._client, self.timeout if timeout is None else min(self.timeout, timeout), patience)

    def get(self, path: str) -> Object | None:
        """The object at ``path``; None when there is none."""
        return self._json("GET", path, missing_ok=True)

    def list(self, path: str, *, fields: str = "", labels: str = "") -> list[Object]:
        """All objects of a collection that match both selectors, read in pages."""
        return list(self.listing(path, fields=fields, labels=labels)[0])

    def listing(self, path: str, *, fields: str = "", labels: str = "") -> tuple[Sequence[Object], str]:
        """The same, with the version of the list, from which a watch goes on.

        Raises:
            Gone: its pages were too old before the last one was read, again and again.
        """
        for left in reversed(range(_LISTINGS)):
            try:
                pages = list(self._pages(path, fields, labels))
            except Gone:
                if not left:
                    raise
            else:
                return [one for page in pages for one in page.get("items") or ()], _version(pages[-1])
        raise AssertionError("the last try returns or raises")

    def iterate(
        self, path: str, *, fields: str = "", labels: str = "", read: Callable[[bytes], Object] = json.loads
    ) -> Iterator[Object]:
        """The same as :meth:`list`, two pages in memory at a time: one that is worked at, and the next.

        Who takes long over a page may find that the API server has forgotten the version of the list (HTTP 410, after
        some five minutes): it is then listed anew, and what was given out already is not given out again.

        Args:
            read: decodes a page; one that leaves out what is not needed is several times as fast.
        """
        given: set[str] = set()
        for left in reversed(range(_LISTINGS)):
            try:
                for page in self._pages(path, fields, labels, read):
                    for one in page.get("items") or ():
                        uid = str(one["metadata"]["uid"])
                        if uid not in given:
                            given.add(uid)
                            yield one
            except Gone:
                if not left:
                    raise
            else:
                return

    def _pages(
        self, path: str, fields: str, labels: str, read: Callable[[bytes], Object] = json.loads
    ) -> Iterator[Object]:
        """The next one is fetched and decoded while one is worked at: the server answers on its own time."""
        ask = partial(self.page, path, fields=fields, labels=labels, read=read)
        page = ask()
        while token := _rest(page):
            coming = _begun(partial(ask, token=token))
            yield page
            page = coming.result()
        yield page

    def page(
        self,
        path: str,
        *,
        fields: str = "",
        labels: str = "",
        token: str = "",
        read: Callable[[bytes], Object] = json.loads,
    ) -> Object:
        """One page of a collection, with its ``metadata`` (``resourceVersion``, ``continue``)."""
        query = {"limit": PAGE, "fieldSelector": fields, "labelSelector": labels, "continue": token}
        answer = self._patiently("GET", _with(path, query), None, missing_ok=False)
        if answer is None:
            raise AssertionError("a collection is never missing")
        return read(answer)

    def create(self, path: str, body: Object) -> Object:
        """Create an object.

        Raises:
            Conflict: it exists already.
        """
        return self._json("POST", path, body) or {}

    def replace(self, path: str, body: Object) -> Object:
        """Replace an object. With ``metadata.resourceVersion`` set it is a compare-and-swap.

        Raises:
            Conflict: somebody else was faster.
            NotFound: it is gone.
        """
        return self._json("PUT", path, body) or {}

    def dry_apply(self, path: str, body: Object, manager: str) -> Object:
        """What a server-side apply of the object would make of it, were it done; nothing is changed.

        Args:
            manager: who asks, as the server would note it.

        Raises:
            NotFound: the server knows no such kind, or no such namespace.
            Blocked: it would refuse the object, in its words.
        """
        query = {"dryRun": "All", "force": "true", "fieldManager": manager}
        return self._json("PATCH", _with(path, query), body) or {}

    def delete(self, path: str, *, uid: str = "", version: str = "") -> bool:
        """Delete an object, if its uid and its resource version are the ones given; False when there is none.

        Raises:
            Conflict: they are not.
        """
        body: Object = {"kind": "DeleteOptions", "apiVersion": "v1"}
        if uid:
            body["preconditions"] = {"uid": uid, **({"resourceVersion": version} if version else {})}
        return self._json("DELETE", path, body, missing_ok=True) is not None

    def ready(self) -> bool:
        """Whether the API server says of itself that it is ready (``/readyz``)."""
        try:
            return self._send("GET", "/readyz", None, self.timeout) == b"ok"
        except Busy:
            return False

    def server_time(self) -> datetime | None:
        """The time by the API server's own clock, to the second (HTTP's ``Date``); None: it does not tell."""
        response = self._open("GET", "/version", None, (self.timeout, self.timeout))
        try:
            return parsedate_to_datetime(response.response.headers.get("Date") or "")
        except ValueError:
            return None

    def watch(
        self, path: str, *, version: str, fields: str = "", labels: str = "", seconds: float = 30.0
    ) -> Iterator[Object]:
        """The changes of a collection since ``version``, as ``{"type", "object"}``; ends after ``seconds``.

        Both ends are told the time limit: without a read timeout a dead TCP connection would hang for ever.

        Raises:
            Gone: ``version`` is too old (HTTP 410): list again.
            Unreachable: the connection broke: list again.
        """
        whole = max(1, int(seconds))
        query = {
            "watch": "true",
            "resourceVersion": version,
            "fieldSelector": fields,
            "labelSelector": labels,
            "timeoutSeconds": whole,
            "allowWatchBookmarks": "true",
        }
        response = self._open("GET", _with(path, query), None, (self.timeout, whole + self.timeout))
        try:
            for line in _lines(response.response, self.server):
                event: Object = json.loads(line)
                if event["type"] == "ERROR":
                    raise from_status(int(event["object"].get("code", 500)), json.dumps(event["object"]), "GET", path)
                yield event
        finally:
            response.response.release_conn()
            response.response.close()

    def allowed(self, verb: str, resource: str, *, group: str = "", namespace: str = "", name: str = "") -> bool:
        """Whether these credentials may do ``verb`` on ``resource`` (``nodes``, ``pods/eviction``, …)."""
        kind, _, sub = resource.partition("/")
        attributes = {
            "verb": verb,
            "group": group,
            "resource": kind,
            "subresource": sub,
            "namespace": namespace,
            "name": name,
        }
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        answer = self.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body)
        return bool(answer["status"].get("allowed"))

    def opening(self, path: str) -> Opening:
        """What a websocket to ``path`` needs; a token that is about to expire is renewed first."""
        configuration, headers = self._client.configuration, {"User-Agent": "runai-downtime"}
        self._client.update_params_for_auth(headers, [], ["BearerToken"], path, "GET", None)
        pool = self._client.rest_client.pool_manager
        return Opening(
            server=self.server,
            headers=headers,
            context=pool.connection_pool_kw["ssl_context"] if self.server.startswith("https:") else None,
            server_name=configuration.tls_server_name or "",
            # A proxy may be configured, and this server excepted: what the session's requests use is right.
            proxy=configuration.proxy if pool.proxy is not None else "",
        )

    def _json(self, method: str, path: str, body: Object | None = None, *, missing_ok: bool = False) -> Object | None:
        raw = self._patiently(method, path, body, missing_ok)
        return None if raw is None else json.loads(raw)

    def _patiently(self, method: str, path: str, body: Object | None, missing_ok: bool) -> bytes | None:
        # Trying again can only help when the server was gone or said that it is busy. A write may have arrived
        # although its answer did not: it is a compare-and-swap, so the second try is harmless, and callers treat
        # the conflict that it gives by looking again.
        until = time.monotonic() + self.patience
        pause = _READ_PAUSE
        while True:
            try:
                return self._send(method, path, body, self.timeout, missing_ok)
            except (Unreachable, Busy):
                if time.monotonic() + pause > until:
                    raise
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _send(
        self, method: str, path: str, body: Object | None, timeout: float, missing_ok: bool = False
    ) -> bytes | None:
        response = self._open(method, path, body, (timeout, timeout), missing_ok)
        if response is None:
            return None
        try:
            return bytes(response.response.data)
        except Exception as error:
            raise from_transport(error, self.server) from error

    def _open(
        self, method: str, path: str, body: Object | None, timeout: tuple[float, float], missing_ok: bool = False
    ) -> Any:
        # The only patch there is here is an apply. JSON is YAML, and the library sends only text as another type.
        patch = method == "PATCH"
        content = "application/apply-patch+yaml" if patch else "application/json"
        headers = {"Accept": "application/json", "Content-Type": content, "User-Agent": "runai-downtime"}
        # A page of pods is 3 MB, of which 0.3 are sent; the server packs nothing that is small.
        headers["Accept-Encoding"] = "gzip"
        sent = json.dumps(body) if patch else body
        try:
            self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
            response = self._client.call_api(method, self.server + path, headers, sent, None, timeout)
        except Exception as error:
            raise from_transport(error, self.server) from error
        if 200 <= response.status < 300:
            return response
        text = response.response.data.decode(errors="replace")
        if response.status == 404 and missing_ok:
            return None
        raise from_status(response.status, text, method, path, response.response.headers.get("Retry-After", ""))


def _lines(response: Any, server: str) -> Iterator[bytes]:
    rest = b""
    try:
        for chunk in response.stream(65536, decode_content=True):
            rest += chunk
            *whole, rest = rest.split(b"\n")
            yield from (line for line in whole if line)
    except Exception as error:
        raise from_transport(error, server) from error


def _begun(ask: Callable[[], Object]) -> Future[Object]:
    """What is asked for meanwhile. Nobody who stops in the middle waits for it, nor does a process that ends."""
    coming: Future[Object] = Future()

    def get() -> None:
        try:
            coming.set_result(ask())
        except BaseException as error:  # noqa: BLE001 - raised where the page is wanted
            coming.set_exception(error)

    threading.Thread(target=get, name="next-page", daemon=True).start()
    return coming


def _rest(page: Object) -> str:
    """What the next page is asked for by; empty: this is the last one."""
    return str(page["metadata"].get("continue") or "")


def _version(page: Object) -> str:
    return str(page["metadata"]["resourceVersion"])


def _with(path: str, query: dict[str, Any]) -> str:
    return f"{path}?{urlencode({key: value for key, value in query.items() if value != ''})}"


def connect(settings: ClusterSettings, patience: float = 30.0) -> Api:
    """Open a session with the configured cluster, or with the one that this process runs in.

    Raises:
        Misused: the kubeconfig is missing, malformed, or lacks the context.
    """
    from kubernetes import client, config

    configuration = client.Configuration()
    configuration.retries = False
    with files_of_the_library():
        try:
            if settings.kubeconfig is None and _in_cluster():
                config.load_incluster_config(client_configuration=configuration)
            else:
                config.load_kube_config(
                    config_file=str(settings.kubeconfig) if settings.kubeconfig else None,
                    context=settings.context or None,
                    client_configuration=configuration,
                    persist_config=False,
                )
            session = client.ApiClient(configuration)
            read_into_memory(session)
        except Exception as error:  # the library raises yaml, OS, type and its own errors alike for a bad kubeconfig
            raise Misused(
                "kubeconfig",
                f"The kubeconfig {settings.kubeconfig or 'of the environment'} cannot be used: {_first_line(error)}",
                "Name a working one as [cluster] kubeconfig in the configuration, or in KUBECONFIG.",
            ) from error
    return Api(session, settings.request_timeout, patience)


def _in_cluster() -> bool:
    import os

    return "KUBERNETES_SERVICE_HOST" in os.environ and "KUBECONFIG" not in os.environ


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]


__all__ = ["Api", "Gone", "Object", "connect"]
