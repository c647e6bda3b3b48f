"""Waiting, before the node plugin of a CSI driver is taken away, until the kubelet has let go of what it mounted.

A pod leaves the API when its own mounts are gone; the volume's mount of the machine comes after that, and needs the
plugin still. Until then the kubelet names the volume among those that are in use, and nobody else attaches it.
Source: https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/node-v1 (status.volumesInUse).
"""

from __future__ import annotations

from collections.abc import Iterable

from cluster import eviction, nodes
from cluster import pods as pod_
from cluster.api import Object
from cluster.downtime import Downtime
from cluster.errors import Failed
from cluster.local_volumes import claims_of
from cluster.watching import until

_STEP = "evict"
# The kubelet writes its status every 10 s, and tries a failed unmount again after at most two minutes.
_SECONDS = 300.0
_CSI = "kubernetes.io/csi/"


def waited_for(downtime: Downtime) -> bool:
    """Whether there is something to wait for: a node plugin goes with the taint, and volumes are in use."""
    return bool(downtime.record.found.csi) and bool(in_use(downtime.see_node()))


def see_unmounted(downtime: Downtime, left: Iterable[Object]) -> str:
    """Wait until no volume of a CSI driver is in use on the node.

    Args:
        left: the pods that are still there. What they use stays mounted, and is not waited for.

    Returns:
        what was seen, as the end of a sentence; empty: no plugin goes with the taint.

    Raises:
        Failed: some are still in use when the time is up; the taint was not set.
    """
    if not downtime.record.found.csi:
        return ""
    stay = sorted(pod_.full_name(pod) for pod in left if claims_of(pod) and not pod_.is_finished(pod))
    if stay:
        return f"; volumes are in use by what stays ({', '.join(stay[:5])}), and were not waited for"
    told: set[str] = set()

    def judge(now: dict[str, Object]) -> bool | None:
        downtime.lock.check()
        names = in_use(next(iter(now.values()), {"metadata": {}}))
        if names and names != told:
            told.clear()
            told.update(names)
            downtime.say(_STEP, f"{len(names)} volumes are still mounted: the taint waits for their node plugin")
        return None if names else True

    seconds = min(_SECONDS, eviction.deadline_seconds(downtime, []))
    fields = f"metadata.name={downtime.node}"
    if until(downtime.api, nodes.NODES, judge, seconds, fields=fields) is None:
        raise _still_mounted(downtime, seconds, told)
    return "; no volume of a CSI driver is in use any more"


def in_use(node: Object) -> set[str]:
    """The volumes of CSI drivers that the kubelet says are in use: ``driver^handle``."""
    said = pod_.mapping(node.get("status")).get("volumesInUse")
    names = [str(one) for one in said] if isinstance(said, list) else []
    return {one.removeprefix(_CSI) for one in names if one.startswith(_CSI)}


def _still_mounted(downtime: Downtime, seconds: float, names: set[str]) -> Failed:
    plugins = ", ".join(downtime.record.found.csi[:5])
    return Failed(
        "volumes-remain",
        f"After {seconds / 60:.1f} minutes the kubelet of {downtime.node} still uses {len(names)} volumes of pods that "
        f"are gone: {', '.join(sorted(names)[:5])}. The taint was not set, as it takes their node plugin away "
        f"({plugins}), without which they are never unmounted",
        f"Look at that plugin's pod and at 'journalctl -u kubelet' on the machine; then 'downtime resume "
        f"{downtime.node}' waits again, or 'downtime abort {downtime.node}' takes the cordon off.",
    )
