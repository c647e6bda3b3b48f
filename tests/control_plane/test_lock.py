"""The lock: who holds it, when it is taken over, and when its holder has to stop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cluster import api as apis
from cluster import ownership
from cluster.api import Api as ProductApi
from cluster.downtime import Start, enter
from cluster.errors import Blocked, DowntimeError, LockLost
from cluster.lock import Lock, current_holder
from lab.api import Api
from lab.layout import Lab
from lab.patience import until
from tests.control_plane.conftest import MakeNode
from tests.control_plane.driving import UNATTENDED, abort
from tests.control_plane.killing_proxy import Relay, Request, Script
from tests.control_plane.protocol_settings import settings_of
from tests.control_plane.protocol_states import LEASES, NAMESPACE, lease_of, record_of, untouched

SECONDS = 3
UNUSED = "nobody-1"


@pytest.fixture
def product(lab: Lab) -> ProductApi:
    return apis.connect(settings_of(lab).cluster)


@pytest.fixture
def name(lab_api: Api) -> Iterator[str]:
    """A node's name that only these tests use; a lock needs no Node."""
    yield UNUSED
    lab_api.delete(f"{LEASES}/node-{UNUSED}")
    lab_api.delete(f"{NAMESPACE}/configmaps/node-{UNUSED}")


@dataclass
class Dark(Script):
    """From some moment on nothing gets through, and nothing is answered."""

    dark: threading.Event = field(default_factory=threading.Event)
    changes: list[str] = field(default_factory=list)

    async def before(self, request: Request) -> bool:
        if self.dark.is_set():
            await asyncio.sleep(300)
        if request.method != "GET":
            self.changes.append(request.path)
        return True


def lease(holder: str, renewed: str, *, seconds: int = SECONDS, epoch: int = 7) -> dict[str, Any]:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": f"node-{UNUSED}", "namespace": "runai-downtime"},
        "spec": {
            "holderIdentity": holder,
            "leaseDurationSeconds": seconds,
            "leaseTransitions": epoch,
            "acquireTime": renewed,
            "renewTime": renewed,
        },
    }


def test_live_lock_is_refused_and_its_holder_named(lab: Lab, product: ProductApi, make_node: MakeNode) -> None:
    node = make_node().node
    holder = Lock(product, node, SECONDS)
    holder.acquire()
    try:
        start = Start("planned", node, UNATTENDED, None, "tester")
        with pytest.raises(Blocked) as refused, enter(product, settings_of(lab), start):
            pytest.fail("it went ahead")
        assert (refused.value.code, refused.value.exit_code) == ("locked", 3)
        assert holder.holder in refused.value.message
    finally:
        holder.release()


@pytest.mark.parametrize("renewed", ["2001-01-01T00:00:00.000000Z", "2099-01-01T00:00:00.000000Z"])
def test_dead_holders_lease_is_taken_over_only_after_it_stood_still(
    lab_api: Api, product: ProductApi, name: str, renewed: str
) -> None:
    Lock(product, name, SECONDS).release()
    lab_api.create(LEASES, lease("elsewhere/1/dead", renewed))
    taker = Lock(product, name, 1)
    began = time.monotonic()
    taker.acquire()
    waited = time.monotonic() - began
    taker.release()
    assert waited >= SECONDS, "its whole duration, whatever the clocks of others say"
    assert taker.epoch == 8


def test_released_lock_is_taken_at_once_with_a_greater_epoch(lab_api: Api, product: ProductApi, name: str) -> None:
    first, second = Lock(product, name, 60), Lock(product, name, 60)
    first.acquire(above=41)
    first.release()
    assert current_holder(product, name) == ""
    began = time.monotonic()
    second.acquire()
    second.release()
    assert time.monotonic() - began < 30
    assert (first.epoch, second.epoch) == (42, 43)


def test_holder_whose_lease_was_deleted_stops_and_the_next_one_has_a_greater_epoch(
    lab_api: Api, product: ProductApi, name: str
) -> None:
    holder, taker = Lock(product, name, SECONDS), Lock(product, name, SECONDS)
    holder.acquire()
    lab_api.delete(f"{LEASES}/node-{name}")
    until(lambda: _is_lost(holder), seconds=SECONDS * 2, what="it does not notice")
    with pytest.raises(LockLost, match="deleted"):
        holder.check()
    taker.acquire(above=holder.epoch)
    assert taker.epoch > holder.epoch
    holder.release()
    assert current_holder(product, name) == taker.holder, "a holder that lost it releases nothing"
    taker.release()


def _is_lost(lock: Lock) -> bool:
    try:
        lock.check()
    except LockLost:
        return True
    return False


def test_deleted_lease_gives_no_epoch_that_the_record_knows(
    lab: Lab, lab_api: Api, product: ProductApi, make_node: MakeNode
) -> None:
    node, settings = make_node().node, settings_of(lab)
    start = Start("planned", node, UNATTENDED, None, "tester")
    for _ in range(3):
        with enter(product, settings, start):
            pass
    lab_api.delete(f"{LEASES}/node-{node}")
    with enter(product, settings, start) as downtime:
        assert downtime.lock.epoch == 4
    record = record_of(lab_api, node)
    assert record is not None
    assert record["epoch"] == 4
    abort(settings, node)


def test_api_server_out_of_reach_for_longer_than_the_lease_nothing_more_is_changed(
    lab: Lab, lab_api: Api, relay: Relay, tmp_path: Path, make_node: MakeNode
) -> None:
    node, script = make_node().node, Dark()
    with relay.proxy(lab.kubeconfig, tmp_path, script) as kubeconfig:
        settings = settings_of(lab, kubeconfig=kubeconfig, cluster={"request_timeout": 1.0, "lock_seconds": SECONDS})
        api = apis.connect(settings.cluster, patience=0)
        with enter(api, settings, Start("planned", node, UNATTENDED, None, "tester")) as downtime:
            sent = len(script.changes)
            script.dark.set()
            until(lambda: _is_lost(downtime.lock), seconds=SECONDS * 3, what="it believes to hold the lock")
            script.dark.clear()
            with pytest.raises(LockLost) as lost:
                downtime.write(lambda old: old.model_copy(update={"reason": "too late"}))
            assert lost.value.exit_code == 1
            with pytest.raises(LockLost):
                downtime.change_node(lambda old: ownership.cordoned(old, downtime.record.id, downtime.lock.epoch))
            assert script.changes[sent:] == [], "not even the lease comes to life again"
    record = record_of(lab_api, node)
    assert record is not None
    assert record["reason"] == UNATTENDED.reason
    abort(settings_of(lab), node)
    assert untouched(lab_api, node)


def test_lease_is_longer_than_a_command_that_cannot_be_fenced(lab_api: Api, product: ProductApi, name: str) -> None:
    lock = Lock(product, name, SECONDS)
    lock.acquire()
    with lock.for_at_least(40):
        assert lease_of(lab_api, name)["spec"]["leaseDurationSeconds"] >= 40
    assert lease_of(lab_api, name)["spec"]["leaseDurationSeconds"] == SECONDS, "nobody waits for it any longer"
    lock.check()
    lock.release()


def test_command_does_not_start_when_its_lease_cannot_be_made_longer(
    lab: Lab, relay: Relay, tmp_path: Path, name: str
) -> None:
    script = Dark()
    with relay.proxy(lab.kubeconfig, tmp_path, script) as kubeconfig:
        settings = settings_of(lab, kubeconfig=kubeconfig, cluster={"request_timeout": 1.0})
        lock = Lock(apis.connect(settings.cluster), name, 20)
        lock.acquire()
        script.dark.set()
        with pytest.raises(LockLost), lock.for_at_least(40):
            pytest.fail("the command started")
        script.dark.clear()
        lock.release()


def test_api_server_that_cannot_be_reached_is_said_and_nothing_begins(lab: Lab, relay: Relay, tmp_path: Path) -> None:
    script = Dark()
    script.dark.set()
    with relay.proxy(lab.kubeconfig, tmp_path, script) as kubeconfig:
        settings = settings_of(lab, kubeconfig=kubeconfig, cluster={"request_timeout": 0.5})
        api = apis.connect(settings.cluster, patience=0)
        with (
            pytest.raises(DowntimeError) as error,
            enter(api, settings, Start("planned", "gpu-1", UNATTENDED, None, "t")),
        ):
            pytest.fail("it went ahead")
    assert (error.value.code, error.value.exit_code) == ("api-unreachable", 3)
