"""The PostgreSQL of a lab with simulated nodes: a process of this machine, behind its pod's name.

The pod ``runai-backend-postgresql-0`` is simulated; a command that somebody execs in it finds this server, as it would
find the one in its container: on loopback, by the variables ``PGHOST`` and ``PGPORT``, and with the password.
"""

from __future__ import annotations

import os
import secrets
import signal
from pathlib import Path

from lab import processes, state
from lab.layout import Lab
from lab.patience import until
from lab.postgresql import programs, template
from lab.processes import run
from lab.progress import Progress
from lab.state import write_atomically

START_SECONDS = 30.0
STOP_SECONDS = 10.0
NAME = "postgresql"
POD = "runai-backend/runai-backend-postgresql-0"


def start(lab: Lab, progress: Progress) -> str:
    """Start the lab's server from the template, with a password of its own, and return that. Raises LabError."""
    data = lab.folder / NAME
    template.copy(template.ensure(progress), data)
    run_server(lab)
    set_password(lab, secrets.token_urlsafe(18), before=template.PASSWORD)
    return password(lab)


def run_server(lab: Lab) -> None:
    """Start the server on the lab's data, and wait until it answers. Raises LabError."""
    log = lab.logs / f"{NAME}.log"
    daemon = processes.start(NAME, template.postgres(lab.folder / NAME, port_of(lab)), folder=lab.folder, log=log)
    state.add_process(lab, daemon)
    until(
        lambda: template.ready(port_of(lab)),
        seconds=START_SECONDS,
        what="PostgreSQL does not start",
        log=log,
        every=0.05,
    )


def stop_server(lab: Lab) -> None:
    """End the server as a crash of its container would: at once, with all its connections."""
    daemons = [daemon for daemon in state.processes(lab) if daemon.name == NAME]
    for daemon in daemons:
        if daemon.alive():
            os.kill(daemon.pid, signal.SIGQUIT)  # "immediate shutdown": children end too
    processes.stop(daemons, grace=STOP_SECONDS)
    state.update(lab, processes=[one for one in state.read(lab)["processes"] if one["name"] != NAME])


def port_of(lab: Lab) -> int:
    return int(state.read(lab)["ports"][NAME])


def password_file(lab: Lab) -> Path:
    return lab.folder / "postgres-password"


def password(lab: Lab) -> str:
    """The password of the role postgres that the server takes."""
    return password_file(lab).read_text()


def set_password(lab: Lab, new: str, *, before: str = "") -> None:
    """Change the server's password, and nobody tells Helm or the Secret. Raises LabError."""
    env = template.reach(port_of(lab), before or password(lab))
    _psql(lab, "postgres", f"ALTER ROLE postgres PASSWORD '{new}'", env=env)
    write_atomically(password_file(lab), new)


def query(lab: Lab, database: str, sql: str, *, seconds: float = 60.0) -> str:
    """Run SQL as the role postgres, and return what it answers: a line for each row. Raises LabError."""
    return _psql(lab, database, sql, env=template.reach(port_of(lab), password(lab)), seconds=seconds)


def _psql(lab: Lab, database: str, sql: str, *, env: dict[str, str], seconds: float = 60.0) -> str:
    # Through standard input: a command line is read by everybody, and logged.
    said = run(template.psql(database), log=lab.logs / "psql.log", timeout=seconds, env=env, stdin=sql, what="psql")
    return said.strip()


def in_pod(lab: Lab) -> dict[str, object]:
    """As whom, and in which environment, commands run in the pod. The password is not in it."""
    user = programs.owner()
    variables = {"PGHOST": template.LOOPBACK, "PGPORT": str(port_of(lab)), "PGDATA": str(lab.folder / NAME)}
    variables |= {"HOME": "/tmp", "LANG": "C.UTF-8"}
    return {"uid": user.uid, "gid": user.gid, "dir": "/", "env": [f"{key}={value}" for key, value in variables.items()]}
