"""Which pods a drain takes away is read from their tolerations as the real taint eviction controller reads them."""

from __future__ import annotations

from typing import Any

from cluster import names
from cluster import pods as pod_
from lab.api import Api as LabApi
from lab.patience import until
from lab.runai.workloads import Work, bare_pod
from tests.control_plane.conftest import MakeNode, MakeObject

TEAM = "runai-team-a"
DRAIN = {"key": names.DRAIN_KEY, "value": names.DRAIN_VALUE, "effect": names.DRAIN_EFFECT}
EXACT = {"key": "runai", "operator": "Equal", "value": "drain", "effect": "NoExecute"}
SHORT = {**EXACT, "tolerationSeconds": 1}
TOLERATIONS: dict[str, list[dict[str, Any]]] = {
    "none": [],
    "exact": [EXACT],
    "everything": [{"operator": "Exists"}],
    "key-only": [{"key": "runai", "operator": "Exists"}],
    "other-effect": [{**EXACT, "effect": "NoSchedule"}],
    "other-value": [{**EXACT, "value": "other"}],
    "no-value": [{"key": "runai", "operator": "Equal", "effect": "NoExecute"}],
    "short": [SHORT],
    "ever-then-short": [EXACT, SHORT],
    "short-then-ever": [SHORT, EXACT],
    "negative": [{**EXACT, "tolerationSeconds": -1}],
}


def test_the_controller_takes_away_exactly_the_pods_that_must_go(
    lab_api: LabApi, make_node: MakeNode, make_object: MakeObject
) -> None:
    node = make_node().node
    for name, tolerations in TOLERATIONS.items():
        body = bare_pod(f"tolerates-{name}", Work(node=node, gpus=0, grace_seconds=0))
        # The default ones for not-ready and unreachable are added by admission, after these.
        body["spec"]["tolerations"] = tolerations
        make_object(body)
    selector = f"/api/v1/pods?fieldSelector=spec.nodeName={node}"

    def here() -> list[dict[str, Any]]:
        return [pod for pod in lab_api.items(selector) if pod_.name(pod).startswith("tolerates-")]

    pods = until(lambda: here() if len(here()) == len(TOLERATIONS) else [], seconds=30, what="pods are missing")
    stay = {pod_.name(pod) for pod in pods if not pod_.must_go(pod)}
    assert stay == {f"tolerates-{name}" for name in ("exact", "everything", "key-only", "ever-then-short")}
    lab_api.patch(f"/api/v1/nodes/{node}", {"spec": {"taints": [DRAIN]}})

    def left() -> set[str]:
        return {pod_.name(pod) for pod in here()}

    until(lambda: left() <= stay, seconds=60, what=lambda: f"{left() - stay} were not taken away")
    assert left() == stay
