"""The secrets that a maintenance uses, and the places in which none of them may ever stand."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from lab.machines import inside
from tests.hosts.product import everything_stored
from tests.hosts.served import CANARY, Served

SAMPLE_SECONDS = 0.1


def secrets_of(served: Served) -> dict[str, list[str]]:
    """Each secret in the spellings in which it could be found. Of keys, whole lines: no text holds those by chance."""
    user = yaml.safe_load(served.hosts.lab.kubeconfig.read_text())["users"][0]["user"]["client-key-data"]
    ssh_key = served.hosts.lab.ssh_key.read_text().splitlines()
    return {
        "sudo password": [CANARY, base64.b64encode(CANARY.encode()).decode()],
        "SSH key": [ssh_key[2], ssh_key[3]],
        "client key of the kubeconfig": [user[100:160], base64.b64decode(user).decode().splitlines()[1]],
    }


def places(served: Served, run: str) -> dict[str, str]:
    """What could hold a secret after a run: name to content."""
    lab = served.hosts.lab
    found = {str(path): _text(path) for path in lab.logs.rglob("*") if path.is_file()}
    found |= {str(path): _text(path) for path in (lab.folder / "prefect").rglob("*") if path.is_file()}
    wanted = {"logs": {"flow_run_id": {"any_": [run]}}}
    found["logs in Prefect"] = str(served.prefect.call("POST", "/logs/filter", wanted))
    found["artifacts"] = str(served.artifacts(run))
    found["flow run"] = str(served.prefect.call("GET", f"/flow_runs/{run}"))
    found["cluster"] = everything_stored(served.hosts.api)
    for node in ("gpu-1", "master-1"):
        journal = inside(lab, served.hosts.machine(node), "journalctl", "--no-pager", "-o", "cat", "--since", "-15min")
        found[f"journal of {node}"] = journal
    return found


@dataclass
class CommandLines:
    """Every command line that was seen on this machine: its own processes, and those of all hosts."""

    seen: set[str] = field(default_factory=set)

    def sample(self) -> None:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                self.seen.add(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            except OSError:
                continue


@contextmanager
def command_lines() -> Iterator[CommandLines]:
    """Look at all processes, many times a second."""
    lines, over = CommandLines(), threading.Event()

    def look() -> None:
        while not over.wait(SAMPLE_SECONDS):
            lines.sample()

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield lines
    finally:
        over.set()
        thread.join(10)


def _text(path: Path) -> str:
    # SQLite keeps texts as they are: bytes of which each is one character can be searched.
    return path.read_bytes().decode("latin-1")
