"""The GPUs of the lab's hosts, which do not exist: one file for each GPU worker tells what all else says of them.

The host sees it below /etc/lab, as a machine sees its hardware: its ``nvidia-smi``, the driver's lines in its kernel
log and the device plugin on the cluster read it, and nothing else knows of any GPU. A fault may thus be set while the
machine is off, and lasts until it is cleared; what the kernel log has told stays in it until the machine starts anew.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from typing import Any

from lab import machines, state
from lab.errors import LabError
from lab.layout import Lab
from lab.locks import held
from lab.machines import Machine
from lab.spec import GPUS_PER_HOST
from lab.state import write_atomically

NAME = "NVIDIA A100-SXM4-80GB"
BROKEN = GPUS_PER_HOST - 1
"""Which one is lost."""

FAULTS = {
    "gpu-lost": "its last GPU can neither be allocated nor is it listed by nvidia-smi",
    "gpu-lost-on-host": "nvidia-smi does not list its last GPU, while all are allocatable",
    "gpu-fails": "a container that is given a GPU cannot use it",
    "xid": "its kernel log tells of a GPU that has fallen off the bus",
    "driver-mismatch": "nvidia-smi finds other versions of the driver's library and its kernel module",
    "no-nvidia-smi": "it has no nvidia-smi",
}
LOADED = "NVRM: loading NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024"
MISMATCH = "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 550.90"
UNUSABLE = "Unable to determine the device handle for GPU0: {pci}: Unknown Error"
SECONDS = 20.0


def write(lab: Lab, machine: Machine, faults: Sequence[str] = ()) -> None:
    """Write what is so of a machine's GPUs; of one that has none there is nothing to write."""
    folder = machines.settings_of(lab, machine) / "gpus"
    folder.mkdir(parents=True, exist_ok=True)
    if machine.role == "gpu-worker":
        write_atomically(
            folder / "gpus.json", json.dumps(truth(lab.name, machine.node, faults), indent=2) + "\n", 0o644
        )


def truth(lab: str, node: str, faults: Sequence[str]) -> dict[str, Any]:
    """What is so of a machine's GPUs: what a GPU says of itself, how nvidia-smi fails, what the kernel log holds.

    Numbers for what is true or not: the machines' Python is Debian's smallest, which reads no JSON but as its own.
    """
    devices = [_device(lab, node, number, faults) for number in range(GPUS_PER_HOST)]
    bus = devices[BROKEN]["pci"][4:14].lower()
    xid = f"NVRM: Xid (PCI:{bus}): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."
    return {
        "faults": sorted(faults),
        "devices": devices,
        "missing": int("no-nvidia-smi" in faults),
        "failure": MISMATCH if "driver-mismatch" in faults else "",
        "kernel_log": [LOADED, *([xid] if "xid" in faults else [])],
    }


def _device(lab: str, node: str, number: int, faults: Sequence[str]) -> dict[str, Any]:
    broken = number == BROKEN
    pci = f"00000000:{0x18 + number:02X}:00.0"
    return {
        "uuid": f"GPU-{uuid.uuid5(uuid.NAMESPACE_DNS, f'{number}.{node}.{lab}')}",
        "pci": pci,
        "name": NAME,
        "healthy": int(not (broken and "gpu-lost" in faults)),
        "listed": int(not (broken and {"gpu-lost", "gpu-lost-on-host"} & set(faults))),
        "failure": UNUSABLE.format(pci=pci) if "gpu-fails" in faults else "",
    }


def fault(lab: Lab, node: str, name: str, *, present: bool) -> str:
    """Set or clear a fault of a GPU worker's GPUs, whether it is on or off; the faults that it has now.

    Raises LabError: there is no such fault, or no such machine.
    """
    machine = next((one for one in machines.of_lab(lab) if one.node == node and one.role == "gpu-worker"), None)
    if machine is None:
        raise LabError(f"the lab {lab.name} has no GPU worker {node}")
    if name not in FAULTS:
        raise LabError(f"there is no fault {name} of hosts; faults: {', '.join(FAULTS)}")
    with held(lab.folder / "gpus.lock", timeout=SECONDS, what="another command sets a fault"):
        before = set(faults_of(lab, machine))
        now = sorted(before | {name} if present else before - {name})
        write(lab, machine, now)
    if name == "xid" and present and name not in before and machines.power(lab, node, "status") == "on":
        machines.inside(lab, machine, "/usr/local/lib/lab/kernel-log", "last", what="writing into the kernel log")
    return " ".join(now) or "none"


def faults_of(lab: Lab, machine: Machine) -> list[str]:
    """The faults that a GPU worker has."""
    text = (machines.settings_of(lab, machine) / "gpus" / "gpus.json").read_text()
    return [str(one) for one in json.loads(text)["faults"]]


def of_hosts(lab: Lab) -> bool:
    """Whether the lab's machines are hosts, and not simulated."""
    return bool(state.read(lab).get("kind") == "hosts")
