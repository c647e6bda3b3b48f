"""The workloads of a dead node wait while its machine is asked: what answers nothing for seconds is asked together."""

from __future__ import annotations

import threading

import pytest

from cluster import outage, ssh_probe
from cluster.hosts import Host
from cluster.power import PowerStatus
from cluster.ssh_probe import Probe
from tests.unit.outage_cases import failed
from tests.unit.planning_cases import node, settings


def test_ssh_and_the_power_controller_are_asked_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2, timeout=20)

    class Controller:
        status_kind = "command"

        def status(self, _: Host) -> PowerStatus:
            both.wait()
            return PowerStatus("off")

    def silent(_: Host, __: float) -> Probe:
        both.wait()
        return Probe("silent", "no answer")

    monkeypatch.setattr(outage, "controller", lambda *_: Controller())
    monkeypatch.setattr(ssh_probe, "answers", silent)
    found = node(ready=False)
    found["status"]["addresses"] = [{"type": "InternalIP", "address": "127.0.0.1"}]
    assert outage._machine(settings(), failed(found)) == ("silent", "off")
