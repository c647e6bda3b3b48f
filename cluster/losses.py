"""What is lost with a node that goes for good: volumes that lie on it alone, and pods that can run nowhere else."""

from __future__ import annotations

from typing import Any

from cluster import local_volumes, nodes, workloads
from cluster import node as node_
from cluster import pods as pod_
from cluster.api import Api
from cluster.observation import Observation

_VOLUMES = "/api/v1/persistentvolumes"


def of(api: Api, seen: Observation) -> dict[str, Any]:
    """The fields of the observation that tell it; none of a Node that is gone."""
    if seen.node is None:
        return {}
    others = [one for one in nodes.every(api) if node_.name(one) != seen.node_name]
    found = local_volumes.of(api.iterate(_VOLUMES), seen.node, others, _users(seen))
    return {
        "local_volumes": tuple(found),
        "bound_pods": tuple(local_volumes.bound_pods(seen.pods, found, others)),
    }


def _users(seen: Observation) -> dict[str, str]:
    owners = {
        (one.namespace, pod): one.owner
        for one in workloads.find(seen.pods, seen.owners, seen.priority_classes)
        for pod in one.pods
    }
    return {
        claim: owners.get((pod_.namespace(pod), pod_.name(pod)), "")
        for pod in seen.pods
        for claim in local_volumes.claims_of(pod)
    }
