"""The API server is killed in the middle, and comes back: the run bears it, or ends with everything resumable."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from cluster.api_errors import Busy
from cluster.errors import LockLost, Unreachable
from lab import control_plane
from lab.api import Api, ApiError
from lab.layout import Lab
from lab.patience import until
from tests.control_plane import driving
from tests.control_plane.conftest import MakeNode
from tests.control_plane.driving import UNATTENDED
from tests.control_plane.protocol_settings import settings_of
from tests.control_plane.protocol_states import ending_of, machine_of, untouched


@pytest.fixture
def restarts(lab: Lab) -> Iterator[list[threading.Thread]]:
    """Threads that restart the API server; at the end it runs, whatever the test did."""
    made: list[threading.Thread] = []
    yield made
    for thread in made:
        thread.join(120)
    assert control_plane.unhealthy(lab) == []


@pytest.mark.parametrize(
    "at",
    [
        "taint",
        "see-off",
        *(pytest.param(step, marks=pytest.mark.long) for step in ("cordon", "see-gone", "see-back", "uncordon")),
    ],
)
def test_run_survives_a_restart_of_the_api_server_or_can_be_resumed(
    lab: Lab, lab_api: Api, make_node: MakeNode, restarts: list[threading.Thread], at: str
) -> None:
    node = make_node().node

    def restart(step: str, _: str) -> None:
        if step == at and not restarts:
            control_plane.stop_apiserver(lab)
            thread = threading.Thread(target=control_plane.start_apiserver, args=(lab,))
            thread.start()
            restarts.append(thread)

    settings = settings_of(lab, cluster={"lock_seconds": 15})
    try:
        driving.run(settings, node, UNATTENDED, restart)
    except (Unreachable, Busy, LockLost):
        restarts[0].join(120)
        until(lambda: answers(lab_api), seconds=60, what="the API server does not answer")
        driving.resume(settings, node)
    assert restarts, "it was never restarted"
    assert untouched(lab_api, node)
    ending = ending_of(lab, lab_api, node)
    assert (ending.phase, ending.in_fleet, ending.power) == ("closed", False, "on")
    assert machine_of(lab, node).powered_off == 1


def answers(api: Api) -> bool:
    try:
        return bool(api.call("GET", "/readyz", seconds=2))
    except ApiError:
        return False
