"""Whether the API server that this product talks to is that of the very node that is to go down.

Then nothing could be seen or undone once it is down, whatever the other control-plane nodes do: the session must go
through an address that survives the loss of one (a load balancer, a virtual address, a name for all of them).
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection
from urllib.parse import urlsplit

from cluster import node as node_
from cluster.node import Object
from cluster.plan import Finding


def addresses(server: str) -> tuple[str, ...]:
    """All addresses that the host of a URL has now; none: its name cannot be resolved. Never raises."""
    host = _host(server)
    try:
        return (str(ipaddress.ip_address(host)),)
    except ValueError:
        pass
    try:
        return tuple(sorted({str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}))
    except (OSError, UnicodeError):
        return ()


def objections(server: str, resolved: Collection[str], node: Object) -> list[Finding]:
    """What forbids a control-plane node to go down while this is where its cluster is talked to. Pure.

    Args:
        server: the URL of the API server.
        resolved: all addresses of its host.
        node: the Node.
    """
    known = {str(one.get("address")) for one in node.get("status", {}).get("addresses") or ()} | {node_.name(node)}
    if _host(server) not in known and not (resolved and set(resolved) <= known):
        return []
    return [
        Finding(
            code="api-server-on-node",
            message=f"The API server that is talked to, {server}, is {node_.name(node)}'s own: once that is down, "
            "nothing could be seen or undone",
            remedy="Use a kubeconfig ([cluster] kubeconfig) with the address of the control plane's load balancer, or "
            "of another control-plane node.",
        )
    ]


def _host(server: str) -> str:
    try:
        return urlsplit(server).hostname or ""
    except ValueError:
        return ""
