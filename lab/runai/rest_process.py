"""The process of the stand-in of Run:ai's REST API: started with a lab, ended with everything else of it."""

from __future__ import annotations

import secrets
import sys
import urllib.error
import urllib.request
from dataclasses import asdict
from pathlib import Path

from lab import processes, state
from lab.layout import PROJECT, Lab
from lab.locks import reserve_ports
from lab.patience import until
from lab.state import write_atomically

NAME = "runai-api"
CLIENT = "downtime"
TOKENS_BEGIN = "lab-token-"
"""Each of its tokens does: whoever looks for leaks looks for that."""
LOOPBACK = "127.0.0.1"
PORT = "runai_api_port"
"""In the lab's state."""


def configured(lab: Lab) -> bool:
    """Whether the lab's configuration names it: it was asked for when the lab was made."""
    return bool((state.read(lab).get("spec") or {}).get("runai_api"))


def secret_file(lab: Lab) -> Path:
    """Where the secret of the only client is."""
    return lab.folder / "runai-api-secret"


def url(lab: Lab) -> str:
    """Where it is reached."""
    return f"http://{LOOPBACK}:{int(state.read(lab)[PORT])}"


def start(lab: Lab) -> None:
    """Start it as a process of the lab, and wait until it answers. Raises LabError."""
    port = reserve_ports(lab, (NAME,))[NAME]
    state.update(lab, **{PORT: port})
    write_atomically(secret_file(lab), secrets.token_urlsafe(24))
    argv = [sys.executable, "-P", "-m", "lab.runai.rest_api", lab.name]
    log = lab.logs / f"{NAME}.log"
    state.add_process(lab, processes.start(NAME, argv, folder=lab.folder, log=log, env={"PYTHONPATH": str(PROJECT)}))
    until(lambda: _answers(lab), seconds=60, what="the stand-in of Run:ai's API does not answer", log=log, every=0.1)


def stop(lab: Lab) -> None:
    """End it, in a lab that goes on without. Raises LabError."""
    found = [daemon for daemon in state.processes(lab) if daemon.name == NAME]
    processes.stop(found)
    state.update(lab, processes=[asdict(one) for one in state.processes(lab) if one not in found])


def _answers(lab: Lab) -> bool:
    try:
        urllib.request.urlopen(f"{url(lab)}/api/v1/workloads/pods", timeout=2)
    except urllib.error.HTTPError as error:
        return error.code == 401
    except OSError:
        return False
    return False
