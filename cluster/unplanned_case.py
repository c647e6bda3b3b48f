"""One node that is to be recovered: what was seen and chosen, and how far its downtime is. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from cluster import node as node_
from cluster import ownership, workloads
from cluster.config import Settings
from cluster.node import Object
from cluster.observation import Observation
from cluster.options import UnplannedOptions
from cluster.outage_facts import OutageFacts
from cluster.ownership import Thing
from cluster.plan import Workload
from cluster.record import Record


@dataclass(frozen=True)
class Case:
    """What blockers, warnings and the words of the steps are decided from.

    Attributes:
        record: the open record of this node's recovery; None: it is not in downtime.
        left: names of the steps that are not done yet.
    """

    observation: Observation
    node: Object
    options: UnplannedOptions
    settings: Settings
    record: Record | None
    left: tuple[str, ...]

    @property
    def name(self) -> str:
        """The node's name."""
        return self.observation.node_name

    @property
    def fresh(self) -> bool:
        """Whether the downtime is still to be opened."""
        return self.record is None

    @property
    def facts(self) -> OutageFacts:
        """Its signs of life."""
        return self.observation.outage or OutageFacts()

    @cached_property
    def alive(self) -> bool:
        """Whether it is Ready, and its kubelet renewed the lease lately: nothing says that it is down."""
        silent = self.facts.silent_for(self.observation.taken)
        return node_.ready(self.node) and silent < self.facts.lease_seconds

    @cached_property
    def before_taint(self) -> bool:
        """Whether pods are still to be evicted: our own taint does not stand, and is to be set."""
        return "taint" in self.left and not self.owns("taint")

    @property
    def machine_answers(self) -> bool:
        """Whether its SSH server greets although the node is down: then it is not off."""
        return self.facts.ssh == "answers" and not self.alive

    @property
    def adds_downtime(self) -> bool:
        """Whether something that runs may be stopped by what was chosen: that is gated, as everywhere."""
        stops = self.options.dead_kubelet == "shut-down" and self.machine_answers and "see-machine" in self.left
        return stops or "reset" in self.left

    @cached_property
    def workloads(self) -> tuple[Workload, ...]:
        """The researchers' workloads on the node."""
        return workloads.find(
            self.observation.pods,
            self.observation.owners,
            self.observation.priority_classes,
            interactive="evict",
            agreed=frozenset(),
            service_namespaces=self.settings.drain.service_namespaces,
        )

    def stands(self, thing: Thing) -> bool:
        """Whether the node is cordoned, or carries the taint."""
        match thing:
            case "cordon":
                return node_.unschedulable(self.node)
            case "taint":
                return node_.drained_by_taint(self.node)
            case _:
                return node_.out_of_service(self.node)

    def owns(self, thing: Thing) -> bool:
        """Whether the thing stands on the node and is this downtime's."""
        return self.record is not None and self.stands(thing) and ownership.owns(self.node, self.record.id, thing)

    def foreign(self, thing: Thing) -> bool:
        """Whether the thing stands on the node and is not this downtime's."""
        return self.stands(thing) and not self.owns(thing)

    def sets(self, thing: Thing) -> bool:
        """Whether a step that is left makes the thing ours."""
        if thing not in self.left or self.owns(thing):
            return False
        return not self.stands(thing) or (thing == "taint" and self.options.adopt_taint)

    def removes(self, thing: Thing) -> bool:
        """Whether a step that is left takes the thing off: only what is ours, or is going to be."""
        step = {"cordon": "uncordon", "taint": "untaint", "out-of-service": "clear-out-of-service"}[thing]
        return step in self.left and (self.owns(thing) or self.sets(thing))
