"""The storm guard on a real API server: what looks like many broken machines may be one broken network."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from cluster import api as apis
from cluster.config import Settings
from cluster.errors import Blocked
from cluster.records import Records
from lab.api import Api
from lab.layout import Lab
from lab.simulated.host import Host
from tests.control_plane.conftest import MakeNode
from tests.control_plane.killing_proxy import Relay, Request, Script
from tests.control_plane.protocol_states import fleet_of, node_of
from tests.control_plane.recovering import UNATTENDED, fail, on_host, run, settings_of, untouched, wait_for_ready


@dataclass
class NotReady(Script):
    """The API server says of itself that it is not ready; all else is as always."""

    status: int = 500

    async def instead(self, request: Request) -> int:
        return self.status if request.path == "/readyz" else 0


def _spec(lab_api: Api, node: str) -> dict[str, object]:
    """The Node as others than Kubernetes itself leave it: that goes on adding taints to one that is down."""
    spec = dict(node_of(lab_api, node)["spec"])
    spec["taints"] = [one for one in spec.get("taints", []) if not one["key"].startswith("node.kubernetes.io/un")]
    return spec


def _refused(lab_api: Api, settings: Settings, node: str) -> Blocked:
    """Start a recovery, see it refused, and see that nothing was changed."""
    before = _spec(lab_api, node), fleet_of(lab_api)
    with pytest.raises(Blocked) as raised:
        run(settings, node)
    assert raised.value.exit_code == 3
    assert "--override-storm" in raised.value.remedy
    assert (_spec(lab_api, node), fleet_of(lab_api)) == before
    assert untouched(lab_api, node)
    assert Records(apis.connect(settings.cluster)).read(node) is None
    return raised.value


def _fail_all(lab: Lab, lab_api: Api, hosts: list[Host]) -> None:
    with ThreadPoolExecutor(len(hosts)) as pool:
        list(pool.map(lambda host: fail(lab, lab_api, host), hosts))


def test_many_nodes_down_at_once_block_until_a_person_says_why_not(lab: Lab, lab_api: Api, make_node: MakeNode) -> None:
    hosts = [make_node() for _ in range(5)]
    total = len(lab_api.items("/api/v1/nodes"))
    assert 40 * total < 100 * len(hosts), f"{len(hosts)} of {total} nodes are no storm"
    _fail_all(lab, lab_api, hosts)
    settings, node = settings_of(lab), hosts[0].node
    error = _refused(lab_api, settings, node)
    assert error.code == "storm"
    assert f"5 of {total} nodes" in error.message
    why = "the power of rack 7 failed"
    record = run(settings, node, UNATTENDED.model_copy(update={"override_storm": why}))
    assert (record.phase, record.course, record.standing()) == ("closed", "down", ())
    assert record.options["override_storm"] == why
    events = lab_api.items("/api/v1/namespaces/default/events")
    [told] = [
        one for one in events if one["reason"] == "StormGuardOverridden" and one["involvedObject"]["name"] == node
    ]
    assert why in told["message"]
    assert untouched(lab_api, node)


def test_an_api_server_that_is_not_ready_is_not_believed(
    lab: Lab, lab_api: Api, make_node: MakeNode, relay: Relay, tmp_path: Path
) -> None:
    host = make_node()
    fail(lab, lab_api, host)
    with relay.proxy(lab.kubeconfig, tmp_path, NotReady()) as kubeconfig:
        settings = settings_of(lab, cluster={"kubeconfig": kubeconfig})
        assert _refused(lab_api, settings, host.node).code == "storm-api"


@pytest.mark.long
def test_hosts_that_answer_while_their_nodes_are_not_ready_are_no_dead_machines(
    lab: Lab, lab_api: Api, make_node: MakeNode
) -> None:
    hosts = [make_node() for _ in range(3)]
    settings = settings_of(lab)
    for host in hosts[:2]:
        on_host(settings, host, "systemctl", "stop", "kubelet")
    fail(lab, lab_api, hosts[2])
    for host in hosts[:2]:
        wait_for_ready(lab_api, host.node, ready=False)
    for host in (hosts[0], hosts[2]):
        error = _refused(lab_api, settings, host.node)
        assert error.code == "storm-hosts-answer"
        assert "2 of 3 hosts" in error.message


@pytest.mark.long
def test_a_storm_that_comes_up_after_the_start_stops_the_drain(lab: Lab, lab_api: Api, make_node: MakeNode) -> None:
    """Between the plan and the taint lies the grace: what happens meanwhile is looked at again."""
    hosts = [make_node() for _ in range(6)]
    fail(lab, lab_api, hosts[0])
    settings, node = settings_of(lab), hosts[0].node
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, settings, node, UNATTENDED.model_copy(update={"grace_seconds": 60}))
        _fail_all(lab, lab_api, hosts[1:])
        with pytest.raises(Blocked) as raised:
            running.result(120)
    assert raised.value.code == "storm"
    assert raised.value.changed == ("cordon", "taint runai=drain:NoExecute (intended)")
    spec = node_of(lab_api, node)["spec"]
    assert not [one for one in spec.get("taints", []) if one["key"] == "runai"]
