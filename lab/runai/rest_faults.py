"""What goes wrong with the stand-in of Run:ai's REST API, on command: a file that it reads before each answer."""

from __future__ import annotations

import json
from pathlib import Path

from lab.errors import LabError
from lab.layout import Lab
from lab.state import write_atomically

TARGET = "runai-api"
"""Its name in ``python -m lab fault``, in the place of a node."""
FAULTS = {
    "unauthorized": "it takes no token, also none that it just gave (401)",
    "token-refused": "it gives no token",
    "too-many": "429, with Retry-After: 1",
    "internal-error": "500, with an error document",
    "slow": "each answer takes 20 s",
    "refuses-suspend": "it refuses to suspend, with an error document of its own",
    "refuses-resume": "it refuses to resume, with an error document of its own",
    "forgets": "it accepts a suspension or a resumption (202), and nothing happens",
    "odd-answer": "a page of a portal, in HTML, with status 200",
}
_FOR_EVER = -1


def path(lab: Lab) -> Path:
    return lab.folder / "runai-api-faults.json"


def set_fault(lab: Lab, fault: str, times: int = _FOR_EVER) -> None:
    """Let it go wrong, the next ``times`` times (or until it is cleared). Raises LabError if there is no such fault."""
    if fault not in FAULTS:
        raise LabError(f"{TARGET} has no fault {fault!r}: {', '.join(FAULTS)}")
    _write(path(lab), {**read(path(lab)), fault: times})


def clear(lab: Lab, fault: str = "") -> None:
    """Clear this fault, or all of them."""
    left = {name: times for name, times in read(path(lab)).items() if fault and name != fault}
    _write(path(lab), left)


def read(file: Path) -> dict[str, int]:
    """The faults that are set, and how often each is still to happen."""
    try:
        return dict(json.loads(file.read_text()))
    except FileNotFoundError:
        return {}


def take(file: Path, fault: str) -> bool:
    """Whether it is to happen now; counted."""
    found = read(file)
    left = found.get(fault, 0)
    if left > 0:
        _write(file, {**found, fault: left - 1})
    return left != 0


def _write(file: Path, faults: dict[str, int]) -> None:
    write_atomically(file, json.dumps(faults))
