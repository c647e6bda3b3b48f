"""Seeing that the parts of the Run:ai service which ran on a system node run elsewhere, before the machine goes down.

Not looked at are the DaemonSets, and what a volume of the node itself holds back: a person agreed to that outage.
"""

from __future__ import annotations

from urllib.parse import quote

from cluster import local_volumes, node, nodes, probing, service
from cluster import pods as pod_
from cluster.api import Object
from cluster.downtime import Downtime
from cluster.errors import Failed
from cluster.owners import Resolver
from cluster.service import ServiceHealth
from cluster.system_placement import SERVICE_NAMESPACES
from cluster.workloads import title_of

_VOLUMES = "/api/v1/persistentvolumes"
_MOST_NAMED = 5


def require(downtime: Downtime) -> None:
    """Wait until what ran on this system node runs elsewhere; nothing to wait for on any other node.

    Raises:
        Failed: it does not, by the deadline. What is missing is named, with the scheduler's words.
    """
    if node.kind(downtime.see_node()) != "system":
        return
    minutes = downtime.settings.drain.takeover_minutes
    short = wait(downtime, minutes * 60)
    if short:
        raise Failed(
            "not-taken-over",
            f"{downtime.node} was drained, but after {minutes:g} minutes the Run:ai service does not run elsewhere: "
            f"{short}. The machine was left alone",
            f"See to that, then 'downtime resume {downtime.node}'; or 'downtime abort {downtime.node}' takes it back "
            "into service.",
        )


def wait(downtime: Downtime, seconds: float) -> str:
    """Wait until the service is no worse than before the downtime; what is worse at the end, empty: nothing."""
    before = ServiceHealth.model_validate(downtime.record.found.service)
    here = {title for title in before.controllers if "/DaemonSet/" in title}
    outage = _held_back(downtime)

    def worse() -> list[str]:
        now = service.gather(downtime.api)
        # A service whose database is down by consent is called unavailable by its operator.
        then = before.model_copy(update={"available": False, "found": False}) if outage else before
        return service.worse(_without(then, here | outage), now)

    if probing.probe(lambda: None if worse() else True, seconds, first=0.5, longest=3.0):
        return ""
    return "; ".join([*worse()[:_MOST_NAMED], *_waiting(downtime)])


def _without(health: ServiceHealth, titles: set[str]) -> ServiceHealth:
    kept = {title: one for title, one in health.controllers.items() if title not in titles}
    return health.model_copy(update={"controllers": kept})


def _held_back(downtime: Downtime) -> set[str]:
    """Controllers whose pods use a volume that only this node reaches."""
    found = downtime.see_node()
    others = [one for one in nodes.every(downtime.api) if node.name(one) != downtime.node]
    claims = {one.claim for one in local_volumes.of(downtime.api.iterate(_VOLUMES), found, others, {})} - {""}
    if not claims:
        return set()
    resolver = Resolver(downtime.api)
    using = [pod for pod in _pods(downtime) if claims & set(local_volumes.claims_of(pod))]
    return {title_of(pod, resolver.chains([pod])) for pod in using}


def _waiting(downtime: Downtime) -> list[str]:
    """Pods of the service that the scheduler finds no place for, in its words."""
    found = []
    for pod in _pods(downtime):
        conditions = pod_.objects(pod_.mapping(pod.get("status")).get("conditions"))
        scheduled = next((one for one in conditions if one.get("type") == "PodScheduled"), {})
        if scheduled.get("status") == "False":
            found.append(f"{pod_.full_name(pod)} waits: {str(scheduled.get('message') or 'no reason given')[:300]}")
    return found[:_MOST_NAMED]


def _pods(downtime: Downtime) -> list[Object]:
    return [
        pod
        for namespace in SERVICE_NAMESPACES
        for pod in downtime.api.iterate(f"/api/v1/namespaces/{quote(namespace, safe='')}/pods")
    ]
