"""A node that failed and came back by itself: its services back as they were, seen and not helped."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from cluster import etcd_quorum, eviction, gpu_checks, gpus, outage, probing, staying_behind, verified_return
from cluster import node as node_
from cluster import pods as pod_
from cluster.api import Object
from cluster.downtime import Downtime
from cluster.errors import Failed
from cluster.gpu_checks import Check
from cluster.signs_of_life import sees_renewals
from cluster.step import Seen, Step

# What a kubelet may take to end a pod beyond its grace period.
_SLACK_SECONDS = 30.0


def missing(found: Object, pods: list[Object], daemons: tuple[str, ...], counts: dict[str, int]) -> list[str]:
    """What is not back on the node yet, in words. Pure, but for the clock.

    Args:
        daemons: DaemonSets that had a pod there.
        counts: GPU resources that were recorded.
    """
    said = [] if node_.ready(found) else ["the node is not Ready"]
    there = {outage.daemon_of(pod) for pod in pods if pod_.is_daemon(pod) and pod_.is_ready(pod)}
    said += [f"DaemonSet {one} has no Ready pod" for one in daemons if one not in there]
    lacking = gpus.missing(counts, node_.gpus(found))
    said += [f"{now} of {count} {name} can be allocated" for name, (now, count) in lacking.items()]
    return [*said, *(f"pod {pod_.full_name(pod)} is stuck: {staying_behind.why_in_words(pod)}" for pod in stuck(pods))]


def stuck(pods: list[Object]) -> list[Object]:
    """Pods whose deletion should be over: past their grace period, and still there."""
    now = datetime.now(UTC)
    return [
        pod
        for pod in pods
        if pod_.is_terminating(pod)
        and (now - node_.time_of(pod["metadata"]["deletionTimestamp"])).total_seconds() > _SLACK_SECONDS
    ]


def _missing(downtime: Downtime) -> list[str]:
    found, now = downtime.record.found, downtime.see_node()
    said = missing(now, eviction.of_node(downtime), found.daemons, found.gpus)
    return [*said, *(gpu_checks.said([one]) for one in _unsliced(downtime, now))]


def _unsliced(downtime: Downtime, now: Object) -> list[Check]:
    any_gpus = any(downtime.record.found.gpus.values())
    unfinished = verified_return.labels_unfinished(downtime, now) if any_gpus else ""
    return [Check("mig", "failed", unfinished)] if unfinished else []


def _not_looked_at(_: Downtime) -> Seen | None:
    # Heartbeats are only what is watched for.
    return None


def _see_services(downtime: Downtime) -> Seen:
    seconds = downtime.settings.drain.gpu_minutes * 60
    if not sees_renewals(downtime, seconds):
        raise _not_in_order(downtime, ["its kubelet does not renew the node's lease"])
    if probing.probe(lambda: None if _missing(downtime) else True, seconds, first=1.0) is None:
        raise _not_in_order(downtime, _missing(downtime), _unsliced(downtime, downtime.see_node()))
    checks = verified_return.of_returned_host(downtime)
    if gpu_checks.failed(checks):
        raise _not_in_order(downtime, [gpu_checks.said(gpu_checks.failed(checks))], gpu_checks.failed(checks))
    etcd = etcd_quorum.see_member_back(downtime)
    found = downtime.record.found
    counted = ", ".join(f"{count} {name}" for name, count in sorted(found.gpus.items()) if count)
    proof = (
        f"heartbeats, {len(found.daemons)} DaemonSets' pods, {counted or _uncounted(downtime)}; no pod is stuck{etcd}"
    )
    return Seen("; ".join([proof, *(one.text for one in checks)]))


def _uncounted(downtime: Downtime) -> str:
    now = downtime.see_node()
    there = ", ".join(f"{count} {name}" for name, count in sorted(node_.gpus(now).items()) if count)
    if not there and node_.kind(now) != "gpu-worker":
        return "no GPUs"
    return f"{there or 'no GPUs'} now (how many it had is not recorded: it had restarted before it was looked at)"


def _not_in_order(downtime: Downtime, lacking: list[str], checks: Sequence[Check] = ()) -> Failed:
    switches = f" {gpu_checks.switches(checks)}" if checks else ""
    return Failed(
        "services-missing",
        f"{downtime.node} came back by itself, but not all of it: {'; '.join(lacking)}. Nothing was done to it",
        f"See to these; then 'downtime resume {downtime.node}' looks again, or 'downtime abort {downtime.node}' and "
        f"'downtime run planned {downtime.node}' take it out of service.{switches}",
    )


SEE_SERVICES = Step("see-services", _not_looked_at, _see_services, during="returning")
