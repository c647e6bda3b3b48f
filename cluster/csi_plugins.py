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


def _is(pod: Object) -> bool:
    spec = pod_.mapping(pod.get("spec"))
    paths = [pod_.mapping(one.get("hostPath")).get("path") for one in pod_.objects(spec.get("volumes"))]
    return any(_SOCKETS.search(str(path)) for path in paths if path) or any(
        _registers(one) for one in (*pod_.objects(spec.get("containers")), *pod_.objects(spec.get("initContainers")))
    )


def _registers(container: Object) -> bool:
    said = [container.get(key) for key in ("command", "args")]
    return any(str(word).startswith(_REGISTRAR) for words in said if isinstance(words, list) for word in words)
