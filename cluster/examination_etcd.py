"""Whether each control-plane host tells how the members of etcd are, and whether the session survives their loss."""

from __future__ import annotations

from collections.abc import Iterator

from cluster import api_endpoint, etcd, nodes, quorum
from cluster import node as node_
from cluster.api import Api, Object
from cluster.config import Settings
from cluster.errors import DowntimeError
from cluster.etcd_members import EtcdView
from cluster.verdict import Line


def lines(api: Api, settings: Settings, masters: list[Object]) -> Iterator[Line]:
    """A line for each of these control-plane nodes, and one for the address of the API server."""
    known = [one for one in nodes.every(api) if node_.kind(one) == "control-plane"]
    for one in masters:
        yield _asked(api, settings, one, known)
    if len(known) > 1:
        yield _endpoint(api, known)


def _asked(api: Api, settings: Settings, one: Object, known: list[Object]) -> Line:
    check = f"{node_.name(one)} etcd"
    try:
        members = etcd.through(api, settings, one, etcd.addresses(known))
    except DowntimeError as error:
        return Line(level="FAILED", check=check, reason=error.message, remedy=error.remedy)
    voting = EtcdView(members=members).voting
    healthy, needed = sum(voting.values()), quorum.quorum(len(voting))
    said = f"tells its members: {healthy} of {len(voting)} are healthy, {needed} are needed"
    if healthy == len(voting):
        return Line(level="PASS", check=check, reason=said)
    sick = ", ".join(sorted(name for name, well in voting.items() if not well))
    return Line(
        level="WARN",
        check=check,
        reason=f"{said}; not healthy: {sick}",
        remedy="Bring it back before any other control-plane node goes down.",
    )


def _endpoint(api: Api, known: list[Object]) -> Line:
    resolved = api_endpoint.addresses(api.server)
    for one in known:
        for found in api_endpoint.objections(api.server, resolved, one):
            reason = f"{found.message}; {node_.name(one)} itself cannot be maintained through it"
            return Line(level="WARN", check="api endpoint", reason=reason, remedy=found.remedy)
    return Line(level="PASS", check="api endpoint", reason=f"{api.server} is not that of one control-plane node alone")
