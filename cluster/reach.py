"""From a downtime to its machine: address, SSH session, power controller."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from cluster import node, ssh_probe
from cluster.api import Api
from cluster.config import Settings
from cluster.errors import Misused
from cluster.hosts import Host, locate
from cluster.masking import Masker
from cluster.power import Power, controller
from cluster.probing import probe
from cluster.secret_refs import ReadSecret
from cluster.ssh import Ssh

if TYPE_CHECKING:
    from cluster.downtime import Downtime

MASKER = Masker()
"""Of this process: every secret that was read is masked in whatever it prints."""


def host(downtime: Downtime) -> Host:
    """Where the machine is reached."""
    return locate(downtime.settings.hosts, downtime.node, node.address(downtime.find_node() or {}))


def power(downtime: Downtime) -> Power:
    """The power controller, as far as one is configured."""
    return controller(downtime.settings.power, MASKER)


def ssh(downtime: Downtime) -> Ssh:
    """A session on the machine; connects at its ``with``."""
    return session(downtime.api, downtime.settings, host(downtime))


def session(api: Api, settings: Settings, where: Host) -> Ssh:
    """A session on any machine; connects at its ``with``."""
    return Ssh(where, settings.hosts, MASKER, secret_reader(api))


def boot_id(downtime: Downtime) -> str:
    """The boot id that the machine tells over SSH."""
    with ssh(downtime) as open_session:
        return open_session.boot_id()


def answers(downtime: Downtime, at_most: float = 60) -> bool:
    """Whether an SSH server greets at the machine's address, within ``connect_timeout`` and so many seconds."""
    timeout = min(at_most, downtime.settings.hosts.connect_timeout)
    return ssh_probe.answers(host(downtime), timeout).state == "answers"


def see_silent(downtime: Downtime, seconds: float) -> bool:
    """Whether the machine's SSH falls silent within ``seconds``. Refusing or failing to be asked is not silence."""
    where, timeout = host(downtime), downtime.settings.hosts.connect_timeout
    return probe(lambda: ssh_probe.answers(where, timeout).silent or None, seconds) is not None


def secret_reader(api: Api) -> ReadSecret:
    """Reads a key of a Kubernetes Secret."""

    def read(namespace: str, name: str, key: str) -> bytes:
        found = api.get(f"/api/v1/namespaces/{namespace}/secrets/{name}")
        value = ((found or {}).get("data") or {}).get(key)
        if value is None:
            raise Misused(
                "no-secret",
                f"The Secret {namespace}/{name} has no key {key}, or does not exist",
                "Correct the reference in the configuration, or create the Secret.",
            )
        return base64.b64decode(value)

    return read
