"""What moves stays in its node pool: the forecast knows the pools, and the scheduler agrees with it."""

from __future__ import annotations

import pytest

from cluster import api as apis
from cluster import planning
from cluster.errors import Waiting
from cluster.plan import Forecast
from lab.api import Api
from lab.layout import Lab
from lab.patience import until
from lab.runai.workloads import Work, training
from tests.control_plane import driving
from tests.control_plane.conftest import MakeNode, MakeObject
from tests.control_plane.driving import UNATTENDED
from tests.control_plane.protocol_settings import settings_of

HOLDING = UNATTENDED.model_copy(update={"shut_down": False, "hold": True})
PODS = "/api/v1/namespaces/runai-team-a/pods"
POOL = "a100"


def forecast(lab: Lab, node: str) -> Forecast:
    settings = settings_of(lab)
    _, plan = planning.plan(apis.connect(settings.cluster), settings, node, HOLDING)
    found = {one.name: one.forecast for one in plan.workloads}["pooled"]
    assert found is not None
    return found


def where(api: Api) -> set[str]:
    found = api.items(f"{PODS}?labelSelector=release=pooled&fieldSelector=status.phase=Running")
    return {pod["spec"]["nodeName"] for pod in found}


@pytest.mark.timeout(180)
def test_room_outside_of_its_node_pool_is_no_room_for_a_workload(
    lab: Lab, lab_api: Api, make_node: MakeNode, make_object: MakeObject
) -> None:
    node = make_node(pool=POOL).node
    make_node(pool="h100")
    make_object(training("pooled", Work(gpus=8, grace_seconds=1, pool=POOL)))
    until(lambda: where(lab_api) == {node}, seconds=30, what="it does not run in its pool")
    alone = forecast(lab, node)
    assert alone.says == "will-wait"
    assert f"outside of its node pool {POOL}" in alone.why
    other = make_node(pool=POOL).node
    # A new node carries the taint of one that is not ready for a moment.
    until(lambda: forecast(lab, node).says == "fits-now", seconds=30, what=lambda: forecast(lab, node).why)
    with pytest.raises(Waiting, match="out of service"):
        driving.run(settings_of(lab), node, HOLDING)
    until(lambda: where(lab_api) == {other}, seconds=30, what="it does not run on the other node of its pool")
    driving.abort(settings_of(lab), node)
