"""Where a lab keeps its things.

Everything that belongs to one lab lies below ``.lab/NAME`` in the project folder, so that two labs never share a
file and ``down`` can remove the folder whole. What is expensive and the same for all labs (compiled binaries, machine
images) lies in a cache outside it, keyed by what it was made from.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


def cache_folder() -> Path:
    """The folder for what all labs of this machine share (binaries, machine images)."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "runai-downtime-lab"


@dataclass(frozen=True)
class Lab:
    """The paths of one lab. ``name`` is an RFC 1123 label of at most 20 characters."""

    name: str

    @property
    def folder(self) -> Path:
        return PROJECT / ".lab" / self.name

    @property
    def bin(self) -> Path:
        """The Kubernetes commands (kubectl, kubeadm, etcdctl, …), links to one multi-call binary."""
        return self.folder / "bin"

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @property
    def config(self) -> Path:
        """A working configuration of ``downtime`` for this lab."""
        return self.folder / "downtime.toml"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    @property
    def ssh_key(self) -> Path:
        return self.folder / "id_ed25519"

    @property
    def age_key(self) -> Path:
        """The private key that opens the lab's own backup sets."""
        return self.folder / "age.key"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def state(self) -> Path:
        """What the lab is made of (JSON): processes, ports, subnet, machines; written before they are made."""
        return self.folder / "state.json"

    @property
    def store(self) -> Path:
        """The backup store: a folder of backup sets."""
        return self.folder / "backups"

    @property
    def simulated(self) -> Path:
        """The simulated hosts: one file each with its power state, boot id, keys and faults."""
        return self.folder / "simulated"

    @property
    def power(self) -> Path:
        """A program that powers this lab's machines: ``power NODE on|off|reset|status``."""
        return self.folder / "power"
