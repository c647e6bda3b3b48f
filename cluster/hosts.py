"""From a node to the machine behind it.

The node's name is what Kubernetes calls it; where the machine is reached, and what it calls itself, are other things:
nothing here or elsewhere assumes that they are equal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

from cluster.errors import Blocked

if TYPE_CHECKING:
    from cluster.config import HostsSettings

_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?"
_HOST_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?")


@dataclass(frozen=True)
class Host:
    """A machine: the node that it is in the cluster, and where its SSH server listens."""

    node: str
    address: str
    port: int = 22

    def __str__(self) -> str:
        address = f"[{self.address}]" if ":" in self.address else self.address
        where = address if self.port == 22 else f"{address}:{self.port}"
        return f"{self.node} ({where})"


def locate(settings: HostsSettings, node: str, internal_ip: str | None) -> Host:
    """Where the machine of a node is reached: as configured in ``[hosts.addresses]``, else at the node's InternalIP.

    Raises:
        Blocked: ``no-address``: neither is known.
    """
    configured = settings.addresses.get(node) or internal_ip
    if not configured:
        raise Blocked(
            "no-address",
            f"No address is known for the machine of node {node}: the node has no InternalIP and none is configured",
            f'Write {node} = "ADDRESS" under [hosts.addresses] in the configuration.',
        )
    address, port = split_address(configured, settings.port)
    return Host(node, address, port)


def split_address(text: str, default_port: int) -> tuple[str, int]:
    """``address``, ``address:port``, ``[v6]`` or ``[v6]:port`` as address and port.

    Raises:
        ValueError: it is none of these.
    """
    problem = ValueError('write "10.0.0.7", "host.example", "10.0.0.7:2222" or "[fd00::7]:22"')
    if match := re.fullmatch(r"\[([^\]]*)\](?::(\d{1,5}))?", text):
        address, port = match.groups()
        if not _is_ip(address):
            raise problem
    elif _is_ip(text):
        address, port = text, None
    elif match := re.fullmatch(r"([^:]+)(?::(\d{1,5}))?", text):
        address, port = match.groups()
        if not _HOST_NAME.fullmatch(address):
            raise problem
    else:
        raise problem
    number = int(port) if port else default_port
    if not 1 <= number <= 65535:
        raise problem
    return address, number


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
