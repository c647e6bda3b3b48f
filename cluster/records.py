"""Records in the cluster: one ConfigMap a node in namespace ``runai-downtime``, written by compare-and-swap.

A writer names the epoch of its lock with every write. A record of another epoch means that somebody took the lock
over: the write is refused here, and the writer must stop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from cluster import names, record
from cluster.api import Api, Object
from cluster.api_errors import Conflict, NotFound
from cluster.errors import Blocked, Failed, LockLost
from cluster.record import Record

Mutation = Callable[[Record], Record]

_KEY = "record"
_STATE_LABEL = "runai-downtime/state"
_KIND_LABEL = "runai-downtime/kind"
_KEPT = 10
_MAPS = f"/api/v1/namespaces/{names.NAMESPACE}/configmaps"
# Conflicts come from other writers of the same map (a person's answer, a label set by hand): rare and short.
_ATTEMPTS = 20


class Records:
    """The records of a cluster."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def read(self, node: str) -> Record | None:
        """The newest record of a node, open or closed; None: it never had one.

        Raises:
            Blocked: the record is damaged or of a newer schema.
        """
        found = self._api.get(_path(node))
        return None if found is None else _parse(found)

    def open_of(self, node: str) -> Record | None:
        """The open record of a node; None: the node is not in downtime."""
        found = self.read(node)
        return found if found is not None and found.open else None

    def all_open(self) -> list[Record]:
        """Every node's open record."""
        selector = f"{_KIND_LABEL}=record,{_STATE_LABEL}=open"
        return [_parse(one) for one in self._api.iterate(_MAPS, labels=selector)]

    def all_open_readable(self) -> tuple[list[Record], dict[str, Blocked]]:
        """The same, as far as they can be read; and why the others can't be, by their nodes."""
        found: list[Record] = []
        damaged: dict[str, Blocked] = {}
        for one in self._api.iterate(_MAPS, labels=f"{_KIND_LABEL}=record,{_STATE_LABEL}=open"):
            try:
                found.append(_parse(one))
            except Blocked as error:
                damaged[str(one["metadata"]["name"]).removeprefix("node-")] = error
        return found, damaged

    def all_newest(self) -> list[Record]:
        """Every node's newest record, open or closed."""
        return [_parse(one) for one in self._api.iterate(_MAPS, labels=f"{_KIND_LABEL}=record")]

    def closed_of(self, node: str) -> list[Record]:
        """The kept closed records of a node, newest first."""
        kept = [_parse(one) for one in self._archived(node)]
        newest = self.read(node)
        if newest is not None and not newest.open:
            kept.append(newest)
        return sorted({one.id: one for one in kept}.values(), key=lambda one: one.opened, reverse=True)

    def open(self, new: Record, still_ours: Callable[[], None]) -> None:
        """Write a new record. The closed one in its place is archived first, so that no crash loses it.

        Args:
            still_ours: raises when the lock of the node is lost; asked before each try.

        Raises:
            Blocked: the node has an open record.
        """
        ensure_namespace(self._api)
        for _ in range(_ATTEMPTS):
            present = self._api.get(_path(new.node))
            still_ours()
            try:
                if present is None:
                    self._api.create(_MAPS, _document(new))
                    return
                old = _parse(present)
                if old.id == new.id:
                    return
                if old.open:
                    raise Blocked(
                        "in-downtime",
                        f"{new.node} is in downtime already ({old.procedure}, opened {old.opened:%Y-%m-%d %H:%M} UTC)",
                        f"'downtime status {new.node}' shows how far; 'downtime resume {new.node}' goes on.",
                    )
                self._archive(old)
                self._api.replace(_path(new.node), _document(new, present))
                return
            except Conflict:
                continue
        raise _contended(new.node)

    def update(self, node: str, epoch: int, mutate: Mutation) -> Record:
        """Apply a change to the open record, as the holder of ``epoch``.

        ``mutate`` may be called several times and must give the same result each time.

        Raises:
            LockLost: the record has a newer epoch: somebody else goes on from here.
        """
        for _ in range(_ATTEMPTS):
            present = self._api.get(_path(node))
            if present is None:
                raise Failed(
                    "record-gone",
                    f"The record of {node} was deleted while it was in use",
                    f"Look at the taints and the cordon of {node}: what this product set may still stand.",
                )
            old = _parse(present)
            if old.epoch > epoch:
                raise lost(node, old)
            new = mutate(old)
            if new == old:
                return old
            new = new.model_copy(update={"updated": datetime.now(UTC)})
            try:
                self._api.replace(_path(node), _document(new, present))
                return new
            except NotFound:
                continue
            except Conflict:
                continue
        raise _contended(node)

    def _archive(self, old: Record) -> None:
        name = f"closed-{old.id}"
        body = _map(name, old, state="closed", kind="closed")
        try:
            self._api.create(_MAPS, body)
        except Conflict:
            return  # archived by a try that was interrupted
        archived = sorted(self._archived(old.node), key=lambda one: one["metadata"]["creationTimestamp"])
        readable = (_readable(one) for one in archived)
        needed = needed_by_rejoin(one for one in readable if one is not None)
        spare = [one for one in archived if one["metadata"]["name"] != f"closed-{needed}"]
        for one in spare[: max(0, len(archived) + 1 - _KEPT)]:
            self._api.delete(f"{_MAPS}/{one['metadata']['name']}", uid=one["metadata"]["uid"])

    def _archived(self, node: str) -> list[Object]:
        selector = f"{_KIND_LABEL}=closed,{names.NODE_LABEL}={names.node_label(node)}"
        return self._api.list(_MAPS, labels=selector)


def needed_by_rejoin(closed: Iterable[Record]) -> str:
    """The id of the record that a rejoin still needs: of the last removal since the last rejoin; empty: none. Pure."""
    ended = sorted((one for one in closed if not one.aborted), key=lambda one: one.opened)
    needed = ""
    for one in ended:
        if one.procedure == "rejoin":
            needed = ""
        elif one.procedure == "remove":
            needed = one.id
    return needed


def ensure_namespace(api: Api) -> None:
    """Make the namespace ``runai-downtime`` when it is missing.

    Raises:
        Blocked: it is missing and these credentials may not create it.
    """
    path = f"/api/v1/namespaces/{names.NAMESPACE}"
    if api.get(path) is None:
        try:
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": names.NAMESPACE}}
            api.create("/api/v1/namespaces", body)
        except Conflict:
            return


def lost(node: str, newer: Record) -> LockLost:
    """The error of a holder that was overtaken."""
    return LockLost(
        "lock-lost",
        f"Another process took over the downtime of {node} (epoch {newer.epoch}); this one changes nothing more",
        f"'downtime status {node}' shows who goes on and how far.",
    )


def _path(node: str) -> str:
    return f"{_MAPS}/{names.object_name(node)}"


def _parse(found: Object) -> Record:
    name = found["metadata"]["name"]
    return record.from_json((found.get("data") or {}).get(_KEY, ""), f"ConfigMap {names.NAMESPACE}/{name}")


def _readable(found: Object) -> Record | None:
    # A damaged record of the past is no reason to stop: it is kept or dropped by its age, like any other.
    try:
        return _parse(found)
    except Blocked:
        return None


def _document(new: Record, present: Object | None = None) -> Object:
    body = _map(names.object_name(new.node), new, state="open" if new.open else "closed", kind="record")
    if present is not None:
        body["metadata"]["resourceVersion"] = present["metadata"]["resourceVersion"]
    return body


def _map(name: str, content: Record, *, state: str, kind: str) -> Object:
    labels = {names.NODE_LABEL: names.node_label(content.node), _STATE_LABEL: state, _KIND_LABEL: kind}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": names.NAMESPACE, "labels": labels},
        "data": {_KEY: record.to_json(content)},
    }


def _contended(node: str) -> Failed:
    return Failed(
        "contended",
        f"The record of {node} is being written by others all the time",
        "Find out who writes to namespace runai-downtime, then run the same command again.",
    )
