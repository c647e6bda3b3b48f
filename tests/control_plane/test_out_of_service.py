"""While the out-of-service taint stands: the machine comes back, the process dies, the word is revoked."""

from __future__ import annotations

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cluster.errors import Blocked, Failed, Waiting
from lab.api import Api
from lab.layout import Lab
from lab.patience import until
from lab.power import power
from lab.simulated.host import Host
from tests.command_line import arguments, environment
from tests.control_plane.conftest import MakeNode, MakeObject
from tests.control_plane.recovering import (
    OUT,
    fail,
    hold_fast,
    is_there,
    notebook,
    record_of,
    resume,
    run,
    settings_of,
    taints,
    untouched,
    wait_for_ready,
)

# Minutes of it: what must always hold of this procedure is in its other tests.
pytestmark = pytest.mark.long


@pytest.fixture
def host(make_node: MakeNode) -> Host:
    """A GPU node of this test's own."""
    return make_node()


def test_a_machine_that_comes_back_meanwhile_stops_it_loudly(
    lab: Lab, lab_api: Api, host: Host, make_object: MakeObject
) -> None:
    stuck = notebook(lab_api, make_object, host.node)
    hold_fast(lab_api, stuck)
    fail(lab, lab_api, host)
    try:
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(run, settings_of(lab), host.node)
            until(lambda: OUT in taints(lab_api, host.node), seconds=60, what="the out-of-service taint")
            power(lab, host.node, "on")
            with pytest.raises(Failed, match="IS NOT OFF") as raised:
                running.result(60)
        assert (raised.value.code, raised.value.exit_code) == ("host-answers", 1)
        assert OUT not in taints(lab_api, host.node)
        events = lab_api.items("/api/v1/namespaces/default/events")
        loud = [
            one for one in events if one["reason"] == "MachineNotOff" and one["involvedObject"]["name"] == host.node
        ]
        assert [one["type"] for one in loud] == ["Warning"]
        assert not record_of(settings_of(lab), host.node).done("prove-off")
    finally:
        hold_fast(lab_api, stuck, held=False)
    wait_for_ready(lab_api, host.node, ready=True)
    assert resume(settings_of(lab), host.node).phase == "closed"
    assert untouched(lab_api, host.node)


def kill_while_it_stands(lab: Lab, lab_api: Api, host: Host, folder: Path) -> None:
    """Start a recovery in a process of its own, and kill it as soon as the out-of-service taint stands."""
    words = ("run", "unplanned", host.node, "--yes", "--local", "--no-hold", "--grace-seconds", "5")
    variables = environment(
        folder,
        DOWNTIME_CONFIG=str(lab.config),
        DOWNTIME_CLUSTER__LOCK_SECONDS="4",
        DOWNTIME_HOSTS__CONNECT_TIMEOUT="0.5",
        DOWNTIME_DRAIN__STABLE_SECONDS="3",
    )
    output = subprocess.DEVNULL
    process = subprocess.Popen(arguments(*words), cwd=folder, env=variables, stdout=output, stderr=sys.stderr)
    try:
        until(lambda: OUT in taints(lab_api, host.node), seconds=90, what="the out-of-service taint", every=0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(10)


def test_killed_while_it_stands_another_process_proves_anew_and_goes_on(
    lab: Lab, lab_api: Api, host: Host, make_object: MakeObject, tmp_path: Path
) -> None:
    stuck = notebook(lab_api, make_object, host.node)
    hold_fast(lab_api, stuck)
    fail(lab, lab_api, host)
    try:
        kill_while_it_stands(lab, lab_api, host, tmp_path)
    finally:
        hold_fast(lab_api, stuck, held=False)
    assert OUT in taints(lab_api, host.node)
    record = resume(settings_of(lab), host.node)
    assert (record.phase, record.standing()) == ("closed", ())
    assert not is_there(lab_api, stuck)
    assert untouched(lab_api, host.node)


def test_killed_while_it_stands_and_the_machine_switched_on_by_hand_it_is_taken_off_first(
    lab: Lab, lab_api: Api, host: Host, make_object: MakeObject, tmp_path: Path
) -> None:
    stuck = notebook(lab_api, make_object, host.node)
    hold_fast(lab_api, stuck)
    fail(lab, lab_api, host)
    try:
        kill_while_it_stands(lab, lab_api, host, tmp_path)
        power(lab, host.node, "on")
        wait_for_ready(lab_api, host.node, ready=True)
        assert OUT in taints(lab_api, host.node)
        with pytest.raises(Failed, match="IS NOT OFF"):
            resume(settings_of(lab), host.node)
        assert OUT not in taints(lab_api, host.node)
    finally:
        hold_fast(lab_api, stuck, held=False)
    assert resume(settings_of(lab), host.node).phase == "closed"
    assert untouched(lab_api, host.node)


def test_backing_out_after_a_kill_takes_it_off(
    lab: Lab, lab_api: Api, host: Host, make_object: MakeObject, tmp_path: Path
) -> None:
    stuck = notebook(lab_api, make_object, host.node)
    hold_fast(lab_api, stuck)
    fail(lab, lab_api, host)
    try:
        kill_while_it_stands(lab, lab_api, host, tmp_path)
        record = resume(settings_of(lab), host.node, abort=True)
        assert (record.phase, record.standing()) == ("closed", ())
        assert untouched(lab_api, host.node)
    finally:
        hold_fast(lab_api, stuck, held=False)


def test_nothing_is_switched_on_while_somebody_elses_stands(lab: Lab, lab_api: Api, host: Host) -> None:
    fail(lab, lab_api, host)
    taint = {"key": OUT, "value": "nodeshutdown", "effect": "NoExecute"}
    found = lab_api.get(f"/api/v1/nodes/{host.node}")
    lab_api.patch(f"/api/v1/nodes/{host.node}", {"spec": {"taints": [*found["spec"].get("taints", []), taint]}})
    with pytest.raises(Blocked, match="not switched on") as raised:
        run(settings_of(lab), host.node)
    assert raised.value.code == "out-of-service-stands"
    assert power(lab, host.node, "status") == "off"
    assert OUT in taints(lab_api, host.node)


def test_a_machine_whose_power_is_not_known_is_not_released(
    lab: Lab, lab_api: Api, host: Host, make_object: MakeObject
) -> None:
    stuck = notebook(lab_api, make_object, host.node)
    fail(lab, lab_api, host)
    failing = {"power": {"command": settings_of(lab).power.command.model_copy(update={"status": ["/bin/false"]})}}
    with pytest.raises(Waiting) as raised:
        run(settings_of(lab, **failing), host.node)
    assert raised.value.code == "waiting-for-power-off"
    assert is_there(lab_api, stuck)
    assert OUT not in taints(lab_api, host.node)
