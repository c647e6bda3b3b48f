"""Members of etcd, for tests of those who judge them."""

from __future__ import annotations

from typing import Any

from cluster.etcd_members import EtcdView, Member


def member(number: int, **more: Any) -> Member:
    """A healthy member on ``master-NUMBER``, at 10.0.0.NUMBER."""
    given: dict[str, Any] = {
        "id": f"{number:x}",
        "node": f"master-{number}",
        "name": f"master-{number}",
        "healthy": True,
        "addresses": (f"10.0.0.{number}",),
    }
    return Member(**{**given, **more})


def view(*members: Member) -> EtcdView:
    """What master-1 tells of them."""
    return EtcdView(members=members, asked="master-1")
