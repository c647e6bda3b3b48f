"""A network of its own for each lab, with no way out and none in from other machines.

The subnet is chosen while a lock of the whole machine is held, among those that no route, no address and no other lab
uses; a file per claimed subnet keeps it until the lab is gone. The network is podman's ``--internal``: no gateway, no
NAT, no firewall rules; and it has no DNS server, as that would resolve the world's names.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import limits, state
from lab.engine import MACHINE, podman
from lab.errors import LabError
from lab.layout import Lab
from lab.locks import held
from lab.processes import run

CANDIDATES = [ipaddress.IPv4Network(f"10.90.{number}.0/24") for number in range(256)]
LABEL = "runai-downtime-lab"
"""The label of every container and network of a lab; its value is the lab's folder, which no two labs share."""

FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
FORWARDING_BEFORE = MACHINE / "forwarding-before"


@contextmanager
def machine_lock() -> Iterator[None]:
    """What two labs of this machine must not do at once."""
    with held(MACHINE / "lock", timeout=60, what="another lab changes this machine's networks"):
        _set_back_forwarding()
        yield


@contextmanager
def forwarding_kept() -> Iterator[None]:
    """Netavark makes the machine a router whenever it starts a container; the lab needs none, and it stays as it was.

    A router would let other machines of its networks send packets to the lab's hosts. Should this process be killed
    meanwhile, whoever takes the machine's lock next sets it back.
    """
    with machine_lock():
        FORWARDING_BEFORE.write_text(FORWARDING.read_text())
        try:
            yield
        finally:
            _set_back_forwarding()


def _set_back_forwarding() -> None:
    if FORWARDING_BEFORE.exists():
        before = FORWARDING_BEFORE.read_text()
        if before and FORWARDING.read_text() != before:
            FORWARDING.write_text(before)
        FORWARDING_BEFORE.unlink()


def name_of(lab: Lab) -> str:
    return f"lab-{lab.name}"


def claim(lab: Lab) -> ipaddress.IPv4Network:
    """Choose a free subnet, record it, and make the network. Raises LabError when the lab's name or all are taken."""
    log = lab.logs / "network.log"
    with machine_lock():
        claims = _claims()
        for folder in claims.values():
            if Path(folder).name == lab.name and folder != str(lab.folder):
                raise LabError(f"a lab named {lab.name} of another project folder is up ({folder}); use another name")
        used = [*claims, *_in_use(log)]
        subnet = next((c for c in CANDIDATES if not any(c.overlaps(other) for other in used)), None)
        if subnet is None:
            raise LabError("no subnet of 10.90.0.0/16 is free; remove labs that are not needed (down)")
        limits.lift()
        _claim_file(subnet).parent.mkdir(parents=True, exist_ok=True)
        _claim_file(subnet).write_text(str(lab.folder))
        state.update(lab, subnet=str(subnet))
        options = ["--internal", "--disable-dns", "--label", f"{LABEL}={lab.folder}"]
        where = ["--subnet", str(subnet), "--gateway", str(subnet[1])]
        podman("network", "create", *options, *where, name_of(lab), log=log, what="making the lab's network")
    return subnet


def claimed(lab: Lab) -> bool:
    """Whether the lab holds a subnet: it has machines, or just had or will have some."""
    return str(lab.folder) in _all_claims().values()


def release(lab: Lab, log: Path) -> None:
    """Remove the network and give the subnet back. Nothing to do is no error."""
    with machine_lock():
        names = podman("network", "ls", "-q", "--filter", f"label={LABEL}={lab.folder}", log=log).split()
        if names:
            podman("network", "rm", "-f", *names, log=log)
        for subnet, folder in _all_claims().items():
            if folder == str(lab.folder):
                _claim_file(subnet).unlink(missing_ok=True)
        if not _claims():
            limits.restore()


def _claim_file(subnet: ipaddress.IPv4Network) -> Path:
    return MACHINE / "subnets" / str(subnet.network_address)


def _all_claims() -> dict[ipaddress.IPv4Network, str]:
    folder = MACHINE / "subnets"
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return {ipaddress.IPv4Network(f"{file.name}/24"): file.read_text() for file in files}


def _claims() -> dict[ipaddress.IPv4Network, str]:
    """The claims of labs that still exist. A claim is written before the state: both under the machine's lock."""
    return {
        subnet: folder
        for subnet, folder in _all_claims().items()
        if (Path(folder) / "state.json").exists() and str(subnet) in (Path(folder) / "state.json").read_text()
    }


def _in_use(log: Path) -> list[ipaddress.IPv4Network]:
    """The subnets of this machine's routes and addresses, and of all networks in the labs' store."""
    used = []
    for route in json.loads(run(["ip", "-j", "-4", "route", "show", "table", "all"], log=log, timeout=30)):
        if route["dst"] != "default":
            used.append(ipaddress.IPv4Network(route["dst"], strict=False))
    names = podman("network", "ls", "-q", log=log).split()
    if names:
        for network in json.loads(podman("network", "inspect", *names, log=log)):
            used += [ipaddress.IPv4Network(s["subnet"]) for s in network.get("subnets", []) if ":" not in s["subnet"]]
    return used
