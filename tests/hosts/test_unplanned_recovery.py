"""Unplanned recovery of real machines: power cuts, a dead kubelet, and power that comes back at the wrong moment."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from lab.api import JSON, Api, ApiError
from lab.machines import inside
from lab.patience import until
from lab.runai.workloads import Work, interactive
from tests.hosts.conftest import HostsLab
from tests.hosts.product import Product, done_steps, nodes_down, the_record
from tests.hosts.standing import require_cycled_once, require_unmoved, see
from tests.hosts.work import pods_of, wait_running, working

NODE = "gpu-1"
OUT = "node.kubernetes.io/out-of-service"
KEPT = "/api/v1/namespaces/runai-downtime/configmaps"
ATTACHMENTS = "/apis/storage.k8s.io/v1/volumeattachments"
STABLE_SECONDS = 8
DRAINED = frozenset({"runai"})
QUICK = {"DOWNTIME_DRAIN__STABLE_SECONDS": str(STABLE_SECONDS), "DOWNTIME_HOSTS__CONNECT_TIMEOUT": "2"}
RECOVER = ("run", "unplanned", NODE, "--yes", "--local", "--grace-seconds", "10")
ALONE = (*RECOVER, "--power-on", "controller", "--no-hold")
STEPS = [
    *("judge-down", "see-machine", "cordon", "taint", "prove-off", "out-of-service", "clear-out-of-service"),
    *("power-on", "see-back", "stable", "untaint", "see-gpus", "uncordon", "see-service", "close"),
]


@pytest.fixture
def recovering(product: Product) -> Product:
    """The command, impatient: the lab's leases live for 8 s. What earlier tests made the node return from is forgotten.

    The fourth return within an hour would be flapping, which has a test of its own.
    """
    api = product.hosts.api
    for one in api.items(KEPT):
        if json.loads(one["data"].get("record", "{}")).get("phase") == "closed":
            api.delete(f"{KEPT}/{one['metadata']['name']}")
    return product.configured(**QUICK)


def is_ready(hosts: HostsLab) -> bool:
    conditions = hosts.node(NODE)["status"]["conditions"]
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def see_not_ready(hosts: HostsLab) -> None:
    until(lambda: not is_ready(hosts), seconds=90, what=f"{NODE} stays Ready")


def cut_power(hosts: HostsLab) -> None:
    hosts.power(NODE, "off")
    see_not_ready(hosts)


def taints_of(node: JSON) -> frozenset[str]:
    """Those that the product sets."""
    return frozenset(one["key"] for one in node["spec"].get("taints") or [] if one["key"] in ("runai", OUT))


@dataclass
class Seen:
    """The taints of the node, one after the other; and what was there when each set of them was first seen."""

    taints: list[frozenset[str]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


@contextmanager
def watched(hosts: HostsLab) -> Iterator[Seen]:
    """Look at the node all the time: its taints, and that it has no power while the out-of-service taint stands."""
    seen, over = Seen(), threading.Event()

    def look() -> None:
        before = taints_of(hosts.node(NODE))
        power = hosts.power(NODE, "status")
        after = taints_of(hosts.node(NODE))
        if OUT in before and OUT in after and power == "on":
            seen.wrong.append("the out-of-service taint stands on a node whose machine is on")
        for one in (before, after):
            if not seen.taints or seen.taints[-1] != one:
                seen.taints.append(one)

    def follow() -> None:
        while not over.wait(0.1):
            try:
                look()
            except ApiError:
                continue

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join(30)


@contextmanager
def attached(api: Api) -> Iterator[str]:
    """A volume that is attached to the node, and a CSI driver that detaches it once its pod is gone."""
    name, over = f"csi-{NODE}", threading.Event()
    body = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "VolumeAttachment",
        "metadata": {"name": name},
        "spec": {"attacher": "csi.lab", "nodeName": NODE, "source": {"persistentVolumeName": "pv-lab"}},
    }
    api.create(ATTACHMENTS, body)

    def detach() -> None:
        while not over.wait(0.5):
            try:
                stands = OUT in taints_of(api.get(f"/api/v1/nodes/{NODE}"))
                left = api.items(f"/api/v1/namespaces/runai-team-a/pods?fieldSelector=spec.nodeName%3D{NODE}")
                if stands and not left:
                    api.delete(f"{ATTACHMENTS}/{name}")
                    return
            except ApiError:
                continue

    thread = threading.Thread(target=detach, daemon=True)
    thread.start()
    try:
        yield name
    finally:
        over.set()
        thread.join(10)
        api.delete(f"{ATTACHMENTS}/{name}")


def test_power_cut_is_recovered_from_with_proof_and_the_work_runs_elsewhere(recovering: Product) -> None:
    hosts, before = recovering.hosts, see(recovering.hosts, NODE)
    notebook = interactive("held", Work(gpus=0, user="dora"))
    with kept_off(hosts, "gpu-2", "system-1") as let_in, working(hosts.api, notebook):
        assert wait_running(hosts.api, notebook) == NODE
        let_in()
        [old] = pods_of(hosts.api, notebook)
        with attached(hosts.api) as volume, watched(hosts) as seen:
            cut_power(hosts)
            recovering.run(*ALONE).expect(0)
        assert seen.taints == [frozenset(), DRAINED, DRAINED | {OUT}, DRAINED, frozenset()]
        assert seen.wrong == []
        assert wait_running(hosts.api, notebook) != NODE
        assert uid_of(hosts.api, old) != old["metadata"]["uid"]
        assert hosts.api.find(f"{ATTACHMENTS}/{volume}") is None
    record = the_record(hosts.api, NODE)
    assert (record["phase"], record["course"], done_steps(record)) == ("closed", "down", STEPS)
    assert "the power controller says off" in record["steps"]["prove-off"]["proof"]
    steady = re.fullmatch(r"steadily Ready for (\d+) s", record["steps"]["stable"]["proof"])
    assert steady is not None
    assert int(steady[1]) >= STABLE_SECONDS
    assert record["gone_boot"] == before.boot_id
    require_cycled_once(hosts, NODE, before)


@contextmanager
def kept_off(hosts: HostsLab, *nodes: str) -> Iterator[Callable[[], None]]:
    """New work finds no place on these nodes, until what is yielded is called."""

    def cordon(wanted: bool | None) -> None:
        for node in nodes:
            hosts.api.patch(f"/api/v1/nodes/{node}", {"spec": {"unschedulable": wanted}})

    cordon(True)
    try:
        yield lambda: cordon(None)
    finally:
        cordon(None)


def uid_of(api: Api, pod: JSON) -> str:
    """The uid of the pod that has this pod's name now; empty: there is none."""
    metadata = pod["metadata"]
    found = api.find(f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}")
    return str(found["metadata"]["uid"]) if found is not None else ""


@pytest.mark.long
def test_without_proof_nothing_is_released_until_a_person_says_by_name_that_it_is_off(recovering: Product) -> None:
    hosts, before = recovering.hosts, see(recovering.hosts, NODE)
    blind = recovering.configured(DOWNTIME_POWER__STATUS="none")
    notebook = interactive("held", Work(node=NODE, gpus=0, user="dora"))
    with working(hosts.api, notebook), attached(hosts.api) as volume, watched(hosts) as seen:
        [old] = pods_of(hosts.api, notebook)
        cut_power(hosts)
        error = blind.run(*RECOVER, "--output", "json").expect(4).document["error"]
        assert error["code"] == "waiting-for-power-off"
        assert old["metadata"]["name"] in error["message"]
        assert volume in error["message"]
        blind.run("decide", NODE, "--confirm-off", "gpu-2").expect(2)
        blind.run("resume", NODE, "--local").expect(4)
        assert uid_of(hosts.api, old) == old["metadata"]["uid"]
        assert seen.taints == [frozenset(), DRAINED]
        blind.run("decide", NODE, "--confirm-off", NODE, "--who", "ada").expect(0)
        error = blind.run("resume", NODE, "--local", "--output", "json").expect(4).document["error"]
        assert error["code"] == "waiting-for-return"
        assert uid_of(hosts.api, old) != old["metadata"]["uid"]
        assert hosts.api.find(f"{ATTACHMENTS}/{volume}") is None
        assert seen.taints == [frozenset(), DRAINED, DRAINED | {OUT}, DRAINED]
        hosts.power(NODE, "on")
        blind.run("resume", NODE, "--local").expect(0)
    assert "ada confirmed" in the_record(hosts.api, NODE)["steps"]["prove-off"]["proof"]
    require_cycled_once(hosts, NODE, before)


@contextmanager
def labelled(hosts: HostsLab, key: str, value: str) -> Iterator[None]:
    """A label of the node, for a while."""
    path = f"/api/v1/nodes/{NODE}"
    hosts.api.patch(path, {"metadata": {"labels": {key: value}}})
    try:
        yield
    finally:
        hosts.api.patch(path, {"metadata": {"labels": {key: None}}})


@pytest.mark.long
def test_machine_that_restarts_at_once_is_only_looked_at(recovering: Product) -> None:
    """It may be up again before it is looked at: GPU feature discovery tells how many GPUs it had."""
    hosts, before = recovering.hosts, see(recovering.hosts, NODE)
    with watched(hosts) as seen, labelled(hosts, "nvidia.com/gpu.count", "4"):
        hosts.power(NODE, "reset")
        ended = recovering.run(*RECOVER[:-1], "90", "--said-down", "--output", "json").expect(0)
    record = the_record(hosts.api, NODE)
    assert (record["phase"], record["course"], record["changes"]) == ("closed", "returned", [])
    assert done_steps(record) == ["judge-down", "see-services", "close"]
    assert "4 nvidia.com/gpu" in record["steps"]["see-services"]["proof"]
    assert seen.taints == [frozenset()]
    assert ended.document["node"] == NODE
    require_cycled_once(hosts, NODE, before)


@pytest.mark.long
def test_dead_kubelet_on_a_machine_that_lives_is_not_off_and_is_restarted_when_that_is_chosen(
    recovering: Product,
) -> None:
    hosts, before = recovering.hosts, see(recovering.hosts, NODE)
    notebook = interactive("held", Work(node=NODE, gpus=0, user="dora"))
    with working(hosts.api, notebook), watched(hosts) as seen:
        [old] = pods_of(hosts.api, notebook)
        assert hosts.ssh(NODE, "sudo", "systemctl", "stop", "kubelet").returncode == 0
        see_not_ready(hosts)
        blind = recovering.configured(DOWNTIME_POWER__STATUS="none")
        error = blind.run(*RECOVER, "--output", "json").expect(4).document["error"]
        assert error["code"] == "waiting-for-power-off"
        assert "answers over SSH: it is not off" in error["message"]
        assert f"downtime decide {NODE} --dead-kubelet restart" in error["remedy"]
        # Whoever says that it is off is wrong.
        blind.run("decide", NODE, "--confirm-off", NODE).expect(0)
        refused = blind.run("resume", NODE, "--local", "--output", "json").expect(3).document["error"]
        assert refused["code"] == "power-mismatch"
        assert uid_of(hosts.api, old) == old["metadata"]["uid"]
        blind.run("decide", NODE, "--dead-kubelet", "restart", "--who", "ada").expect(0)
        blind.run("resume", NODE, "--local").expect(0)
        assert all(OUT not in taints for taints in seen.taints)
    assert the_record(hosts.api, NODE)["phase"] == "closed"
    assert inside(hosts.lab, hosts.machine(NODE), "systemctl", "is-active", "kubelet").strip() == "active"
    require_unmoved(hosts, NODE, before)


@pytest.mark.long
def test_machine_switched_on_while_the_out_of_service_taint_stands_stops_it_loudly(recovering: Product) -> None:
    hosts, before = recovering.hosts, see(recovering.hosts, NODE)
    notebook = interactive("held", Work(node=NODE, gpus=0, user="dora"))
    with working(hosts.api, notebook):
        [pod] = pods_of(hosts.api, notebook)
        with finalizer(hosts.api, pod):
            cut_power(hosts)
            running = recovering.start(*ALONE, "--output", "json")
            until(lambda: OUT in taints_of(hosts.node(NODE)), seconds=90, what="the out-of-service taint", every=0.1)
            hosts.power(NODE, "on")
            error = running.wait().expect(1).document["error"]
        assert error["code"] == "host-answers"
        assert f"{NODE} IS NOT OFF" in error["message"]
        assert OUT not in taints_of(hosts.node(NODE))
        events = hosts.api.items("/api/v1/events")
        loud = [one for one in events if one["reason"] == "MachineNotOff" and one["involvedObject"]["name"] == NODE]
        assert [one["type"] for one in loud] == ["Warning"]
        until(lambda: is_ready(hosts), seconds=90, what=f"{NODE} is not Ready")
        recovering.run("resume", NODE, "--local").expect(0)
    record = the_record(hosts.api, NODE)
    assert record["phase"] == "closed"
    assert "out-of-service" not in json.dumps([one for one in record["changes"] if one["state"] != "undone"])
    assert NODE not in nodes_down(hosts.api)
    require_cycled_once(hosts, NODE, before)


@contextmanager
def finalizer(api: Api, pod: JSON) -> Iterator[None]:
    """While it is there, the pod does not go, whatever is done."""
    path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
    api.patch(path, {"metadata": {"finalizers": ["lab/held"]}})
    try:
        yield
    finally:
        if api.find(path) is not None:
            api.patch(path, {"metadata": {"finalizers": None}})
