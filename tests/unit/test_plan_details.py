"""Details of a plan that the cluster does not tell: the plan stands, and says what is not known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest

from cluster import plan_details, planned
from cluster.api import Api
from cluster.errors import Blocked
from cluster.node import Object
from cluster.options import PlannedOptions
from cluster.plan import Plan
from tests.unit.planning_cases import observation, settings
from tests.unit.pod_objects import owner, pod

VOLUMES = "/api/v1/persistentvolumes"
PODS = "/api/v1/namespaces/runai-team-a/pods"
CLAIM = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}


class Refusing:
    """An API that does not let these lists be read."""

    def __init__(self, *paths: str) -> None:
        self.paths = paths

    def iterate(self, path: str, **_: Any) -> Iterator[Object]:
        if path in self.paths:
            raise Blocked("forbidden", f"The API server does not let this user list {path}", "Ask an administrator.")
        return iter(())


def told(*paths: str) -> Plan:
    works = pod("gang-0", namespace="runai-team-a", top=owner("PyTorchJob", "gang"), volumes=[CLAIM])
    seen = observation(pods=(works,))
    made = planned.plan(seen, PlannedOptions(), settings(), None)
    return plan_details.of(cast(Api, cast(Any, Refusing(*paths))), seen, made)


def unknown(made: Plan) -> list[str]:
    return [one.message for one in made.warnings if one.code == "details-unknown"]


def test_a_cluster_that_tells_all_leaves_nothing_unknown() -> None:
    assert unknown(told()) == []


@pytest.mark.parametrize(("path", "what"), [(PODS, "on other nodes"), (VOLUMES, "on this node alone")])
def test_what_may_not_be_read_is_said_to_be_unknown_and_the_rest_is_told(path: str, what: str) -> None:
    made = told(path)
    (said,) = unknown(made)
    assert what in said
    assert f"does not let this user list {path}" in said
    assert [one.name for one in made.workloads] == ["gang"]
    assert (made.workloads[0].elsewhere is None) == (path == PODS)
