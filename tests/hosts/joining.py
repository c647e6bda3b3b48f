"""What goes on while a machine joins: the tokens that exist, the processes on the hosts, the states of the new node."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lab.api import JSON, Api, ApiError
from lab.engine import environment
from lab.machines import inside
from lab.patience import until

if TYPE_CHECKING:
    from tests.hosts.conftest import HostsLab

TOKENS = "/api/v1/namespaces/kube-system/secrets?fieldSelector=type%3Dbootstrap.kubernetes.io%2Ftoken"
_PROCESSES = "while :; do cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' ' '; sleep 0.1; done"
_SEARCHED = ("/run", "/etc", "/root", "/home", "/tmp", "/var/log", "/var/lib/kubelet")


class State(NamedTuple):
    """A node, as far as new work is concerned."""

    joining: bool
    cordoned: bool
    labelled: bool


class Watched:
    """What was seen."""

    def __init__(self) -> None:
        self.tokens: dict[str, str] = {}
        self.descriptions: set[str] = set()
        self.states: list[State] = []
        self.processes: dict[str, Path] = {}

    def secrets(self, hosts: HostsLab) -> list[str]:
        """Everything that must be seen nowhere: tokens, their secret halves, and the pin of the authority."""
        assert self.tokens, "no token was ever seen: there is nothing to search for"
        halves = [secret for secret in self.tokens.values() if secret]
        whole = [f"{name}.{secret}" for name, secret in self.tokens.items()]
        return [*whole, *halves, pin(hosts.api)]


@contextmanager
def watched(hosts: HostsLab, node: str, label: str, folder: Path) -> Iterator[Watched]:
    """Watch tokens, the node, and the processes of its machine and of the control plane."""
    seen, over = Watched(), threading.Event()
    listings = [_listing(hosts, one, seen, folder) for one in (node, "master-1")]
    threads = [
        threading.Thread(target=_repeat, args=(over, lambda: _see_tokens(hosts.api, seen)), daemon=True),
        threading.Thread(target=_repeat, args=(over, lambda: _see_node(hosts.api, node, label, seen)), daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        over.set()
        for thread in threads:
            thread.join(30)
        for listing in listings:
            listing.kill()
            listing.wait(10)


def _listing(hosts: HostsLab, node: str, seen: Watched, folder: Path) -> subprocess.Popen[bytes]:
    path = folder / f"processes-of-{node}"
    seen.processes[node] = path
    words = ["podman", "exec", hosts.machine(node).container(hosts.lab), "timeout", "300", "sh", "-c", _PROCESSES]
    with path.open("wb") as output:
        quiet = subprocess.DEVNULL
        return subprocess.Popen(words, stdin=quiet, stdout=output, stderr=quiet, env={**os.environ, **environment()})


def _repeat(over: threading.Event, look: Callable[[], None]) -> None:
    while not over.wait(0.05):
        try:
            look()
        except ApiError:
            continue


def _see_tokens(api: Api, seen: Watched) -> None:
    for one in api.items(TOKENS):
        data = {key: base64.b64decode(value).decode() for key, value in one.get("data", {}).items()}
        seen.tokens[data.get("token-id", "")] = data.get("token-secret", "")
        seen.descriptions.add(data.get("description", ""))


def _see_node(api: Api, node: str, label: str, seen: Watched) -> None:
    found = api.find(f"/api/v1/nodes/{node}")
    if found is None:
        return
    taints = [one["key"] for one in found["spec"].get("taints") or []]
    state = State(
        joining="runai-downtime/joining" in taints,
        cordoned=bool(found["spec"].get("unschedulable")),
        labelled=label in found["metadata"]["labels"],
    )
    if not seen.states or seen.states[-1] != state:
        seen.states.append(state)


def pin(api: Api) -> str:
    """The SHA-256 of the public key of the cluster's authority: what ``--discovery-token-ca-cert-hash`` names."""
    pem = api.get("/api/v1/namespaces/kube-system/configmaps/kube-root-ca.crt")["data"]["ca.crt"]
    key = x509.load_pem_x509_certificate(pem.encode()).public_key()
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def tokens_of(api: Api) -> list[str]:
    """The names of all bootstrap tokens."""
    return [one["metadata"]["name"] for one in api.items(TOKENS)]


def files_with(hosts: HostsLab, node: str, secrets: list[str]) -> str:
    """The files of a machine that hold one of these."""
    words = [word for secret in secrets for word in ("-e", secret)]
    command = 'grep -rlaF "$@" 2>/dev/null || true'
    return inside(hosts.lab, hosts.machine(node), "sh", "-c", command, "sh", *words, *_SEARCHED).strip()


def bytes_below(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Every file below a folder."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path, path.read_bytes()


def delete_node(hosts: HostsLab, node: str) -> None:
    """``kubectl delete node``."""
    hosts.api.delete(f"/api/v1/nodes/{node}")
    until(lambda: hosts.api.find(f"/api/v1/nodes/{node}") is None, seconds=30, what=f"{node} is not deleted")


def reset_machine(hosts: HostsLab, node: str) -> None:
    """``kubeadm reset``, by hand."""
    inside(hosts.lab, hosts.machine(node), "kubeadm", "reset", "-f", timeout=120)


def forget_records(api: Api, node: str) -> None:
    """As if the product had never had to do with the node."""
    maps = "/api/v1/namespaces/runai-downtime/configmaps"
    for one in api.items(f"{maps}?labelSelector=runai-downtime%2Fnode%3D{node}"):
        api.delete(f"{maps}/{one['metadata']['name']}")


def labels_of(node: JSON) -> dict[str, str]:
    """Its labels, without those that the kubelet sets."""
    own = ("kubernetes.io/", "beta.kubernetes.io/")
    return {key: value for key, value in node["metadata"]["labels"].items() if not key.startswith(own)}
