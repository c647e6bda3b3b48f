"""The Debian packages that a lab with hosts needs on the machine it runs on.

A fresh Debian 12 lacks most of them. Only what is missing is installed, and the package lists are fetched only then,
so that a machine that has them all needs no network.
"""

from __future__ import annotations

import os
import shutil
import subprocess

from lab.errors import LabError
from lab.layout import cache_folder
from lab.processes import run
from lab.progress import Progress

PACKAGES = (
    "podman",  # the hosts are its containers
    "runc",  # its runtime: crun, podman's default, can't run nested systemd on cgroup v1
    "conmon",
    "netavark",  # its network, with fixed addresses
    "aardvark-dns",  # netavark's companion; podman takes netavark for incomplete without it
    "iproute2",
    "iptables",
    "conntrack",
    "debootstrap",  # makes the hosts' root filesystem
    "debian-archive-keyring",  # so that debootstrap verifies what it downloads
    "util-linux",  # setpriv, unshare: builds end with the command that asked for them
    "openssh-client",  # ssh-keygen
    "tar",
)
INSTALL_SECONDS = 900.0


def ensure(progress: Progress) -> None:
    """Install what is missing. Raises LabError without root, without apt, or when apt fails."""
    if os.geteuid() != 0:
        raise LabError(
            "a lab with hosts needs root, as its hosts are privileged containers; "
            "run it as root, or use --no-hosts: simulated nodes alone"
        )
    wanted = missing()
    if not wanted:
        return
    if shutil.which("apt-get") is None:
        raise LabError(f"these programs are missing, and there is no apt-get to install them: {' '.join(wanted)}")
    log = cache_folder() / "logs" / "packages.log"
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    with progress.step(f"installing {' '.join(wanted)}"):
        _apt(["update", "-q"], environment)
        install = ["install", "-y", "-q", "--no-install-recommends", "-o", "Dpkg::Lock::Timeout=120", *wanted]
        _apt(install, environment)
    still = missing()
    if still:
        raise LabError(f"still not installed: {' '.join(still)}; see {log}")


def missing() -> list[str]:
    """Those of PACKAGES that are not installed; all of them where there is no dpkg."""
    if shutil.which("dpkg-query") is None:
        return list(PACKAGES)
    query = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}\n", *PACKAGES],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,  # it exits with 1 when one of the packages is unknown, and still lists the others
    )
    installed = {line.split()[1] for line in query.stdout.splitlines() if line.startswith("installed ")}
    return [package for package in PACKAGES if package not in installed]


def _apt(arguments: list[str], environment: dict[str, str]) -> None:
    log = cache_folder() / "logs" / "packages.log"
    run(
        ["apt-get", *arguments],
        log=log,
        timeout=INSTALL_SECONDS,
        env=environment,
        what=f"apt-get {arguments[0]}",
    )
