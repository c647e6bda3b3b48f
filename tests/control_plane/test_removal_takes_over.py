"""A removal takes over an open planned or unplanned downtime; what was found and changed then is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster import api as apis
from cluster import planning, procedures
from cluster.config import Settings
from cluster.downtime import Start, enter
from cluster.errors import Blocked, Waiting
from cluster.options import PlannedOptions
from cluster.record import Record
from cluster.records import Records
from cluster.step import perform
from lab.api import Api
from lab.layout import Lab
from lab.patience import until
from tests.control_plane import recovering
from tests.control_plane.conftest import MakeNode, MakeObject
from tests.control_plane.recovering import OUT, confirm_off, fail, hold_fast, is_there, notebook, taints
from tests.control_plane.removing import (
    WHO,
    fault,
    options_of,
    remove,
    resume,
    settings_of,
    there,
    without_power,
)
from tests.control_plane.test_out_of_service import kill_while_it_stands

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


@pytest.mark.timeout(240)
def test_removal_goes_on_from_an_unplanned_recovery_that_waits_and_needs_proof_of_its_own(
    lab: Lab, lab_api: Api, make_node: MakeNode, make_object: MakeObject
) -> None:
    host = make_node()
    stuck = notebook(lab_api, make_object, host.node)
    fail(lab, lab_api, host)
    blind = recovering.settings_of(lab, power={"status": "none"})
    with pytest.raises(Waiting):
        recovering.run(blind, host.node, recovering.UNATTENDED.model_copy(update={"power_on": "person"}))
    before = recovering.record_of(blind, host.node)
    settings = without_power(lab)
    with pytest.raises(Waiting) as raised:
        remove(settings, host.node)
    assert raised.value.code == "waiting-for-power-off"
    assert there(lab_api, host.node)
    assert is_there(lab_api, stuck)
    taken = recovering.record_of(settings, host.node)
    assert (taken.id, taken.procedure, taken.found) == (before.id, "remove", before.found)
    confirm_off(settings, host.node, host.node)
    after = resume(settings, host.node)
    assert (after.id, after.phase, after.standing()) == (before.id, "closed", ())
    assert not there(lab_api, host.node)
    # Kubernetes itself waits for a while before it deletes pods whose Node is gone.
    until(lambda: not is_there(lab_api, stuck), seconds=150, what="the pod of the Node that is gone")


def test_out_of_service_taint_of_a_recovery_that_died_comes_off_when_a_removal_takes_over(
    lab: Lab, lab_api: Api, make_node: MakeNode, make_object: MakeObject, tmp_path: Path
) -> None:
    """Nobody watches the machine any more: what the taint was set with proves nothing now."""
    host = make_node()
    stuck = notebook(lab_api, make_object, host.node)
    hold_fast(lab_api, stuck)
    fail(lab, lab_api, host)
    try:
        kill_while_it_stands(lab, lab_api, host, tmp_path)
        assert OUT in taints(lab_api, host.node)
        settings = without_power(lab)
        with pytest.raises(Waiting) as raised:
            remove(settings, host.node)
        assert raised.value.code == "waiting-for-power-off"
        assert OUT not in taints(lab_api, host.node)
        record = recovering.record_of(settings, host.node)
        assert {one.what: one.state for one in record.changes}["out-of-service"] == "undone"
    finally:
        hold_fast(lab_api, stuck, held=False)
    confirm_off(settings, host.node, host.node)
    assert resume(settings, host.node).phase == "closed"
    assert not there(lab_api, host.node)
