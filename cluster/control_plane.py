"""Whether a node is, was, or is to be a control-plane node of Kubernetes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cluster import node as node_
from cluster import taints
from cluster.belongings import ROLE
from cluster.restoration import Kept

ROLE_NAME = "control-plane"
"""What the role is called among the choices of a rejoin."""
LABEL = f"{ROLE}control-plane"


def labelled(labels: Mapping[str, str]) -> bool:
    """Whether these are the labels of a control-plane node."""
    return any(labels.get(f"{ROLE}{one}", "false") != "false" for one in node_.CONTROL_PLANE_ROLES)


def joins_as(role: str, former: Mapping[str, str]) -> bool:
    """Whether a machine is to join as a control-plane node: as chosen, else as the node that it was.

    Args:
        role: the role that was chosen; empty: none.
        former: the labels of the node that it was.
    """
    return role == ROLE_NAME or (not role and labelled(former))


def keeps_taint(former: Mapping[str, str], found: Iterable[Mapping[str, Any]]) -> bool:
    """Whether it is to have kubeadm's taint: not where the administrator had taken that off the node that it was.

    Args:
        former: the labels of the node that it was; of a new machine, or one that was none, it is to have it.
        found: the taints of the node that it was.
    """
    return not labelled(former) or any(taints.same(one, taints.CONTROL_PLANE) for one in map(dict, found))


def marks(role: str, former: Mapping[str, str], found: Iterable[Mapping[str, Any]]) -> Kept | None:
    """The label and taint of a control-plane node; None: it is to be a worker. Arguments as before."""
    if not joins_as(role, former):
        return None
    return Kept(labels={LABEL: ""}, taints=(dict(taints.CONTROL_PLANE),) if keeps_taint(former, found) else ())
