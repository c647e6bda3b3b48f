"""A machine that comes back is what it was: nothing of the administrator's is lost, nothing of others is copied."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster import belongings, restoration, taints
from cluster.errors import Misused
from cluster.node import Object
from cluster.restoration import DEFAULT_ROLES, Kept, to_keep, to_restore

COPIED = {
    "node-role.kubernetes.io/runai-gpu-worker": "true",
    "node-role.kubernetes.io/runai-system": "",
    "node-role.kubernetes.io/runai-mig-enabled": "true",
    "run.ai/type": "DGX",
    "rack": "7",
    "pool.example.org/kind": "a100",
    "topology.kubernetes.io/zone": "hall-2",
    "nvidia.com/mig.config": "all-1g.5gb",
    "nvidia.com/gpu.workload.config": "container",
    "nvidia.com/device-plugin.config": "shared",
}
OF_OTHERS = {
    "runai/node-pool": "default",
    "feature.node.kubernetes.io/cpu-cpuid.AVX512F": "true",
    "nvidia.com/gpu.product": "A100",
    "nvidia.com/gpu.count": "8",
    "nvidia.com/gpu.memory": "81920",
    "nvidia.com/gpu.present": "true",
    "nvidia.com/gpu.deploy.driver": "true",
    "nvidia.com/gpu.deploy.device-plugin": "paused-for-driver-upgrade",
    "nvidia.com/mig.config.state": "success",
    "nvidia.com/mig-1g.5gb.count": "7",
    "nvidia.com/cuda.driver.major": "550",
    "nvidia.com/gfd.timestamp": "1",
    "kubernetes.io/arch": "amd64",
    "kubernetes.io/os": "linux",
    "kubernetes.io/hostname": "gpu-1",
    "beta.kubernetes.io/arch": "amd64",
    "node.kubernetes.io/instance-type": "k3s",
    "node-role.kubernetes.io/control-plane": "",
    "node-role.kubernetes.io/master": "",
    "runai-downtime/anything": "x",
}
COPIED_NOTES = {"owner.example.org/contact": "ada", "projectcalico.org/RouteReflectorClusterID": "244.0.0.1"}
NOTES_OF_OTHERS = {
    "runai-downtime/owns": "{}",
    "kubeadm.alpha.kubernetes.io/cri-socket": "unix:///run/containerd/containerd.sock",
    "node.alpha.kubernetes.io/ttl": "0",
    "volumes.kubernetes.io/controller-managed-attach-detach": "true",
    "csi.volume.kubernetes.io/nodeid": "{}",
    "alpha.kubernetes.io/provided-node-ip": "10.0.0.1",
    "projectcalico.org/IPv4Address": "10.0.0.1/24",
    "flannel.alpha.coreos.com/backend-data": "{}",
}
COPIED_TAINTS: tuple[dict[str, str], ...] = (
    {"key": "team", "value": "a", "effect": "NoSchedule"},
    {"key": "nvidia.com/gpu", "effect": "NoSchedule"},
    {"key": "runai", "value": "reserved", "effect": "NoSchedule"},
)
TAINTS_OF_OTHERS: tuple[dict[str, str], ...] = (
    {"key": "runai", "value": "drain", "effect": "NoExecute"},
    {"key": "runai", "value": "drain", "effect": "NoSchedule"},
    {"key": "runai-downtime/joining", "effect": "NoSchedule"},
    {"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"},
    {"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"},
    {"key": "node.kubernetes.io/unreachable", "effect": "NoSchedule"},
    {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"},
    {"key": "node.kubernetes.io/disk-pressure", "effect": "NoSchedule"},
    {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"},
)


def _node(labels: dict[str, str] | None = None, found: tuple[dict[str, str], ...] = (), **notes: str) -> Object:
    return {
        "metadata": {"name": "gpu-1", "labels": labels or {}, "annotations": notes},
        "spec": {"taints": list(found)},
    }


def test_exactly_the_administrators_things_are_kept() -> None:
    kept = to_keep({**COPIED, **OF_OTHERS}, {**COPIED_NOTES, **NOTES_OF_OTHERS}, (*TAINTS_OF_OTHERS, *COPIED_TAINTS))
    assert kept.labels == COPIED
    assert kept.annotations == COPIED_NOTES
    assert kept.taints == COPIED_TAINTS
    assert Kept.model_validate_json(kept.model_dump_json()) == kept


def test_the_time_at_which_a_taint_was_set_is_not_kept() -> None:
    taint: dict[str, Any] = {**COPIED_TAINTS[0], "timeAdded": "2026-11-24T08:46:22Z"}
    assert to_keep({}, {}, [taint]).taints == COPIED_TAINTS[:1]


def test_all_of_it_is_restored_on_a_fresh_node() -> None:
    kept = to_keep(COPIED, COPIED_NOTES, COPIED_TAINTS)
    fresh = _node({"kubernetes.io/hostname": "gpu-1"}, (taints.JOINING,))
    changes = to_restore(kept, "", DEFAULT_ROLES, fresh)
    after = restoration.restored(fresh, changes)
    assert after["metadata"]["labels"] == {**COPIED, "kubernetes.io/hostname": "gpu-1"}
    assert after["metadata"]["annotations"] == COPIED_NOTES
    assert after["spec"]["taints"] == [taints.JOINING, *COPIED_TAINTS]
    assert changes.left == ()
    assert "label rack=7" in changes.lines()
    assert "taint team=a:NoSchedule" in changes.lines()
    assert fresh["spec"]["taints"] == [taints.JOINING]


def test_the_joining_taint_goes_and_nothing_else() -> None:
    node = _node(found=(COPIED_TAINTS[0], taints.JOINING, TAINTS_OF_OTHERS[4]))
    assert restoration.without_joining_taint(node)["spec"]["taints"] == [COPIED_TAINTS[0], TAINTS_OF_OTHERS[4]]
    clean = _node(found=COPIED_TAINTS)
    assert restoration.without_joining_taint(clean) is clean


def test_what_somebody_set_after_the_join_stays_and_is_named() -> None:
    kept = Kept(labels={"rack": "7", "row": "2"}, annotations={"note": "old"}, taints=COPIED_TAINTS[:1])
    node = _node({"rack": "8"}, ({**COPIED_TAINTS[0], "value": "b"},), note="new")
    changes = to_restore(kept, "", DEFAULT_ROLES, node)
    assert (changes.labels, changes.annotations, changes.taints) == ({"row": "2"}, {}, ())
    assert changes.left == ("label rack", "annotation note")
    assert restoration.restored(node, changes)["metadata"]["labels"] == {"rack": "8", "row": "2"}


def test_the_two_ways_to_write_a_role_are_the_same() -> None:
    key = "node-role.kubernetes.io/runai-system"
    assert to_restore(Kept(labels={key: "true"}), "", DEFAULT_ROLES, _node({key: ""})).left == ()


@pytest.mark.parametrize("role", sorted({*DEFAULT_ROLES} - {"control-plane"}))
def test_a_new_machine_gets_the_role_that_was_asked_for(role: str) -> None:
    changes = to_restore(None, role, DEFAULT_ROLES, _node())
    assert changes.labels == {f"node-role.kubernetes.io/runai-{role}": "true"}


def test_roles_of_the_configuration_have_as_many_labels_as_it_says() -> None:
    roles = {"mig": {"node-role.kubernetes.io/runai-gpu-worker": "true", "nvidia.com/mig.config": "all-1g.5gb"}}
    assert to_restore(None, "mig", roles, _node()).labels == roles["mig"]
    with pytest.raises(Misused, match="no role"):
        to_restore(None, "system", roles, _node())


def test_another_role_replaces_the_one_it_had_and_nothing_else() -> None:
    kept = to_keep(COPIED, {}, ())
    labels = to_restore(kept, "cpu-worker", DEFAULT_ROLES, _node()).labels
    assert [key for key in labels if "node-role" in key] == ["node-role.kubernetes.io/runai-cpu-worker"]
    assert labels["rack"] == "7"


def test_a_new_machine_without_a_role_and_an_unknown_role_are_refused() -> None:
    with pytest.raises(Misused) as nothing:
        to_restore(None, "", {}, _node())
    assert nothing.value.code == "no-role"
    assert "system" in nothing.value.remedy
    with pytest.raises(Misused) as unknown:
        to_restore(Kept(), "worker", {}, _node())
    assert unknown.value.code == "unknown-role"


def test_a_control_plane_node_is_never_made_a_system_node() -> None:
    master = _node({"node-role.kubernetes.io/control-plane": ""})
    with pytest.raises(Misused) as caught:
        to_restore(None, "system", DEFAULT_ROLES, master)
    assert caught.value.code == "role-on-control-plane"


KEYS = st.sampled_from([*COPIED, *OF_OTHERS, "a", "b/c"]) | st.text(max_size=20)
TEXTS = st.dictionaries(KEYS, st.sampled_from(["", "true", "x"]), max_size=6)
NOTES = st.dictionaries(st.sampled_from([*COPIED_NOTES, *NOTES_OF_OTHERS, "n"]), st.just("v"), max_size=4)
TAINTS = st.lists(st.sampled_from([*COPIED_TAINTS, *TAINTS_OF_OTHERS]), max_size=5)


@given(TEXTS, NOTES, TAINTS, TEXTS, TAINTS)
def test_restoring_only_adds_never_what_is_of_others_and_once(
    labels: dict[str, str],
    notes: dict[str, str],
    old: list[dict[str, str]],
    now: dict[str, str],
    standing: list[dict[str, str]],
) -> None:
    kept = Kept(labels=labels, annotations=notes, taints=tuple(old))  # as a careless older version might have
    node = _node(now, restoration.to_keep({}, {}, standing).taints)
    changes = to_restore(kept, "", DEFAULT_ROLES, node)
    after = restoration.restored(node, changes)
    assert not any(key in OF_OTHERS for key in changes.labels)
    assert not any(key in NOTES_OF_OTHERS for key in changes.annotations)
    assert not any(one in TAINTS_OF_OTHERS for one in changes.taints)
    assert all(after["metadata"]["labels"][key] == value for key, value in now.items())
    assert after["spec"]["taints"][: len(node["spec"]["taints"])] == node["spec"]["taints"]
    assert not to_restore(kept, "", DEFAULT_ROLES, after)
    assert all(belongings.is_administrators_label(key) for key in changes.labels)
