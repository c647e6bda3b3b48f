"""The machines of a lab: podman containers that behave like hosts, with systemd, sshd, a boot id and a power switch.

Their addresses and MAC addresses are fixed, their disks are volumes, and they have nothing of podman's life cycle:
``systemctl poweroff`` inside, or a power cut from outside, ends them, and only ``power on`` starts them again.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, Literal

from lab import network, state
from lab.engine import podman
from lab.errors import LabError
from lab.layout import Lab
from lab.patience import until
from lab.spec import Spec

Role = Literal["control-plane", "gpu-worker", "system"]
ROLES: dict[Role, tuple[str, int]] = {
    "control-plane": ("master", 10),
    "gpu-worker": ("gpu", 20),
    "system": ("system", 200),
}
"""Per role: the first part of its nodes' names, and what is added to their number for the last part of the address."""

MOST = 50
ENDPOINT, ENDPOINT_NAME = 10, "cp"
"""Several control-plane hosts have one address for their API: its last part, and the name that all hosts know it by."""

BOOT_SECONDS = 60.0
POWER_SECONDS = 20.0


@dataclass(frozen=True)
class Machine:
    """A machine: ``node`` is its name in Kubernetes, ``host_name`` what the machine calls itself."""

    node: str
    host_name: str
    role: Role
    address: str
    pods: str

    @staticmethod
    def of(record: Mapping[str, Any]) -> Machine:
        return Machine(**record)

    def container(self, lab: Lab) -> str:
        return f"{lab.name}-{self.node}"

    @property
    def mac(self) -> str:
        """Fixed, as neighbours remember the address of a machine that was off for a while."""
        return "02:00:" + ":".join(f"{int(part):02x}" for part in self.address.split("."))

    @property
    def disks(self) -> dict[str, str]:
        """What lies on a volume: containerd can't put its overlays on podman's, and etcd wants a disk."""
        disks = {"containerd": "/var/lib/containerd", "kubelet": "/var/lib/kubelet"}
        return {**disks, "etcd": "/var/lib/etcd"} if self.role == "control-plane" else disks


def plan(spec: Spec, subnet: IPv4Network, host_names: Mapping[str, str]) -> list[Machine]:
    """The machines of a lab, the control plane first. ``host_names``: node name to host name, where they differ."""
    counts: dict[Role, int] = {"control-plane": spec.control_planes, "gpu-worker": spec.workers, "system": spec.systems}
    machines: list[Machine] = []
    for role, count in counts.items():
        if count > MOST:
            raise LabError(f"{count} machines of the kind {role}: at most {MOST}")
        name, offset = ROLES[role]
        for number in range(1, count + 1):
            node = f"{name}-{number}"
            pods = f"10.244.{len(machines)}.0/24"
            machines.append(Machine(node, host_names.get(node, node), role, str(subnet[offset + number]), pods))
    return machines


def endpoint_of(machines: Sequence[Machine]) -> str:
    """The address of the API that survives the loss of a control-plane host; empty: there is only one host."""
    masters = [machine for machine in machines if machine.role == "control-plane"]
    if len(masters) < 2:
        return ""
    return str(IPv4Network(f"{masters[0].address}/24", strict=False)[ENDPOINT])


def of_lab(lab: Lab) -> list[Machine]:
    """The machines that the lab's state names."""
    return [Machine.of(record) for record in state.read(lab).get("machines", [])]


def record(lab: Lab, machines: list[Machine]) -> None:
    state.update(lab, machines=[asdict(machine) for machine in machines])


def start(lab: Lab, machine: Machine, machines: list[Machine], image: str, binary: Path, archive: Path) -> None:
    """Make a machine and switch it on."""
    settings = settings_of(lab, machine)
    _write_settings(lab, machine, settings, archive)
    endpoint = endpoint_of(machines)
    if endpoint and machine.role == "control-plane":
        _write_endpoint(endpoint, machine, machines, settings)
    container = machine.container(lab)
    arguments = [
        *("--name", container, "--hostname", machine.host_name, "--label", f"{network.LABEL}={lab.folder}"),
        *("--network", f"{network.name_of(lab)}:ip={machine.address},mac={machine.mac}", "--dns", "none"),
        # systemd=false: podman's own way shares the machine's systemd cgroups, and one power-off breaks all others.
        *("--privileged", "--systemd=false", "--cgroupns=private", "-e", "container=podman"),
        *(
            "--stop-signal",
            "SIGRTMIN+3",
            "--ulimit",
            "nofile=20000:20000",
            "--ulimit",
            "nproc=30000:30000",
            "--pids-limit",
            "-1",
        ),
        *("--tmpfs", "/run:exec", "--tmpfs", "/run/lock", "--tmpfs", "/tmp"),
        *("-v", f"{settings}:/etc/lab:ro", "-v", f"{binary.parent}:/opt/kubernetes:ro"),
    ]
    for other in machines:
        for name in {other.node, other.host_name}:
            arguments += ["--add-host", f"{name}:{other.address}"]
    if endpoint:
        arguments += ["--add-host", f"{ENDPOINT_NAME}:{endpoint}"]
    for disk, path in machine.disks.items():
        arguments += ["-v", f"{container}-{disk}:{path}"]
    with network.forwarding_kept():
        podman("run", "-d", *arguments, image, "/sbin/init", log=log_of(lab, machine), what=f"starting {machine.node}")


def settings_of(lab: Lab, machine: Machine) -> Path:
    """The folder that the machine sees as /etc/lab, and can't change."""
    return lab.folder / "machines" / machine.node


def _write_settings(lab: Lab, machine: Machine, folder: Path, archive: Path) -> None:
    """The archive of images is linked, so that a cleared cache does no harm."""
    (folder / "cni").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(lab.ssh_key.with_name(f"{lab.ssh_key.name}.pub"), folder / "authorized_keys")
    (folder / "cni" / "10-lab.conflist").write_text(json.dumps(_pod_network(machine), indent=2))
    images = folder / "images.tar"
    try:
        os.link(archive, images)
    except OSError:
        shutil.copyfile(archive, images)


def _write_endpoint(endpoint: str, machine: Machine, machines: list[Machine], folder: Path) -> None:
    """What the host's own service reads: the common address, its own, and those of the hosts that come before it."""
    masters = [one.address for one in machines if one.role == "control-plane"]
    before = masters[: masters.index(machine.address)]
    (folder / "endpoint").write_text("".join(f"{one}\n" for one in (endpoint, machine.address, *before)))


def _pod_network(machine: Machine) -> dict[str, Any]:
    """The CNI configuration. Each machine has a range of its own, so that no two pods of the lab share an address."""
    addresses = {
        "type": "host-local",
        "ranges": [[{"subnet": machine.pods}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": True, "ipam": addresses}
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "0.4.0", "name": "lab", "plugins": [bridge, ports]}


def inside(
    lab: Lab, machine: Machine, *argv: str, timeout: float = 60.0, stdin: str | None = None, what: str = ""
) -> str:
    """Run a command as root on the machine, not over SSH: for what the lab itself needs. Raises LabError."""
    log = log_of(lab, machine)
    options = ["-i"] if stdin is not None else []
    doing = f"{what or ' '.join(argv[:2])} on {machine.node}"
    return podman("exec", *options, machine.container(lab), *argv, log=log, timeout=timeout, stdin=stdin, what=doing)


def copy_out(lab: Lab, machine: Machine, path: str, target: Path) -> None:
    """Copy a file of the machine, which may hold a secret and thus must not be seen in a log. Raises LabError."""
    fresh = target.with_name(f".{target.name}.fresh")
    podman("cp", f"{machine.container(lab)}:{path}", str(fresh), log=log_of(lab, machine), what=f"copying {path}")
    fresh.chmod(0o600)
    fresh.replace(target)


def wait_booted(lab: Lab, machine: Machine) -> str:
    """Wait until containerd and sshd run, and return the machine's line for known_hosts."""
    script = (
        "systemctl is-active -q containerd ssh && cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub"
        " || { systemctl --no-pager --failed >&2; true; }"
    )

    def key() -> str:
        return inside(lab, machine, "sh", "-c", script).strip()

    found = until(key, seconds=BOOT_SECONDS, what=f"{machine.node} has not booted", log=log_of(lab, machine))
    return f"{machine.address} {found}"


def import_images(lab: Lab, machine: Machine) -> None:
    """Give the machine's containerd all images that are used on the cluster, so that nothing is ever pulled."""
    for archive in sorted(settings_of(lab, machine).glob("*.tar")):
        inside(lab, machine, "ctr", "-n", "k8s.io", "images", "import", f"/etc/lab/{archive.name}", timeout=180)
        archive.unlink()


def power(lab: Lab, node: str, action: str) -> str:
    """Switch a machine ``on`` or ``off`` (a power cut), ``reset`` it, or tell its ``status``; returns "on" or "off".

    The answer is what is so after the action. Raises LabError when there is no such machine or it does not obey.
    """
    machine = next((machine for machine in of_lab(lab) if machine.node == node), None)
    if machine is None:
        known = " ".join(machine.node for machine in of_lab(lab)) or "none"
        raise LabError(f"the lab {lab.name} has no machine {node}; it has: {known}")
    if action not in ("on", "off", "reset", "status"):
        raise LabError(f"unknown power action {action}; use on, off, reset or status")
    if action in ("off", "reset") and _status(lab, machine) == "on":
        _switch_off(lab, machine)
    if action in ("on", "reset") and _status(lab, machine) == "off":
        with network.forwarding_kept():
            podman("start", machine.container(lab), log=log_of(lab, machine), what=f"starting {node}")
    return _status(lab, machine)


def _status(lab: Lab, machine: Machine) -> str:
    form = "{{.State.Running}}"
    running = podman("container", "inspect", "-f", form, machine.container(lab), log=log_of(lab, machine)).strip()
    if running not in ("true", "false"):
        raise LabError(f"podman can't tell whether {machine.node} runs: {running!r}")
    return "on" if running == "true" else "off"


def _switch_off(lab: Lab, machine: Machine) -> None:
    log = log_of(lab, machine)
    try:
        podman("kill", machine.container(lab), log=log, what=f"cutting the power of {machine.node}")
    except LabError:
        if _status(lab, machine) == "on":  # otherwise it went off by itself in that moment
            raise

    def off() -> bool:
        return _status(lab, machine) == "off"

    until(off, seconds=POWER_SECONDS, what=f"{machine.node} is still on after a power cut", log=log)


def remove(lab: Lab, log: Path) -> None:
    """Remove all machines with their disks, those that no state names as well. Nothing to do is no error."""
    filters = ["--filter", f"label={network.LABEL}={lab.folder}"]
    found = podman("ps", "-a", "--format", "{{.Names}}", *filters, log=log).split()
    if found:
        podman("rm", "-f", "-t", "0", *found, log=log, timeout=180, what="removing the machines")
    names = {machine.container(lab) for machine in _recorded(lab)} | set(found)
    disks = {f"{name}-{disk}" for name in names for disk in ("containerd", "kubelet", "etcd")}
    existing = set(podman("volume", "ls", "-q", log=log).split())
    if disks & existing:
        podman("volume", "rm", "-f", *sorted(disks & existing), log=log, timeout=180, what="removing the disks")


def _recorded(lab: Lab) -> list[Machine]:
    """As of_lab; none when the state is damaged, as that must not stop anybody from taking the lab down."""
    try:
        return of_lab(lab)
    except LabError:
        return []


def log_of(lab: Lab, machine: Machine) -> Path:
    return lab.logs / f"{machine.node}.log"
