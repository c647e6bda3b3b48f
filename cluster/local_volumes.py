"""Volumes whose data lies on one node alone: what is lost for good when that node is. Pure.

That is told by the required node affinity of a PersistentVolume, which every kind of local volume must have:
https://kubernetes.io/docs/concepts/storage/volumes/#local. Host names differ from node names, so the affinity is
judged by the labels of the Nodes, and a volume counts as lost only if no other node satisfies it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field

from cluster import node as node_
from cluster import placement
from cluster import pods as pod_
from cluster.node import Object


class LocalVolume(BaseModel):
    """One PersistentVolume that only one node can reach."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    claim: str = Field(default="", description="namespace/name of its claim; empty: nobody claimed it.")
    owner: str = Field(default="", description="Who uses it, as far as a pod on the node tells.")


def of(
    volumes: Iterable[Object], node: Object, others: Sequence[Object], users: Mapping[str, str]
) -> list[LocalVolume]:
    """The volumes that this node alone can reach, by name.

    Args:
        others: all other Nodes.
        users: claim (namespace/name) to the researcher whose pod on the node uses it.
    """
    found = [one for one in volumes if _bound_to(one, node) and not any(_bound_to(one, other) for other in others)]
    return [
        LocalVolume(name=pod_.name(one), claim=claim_of(one), owner=users.get(claim_of(one), ""))
        for one in sorted(found, key=pod_.name)
    ]


def claim_of(volume: Object) -> str:
    """namespace/name of the claim that a volume is bound to; empty: of none."""
    claim = pod_.mapping(pod_.mapping(volume.get("spec")).get("claimRef"))
    return f"{claim.get('namespace')}/{claim.get('name')}" if claim.get("name") else ""


def claims_of(pod: Object) -> list[str]:
    """The claims that a pod uses, as namespace/name. Those of generic ephemeral volumes are named after it."""
    found = []
    for volume in pod_.objects(pod_.mapping(pod.get("spec")).get("volumes")):
        claim = pod_.mapping(volume.get("persistentVolumeClaim")).get("claimName")
        if not claim and isinstance(volume.get("ephemeral"), dict):
            claim = f"{pod_.name(pod)}-{volume.get('name')}"
        if claim:
            found.append(f"{pod_.namespace(pod)}/{claim}")
    return found


def bound_pods(pods: Iterable[Object], volumes: Iterable[LocalVolume], others: Sequence[Object]) -> list[str]:
    """The pods that the drain takes away and that no other node could run: by a volume, or by the labels they ask for.

    Whether another node has room for them is another question: they would wait.
    """
    claimed = {one.claim for one in volumes if one.claim}
    return sorted(
        pod_.full_name(pod)
        for pod in pods
        if pod_.must_go(pod)
        and not pod_.is_finished(pod)
        and not pod_.is_daemon(pod)
        and (claimed & set(claims_of(pod)) or not any(placement.selected(pod, other) for other in others))
    )


def _bound_to(volume: Object, node: Object) -> bool:
    required = pod_.mapping(pod_.mapping(pod_.mapping(volume.get("spec")).get("nodeAffinity")).get("required"))
    if not required:
        return False
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    return bool(node_.name(node)) and placement.selected({"spec": {"affinity": affinity}}, node)
