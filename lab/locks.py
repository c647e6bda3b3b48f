"""Locks between processes of one machine, and the ports that the labs of this machine have taken.

Ports are chosen below the range that the kernel hands out by itself, so that no outgoing connection takes one
between its choice and its use.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import random
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from lab.errors import LabError
from lab.layout import Lab, cache_folder
from lab.state import write_atomically

FIRST_PORT, LAST_PORT = 20_000, 32_000


@contextmanager
def held(path: Path, *, timeout: float, what: str) -> Iterator[None]:
    """Hold the lock file ``path``; the kernel frees it when the process ends, however it does.

    Raises LabError after ``timeout`` seconds, with ``what`` (whatever the other holder is presumably doing).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+") as file:
        deadline = time.monotonic() + timeout
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise LabError(f"{what} (lock {path} still held after {timeout:g} s)") from None
                time.sleep(0.1)
        yield


@contextmanager
def of_lab(lab: Lab, *, timeout: float = 1.0) -> Iterator[None]:
    """One ``up`` or ``down`` of a lab at a time. The lock lies outside of the lab's folder, which ``down`` removes."""
    key = hashlib.sha256(str(lab.folder).encode()).hexdigest()[:16]
    with held(
        cache_folder() / "locks" / key,
        timeout=timeout,
        what=f"another command is making or removing the lab {lab.name} right now",
    ):
        yield


def reserve_ports(lab: Lab, names: Sequence[str]) -> dict[str, int]:
    """Choose a free loopback port for each name, and keep other labs of this machine from choosing the same."""
    registry = cache_folder() / "ports.json"
    with held(cache_folder() / "locks" / "ports", timeout=30, what="another lab is choosing its ports"):
        taken = _live(registry)
        used = {port for ports in taken.values() for port in ports}
        chosen: dict[str, int] = {}
        candidates = random.sample(range(FIRST_PORT, LAST_PORT), 2_000)
        for name in names:
            port = next((p for p in candidates if p not in used and _free(p)), None)
            if port is None:
                raise LabError(f"no free port between {FIRST_PORT} and {LAST_PORT}")
            used.add(port)
            chosen[name] = port
        taken[str(lab.folder)] = sorted({*taken.get(str(lab.folder), []), *chosen.values()})
        write_atomically(registry, json.dumps(taken, indent=2))
        return chosen


def release_ports(lab: Lab) -> None:
    """Give the lab's ports back."""
    registry = cache_folder() / "ports.json"
    with held(cache_folder() / "locks" / "ports", timeout=30, what="another lab is choosing its ports"):
        taken = _live(registry)
        taken.pop(str(lab.folder), None)
        write_atomically(registry, json.dumps(taken, indent=2))


def _live(registry: Path) -> dict[str, list[int]]:
    """The reservations of labs whose folder still exists."""
    try:
        taken = json.loads(registry.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return {folder: ports for folder, ports in taken.items() if Path(folder).exists()}


def _free(port: int) -> bool:
    with closing(socket.socket()) as probe:
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
        return True
