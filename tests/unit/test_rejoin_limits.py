"""Which downtimes are those of control-plane nodes: of which only one is allowed at a time."""

from __future__ import annotations

from cluster.options import RejoinOptions
from cluster.record import Found
from cluster.rejoin_limits import concerns_control_plane
from tests.unit import planning_cases as cases

MASTER = Found(labels={"node-role.kubernetes.io/control-plane": ""})


def test_downtime_of_a_control_plane_node_is_told_by_what_was_found_and_by_its_role() -> None:
    assert concerns_control_plane(cases.record(found=MASTER))
    assert not concerns_control_plane(cases.record())

    def joins(found: Found, **options: object) -> bool:
        chosen = RejoinOptions.model_validate(options).model_dump(mode="json")
        return concerns_control_plane(
            cases.record(procedure="rejoin", found=found).model_copy(update={"options": chosen})
        )

    assert joins(Found(), role="control-plane")
    assert joins(MASTER)
    assert not joins(MASTER, role="gpu-worker")
    assert not joins(Found(), role="system")
