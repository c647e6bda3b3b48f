"""After a drain the record and the report hold each workload's forecast against what happened to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cluster import api as apis
from cluster import forecast_held, whereabouts
from cluster.errors import Waiting
from cluster.plan import Forecast, Whereabouts
from cluster.record import Record
from lab.api import Api
from lab.layout import Lab
from lab.patience import until
from lab.runai.workloads import Work, training
from tests.control_plane import driving
from tests.control_plane.conftest import MakeNode, MakeObject
from tests.control_plane.driving import UNATTENDED
from tests.control_plane.protocol_settings import SECOND, settings_of
from tests.control_plane.protocol_states import record_of

JSON = dict[str, Any]
HELD = UNATTENDED.model_copy(update={"shut_down": False, "hold": True})
PODS = "/api/v1/namespaces/runai-team-a/pods"


def _moves(name: str, node: str) -> JSON:
    """A training that rather runs on the node, and can run elsewhere."""
    body = training(name, Work(gpus=0, grace_seconds=1))
    rather = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}
    affinity = {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "preference": rather}]}
    body["spec"]["template"]["spec"]["affinity"] = {"nodeAffinity": affinity}
    return body


def _await_running(api: Api, node: str, name: str) -> None:
    def running() -> bool:
        found = api.items(f"{PODS}?fieldSelector=spec.nodeName={node},status.phase=Running")
        return name in {pod["metadata"]["labels"].get("app") for pod in found}

    until(running, seconds=30, what=f"{name} does not run on {node}")


def _by_name(found: tuple[Whereabouts, ...]) -> dict[str, Whereabouts]:
    return {one.workload: one for one in found}


@pytest.mark.timeout(120)
def test_the_report_holds_the_forecast_against_what_happened(
    lab: Lab, lab_api: Api, make_node: MakeNode, make_object: MakeObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = make_node(role="cpu").node
    # The one that must be there first: until it runs the node may count as not ready, and the other goes elsewhere.
    for body in (training("held-waits", Work(node=node, gpus=0, grace_seconds=1)), _moves("held-fits", node)):
        make_object(body)
        _await_running(lab_api, node, body["metadata"]["name"])
    settings = settings_of(lab, drain={"eviction_minutes": 5 * SECOND})
    with pytest.raises(Waiting):
        driving.run(settings, node, HELD)
    written = record_of(lab_api, node)
    assert written is not None
    record = Record.model_validate(written)
    said = {one.name: one.forecast for one in record.workloads}
    assert [_says(said[name]) for name in ("held-fits", "held-waits")] == ["fits-now", "will-wait"]
    assert all(one.forecast is not None and one.forecast.at is not None for one in record.went)

    api = apis.connect(settings.cluster)
    # How long something waits is told after a minute: as if that had passed.
    monkeypatch.setattr(forecast_held, "AT_ONCE", timedelta(seconds=10))

    def held() -> dict[str, str]:
        return {name: one.held for name, one in _by_name(whereabouts.of(api, node, record.workloads)).items()}

    until(lambda: set(held().values()) == {"as-forecast"}, seconds=40, what=lambda: f"it is held so: {held()}")
    now = _by_name(whereabouts.of(api, node, record.workloads))
    assert now["held-fits"].now == "running"
    assert now["held-waits"].now == "waiting"

    # The same things happened, and the opposite was said.
    wrong = {"fits-now": "will-wait", "will-wait": "fits-now"}
    turned = [
        one.model_copy(update={"forecast": Forecast(says=wrong[_says(one.forecast)], at=one.forecast.at)})  # type: ignore[arg-type]
        for one in record.workloads
        if one.forecast is not None
    ]
    marked = _by_name(whereabouts.of(api, node, turned))
    assert marked["held-waits"].held == "worse"
    monkeypatch.setattr(forecast_held, "AT_ONCE", timedelta(seconds=60))
    assert _by_name(whereabouts.of(api, node, turned))["held-fits"].held == "better"
    assert datetime.now(UTC) - record.opened < timedelta(minutes=5)
    driving.abort(settings, node)


def _says(forecast: Forecast | None) -> str:
    assert forecast is not None
    return forecast.says
