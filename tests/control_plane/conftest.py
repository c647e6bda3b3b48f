"""One control-plane lab for all tests of this folder, and what a test adds to it and takes away again."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from lab.api import Api
from lab.layout import PROJECT, Lab
from lab.runai import objects
from lab.simulated import cluster
from lab.simulated.host import Host
from tests.control_plane import killing_proxy
from tests.control_plane.killing_proxy import Relay
from tests.control_plane.masters import Masters
from tests.control_plane.served import serve
from tests.prefect_runs import Runs

JSON = dict[str, Any]
MakeNode = Callable[..., Host]
MakeObject = Callable[[JSON], JSON]

# The first one on a machine builds Kubernetes.
UP_SECONDS = 1800
COUNTER = itertools.count(1)


def lab_command(*arguments: str, timeout: float = UP_SECONDS) -> subprocess.CompletedProcess[str]:
    """Run ``python -m lab`` as a person would."""
    argv = [sys.executable, "-m", "lab", *arguments]
    return subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, timeout=timeout, check=False)


@contextmanager
def lab_of(name: str, *arguments: str) -> Iterator[Lab]:
    """A lab without hosts, as long as it is needed."""
    made = Lab(name)
    try:
        result = lab_command("up", "--no-hosts", *arguments, "--name", name)
        assert result.returncode == 0, result.stderr
        yield made
    finally:
        removed = lab_command("down", "--name", name, timeout=120)
        assert removed.returncode == 0, removed.stderr


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """A control plane with master-1, system-1, system-2, and gpu-1 to gpu-3 of 8 GPUs each."""
    with lab_of(f"cp-{os.getpid()}") as made:
        yield made


@pytest.fixture(scope="session")
def lab_api(lab: Lab) -> Api:
    """The lab's own client of its API server: what a test sees and does is independent of the product."""
    return Api(lab.kubeconfig)


@pytest.fixture
def make_node(lab: Lab) -> Iterator[MakeNode]:
    """Makes nodes with hosts of their own, which no other test touches: ``make_node(role="gpu", gpus=8)``."""
    made: list[str] = []

    def make(role: str = "gpu", **options: Any) -> Host:
        name = f"{role}-x{next(COUNTER)}"
        made.append(name)
        return cluster.add_node(lab, name, role, **options)

    yield make
    for name in made:
        cluster.remove_node(lab, name)


@pytest.fixture
def make_object(lab_api: Api) -> Iterator[MakeObject]:
    """Creates Kubernetes objects, and deletes them after the test."""
    made: list[JSON] = []

    def make(body: JSON) -> JSON:
        made.append(body)
        return objects.create(lab_api, body)

    yield make
    for body in reversed(made):
        lab_api.delete(objects.path(body), gracePeriodSeconds=0, propagationPolicy="Background")


@pytest.fixture(scope="session")
def served(lab: Lab) -> Runs:
    """A Prefect server beside the lab, with the flows served."""
    return serve(lab)


@pytest.fixture(scope="session")
def relay() -> Iterator[Relay]:
    """Where proxies between the product and the API server live."""
    with killing_proxy.relay() as made:
        yield made


@pytest.fixture(scope="session")
def three() -> Iterator[Masters]:
    """A lab of its own: the members of etcd are all its control-plane nodes."""
    with lab_of(f"cpm-{os.getpid()}", "--control-planes", "3", "--simulated", "1") as made:
        yield Masters(made, Api(made.kubeconfig))
