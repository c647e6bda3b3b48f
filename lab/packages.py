"""The Debian packages that a lab needs on the machine it runs on.

A fresh Debian 12 lacks most of them. Only what is missing is installed, and the package lists are fetched only then,
so that a machine that has them all needs no network.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

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
FOR_TESTS = (
    "openssh-server",  # a real one, started by the tests on a port of loopback
    "jq",  # commands of restore plans use it, and are really run
)
DATABASE = (
    "postgresql-15",  # the database of a lab without hosts; its server is started by the lab alone
    "postgresql-client-15",
)
INSTALL_SECONDS = 900.0
# Debian's way to keep a package from starting its service: https://manpages.debian.org/invoke-rc.d
POLICY = Path("/usr/sbin/policy-rc.d")
# Debian's way to keep PostgreSQL from making a database of its own, which would start with the machine: the manual
# of pg_createcluster.
NO_DATABASE = Path("/etc/postgresql-common/createcluster.d/runai-downtime-lab.conf")


def ensure(progress: Progress, packages: Sequence[str] = PACKAGES) -> None:
    """Install what is missing. Raises LabError without root, without apt, or when apt fails."""
    wanted = missing(packages)
    if os.geteuid() != 0 and (wanted or packages == PACKAGES):
        raise LabError(
            "a lab with hosts needs root, as its hosts are privileged containers; "
            "run it as root, or use --no-hosts: simulated nodes alone"
        )
    if not wanted:
        return
    if shutil.which("apt-get") is None:
        raise LabError(f"these programs are missing, and there is no apt-get to install them: {' '.join(wanted)}")
    log = cache_folder() / "logs" / "packages.log"
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    with progress.step(f"installing {' '.join(wanted)}"):
        _apt(["update", "-q"], environment)
        install = ["install", "-y", "-q", "--no-install-recommends", "-o", "Dpkg::Lock::Timeout=120", *wanted]
        with _no_service_started():
            _apt(install, environment)
    still = missing(packages)
    if still:
        raise LabError(f"still not installed: {' '.join(still)}; see {log}")


@contextmanager
def _no_service_started() -> Iterator[None]:
    """Only programs are wanted: an SSH server that listens to the world must not come with them."""
    made = []
    for path, text, mode in (
        (POLICY, "#!/bin/sh\nexit 101\n", 0o755),
        (NO_DATABASE, "create_main_cluster = false\n", 0o644),
    ):
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(mode)
            made.append(path)
    try:
        yield
    finally:
        for path in made:
            path.unlink(missing_ok=True)


def missing(packages: Sequence[str] = PACKAGES) -> list[str]:
    """Those of the packages that are not installed; all of them where there is no dpkg."""
    if shutil.which("dpkg-query") is None:
        return list(packages)
    query = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}\n", *packages],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,  # it exits with 1 when one of the packages is unknown, and still lists the others
    )
    installed = {line.split()[1] for line in query.stdout.splitlines() if line.startswith("installed ")}
    return [package for package in packages if package not in installed]


def _apt(arguments: list[str], environment: dict[str, str]) -> None:
    log = cache_folder() / "logs" / "packages.log"
    run(
        ["apt-get", *arguments],
        log=log,
        timeout=INSTALL_SECONDS,
        env=environment,
        what=f"apt-get {arguments[0]}",
    )


if __name__ == "__main__":
    try:
        ensure(Progress(), (*PACKAGES, *FOR_TESTS, *DATABASE))
    except LabError as problem:
        sys.exit(f"lab: {problem}")
