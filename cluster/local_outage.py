"""System pods whose data lies on the node itself (PostgreSQL): they are down with it, and a person agrees first.

An answer holds for the pods that it was shown. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

from cluster import consent
from cluster.plan import Finding
from cluster.record import Record

ACCEPT = "accept"
"""The answer that accepts the outage; its items are namespace/name."""
ASKED = "the outage of "
"""So begins what the record says of a step that asks about it."""


def unapproved(pods: Iterable[str], record: Record | None, node: str, accept_outage: str) -> tuple[str, ...]:
    """Those of these pods about which a person must still be asked before the node is tainted.

    Args:
        accept_outage: what was typed at the start; the node's name agrees to all of them.
    """
    if accept_outage == node:
        return ()
    given = consent.agreed(record, "outage", ACCEPT)
    return tuple(pod for pod in pods if pod not in given)


def mistyped(node: str, accept_outage: str) -> list[Finding]:
    """What speaks against going on when something else than the node's name was typed."""
    if accept_outage in ("", node):
        return []
    return [
        Finding(
            code="outage-not-accepted",
            message=f"{accept_outage[:60]!r} was typed to accept that system pods on a volume of {node} are down",
            remedy=f"Type exactly {node}: --accept-outage {node}.",
        )
    ]
