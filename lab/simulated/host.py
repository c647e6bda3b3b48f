"""A simulated host as it is kept on disk: one JSON file each, written atomically, so that a restart changes nothing."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lab.errors import LabError
from lab.layout import Lab
from lab.locks import held
from lab.pki import ssh_pair
from lab.state import write_atomically

HOSTS_PER_NETWORK = 240
ROLES = ("control-plane", "system", "gpu", "cpu")
FAULTS = {
    "ssh-refused": "connections to its SSH port are refused",
    "ssh-hangs": "its SSH port accepts connections and never answers",
    "sudo-refused": "sudo asks for a password",
    "host-key-changed": "it shows another host key",
    "other-machine": "another machine answers at its address: other boot id and machine id over SSH",
    "poweroff-ignored": "systemctl poweroff reports success, and nothing happens",
    "same-boot-id": "it comes back with the boot id that it had",
    "never-boots": "powered on, it neither answers SSH nor reports to the cluster",
    "gpu-lost": "one GPU fewer is allocatable",
    "power-unknown": "its power controller fails",
}


@dataclass
class Host:
    """One machine. ``booted`` is seconds since the epoch; ``off_since`` likewise, or 0 while it is on."""

    node: str
    role: str
    address: str
    port: int
    gpus: int
    host_key: str
    public_key: str
    hostname: str = ""
    power: str = "on"
    boot_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    machine_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    booted: float = field(default_factory=time.time)
    faults: list[str] = field(default_factory=list)

    def save(self, folder: Path) -> None:
        write_atomically(folder / f"{self.node}.json", json.dumps(asdict(self), indent=2) + "\n")

    @property
    def reached(self) -> str:
        return f"{self.address}:{self.port}"

    @property
    def known_hosts_line(self) -> str:
        return f"[{self.address}]:{self.port} {self.public_key}"

    def boot(self) -> None:
        """The machine starts: a new boot id (unless a fault says otherwise) and a new time."""
        self.power = "on"
        self.booted = time.time()
        if "same-boot-id" not in self.faults:
            self.boot_id = str(uuid.uuid4())


def load(path: Path) -> Host:
    return Host(**json.loads(path.read_text()))


def load_all(lab: Lab) -> list[Host]:
    """All simulated hosts of a lab, by name."""
    return [load(path) for path in sorted(lab.simulated.glob("*.json"))]


def create(lab: Lab, node: str, role: str, *, port: int, gpus: int = 0, hostname: str = "") -> Host:
    """Make a host with the next free loopback address, and make its key known. Raises LabError if it is there."""
    if role not in ROLES:
        raise LabError(f"{role!r} is no role of a host; roles: {', '.join(ROLES)}")
    busy = "another command is making simulated hosts"
    with held(lab.folder / "simulated.lock", timeout=30, what=busy):
        others = load_all(lab)
        if any(other.node == node for other in others):
            raise LabError(f"there is a simulated host {node} already")
        taken = {other.address for other in others}
        number = 0
        while (address := _address(number)) in taken:
            number += 1
        private, public = ssh_pair()
        host = Host(node, role, address, port, gpus, private, public, hostname or node)
        host.save(lab.simulated)
        write_known_hosts(lab)
    return host


def remove(lab: Lab, node: str) -> None:
    """Forget a host; it is no error if there is none."""
    with held(lab.folder / "simulated.lock", timeout=30, what="another command is making simulated hosts"):
        (lab.simulated / f"{node}.json").unlink(missing_ok=True)
        write_known_hosts(lab)


def write_known_hosts(lab: Lab) -> None:
    lines = [host.known_hosts_line for host in load_all(lab)]
    write_atomically(lab.known_hosts, "".join(f"{line}\n" for line in lines), 0o644)


def _address(number: int) -> str:
    """Loopback addresses of their own: all of 127.0.0.0/8 is this machine, and needs no root to listen on."""
    network, host = divmod(number, HOSTS_PER_NETWORK)
    return f"127.90.{network}.{host + 11}"
