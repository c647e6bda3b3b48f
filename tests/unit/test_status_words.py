"""What a downtime waits for, and the commands that answer it, from its record alone."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cluster import record as records_of
from cluster import status
from cluster.options import UnplannedOptions
from cluster.outage_facts import ANSWERS
from cluster.record import Approval, Record
from tests.unit.outage_cases import recovery

CONFIRM = "downtime decide gpu-1 --confirm-off gpu-1"


def _waiting(proof: str = "") -> Record:
    done = ("judge-down", "see-machine", "cordon", "taint")
    return records_of.step_is(recovery(UnplannedOptions(), done=done), "prove-off", "asked", proof)


def _decided(answer: str, record: Record, later: float) -> Record:
    at = record.steps["prove-off"].at + timedelta(seconds=later)
    given = Approval(subject="dead-kubelet", digest="d", items=("gpu-1",), answer=answer, who="ada", at=at)
    return records_of.approved(record, given)


def test_of_a_dead_kubelet_the_offers_are_named() -> None:
    found = _waiting(ANSWERS)
    waits = status.waits_for(found, "prove-off")
    for offer in ("answers over SSH", "its kubelet can be restarted", "the machine shut down, over SSH"):
        assert offer in waits
    go_on = status._go_on(found, "prove-off")
    assert go_on.startswith("downtime decide gpu-1 --dead-kubelet restart|shut-down")
    assert CONFIRM in go_on


def test_of_a_silent_machine_only_proof_is_asked_for() -> None:
    assert status.waits_for(_waiting(), "prove-off").startswith("proof that the machine is off")
    assert status._go_on(_waiting(), "prove-off") == CONFIRM


@pytest.mark.parametrize(
    ("answer", "later", "waits"),
    [("restart", 1, False), ("shut-down", 1, False), ("leave", 1, True), ("restart", -1, True)],
)
def test_once_somebody_decided_since_it_goes_on_by_resuming(answer: str, later: float, waits: bool) -> None:
    found = _decided(answer, _waiting(ANSWERS), later)
    assert bool(status.waits_for(found, "prove-off")) is waits
    assert (status._go_on(found, "prove-off") == "downtime resume gpu-1") is not waits
