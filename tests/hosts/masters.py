"""Several control-plane hosts: what etcd says of its members, and what a joining host is told in secret."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.api import Api
from lab.engine import environment
from lab.errors import LabError
from lab.machines import inside
from lab.patience import until

if TYPE_CHECKING:
    from tests.hosts.conftest import HostsLab

MASTERS = ("master-1", "master-2", "master-3")
SECRETS = "/api/v1/namespaces/kube-system/secrets"
_PKI = "/etc/kubernetes/pki/etcd"
_ETCDCTL = (
    f"etcdctl --endpoints=https://127.0.0.1:2379 --cacert={_PKI}/ca.crt --cert={_PKI}/healthcheck-client.crt "
    f"--key={_PKI}/healthcheck-client.key"
)
_WITHIN = f'exec crictl exec "$(crictl ps --name "^etcd$" --state Running -q | head -n 1)" {_ETCDCTL} "$@"'
# While kubeadm runs its configuration lies in memory, readable by root alone: as root it is looked at many times.
_KEYS = "while :; do grep -hs certificateKey /run/runai-downtime/join.* /dev/null; sleep 0.05; done"


def etcdctl(hosts: HostsLab, node: str, *arguments: str) -> str:
    """Run etcdctl in the etcd of a control-plane host."""
    return inside(hosts.lab, hosts.machine(node), "sh", "-c", _WITHIN, "sh", *arguments, timeout=60)


def members(hosts: HostsLab, through: str = "master-1") -> dict[str, bool]:
    """All members of etcd by their names, and whether they have a vote."""
    listed = json.loads(etcdctl(hosts, through, "member", "list", "-w", "json"))["members"]
    return {one.get("name", ""): not one.get("isLearner", False) for one in listed}


def healthy(hosts: HostsLab, *names: str, through: str = "master-1") -> bool:
    """Whether exactly these have a vote, and every member answers."""
    try:
        if members(hosts, through) != dict.fromkeys(names, True):
            return False
        answers = json.loads(etcdctl(hosts, through, "endpoint", "health", "--cluster", "-w", "json"))
    except (LabError, ValueError):
        return False
    return len(answers) == len(names) and all(one["health"] for one in answers)


def see_healthy(hosts: HostsLab, *names: str, seconds: float = 120) -> None:
    """Wait until exactly these members are healthy and have a vote."""
    until(lambda: healthy(hosts, *names), seconds=seconds, what=lambda: f"members of etcd: {members(hosts)}", every=1)


def see_ready(hosts: HostsLab, *names: str, seconds: float = 120) -> None:
    """Wait until these nodes are Ready: a kubelet whose API server was away is silent for a while longer than etcd."""

    def not_ready() -> list[str]:
        nodes = {node["metadata"]["name"]: node for node in hosts.api.items("/api/v1/nodes")}
        return [name for name in names if not _ready(nodes[name])]

    until(lambda: not not_ready(), seconds=seconds, what=lambda: f"not Ready: {not_ready()}", every=1)


def _ready(node: dict[str, Any]) -> bool:
    return any(one["type"] == "Ready" and one["status"] == "True" for one in node["status"]["conditions"])


@contextmanager
def certificate_keys(hosts: HostsLab, node: str, folder: Path) -> Iterator[Path]:
    """Look for the certificate key that a joining host is given, as its root could; a file with what was found."""
    path = folder / f"keys-of-{node}"
    words = ["podman", "exec", hosts.machine(node).container(hosts.lab), "timeout", "400", "sh", "-c", _KEYS]
    with path.open("wb") as output:
        quiet = subprocess.DEVNULL
        looking = subprocess.Popen(words, stdin=quiet, stdout=output, stderr=quiet, env={**os.environ, **environment()})
        try:
            yield path
        finally:
            looking.kill()
            looking.wait(10)


def uploads(api: Api) -> list[str]:
    """What an upload of the control plane's certificates leaves: the Secret, and tokens."""
    names = [one["metadata"]["name"] for one in api.items(SECRETS)]
    return [name for name in names if name == "kubeadm-certs" or name.startswith("bootstrap-token-")]
