"""Whether the drain takes a pod away, and when: by the rules of the taint eviction controller."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster import drain_deadline
from cluster import pods as pod_
from cluster.node import Object
from tests.unit.pod_objects import DRAIN_FOR_EVER, owner, pod


def _with(*tolerations: Object) -> Object:
    return pod(tolerations=list(tolerations))


@pytest.mark.parametrize(
    "toleration",
    [
        DRAIN_FOR_EVER,
        {"key": "runai", "value": "drain"},
        {"key": "runai", "operator": "Exists"},
        {"operator": "Exists"},
        {"operator": "Exists", "effect": "NoExecute"},
        {"key": "", "operator": "Exists", "effect": ""},
    ],
)
def test_a_pod_that_tolerates_the_drain_for_ever_need_not_go(toleration: Object) -> None:
    assert pod_.tolerates_for_ever(_with(toleration))
    assert not pod_.must_go(_with(toleration))


@pytest.mark.parametrize(
    "toleration",
    [
        {"key": "runai", "value": "drain", "effect": "NoSchedule"},
        {"operator": "Exists", "effect": "NoSchedule"},
        {"key": "runai", "value": "other", "effect": "NoExecute"},
        {"key": "runai", "operator": "Equal"},
        {"key": "nvidia.com/gpu", "operator": "Exists"},
        {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"},
        {"value": "drain"},
        {"key": "runai", "operator": "Gt", "value": "drain"},
        {},
    ],
)
def test_a_toleration_of_something_else_keeps_no_pod(toleration: Object) -> None:
    assert pod_.toleration_seconds(_with(toleration)) == 0
    assert pod_.must_go(_with(toleration))


def test_the_first_matching_toleration_decides_as_in_the_controller() -> None:
    short = {**DRAIN_FOR_EVER, "tolerationSeconds": 90}
    assert pod_.toleration_seconds(_with(short, DRAIN_FOR_EVER)) == 90
    assert pod_.toleration_seconds(_with(DRAIN_FOR_EVER, short)) is None
    assert pod_.toleration_seconds(_with({"key": "other", "operator": "Exists"}, short)) == 90


def test_a_negative_toleration_means_at_once() -> None:
    assert pod_.toleration_seconds(_with({**DRAIN_FOR_EVER, "tolerationSeconds": -5})) == 0


def test_a_mirror_pod_stays_and_a_finished_pod_must_go() -> None:
    assert not pod_.must_go(pod(annotations={"kubernetes.io/config.mirror": "x"}))
    assert pod_.must_go(pod(phase="Succeeded"))


def test_a_pod_of_a_daemon_set_must_go_unless_it_tolerates_the_drain() -> None:
    daemon = owner("DaemonSet", "device-plugin")
    assert pod_.is_daemon(pod(top=daemon))
    assert pod_.must_go(pod(top=daemon))
    assert not pod_.must_go(pod(top=daemon, tolerations=[{"operator": "Exists"}]))


def test_the_longest_wait_adds_toleration_and_grace_of_those_that_must_go() -> None:
    slow = pod("slow", terminationGracePeriodSeconds=300)
    late = pod("late", tolerations=[{**DRAIN_FOR_EVER, "tolerationSeconds": 600}])
    stays = pod("stays", tolerations=[DRAIN_FOR_EVER], terminationGracePeriodSeconds=9000)
    assert drain_deadline.longest([slow]) == 300
    assert drain_deadline.longest([slow, late, stays]) == 630
    assert drain_deadline.longest([stays]) == 0


def test_a_deletion_under_way_counts_with_its_own_grace_period() -> None:
    dying = pod(terminationGracePeriodSeconds=10)
    dying["metadata"].update(deletionTimestamp="2026-01-01T00:00:00Z", deletionGracePeriodSeconds=120)
    assert pod_.grace_seconds(dying) == 120


@pytest.mark.parametrize(
    ("resources", "annotations", "gpus"),
    [
        ({"requests": {"nvidia.com/gpu": "2"}, "limits": {"nvidia.com/gpu": "2"}}, {}, 2),
        ({"limits": {"nvidia.com/gpu": 1, "cpu": "4"}}, {}, 1),
        ({"limits": {"nvidia.com/mig-1g.5gb": "3"}}, {}, 3),
        ({}, {"gpu-fraction": "0.5"}, 0.5),
        ({}, {"gpu-fraction": "0.25", "gpu-fraction-num-devices": "2"}, 0.5),
        ({}, {"gpu-fraction": "half"}, 0),
        ({}, {"gpu-fraction": "nan"}, 0),
    ],
)
def test_gpus_are_counted_whole_sliced_and_shared(resources: Object, annotations: dict[str, str], gpus: float) -> None:
    assert pod_.gpus(pod(annotations=annotations, containers=[{"resources": resources}])) == gpus


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
TOLERATIONS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "key": st.sampled_from(["", "runai", "other"]),
            "operator": st.sampled_from(["", "Equal", "Exists", "Lt"]),
            "value": st.sampled_from(["", "drain", "x"]),
            "effect": st.sampled_from(["", "NoExecute", "NoSchedule"]),
            "tolerationSeconds": st.none() | st.integers(-10, 4000),
        },
    ),
    max_size=4,
)


@given(TOLERATIONS)
def test_whatever_the_tolerations_a_pod_goes_unless_one_lets_it_stay(tolerations: list[Object]) -> None:
    seconds = pod_.toleration_seconds(_with(*tolerations))
    matching = [one for one in tolerations if pod_.toleration_seconds(_with(one)) != 0 or one.get("tolerationSeconds")]
    assert seconds is None or seconds >= 0
    assert seconds == 0 or matching
    assert pod_.must_go(_with(*tolerations)) == (seconds is not None)


@given(st.fixed_dictionaries({}, optional={"metadata": JSON, "spec": JSON, "status": JSON}))
def test_no_pod_however_broken_raises(broken: dict[str, Any]) -> None:
    assert pod_.grace_seconds(broken) >= 0
    assert drain_deadline.longest([broken]) >= 0
    assert pod_.gpus(broken) >= 0
    assert pod_.is_ready(broken) in (True, False)
    assert pod_.controller(broken) is not None
    assert pod_.local_data(broken) is not None


@pytest.mark.parametrize(
    ("reason", "failing"),
    [("CrashLoopBackOff", True), ("ImagePullBackOff", True), ("ContainerCreating", False), ("", False)],
)
def test_what_keeps_failing_is_told_from_what_begins(reason: str, failing: bool) -> None:
    state = {"waiting": {"reason": reason}} if reason else {"running": {}}
    assert pod_.keeps_failing({"status": {"containerStatuses": [{"ready": False, "state": state}]}}) is failing
    assert not pod_.keeps_failing({})
