"""DaemonSets of the service that are worse only because of other nodes: no fault of this downtime.

A DaemonSet counts its pods over the whole cluster, those of nodes that are not Ready or drained left out. A pod that
fails on another node meanwhile would otherwise keep a downtime open that has nothing to do with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

from cluster import pods as pod_
from cluster.api import Api, Object
from cluster.service import ServiceHealth

_KIND = "DaemonSet"


def of(api: Api, node: str, before: ServiceHealth, after: ServiceHealth) -> dict[str, str]:
    """Those that are worse than before, and not on account of this node: title to what is missing where.

    Raises:
        DowntimeError: the API server cannot be reached, or forbids to look.
    """
    found: dict[str, str] = {}
    for title, new in after.controllers.items():
        old = before.controllers.get(title)
        namespace, kind, name = title.split("/", 2)
        if kind != _KIND or old is None or new.missing <= old.missing:
            continue
        its = _pods(api, namespace, name)
        if not lacks_here(node, new.missing, its):
            found[title] = f"{title} lacks pods on other nodes: {', '.join(sorted(_without(its, node)))}"
    return found


def lacks_here(node: str, missing: int, its: Iterable[Object]) -> bool:
    """Whether a DaemonSet lacks its pod on this node. Pure.

    One that has no pod there at all may not be meant to run there: then it is for the other nodes to explain what is
    missing, and what they do not explain is missing here.

    Args:
        missing: how many of its pods are not ready, as its controller counts.
        its: all its pods.
    """
    known = list(its)
    here = [pod for pod in known if _node_of(pod) == node]
    if here:
        return not any(_well(pod) for pod in here)
    return missing > len(_without(known, node))


def _without(its: Iterable[Object], node: str) -> set[str]:
    """The other nodes on which no pod of it is well."""
    others = [pod for pod in its if _node_of(pod) not in ("", node)]
    return {_node_of(pod) for pod in others} - {_node_of(pod) for pod in others if _well(pod)}


def _well(pod: Object) -> bool:
    return pod_.is_ready(pod) and not pod_.is_terminating(pod)


def _node_of(pod: Object) -> str:
    """Its node; one that is not placed yet names it in its affinity, as the DaemonSet's controller wrote it."""
    spec = pod_.mapping(pod.get("spec"))
    placed = str(spec.get("nodeName") or "")
    if placed:
        return placed
    affinity = pod_.mapping(pod_.mapping(spec.get("affinity")).get("nodeAffinity"))
    required = pod_.mapping(affinity.get("requiredDuringSchedulingIgnoredDuringExecution"))
    terms = pod_.objects(required.get("nodeSelectorTerms"))
    fields = [field for term in terms for field in pod_.objects(term.get("matchFields"))]
    names = [name for field in fields if field.get("key") == "metadata.name" for name in field.get("values") or ()]
    return str(names[0]) if len(names) == 1 else ""


def _pods(api: Api, namespace: str, name: str) -> list[Object]:
    inside = quote(namespace, safe="")
    daemon = next(iter(api.list(f"/apis/apps/v1/namespaces/{inside}/daemonsets", fields=f"metadata.name={name}")), {})
    labels = pod_.mapping(pod_.mapping(pod_.mapping(daemon.get("spec")).get("selector")).get("matchLabels"))
    selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    its = api.iterate(f"/api/v1/namespaces/{inside}/pods", labels=selector)
    return [pod for pod in its if pod_.is_daemon(pod) and pod_.controller(pod).get("name") == name]
