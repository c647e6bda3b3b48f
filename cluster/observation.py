"""What is seen of the cluster before anything is planned: plain values, from which a pure function makes the plan.

Everything is selected on the server and read in pages. Only the list of nodes is of the whole cluster; pods are read
of one node alone, and disruption budgets of their namespaces.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from cluster import inventory, service
from cluster import node as node_
from cluster import pods as pod_
from cluster.api import Api, Object
from cluster.config import Settings
from cluster.errors import Blocked
from cluster.etcd_members import EtcdView
from cluster.inventory import NodeSummary
from cluster.joining import Joining
from cluster.local_volumes import LocalVolume
from cluster.names import node_name
from cluster.outage_facts import OutageFacts
from cluster.owners import Chains, Resolver
from cluster.plan import Finding
from cluster.service import ServiceHealth
from cluster.takeover_facts import TakeoverFacts
from cluster.verdict import Verdict

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class HostFacts(BaseModel):
    """What the machine behind the node says of itself, over SSH."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reachable: bool = False
    boot_id: str = ""
    problem: Finding | None = Field(default=None, description="Why it could not be asked, or not be shut down.")


class Observation(BaseModel):
    """The cluster at one moment, as far as one node's downtime is concerned."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    taken: AwareDatetime
    server: str = ""
    cluster_uid: str = ""
    node_name: str
    node: Object | None = Field(default=None, description="The Node; None: there is none of that name.")
    nodes: tuple[NodeSummary, ...] = ()
    pods: tuple[Object, ...] = Field(default=(), description="The Pods that are bound to the node.")
    owners: Chains = {}
    pdbs: tuple[Object, ...] = Field(default=(), description="PodDisruptionBudgets of the pods' namespaces.")
    priority_classes: dict[str, int] = {}
    projects: tuple[str, ...] = ()
    control_plane_namespace: bool | None = Field(
        default=None, description="Whether runai-backend exists (self-hosted); None: could not be observed."
    )
    service: ServiceHealth = ServiceHealth()
    down: frozenset[str] = Field(default=frozenset(), description="Nodes in downtime by decision: open records.")
    recovery: Verdict | None = None
    host: HostFacts | None = Field(default=None, description="None: the machine was not asked.")
    power_status: str = Field(default="none", description="on, off, unknown, or none: there is no controller.")
    own_pods: tuple[str, ...] = Field(default=(), description="Pods on the node that this product depends on.")
    own_machine: bool = Field(default=False, description="Whether this process runs on the node's machine.")
    outage: OutageFacts | None = Field(default=None, description="Of an unplanned recovery: the signs of life.")
    local_volumes: tuple[LocalVolume, ...] = Field(default=(), description="Of a removal: data that is lost with it.")
    bound_pods: tuple[str, ...] = Field(default=(), description="Of a removal: pods that can run on no other node.")
    etcd: EtcdView | None = Field(default=None, description="Of a control-plane node; None: etcd was not asked.")
    server_addresses: tuple[str, ...] = Field(
        default=(), description="Of a control-plane node: where the API server that is talked to is, by name or number."
    )
    designated: dict[str, str] = Field(
        default={}, description="Nodes that stand in as system nodes, or are going to, and for which one in downtime."
    )
    takeover: TakeoverFacts | None = Field(default=None, description="Of a system node: who could take over from it.")
    outage_pods: tuple[str, ...] = Field(
        default=(), description="System pods on a volume of the node itself: they are down as long as it is."
    )
    joining: Joining | None = Field(default=None, description="Of a rejoin: what its machine and the cluster say.")


def observe(
    api: Api,
    name: str,
    settings: Settings | None = None,
    *,
    down: Collection[str] = (),
    recovery: Verdict | None = None,
    host: HostFacts | None = None,
    power_status: str = "none",
    absent_ok: bool = False,
) -> Observation:
    """Look at the cluster for the sake of one node.

    Args:
        down: nodes with open records.
        recovery: the recovery gate's verdict, if it was asked for.
        host: what the machine says of itself, if it was asked.
        power_status: what the power controller says.
        absent_ok: that there is no such node is an observation like any other.

    Raises:
        Blocked: ``unknown-node``: names those that are nearly the same; ``forbidden``; and so on.
        Unreachable: the API server does not answer.
    """
    nodes, node = _nodes(api, node_name(name))
    if node is None and not absent_ok:
        raise unknown_node(name, nodes)
    pods = api.list("/api/v1/pods", fields=f"spec.nodeName={name}")
    # Neither mirror pods nor those of DaemonSets belong to a workload: who owns them is not asked.
    asked = [pod for pod in pods if not pod_.is_mirror(pod) and not pod_.is_daemon(pod)]
    kube_system = api.get("/api/v1/namespaces/kube-system")
    return Observation(
        taken=datetime.now(UTC),
        server=api.server,
        cluster_uid=pod_.uid(kube_system or {}),
        node_name=name,
        node=node,
        nodes=nodes,
        pods=tuple(pods),
        owners=Resolver(api).chains(asked),
        pdbs=_budgets(api, {pod_.namespace(pod) for pod in pods if pod_.must_go(pod)}),
        priority_classes=_priority_classes(api),
        projects=service.projects(api),
        control_plane_namespace=api.get(f"/api/v1/namespaces/{service.BACKEND_NAMESPACE}") is not None,
        service=service.gather(api),
        down=frozenset(down),
        recovery=recovery,
        host=host,
        power_status=power_status,
        own_pods=_own_pods(api, name, pods, settings.cluster.depends_on if settings is not None else ()),
        own_machine=node is not None and runs_here(node_.boot_id(node)),
    )


def unknown_node(name: str, nodes: tuple[NodeSummary, ...]) -> Blocked:
    """The error for a name that no node has."""
    alike = inventory.alike(name, nodes)
    meant = f" Did you mean {' or '.join(alike)}?" if alike else ""
    return Blocked(
        "unknown-node",
        f"There is no node {name} in this cluster ({len(nodes)} nodes). Nothing was changed.",
        f"See 'kubectl get nodes'.{meant}",
    )


def _nodes(api: Api, name: str) -> tuple[tuple[NodeSummary, ...], Object | None]:
    summaries: list[NodeSummary] = []
    wanted: Object | None = None
    for found in api.iterate("/api/v1/nodes"):
        summaries.append(inventory.summary(found))
        if node_.name(found) == name:
            wanted = found
    return tuple(summaries), wanted


def _budgets(api: Api, namespaces: Collection[str]) -> tuple[Object, ...]:
    return tuple(
        found
        for namespace in sorted(namespaces)
        for found in api.iterate(f"/apis/policy/v1/namespaces/{quote(namespace, safe='')}/poddisruptionbudgets")
    )


def _priority_classes(api: Api) -> dict[str, int]:
    found = api.iterate("/apis/scheduling.k8s.io/v1/priorityclasses")
    return {pod_.name(one): int(one.get("value") or 0) for one in found}


def _own_pods(api: Api, node: str, pods: list[Object], depends_on: Collection[str]) -> tuple[str, ...]:
    here = {pod_.full_name(pod) for pod in pods}
    own = {this_pod(os.environ)} & here
    for dependency in depends_on:
        namespace, _, labels = dependency.partition("/")
        path = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods"
        own |= {pod_.full_name(pod) for pod in api.iterate(path, fields=f"spec.nodeName={node}", labels=labels)}
    return tuple(sorted(own))


def runs_here(boot_id: str) -> bool:
    """Whether this process runs on the machine with this boot; a container shares its host's."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip() == boot_id
    except OSError:
        return False


def this_pod(environment: Mapping[str, str]) -> str:
    """``namespace/name`` of the pod that this process runs in; empty when it runs in none.

    A pod's host name is its name, unless it uses the node's network: then POD_NAME must say it (downward API).
    """
    if "KUBERNETES_SERVICE_HOST" not in environment:
        return ""
    try:
        namespace = environment.get("POD_NAMESPACE") or _NAMESPACE_FILE.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
    return f"{namespace}/{environment.get('POD_NAME') or environment.get('HOSTNAME', '')}"
