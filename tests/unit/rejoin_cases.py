"""Machines that are to join again, for the tests of the planner: a right one, from which one thing differs."""

from __future__ import annotations

from typing import Any

from cluster.formerly import Former
from cluster.joining import Joining
from cluster.membership import KUBELET_CONF, Membership
from cluster.node import Object
from cluster.observation import Observation
from cluster.record import Found
from cluster.restoration import Kept
from tests.unit import planning_cases

MACHINE, OTHER_MACHINE = "a" * 32, "b" * 32
OUR_CA, OTHER_CA = "1" * 64, "2" * 64
KEPT = Kept(
    labels={"node-role.kubernetes.io/runai-gpu-worker": "true", "rack": "r7"},
    annotations={"contact": "ada"},
    taints=({"key": "dedicated", "value": "team-a", "effect": "NoSchedule"},),
)
FORMER = Former(
    found=Found(machine_id=MACHINE, gpus={"nvidia.com/gpu": 4}, labels=dict(KEPT.labels)),
    kept=KEPT,
    at=planning_cases.NOW,
    source="the record of its remove",
)
UNKNOWN = Former(found=Found())


def membership(**more: Any) -> Membership:
    """A machine with nothing of a join on it."""
    given: dict[str, Any] = {
        "machine_id": MACHINE,
        "boot_id": planning_cases.BOOT,
        "kubelet_version": "v1.34.4",
        "kubeadm_version": "v1.34.4",
        "run_in_memory": True,
    }
    return Membership(**{**given, **more})


def member(**more: Any) -> Membership:
    """A machine that is a member of the cluster, as gpu-1."""
    given: dict[str, Any] = {
        "traces": (KUBELET_CONF,),
        "kubelet_active": True,
        "node_name": "gpu-1",
        "authorities": (OUR_CA,),
    }
    return membership(**{**given, **more})


def joining(found: Membership | None = None, **more: Any) -> Joining:
    """What is seen of a right machine, in a cluster that it may join."""
    given: dict[str, Any] = {
        "former": FORMER,
        "machine": "gpu-1 (10.0.0.1)",
        "membership": found if found is not None else membership(),
        "server_version": "v1.34.4",
        "authorities": (OUR_CA,),
        "control_plane": "master-1",
    }
    return Joining(**{**given, **more})


def observation(seen: Joining | None = None, node: Object | None = None, **more: Any) -> Observation:
    """A cluster without the node, unless it is given."""
    full = planning_cases.observation(node, **more)
    return full.model_copy(
        update={"node": node, "node_name": "gpu-1", "joining": seen if seen is not None else joining()}
    )
