"""Node plugins of volumes are known by where they meet the kubelet, and only those that the drain would take away."""

from __future__ import annotations

from typing import Any

import pytest

from cluster import csi_plugins
from cluster.node import Object
from tests.unit.pod_objects import DRAIN_FOR_EVER, owner, pod


def plugin(path: str = "/var/lib/kubelet/plugins/csi.example.org", **more: Any) -> Object:
    """A pod of a DaemonSet with the socket of a driver, as their manifests have it."""
    volumes = [{"name": "socket", "hostPath": {"path": path}}, {"name": "scratch", "emptyDir": {}}]
    return pod(
        **{"name": "csi-x", "namespace": "storage", "top": owner("DaemonSet", "csi"), "volumes": volumes, **more}
    )


@pytest.mark.parametrize(
    "path",
    [
        "/var/lib/kubelet/plugins/csi.example.org/",
        "/var/lib/kubelet/plugins",
        "/var/lib/kubelet/plugins_registry/",
        "/var/lib/k0s/kubelet/plugins/csi.example.org",
        "/somewhere/else/plugins_registry",
    ],
)
def test_pod_of_a_daemon_set_with_a_drivers_socket_is_one(path: str) -> None:
    assert csi_plugins.names([plugin(path)]) == ("storage/csi-x",)


@pytest.mark.parametrize(
    "path",
    [
        "/var/lib/kubelet/device-plugins",
        "/var/lib/kubelet/pods",
        "/opt/plugins",
        "/var/lib/kubelet/plugins-of-mine",
        "/",
    ],
)
def test_what_meets_the_kubelet_elsewhere_is_none(path: str) -> None:
    assert csi_plugins.names([plugin(path)]) == ()


def test_registrar_tells_it_where_the_kubelets_folder_is_unusual() -> None:
    argument = "--kubelet-registration-path=/data/k/p/csi.sock"
    found = plugin("/data/k/p", containers=[{"name": "registrar", "args": ["--v=2", argument]}, {"name": "driver"}])
    assert csi_plugins.names([found]) == ("storage/csi-x",)


@pytest.mark.parametrize(
    "found",
    [plugin(tolerations=[DRAIN_FOR_EVER]), plugin(tolerations=[{"operator": "Exists"}]), plugin(top=None)],
    ids=["tolerates it", "tolerates everything", "of no DaemonSet"],
)
def test_one_that_stays_or_is_evicted_with_the_others_is_no_reason(found: Object) -> None:
    assert csi_plugins.names([found]) == ()


def test_one_that_tolerates_the_taint_for_a_while_goes_as_well() -> None:
    assert csi_plugins.names([plugin(tolerations=[{**DRAIN_FOR_EVER, "tolerationSeconds": 60}])])


@pytest.mark.parametrize("volumes", [None, "x", [None], [{"hostPath": None}], [{"hostPath": {"path": 5}}]])
def test_strange_pods_raise_nothing(volumes: Any) -> None:
    assert csi_plugins.names([plugin(volumes=volumes, containers=[{"args": "x", "command": [None]}])]) == ()
