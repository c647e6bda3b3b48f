"""What a lab leaves on the machine that it ran on."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from lab.engine import MACHINE, environment
from lab.layout import Lab
from lab.machines import of_lab
from lab.processes import marked
from lab.state import read


def podman(*arguments: str) -> str:
    """Run podman on the labs' store."""
    return subprocess.run(
        ["podman", *arguments],
        env={**os.environ, **environment()},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout


@dataclass
class Traces:
    """What is known of a lab while it is there, to look for when it should be gone."""

    lab: Lab
    subnet: str = ""
    names: list[str] = field(default_factory=list)
    namespaces: list[str] = field(default_factory=list)

    def note(self) -> None:
        """Note what there is of the lab now."""
        self.subnet = read(self.lab).get("subnet", "")
        self.names = [machine.container(self.lab) for machine in of_lab(self.lab)]
        running = podman("ps", "-q", "--filter", f"name=^{self.lab.name}-").split()
        if running:
            self.namespaces = podman("inspect", "-f", "{{.NetworkSettings.SandboxKey}}", *running).split()

    def left(self) -> list[str]:
        """All that is still there; empty when the lab is gone."""
        found = [str(path) for path in (self.lab.folder, *map(Path, self.namespaces)) if path.exists()]
        for what in (["ps", "-a", "--format", "{{.Names}}"], ["volume", "ls", "-q"], ["network", "ls", "-q"]):
            names = podman(*what).split()
            found += [name for name in names if name.startswith((f"{self.lab.name}-", f"lab-{self.lab.name}"))]
        found += [f"process {daemon.pid}" for daemon in marked(self.lab.folder)]
        claims = MACHINE / "subnets"
        found += [str(path) for path in claims.glob("*") if path.read_text() == str(self.lab.folder)]
        routes = _output("ip", "-4", "route", "show", "table", "all")
        found += [route for route in routes.splitlines() if self.subnet and self.subnet in route.split()]
        mounts = Path("/proc/self/mounts").read_text().splitlines()
        found += [mount for mount in mounts if any(name in mount for name in (str(self.lab.folder), *self.names))]
        rules = _output("iptables-save").splitlines()
        return found + [rule for rule in rules if self.subnet and self.subnet.rsplit(".", 1)[0] in rule]


def _output(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, timeout=30, check=True).stdout
