"""Asking etcd of its members, through a control-plane host and what a kubeadm host has. It is read, never changed.

etcdctl lies in the image of etcd's static pod, so it is executed there, by ``crictl`` (which comes with kubeadm's
packages); where that fails, an ``etcdctl`` on the host does. The certificates are the ones that kubeadm made for the
static pod's own probe: they lie at the same path in the pod and on the host.

One host's answer is enough: it asks all members. The host must be proven to be its node, since the answer of another
cluster's host would be a good one.

Source: https://kubernetes.io/docs/tasks/administer-cluster/configure-upgrade-etcd/
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from cluster import etcd_members, nodes, reach
from cluster import node as node_
from cluster.api import Api, Object
from cluster.config import Settings
from cluster.errors import Blocked, DowntimeError
from cluster.etcd_members import EtcdView, Member
from cluster.hosts import locate
from cluster.ssh import Output, Ssh

_PKI = "/etc/kubernetes/pki/etcd"
_ETCDCTL = (
    "etcdctl",
    "--endpoints=https://127.0.0.1:2379",
    f"--cacert={_PKI}/ca.crt",
    f"--cert={_PKI}/healthcheck-client.crt",
    f"--key={_PKI}/healthcheck-client.key",
)
_FIND = ("crictl", "ps", "--name", "^etcd$", "--state", "Running", "--quiet")
_MEMBERS = ("member", "list", "--write-out=json")
# Each member gets etcdctl's 5 s for its answer, all of them at once.
_HEALTH = ("endpoint", "health", "--cluster", "--write-out=json")
_SECONDS = 20.0
_CONTAINER = re.compile(r"[0-9a-f]{8,128}")


def look(api: Api, settings: Settings, apart: str = "") -> EtcdView:
    """All members of etcd, as the first control-plane host tells them that can be asked; never raises.

    Args:
        apart: the node that is to go down, or is down: the others are asked before it.
    """
    problems: list[str] = []
    try:
        masters = [one for one in nodes.every(api) if node_.kind(one) == "control-plane"]
    except DowntimeError as error:
        return EtcdView(problems=(error.message,))
    known = addresses(masters)
    for one in sorted(masters, key=lambda master: (node_.name(master) == apart, not node_.ready(master))):
        name = node_.name(one)
        try:
            return EtcdView(members=through(api, settings, one, known), asked=name, problems=tuple(problems))
        except DowntimeError as error:
            problems.append(f"{name}: {error.message}")
    return EtcdView(problems=tuple(problems))


def addresses(masters: Collection[Object]) -> dict[str, tuple[str, ...]]:
    """The addresses of nodes, by their names: by them a member is known to be on a node."""
    return {
        node_.name(one): tuple(
            str(address["address"])
            for address in one.get("status", {}).get("addresses") or ()
            if address.get("address")
        )
        for one in masters
    }


def through(api: Api, settings: Settings, master: Object, known: Mapping[str, Collection[str]]) -> tuple[Member, ...]:
    """All members of etcd, as the host of one control-plane node tells them, which must be proven to be the node's.

    Args:
        master: its Node.
        known: the addresses of each control-plane node, by its name.

    Raises:
        Blocked: ``host-identity``; and what :func:`members` raises.
    """
    name = node_.name(master)
    where = locate(settings.hosts, name, node_.address(master))
    with reach.session(api, settings, where) as ssh:
        if ssh.boot_id() != node_.boot_id(master):
            raise Blocked(
                "host-identity",
                f"the machine at {where} is not that node, or was restarted just now: its boot id is another one",
                f"Correct the address of {name} in [hosts.addresses].",
            )
        return members(ssh, known)


def members(ssh: Ssh, known: Mapping[str, Collection[str]]) -> tuple[Member, ...]:
    """All members of etcd, as this host tells them.

    Args:
        ssh: a session on a control-plane host that was proven to be one.
        known: the addresses of each control-plane node, by its name.

    Raises:
        Blocked: ``etcd-not-observed``: etcd on this host does not answer, or not with what etcdctl prints;
            ``sudo-refused``; ``ssh-lost``.
        Failed: ``remote-command-timeout``.
    """
    listed = etcdctl(ssh, _MEMBERS)
    if listed.exit_code != 0:
        raise _not_observed(ssh, f"it does not list its members: {_said(listed)}")
    # It exits with 1 when a member is unhealthy, and tells which.
    health = etcdctl(ssh, _HEALTH)
    try:
        return etcd_members.read(listed.raw, health.raw, known)
    except etcd_members.Unreadable as error:
        raise _not_observed(ssh, f"{ssh.masked(str(error))}: {_said(health)}") from None


def etcdctl(ssh: Ssh, arguments: Sequence[str], timeout: float = _SECONDS) -> Output:
    """Run etcdctl as root against the member of this host; its exit code is for the caller to judge.

    Raises:
        Blocked: ``sudo-refused``; ``ssh-lost``.
        Failed: ``remote-command-timeout``.
    """
    command = (*_ETCDCTL, *arguments)
    container = _container(ssh)
    if container:
        return ssh.run(("crictl", "exec", container, *command), timeout, sudo=True, check=False)
    return ssh.run(command, timeout, sudo=True, check=False)


def _container(ssh: Ssh) -> str:
    """The id of etcd's running container; empty: there is no crictl, or it knows of none."""
    try:
        found = ssh.run(_FIND, _SECONDS, sudo=True, check=False)
    except Blocked as error:
        # sudo says the same of a program that is missing and of one that is forbidden.
        if error.code == "sudo-refused":
            return ""
        raise
    ids = found.raw.split() if found.exit_code == 0 else []
    return ids[0] if ids and _CONTAINER.fullmatch(ids[0]) else ""


def _not_observed(ssh: Ssh, why: str) -> Blocked:
    return Blocked(
        "etcd-not-observed",
        f"etcd on {ssh.host} could not be asked: {why}",
        "See on that host 'crictl ps --name etcd', and the log of that container.",
    )


def _said(output: Output) -> str:
    lines = [line for line in (output.stderr or output.stdout).split("\n") if line.strip()]
    return " ".join(lines[-1].split())[:300] if lines else f"exit code {output.exit_code}"
