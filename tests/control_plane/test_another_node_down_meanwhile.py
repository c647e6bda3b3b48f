"""A part of the service that fails on another node while one is in maintenance is not blamed on this downtime.

(A node that is not Ready is no problem of that kind: the DaemonSets' controller does not want its pods any more.)
"""

from __future__ import annotations

from lab.api import Api
from lab.layout import Lab
from lab.patience import until
from tests.control_plane import driving
from tests.control_plane.conftest import MakeNode
from tests.control_plane.protocol_settings import settings_of

TOOLKIT = "/apis/apps/v1/namespaces/runai/daemonsets/runai-container-toolkit"
PODS = "/api/v1/namespaces/runai/pods"


def test_a_daemonsets_pod_that_fails_on_another_node_does_not_keep_the_downtime_open(
    lab: Lab, lab_api: Api, make_node: MakeNode
) -> None:
    node, other = make_node().node, make_node().node
    until(lambda: _missing(lab_api) == 0, seconds=60, what="the DaemonSet does not run on every node")

    def fail(step: str, text: str) -> None:
        if step == "uncordon" and text == "begins":
            _fail_toolkit(lab_api, other)
            until(lambda: _missing(lab_api) == 1, seconds=60, what="the other node's pod is not missed")

    record = driving.run(settings_of(lab), node, say=fail)
    assert record.phase == "closed"
    proof = record.steps["see-service"].proof
    assert f"runai/DaemonSet/runai-container-toolkit lacks pods on other nodes: {other}" in proof


def _fail_toolkit(api: Api, node: str) -> None:
    here = api.items(f"{PODS}?fieldSelector=spec.nodeName={node}&labelSelector=app=runai-container-toolkit")
    path = f"{PODS}/{here[0]['metadata']['name']}"
    api.patch(path, {"metadata": {"annotations": {"lab/unready": "true"}}})
    failing = {"conditions": [{"type": "Ready", "status": "False"}]}
    api.patch(f"{path}/status", {"status": failing}, "strategic-merge")


def _missing(api: Api) -> int:
    status = api.get(TOOLKIT)["status"]
    return int(status["desiredNumberScheduled"]) - int(status.get("numberReady", 0))
