"""The plan of a rejoin: what it says, and what forbids it."""

from __future__ import annotations

from typing import Any

import pytest

from cluster import planners, procedures, rejoin
from cluster.errors import Blocked, Misused
from cluster.node import Object
from cluster.observation import Observation
from cluster.options import RejoinOptions
from cluster.plan import Plan
from cluster.record import Change, Record, StepState
from deployments.choices import Choices, ProcedureName, RoleChoice
from tests.unit import planning_cases
from tests.unit.planning_cases import NOW
from tests.unit.pod_objects import pod
from tests.unit.rejoin_cases import (
    FORMER,
    KEPT,
    MACHINE,
    OTHER_MACHINE,
    UNKNOWN,
    joining,
    member,
    membership,
    observation,
)

OF_A_WORKER = tuple(one for one in rejoin.STEPS if one not in rejoin.ONLY_CONTROL_PLANE)


def made(seen: Observation | None = None, record: Record | None = None, **options: Any) -> Plan:
    return rejoin.plan(seen if seen is not None else observation(), RejoinOptions(**options), record)


def codes(plan: Plan) -> list[str]:
    return [one.code for one in plan.blockers]


def not_ready(machine_id: str = MACHINE) -> Object:
    found = planning_cases.node(ready=False)
    found["status"]["nodeInfo"]["machineID"] = machine_id
    return found


def under_way(*done: str, **more: Any) -> Record:
    given: dict[str, Any] = {
        "procedure": "rejoin",
        "found": FORMER.found,
        "kept": KEPT,
        "gate": None,
    }
    record = planning_cases.record(done=done, **{**given, **more})
    return record.model_copy(update={"options": RejoinOptions().model_dump(mode="json")})


def test_every_option_of_a_rejoin_can_be_chosen_and_no_other() -> None:
    called = {"confirmed": "yes_rejoin"}
    assert {called.get(name, name) for name in RejoinOptions.model_fields} <= set(Choices.__dataclass_fields__)
    settings = planning_cases.settings()
    for chosen in (Choices(yes_remove="gpu-1"), Choices(adopt_taint=True)):
        with pytest.raises(Misused, match="is no option of 'rejoin'"):
            chosen.options(settings, ProcedureName.rejoin)
    with pytest.raises(Misused, match="--host is no option of 'planned'"):
        Choices(host="10.0.0.1").options(settings)
    chosen = Choices(host="10.0.0.1", role=RoleChoice.system, yes_rejoin="gpu-1")
    wanted = RejoinOptions(host="10.0.0.1", role="system", confirmed="gpu-1")
    assert chosen.options(settings, ProcedureName.rejoin) == wanted


def test_steps_are_the_planners_in_order_and_each_is_known() -> None:
    plan = made()
    assert plan.feasible
    assert tuple(one.name for one in plan.steps) == OF_A_WORKER
    assert tuple(procedures.table("rejoin")) == rejoin.STEPS == planners.step_names(RejoinOptions())


def test_what_it_gets_back_is_said_beforehand() -> None:
    restore = next(one for one in made().steps if one.name == "restore")
    assert set(restore.changes) == {
        "label node-role.kubernetes.io/runai-gpu-worker=true",
        "label rack=r7",
        "annotation contact",
        "taint dedicated=team-a:NoSchedule",
    }
    assert made().kind == "gpu-worker"


def test_a_role_replaces_the_run_ai_roles_and_nothing_else() -> None:
    restore = next(one for one in made(role="system").steps if one.name == "restore")
    assert "label node-role.kubernetes.io/runai-system=true" in restore.changes
    assert "label rack=r7" in restore.changes
    assert not any("runai-gpu-worker" in one for one in restore.changes)
    assert made(role="system").kind == "system"


def test_a_new_machine_needs_a_role_and_its_name_typed() -> None:
    new = observation(joining(former=UNKNOWN))
    assert codes(made(new)) == ["no-role", "unconfirmed-machine"]
    assert codes(made(new, role="gpu-worker", confirmed="gpu-1")) == []


def test_a_ready_node_of_the_name_is_not_joined_again() -> None:
    assert codes(made(observation(node=planning_cases.node()))) == ["node-ready"]


def test_a_node_that_is_not_ready_is_deleted_only_if_it_is_this_very_machine() -> None:
    plan = made(observation(joining(member()), node=not_ready()))
    assert plan.feasible
    clear = next(one for one in plan.steps if one.name == "clear-machine")
    assert clear.changes == ("reset the machine of gpu-1 (kubeadm reset)", "delete the Node gpu-1 (uid uid-gpu-1)")
    assert codes(made(observation(node=not_ready(OTHER_MACHINE)))) == ["node-still-there"]
    assert codes(made(observation(node=not_ready("")))) == ["node-still-there"]


def test_pods_that_nobody_told_to_end_are_not_ended_by_a_reset() -> None:
    working, ending = pod("notebook"), pod("notebook")
    ending["metadata"]["deletionTimestamp"] = "2026-11-24T09:00:00Z"
    alive = joining(member())
    assert codes(made(observation(alive, node=not_ready(), pods=(working,)))) == ["pods-on-node"]
    assert codes(made(observation(alive, node=not_ready(), pods=(ending,)))) == []
    assert codes(made(observation(node=not_ready(), pods=(working,)))) == [], "nothing runs on a machine that was reset"


def test_versions_that_do_not_fit_block_before_anything_is_done() -> None:
    for version in ("v1.35.0", "v1.30.9", "v2.0.0"):
        assert codes(made(observation(joining(membership(kubelet_version=version))))) == ["version-skew"]
    for version in ("v1.34.9", "v1.31.0"):
        assert codes(made(observation(joining(membership(kubelet_version=version))))) == []
    assert codes(made(observation(joining(membership(kubelet_version=""))))) == ["version-unknown"]
    assert codes(made(observation(joining(server_version="")))) == ["version-unknown"]
    assert codes(made(observation(joining(membership(kubeadm_version=""))))) == ["version-unknown"]
    assert codes(made(observation(joining(membership(kubeadm_version="v1.33.1"))))) == ["version-skew"]


def test_a_token_is_never_written_to_a_disk() -> None:
    assert codes(made(observation(joining(membership(run_in_memory=False))))) == ["run-on-disk"]


def test_nothing_blocks_any_more_once_it_has_joined() -> None:
    record = under_way("prove-machine", "clear-machine", "join")
    seen = observation(joining(member(node_name="gpu-2")), node=planning_cases.node())
    assert codes(made(seen, record)) == []
    assert [one.name for one in made(seen, record).steps] == list(OF_A_WORKER[3:])


def test_a_join_that_was_cut_in_the_middle_is_not_blocked_by_its_own_node() -> None:
    begun = under_way("prove-machine", "clear-machine")
    begun = begun.model_copy(update={"steps": {**begun.steps, "join": StepState(state="intended", at=NOW)}})
    assert codes(made(observation(joining(member()), node=not_ready()), begun)) == []
    assert codes(made(observation(joining(member()), node=planning_cases.node()), begun)) == []


def test_another_procedure_and_other_options_block() -> None:
    assert codes(made(record=planning_cases.record())) == ["in-downtime"]
    assert codes(made(record=under_way(), role="system")) == ["other-options"]


def test_a_rejoin_is_backed_out_of_only_before_its_machine_joins() -> None:
    before = under_way("prove-machine", changes=("machine-reset", "node-deleted"))
    procedures.require_abortable(before)
    assert procedures.steps_of(before.model_copy(update={"aborted": True})) == ("delete-token", "close")
    with pytest.raises(Blocked, match="has joined"):
        procedures.require_abortable(under_way("prove-machine", changes=("joined",)))


def test_what_was_to_last_does_not_count_as_left_behind_when_it_is_over() -> None:
    changes = tuple(Change(what=what, state="made", at=NOW) for what in ("joined", "machine-reset", "cordon"))
    assert under_way(changes=()).model_copy(update={"changes": changes}).standing() == (
        "joined",
        "machine-reset",
        "cordon",
    )
    closed = under_way(changes=()).model_copy(update={"changes": changes, "phase": "closed"})
    assert closed.standing() == ("cordon",)
