"""What Kubernetes holds for a kubelet that is dead: its pods stay Terminating, and volumes stay attached."""

from __future__ import annotations

from typing import NamedTuple

from cluster import eviction, outage, staying_behind
from cluster import pods as pod_
from cluster.api import Object
from cluster.downtime import Downtime

_MOST_NAMED = 10


class Held(NamedTuple):
    """Pods (``namespace/name: why``) and VolumeAttachments of a node."""

    pods: tuple[str, ...]
    attachments: tuple[str, ...]

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self.pods or self.attachments)

    def __str__(self) -> str:
        """All of it in a sentence, the first by name."""
        return ", ".join(part for part in (_named("pods", self.pods), _named("volumes", self.attachments)) if part)


def by(downtime: Downtime) -> Held:
    """What the node of this downtime holds now."""
    return of(eviction.of_node(downtime), outage.attachments(downtime.api, downtime.node))


def of(pods: list[Object], attachments: list[str]) -> Held:
    """The same, of pods that were seen on the node. Pure."""
    stuck = eviction.remaining(pods)
    named = sorted(f"{pod_.full_name(pod)}: {staying_behind.why_in_words(pod)}" for pod in stuck)
    return Held(tuple(named), tuple(attachments))


def _named(what: str, items: tuple[str, ...]) -> str:
    if not items:
        return ""
    more = f" (and {len(items) - _MOST_NAMED} more)" if len(items) > _MOST_NAMED else ""
    return f"{len(items)} {what}: {'; '.join(items[:_MOST_NAMED])}{more}"
