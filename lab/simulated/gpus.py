"""What a simulated host tells of its GPUs: ``nvidia-smi``, and the lines of NVIDIA's driver in its kernel log."""

from __future__ import annotations

from collections.abc import Sequence

from lab.simulated.answers import Answer
from lab.simulated.host import Host

NAME = "NVIDIA A100-SXM4-80GB"
BROKEN = 3  # which one the faults are about that are seen on the machine alone
LOADED = "NVRM: loading NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024\n"
MISMATCH = "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 550.90\n"
NO_DRIVER = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n"


def uuid(host: Host, number: int) -> str:
    return f"GPU-{host.machine_id[:8]}-{number:04d}"


def pci(number: int) -> str:
    return f"00000000:{0x18 + number:02X}:00.0"


def nvidia_smi(host: Host, arguments: Sequence[str], _as_root: bool) -> Answer:
    if "no-nvidia-smi" in host.faults:
        return Answer(127, error="sh: 1: nvidia-smi: not found\n")
    if not host.gpus:
        return Answer(9, error=NO_DRIVER)
    if "driver-mismatch" in host.faults:
        return Answer(18, output=MISMATCH)
    numbers = list(range(host.gpus - ("gpu-lost" in host.faults)))
    if "gpu-lost-on-host" in host.faults:
        numbers.remove(BROKEN)
    if any(one.startswith("--query-gpu=index,uuid,pci.bus_id,name") for one in arguments):
        rows = (f"{at}, {uuid(host, one)}, {pci(one)}, {NAME}\n" for at, one in enumerate(numbers))
        return Answer(output="".join(rows))
    return Answer(output="".join(f"GPU {at}: {NAME} (UUID: {uuid(host, one)})\n" for at, one in enumerate(numbers)))


def journalctl(host: Host, arguments: Sequence[str], as_root: bool) -> Answer:
    """The kernel log of this boot, as far as somebody looks for the driver's lines in it."""
    if not as_root:
        return Answer(1, error="Hint: You are currently not seeing messages from other users and the system.\n")
    if "--dmesg" not in arguments or not host.gpus:
        return Answer(1)
    bus = pci(BROKEN)[4:14].lower()
    broken = f"NVRM: Xid (PCI:{bus}): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.\n"
    return Answer(output=LOADED + (broken if "xid" in host.faults else ""))
