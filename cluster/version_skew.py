"""Whether a machine's versions suit the cluster that it is to join. Pure.

A kubelet may be as new as the API server, and up to three minor versions older. kubeadm must be of the minor version
that made or last upgraded the control plane; a newer patch is welcome.

Sources: https://kubernetes.io/releases/version-skew-policy/#kubelet and
https://kubernetes.io/docs/setup/production-environment/tools/kubeadm/create-cluster-kubeadm/#version-skew-policy
"""

from __future__ import annotations

import re

from cluster.plan import Finding

MOST_BEHIND = 3
_VERSION = re.compile(r"(?:Kubernetes )?v?([0-9]{1,3})\.([0-9]{1,4})(?:[.+-].*)?")


def minor(version: str) -> tuple[int, int] | None:
    """Major and minor of a version as ``/version`` (``gitVersion``), ``kubelet --version`` or kubeadm say it."""
    match = _VERSION.fullmatch(version.strip())
    return (int(match[1]), int(match[2])) if match else None


def judge(server: str, kubelet: str, kubeadm: str) -> list[Finding]:
    """What speaks against the machine joining; each is a version: of the API server, the machine's kubelet, kubeadm."""
    versions = {"the API server": minor(server), "the machine's kubelet": minor(kubelet), "its kubeadm": minor(kubeadm)}
    found = [
        Finding(
            code="version-unknown",
            message=f"The version of {name} could not be read",
            remedy="See 'kubectl version' on the cluster, 'kubelet --version' and 'kubeadm version -o short' there.",
        )
        for name, version in versions.items()
        if version is None
    ]
    control, node, tool = versions.values()
    if control is None or node is None or tool is None:
        return found
    if node[0] != control[0] or not control[1] - MOST_BEHIND <= node[1] <= control[1]:
        newer = node > control
        found.append(
            Finding(
                code="version-skew",
                message=f"The machine's kubelet ({kubelet.strip()}) is {'newer' if newer else 'too much older'} than "
                f"the cluster ({server.strip()}): it may be at most {MOST_BEHIND} minor versions older, never newer",
                remedy=f"Install kubelet {control[0]}.{control[1]} on the machine.",
            )
        )
    if tool != control:
        found.append(
            Finding(
                code="version-skew",
                message=f"The machine's kubeadm ({kubeadm.strip()}) is not of the cluster's minor version "
                f"({server.strip()})",
                remedy=f"Install kubeadm {control[0]}.{control[1]} on the machine.",
            )
        )
    return found
