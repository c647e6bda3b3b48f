"""What a machine gets back comes from the newest of what tells it: a removal, the Node, an earlier downtime."""

from __future__ import annotations

from typing import Any

from cluster import formerly
from cluster.record import Found, Record
from cluster.restoration import Kept
from tests.unit import planning_cases
from tests.unit.rejoin_cases import KEPT, MACHINE

FOUND = Found(machine_id=MACHINE, labels={"rack": "r1", "kubernetes.io/hostname": "x"}, gpus={"nvidia.com/gpu": 8})


def closed(procedure: str, kept: Kept | None = None, found: Found = FOUND) -> Record:
    given: dict[str, Any] = {"procedure": procedure, "kept": kept, "found": found, "options": {}, "phase": "closed"}
    return planning_cases.record().model_copy(update=given)


def test_a_removal_keeps_what_comes_back() -> None:
    former = formerly.of(None, [closed("remove", KEPT)])
    assert (former.kept, former.machine_id, former.source) == (KEPT, MACHINE, "the record of its remove")


def test_a_node_that_a_living_kubelet_made_anew_does_not_hide_what_the_removal_kept() -> None:
    assert formerly.of(planning_cases.node(), [closed("remove", KEPT)]).kept == KEPT


def test_a_node_that_is_there_tells_more_than_an_older_downtime() -> None:
    former = formerly.of(planning_cases.node(), [closed("planned")])
    assert former.source == "its Node"
    assert former.kept is not None
    assert former.kept.labels == {"node-role.kubernetes.io/runai-gpu-worker": "true"}


def test_a_node_that_was_deleted_by_hand_is_known_from_an_earlier_downtime_without_what_is_not_ours_to_copy() -> None:
    former = formerly.of(None, [closed("planned")])
    assert former.kept == Kept(labels={"rack": "r1"})
    assert former.found.gpus == {"nvidia.com/gpu": 8}
    assert "earlier downtime" in former.source


def test_a_machine_that_nobody_knows_is_new() -> None:
    for records in ([], [closed("planned", found=Found())]):
        former = formerly.of(None, records)
        assert not former.known
        assert former.machine_id == ""
