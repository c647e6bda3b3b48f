"""Looking at a node that is down: its lease, its machine, what is held for it, and whether it is alone in that."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TYPE_CHECKING

from cluster import accepted_gpus, gpu_requests, nodes, reach, ssh_probe
from cluster import node as node_
from cluster import pods as pod_
from cluster.api import Api, Object
from cluster.config import Settings
from cluster.errors import DowntimeError
from cluster.hosts import Host, locate
from cluster.observation import Observation
from cluster.outage_facts import OutageFacts
from cluster.power import controller
from cluster.record import Found, Record
from cluster.records import Records

if TYPE_CHECKING:
    from cluster.downtime import Downtime

ATTACHMENTS = "/apis/storage.k8s.io/v1/volumeattachments"
_WHOLE = "nvidia.com/gpu"
_MOST_ASKED = 20
_ASKED_AT_ONCE = 10
_PROBE_SECONDS = 3.0


def look(api: Api, settings: Settings, seen: Observation, record: Record | None) -> Observation:
    """The observation with the node's signs of life, and what its power controller says.

    Other hosts are asked only while it still matters whether the node is alone in its failure.
    """
    lease = api.get(f"{nodes.LEASES}/{seen.node_name}")
    alone_matters = record is None or not record.done("taint")
    # Machines that are off answer nothing for seconds, and the workloads of a dead node wait: all are asked at once.
    with ThreadPoolExecutor(2) as pool:
        machine = pool.submit(_machine, settings, seen)
        answering, asked = _others(api, settings, seen.down | {seen.node_name}) if alone_matters else (0, 0)
        ssh, power = machine.result()
    if alone_matters and ssh != "unknown" and not node_.ready(seen.node or {}):
        asked, answering = asked + 1, answering + (ssh == "answers")
    facts = OutageFacts(
        last_renewal=renewal(lease),
        lease_seconds=float((lease or {}).get("spec", {}).get("leaseDurationSeconds") or 40),
        ssh=ssh,
        api_ready=_ready(api),
        answering=answering,
        asked=asked,
        returns=returns_of(Records(api).closed_of(seen.node_name)),
        attachments=tuple(attachments(api, seen.node_name)),
    )
    return seen.model_copy(update={"outage": facts, "power_status": power})


def renewal(lease: Object | None) -> datetime | None:
    """When a lease was renewed last."""
    text = (lease or {}).get("spec", {}).get("renewTime")
    return node_.time_of(text) if text else None


def attachments(api: Api, node: str) -> list[str]:
    """The names of the VolumeAttachments to a node. The API server cannot select them by node."""
    return sorted(
        str(one["metadata"]["name"]) for one in api.iterate(ATTACHMENTS) if one.get("spec", {}).get("nodeName") == node
    )


def returns_of(closed: Iterable[Record]) -> tuple[datetime, ...]:
    """When a node came back from earlier failures, by its closed records."""
    return tuple(when for one in closed if (when := came_back_at(one)) is not None)


def came_back_at(record: Record) -> datetime | None:
    """When the node of an unplanned recovery was seen back."""
    if record.procedure != "unplanned":
        return None
    step = record.steps.get("judge-down" if record.course == "returned" else "see-back")
    return step.at if step is not None and step.state == "done" else None


def found_of(api: Api, node: Object, found: Found, newest: Record | None) -> Found:
    """What was found of a node, completed for one that is down: what it had before it failed.

    A kubelet that starts reports no GPU until the device plugin has registered; the capacity, the record of an earlier
    downtime, the label of GPU feature discovery, or what its pods ask for still tells how many there were, or at least.
    """
    counts = dict(found.gpus)
    sources = [node_.gpus({"status": {"allocatable": node.get("status", {}).get("capacity") or {}}})]
    if newest is not None and newest.node_uid == node["metadata"]["uid"]:
        sources.append(accepted_gpus.expected(newest))
    sources.append(_by_label(node))
    here = api.list("/api/v1/pods", fields=f"spec.nodeName={node_.name(node)}")
    asked = gpu_requests.whole(pod for pod in here if not pod_.is_finished(pod))
    sources.append({_WHOLE: asked} if asked else {})
    for source in sources:
        for name, count in source.items():
            counts[name] = max(counts.get(name, 0), count)
    # Whether they were Ready is not known of a dead node; what failed again and again before is not waited for after.
    daemons = {daemon_of(pod) for pod in here if pod_.is_daemon(pod) and not pod_.keeps_failing(pod)}
    return found.model_copy(update={"gpus": counts, "daemons": tuple(sorted(daemons))})


def _by_label(node: Object) -> dict[str, int]:
    labels: dict[str, str] = node["metadata"].get("labels") or {}
    count = labels.get("nvidia.com/gpu.count", "")
    # Sliced GPUs are other resources than whole ones.
    sliced = labels.get("nvidia.com/mig.config", "all-disabled") != "all-disabled"
    return {_WHOLE: int(count)} if count.isdigit() and not sliced else {}


def daemon_of(pod: Object) -> str:
    """The DaemonSet of a pod: ``namespace/name``."""
    return f"{pod_.namespace(pod)}/{pod_.controller(pod).get('name', '')}"


def ssh_state(downtime: Downtime) -> ssh_probe.State:
    """What is at the SSH port of the node's machine now."""
    return ssh_probe.answers(reach.host(downtime), _patience(downtime.settings)).state


def _patience(settings: Settings) -> float:
    # The workloads of a dead node wait meanwhile.
    return min(_PROBE_SECONDS, settings.hosts.connect_timeout)


def _ready(api: Api) -> bool | None:
    try:
        return api.with_patience(0).ready()
    except DowntimeError:
        return None


def _machine(settings: Settings, seen: Observation) -> tuple[ssh_probe.State, str]:
    try:
        where = locate(settings.hosts, seen.node_name, node_.address(seen.node or {}))
        power = controller(settings.power, reach.MASKER)
        with ThreadPoolExecutor(1) as pool:
            ssh = pool.submit(ssh_probe.answers, where, _patience(settings))
            status = "none" if power.status_kind == "none" else power.status(where).state
            return ssh.result().state, status
    except DowntimeError:
        return "unknown", "unknown"


def _others(api: Api, settings: Settings, apart: Iterable[str]) -> tuple[int, int]:
    """Of the other hosts whose nodes are not ready: how many answer over SSH, and how many were asked."""
    known = set(apart)
    hosts: list[Host] = []
    for one in nodes.every(api):
        if node_.ready(one) or node_.name(one) in known or len(hosts) == _MOST_ASKED:
            continue
        try:
            hosts.append(locate(settings.hosts, node_.name(one), node_.address(one)))
        except DowntimeError:
            continue
    if not hosts:
        return 0, 0
    timeout = _patience(settings)
    with ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
        states = list(pool.map(lambda host: ssh_probe.answers(host, timeout).state, hosts))
    return states.count("answers"), len(states)
