"""A websocket to the API server, with the session's own credentials, certificate authority and proxy."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from cluster.api_errors import from_status, from_transport
from cluster.errors import Blocked

if TYPE_CHECKING:
    from websocket import WebSocket

# v5 adds that the input alone can be closed; both give the exit status as JSON:
# https://github.com/kubernetes/enhancements/tree/master/keps/sig-api-machinery/4006-transition-spdy-to-websockets
PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")


@dataclass(frozen=True)
class Opening:
    """What a connection to the API server needs.

    Attributes:
        server: the API server's URL.
        headers: with the authentication.
        context: TLS, all of it in memory; None: plain HTTP.
        server_name: the name that the certificate must have; empty: the host's.
        proxy: URL of an HTTP proxy; empty: none.
    """

    server: str
    headers: Mapping[str, str]
    context: ssl.SSLContext | None
    server_name: str = ""
    proxy: str = ""

    def __repr__(self) -> str:
        # The headers hold a token.
        return f"Opening({self.server!r})"


def connect(opening: Opening, path: str, timeout: float) -> WebSocket:
    """Open a websocket; each of its reads and writes has the timeout (seconds).

    Raises:
        Blocked: the server refuses (``forbidden``, ``not-found``, ``api-busy``, …).
        Unreachable: it cannot be reached.
    """
    import websocket

    options: dict[str, Any] = {"sslopt": {"context": opening.context}} if opening.context else {}
    if opening.context and opening.server_name:
        options["sslopt"]["server_hostname"] = opening.server_name
    made = websocket.WebSocket(skip_utf8_validation=True, **options)
    address = urlsplit(opening.server)
    scheme = "ws" if address.scheme == "http" else "wss"
    url = urlunsplit((scheme, address.netloc, address.path.rstrip("/"), "", "")) + path
    try:
        made.connect(
            url,
            header=dict(opening.headers),
            subprotocols=list(PROTOCOLS),
            timeout=timeout,
            suppress_origin=True,
            redirect_limit=0,
            **_proxy(opening.proxy),
        )
    except websocket.WebSocketBadStatusException as error:
        body = error.resp_body or b""
        raise from_status(error.status_code, bytes(body).decode(errors="replace"), "GET", path) from None
    except (OSError, websocket.WebSocketException, ValueError) as error:
        raise from_transport(error, opening.server) from None
    if made.subprotocol not in PROTOCOLS:
        made.shutdown()
        raise Blocked(
            "exec-protocol",
            f"The API server {opening.server} speaks no known protocol for running programs in pods",
            "A Kubernetes of version 1.19 or later is needed; see what proxy stands before the API server.",
        )
    return made


def _proxy(url: str) -> dict[str, Any]:
    if not url:
        # Else the library takes one from the environment on its own, which the session did not.
        return {"http_no_proxy": ["*"]}
    address = urlsplit(url)
    options: dict[str, Any] = {"http_proxy_host": address.hostname, "http_proxy_port": address.port or 80}
    if address.username:
        options["http_proxy_auth"] = (address.username, address.password or "")
    return options
