"""One node that is to go through planned maintenance: what was seen and chosen, and how far its downtime is. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from cluster import consent, gpu_requests, local_outage, names, ownership, workloads
from cluster import node as node_
from cluster import pods as pod_
from cluster.config import Settings
from cluster.node import Object
from cluster.observation import Observation
from cluster.options import PlannedOptions, RemoveOptions
from cluster.ownership import Thing
from cluster.plan import Workload
from cluster.record import Record

DRAIN = f"{names.DRAIN_KEY}={names.DRAIN_VALUE}:{names.DRAIN_EFFECT}"


@dataclass(frozen=True)
class Case:
    """What blockers, warnings and the words of the steps are decided from.

    Attributes:
        record: the open record of this node's planned maintenance; None: it is not in downtime.
        left: names of the steps that are not done yet.
    """

    observation: Observation
    node: Object
    options: PlannedOptions | RemoveOptions
    settings: Settings
    record: Record | None
    left: tuple[str, ...]

    @property
    def name(self) -> str:
        """The node's name."""
        return self.observation.node_name

    @property
    def fresh(self) -> bool:
        """Whether the downtime is still to be opened: then everything is judged, the recovery gate included."""
        return self.record is None

    @cached_property
    def before_taint(self) -> bool:
        """Whether pods are still to be evicted: our own taint does not stand, and is to be set."""
        return "taint" in self.left and not self.owns("taint")

    @cached_property
    def before_shutdown(self) -> bool:
        """Whether the machine is to be shut down, and was not told so yet. Afterwards there is only the way back."""
        told = self.record is not None and bool(self.record.shut_down_boot)
        return "shut-down" in self.left and not told

    @cached_property
    def workloads(self) -> tuple[Workload, ...]:
        """The researchers' workloads on the node."""
        return workloads.find(
            self.observation.pods,
            self.observation.owners,
            self.observation.priority_classes,
            interactive=self.options.interactive,
            agreed=consent.may_go(self.record),
            service_namespaces=self.settings.drain.service_namespaces,
        )

    @cached_property
    def unapproved(self) -> tuple[Workload, ...]:
        """Interactive (or unknown) work about which a person must still be asked."""
        return consent.unapproved(self.workloads, self.record, self.options.interactive)

    @cached_property
    def unaccepted(self) -> tuple[str, ...]:
        """System pods on a volume of the node itself about whose outage a person must still be asked."""
        return local_outage.unapproved(self.observation.outage_pods, self.record, self.name, self.options.accept_outage)

    @cached_property
    def tolerating(self) -> tuple[str, ...]:
        """Pods that the drain leaves there and that a shutdown would kill: ``namespace/name``."""
        return tuple(
            sorted(
                pod_.full_name(pod)
                for pod in self.observation.pods
                if pod_.tolerates_for_ever(pod)
                and not (pod_.is_mirror(pod) or pod_.is_daemon(pod) or pod_.is_finished(pod))
                and not gpu_requests.is_reservation(pod)
            )
        )

    def owns(self, thing: Thing) -> bool:
        """Whether the thing stands on the node and is this downtime's."""
        return self.record is not None and self.stands(thing) and ownership.owns(self.node, self.record.id, thing)

    def foreign(self, thing: Thing) -> bool:
        """Whether the thing stands on the node and is not this downtime's."""
        return self.stands(thing) and not self.owns(thing)

    def stands(self, thing: Thing) -> bool:
        """Whether the node is cordoned, or carries the drain taint."""
        return node_.unschedulable(self.node) if thing == "cordon" else node_.drained_by_taint(self.node)

    def sets(self, thing: Thing) -> bool:
        """Whether a step that is left makes the thing ours."""
        if thing not in self.left or self.owns(thing):
            return False
        return not self.stands(thing) or (thing == "taint" and self.options.adopt_taint)

    def removes(self, thing: Thing) -> bool:
        """Whether a step that is left takes the thing off: only what is ours, or is going to be."""
        return f"un{thing}" in self.left and (self.owns(thing) or self.sets(thing))


def listed(items: tuple[str, ...] | list[str], most: int = 8) -> str:
    """The items in a sentence, the first few of them by name."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more


def titles(found: tuple[Workload, ...] | list[Workload]) -> str:
    """Workloads in a sentence, with their researchers."""
    return listed([f"{one.namespace}/{one.name}{f' ({one.owner})' if one.owner else ''}" for one in found])
