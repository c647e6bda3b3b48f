"""A node whose GPUs were not seen yet stays out, whoever had cordoned it; and no error says so of one that does not."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cluster import events, eviction, ownership, scheduling, verified_return
from cluster.config import ChecksSettings
from cluster.downtime import Downtime
from cluster.node import Object
from cluster.record import Found, Record
from tests.unit.planning_cases import node, record

AGAIN = "gpu-1 was uncordoned by somebody else before its GPUs were seen: it was cordoned again"


class Cluster:
    """A downtime of gpu-1 with its Node and record; what others do in the middle of a change is ``meanwhile``."""

    steps = ("untaint", "see-gpus", "uncordon")

    def __init__(self, found: Object, *, cordon: bool = True, changes: tuple[str, ...] = (), gpus: int = 8) -> None:
        self.node = "gpu-1"
        self.lock = SimpleNamespace(epoch=1)
        self.settings = SimpleNamespace(checks=ChecksSettings(cordon=cordon))
        self.record: Record = record(changes=changes, found=Found(gpus={"nvidia.com/gpu": gpus}))
        self.found = found
        self.said: list[str] = []
        self.written: list[tuple[str, str]] = []
        self.meanwhile: Callable[[], None] = lambda: None
        self.api: Any = None

    def see_node(self) -> Object:
        return self.found

    def change_node(self, change: Callable[[Object], Object]) -> Object:
        self.meanwhile()
        self.written.append(("node", ""))
        self.found = change(self.found)
        return self.found

    def write(self, mutate: Callable[[Record], Record]) -> Record:
        self.record = mutate(self.record)
        self.written += [(one.what, one.state) for one in self.record.changes[-1:]]
        return self.record

    def say(self, _step: str, text: str) -> None:
        self.said.append(text)

    @property
    def cordon(self) -> list[str]:
        return [one.state for one in self.record.changes if one.what == "cordon"]

    @property
    def told(self) -> list[str]:
        return [moment.text for moment in self.record.timeline]


def of(cluster: Cluster) -> Downtime:
    return cast(Downtime, cluster)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody: list[Any] = []
    monkeypatch.setattr(eviction, "of_node", lambda _: nobody)
    monkeypatch.setattr(events, "emit", lambda *_, **__: None)


def test_foreign_cordon_that_somebody_takes_off_is_replaced_by_an_own_one_which_comes_off_at_the_end() -> None:
    cluster = Cluster(node())
    assert verified_return.keep_cordoned(of(cluster), cluster.found)
    assert cluster.found["spec"]["unschedulable"]
    assert ownership.owns(cluster.found, cluster.record.id, "cordon")
    assert cluster.written[:3] == [("cordon", "intended"), ("node", ""), ("cordon", "made")]
    assert cluster.told == [
        f"{AGAIN}. The cordon before was not of this downtime; this one is, and comes off once the GPUs were seen"
    ]
    assert scheduling.UNCORDON.observe(of(cluster)) is None
    scheduling.UNCORDON.change(of(cluster))
    seen = scheduling.UNCORDON.verify(of(cluster))
    assert seen.change == ("cordon", "", "undone")
    assert not cluster.found["spec"].get("unschedulable")


def test_own_cordon_that_somebody_takes_off_is_set_again_and_stays_ours() -> None:
    cluster = Cluster(node(owned=("cordon",)), changes=("cordon",))
    assert verified_return.keep_cordoned(of(cluster), cluster.found)
    assert (cluster.found["spec"]["unschedulable"], cluster.cordon, cluster.told) == (True, ["made"], [AGAIN])


def test_foreign_cordon_that_stands_is_left_alone() -> None:
    cluster = Cluster(node(cordoned=True))
    assert not verified_return.keep_cordoned(of(cluster), cluster.found)
    assert (cluster.written, cluster.told) == ([], [])


def test_cordon_that_somebody_sets_in_the_same_moment_stays_theirs() -> None:
    cluster = Cluster(node())

    def cordon() -> None:
        cluster.found = node(cordoned=True)

    cluster.meanwhile = cordon
    assert not verified_return.keep_cordoned(of(cluster), cluster.found)
    assert not ownership.owns(cluster.found, cluster.record.id, "cordon")
    assert (cluster.record.standing(), cluster.told) == ((), [])


def test_cordon_that_was_only_intended_when_somebody_set_theirs_is_not_left_standing_in_the_record() -> None:
    cluster = Cluster(node(cordoned=True), changes=("cordon",))
    seen = scheduling.UNCORDON.observe(of(cluster))
    assert seen == ("the cordon is somebody else's: it stays", ("cordon", "", "undone"))


@pytest.mark.parametrize("owned", [(), ("cordon",)], ids=["somebody else's", "ours"])
def test_error_says_that_it_stays_cordoned_only_of_a_node_that_was_looked_at(owned: tuple[str, ...]) -> None:
    cluster = Cluster(node(owned=owned))
    assert verified_return.out_of_service(of(cluster)) == "It stays cordoned"
    assert cluster.found["spec"]["unschedulable"]


def test_error_tells_of_a_node_that_is_open_to_work_as_the_check_is_switched_off() -> None:
    cluster = Cluster(node(), cordon=False)
    said = verified_return.out_of_service(of(cluster))
    assert said.startswith("It is NOT cordoned: somebody took the cordon off, and 'cordon = false' under [checks]")
    assert "'kubectl cordon gpu-1'" in said
    assert (cluster.found["spec"]["unschedulable"], cluster.written) == (False, [])


def test_error_tells_of_a_node_that_somebody_keeps_uncordoning(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(node(owned=("cordon",)), changes=("cordon",))
    monkeypatch.setattr(cluster, "see_node", lambda: node(owned=("cordon",)))
    said = verified_return.out_of_service(of(cluster))
    assert said.startswith("It is NOT cordoned: somebody took the cordon off. Work may start on it")


@pytest.mark.parametrize(("gpus", "cordoned"), [(8, True), (0, False)])
def test_node_with_gpus_is_cordoned_before_the_drain_taint_goes(
    monkeypatch: pytest.MonkeyPatch, gpus: int, cordoned: bool
) -> None:
    cluster = Cluster(node(tainted=True, owned=("taint",)), changes=("taint",), gpus=gpus)
    stood: list[bool] = []
    change = cluster.change_node

    def watch(wanted: Callable[[Object], Object]) -> Object:
        stood.append(bool(cluster.found["spec"].get("unschedulable")))
        return change(wanted)

    monkeypatch.setattr(cluster, "change_node", watch)
    scheduling.UNTAINT.change(of(cluster))
    assert stood[-1] is cordoned
    assert cluster.found["spec"]["taints"] == []
    proof = scheduling.UNTAINT.verify(of(cluster)).proof
    assert ("still cordoned" in proof, "not cordoned any more" in proof) == (cordoned, not cordoned)
