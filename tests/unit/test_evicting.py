"""Who is asked for an eviction, when, and how often: all at once, and those that are refused later and later."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from cluster import evicting, unplanned
from cluster.api import Api
from cluster.errors import Blocked, LockLost
from cluster.evicting import Evictions
from cluster.node import Object
from tests.unit.evictions_server import Server, serving
from tests.unit.planning_cases import node
from tests.unit.pod_objects import DRAIN_FOR_EVER, owner, pod

JOB = owner("Job", "work")


class _Downtime(SimpleNamespace):
    """As much of a downtime as evictions need."""


@pytest.fixture
def session() -> Iterator[tuple[Server, Api]]:
    with serving() as made:
        yield made


@pytest.fixture
def server(session: tuple[Server, Api]) -> Server:
    return session[0]


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def downtime(session: tuple[Server, Api], told: list[str]) -> Any:
    return _Downtime(
        api=session[1], lock=SimpleNamespace(check=lambda: None), say=lambda step, text: told.append(f"{step}: {text}")
    )


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as made:
        yield made


def by_uid(*pods: Object) -> dict[str, Object]:
    return {one["metadata"]["uid"]: one for one in pods}


def evictions(downtime: Any, threads: ThreadPoolExecutor, *pods: Object, force: bool = False) -> Evictions:
    return Evictions(downtime, frozenset(by_uid(*pods)), threads, force=force)


def work(name: str, **more: Any) -> Object:
    return pod(name, top=JOB, **more)


def dying(name: str) -> Object:
    found = work(name)
    found["metadata"]["deletionTimestamp"] = "2026-11-24T09:00:00Z"
    return found


def test_all_are_asked_at_once_each_by_its_uid_and_none_twice(
    downtime: Any, threads: ThreadPoolExecutor, server: Server
) -> None:
    pods = [work(f"w-{at}") for at in range(20)]
    running = evictions(downtime, threads, *pods)
    assert running.judge(by_uid(*pods)) is None
    assert running.judge(by_uid(*pods)) is None
    assert sorted(server.asked) == sorted(one["metadata"]["name"] for one in pods)
    assert set(server.uids) == set(by_uid(*pods))
    assert running.judge({}) == "gone"


def test_pods_of_daemon_sets_static_ones_and_those_that_tolerate_it_are_left_alone(
    downtime: Any, threads: ThreadPoolExecutor, server: Server
) -> None:
    left = [
        pod("agent", top=owner("DaemonSet", "agent")),
        pod("static", annotations={"kubernetes.io/config.mirror": "x"}),
        work("stays", tolerations=[DRAIN_FOR_EVER]),
    ]
    assert evictions(downtime, threads, *left).judge(by_uid(*left)) == "gone"
    assert server.asked == []


def test_pod_that_ends_already_is_only_waited_for(downtime: Any, threads: ThreadPoolExecutor, server: Server) -> None:
    ending = dying("ends")
    assert evictions(downtime, threads, ending).judge(by_uid(ending)) is None
    assert server.asked == []


@pytest.mark.parametrize(("retry_after", "least", "most"), [("", 0.5, 1.0), ("0", 0.5, 1.0), ("30", 29, 30)])
def test_refused_one_is_asked_again_no_sooner_than_the_server_says(
    downtime: Any, threads: ThreadPoolExecutor, server: Server, retry_after: str, least: float, most: float
) -> None:
    one, other = work("refused"), work("other")
    server.answers["refused"] = (429, retry_after)
    running = evictions(downtime, threads, one, other)
    assert running.judge(by_uid(one, other)) is None
    assert running.judge(by_uid(one)) is None
    assert sorted(server.asked) == ["other", "refused"]
    (refusal,) = running.refused.values()
    assert least <= refusal.again - time.monotonic() <= most


def test_pauses_grow_up_to_a_limit(
    downtime: Any, threads: ThreadPoolExecutor, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(evicting, "time", SimpleNamespace(monotonic=lambda: now[0]))
    one = work("refused")
    server.answers["refused"] = (429, "")
    running = evictions(downtime, threads, one)
    pauses = []
    for _ in range(6):
        running.judge(by_uid(one))
        (refusal,) = running.refused.values()
        pauses.append(refusal.again - now[0])
        now[0] = refusal.again
    assert pauses == [1, 2, 4, 8, 10, 10]


def test_budget_that_refuses_is_named_and_the_pod_is_told_once(
    downtime: Any, threads: ThreadPoolExecutor, server: Server, told: list[str]
) -> None:
    one = work("refused")
    server.answers["refused"] = (429, "60")
    running = evictions(downtime, threads, one)
    for _ in range(3):
        running.judge(by_uid(one))
    (refusal,) = running.refused.values()
    assert "The disruption budget web needs 1 healthy pods" in refusal.said
    assert told == ["evict: 1 pod still to go before the taint; not allowed yet: runai-team-a/refused"]


@pytest.mark.parametrize(("status", "again"), [(404, False), (409, True), (500, True), (429, True)])
def test_what_is_gone_is_gone_and_all_else_is_asked_again(
    downtime: Any, threads: ThreadPoolExecutor, server: Server, status: int, again: bool
) -> None:
    one = work("odd")
    server.answers["odd"] = (status, "")
    running = evictions(downtime, threads, one)
    running.judge(by_uid(one))
    assert bool(running.refused) is again


def test_pod_of_a_namespace_that_is_being_deleted_keeps_no_other_from_its_eviction(
    downtime: Any, threads: ThreadPoolExecutor, server: Server
) -> None:
    one, other = work("doomed"), work("other")
    server.answers["doomed"] = (403, "")
    server.says["doomed"] = {
        "message": 'pods "doomed" is forbidden: unable to create new content in namespace x because it is being '
        "terminated",
        "details": {"causes": [{"reason": "NamespaceTerminating", "field": "metadata.namespace"}]},
    }
    running = evictions(downtime, threads, one, other)
    assert running.judge(by_uid(one, other)) is None
    assert sorted(server.asked) == ["doomed", "other"]
    (refusal,) = running.refused.values()
    assert "its namespace is being deleted" in refusal.said


def test_a_right_that_is_lacking_ends_the_eviction(downtime: Any, threads: ThreadPoolExecutor, server: Server) -> None:
    server.answers["w"] = (403, "")
    one = work("w")
    with pytest.raises(Blocked, match="forbids what is needed"):
        evictions(downtime, threads, one).judge(by_uid(one))


def test_without_the_lock_nothing_is_evicted(downtime: Any, threads: ThreadPoolExecutor, server: Server) -> None:
    def lost() -> None:
        raise LockLost("lock-lost", "taken over", "resume")

    downtime.lock.check = lost
    one = work("w")
    with pytest.raises(LockLost):
        evictions(downtime, threads, one).judge(by_uid(one))
    assert server.asked == []


def test_pod_that_came_since_is_looked_at_first(downtime: Any, threads: ThreadPoolExecutor, server: Server) -> None:
    known, newcomer = work("known"), work("newcomer")
    running = evictions(downtime, threads, known)
    assert running.judge(by_uid(known, newcomer)) is None
    assert running.judge(by_uid(newcomer)) == "others"
    assert server.asked == ["known"]


def test_under_an_override_those_that_stay_refused_are_left_to_the_taint_once_the_others_are_gone(
    downtime: Any, threads: ThreadPoolExecutor, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evicting, "_FIRST_PAUSE", 0.0)
    refused, ending = work("refused"), dying("ends")
    server.answers["refused"] = (429, "")
    running = evictions(downtime, threads, refused, ending, force=True)
    assert running.judge(by_uid(refused, ending)) is None
    assert running.judge(by_uid(refused, ending)) is None
    assert running.judge(by_uid(refused)) == "left"


@pytest.mark.parametrize(
    ("procedure", "found", "said"),
    [
        ("planned", node(tainted=True), "it stands already"),
        ("remove", node(tainted=True), "it stands already"),
        ("remove", node(ready=False), "not Ready"),
    ],
)
def test_nothing_is_evicted_where_the_taint_stands_or_nobody_would_end_a_pod(
    procedure: str, found: Object, said: str
) -> None:
    downtime: Any = _Downtime(see_node=lambda: found, record=SimpleNamespace(procedure=procedure))
    seen = evicting.EVICT.observe(downtime)
    assert seen is not None
    assert said in seen.proof


def test_recovery_of_a_node_that_failed_evicts_nothing_before_its_taint() -> None:
    assert "evict" not in unplanned.STEPS
