"""What the protocol must bear: lost answers, sleeping machines, deleted namespaces, runs that come back late."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from cluster import admission, config, machine, names, scheduling
from cluster import api as apis
from cluster.api import Api
from cluster.config import Settings
from cluster.downtime import Start, enter, go_on
from cluster.errors import Blocked, LockLost, Misused
from cluster.lock import Lock
from cluster.step import _intended as intended
from cluster.step import perform
from lab.api import Api as LabApi
from lab.layout import Lab
from tests.control_plane import driving, killing_proxy
from tests.control_plane.conftest import MakeNode
from tests.control_plane.killing_proxy import Relay, Request
from tests.control_plane.protocol_states import LEASES, fleet_of, mark_of, record_of


@dataclass
class Script(killing_proxy.Script):
    """Loses the answer to the first POST of a Lease; hangs the first PUT of one for so many seconds; cuts all off."""

    cut: bool = False
    lose_first_post: bool = False
    hang_first_put: float = 0
    seen: list[str] = field(default_factory=list)

    async def before(self, request: Request) -> bool:
        if self.cut:
            return False
        if "/leases" in request.path and request.method == "PUT":
            self.seen.append("PUT")
            if self.hang_first_put and self.seen.count("PUT") == 1:
                await asyncio.sleep(self.hang_first_put)
        return True

    async def after(self, request: Request, status: int) -> bool:
        if "/leases" in request.path and request.method == "POST" and self.lose_first_post:
            self.lose_first_post = False
            return False
        return True


@pytest.fixture
def node(make_node: MakeNode) -> str:
    return make_node().node


@pytest.fixture
def settings(lab: Lab, node: str) -> Settings:
    """The lab's configuration, which names the node's address."""
    return config.load(lab.config)


@pytest.fixture
def api(settings: Settings) -> Api:
    return apis.connect(settings.cluster)


def start_of(node: str, flow_run: str = "") -> Start:
    return Start("planned", node, driving.UNATTENDED, None, "tester", flow_run)


def test_a_lock_whose_making_was_not_answered_is_held_at_once(
    lab: Lab, api: Api, relay: Relay, tmp_path: Path, node: str, settings: Settings
) -> None:
    script = Script(lose_first_post=True)
    with relay.proxy(lab.kubeconfig, tmp_path, script) as kubeconfig:
        through = apis.connect(settings.cluster.model_copy(update={"kubeconfig": kubeconfig}))
        lock = Lock(through, node, 60)
        began = time.monotonic()
        lock.acquire()
        assert time.monotonic() - began < 30, "it waited for its own lease to run out"
        lock.check()
        lock.release()


def test_one_renewal_that_hangs_does_not_lose_the_lock(
    lab: Lab, relay: Relay, tmp_path: Path, node: str, settings: Settings
) -> None:
    script = Script(hang_first_put=20)
    with relay.proxy(lab.kubeconfig, tmp_path, script) as kubeconfig:
        through = apis.connect(settings.cluster.model_copy(update={"kubeconfig": kubeconfig}))
        lock = Lock(through, node, 9)
        lock.acquire()
        end = time.monotonic() + 15
        while time.monotonic() < end and script.seen.count("PUT") < 3:
            lock.check()
            time.sleep(0.1)
        assert script.seen.count("PUT") >= 3, "no renewal was tried after the one that hung"
        lock.check()
        lock.release()


def test_a_lock_that_nobody_took_is_held_again_when_the_api_server_is_back(
    lab: Lab, api: Api, relay: Relay, tmp_path: Path, node: str, settings: Settings
) -> None:
    script = Script()
    with relay.proxy(lab.kubeconfig, tmp_path, script) as kubeconfig:
        through = apis.connect(settings.cluster.model_copy(update={"kubeconfig": kubeconfig}))
        lock = Lock(through, node, 3)
        lock.acquire()
        script.cut = True
        time.sleep(3.5)  # more than its whole duration
        with pytest.raises(LockLost):
            lock.check()
        script.cut = False
        assert held_within(lock, 10), "nobody took it, and yet it stays lost"
        script.cut = True
        time.sleep(3.5)
        taker = Lock(api, node, 3)
        taker.acquire()
        script.cut = False
        assert not held_within(lock, 5), "somebody else holds it"
        taker.check()
        lock.release()
        taker.check()
        taker.release()


def held_within(lock: Lock, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            lock.check()
        except LockLost:
            time.sleep(0.1)
        else:
            return True
    return False


def test_a_lease_runs_out_while_the_machine_sleeps(api: Api, node: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # On Linux the monotonic clock stands still while a laptop sleeps; here it does so all the time.
    asleep = SimpleNamespace(
        monotonic=lambda: 1000.0, clock_gettime=time.clock_gettime, CLOCK_BOOTTIME=time.CLOCK_BOOTTIME
    )
    monkeypatch.setattr("cluster.lock.time", asleep)
    lock = Lock(api, node, 1)
    lock.acquire()
    lock._stop.set()  # the thread sleeps too
    time.sleep(1.1)  # its whole duration
    with pytest.raises(LockLost):
        lock.check()
    lock.release()


def test_a_start_that_died_before_its_record_does_not_block_the_plans_of_others(
    lab_api: LabApi, api: Api, settings: Settings, node: str
) -> None:
    admission.admit(api, node, "died", "planned", lambda _down: [], lambda: None)
    assert node in fleet_of(lab_api)
    assert node not in admission.down(api)


def test_a_deleted_namespace_does_not_lock_a_node_that_still_carries_a_mark(
    lab_api: LabApi, api: Api, settings: Settings, node: str
) -> None:
    mark = '{"record":"lost","epoch":41,"owns":[]}'
    lab_api.patch(f"/api/v1/nodes/{node}", {"metadata": {"annotations": {names.OWNS_ANNOTATION: mark}}})
    with enter(api, settings, start_of(node)) as downtime:
        assert downtime.lock.epoch == 42
    found = mark_of(lab_api, node)
    assert found is not None
    assert found["epoch"] == 42


def test_a_flow_run_that_comes_back_after_its_downtime_was_closed_opens_no_other(
    lab_api: LabApi, api: Api, settings: Settings, node: str
) -> None:
    with enter(api, settings, start_of(node, "run-1")):
        pass
    driving.abort(settings, node)
    closed = record_of(lab_api, node)
    with pytest.raises(Blocked) as caught, enter(api, settings, start_of(node, "run-1")):
        pass
    assert caught.value.code == "run-is-over"
    assert record_of(lab_api, node) == closed
    with enter(api, settings, start_of(node, "run-2")) as downtime:
        assert downtime.record.open


def test_a_run_whose_downtime_was_taken_over_by_another_run_begins_no_new_one(
    lab_api: LabApi, api: Api, settings: Settings, node: str
) -> None:
    """Its form is still there to be answered, and the answer would consent to work that is there by now."""
    with enter(api, settings, start_of(node, "run-1")) as downtime:
        perform(downtime, scheduling.CORDON)
    with enter(api, settings, start_of(node, "run-2")):
        pass
    driving.abort(settings, node)

    def see_refused(run: str) -> None:
        before = record_of(lab_api, node)
        with pytest.raises(Blocked) as caught, enter(api, settings, start_of(node, run)):
            pytest.fail("it went ahead")
        assert caught.value.code == "run-is-over"
        assert record_of(lab_api, node) == before

    see_refused("run-1")
    see_refused("run-2")
    with enter(api, settings, start_of(node, "run-3")) as downtime:
        assert downtime.record.open
    see_refused("run-1")


def test_a_run_that_comes_back_waits_for_who_looks_for_a_moment(api: Api, settings: Settings, node: str) -> None:
    with enter(api, settings, start_of(node, "run-1")):
        pass
    looks = Lock(api, node, settings.cluster.lock_seconds)
    looks.acquire(above=100)
    threading.Timer(3, looks.release).start()
    with enter(api, settings, start_of(node, "run-1")) as downtime:
        assert downtime.record.flow_run == "run-1"
        assert downtime.lock.epoch > looks.epoch


@pytest.mark.parametrize("name", ["../configmaps/fleet", "x/../fleet", "Gpu-1", ""])
def test_a_name_that_no_node_can_have_reaches_no_path(api: Api, settings: Settings, lab_api: LabApi, name: str) -> None:
    with pytest.raises(Misused) as caught, go_on(api, settings, name):
        pass
    assert caught.value.code == "bad-node-name"
    assert not [one for one in lab_api.items(LEASES) if ".." in one["metadata"]["name"]]


def test_a_downtime_whose_node_was_deleted_can_be_closed(
    lab_api: LabApi, api: Api, settings: Settings, node: str
) -> None:
    with enter(api, settings, start_of(node)) as downtime:
        perform(downtime, scheduling.CORDON)
    lab_api.delete(f"/api/v1/nodes/{node}")
    with pytest.raises(Blocked) as caught:
        driving.resume(settings, node)
    assert caught.value.code == "node-gone"
    assert f"downtime abort {node}" in caught.value.remedy
    final = driving.abort(settings, node)
    assert not final.open
    assert final.standing() == ()
    assert node not in fleet_of(lab_api)


def test_a_node_without_a_lease_is_not_presumed_off(lab_api: LabApi, api: Api, settings: Settings, node: str) -> None:
    with enter(api, settings, start_of(node)) as downtime:
        lab_api.delete(f"/api/v1/nodes/{node}")  # and its lease with it
        path = f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{node}"
        lab_api.delete(path)
        assert not machine.lease_stands_still(downtime, 2)


def test_an_intent_that_stands_is_not_written_again(api: Api, settings: Settings, node: str) -> None:
    with enter(api, settings, start_of(node)) as downtime:
        once = downtime.write(lambda old: intended(old, scheduling.CORDON))
        assert downtime.write(lambda old: intended(old, scheduling.CORDON)) == once
