"""The lab for a measurement: nodes that lose power, as many alike to take their work, and no other work on them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench import work
from bench.ending import lab_of_its_own
from bench.volumes import Attacher
from lab.api import JSON, Api
from lab.layout import Lab
from lab.patience import until
from lab.progress import Progress
from lab.runai import objects

_GONE_SECONDS = 120.0
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"


@dataclass(frozen=True)
class Ground:
    """A lab that is up. ``nodes`` are those that lose power, ``spares`` those that take their work."""

    lab: Lab
    api: Api
    hosts: bool
    nodes: tuple[str, ...]
    spares: tuple[str, ...]

    @property
    def described(self) -> str:
        """What kind of lab it is."""
        kind = "kubeadm hosts with real kubelets" if self.hosts else "real control plane, simulated nodes"
        return f"{kind}; {len(self.nodes)} of {len(self.api.items('/api/v1/nodes'))} nodes lose power"


@contextmanager
def ground(name: str, count: int, progress: Progress, *, hosts: bool) -> Iterator[Ground]:
    """A lab with Kubernetes' own failure detection, for so many nodes to lose power; taken down at the end."""
    size = ["--workers", str(2 * count)] if hosts else ["--no-hosts", "--simulated", str(2 * count)]
    with lab_of_its_own(name, "--default-detection", *size) as lab:
        api = Api(lab.kubeconfig)
        with progress.step("clearing the lab's own workloads"):
            _clear(api)
        names = tuple(f"gpu-{number}" for number in range(1, 2 * count + 1))
        yield Ground(lab, api, hosts, names[:count], names[count:])


def place(here: Ground, attacher: Attacher) -> dict[str, dict[str, str]]:
    """Make the workloads of all nodes: node to workloads, each with the name of its volume (or an empty one)."""
    made: dict[str, dict[str, str]] = {}
    if not here.hosts:
        for node in (*here.nodes, *here.spares):
            attacher.prepare(node)
    for node in here.nodes:
        made[node] = {}
        for name, body in work.of_node(node, here.spares, volumes=not here.hosts).items():
            volume = work.kind_of(name) == work.WITH_VOLUME
            if volume:
                here.api.create("/api/v1/persistentvolumes", work.persistent_volume(name))
            objects.create(here.api, body)
            made[node][name] = f"pv-{name}" if volume else ""
    return made


def lease_seconds(api: Api, node: str) -> int:
    """How long the node's lease is, as its kubelet wrote it."""
    return int(api.get(f"{_LEASES}/{node}")["spec"]["leaseDurationSeconds"])


def toleration_seconds(api: Api, node: str) -> int:
    """How long the measured pods of a node tolerate that it is unreachable, as the API server wrote it."""
    pods = api.items(f"/api/v1/namespaces/{work.NAMESPACE}/pods?fieldSelector=spec.nodeName={node}")
    return max(_unreachable(pod) for pod in pods)


def _unreachable(pod: JSON) -> int:
    key = "node.kubernetes.io/unreachable"
    found = [one for one in pod["spec"].get("tolerations", []) if one.get("key") == key]
    return int(found[0].get("tolerationSeconds", 0)) if found else 0


def _clear(api: Api) -> None:
    namespaces = [f"runai-{project}" for project in ("team-a", "team-b")]
    kinds = ("/apis/batch/v1/namespaces/{}/jobs", "/apis/apps/v1/namespaces/{}/statefulsets")
    for path in (kind.format(namespace) for namespace in namespaces for kind in kinds):
        for one in api.items(path):
            api.delete(f"{path}/{one['metadata']['name']}", propagationPolicy="Background")

    def gone() -> bool:
        return not any(api.items(f"/api/v1/namespaces/{namespace}/pods") for namespace in namespaces)

    until(gone, seconds=_GONE_SECONDS, what="the lab's own workloads do not go")
