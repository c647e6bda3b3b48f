"""A node of a test's own, and researchers' work that runs on it: what tests of drains and evictions begin with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lab.api import Api
from lab.patience import until
from lab.runai.workloads import Work
from tests.control_plane.conftest import MakeNode, MakeObject

JSON = dict[str, Any]
Pods = Callable[[], dict[str, JSON]]
Runs = Callable[[JSON], str]
NAMESPACE = "runai-team-a"


@pytest.fixture(name="node")
def cpu_node(make_node: MakeNode) -> str:
    """A node without GPUs: no pod of the service is on it, whose grace period would set the pace."""
    return make_node(role="cpu").node


@pytest.fixture(name="pods")
def pods_there(lab_api: Api, node: str) -> Pods:
    """The researchers' pods on the node, by name."""

    def find() -> dict[str, JSON]:
        found = lab_api.items(f"/api/v1/namespaces/{NAMESPACE}/pods?fieldSelector=spec.nodeName={node}")
        return {pod["metadata"]["name"]: pod for pod in found}

    return find


@pytest.fixture(name="runs")
def running_there(node: str, make_object: MakeObject, pods: Pods) -> Runs:
    """Makes a workload, waits until a pod of it runs on the node (or has finished there), and tells that pod's name."""

    def make(body: JSON) -> str:
        name = body["metadata"]["name"]
        make_object(body)

        def there() -> list[str]:
            return [
                found
                for found, pod in pods().items()
                if found.startswith(name) and pod["status"].get("phase") in ("Running", "Succeeded")
            ]

        until(there, seconds=30, what=f"{name} does not run on {node}")
        return there()[0]

    return make


def work(node: str, **choices: Any) -> Work:
    """Work that is bound to the node, and goes quickly."""
    return Work(node=node, **{"grace_seconds": 1, "gpus": 0, **choices})
