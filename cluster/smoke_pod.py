"""A pod of our own that asks for a GPU of the node and uses it, before anybody else's may: the last check of a return.

It goes past the scheduler, so that a cordon does not matter and nothing is ever preempted for it; where no GPU is free
it is left out. It is deleted whatever happens: what a killed process left behind ends by itself, and is deleted by
whoever goes on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from cluster import eviction, names, node, pod_requests, probing, taints, verified_return
from cluster import pods as pod_
from cluster.api import Object
from cluster.api_errors import Conflict, NotFound
from cluster.config import ChecksSettings
from cluster.downtime import Downtime
from cluster.errors import Blocked, DowntimeError
from cluster.gpu_checks import Check
from cluster.node import Taint
from cluster.watching import until

NAME = "smoke_pod"
LABEL = "runai-downtime/smoke-pod"
EPOCH = "runai-downtime/epoch"
_PODS = f"/api/v1/namespaces/{names.NAMESPACE}/pods"
_END_SECONDS = 60.0
_LONGEST = 500
_Phase = Literal["succeeded", "failed"]


def check(downtime: Downtime, wanted: Mapping[str, int]) -> list[Check]:
    """Run it, if it is configured.

    Args:
        wanted: GPU resources that are there.

    Raises:
        LockLost: somebody else goes on with this downtime.
    """
    settings = downtime.settings.checks
    resource = _resource(wanted)
    if not settings.smoke_pod or not resource:
        forget_leftover(downtime)
        return []
    downtime.lock.check()
    try:
        forget(downtime)
        return [_skipped(downtime, resource) or _run(downtime, resource)]
    except Blocked as error:
        return [Check(NAME, "failed", f"no pod can be run on it: {error.message}")]


def _skipped(downtime: Downtime, resource: str) -> Check | None:
    record, found = downtime.record, downtime.see_node()
    if record.aborted and node.boot_id(found) == record.found.boot_id:
        return Check(NAME, "skipped", "the machine was not restarted: no pod was run on it")
    if _free(downtime, found, resource) < 1:
        return Check(NAME, "skipped", f"no pod was run on it: no {resource} is free")
    return None


def body(
    name: str, downtime_id: str, epoch: int, resource: str, settings: ChecksSettings, found: Iterable[Taint] = ()
) -> Object:
    """The pod: no more rights than the strictest Pod Security Standard allows. Pure.

    Args:
        epoch: of the lock of whoever makes it.
        found: the taints of the node. Those that are there for good are tolerated; a drain takes it away.

    https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
    """
    few = {"cpu": "500m", "memory": "512Mi", resource: "1"}
    container: Object = {
        "name": "smoke",
        "image": settings.smoke_pod,
        "imagePullPolicy": "IfNotPresent",
        "resources": {"limits": few, "requests": few},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        # So that the end of its output is in its status, and nobody needs the right to read logs.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    if settings.smoke_command:
        container["command"] = settings.smoke_command
    spec: Object = {
        "nodeName": name,
        "restartPolicy": "Never",
        "activeDeadlineSeconds": int(settings.smoke_seconds) + int(_END_SECONDS),
        "terminationGracePeriodSeconds": 2,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "tolerations": [{"operator": "Exists", "effect": "NoSchedule"}, *_tolerations(found)],
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65534,
            "runAsGroup": 65534,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
    }
    if settings.smoke_runtime_class:
        spec["runtimeClassName"] = settings.smoke_runtime_class
    labels = {LABEL: downtime_id, EPOCH: str(epoch), names.NODE_LABEL: names.node_label(name)}
    metadata = {"name": _name(name), "namespace": names.NAMESPACE, "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def forget(downtime: Downtime) -> None:
    """Delete one that is left, and see it gone. None is there: nothing happens.

    Raises:
        Blocked: it does not go, or must not be deleted.
        DowntimeError: the API server cannot be reached.
    """
    left = _there(downtime)
    if left is not None:
        _delete(downtime, pod_.uid(left))
        _see_gone(downtime, pod_.uid(left))


def forget_leftover(downtime: Downtime) -> None:
    """Delete what a process that was killed may have left, where none is run any more: it ends by itself anyway.

    Whatever the settings say now: they may have been others when it was made.

    Raises:
        LockLost: somebody else goes on with this downtime.
    """
    downtime.lock.check()
    with contextlib.suppress(DowntimeError):
        left = _there(downtime)
        if left is not None:
            _delete(downtime, pod_.uid(left))


def _there(downtime: Downtime) -> Object | None:
    return downtime.api.get(f"{_PODS}/{_name(downtime.node)}")


def _delete(downtime: Downtime, uid: str) -> None:
    # Another one of that name is somebody else's: of who goes on with this downtime, after this process was overtaken.
    with contextlib.suppress(Conflict):
        downtime.api.delete(f"{_PODS}/{_name(downtime.node)}", uid=uid)


def _see_gone(downtime: Downtime, uid: str) -> None:
    gone = probing.probe(lambda: True if pod_.uid(_there(downtime) or {}) != uid else None, _END_SECONDS)
    if gone is None:
        raise Blocked(
            "smoke-pod-stays",
            f"the pod {names.NAMESPACE}/{_name(downtime.node)} of this check does not end: a program that waits for a "
            "broken GPU can't be killed",
            f"See to the machine; 'downtime resume {downtime.node}' tries again.",
        )


def outcome(pod: Object) -> tuple[_Phase, str] | None:
    """How it ended, in its own words; None: it has not. Pure."""
    status = pod_.mapping(pod.get("status"))
    if status.get("phase") == "Succeeded":
        return "succeeded", ""
    if status.get("phase") != "Failed":
        return None
    ended = _state(pod, "terminated")
    said = [f"exit code {ended['exitCode']}"] if "exitCode" in ended else []
    reasons = [ended.get("reason"), ended.get("message"), status.get("reason"), status.get("message")]
    return "failed", ", ".join(
        [*said, *(_plain(one) for one in reasons if one and one != "Error")]
    ) or "no reason given"


def waiting_for(pod: Object) -> str:
    """Why it does not run (yet), as far as its object tells. Pure."""
    waits = _state(pod, "waiting")
    status = pod_.mapping(pod.get("status"))
    said = [_plain(one) for one in (waits.get("reason"), waits.get("message"), status.get("message")) if one]
    return ": ".join(said) or ("it runs still" if status.get("phase") == "Running" else "its kubelet says nothing")


def _run(downtime: Downtime, resource: str) -> Check:
    settings = downtime.settings.checks
    downtime.say("see-gpus", f"a pod of {settings.smoke_pod} that asks for one {resource}")
    seconds, uid = settings.smoke_seconds, ""
    taken = node.taints(downtime.see_node())
    wanted = body(downtime.node, downtime.record.id, downtime.lock.epoch, resource, settings, taken)
    try:
        try:
            uid = pod_.uid(downtime.api.create(_PODS, wanted))
        except Conflict:
            # Made already: by this request, whose answer was lost, or by who goes on in the place of this process.
            uid = _own(downtime)
        if not uid:
            return Check(NAME, "failed", "no pod can be run on it: another process runs one")
        last: list[Object] = []

        def judge(now: dict[str, Object]) -> tuple[_Phase, str] | None:
            verified_return.keep_cordoned(downtime, downtime.see_node())
            last[:] = [one for one in now.values() if pod_.uid(one) == uid]
            return outcome(last[0]) if last else None

        ended = until(downtime.api, _PODS, judge, seconds, fields=f"metadata.name={_name(downtime.node)}")
    except NotFound as error:
        return Check(NAME, "failed", f"no pod can be run on it: {error.message}")
    finally:
        with contextlib.suppress(DowntimeError):
            # Nothing is known of it where the request to make it failed: it may have arrived.
            if own := uid or _own(downtime):
                _delete(downtime, own)
    _see_gone(downtime, uid)
    if ended is None:
        why = waiting_for(last[0]) if last else "somebody deleted it"
        return Check(NAME, "failed", f"a pod that asks for one {resource} did not end within {seconds:.0f} s: {why}")
    phase, said = ended
    if phase == "failed":
        return Check(NAME, "failed", f"a pod that asks for one {resource} failed: {said}")
    return Check(NAME, "passed", f"a pod that asks for one {resource} could use it")


def _resource(wanted: Mapping[str, int]) -> str:
    there = [name for name, count in wanted.items() if count]
    return next((name for name in there if name == "nvidia.com/gpu"), next(iter(sorted(there)), ""))


def _own(downtime: Downtime) -> str:
    """The uid of the pod that this process made; empty: there is none."""
    found = _there(downtime) or {}
    labels = pod_.labels(found)
    ours = (labels.get(LABEL), labels.get(EPOCH)) == (downtime.record.id, str(downtime.lock.epoch))
    return pod_.uid(found) if ours else ""


def _tolerations(found: Iterable[Taint]) -> list[Object]:
    """For what stands on the node for good: a kubelet evicts who does not tolerate it, and its pods do."""
    return [
        {"key": one["key"], "operator": "Equal", "value": one.get("value", ""), "effect": "NoExecute"}
        for one in found
        if one.get("effect") == "NoExecute" and not (taints.is_drain(one) or taints.is_condition(one))
    ]


def _free(downtime: Downtime, found: Object, resource: str) -> float:
    own = (names.NAMESPACE, _name(downtime.node))
    pods = [pod for pod in eviction.of_node(downtime) if (pod_.namespace(pod), pod_.name(pod)) != own]
    return free(found, pods, resource)


def free(found: Object, pods: Iterable[Object], resource: str) -> float:
    """How many of a resource no pod on the node has; 0: what one asks for cannot be read. Pure."""
    try:
        used = sum(pod_requests.of(pod).get(resource, 0) for pod in pods if not pod_.is_finished(pod))
    except ValueError:
        return 0.0
    return float(node.gpus(found).get(resource, 0) - used)


def _name(node_name: str) -> str:
    return f"smoke-{names.node_label(node_name)}"


def _state(pod: Object, kind: str) -> dict[str, Any]:
    containers = pod_.objects(pod_.mapping(pod.get("status")).get("containerStatuses"))
    states = [pod_.mapping(pod_.mapping(one.get("state")).get(kind)) for one in containers]
    return next((one for one in states if one), {})


def _plain(text: object) -> str:
    """In one line, without what would colour or move a terminal; the end of a log is what tells."""
    words = " ".join("".join(one if one.isprintable() else " " for one in str(text)).split())
    return words if len(words) <= _LONGEST else f"… {words[-_LONGEST:]}"
