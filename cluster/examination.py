"""Whether everything that a downtime needs is there: each access is tried, and nothing is changed."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor

from pydantic import BaseModel, ConfigDict, Field

from cluster import examination_etcd, examination_gpus, node, nodes, permissions, reach, recovery
from cluster.api import Api, Object
from cluster.config import Settings
from cluster.downtime import cluster_uid
from cluster.errors import DowntimeError
from cluster.hosts import Host, locate
from cluster.masking import Masker
from cluster.permissions import Permission
from cluster.power import controller
from cluster.verdict import Line

# A host that does not answer takes its timeouts: a few at a time, or a large cluster would take hours.
_AT_ONCE = 8


class Examination(BaseModel):
    """All that was checked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    passed: bool = Field(description="No line is FAILED.")
    lines: tuple[Line, ...] = ()


def conclude(lines: Collection[Line]) -> Examination:
    """What follows from the lines."""
    return Examination(passed=all(line.level != "FAILED" for line in lines), lines=tuple(lines))


def of_cluster(api: Api, settings: Settings) -> Iterator[Line]:
    """The API server, which cluster it is, and every permission. Ends early when the server does not answer."""
    try:
        uid = cluster_uid(api)
    except DowntimeError as error:
        yield failed("api", error)
        return
    yield Line(level="PASS", check="api", reason=f"{api.server} answers")
    if uid == settings.cluster.uid:
        yield Line(level="PASS", check="cluster uid", reason=f"{uid}, as configured")
    else:
        yield Line(
            level="FAILED",
            check="cluster uid",
            reason=f"this cluster's uid is {uid}, configured is {settings.cluster.uid}",
            remedy=f'If it is the right cluster, write uid = "{uid}" under [cluster].',
        )
    for permission in permissions.PERMISSIONS:
        yield _permission(api, permission)


def of_machines(api: Api, settings: Settings, names: Collection[str]) -> Iterator[Line]:
    """For each node: its machine over SSH (host key, login, boot id, sudo), and its power status.

    Args:
        names: only these nodes; empty: all.
    """
    try:
        found = [one for one in nodes.every(api) if not names or node.name(one) in names]
    except DowntimeError as error:
        yield failed("nodes", error)
        return
    for name in sorted(set(names) - {node.name(one) for one in found}):
        yield Line(
            level="FAILED",
            check=name,
            reason="there is no such node in this cluster",
            remedy="See 'kubectl get nodes'.",
        )
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        for lines in pool.map(lambda one: list(_machine(api, settings, one)), found):
            yield from lines
    masters = [one for one in found if node.kind(one) == "control-plane"]
    if masters:
        yield from examination_etcd.lines(api, settings, masters)


def of_recovery(api: Api, settings: Settings) -> Iterator[Line]:
    """The backup store, and what the recovery gate says to what is in it."""
    try:
        verdict = recovery.judge(api, settings, "sizes")
    except DowntimeError as error:
        yield failed("recovery", error)
        return
    for line in verdict.lines:
        yield line.model_copy(update={"check": f"recovery {line.check}"})


def failed(check: str, error: DowntimeError) -> Line:
    """The line of a check that ended with an error."""
    return Line(level="FAILED", check=check, reason=error.message, remedy=error.remedy)


def _permission(api: Api, permission: Permission) -> Line:
    check = f"permission {permission.title}"

    def allowed(verb: str, resource: str, one: Permission) -> bool:
        return api.allowed(verb, resource, group=one.group, namespace=one.namespace)

    try:
        lacking = permissions.missing(permission, allowed)
    except DowntimeError as error:
        return failed(check, error)
    if not lacking:
        return Line(level="PASS", check=check, reason=permission.why)
    lost = f"; without it {permission.without}" if permission.optional else ""
    return Line(
        level="WARN" if permission.optional else "FAILED",
        check=check,
        reason=f"forbidden: {', '.join(lacking)}. It is for: {permission.why}{lost}",
        remedy="Grant it; docs/permissions.md has the whole list, deployments/manifests/rbac.yaml grants it.",
    )


def _machine(api: Api, settings: Settings, found: Object) -> Iterator[Line]:
    name = node.name(found)
    try:
        where = locate(settings.hosts, name, node.address(found))
    except DowntimeError as error:
        yield failed(f"{name} address", error)
        return
    yield from _power(settings, where)
    try:
        with reach.session(api, settings, where) as ssh:
            boot = ssh.boot_id()
            yield Line(level="PASS", check=f"{name} ssh", reason=f"{where}: host key known, login accepted")
            yield _identity(name, boot, node.boot_id(found))
            if settings.power.off == "ssh":
                ssh.sudo_works()
                yield Line(level="PASS", check=f"{name} sudo", reason="may run 'systemctl poweroff'")
            if boot == node.boot_id(found):
                yield from examination_gpus.lines(ssh, settings, found)
    except DowntimeError as error:
        yield failed(f"{name} {'sudo' if error.code == 'sudo-refused' else 'ssh'}", error)


def _identity(name: str, told: str, reported: str) -> Line:
    if told == reported:
        return Line(level="PASS", check=f"{name} identity", reason=f"the machine's boot id is the node's: {told}")
    return Line(
        level="FAILED",
        check=f"{name} identity",
        reason=f"the machine runs boot {told}, the node reports {reported or 'none'}: it is another machine",
        remedy=f"Correct the address of {name} under [hosts.addresses]; if it restarted just now, check again.",
    )


def _power(settings: Settings, where: Host) -> Iterator[Line]:
    check = f"{where.node} power"
    try:
        power = controller(settings.power, Masker())
    except DowntimeError as error:
        yield failed(check, error)
        return
    if power.status_kind == "none":
        yield Line(
            level="WARN",
            check=check,
            reason="no power controller can be asked: a machine can only be presumed off",
            remedy='Set status = "command" under [power], with a program that prints on or off.',
        )
        return
    said = power.status(where)
    if said.state == "unknown":
        yield Line(
            level="FAILED",
            check=check,
            reason=f"unknown: {said.reason}",
            remedy="See what the status command under [power.command] prints: it must be 'on' or 'off'.",
        )
        return
    yield Line(level="PASS", check=check, reason=f"the power controller says {said.state}")
