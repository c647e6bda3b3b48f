"""The JoinConfiguration with which ``kubeadm join --config`` lets a machine join. Pure.

A file (or standard input) instead of arguments, since it holds the token. Its taints replace kubeadm's default ones,
so the control-plane taint is named where it applies.

Source: https://kubernetes.io/docs/reference/config-api/kubeadm-config.v1beta4/ (kubeadm 1.31 and later), and v1beta3
for older ones, whose ``kubeletExtraArgs`` are a mapping.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from cluster import taints
from cluster.errors import Blocked
from cluster.join_command import JoinCommand
from cluster.names import node_name
from cluster.node import Taint

_VERSION = re.compile(r"v?([0-9]{1,3})\.([0-9]{1,3})(\.[0-9]+.*)?")


@dataclass(frozen=True)
class Registration:
    """How the machine is to register.

    Attributes:
        node: the name of the Node; the machine's host name may be another.
        taints: more taints than the joining one, which always stands.
        control_plane_taint: whether a control-plane node carries that taint; not where researchers' pods run on it.
        cri_socket: of its container runtime; empty: kubeadm finds it.
        advertise_address: of the API server on a control-plane node; empty: the address of the default route.
        kubelet_arguments: flags of the kubelet, without dashes.
        image_pull_policy: empty: kubeadm's own default.
    """

    node: str
    taints: tuple[Taint, ...] = ()
    control_plane_taint: bool = True
    cri_socket: str = ""
    advertise_address: str = ""
    kubelet_arguments: Mapping[str, str] = field(default_factory=dict)
    image_pull_policy: str = ""


def api_version(kubeadm: str) -> str:
    """The newest format that this kubeadm reads.

    Args:
        kubeadm: its version, as ``kubeadm version -o short`` prints it: ``v1.34.4``.

    Raises:
        Blocked: ``kubeadm-version``: it is none, or too old.
    """
    match = _VERSION.fullmatch(kubeadm.strip())
    version = (int(match[1]), int(match[2])) if match else (0, 0)
    if version < (1, 22):
        raise Blocked(
            "kubeadm-version",
            f"{kubeadm.strip()[:40]!r} is not a version of kubeadm that can join a machine here",
            "Install kubeadm of the cluster's version on the machine (1.22 at least).",
        )
    return f"kubeadm.k8s.io/{'v1beta4' if version >= (1, 31) else 'v1beta3'}"


def document(command: JoinCommand, how: Registration, api: str) -> dict[str, Any]:
    """The JoinConfiguration as an object; ``api`` is from :func:`api_version`. It holds secrets.

    Raises:
        Misused: the node's name cannot be one.
    """
    found: dict[str, Any] = {
        "apiVersion": api,
        "kind": "JoinConfiguration",
        "discovery": {
            "bootstrapToken": {
                "apiServerEndpoint": command.endpoint,
                "token": command.token,
                "caCertHashes": list(command.hashes),
            },
        },
        "nodeRegistration": _registration(how, api, control_plane=command.control_plane),
    }
    if command.control_plane:
        found["controlPlane"] = {"certificateKey": command.certificate_key}
        if how.advertise_address:
            found["controlPlane"]["localAPIEndpoint"] = {"advertiseAddress": how.advertise_address}
    return found


def render(command: JoinCommand, how: Registration, api: str) -> str:
    """The same as YAML. Every text is quoted: a token or key made of digits and an 'e' is a number to some readers."""
    return yaml.safe_dump(document(command, how, api), default_style='"', sort_keys=False, width=1000)


def _registration(how: Registration, api: str, *, control_plane: bool) -> dict[str, Any]:
    standing = [taints.JOINING, *([taints.CONTROL_PLANE] if control_plane and how.control_plane_taint else [])]
    more = [one for one in how.taints if not any(taints.same(one, other) for other in standing)]
    found: dict[str, Any] = {"name": node_name(how.node), "taints": [dict(one) for one in (*standing, *more)]}
    if how.cri_socket:
        found["criSocket"] = how.cri_socket
    if how.image_pull_policy:
        found["imagePullPolicy"] = how.image_pull_policy
    # The kubelet of a control-plane node registers without them: kubeadm sets them at the end of its join, and until
    # then everything could be scheduled there (``registerTaintsUsingFlags`` in cmd/kubeadm/app/cmd/phases/join).
    early = {"register-with-taints": ",".join(map(taints.text, (*standing, *more)))} if control_plane else {}
    arguments = dict(sorted({**early, **how.kubelet_arguments}.items()))
    if arguments:
        found["kubeletExtraArgs"] = (
            arguments
            if api.endswith("/v1beta3")
            else [{"name": name, "value": value} for name, value in arguments.items()]
        )
    return found
