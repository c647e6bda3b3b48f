"""What stays on a node when it is drained, or does not go, and what is to be done about each. Pure; never raises.

Used for the plan, as far as it can be told beforehand, and for what is still there when the time for the drain is up.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from cluster import drain_deadline, gpu_requests
from cluster import pods as pod_
from cluster.node import Object, time_of
from cluster.plan import StaysBehind
from cluster.showing_time import duration

# Who takes a finalizer off, by the end of its domain; each is documented by Kubernetes, Kueue, KubeRay and so on.
_KEEPERS = (
    ("batch.kubernetes.io", "the Job controller (kube-controller-manager)"),
    ("foregroundDeletion", "Kubernetes' garbage collector (kube-controller-manager), once what the pod owns is gone"),
    ("orphan", "Kubernetes' garbage collector (kube-controller-manager)"),
    ("kueue.x-k8s.io", "Kueue (kueue-controller-manager)"),
    ("ray.io", "the KubeRay operator"),
    ("kubeflow.org", "Kubeflow's training operator"),
    ("run.ai", "Run:ai's operators (namespace runai)"),
    ("kai.scheduler", "the KAI scheduler's operators"),
)
# Kubernetes puts these on pods, and takes them off without anybody's doing.
_ORDINARY = ("batch.kubernetes.io/job-tracking", "foregroundDeletion", "orphan")
_NOTHING = "nothing is to be done: it ends with the node, and comes up again with it"
# A kubelet that is busy reports a pod that has ended some seconds later.
_TOLERANCE_SECONDS = 10.0


def beforehand(pods: Iterable[Object], now: datetime, *, evicts: bool = False) -> tuple[StaysBehind, ...]:
    """The pods of a node that a drain will leave there, or that are likely not to go (soon), by name.

    A drain waits for pods that have finished as well: of those only the ones that it leaves are not named.

    Args:
        evicts: workloads are evicted before the taint, whatever they tolerate.
    """
    found = [one for pod in pods if (one := _beforehand(pod, now, evicts=evicts)) is not None]
    return tuple(sorted(found, key=lambda one: (_ORDER.index(one.why), one.pod)))


def still_there(pod: Object, now: datetime) -> StaysBehind:
    """Why a pod that had to go is still there, and what is to be done."""
    name = pod_.full_name(pod)
    if not pod_.is_terminating(pod):
        seconds = pod_.toleration_seconds(pod)
        detail = f"tolerates the taint for {seconds:g} s" if seconds else "was not deleted yet"
        return StaysBehind(pod=name, why="not-deleted", detail=detail, remedy=_undeleted(pod))
    late = _late(pod, now)
    held = _finalizers(pod)
    if held:
        return _held(pod, held, f"deleted, but held by finalizer {', '.join(held)}")
    if late is not None and late < 0:
        return StaysBehind(
            pod=name,
            why="terminating",
            detail=f"terminating, {-late:.0f} s of its grace period left",
            remedy="wait: its program may take that long to end",
        )
    over = "for a time that is not known" if late is None else f"{late:.0f} s over its grace period"
    return StaysBehind(
        pod=name, why="terminating", detail=f"terminating, {over}: does the kubelet run?", remedy=_stuck(pod)
    )


def remedies(left: Iterable[StaysBehind], most: int = 10) -> str:
    """What to do about each, in a sentence or two; those with the same remedy together."""
    pods: dict[str, list[str]] = {}
    for one in left:
        if one.remedy:
            pods.setdefault(one.remedy, []).append(one.pod)
    said = (
        f"{', '.join(names[:most])}{' and others' if len(names) > most else ''}: {text}" for text, names in pods.items()
    )
    return "; ".join(said)


def why_in_words(pod: Object) -> str:
    """Why a pod has not gone, as far as its object tells, now."""
    return still_there(pod, datetime.now(UTC)).detail


_ORDER = ("finalizer", "terminating", "tolerates-for-a-time", "not-deleted", "tolerates", "daemon", "static")


def _beforehand(pod: Object, now: datetime, *, evicts: bool) -> StaysBehind | None:
    name = pod_.full_name(pod)
    if pod_.is_mirror(pod):
        return StaysBehind(
            pod=name,
            why="static",
            detail="static: the kubelet itself runs it, and stops it with the node",
            remedy=_NOTHING,
        )
    held = [one for one in _finalizers(pod) if one not in _ORDINARY]
    if held:
        when = "deleted already, but" if pod_.is_terminating(pod) else "once deleted,"
        return _held(pod, held, f"{when} held by finalizer {', '.join(held)} until that is taken off")
    late = _late(pod, now) if pod_.is_terminating(pod) else None
    if late is not None and late > _TOLERANCE_SECONDS:
        return StaysBehind(
            pod=name, why="terminating", detail=f"terminating, {late:.0f} s over its grace period", remedy=_stuck(pod)
        )
    if not pod_.tolerates_for_ever(pod):
        return _for_a_time(pod, drain_deadline.tolerated(pod, asked=evicts))
    if pod_.is_finished(pod):
        return None
    if pod_.is_daemon(pod):
        return StaysBehind(
            pod=name,
            why="daemon",
            detail="of a DaemonSet, and tolerates the drain: it belongs to the node",
            remedy=_NOTHING,
        )
    if gpu_requests.is_reservation(pod):
        return None
    return StaysBehind(
        pod=name,
        why="tolerates",
        detail="tolerates the drain, and would go down with the machine",
        remedy='delete it or move it with its owner; if it may go down with the machine: --allow-tolerating "reason"',
    )


def _for_a_time(pod: Object, seconds: float) -> StaysBehind | None:
    if not seconds or pod_.is_terminating(pod):
        return None
    remedy = (
        "wait for it, or delete it with its owner once the node is cordoned; with --eviction it is evicted before the "
        "taint, and that time is not waited for"
    )
    if pod_.is_daemon(pod):
        # Kubernetes' DaemonSet controller does not ask for how long a taint is tolerated.
        remedy = (
            "its DaemonSet makes it anew each time: let it tolerate the taint for ever (no tolerationSeconds), or not "
            "at all"
        )
    return StaysBehind(
        pod=pod_.full_name(pod),
        why="tolerates-for-a-time",
        detail=f"tolerates the drain for {duration(seconds)}: it stays that long after the taint, and is waited for",
        remedy=remedy,
    )


def _held(pod: Object, held: list[str], detail: str) -> StaysBehind:
    keepers = list(dict.fromkeys(_keeper(one) for one in held))
    return StaysBehind(
        pod=pod_.full_name(pod),
        why="finalizer",
        detail=detail,
        remedy=f"{' and '.join(keepers)} must take it off: see that it runs, and its log; only if it is gone for good, "
        f"'kubectl -n {pod_.namespace(pod)} edit pod {pod_.name(pod)}' and remove it under metadata.finalizers",
    )


def _keeper(finalizer: str) -> str:
    domain = finalizer.partition("/")[0]
    for ending, keeper in _KEEPERS:
        if domain == ending or domain.endswith(f".{ending}"):
            return keeper
    return f"what belongs to {domain}" if "." in domain else f"what has set {finalizer}"


def _stuck(pod: Object) -> str:
    volumes = any("persistentVolumeClaim" in one for one in pod_.objects(pod_.mapping(pod.get("spec")).get("volumes")))
    unmount = " or a volume that does not unmount (its CSI node plugin)" if volumes else ""
    return (
        f"look for what holds it ('kubectl -n {pod_.namespace(pod)} describe pod {pod_.name(pod)}'): on the machine, "
        f"the kubelet ('journalctl -u kubelet'), a process that cannot be killed{unmount}; a force deletion ends "
        "nothing there"
    )


def _undeleted(pod: Object) -> str:
    if pod_.is_daemon(pod):
        return "its DaemonSet makes it anew, or the taint eviction controller (kube-controller-manager) does not run"
    if pod_.toleration_seconds(pod):
        return "wait, with a longer --eviction-minutes, or delete it with its owner"
    return "see that kube-controller-manager runs (its taint eviction controller deletes the pods)"


def _finalizers(pod: Object) -> list[str]:
    found = pod_.mapping(pod.get("metadata")).get("finalizers")
    return [str(one) for one in found] if isinstance(found, list) else []


def _late(pod: Object, now: datetime) -> float | None:
    """Seconds since the end of its grace period (negative: before it); None: that cannot be read."""
    try:
        # The time of deletion is that at which the grace period ends.
        end = time_of(str(pod_.mapping(pod.get("metadata")).get("deletionTimestamp")))
        return (now - end).total_seconds()
    except (ValueError, TypeError):
        return None
