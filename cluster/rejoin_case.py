"""One machine that is to join again: what was seen and chosen, and how far it is. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from cluster import belongings, control_plane
from cluster import pods as pod_
from cluster.formerly import Former
from cluster.joining import Joining
from cluster.observation import Observation
from cluster.options import RejoinOptions
from cluster.record import Found, Record
from cluster.restoration import DEFAULT_ROLES, Kept


@dataclass(frozen=True)
class Case:
    """What blockers, warnings and the words of the steps are decided from.

    Attributes:
        record: the open record of this rejoin; None: it is still to begin.
        left: names of the steps that are not done yet.
    """

    observation: Observation
    options: RejoinOptions
    record: Record | None
    left: tuple[str, ...]

    @property
    def name(self) -> str:
        """The node's name."""
        return self.observation.node_name

    @property
    def before_join(self) -> bool:
        """Whether the machine is still to join: afterwards there is only the way into service."""
        return "join" in self.left

    @property
    def under_way(self) -> bool:
        """Whether a join was begun: then the Node may be its own, and there half-way."""
        return self.record is not None and "join" in self.record.steps

    @cached_property
    def seen(self) -> Joining:
        """What the machine and the cluster say."""
        return self.observation.joining or Joining(former=Former(found=Found()))

    @property
    def control_plane(self) -> bool:
        """Whether it is to be a control-plane node."""
        former = self.record.found if self.record is not None else self.seen.former.found
        return control_plane.joins_as(self.options.role, former.labels)

    @property
    def concerns_etcd(self) -> bool:
        """Whether it is to be a control-plane node, or was one."""
        former = self.record.found if self.record is not None else self.seen.former.found
        return self.control_plane or control_plane.labelled(former.labels)

    @property
    def kept(self) -> Kept | None:
        """What it gets back."""
        return self.record.kept if self.record is not None else self.seen.former.kept

    @property
    def gpus(self) -> Mapping[str, int]:
        """The GPUs that it had."""
        return (self.record.found if self.record is not None else self.seen.former.found).gpus

    @cached_property
    def labels(self) -> dict[str, str]:
        """The labels that it will have from us."""
        old = dict(self.kept.labels) if self.kept is not None else {}
        role = DEFAULT_ROLES.get(self.options.role)
        if role is None:
            return old
        return {**{key: value for key, value in old.items() if not key.startswith(belongings.RUNAI_ROLE)}, **role}

    @cached_property
    def working_pods(self) -> tuple[str, ...]:
        """Pods that still count as running on the Node that is there: neither ended, nor told to end."""
        return tuple(
            sorted(
                pod_.full_name(pod)
                for pod in self.observation.pods
                if not (pod_.is_mirror(pod) or pod_.is_daemon(pod) or pod_.is_finished(pod))
                and not (pod.get("metadata") or {}).get("deletionTimestamp")
            )
        )
