"""Waiting, before the node plugin of a CSI driver is taken away, until the kubelet has let go of what it mounted.

A pod leaves the API when its own mounts are gone; the volume's mount of the machine comes after that, and needs the
plugin still. Until then the kubelet names the volume among those that are in use, and nobody else attaches it.
Source: https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/node-v1 (status.volumesInUse). It names
volumes that are attached, so one of a driver without attachment (NFS) is not waited for.

It is a wait, and no condition: what a kubelet fails to unmount may be why the machine must go down.
"""

from __future__ import annotations

from collections.abc import Iterable

from cluster import csi_plugins, eviction, nodes
from cluster import pods as pod_
from cluster.api import Object
from cluster.downtime import Downtime
from cluster.local_volumes import claims_of
from cluster.watching import until

_STEP = "evict"
# The kubelet writes its status every 10 s, and tries a failed unmount again after at most two minutes.
_SECONDS = 300.0
_CSI = "kubernetes.io/csi/"


def waited_for(downtime: Downtime, pods: Iterable[Object]) -> bool:
    """Whether there is something to wait for: a node plugin goes with the taint, and volumes need it.

    Args:
        pods: those that are on the node.
    """
    return bool(downtime.record.found.csi) and bool(needed(downtime.see_node(), pods))


def see_unmounted(downtime: Downtime, left: Iterable[Object]) -> str:
    """Wait until no volume that needs a plugin which goes is in use on the node, or the time is up.

    Args:
        left: the pods that are still there.

    Returns:
        what was seen, as the end of a sentence; empty: no plugin goes with the taint.

    Raises:
        LockLost: somebody else goes on with this downtime.
        Blocked: the node is gone.
    """
    if not downtime.record.found.csi:
        return ""
    here = list(left)
    stay = sorted(pod_.full_name(pod) for pod in here if claims_of(pod) and not pod_.is_finished(pod))
    told: set[str] = set()

    def judge(now: dict[str, Object]) -> bool | None:
        downtime.lock.check()
        found = next(iter(now.values()), None)
        names = needed(downtime.see_node() if found is None else found, here)
        if names and names != told:
            told.clear()
            told.update(names)
            downtime.say(_STEP, f"{len(names)} volumes are still mounted: the taint waits for their node plugin")
        return None if names else True

    seconds = min(_SECONDS, eviction.deadline_seconds(downtime, []))
    fields = f"metadata.name={downtime.node}"
    if until(downtime.api, nodes.NODES, judge, seconds, fields=fields) is not None:
        return "; no volume that needs a node plugin is in use any more"
    why = "'journalctl -u kubelet' on the machine says why they are not unmounted"
    if stay:
        why = f"some may be of pods that stay ({', '.join(stay[:5])}); of others {why}"
    text = (
        f"volumes are still in use after {seconds / 60:.1f} min ({', '.join(sorted(told)[:5])}), and are not waited "
        f"for any longer: {why}"
    )
    downtime.say(_STEP, text)
    return f"; {text}"


def needed(node: Object, pods: Iterable[Object]) -> set[str]:
    """The volumes that are in use (``driver^handle``) and whose node plugin is none of those that stay. Pure."""
    staying = [pod for pod in pods if not pod_.must_go(pod)]
    return {one for one in in_use(node) if not csi_plugins.serves(staying, one.partition("^")[0])}


def in_use(node: Object) -> set[str]:
    """The volumes of CSI drivers that the kubelet says are in use: ``driver^handle``."""
    said = pod_.mapping(node.get("status")).get("volumesInUse")
    names = [str(one) for one in said] if isinstance(said, list) else []
    return {one.removeprefix(_CSI) for one in names if one.startswith(_CSI)}
