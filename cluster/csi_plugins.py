"""The node plugins of CSI drivers that the drain taint would take away together with the pods that need them.

Without its plugin the kubelet unmounts nothing of that driver, and the other pods hang while they end. So where one
does not tolerate the taint, workloads are evicted first, and the taint comes last. One that tolerates it stays, and
nothing is the matter.

A plugin is known by where it meets the kubelet: https://kubernetes-csi.github.io/docs/deploying.html#driver-volume-mounts
(a socket below ``plugins``, and its registration below ``plugins_registry``). Plugins for dynamic resource allocation
meet it there too, and are needed just so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote

from cluster import pods as pod_
from cluster.api import Api
from cluster.node import Object

_SOCKETS = re.compile(r"(^|/)(kubelet/plugins|plugins_registry)(/|$)")
_REGISTRAR = "--kubelet-registration-path"


def names(pods: Iterable[Object]) -> tuple[str, ...]:
    """The plugins among the pods of a node that the drain would take away: ``namespace/name``, in order."""
    return tuple(sorted(pod_.full_name(pod) for pod in pods if pod_.is_daemon(pod) and pod_.must_go(pod) and _is(pod)))


def on(api: Api, node: str) -> tuple[str, ...]:
    """The same of a node, as it is now."""
    return names(api.list("/api/v1/pods", fields=f"spec.nodeName={quote(node, safe='')}"))


def serves(pods: Iterable[Object], driver: str) -> bool:
    """Whether one of these pods is the node plugin of a driver, as far as its socket's place names it."""
    return any(driver in place.split("/") for pod in pods for place in _places(pod))


def _is(pod: Object) -> bool:
    return any(_SOCKETS.search(place) or place.startswith(_REGISTRAR) for place in _places(pod))


def _places(pod: Object) -> list[str]:
    """The paths of the host that it mounts, and where its registrar says that the socket is."""
    spec = pod_.mapping(pod.get("spec"))
    paths = [pod_.mapping(one.get("hostPath")).get("path") for one in pod_.objects(spec.get("volumes"))]
    containers = (*pod_.objects(spec.get("containers")), *pod_.objects(spec.get("initContainers")))
    said = [words for one in containers for key in ("command", "args") if isinstance(words := one.get(key), list)]
    registered = [str(word) for words in said for word in words if str(word).startswith(_REGISTRAR)]
    return [*(str(path) for path in paths if path), *registered]
