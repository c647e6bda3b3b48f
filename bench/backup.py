"""Measures a dump through the API server beside ``kubectl exec … pg_dump > file``, on the same database, in turns.

Both go the same way, API server and pod; the product hashes and encrypts what passes, and counts the rows of every
table in the dump's own snapshot meanwhile.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.dump_results import ENCRYPTED, HASHED, KUBECTL, DumpResult, Run
from bench.ending import end, lab_of_its_own
from bench.program import run
from lab.layout import Lab
from lab.postgresql import server
from lab.progress import Progress

LARGE, SMALL = "backend", "keycloak"
_SECONDS = 1800.0
# Rows of 1 KiB, of hexadecimal digits: a dump of it is about half as large, like one of identifiers and JSON.
_FILL = """
CREATE TABLE IF NOT EXISTS measured (id bigint, body text);
INSERT INTO measured
SELECT n, (SELECT string_agg(md5((n * 32 + i)::text), '') FROM generate_series(1, 32) i)
FROM generate_series(1, {rows}) n
"""
_PG_DUMP = 'IFS= read -r PGPASSWORD; export PGPASSWORD; exec pg_dump -U postgres -Fc "$1"'


def main() -> int:
    """Measure; exit status 0 if the target is met."""
    parser = argparse.ArgumentParser(prog="python -m bench.backup", description=__doc__)
    parser.add_argument("--megabytes", type=int, default=500, help="of the table that is dumped (default: 500)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (default: 3)")
    parser.add_argument("--name", default="bench-backup", metavar="LAB", help="name of the lab that is made")
    options = parser.parse_args()
    return end(lambda: measure(options.name, options.megabytes, options.rounds, Progress()))


def measure(name: str, megabytes: int, rounds: int, progress: Progress) -> DumpResult:
    """Make a lab, fill its database, measure, and take the lab down."""
    with lab_of_its_own(name, "--no-hosts") as lab, tempfile.TemporaryDirectory(prefix="bench-backup-") as scratch:
        with progress.step(f"filling the database with {megabytes} MB"):
            server.query(lab, LARGE, _FILL.format(rows=megabytes * 1000), seconds=_SECONDS)
        size = int(server.query(lab, LARGE, f"SELECT pg_database_size('{LARGE}')"))
        ways = _ways(lab, Path(scratch))
        small = [_measured(how, start, SMALL, progress) for how, start in ways.items()]
        runs = [_measured(how, start, LARGE, progress) for _ in range(rounds) for how, start in ways.items()]
    return DumpResult(size / (1 << 20), runs, small)


Start = Callable[[str], tuple[float, float, int]]


def _ways(lab: Lab, scratch: Path) -> dict[str, Start]:
    key = _recipient()
    return {
        KUBECTL: lambda database: _kubectl(lab, database, scratch / "dump"),
        HASHED: lambda database: _product(lab, database, scratch),
        ENCRYPTED: lambda database: _product(lab, database, scratch, key),
    }


def _measured(how: str, start: Start, database: str, progress: Progress) -> Run:
    with progress.step(f"{database}: {how}"):
        return Run(how, *start(database))


def _kubectl(lab: Lab, database: str, target: Path) -> tuple[float, float, int]:
    pod = ["runai-backend-postgresql-0", "--namespace", "runai-backend", "--container", "postgresql"]
    argv = [str(lab.bin / "kubectl"), "--kubeconfig", str(lab.kubeconfig), "exec", "--stdin", *pod, "--"]
    argv += ["sh", "-c", _PG_DUMP, "sh", database]
    with target.open("wb") as file:
        seconds, peak, _ = run(argv, file.fileno(), server.password(lab).encode() + b"\n")
    return seconds, peak, target.stat().st_size


def _product(lab: Lab, database: str, scratch: Path, *recipients: str) -> tuple[float, float, int]:
    store = scratch / "store"
    store.mkdir()
    argv = [sys.executable, "-P", "-m", "bench.dumping", str(lab.folder / "downtime.toml"), database, str(store)]
    try:
        seconds, peak, said = run([*argv, *recipients])
    finally:
        shutil.rmtree(store)
    return seconds, peak, int(said)


def _recipient() -> str:
    import pyrage

    return str(pyrage.x25519.Identity.generate().to_public())


if __name__ == "__main__":
    sys.exit(main())
