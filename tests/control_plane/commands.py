"""The command ``downtime`` on a lab, and what is seen of it from outside."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import yaml

from lab.api import Api
from lab.layout import Lab
from tests.command_line import Ended, arguments, downtime, environment

JSON = dict[str, Any]
NAMESPACE = "/api/v1/namespaces/runai-downtime"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/runai-downtime/leases"
# What ``kept`` says of a node that nobody touched.
AS_FOUND: tuple[bool, list[JSON], set[str]] = (False, [], set())
# Through everything without a person, and without Prefect.
UNATTENDED = ("--yes", "--local", "--no-hold", "--interactive", "evict")


def command(lab: Lab, folder: Path, *words: str, timeout: float = 120, **variables: str) -> Ended:
    """Run ``downtime WORDS`` with the lab's configuration."""
    return downtime(folder, *words, timeout=timeout, **{"DOWNTIME_CONFIG": str(lab.config), **variables})


def begun(lab: Lab, folder: Path, *words: str) -> subprocess.Popen[str]:
    """Begin ``downtime WORDS``, and leave it running."""
    return subprocess.Popen(
        arguments(*words),
        cwd=folder,
        env=environment(folder, DOWNTIME_CONFIG=str(lab.config)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kept(api: Api, node: str) -> tuple[bool, list[JSON], set[str]]:
    """What a downtime may not leave changed on a node."""
    found = api.get(f"/api/v1/nodes/{node}")
    notes = {key for key in found["metadata"].get("annotations", {}) if key.startswith("runai-downtime/")}
    taints = [one for one in found["spec"].get("taints", []) if one["key"] == "runai"]
    return found["spec"].get("unschedulable", False), taints, notes


def traces(api: Api, node: str) -> list[str]:
    """The objects of this product that there are for a node."""
    paths = (f"{NAMESPACE}/configmaps/node-{node}", f"{LEASES}/node-{node}")
    return [path for path in paths if api.find(path) is not None]


def with_cluster(lab: Lab, folder: Path, **changed: str) -> Path:
    """A copy of the lab's configuration with other values under [cluster]."""
    lines = lab.config.read_text().splitlines()
    for key, value in changed.items():
        at = next(at for at, line in enumerate(lines) if line.startswith(f"{key} = "))
        lines[at] = f'{key} = "{value}"'
    path = folder / "other.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def kubeconfig_with_token(lab: Lab, folder: Path, token: str) -> Path:
    """A kubeconfig of the lab's cluster for whoever has this token."""
    document = yaml.safe_load(lab.kubeconfig.read_text())
    document["users"][0]["user"] = {"token": token}
    path = folder / f"kubeconfig-{len(list(folder.iterdir()))}"
    path.write_text(yaml.safe_dump(document))
    return path
