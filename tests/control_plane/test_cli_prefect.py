"""The same commands with Prefect: JSON stays alone on standard output, and a signal leaves in order."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from lab.api import Api
from lab.layout import Lab
from lab.patience import until
from lab.power import power
from lab.simulated.control import request
from tests.control_plane.commands import AS_FOUND, LEASES, begun, command, kept
from tests.control_plane.conftest import MakeNode

# The embedded API makes its database at its first start, in each test's own folder.
SECONDS = 240.0
UNATTENDED = ("--yes", "--no-hold", "--interactive", "evict")


@pytest.mark.timeout(900)
def test_run_is_ended_by_a_signal_and_resumed(lab: Lab, lab_api: Api, make_node: MakeNode, tmp_path: Path) -> None:
    host = make_node()
    request(lab, do="fault", node=host.node, fault="poweroff-ignored", present=True)
    process = begun(lab, tmp_path, "run", "planned", host.node, *UNATTENDED)

    def under_way() -> bool:
        found = command(lab, tmp_path, "status", host.node, "--output", "json").document
        assert process.poll() is None, process.communicate()
        return bool(found) and found[0]["now"]["step"] == "see-off"

    try:
        until(under_way, seconds=SECONDS, what="the run to wait for the machine to be off")
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait(10)
    assert process.returncode == 1, err
    assert "Ended by SIGTERM; the lock was released." in err
    assert "Traceback" not in err
    assert lab_api.get(f"{LEASES}/node-{host.node}")["spec"].get("holderIdentity", "") == ""

    request(lab, do="fault", node=host.node, fault="poweroff-ignored", present=False)
    power(lab, host.node, "off")
    ended = command(lab, tmp_path, "resume", host.node, "--output", "json", timeout=SECONDS)
    assert ended.code == 0, ended.err
    assert ended.document["outcome"] == "done"
    assert kept(lab_api, host.node) == AS_FOUND


@pytest.mark.long
@pytest.mark.timeout(900)
def test_waiting_is_exit_4_without_a_traceback_and_abort_ends_it(
    lab: Lab, lab_api: Api, make_node: MakeNode, tmp_path: Path
) -> None:
    host = make_node()
    ended = command(lab, tmp_path, "run", "planned", host.node, "--yes", "--output", "json", timeout=SECONDS)
    assert (ended.error["code"], ended.code) == ("waiting-for-return", 4)
    (status,) = command(lab, tmp_path, "status", host.node, "--output", "json").document
    assert status["flow_run"], "the record names the run"
    ended = command(lab, tmp_path, "abort", host.node, timeout=SECONDS)
    assert ended.code == 0, ended.err
    assert kept(lab_api, host.node) == AS_FOUND
    assert power(lab, host.node, "status") == "on"
