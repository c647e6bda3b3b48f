"""Whether a machine's kubelet fits the cluster's version. Pure.

A kubelet must not be newer than the API server, and may be up to three minor versions older (two, before 1.28):
https://kubernetes.io/releases/version-skew-policy/
"""

from __future__ import annotations

import re

from cluster.plan import Finding

_VERSION = re.compile(r"v?([0-9]{1,3})\.([0-9]{1,3})(?:[.+-][0-9A-Za-z.+-]*)?")
_OLDEST = 3
_OLDEST_BEFORE_1_28 = 2


def minor(text: str) -> tuple[int, int] | None:
    """``(1, 34)`` of ``v1.34.4`` and its like; None: it is no version."""
    match = _VERSION.fullmatch(text.strip())
    return (int(match[1]), int(match[2])) if match else None


def objection(kubelet: str, server: str, machine: str) -> Finding | None:
    """What speaks against this kubelet; None: nothing.

    Args:
        kubelet: its version, as ``kubelet --version`` says it.
        server: ``gitVersion`` of the API server's ``/version``.
        machine: how the machine is called in messages.
    """
    mine, theirs = minor(kubelet), minor(server)
    if mine is None or theirs is None:
        unknown = f"the kubelet of {machine}" if mine is None else "the API server"
        return Finding(
            code="version-unknown",
            message=f"The version of {unknown} could not be found out, so it is not known whether the two fit",
            remedy="See 'kubelet --version' and 'kubeadm version' on the machine, and 'kubectl version'.",
        )
    oldest = _OLDEST if mine >= (1, 28) else _OLDEST_BEFORE_1_28
    if mine[0] == theirs[0] and theirs[1] - oldest <= mine[1] <= theirs[1]:
        return None
    how = "newer than" if mine > theirs else f"more than {oldest} minor versions older than"
    return Finding(
        code="version-skew",
        message=f"The kubelet of {machine} is {kubelet.strip()}, which is {how} the API server ({server.strip()})",
        remedy=f"Install kubelet and kubeadm {theirs[0]}.{theirs[1]} on the machine.",
    )
