"""Asking a machine of its GPUs, over SSH: what ``nvidia-smi`` lists, and what the kernel log tells of them.

It is read, never changed. The machine must be proven to be its node: another one's GPUs would be good ones as well.
"""

from __future__ import annotations

from dataclasses import replace

from cluster import node as node_
from cluster import nvidia_smi, reach, xid_errors
from cluster.api import Api, Object
from cluster.config import ChecksSettings, Settings
from cluster.errors import Blocked, DowntimeError, Failed
from cluster.gpu_checks import GpuFacts
from cluster.hosts import locate
from cluster.nvidia_smi import Listing
from cluster.ssh import Ssh
from cluster.xid_errors import KernelLog

# What a shell, env and chroot answer of a program that is not there: POSIX, "Exit Status for Commands". The loader of
# one that lacks its libraries answers the same, and says so.
_NOT_FOUND = 127
_NOT_LOADED = "error while loading shared libraries"


def possible(settings: Settings) -> bool:
    """Whether machines are reached over SSH, and are to be looked at."""
    hosts = settings.hosts
    configured = hosts.user is not None and hosts.key_file is not None and hosts.known_hosts is not None
    return configured and settings.checks.host != "never"


def look(api: Api, settings: Settings, node: Object, *, log: bool = True) -> GpuFacts:
    """Ask the machine of a node.

    Args:
        log: read the kernel log as well, as root.

    Raises:
        DowntimeError: it cannot be reached, ``host-identity``: it is another machine, or sudo refuses.
    """
    where = locate(settings.hosts, node_.name(node), node_.address(node))
    with reach.session(api, settings, where) as ssh:
        told, reported = ssh.boot_id(), node_.boot_id(node)
        if told != reported:
            raise Blocked(
                "host-identity",
                f"The machine at {where.address} is not {where.node}: it runs boot {told}, the node reported "
                f"{reported or 'none'}",
                f"Correct the address of {where.node} in [hosts.addresses].",
            )
        return ask(ssh, settings.checks, log=log)


def ask(ssh: Ssh, checks: ChecksSettings, *, log: bool = True) -> GpuFacts:
    """Ask a machine that was proven to be the one that is meant.

    Args:
        log: read the kernel log as well, as root.

    Raises:
        DowntimeError: the connection broke.
    """
    listing = _listing(ssh, checks)
    return GpuFacts(listing, _log(ssh, checks) if log else None)


def _listing(ssh: Ssh, checks: ChecksSettings) -> Listing | None:
    try:
        output = ssh.run((*checks.nvidia_smi, *nvidia_smi.QUERY), checks.host_seconds, check=False)
    except Failed as error:
        # One that waits for a broken GPU for ever is an answer, too.
        return Listing(failure=error.message)
    if output.exit_code == _NOT_FOUND and _NOT_LOADED not in output.raw_errors:
        return None
    return nvidia_smi.parse(output.exit_code, output.raw, output.raw_errors, ssh.masked)


def _log(ssh: Ssh, checks: ChecksSettings) -> KernelLog | None:
    if not checks.xid:
        return None
    try:
        output = ssh.run(xid_errors.JOURNAL, checks.host_seconds, sudo=True, check=False)
    except DowntimeError as error:
        return KernelLog(whole=False, failure=error.message)
    found = xid_errors.parse(output.exit_code, output.raw, output.stderr)
    return replace(found, xids=tuple(replace(one, text=ssh.masked(one.text)) for one in found.xids))
