"""How commands reach the simulator: one JSON line each way over a Unix socket in the lab's folder."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.layout import Lab

SOCKET = "simulator.sock"
SECONDS = 20.0


def listen(folder: Path) -> socket.socket:
    path = folder / SOCKET
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    _at(folder, listener.bind)
    path.chmod(0o600)
    listener.listen(32)
    listener.settimeout(0)
    return listener


def request(lab: Lab, **what: Any) -> str:
    """Ask the simulator for something. Raises LabError if it refuses, or does not answer."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(SECONDS)
        try:
            _at(lab.folder, connection.connect)
            connection.sendall(json.dumps(what).encode() + b"\n")
            answer = json.loads(read_line(connection))
        except (OSError, ValueError) as error:
            raise LabError(f"the simulated hosts of lab {lab.name} do not answer: {error}") from error
    if "error" in answer:
        raise LabError(str(answer["error"]))
    return str(answer["answer"])


def read_line(connection: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"\n"):
        piece = connection.recv(65_536)
        if not piece:
            break
        data += piece
    return data


def _at(folder: Path, act: Any) -> None:
    """Bind or connect by way of a descriptor: a socket's path may have 107 bytes, and a checkout may lie deeper."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        act(f"/proc/self/fd/{descriptor}/{SOCKET}")
    finally:
        os.close(descriptor)
