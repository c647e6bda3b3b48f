"""The pod that tries a GPU, where taints of others stand on its node, and where the run that waits for it is killed."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from lab.api import Api
from lab.layout import Lab
from lab.patience import until
from lab.runai.service import FOR_GOOD
from tests.control_plane import driven_processes, driving
from tests.control_plane.conftest import MakeNode
from tests.control_plane.protocol_settings import LOCK_SECONDS, settings_of
from tests.control_plane.protocol_states import cordoned, node_of, untouched

JSON = dict[str, Any]
PODS = "/api/v1/namespaces/runai-downtime/pods"
USED = "a pod that asks for one nvidia.com/gpu could use it"


@pytest.fixture
def node(make_node: MakeNode) -> str:
    return make_node().node


def there(api: Api, node: str) -> list[JSON]:
    """The product's own pods on the node."""
    return [pod for pod in api.items(PODS) if pod["spec"]["nodeName"] == node]


def test_smoke_pod_runs_on_a_node_from_which_taints_of_others_keep_all_pods_away(
    lab: Lab, lab_api: Api, node: str
) -> None:
    others = [
        {"key": FOR_GOOD, "value": "anna", "effect": "NoExecute"},
        {"key": "team", "value": "a", "effect": "NoSchedule"},
    ]
    lab_api.patch(f"/api/v1/nodes/{node}", {"spec": {"taints": others}})
    agents = f"/api/v1/namespaces/runai/pods?fieldSelector=spec.nodeName={node}"
    until(lambda: not lab_api.items(agents), seconds=40, what="the taint to evict what does not tolerate it")

    settings = settings_of(lab, checks={"smoke_pod": "localhost/kube/smoke-ends:1"})
    record = driving.run(settings, node)
    assert USED in record.steps["see-gpus"].proof
    assert there(lab_api, node) == []
    assert untouched(lab_api, node)
    assert [taint["key"] for taint in node_of(lab_api, node)["spec"]["taints"]] == [FOR_GOOD, "team"]


def test_smoke_pod_of_a_run_that_is_killed_is_gone_before_the_next_one_and_the_node_stays_cordoned_until_then(
    lab: Lab, lab_api: Api, node: str, tmp_path: Path
) -> None:
    variables = {
        "DOWNTIME_CONFIG": str(lab.config),
        "DOWNTIME_CLUSTER__LOCK_SECONDS": str(LOCK_SECONDS),
        "DOWNTIME_CHECKS__SMOKE_POD": "localhost/kube/smoke-waits:1",
    }
    run = driven_processes.start(["run", node], tmp_path / "run.log", variables)

    def waits() -> bool:
        assert run.alive, run.said
        return [pod["status"].get("phase") for pod in there(lab_api, node)] == ["Running"]

    until(waits, seconds=90, what="its smoke pod to run")
    run.signal(signal.SIGKILL)
    assert run.wait().status == -signal.SIGKILL
    assert len(there(lab_api, node)) == 1
    assert cordoned(lab_api, node)

    before: list[list[str]] = []

    def say(step: str, text: str) -> None:
        if step == "see-gpus" and text.startswith("a pod of"):
            before.append([pod["metadata"]["uid"] for pod in there(lab_api, node)])

    settings = settings_of(lab, checks={"smoke_pod": "localhost/kube/smoke-ends:1"})
    record = driving.resume(settings, node, say)
    assert before == [[]]
    assert USED in record.steps["see-gpus"].proof
    assert there(lab_api, node) == []
    assert untouched(lab_api, node)
