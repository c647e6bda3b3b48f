"""The pure parts of the steps of an unplanned recovery."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from cluster import (
    consent,
    dead_kubelet,
    eviction,
    held,
    node_services,
    outage,
    ownership,
    power_reset,
    proven_off,
    verified_return,
)
from cluster import node as node_
from cluster.config import ChecksSettings
from cluster.errors import Failed
from cluster.gpu_checks import Check
from cluster.options import UnplannedOptions
from cluster.record import Approval, Found, StepState
from tests.unit.outage_cases import recovery
from tests.unit.planning_cases import NOW, RECORD_ID, node
from tests.unit.pod_objects import pod


def said(answer: str, minutes_ago: float, subject: str = "power-off") -> Approval:
    return Approval.model_validate(
        {
            "subject": subject,
            "digest": consent.digest_of(["gpu-1"]),
            "items": ("gpu-1",),
            "answer": answer,
            "who": "ada",
            "at": NOW - timedelta(minutes=minutes_ago),
        }
    )


def test_a_persons_word_holds_for_fifteen_minutes() -> None:
    assert proven_off.words_of(recovery(approvals=(said("off", 14.9),)), NOW) is not None
    assert proven_off.words_of(recovery(approvals=(said("off", 15.1),)), NOW) is None
    assert proven_off.words_of(recovery(approvals=(said("off", -2),)), NOW) is None


def test_a_word_about_another_machine_or_of_nobody_proves_nothing() -> None:
    word = said("off", 1)
    for other in (word.model_copy(update={"items": ("gpu-2",)}), word.model_copy(update={"who": " "})):
        assert proven_off.words_of(recovery(approvals=(other,)), NOW) is None


def test_a_persons_word_is_void_once_the_machine_was_seen_on() -> None:
    assert proven_off.words_of(recovery(approvals=(said("off", 5), said("on", 2))), NOW) is None
    assert proven_off.words_of(recovery(approvals=(said("on", 5), said("off", 2))), NOW) is not None


def test_resets_of_earlier_recoveries_count_for_an_hour() -> None:
    now = recovery(resets=(NOW - timedelta(minutes=5),))
    earlier = recovery(resets=(NOW - timedelta(minutes=50), NOW - timedelta(minutes=61)))
    assert power_reset.left(now, (earlier,), 3, NOW) == 1
    assert power_reset.left(now, (earlier,), 2, NOW) == 0
    assert power_reset.left(now, (earlier,), 0, NOW) == 0
    assert power_reset.left(now, (), 3, NOW + timedelta(hours=2)) == 3


def test_the_newest_decision_about_a_dead_kubelet_counts() -> None:
    options = UnplannedOptions(dead_kubelet="restart")
    assert dead_kubelet.choice(recovery(), options) == "restart"
    decided = recovery(approvals=(said("leave", 9, "dead-kubelet"), said("shut-down", 3, "dead-kubelet")))
    assert dead_kubelet.choice(decided, options) == "shut-down"


def test_the_out_of_service_taint_is_owned_and_a_foreign_one_is_not() -> None:
    put = ownership.put_out_of_service(node(ready=False, tainted=True), RECORD_ID, 2)
    assert node_.out_of_service(put)
    assert node_.drained_by_taint(put)
    assert ownership.owns(put, RECORD_ID, "out-of-service")
    assert not ownership.owns(put, "another", "out-of-service")
    assert ownership.put_in_service(put, "another", 3) == put
    back = ownership.put_in_service(put, RECORD_ID, 2)
    assert not node_.out_of_service(back)
    assert node_.drained_by_taint(back)

    foreign = node()
    foreign["spec"]["taints"] = [{"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}]
    assert ownership.put_out_of_service(foreign, RECORD_ID, 2) == foreign
    assert ownership.put_in_service(foreign, RECORD_ID, 2) == foreign


def test_a_node_with_our_out_of_service_taint_keeps_its_mark() -> None:
    put = ownership.put_out_of_service(node(), RECORD_ID, 2)
    assert ownership.unmarked(put, RECORD_ID) == put


def test_what_is_held_is_named() -> None:
    holds = held.of([pod("web", namespace="runai-team-a")], ["csi-1"])
    assert holds
    assert str(holds) == "1 pods: runai-team-a/web: was not deleted yet, 1 volumes: csi-1"
    assert not held.of([], [])


def test_what_a_node_that_came_back_lacks_is_named_with_its_check_and_how_that_is_switched_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else a node whose label says pending for ever can never be given back."""
    found = node()
    found["metadata"]["labels"] = {"nvidia.com/mig.config": "all-1g.5gb", "nvidia.com/mig.config.state": "pending"}
    found["status"]["allocatable"] = {"nvidia.com/gpu": "8"}
    monkeypatch.setattr(node_services, "sees_renewals", lambda *_: True)
    monkeypatch.setattr(eviction, "of_node", lambda _: [])
    recorded = Found(gpus={"nvidia.com/gpu": 8}, labels={"nvidia.com/mig.config.state": "success"})
    settings = SimpleNamespace(checks=ChecksSettings(), drain=SimpleNamespace(gpu_minutes=0.0))
    downtime: Any = SimpleNamespace(
        node="gpu-1", settings=settings, record=SimpleNamespace(found=recorded), see_node=lambda: found
    )
    with pytest.raises(Failed) as error:
        node_services.SEE_SERVICES.verify(downtime)
    assert "[mig]" in error.value.message
    assert "can be switched off: mig = false under [checks]" in error.value.remedy

    found["metadata"]["labels"] = {}
    failed = [Check("host", "failed", "it cannot be looked at"), Check("xid", "failed", "Xid 79")]
    monkeypatch.setattr(verified_return, "of_returned_host", lambda _: failed)
    with pytest.raises(Failed) as error:
        node_services.SEE_SERVICES.verify(downtime)
    assert "Xid 79 [xid]" in error.value.message
    assert 'host = "never", xid = false under [checks]' in error.value.remedy


def test_services_are_back_only_with_all_daemons_and_gpus() -> None:
    found = node()
    found["status"]["allocatable"] = {"nvidia.com/gpu": "7"}
    lacking = node_services.missing(found, [], ("runai/toolkit",), {"nvidia.com/gpu": 8})
    assert lacking == ["DaemonSet runai/toolkit has no Ready pod", "7 of 8 nvidia.com/gpu can be allocated"]
    found["status"]["allocatable"] = {"nvidia.com/gpu": "8"}
    assert node_services.missing(found, [], (), {"nvidia.com/gpu": 8}) == []
    assert node_services.missing(node(ready=False), [], (), {}) == ["the node is not Ready"]


def test_returns_are_counted_by_either_course() -> None:
    at = StepState(state="done", at=NOW)
    came = recovery(course="returned", steps={"judge-down": at}, phase="closed")
    long = recovery(course="down", steps={"judge-down": at, "see-back": at.model_copy(update={"at": NOW})})
    given_up = recovery(course="down", steps={"judge-down": at}, aborted=True)
    planned = recovery(procedure="planned", steps={"see-back": at})
    assert outage.returns_of([came, long, given_up, planned]) == (NOW, NOW)
