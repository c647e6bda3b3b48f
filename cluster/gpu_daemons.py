"""The pods that GPUs need: the device plugin, and what runs beside it (toolkit, exporter, validator), Ready again.

They are taken for what had a Ready pod on the node before: in the namespaces of the device plugins that are there now,
in Run:ai's own (its container toolkit), and what the configuration names beyond that.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import NamedTuple
from urllib.parse import quote

from cluster import node as node_
from cluster import outage, taints
from cluster import pods as pod_
from cluster.api import Api, Object
from cluster.gpu_return import is_plugin
from cluster.node import Taint

RUNAI = "runai/*"
"""Those of Run:ai's part on the cluster: always looked for."""


def ready(pods: Iterable[Object]) -> tuple[str, ...]:
    """The DaemonSets (``namespace/name``) that have a Ready pod on a node. Pure.

    Args:
        pods: those on the node.
    """
    return tuple(sorted({outage.daemon_of(pod) for pod in pods if pod_.is_daemon(pod) and _well(pod)}))


def lacking(before: Iterable[str], pods: Iterable[Object], also: Iterable[str] = ()) -> list[str]:
    """Those that had a Ready pod on the node before, and have none now. Pure.

    Args:
        before: DaemonSets that had.
        pods: those on the node now.
        also: more that are looked for: ``namespace/name``, as patterns of a shell.
    """
    here = list(pods)
    namespaces = {pod_.namespace(pod) for pod in here if pod_.is_daemon(pod) and is_plugin(pod)}
    there, patterns = ready(here), (RUNAI, *also)
    return [
        one
        for one in before
        if one not in there
        and (one.partition("/")[0] in namespaces or any(fnmatchcase(one, pattern) for pattern in patterns))
    ]


class Lacking(NamedTuple):
    """DaemonSets without a Ready pod on a node: those to wait for, and those that taints keep away, in words."""

    missing: list[str]
    kept_away: list[str]


def unready(api: Api, node: Object, before: Iterable[str], also: Iterable[str] = ()) -> Lacking:
    """Those that lack their pod on a node now; a DaemonSet that was deleted meanwhile lacks nothing.

    One that does not tolerate what somebody has tainted the node with would be waited for in vain: it may be so wanted.

    Args:
        node: as it is now.
        also: see :func:`lacking`.

    Raises:
        DowntimeError: the API server cannot be reached, or forbids to look.
    """
    lacks = Lacking([], [])
    pods = api.list("/api/v1/pods", fields=f"spec.nodeName={node_.name(node)}")
    for one in lacking(before, pods, also):
        for daemon in _read(api, one):
            standing = _kept_away(daemon, node)
            if standing:
                lacks.kept_away.append(f"{one} ({', '.join(taints.text(taint) for taint in standing)})")
            else:
                lacks.missing.append(one)
    return lacks


def _kept_away(daemon: Object, node: Object) -> list[Taint]:
    # Its controller lets the pods of every DaemonSet tolerate the conditions of a node, and a cordon.
    standing = [one for one in node_.taints(node) if not (taints.is_condition(one) or taints.is_drain(one))]
    return taints.keeping_away(pod_.mapping(pod_.mapping(daemon.get("spec")).get("template")), standing)


def _read(api: Api, daemon: str) -> list[Object]:
    namespace, _, name = daemon.partition("/")
    path = f"/apis/apps/v1/namespaces/{quote(namespace, safe='')}/daemonsets"
    return list(api.list(path, fields=f"metadata.name={name}"))


def _well(pod: Object) -> bool:
    return pod_.is_ready(pod) and not pod_.is_terminating(pod)
