"""The database of a lab of either kind, through its pod: asked, made larger, or given another password."""

from __future__ import annotations

import time
from collections.abc import Callable

from lab.errors import LabError
from lab.layout import Lab
from lab.postgresql.server import password, password_file
from lab.processes import run
from lab.state import write_atomically

NAMESPACE, POD, DATABASE = "runai-backend", "runai-backend-postgresql-0", "backend"
ROWS_PER_MEGABYTE = 1060
"""Measured: what the table and its indexes take on disk."""
MEGABYTES_AT_ONCE = 32
SECONDS = 120.0


def grow(lab: Lab, megabytes: int, tell: Callable[[str], None] = lambda _: None) -> int:
    """Add about so much to the table of audit logs, and return how large the database is then, in bytes.

    ``tell`` is told how far it got, at most every five seconds. Raises LabError.
    """
    if megabytes < 0:
        raise LabError(f"{megabytes} MB: a database can't be made smaller")
    done, told = 0, time.monotonic()
    while done < megabytes:
        step = min(MEGABYTES_AT_ONCE, megabytes - done)
        query(lab, f"SELECT public.write_audit_logs({step * ROWS_PER_MEGABYTE})")
        done += step
        if time.monotonic() - told > 5:
            tell(f"{done} of {megabytes} MB written")
            told = time.monotonic()
    return int(query(lab, f"SELECT pg_database_size('{DATABASE}')"))


def query(lab: Lab, sql: str, *, database: str = DATABASE, seconds: float = SECONDS) -> str:
    """Run SQL in the pod as the role postgres, and return what it answers: a line for each row. Raises LabError."""
    # The password and the SQL through standard input: command lines are read by everybody, and logged.
    script = 'read -r PGPASSWORD; export PGPASSWORD; exec psql -XqAt -v ON_ERROR_STOP=1 -U postgres -d "$0"'
    kubectl = [
        str(lab.bin / "kubectl"),
        f"--kubeconfig={lab.kubeconfig}",
        "exec",
        "-i",
        f"--namespace={NAMESPACE}",
        POD,
    ]
    words = [*kubectl, "--", "sh", "-c", script, database]
    text = f"{password(lab)}\n{sql}\n"
    return run(words, log=lab.logs / "psql.log", timeout=seconds, stdin=text, what="psql").strip()


def set_password(lab: Lab, new: str) -> None:
    """Change the password that the server takes; Helm's release and the Secret go on telling the old one.

    Raises LabError.
    """
    quoted = new.replace("'", "''")
    query(lab, f"ALTER ROLE postgres PASSWORD '{quoted}'")
    write_atomically(password_file(lab), new)
