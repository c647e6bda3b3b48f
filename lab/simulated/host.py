"""A simulated host as it is kept on disk: one JSON file each, written atomically, so that a restart changes nothing."""

from __future__ import annotations

import itertools
import json
import time
import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lab.errors import LabError
from lab.layout import Lab
from lab.locks import held
from lab.pki import ssh_pair
from lab.state import write_atomically

HOSTS_PER_NETWORK = 240
KUBELET_PORT = 10250
BUSY = "another command is making simulated hosts"
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
    "gpu-lost-on-host": "nvidia-smi lists one GPU fewer, while all are allocatable",
    "xid": "its kernel log tells of a GPU that has fallen off the bus",
    "driver-mismatch": "nvidia-smi finds other versions of the driver's library and its kernel module",
    "no-nvidia-smi": "it has no nvidia-smi",
    "power-unknown": "its power controller fails",
    "join-fails": "kubeadm join ends with an error half-way: there are credentials, and no kubelet runs",
    "etcd-down": "its container of etcd does not run",
    "etcd-unhealthy": "its member of etcd does not answer",
    "etcd-mute": "etcdctl on this host fails, although its member works",
    "crictl-missing": "it has no crictl",
    "member-stays": "kubeadm reset only warns that it could not take its member out of etcd",
    "reset-fails": "kubeadm reset ends with an error, after the kubelet was stopped",
}


@dataclass
class Host:
    """One machine. ``booted`` is seconds since the epoch; ``powered_off`` counts how often it went off, however.

    ``joined``: its kubelet has credentials of the cluster; ``kubelet_starts``: with the machine; ``kubelet_runs``: now;
    ``kubelet_run``: how often it was started, for only then it makes a Node that is not there (``register_taints``).
    ``etcd``: the id of its member of etcd; empty: it has none. ``kubelet_port``: where its kubelet is asked to run
    commands in pods.
    """

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
    powered_off: int = 0
    faults: list[str] = field(default_factory=list)
    joined: bool = True
    kubelet_starts: bool = True
    kubelet_runs: bool = True
    resets: int = 0
    kubelet_run: int = 0
    register_taints: list[dict[str, str]] = field(default_factory=list)
    etcd: str = ""
    kubelet_port: int = KUBELET_PORT

    def save(self, folder: Path) -> None:
        write_atomically(folder / f"{self.node}.json", json.dumps(asdict(self), indent=2) + "\n")

    @property
    def reached(self) -> str:
        return f"{self.address}:{self.port}"

    @property
    def known_hosts_line(self) -> str:
        return f"[{self.address}]:{self.port} {self.public_key}"

    def go_off(self) -> None:
        """The machine stops."""
        self.power = "off"
        self.powered_off += 1

    def start_kubelet(self) -> None:
        """Its kubelet starts, if it has credentials."""
        self.kubelet_runs = self.joined
        self.kubelet_run += 1

    def boot(self) -> None:
        """The machine starts: a new boot id (unless a fault says otherwise) and a new time."""
        self.power = "on"
        self.booted = time.time()
        self.kubelet_runs = False
        if self.kubelet_starts:
            self.start_kubelet()
        if "same-boot-id" not in self.faults:
            self.boot_id = str(uuid.uuid4())


def load(path: Path) -> Host:
    return Host(**json.loads(path.read_text()))


def load_all(lab: Lab) -> list[Host]:
    """All simulated hosts of a lab, by name."""
    return [load(path) for path in sorted(lab.simulated.glob("*.json"))]


@dataclass(frozen=True)
class Wanted:
    """A host to be made. An empty ``hostname`` is the node's name."""

    node: str
    role: str
    gpus: int = 0
    hostname: str = ""


def create(lab: Lab, wanted: Iterable[Wanted], *, port: int, kubelet_port: int = KUBELET_PORT) -> list[Host]:
    """Make hosts, each with the next free loopback address, and make their keys known.

    Raises LabError if a role is unknown or a node has a host already.
    """
    made = []
    with held(lab.folder / "simulated.lock", timeout=30, what=BUSY):
        others = load_all(lab)
        names = {other.node for other in others}
        taken = {other.address for other in others}
        free = (address for number in itertools.count() if (address := _address(number)) not in taken)
        for wish in wanted:
            if wish.role not in ROLES:
                raise LabError(f"{wish.role!r} is no role of a host; roles: {', '.join(ROLES)}")
            if wish.node in names:
                raise LabError(f"there is a simulated host {wish.node} already")
            names.add(wish.node)
            private, public = ssh_pair()
            hostname = wish.hostname or wish.node
            host = Host(wish.node, wish.role, next(free), port, wish.gpus, private, public, hostname)
            host.kubelet_port = kubelet_port
            host.etcd = _new_member_id() if wish.role == "control-plane" else ""
            host.save(lab.simulated)
            made.append(host)
        _write_known_hosts(lab, [*others, *made])
    return made


def remove(lab: Lab, node: str) -> None:
    """Forget a host; it is no error if there is none."""
    with held(lab.folder / "simulated.lock", timeout=30, what=BUSY):
        (lab.simulated / f"{node}.json").unlink(missing_ok=True)
        _write_known_hosts(lab, load_all(lab))


def _write_known_hosts(lab: Lab, hosts: Iterable[Host]) -> None:
    lines = [host.known_hosts_line for host in hosts]
    write_atomically(lab.known_hosts, "".join(f"{line}\n" for line in lines), 0o644)


def _new_member_id() -> str:
    """As etcd makes them: 64 bits."""
    return f"{uuid.uuid4().int >> 66:x}"


def _address(number: int) -> str:
    """Loopback addresses of their own: all of 127.0.0.0/8 is this machine, and needs no root to listen on."""
    network, host = divmod(number, HOSTS_PER_NETWORK)
    return f"127.90.{network}.{host + 11}"
