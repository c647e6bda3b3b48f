"""Power from outside the machines: ``power NODE on|off|reset|status``, for both kinds of lab."""

from __future__ import annotations

import shlex
import sys

from lab import state
from lab.errors import LabError
from lab.layout import PROJECT, Lab
from lab.state import write_atomically

ACTIONS = ("on", "off", "reset", "status")


def power(lab: Lab, node: str, action: str) -> str:
    """Power a node's machine; returns ``on`` or ``off``, as it is afterwards. Raises LabError."""
    if action not in ACTIONS:
        raise LabError(f"{action!r} is nothing that power can do; it can: {', '.join(ACTIONS)}")
    kind = state.read(lab).get("kind")
    if kind == "control-plane":
        from lab.simulated.control import request

        return request(lab, do="power", node=node, action=action)
    if kind == "hosts":
        from lab import machines

        return machines.power(lab, node, action)
    raise LabError(f"there is no lab {lab.name}")


def write_script(lab: Lab) -> None:
    """Write the lab's power program: independent of the current folder, of PATH and of PYTHONPATH."""
    python, project = shlex.quote(sys.executable), shlex.quote(str(PROJECT))
    text = (
        "#!/bin/sh\n"
        "# power NODE on|off|reset|status\n"
        f'PYTHONPATH={project} exec {python} -P -m lab power --name {lab.name} "$@"\n'
    )
    write_atomically(lab.power, text, 0o755)
