"""The plan of a control-plane node's rejoin: what forbids it, and what it has beyond that of a worker."""

from __future__ import annotations

from typing import Any

import pytest

from cluster import control_plane, procedures, rejoin
from cluster.etcd_members import EtcdView
from cluster.joining import ControlPlaneJoining
from cluster.joining_control_plane import advertised
from cluster.observation import Observation
from cluster.options import RejoinOptions
from cluster.plan import Plan
from cluster.record import Change, Record
from cluster.restoration import to_restore
from tests.unit import planning_cases
from tests.unit.etcd_cases import member, view
from tests.unit.planning_cases import NOW
from tests.unit.rejoin_cases import (
    FORMER,
    KEPT,
    MACHINE,
    OTHER_CA,
    OTHER_MACHINE,
    UNKNOWN,
    joining,
    membership,
    observation,
)
from tests.unit.rejoin_cases import member as member_of_the_cluster

LABELS = {"node-role.kubernetes.io/control-plane": ""}
TAINT = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
FOUND = FORMER.found.model_copy(update={"labels": LABELS, "taints": (TAINT,)})
WAS_MASTER = FORMER.model_copy(update={"found": FOUND, "kept": KEPT.model_copy(update={"labels": {}})})
FILES = ("/etc/kubernetes/admin.conf", "/var/lib/etcd/member")


def facts(**more: Any) -> ControlPlaneJoining:
    """A cluster that a control-plane node may join."""
    given: dict[str, Any] = {"etcd": view(member(1), member(2)), "configured": True, "endpoint": "cp:6443"}
    return ControlPlaneJoining(**{**given, **more})


def seen(found: ControlPlaneJoining | None = None, machine: Any = None, **more: Any) -> Observation:
    given = {"former": WAS_MASTER, "as_control_plane": found if found is not None else facts(), **more}
    return observation(joining(machine, **given))


def made(what: Observation, record: Record | None = None, **options: Any) -> Plan:
    return rejoin.plan(what, RejoinOptions(**options), record)


def codes(plan: Plan) -> list[str]:
    return [one.code for one in plan.blockers]


def under_way(*changes: Change) -> Record:
    record = planning_cases.record(procedure="rejoin", found=FOUND, kept=WAS_MASTER.kept, gate=None)
    return record.model_copy(update={"options": RejoinOptions().model_dump(mode="json"), "changes": changes})


def test_it_joins_as_what_it_was_and_sees_its_member_with_a_vote() -> None:
    plan = made(seen())
    assert plan.feasible
    assert plan.kind == "control-plane"
    assert [one.name for one in plan.steps] == list(rejoin.STEPS)
    assert procedures.steps_of(under_way()) == rejoin.STEPS
    join = next(one for one in plan.steps if one.name == "join")
    assert "make and delete the Secret kube-system/kubeadm-certs" in join.changes


def test_a_role_makes_a_worker_of_it_and_a_control_plane_node_of_a_new_machine() -> None:
    worker = made(seen(), role="gpu-worker")
    assert worker.feasible
    assert (worker.kind, "see-member" in [one.name for one in worker.steps]) == ("gpu-worker", False)
    new = seen(former=UNKNOWN)
    assert codes(made(new, role="control-plane")) == ["unconfirmed-machine"]
    assert made(new, role="control-plane", confirmed="gpu-1").kind == "control-plane"


def test_machine_with_the_files_of_a_control_plane_host_is_known_by_its_machine_id_alone() -> None:
    left = {"control_plane": FILES, "traces": ("/etc/kubernetes/kubelet.conf",), "node_name": "gpu-1"}
    assert made(seen(machine=member_of_the_cluster(**left))).feasible
    assert "control-plane-host" in codes(made(seen(machine=member_of_the_cluster(**left), former=FORMER)))
    other = member_of_the_cluster(**left, machine_id=OTHER_MACHINE)
    assert codes(made(seen(machine=other), confirmed="gpu-1")) == ["control-plane-host"]
    foreign = member_of_the_cluster(**left, authorities=(OTHER_CA,))
    assert codes(made(seen(machine=foreign))) == ["other-cluster"]
    unknown = membership(control_plane=FILES)
    assert codes(made(seen(machine=unknown, former=UNKNOWN), role="control-plane", confirmed="gpu-1")) == [
        "control-plane-host"
    ]


def test_machine_that_is_another_control_plane_node_is_left_alone() -> None:
    assert codes(made(seen(machine=membership(control_plane=FILES), others=("master-1",)))) == ["other-node"]


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (facts(etcd=view(member(1), member(2, healthy=False))), "etcd-member-unhealthy"),
        (facts(etcd=EtcdView(problems=("master-1: no answer",))), "etcd-not-observed"),
        (facts(endpoint=""), "no-control-plane-endpoint"),
        (facts(configured=False), "no-cluster-configuration"),
        (facts(uploaded=True), "certificates-uploaded"),
        (facts(external_etcd=True), "external-etcd"),
    ],
)
def test_blocked_before_anything_is_done(found: ControlPlaneJoining, code: str) -> None:
    assert codes(made(seen(found))) == [code]


def test_member_that_is_left_of_it_goes_first_and_is_not_counted_as_unhealthy() -> None:
    stale = member(3, healthy=False)
    plan = made(seen(facts(etcd=view(member(1), member(2), stale), member=stale)))
    assert plan.feasible
    clear = next(one for one in plan.steps if one.name == "clear-machine")
    assert "remove the member 3 (master-3) of etcd" in clear.changes


def test_member_that_is_left_of_it_stays_where_etcd_cannot_do_without() -> None:
    own = member(3)
    sick = member(2, healthy=False)
    assert "etcd-quorum" in codes(made(seen(facts(etcd=view(member(1), sick, own), member=own))))
    assert "etcd-quorum" in codes(made(seen(facts(etcd=view(member(1), sick, own), member=own)), role="gpu-worker"))


def test_its_own_upload_does_not_block_when_it_goes_on() -> None:
    own = Change(what="certificates", state="intended", at=NOW)
    assert made(seen(facts(uploaded=True)), under_way(own)).feasible
    over = own.model_copy(update={"state": "undone"})
    assert codes(made(seen(facts(uploaded=True)), under_way(over))) == ["certificates-uploaded"]


def test_the_taint_is_set_again_only_where_it_stood() -> None:
    node = {"metadata": {"name": "master-3", "labels": {}}, "spec": {}}
    marks = control_plane.marks("", LABELS, (TAINT,))
    again = to_restore(KEPT, "", {}, node, marks)
    assert again.labels == {**KEPT.labels, **LABELS}
    assert TAINT in again.taints
    untainted = to_restore(KEPT, "", {}, node, control_plane.marks("", LABELS, ()))
    assert (untainted.labels, TAINT in untainted.taints) == ({**KEPT.labels, **LABELS}, False)
    assert control_plane.marks("gpu-worker", LABELS, (TAINT,)) is None
    new = control_plane.marks("control-plane", {}, ())
    assert new is not None
    assert new.taints == (TAINT,)
    as_joined = {"metadata": {"name": "master-3", "labels": {**LABELS, **KEPT.labels}}, "spec": {"taints": [TAINT]}}
    assert not to_restore(KEPT.model_copy(update={"annotations": {}, "taints": ()}), "", {}, as_joined, marks)


def test_it_serves_at_the_address_that_it_had_if_it_still_has_it() -> None:
    assert advertised(member(3), membership(addresses=("192.168.0.3", "10.0.0.3"))) == "10.0.0.3"
    assert advertised(member(3), membership(addresses=("10.9.9.9",))) == ""
    assert advertised(None, membership(addresses=("10.9.9.9",))) == ""


def test_machine_id_of_the_record_is_what_the_cases_mean() -> None:
    assert WAS_MASTER.machine_id == MACHINE
