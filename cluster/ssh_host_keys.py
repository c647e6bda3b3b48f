"""Strict host keys for Fabric.

Fabric 3.2 trusts every unknown key and loads no known_hosts (fabric#2071, #1804), and paramiko passes over the marker
``@revoked``. So the file is read here, into the client, with a policy that refuses what is not in it. Patterns
(``*.example``) and ``@cert-authority`` are not understood: what only they would allow is refused.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NoReturn

import paramiko
from paramiko.hostkeys import HostKeyEntry, InvalidHostKey

from cluster.errors import Blocked
from cluster.ssh_errors import UnknownHostKey


class Refuse(paramiko.RejectPolicy):
    """Refuses unknown keys, and keeps the key for the message."""

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> NoReturn:  # noqa: ARG002
        """Called by paramiko when the file has no line for the host."""
        raise UnknownHostKey(hostname, key)


def be_strict(client: paramiko.SSHClient, known_hosts: Path) -> None:
    """Lets the client accept the keys of this file and no others. To be called before it connects.

    Raises:
        Blocked: ``no-known-hosts``: the file is missing, unreadable or damaged.
    """
    client.set_missing_host_key_policy(Refuse())
    ours = client.get_host_keys()
    ours.clear()
    for name, entry in _entries(known_hosts):
        ours.add(name, entry.get_name(), entry)


def _entries(path: Path) -> list[tuple[str, paramiko.PKey]]:
    keys: list[tuple[str, paramiko.PKey]] = []
    revoked: set[bytes] = set()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise _unusable(path, f"cannot be read: {why}") from None
    for number, line in enumerate(lines, start=1):
        fields = line.split()
        if not fields or fields[0].startswith("#") or fields[0] == "@cert-authority":
            continue
        marked = fields[0] == "@revoked"
        try:
            entry = HostKeyEntry.from_line(" ".join(fields[1:] if marked else fields), number)
        except (InvalidHostKey, paramiko.SSHException, ValueError):
            raise _unusable(path, f"has no valid key in line {number}") from None
        # None for key types that paramiko does not know; its stubs do not say so.
        key: paramiko.PKey | None = getattr(entry, "key", None)
        if key is None:
            continue
        if marked:
            revoked.add(key.asbytes())
        else:
            keys += [(_as_paramiko_looks_it_up(name), key) for name in getattr(entry, "hostnames", None) or ()]
    return [(name, key) for name, key in keys if key.asbytes() not in revoked]


def _as_paramiko_looks_it_up(name: str) -> str:
    standard = re.fullmatch(r"\[(.+)\]:22", name)
    return standard.group(1) if standard else name


def _unusable(path: Path, why: str) -> Blocked:
    return Blocked(
        "no-known-hosts",
        f"The file of known host keys {path} {why}",
        'known_hosts in [hosts] names a file with lines "ADDRESS KEYTYPE KEY" (or "[ADDRESS]:PORT KEYTYPE KEY"), as '
        "ssh-keyscan prints them; compare the keys with the machines' own.",
    )
