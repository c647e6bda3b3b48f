"""What a machine that comes back gets back: the labels, annotations and taints of the Node that it was. Pure.

They are lost with the Node object. What is kept, and what never, is in :mod:`cluster.belongings`. Restoring only adds:
a label that is there already with another value was set by somebody after the join, and stays.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from cluster import belongings, taints
from cluster import node as node_
from cluster.errors import Misused
from cluster.node import Object, Taint

DEFAULT_ROLES: Mapping[str, Mapping[str, str]] = {
    "system": {f"{belongings.RUNAI_ROLE}system": "true"},
    "gpu-worker": {f"{belongings.RUNAI_ROLE}gpu-worker": "true"},
    "cpu-worker": {f"{belongings.RUNAI_ROLE}cpu-worker": "true"},
    "control-plane": {},  # kubeadm sets its labels
}
"""Labels by the name of a role, where the configuration gives none."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Kept(_Model):
    """What a rejoin needs of a Node."""

    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    taints: tuple[dict[str, str], ...] = ()


class Restored(_Model):
    """What is to be set on the Node that joined."""

    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    taints: tuple[dict[str, str], ...] = ()
    left: tuple[str, ...] = Field(default=(), description="Set by somebody after the join, and left as it is.")

    def __bool__(self) -> bool:
        return bool(self.labels or self.annotations or self.taints)

    def lines(self) -> tuple[str, ...]:
        """What is set, for people: annotations by their names alone, since their values may be long."""
        return (
            *(f"label {key}={value}" for key, value in sorted(self.labels.items())),
            *(f"annotation {key}" for key in sorted(self.annotations)),
            *(f"taint {taints.text(one)}" for one in self.taints),
        )


def to_keep(labels: Mapping[str, str], annotations: Mapping[str, str], found: Iterable[Mapping[str, Any]]) -> Kept:
    """What of a Node is the administrator's, and would be lost with it."""
    return Kept(
        labels={key: value for key, value in sorted(labels.items()) if belongings.is_administrators_label(key)},
        annotations={
            key: value for key, value in sorted(annotations.items()) if belongings.is_administrators_annotation(key)
        },
        taints=_each_once(one for one in map(_plain, found) if belongings.is_administrators_taint(one)),
    )


def to_restore(
    kept: Kept | None, role: str, roles: Mapping[str, Mapping[str, str]], node: Object, marks: Kept | None = None
) -> Restored:
    """What is still to be set on this Node.

    Args:
        kept: what was kept of the Node that the machine was; None: it is a new machine.
        role: the role that was asked for; empty: the one that it had. A role that is given replaces the Run:ai roles
            that it had, and nothing else.
        roles: labels by the name of a role, from the configuration (:data:`DEFAULT_ROLES` where it has none).
        node: the Node as it is now.
        marks: what kubeadm gives a control-plane node, which is none of the administrator's and must be there as well.

    Raises:
        Misused: ``unknown-role``; ``no-role``: a new machine, and no role; ``role-on-control-plane``.
    """
    # A record of another version may have kept more than this one would.
    old = to_keep(kept.labels, kept.annotations, kept.taints) if kept is not None else None
    labels = _labels(old, role, roles, node_.name(node))
    _require_no_system_role_on_control_plane(role, labels, node)
    labels = {**labels, **(marks.labels if marks is not None else {})}
    wanted = (*(old.taints if old is not None else ()), *(marks.taints if marks is not None else ()))
    annotations = dict(old.annotations) if old is not None else {}
    now_labels, now_annotations = _of(node, "labels"), _of(node, "annotations")
    return Restored(
        labels={key: value for key, value in labels.items() if key not in now_labels},
        annotations={key: value for key, value in annotations.items() if key not in now_annotations},
        taints=tuple(one for one in wanted if not any(taints.same(one, other) for other in node_.taints(node))),
        left=(
            *(f"label {key}" for key, value in labels.items() if _differs(key, value, now_labels)),
            *(f"annotation {key}" for key, value in annotations.items() if now_annotations.get(key, value) != value),
        ),
    )


def restored(node: Object, changes: Restored) -> Object:
    """The Node with these changes; the same object where there are none."""
    if not changes:
        return node
    changed = copy.deepcopy(node)
    metadata, spec = changed["metadata"], changed.setdefault("spec", {})
    # What is there wins: the changes may have been worked out from an older reading of the Node.
    metadata["labels"] = {**changes.labels, **_of(node, "labels")}
    metadata["annotations"] = {**changes.annotations, **_of(node, "annotations")}
    spec["taints"] = list(_each_once([*node_.taints(changed), *changes.taints]))
    return changed


def without_joining_taint(node: Object) -> Object:
    """The Node without the taint that it joined with; the same object where it does not stand."""
    found = node_.taints(node)
    kept = taints.without(found, taints.JOINING)
    if len(kept) == len(found):
        return node
    changed = copy.deepcopy(node)
    changed["spec"]["taints"] = kept
    return changed


def _labels(kept: Kept | None, role: str, roles: Mapping[str, Mapping[str, str]], node: str) -> dict[str, str]:
    known = roles or DEFAULT_ROLES
    listed = ", ".join(sorted(known))
    if role and role not in known:
        raise Misused("unknown-role", f"{role[:60]!r} is no role of a node", f"Choose one of: {listed}.")
    if not role and kept is None:
        raise Misused(
            "no-role",
            f"Nothing is recorded of {node}: what role it is to have is not known",
            f"Choose --role, one of: {listed}.",
        )
    old = dict(kept.labels) if kept is not None else {}
    if not role:
        return old
    others = {key: value for key, value in old.items() if not key.startswith(belongings.RUNAI_ROLE)}
    return {**others, **known[role]}


def _require_no_system_role_on_control_plane(role: str, labels: Mapping[str, str], node: Object) -> None:
    if role and f"{belongings.ROLE}{node_.SYSTEM_ROLE}" in labels and node_.kind(node) == "control-plane":
        raise Misused(
            "role-on-control-plane",
            f"{node_.name(node)} is a Kubernetes control-plane node, which must never be a Run:ai system node",
            "Choose another role, or none.",
        )


def _differs(key: str, value: str, now: Mapping[str, str]) -> bool:
    if key not in now:
        return False
    # For a role, the empty value and "true" mean the same.
    empty = {"", "true"} if key.startswith(belongings.ROLE) else set()
    return now[key] != value and not {now[key], value} <= empty


def _of(node: Object, what: str) -> dict[str, str]:
    return dict(node["metadata"].get(what) or {})


def _plain(taint: Mapping[str, Any]) -> Taint:
    """Without the time at which it was set."""
    return {key: str(taint[key]) for key in ("key", "value", "effect") if taint.get(key)}


def _each_once(found: Iterable[Taint]) -> tuple[Taint, ...]:
    kept: list[Taint] = []
    for one in found:
        if not any(taints.same(one, other) for other in kept):
            kept.append(one)
    return tuple(kept)
