"""What a pod asks for is counted as the scheduler counts it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster import pod_requests
from cluster.node import Object


def _container(cpu: str = "", *, limit: str = "", always: bool = False, more: dict[str, str] | None = None) -> Object:
    requests = {**({"cpu": cpu} if cpu else {}), **(more or {})}
    found: Object = {"resources": {"requests": requests, "limits": {"cpu": limit} if limit else {}}}
    return {**found, "restartPolicy": "Always"} if always else found


def _cpu(containers: list[Object], init: list[Object] | None = None, **spec: Any) -> float:
    return float(pod_requests.of({"spec": {"containers": containers, "initContainers": init or [], **spec}})["cpu"])


def test_containers_together() -> None:
    assert _cpu([_container("500m"), _container("1")]) == 1.5


def test_the_largest_init_container_where_it_is_more() -> None:
    assert _cpu([_container("1")], [_container("3"), _container("2")]) == 3
    assert _cpu([_container("4")], [_container("3")]) == 4


def test_sidecars_run_beside_what_starts_after_them_and_for_good() -> None:
    sidecar = _container("1", always=True)
    assert _cpu([_container("1")], [sidecar]) == 2
    assert _cpu([_container("1")], [sidecar, _container("3")]) == 4
    assert _cpu([_container("1")], [_container("3"), sidecar]) == 3
    assert _cpu([_container("1")], [sidecar, sidecar, _container("5")]) == 7


def test_limits_stand_in_for_requests_that_are_left_out() -> None:
    assert _cpu([_container(limit="2")]) == 2
    assert _cpu([_container("1", limit="2")]) == 1


def test_the_whole_pods_requests_and_the_overhead() -> None:
    assert _cpu([_container("1")], resources={"requests": {"cpu": "3"}}) == 3
    assert _cpu([_container("1")], overhead={"cpu": "250m"}) == 1.25


def test_other_resources_and_the_place_of_a_pod() -> None:
    found = pod_requests.of({"spec": {"containers": [_container("1", more={"nvidia.com/gpu": "2", "memory": "1Gi"})]}})
    assert {key: int(value) for key, value in found.items()} == {
        "cpu": 1,
        "memory": 2**30,
        "nvidia.com/gpu": 2,
        "pods": 1,
    }
    assert pod_requests.of({}) == {"pods": 1}


def test_what_cannot_be_read_is_said() -> None:
    with pytest.raises(ValueError, match="quantity"):
        pod_requests.of({"spec": {"containers": [_container("many")]}})
    with pytest.raises(ValueError, match="quantity"):
        pod_requests.allocatable({"status": {"allocatable": {"cpu": ""}}})


CONTAINERS = st.lists(
    st.builds(lambda milli, always: _container(f"{milli}m", always=always), st.integers(0, 4000), st.booleans()),
    max_size=4,
)


@given(CONTAINERS, CONTAINERS, st.integers(0, 4000))
def test_one_more_container_never_asks_for_less(main: list[Object], init: list[Object], milli: int) -> None:
    before, more = _cpu([*main, _container("0")], init), _container(f"{milli}m")
    assert _cpu([*main, more], init) >= before
    assert _cpu([*main, _container("0")], [*init, more]) >= before
