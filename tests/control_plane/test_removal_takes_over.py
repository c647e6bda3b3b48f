"""A removal takes over an open planned or unplanned downtime; what was found and changed then is kept."""

from __future__ import annotations

import pytest

from cluster import api as apis
from cluster import planning, procedures
from cluster.config import Settings
from cluster.downtime import Start, enter
from cluster.errors import Blocked
from cluster.options import PlannedOptions
from cluster.record import Record
from cluster.records import Records
from cluster.step import perform
from lab.api import Api
from lab.layout import Lab
from tests.control_plane.conftest import MakeNode
from tests.control_plane.removing import WHO, fault, options_of, remove, resume, settings_of, there

# Minutes of it: what must always hold of this procedure is in its other tests.
pytestmark = pytest.mark.long

PLANNED = PlannedOptions(reason="new fan", interactive="evict")


def _in_maintenance(settings: Settings, node: str, *steps: str) -> Record:
    api = apis.connect(settings.cluster)
    _, plan = planning.plan(api, settings, node, PLANNED)
    with enter(api, settings, Start("planned", node, PLANNED, plan.recovery, WHO)) as downtime:
        for name in steps:
            perform(downtime, procedures.table("planned")[name])
        return downtime.record


@pytest.mark.parametrize(
    "steps",
    [
        ("recovery-gate", "cordon"),
        ("recovery-gate", "cordon", "approve-workloads", "taint", "see-gone"),
        ("recovery-gate", "cordon", "approve-workloads", "taint", "see-gone", "shut-down", "see-off"),
    ],
)
def test_removal_goes_on_from_planned_maintenance(
    lab: Lab, lab_api: Api, make_node: MakeNode, steps: tuple[str, ...]
) -> None:
    node, settings = make_node().node, settings_of(lab)
    before = _in_maintenance(settings, node, *steps)
    after = remove(settings, node)
    assert (after.id, after.found.boot_id, after.found.labels) == (before.id, before.found.boot_id, before.found.labels)
    assert (after.procedure, after.phase) == ("remove", "closed")
    assert not there(lab_api, node)
    assert Records(apis.connect(settings.cluster)).open_of(node) is None


def test_nothing_takes_over_a_removal(lab: Lab, lab_api: Api, make_node: MakeNode) -> None:
    node, settings = make_node().node, settings_of(lab)
    fault(lab, node, "reset-fails")
    with pytest.raises(Exception, match="kubeadm"):
        remove(settings, node)
    with pytest.raises(Blocked) as raised:
        _in_maintenance(settings, node)
    assert raised.value.code == "in-downtime"
    assert there(lab_api, node)


def test_backing_out_of_a_removal_undoes_what_the_maintenance_had_set(
    lab: Lab, lab_api: Api, make_node: MakeNode
) -> None:
    node, settings = make_node().node, settings_of(lab)
    _in_maintenance(settings, node, "recovery-gate", "cordon", "approve-workloads", "taint")
    api, options = apis.connect(settings.cluster), options_of(node)
    _, plan = planning.plan(api, settings, node, options)
    assert "taken-over" in {one.code for one in plan.warnings}
    with enter(api, settings, Start("remove", node, options, plan.recovery, WHO)) as downtime:
        assert downtime.record.procedure == "remove"
    assert resume(settings, node, abort=True).aborted
    spec = lab_api.get(f"/api/v1/nodes/{node}")["spec"]
    assert not spec.get("unschedulable")
    assert not [one for one in spec.get("taints") or () if one["key"] == "runai"]
