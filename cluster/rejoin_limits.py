"""One control-plane node joins at a time, and none while another one is down by decision: asked in the admission.

etcd takes one member without a vote at a time, and certificates are uploaded for one join. Nothing speaks against the
way back of any other node.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from cluster import control_plane, nodes
from cluster import node as node_
from cluster.admission import Judge, Others
from cluster.api import Api
from cluster.options import RejoinOptions
from cluster.plan import Finding
from cluster.record import Record
from cluster.records import Records


def judge_of(api: Api, node: str, options: RejoinOptions, found_labels: Mapping[str, str]) -> Judge:
    """What speaks against this node's rejoin, given the other nodes that are down.

    Args:
        found_labels: of the node that the machine was.
    """

    def judge(others: Others) -> list[Finding]:
        if not control_plane.joins_as(options.role, found_labels):
            return []
        return objections(api, node, others.down)

    return judge


def objections(api: Api, node: str, others: Collection[str]) -> list[Finding]:
    """What speaks against a control-plane node leaving or joining, in that these others are in downtime."""
    return [_objection(node, other) for other in sorted(others) if _is_master(api, other)]


def concerns_control_plane(record: Record) -> bool:
    """Whether the node of this record is, or is to be, a control-plane node. Pure."""
    role = str(record.options.get("role") or "") if record.procedure == "rejoin" else ""
    return control_plane.joins_as(role, record.found.labels)


def _is_master(api: Api, name: str) -> bool:
    record = Records(api).open_of(name)
    if record is not None:
        return concerns_control_plane(record)
    found = nodes.find(api, name)
    # One that is just being admitted, and is no node yet, joins as nobody knows what.
    return found is None or node_.kind(found) == "control-plane"


def _objection(node: str, other: str) -> Finding:
    return Finding(
        code="control-plane-one-at-a-time",
        message=f"Only one control-plane node may be down, leave or join at a time, and {other} is in downtime: {node} "
        "was left as it is",
        remedy=f"Wait until that is over ('downtime status {other}'), then run this again.",
    )
