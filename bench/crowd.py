"""A large cluster of simulated nodes, full of pods as they are on real ones: some 6 KB of JSON each."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lab.api import Api
from lab.errors import LabError
from lab.patience import until
from lab.runai import objects

JSON = dict[str, Any]
LABEL = "crowd"
NAMESPACES = 20
SYSTEM = 1
"""The only one of these nodes that is a system node."""
_RUNNING_SECONDS = 90.0


def name_of(node: int) -> str:
    """A node's name."""
    return f"crowd-{node}"


def make(api: Api, nodes: int, pods: int) -> None:
    """Make the nodes, and as many pods on each.

    kwok renews the nodes' leases and writes the pods' statuses, as kubelets would. The last of these are not waited for
    for long: a pod that counts as pending is read like any other, and is a fifth smaller.
    """
    spaces = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _space(at)}} for at in range(NAMESPACES)]
    _all(lambda body: objects.create(api, body), spaces)
    _all(lambda body: objects.create(api, body), (_node(at) for at in range(nodes)))
    # Those of the node that is looked at move: somebody would make them anew.
    jobs = {at: objects.create(api, _job(at)) for at in range(0, pods, nodes)}
    _all(lambda body: objects.create(api, body), (_pod(at, at % nodes, jobs.get(at)) for at in range(pods)))

    def left() -> int:
        found = api.get(f"/api/v1/pods?labelSelector={LABEL}&fieldSelector=status.phase=Pending&limit=1")
        return len(found["items"])

    with contextlib.suppress(LabError):
        until(lambda: not left(), seconds=_RUNNING_SECONDS, what="some pods do not run", every=3)


def _all(do: Callable[[JSON], object], bodies: Iterable[JSON]) -> None:
    # Some at a time: a program that is started later is charged with the memory of the one that starts it.
    waiting = iter(bodies)
    with ThreadPoolExecutor(12) as pool:
        while some := list(itertools.islice(waiting, 240)):
            list(pool.map(do, some))


def _space(at: int) -> str:
    return f"crowd-{at % NAMESPACES}"


def _node(at: int) -> JSON:
    room = {"cpu": "128", "memory": "1Ti", "pods": "110", "ephemeral-storage": "4Ti", "nvidia.com/gpu": "8"}
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status"}
    images = [{"names": [f"registry.example/team/image-{n}:1.{n}"], "sizeBytes": 9_000_000_000} for n in range(30)]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name_of(at),
            "labels": {
                LABEL: "node",
                "lab/powered": "on",
                "kubernetes.io/hostname": name_of(at),
                "topology.kubernetes.io/zone": f"zone-{at % 3}",
                "runai/node-pool": ("a100", "h100")[at % 2],
                f"node-role.kubernetes.io/{'runai-system' if at == SYSTEM else 'runai-gpu-worker'}": "true",
                **{f"nvidia.com/gpu.feature-{n}": "some-value" for n in range(30)},
            },
        },
        "status": {"capacity": room, "allocatable": room, "conditions": [ready], "images": images},
    }


def _job(at: int) -> JSON:
    """A Job that its controller leaves alone: the pods are made here."""
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "work", "image": "none"}]}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"work-{at}", "namespace": _space(at)},
        "spec": {"managedBy": "example.com/bench", "template": template},
    }


def _pod(at: int, node: int, job: JSON | None) -> JSON:
    environment = [{"name": f"SETTING_{n}", "value": f"value-{n}-of-some-length"} for n in range(20)]
    asked = {"cpu": f"{4 + at % 5}", "memory": f"{16 * (1 + at % 3)}Gi"}
    mounts = [{"name": f"volume-{n}", "mountPath": f"/data/{n}"} for n in range(4)]
    volumes: list[JSON] = [{"name": "volume-0", "emptyDir": {"medium": "Memory"}}]
    volumes += [{"name": f"volume-{n}", "configMap": {"name": f"settings-{n}"}} for n in range(1, 4)]
    spec: JSON = {
        "nodeName": name_of(node),
        "priorityClassName": ("train", "build")[at % 2],
        "automountServiceAccountToken": False,
        "containers": [
            {
                "name": "work",
                "image": f"registry.example/team/image-{at % 30}:1",
                "args": [f"--argument-{n}=some-value" for n in range(10)],
                "env": environment,
                "resources": {"requests": asked, "limits": {"nvidia.com/gpu": "1"} if at % 3 else {}},
                "volumeMounts": mounts,
            }
        ],
        "volumes": volumes,
    }
    if at % 7 == 0:
        term = {"labelSelector": {"matchLabels": {"app": f"work-{at}"}}, "topologyKey": "kubernetes.io/hostname"}
        spec["affinity"] = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"work-{at}",
            "namespace": _space(at),
            "labels": {LABEL: "pod", "app": f"work-{at}", "project": _space(at), "release": f"work-{at}"},
            "ownerReferences": [_owner(job)] if job else [],
            "annotations": {"user": "anna", **{f"runai-annotation-{n}": "some value" for n in range(10)}},
        },
        "spec": spec,
    }


def _owner(job: JSON) -> JSON:
    named = {key: job["metadata"][key] for key in ("name", "uid")}
    return {"apiVersion": "batch/v1", "kind": "Job", **named, "controller": True}
