"""How many more volumes of a CSI driver can be attached to a node. Pure.

A node's CSINode says which drivers it has, and of some how many volumes it holds. What is attached there is counted
rather too high: every claim of every pod that is bound to it, whatever its driver, and every VolumeAttachment.

Source: the plugin ``NodeVolumeLimits`` of kube-scheduler 1.34. It lets a pod onto a node without the driver, where it
could not start: that is no place here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cluster import pods as pod_
from cluster.node import Object

EVERYWHERE = frozenset({"emptyDir", "configMap", "secret", "projected", "downwardAPI", "hostPath", "nfs"})
"""Kinds of volumes that can be had on every node, and that no node has a limit for."""


@dataclass(frozen=True)
class Limits:
    """What the nodes say of volumes.

    Attributes:
        drivers: by node: its drivers, each with how many volumes it holds; None: as many as one likes.
        attachments: by node: how many volumes are attached to it, or are about to be.
    """

    drivers: Mapping[str, Mapping[str, int | None]] = field(default_factory=dict)
    attachments: Mapping[str, int] = field(default_factory=dict)

    def objection(self, node: str, needs: Iterable[str], there: int) -> str:
        """Why volumes of these drivers (one each) cannot be attached to a node, as a phrase that is counted.

        Args:
            there: how many volumes pods may have there besides.
        """
        has = self.drivers.get(node, {})
        for driver, number in Counter(needs).items():
            if driver not in has:
                return f"without the driver {driver} of its volume"
            most = has[driver]
            if most is not None and there + self.attachments.get(node, 0) + number > most:
                return f"where it is not sure that one more volume of {driver} can be attached"
        return ""


def limits_of(csi_nodes: Iterable[Object], attachments: Iterable[Object]) -> Limits:
    """The limits by ``CSINode`` and ``VolumeAttachment`` objects."""
    drivers = {
        pod_.name(one): {
            str(driver.get("name")): _count(driver)
            for driver in pod_.objects(pod_.mapping(one.get("spec")).get("drivers"))
        }
        for one in csi_nodes
    }
    attached = Counter(str(pod_.mapping(one.get("spec")).get("nodeName")) for one in attachments)
    return Limits(drivers, attached)


def claims(pod: Object) -> int:
    """How many of a pod's volumes may have to be attached."""
    volumes = pod_.objects(pod_.mapping(pod.get("spec")).get("volumes"))
    return sum(1 for one in volumes if not EVERYWHERE & set(one))


def _count(driver: Object) -> int | None:
    count = pod_.mapping(driver.get("allocatable")).get("count")
    return None if count is None else int(pod_.number(count))
