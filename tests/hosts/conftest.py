"""A real cluster of machines for the tests: made once, taken down whatever happens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.api import JSON, Api
from lab.layout import PROJECT, Lab
from lab.machines import Machine, of_lab
from lab.power import power
from tests.hosts.asked_cycle import Asked, asked_cycle
from tests.hosts.product import Product
from tests.hosts.served import Served, serving
from tests.hosts.standing import put_right

UP_SECONDS = 3600
"""The first lab of a machine compiles Kubernetes and installs a Debian; later ones are up within a minute."""
DOWN_SECONDS = 300


@dataclass(frozen=True)
class HostsLab:
    """A lab with hosts that is up."""

    lab: Lab
    api: Api

    def machine(self, node: str) -> Machine:
        return next(machine for machine in of_lab(self.lab) if machine.node == node)

    def node(self, name: str) -> JSON:
        return self.api.get(f"/api/v1/nodes/{name}")

    def power(self, node: str, action: str) -> str:
        return power(self.lab, node, action)

    def ssh(
        self, node: str, *command: str, user: str = "ops", known_hosts: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command by OpenSSH, which is as strict about host keys as the product has to be."""
        options = {
            "BatchMode": "yes",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": known_hosts or str(self.lab.known_hosts),
            "GlobalKnownHostsFile": "none",
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "ConnectTimeout": "5",
        }
        words = ["ssh", "-F", "none", "-i", str(self.lab.ssh_key)]
        words += [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        words += [f"{user}@{self.machine(node).address}", *command]
        return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


def lab_command(*arguments: str, timeout: float) -> subprocess.CompletedProcess[str]:
    """Run ``python -m lab`` as a person would; its progress goes to standard error, and is seen."""
    return subprocess.run(
        [sys.executable, "-m", "lab", *arguments],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
        timeout=timeout,
        check=False,
    )


def need_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("hosts are privileged containers: these tests need root")


@contextmanager
def a_lab(kind: str, *size: str) -> Iterator[HostsLab]:
    """A lab with hosts, taken down whatever happens.

    Args:
        kind: the beginning of its name, one of those that are swept (``tests/left_labs.py``).
        size: options of ``python -m lab up``.
    """
    need_root()
    name = f"{kind}-{os.getpid()}"
    try:
        up = lab_command("up", "--name", name, *size, "--output", "json", timeout=UP_SECONDS)
        assert up.returncode == 0, f"the lab {name} is not up: its reasons are above"
        assert json.loads(up.stdout)["name"] == name
        lab = Lab(name)
        yield HostsLab(lab, Api(lab.kubeconfig))
    finally:
        lab_command("down", "--name", name, timeout=DOWN_SECONDS)


@pytest.fixture(scope="session")
def hosts_lab() -> Iterator[HostsLab]:
    """The default lab: master-1, gpu-1, gpu-2, system-1, with all that looks like Run:ai running on it.

    A test that uses it leaves all machines on and no taint behind.
    """
    with a_lab("test") as made:
        yield made


@pytest.fixture
def product(hosts_lab: HostsLab, tmp_path: Path) -> Iterator[Product]:
    """The command on the lab, with all nodes in service; whatever a failed test leaves half-way is backed out of."""
    with put_right(Product(hosts_lab, tmp_path)) as made:
        yield made


@pytest.fixture(scope="session")
def served(hosts_lab: HostsLab) -> Iterator[Served]:
    """A Prefect server beside the lab, with the flows served."""
    with serving(hosts_lab) as made:
        yield made


@pytest.fixture(scope="session")
def asked(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Asked:
    """One served maintenance that asked about interactive work, and was answered."""
    with put_right(Product(served.hosts, tmp_path_factory.mktemp("asked"))):
        return asked_cycle(served)
