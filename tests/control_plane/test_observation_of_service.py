"""The health of the Run:ai service as the real controllers report it."""

from __future__ import annotations

import pytest

from cluster import service
from cluster.api import Api, connect
from cluster.config import load
from lab.layout import Lab
from lab.patience import until
from tests.control_plane.conftest import MakeObject


@pytest.fixture
def api(lab: Lab) -> Api:
    return connect(load(lab.config).cluster, patience=10)


def test_a_part_of_the_service_without_its_pod_is_degraded_and_worse_than_before(
    api: Api, make_object: MakeObject
) -> None:
    labels = {"app": "extra"}
    nowhere = {"lab/no-such-node": "true"}
    before = service.gather(api)
    assert service.degraded(before) == []
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "extra", "namespace": "runai"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"nodeSelector": nowhere, "containers": [{"name": "extra", "image": "localhost/none"}]},
            },
        },
    }
    make_object(body)
    expected = "runai/Deployment/extra has 0 of 1"
    (ill,) = until(
        lambda: [one for one in [service.gather(api)] if expected in one.not_ready],
        seconds=20,
        what="the deployment is not in the service's health",
    )
    assert service.degraded(ill) == [f"{expected} pods ready"]
    # What was not there before cannot have become worse; what disappears has.
    assert service.worse(before, ill) == []
    assert service.worse(ill, before) == ["runai/Deployment/extra is gone"]
