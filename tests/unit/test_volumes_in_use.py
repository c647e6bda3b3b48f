"""Only volumes that need a node plugin which goes with the taint are waited for before it."""

from __future__ import annotations

from typing import Any

import pytest

from cluster import csi_plugins, volumes_in_use
from cluster.node import Object
from tests.unit.pod_objects import DRAIN_FOR_EVER
from tests.unit.test_csi_plugins import plugin

MINE, OTHER = "csi.example.org", "driver.longhorn.io"


def node(*names: str) -> Object:
    return {"metadata": {"name": "gpu-1"}, "status": {"volumesInUse": list(names)}}


def test_a_volume_whose_plugin_stays_is_not_waited_for() -> None:
    found = node(f"kubernetes.io/csi/{MINE}^vol-1", f"kubernetes.io/csi/{OTHER}^vol-2", "kubernetes.io/nfs/x")
    goes, stays = plugin(), plugin(f"/var/lib/kubelet/plugins/{OTHER}", tolerations=[DRAIN_FOR_EVER])
    assert volumes_in_use.needed(found, [goes, stays]) == {f"{MINE}^vol-1"}
    assert volumes_in_use.needed(found, [stays]) == {f"{MINE}^vol-1"}, "nobody tells whose it is: it is waited for"
    both = plugin(f"/var/lib/kubelet/plugins/{MINE}", tolerations=[DRAIN_FOR_EVER])
    assert volumes_in_use.needed(found, [both, stays]) == set()


def test_a_driver_is_told_by_the_place_of_its_socket_and_by_no_part_of_its_name() -> None:
    assert csi_plugins.serves([plugin(f"/var/lib/kubelet/plugins/{MINE}/")], MINE)
    argument = f"--kubelet-registration-path=/var/lib/kubelet/plugins/{OTHER}/csi.sock"
    assert csi_plugins.serves([plugin("/x", containers=[{"args": [argument]}])], OTHER)
    assert not csi_plugins.serves([plugin(f"/var/lib/kubelet/plugins/{MINE}.more")], MINE)


@pytest.mark.parametrize("said", [None, "x", {}, [None, 5]])
def test_a_strange_status_names_none(said: Any) -> None:
    assert volumes_in_use.in_use({"metadata": {}, "status": {"volumesInUse": said}}) == set()
