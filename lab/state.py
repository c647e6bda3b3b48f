"""What a lab is made of, written down *before* it is made, so that ``down`` after a crashed ``up`` finds all of it.

``state.json`` is one JSON object. Keys that all kinds share: ``kind`` ("control-plane" or "hosts"), ``phase``
("starting" or "up"), ``spec`` (how it was asked for), ``processes`` (a list of records of lab.processes.Daemon) and
``ports`` (name to number). Each kind adds keys of its own.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.layout import Lab
from lab.processes import Daemon


def write_atomically(path: Path, text: str, mode: int = 0o600) -> None:
    """Replace a file as a whole: a reader, or a crash, sees the old text or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
        file.write(text)
    fresh.replace(path)


def read(lab: Lab) -> dict[str, Any]:
    """The lab's state; empty if there is no lab. Raises LabError if the file is damaged."""
    try:
        text = lab.state.read_text()
    except FileNotFoundError:
        return {}
    try:
        state = json.loads(text)
    except ValueError as error:
        raise LabError(f"{lab.state} is damaged ({error}); remove the lab with down") from error
    if not isinstance(state, dict):
        raise LabError(f"{lab.state} is damaged (no JSON object); remove the lab with down")
    return state


def update(lab: Lab, **changes: Any) -> dict[str, Any]:
    """Set top-level keys of the lab's state, and return the whole."""
    state = {**read(lab), **changes}
    write_atomically(lab.state, json.dumps(state, indent=2, sort_keys=True) + "\n")
    return state


def add_process(lab: Lab, daemon: Daemon) -> None:
    """Record a process just started."""
    update(lab, processes=[*read(lab).get("processes", []), asdict(daemon)])


def processes(lab: Lab) -> list[Daemon]:
    """The recorded processes, in the order in which they were started."""
    return [Daemon.of(record) for record in read(lab).get("processes", [])]
