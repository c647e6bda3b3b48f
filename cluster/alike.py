"""Which pods that want room are alike: what is found of one holds for all of its kind, however many wait. Pure."""

from __future__ import annotations

import json

from cluster import pods as pod_
from cluster.pod_requests import Amounts
from cluster.room import REQUIRED, Claimant, anti_affinity


def suit(pod: Claimant, *, pooled: bool = True) -> str:
    """The same for pods that suit the same nodes, whatever runs there.

    Args:
        pooled: the node pool that it must stay in counts.
    """
    spec = pod_.mapping(pod.pod.get("spec"))
    affinity = pod_.mapping(pod_.mapping(spec.get("affinity")).get("nodeAffinity")).get(REQUIRED)
    asked = [spec.get("nodeSelector"), affinity, spec.get("tolerations"), pod.pool if pooled else None, pod.volumes]
    asked.append(pod.share)
    return json.dumps(asked, sort_keys=True)


def rival(pod: Claimant) -> str:
    """The same for pods that take the same room from others, on the same nodes."""
    return "\n".join((suit(pod, pooled=False), sizes(pod.asks), sizes(pod.least)))


def judged(pod: Claimant) -> tuple[object, ...]:
    """The same for pods that are judged alike."""
    return (
        suit(pod),
        sizes(pod.asks),
        sizes(pod.least),
        tuple(sorted(pod_.labels(pod.pod).items())),
        json.dumps(anti_affinity(pod.pod), sort_keys=True),
        pod.doubt,
        pod_.namespace(pod.pod),
        pod.priority,
        pod.preempts,
        pod.ports,
        pod.attaches,
        pod.claims,
    )


def sizes(amounts: Amounts | None) -> str:
    """The same for the same amounts. A text, since the hash of fractions is slow, and is asked for very often."""
    return "unknown" if amounts is None else " ".join(f"{key}={amount}" for key, amount in sorted(amounts.items()))
