"""The pods that GPUs need: the device plugin, and what runs beside it (toolkit, exporter, validator), Ready again.

They are taken for what had a Ready pod on the node before, in the namespaces of the device plugins that are there now.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

from cluster import outage
from cluster import pods as pod_
from cluster.api import Api, Object
from cluster.gpu_return import is_plugin


def ready(pods: Iterable[Object]) -> tuple[str, ...]:
    """The DaemonSets (``namespace/name``) that have a Ready pod on a node. Pure.

    Args:
        pods: those on the node.
    """
    return tuple(sorted({outage.daemon_of(pod) for pod in pods if pod_.is_daemon(pod) and _well(pod)}))


def lacking(before: Iterable[str], pods: Iterable[Object]) -> list[str]:
    """Those that had a Ready pod on the node before, and have none now. Pure.

    Args:
        before: DaemonSets that had.
        pods: those on the node now.
    """
    here = list(pods)
    namespaces = {pod_.namespace(pod) for pod in here if pod_.is_daemon(pod) and is_plugin(pod)}
    there = ready(here)
    return [one for one in before if one.partition("/")[0] in namespaces and one not in there]


def unready(api: Api, node: str, before: Iterable[str]) -> list[str]:
    """Those that lack their pod on a node now; a DaemonSet that was deleted meanwhile lacks nothing.

    Raises:
        DowntimeError: the API server cannot be reached, or forbids to look.
    """
    found = lacking(before, api.list("/api/v1/pods", fields=f"spec.nodeName={node}"))
    return [one for one in found if _exists(api, one)]


def _exists(api: Api, daemon: str) -> bool:
    namespace, _, name = daemon.partition("/")
    path = f"/apis/apps/v1/namespaces/{quote(namespace, safe='')}/daemonsets"
    return bool(api.list(path, fields=f"metadata.name={name}"))


def _well(pod: Object) -> bool:
    return pod_.is_ready(pod) and not pod_.is_terminating(pod)
