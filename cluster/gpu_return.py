"""What would keep a node's GPUs from coming back after a drain: a taint that the device plugin does not tolerate. Pure.

A NoSchedule taint leaves a device plugin that runs where it is. The drain evicts it, and then its DaemonSet makes no
new pod while the other taint stands: the GPUs would be waited for in vain.
"""

from __future__ import annotations

from collections.abc import Iterable

from cluster import names, taints
from cluster import node as node_
from cluster import pods as pod_
from cluster.node import Object, Taint
from cluster.plan import Finding

# A device plugin registers through this folder, whoever made it:
# https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/device-plugins/#device-plugin-implementation
_PLUGIN_FOLDER = "/var/lib/kubelet/device-plugins"


def hindered(node: Object, pods: Iterable[Object]) -> Finding | None:
    """A warning, if there is such a taint; None: there is none, or no GPU, or no device plugin on the node.

    Args:
        pods: those on the node.
    """
    if not any(node_.gpus(node).values()):
        return None
    standing = [one for one in node_.taints(node) if not _is_lifted(one)]
    plugins = [pod for pod in pods if pod_.is_daemon(pod) and pod_.must_go(pod) and is_plugin(pod)]
    for pod in plugins:
        kept_away = taints.keeping_away(pod, standing)
        if kept_away:
            return _finding(pod_.name(node), pod, kept_away)
    return None


def _finding(name: str, plugin: Object, kept_away: list[Taint]) -> Finding:
    daemon = f"{pod_.namespace(plugin)}/{pod_.controller(plugin).get('name', '')}"
    many = "s" if len(kept_away) > 1 else ""
    first = kept_away[0]
    return Finding(
        code="gpus-cannot-return",
        message=f"{name} carries the taint{many} {', '.join(taints.text(one) for one in kept_away)}, which its device "
        f"plugin {daemon} does not tolerate: once the drain has evicted that, the GPUs cannot come back while the "
        f"taint{many} stand{'' if many else 's'}",
        remedy=f"Take it off ('kubectl taint nodes {name} {first.get('key', '')}:{first.get('effect', '')}-') before "
        "the GPUs are waited for, or let the DaemonSet tolerate it.",
    )


def _is_lifted(taint: Taint) -> bool:
    """Whether the way back waits for nothing while it stands, or takes it off itself."""
    drain: Taint = {"key": names.DRAIN_KEY, "effect": names.DRAIN_EFFECT}
    return taints.same(taint, drain) or taints.is_own(taint) or taints.is_condition(taint)


def is_plugin(pod: Object) -> bool:
    """Whether it registers devices with the kubelet."""
    volumes = pod_.objects(pod_.mapping(pod.get("spec")).get("volumes"))
    paths = [str(pod_.mapping(one.get("hostPath")).get("path", "")) for one in volumes]
    return any(path.rstrip("/") == _PLUGIN_FOLDER for path in paths)
