"""A measurement beside Kubernetes needs its slow failure detection; tests must not wait a minute for a dead node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from lab import kubeadm, state
from lab.layout import Lab
from lab.machines import Machine

SHORTENED = {"nodeStatusUpdateFrequency", "nodeStatusReportFrequency", "nodeLeaseDurationSeconds"}


@pytest.mark.parametrize("default", [True, False])
def test_only_a_lab_that_is_asked_to_notices_failures_as_late_as_kubernetes_does(
    monkeypatch: pytest.MonkeyPatch, default: bool
) -> None:
    given: list[Mapping[str, Any]] = []
    monkeypatch.setattr(state, "read", lambda _: {"spec": {"default_detection": default}})
    monkeypatch.setattr(kubeadm, "_kubeadm", lambda *arguments: given.extend(arguments[3]))
    monkeypatch.setattr(kubeadm, "copy_out", lambda *_: None)
    master = Machine("master-1", "master-1", "control-plane", "127.0.0.1", "10.244.0.0/24")
    kubeadm.init(Lab("none"), [master], "token", "key")
    kubelet = next(one for one in given if one["kind"] == "KubeletConfiguration")
    cluster = next(one for one in given if one["kind"] == "ClusterConfiguration")
    flags = {one["name"] for one in cluster["controllerManager"]["extraArgs"]}
    assert (SHORTENED & set(kubelet)) == (set() if default else SHORTENED)
    assert ("node-monitor-grace-period" in flags) != default
