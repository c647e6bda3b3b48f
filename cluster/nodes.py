"""Reading and changing Node objects. Every change is a compare-and-swap, and fenced by the epoch of the lock."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cluster import ownership
from cluster.api import Api, Object
from cluster.api_errors import Conflict
from cluster.errors import Blocked, Failed, LockLost
from cluster.lock import Lock

NODES = "/api/v1/nodes"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
# The kubelet writes the same object every few seconds; a handful of conflicts in a row is normal.
_ATTEMPTS = 30


def get(api: Api, name: str) -> Object:
    """The Node.

    Raises:
        Blocked: there is no such node.
    """
    found = find(api, name)
    if found is None:
        raise Blocked("unknown-node", f"There is no node {name} in this cluster", "See 'kubectl get nodes'.")
    return found


def find(api: Api, name: str) -> Object | None:
    """The Node; None: there is none of that name."""
    return api.get(f"{NODES}/{name}")


def every(api: Api) -> Iterator[Object]:
    """All Nodes, a page in memory at a time."""
    return api.iterate(NODES)


def delete(api: Api, name: str, lock: Lock, uid: str) -> None:
    """Delete the Node of this uid, fenced as an update is; nothing if it is gone, or another one came.

    Raises:
        LockLost: the lock was lost or taken over.
    """
    for _ in range(_ATTEMPTS):
        node = find(api, name)
        if node is None or node["metadata"]["uid"] != uid or node["metadata"].get("deletionTimestamp"):
            return
        mark = ownership.read(node)
        if mark is not None and mark.epoch > lock.epoch:
            raise _overtaken(name, mark.epoch)
        lock.check()
        try:
            api.delete(f"{NODES}/{name}", uid=uid, version=node["metadata"]["resourceVersion"])
            return
        except Conflict:
            continue
    raise _contended(name)


def update(
    api: Api,
    name: str,
    lock: Lock,
    change: Callable[[Object], Object],
    epoch_of: Callable[[Object], int] | None = None,
) -> Object:
    """Change a Node by a pure function, and return it as it is now.

    The Node is read, changed and written back with the resource version that was read; the annotation
    ``runai-downtime/owns`` must not carry a newer epoch than the lock's. So a process that was overtaken while it
    stood still changes nothing: its write meets either the newer epoch or a newer resource version.

    Args:
        epoch_of: of a Node that is not the lock's own: where it carries the epoch of that lock.

    Raises:
        LockLost: the lock was lost or taken over.
        Blocked: the node is gone.
    """
    for _ in range(_ATTEMPTS):
        node = get(api, name)
        epoch = (epoch_of or _epoch_of_mark)(node)
        if epoch > lock.epoch:
            raise _overtaken(name, epoch)
        new = change(node)
        if new == node:
            return node
        lock.check()
        try:
            return api.replace(f"{NODES}/{name}", new)
        except Conflict:
            continue
    raise _contended(name)


def _epoch_of_mark(node: Object) -> int:
    mark = ownership.read(node)
    return mark.epoch if mark is not None else 0


def _overtaken(name: str, epoch: int) -> LockLost:
    return LockLost(
        "lock-lost",
        f"Another process took over the downtime of {name} (epoch {epoch}); nothing more is changed",
        f"'downtime status {name}' shows who goes on and how far.",
    )


def _contended(name: str) -> Failed:
    return Failed(
        "contended",
        f"Node {name} is being written by others all the time",
        "Find out who writes to it, then run the same command again.",
    )
