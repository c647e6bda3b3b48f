"""What kubeadm is given to join with: a node that nothing lands on before its labels are back."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cluster.errors import Blocked, Misused
from cluster.join_command import JoinCommand
from cluster.join_configuration import Registration, api_version, render

HASHES = (f"sha256:{'a1' * 32}", f"sha256:{'b2' * 32}")
WORKER = JoinCommand("10.90.0.11:6443", "abc123.0123456789abcdef", HASHES)
MASTER = JoinCommand("cp:6443", "abc123.0123456789abcdef", HASHES, "c3" * 32)
JOINING = {"key": "runai-downtime/joining", "effect": "NoSchedule"}
CONTROL_PLANE = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}


def _read(command: JoinCommand, how: Registration, version: str = "v1.34.4") -> Any:
    return yaml.safe_load(render(command, how, api_version(version)))


def test_a_worker() -> None:
    found = _read(WORKER, Registration("gpu-1", cri_socket="unix:///run/containerd/containerd.sock"))
    assert found == {
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "JoinConfiguration",
        "discovery": {
            "bootstrapToken": {
                "apiServerEndpoint": "10.90.0.11:6443",
                "token": "abc123.0123456789abcdef",
                "caCertHashes": list(HASHES),
            }
        },
        "nodeRegistration": {
            "name": "gpu-1",
            "taints": [JOINING],
            "criSocket": "unix:///run/containerd/containerd.sock",
        },
    }


def test_a_control_plane_node_keeps_its_taint_since_the_list_replaces_the_default() -> None:
    found = _read(MASTER, Registration("master-2", advertise_address="10.90.0.12"))
    assert found["nodeRegistration"]["taints"] == [JOINING, CONTROL_PLANE]
    assert found["controlPlane"] == {
        "certificateKey": "c3" * 32,
        "localAPIEndpoint": {"advertiseAddress": "10.90.0.12"},
    }
    untainted = _read(MASTER, Registration("master-2", control_plane_taint=False))
    assert untainted["nodeRegistration"]["taints"] == [JOINING]
    assert untainted["controlPlane"] == {"certificateKey": "c3" * 32}


def test_more_taints_stand_beside_the_joining_one_each_once() -> None:
    own = {"key": "team", "value": "a", "effect": "NoSchedule"}
    found = _read(WORKER, Registration("gpu-1", taints=(own, {**JOINING, "value": "x"})))
    assert found["nodeRegistration"]["taints"] == [JOINING, own]


def test_arguments_of_the_kubelet_in_either_format() -> None:
    how = Registration("gpu-1", kubelet_arguments={"node-ip": "10.90.0.21", "v": "2"}, image_pull_policy="Never")
    new, old = _read(WORKER, how), _read(WORKER, how, "v1.30.9")
    assert new["nodeRegistration"]["kubeletExtraArgs"] == [
        {"name": "node-ip", "value": "10.90.0.21"},
        {"name": "v", "value": "2"},
    ]
    assert old["nodeRegistration"]["kubeletExtraArgs"] == {"node-ip": "10.90.0.21", "v": "2"}
    assert new["nodeRegistration"]["imagePullPolicy"] == "Never"


def test_a_control_plane_node_registers_with_its_taints_which_kubeadm_would_set_at_its_end() -> None:
    key = "0" * 64
    found = _read(JoinCommand("cp:6443", "abcdef.0123456789abcdef", HASHES, key), Registration("m"))
    wanted = "runai-downtime/joining:NoSchedule,node-role.kubernetes.io/control-plane:NoSchedule"
    assert found["nodeRegistration"]["kubeletExtraArgs"] == [{"name": "register-with-taints", "value": wanted}]
    assert "kubeletExtraArgs" not in _read(WORKER, Registration("gpu-1"))["nodeRegistration"]


@pytest.mark.parametrize(
    ("version", "api"),
    [("v1.34.4", "v1beta4"), ("v1.31.0", "v1beta4"), ("1.31.0-rc.1", "v1beta4"), ("v1.30.14", "v1beta3")],
)
def test_the_format_follows_kubeadms_version(version: str, api: str) -> None:
    assert api_version(f"{version}\n") == f"kubeadm.k8s.io/{api}"


@pytest.mark.parametrize("version", ["", "v1.21.9", "latest", "v0.0.0-master", "v1"])
def test_an_unknown_version_is_refused(version: str) -> None:
    with pytest.raises(Blocked, match="kubeadm"):
        api_version(version)


def test_a_name_that_no_node_can_have_is_refused() -> None:
    with pytest.raises(Misused):
        render(WORKER, Registration("gpu 1\ntaints: []"), api_version("v1.34.4"))


@given(
    st.from_regex(r"[a-z0-9]{6}\.[a-z0-9]{16}", fullmatch=True)
    | st.from_regex(r"[0-9]{6}\.[0-9]{13}e[0-9]{2}", fullmatch=True),
    st.from_regex(r"[0-9a-f]{64}", fullmatch=True) | st.from_regex(r"[0-9]{61}e[0-9]{2}", fullmatch=True),
)
def test_tokens_and_keys_that_look_like_numbers_stay_texts(token: str, key: str) -> None:
    text = render(JoinCommand("cp:6443", token, HASHES, key), Registration("m"), api_version("v1.34.4"))
    found = yaml.safe_load(text)
    assert found["discovery"]["bootstrapToken"]["token"] == token
    assert found["controlPlane"]["certificateKey"] == key
    assert f'"{token}"' in text
    assert f'"{key}"' in text
