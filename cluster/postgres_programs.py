"""PostgreSQL's programs on this machine: which there are, and how they are run so that none outlives its caller.

Debian keeps a version beside another, outside of ``PATH`` (what stands there is a wrapper that chooses one). A restore
needs a version that is not older than the server and the pg_dump that a dump comes from: an older pg_restore cannot
read it (https://www.postgresql.org/docs/current/app-pgdump.html, Notes).

PostgreSQL refuses to run as root, so as root its programs are run as ``postgres``, or as ``nobody``.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.errors import Blocked

READER = ("pg_restore",)
CLIENT = (*READER, "pg_dump", "psql")
SERVER = ("initdb", "postgres", *CLIENT)
# Debian's and Red Hat's places.
PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin")

_VERSION = re.compile(r"\(PostgreSQL\) (\d+)((?:\.\d+)*)")
_USERS = ("postgres", "nobody")
_SECONDS = 10.0


@dataclass(frozen=True)
class Programs:
    """The programs of one version.

    Attributes:
        folder: where they are.
        version: like ``15.14``.
    """

    folder: Path
    version: str

    @property
    def major(self) -> int:
        """Like 15."""
        return major_of(self.version) or 0

    def argv(self, program: str, *arguments: str, parent_death: str = "KILL") -> list[str]:
        """The argument list of a program that gets the signal ``parent_death`` when the thread that starts it ends.

        Nothing secret may be among the arguments: they are visible to every user of the machine.
        """
        user = unprivileged()
        drop = ["--reuid", str(user[0]), "--regid", str(user[1]), "--clear-groups"] if user else []
        death = ["--no-new-privs", "--pdeathsig", parent_death, "--"]
        return ["setpriv", *drop, *death, str(self.folder / program), *arguments]


def unprivileged() -> tuple[int, int] | None:
    """Uid and gid that PostgreSQL is run with; None: this process' own.

    Raises:
        Blocked: ``no-user``: this is root, and there is nobody else.
    """
    if os.geteuid() != 0:
        return None
    for name in _USERS:
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return found.pw_uid, found.pw_gid
    raise Blocked(
        "no-user", "PostgreSQL does not run as root, and this machine has no user postgres", "Run as another user."
    )


def find(wanted: Sequence[str], at_least: int, folder: Path | None = None) -> Programs:
    """The programs of the oldest version that is not older than ``at_least``.

    Args:
        wanted: ``READER``, ``CLIENT`` or ``SERVER``.
        at_least: a major version; 0: any, and then the newest is taken.
        folder: look there alone; None: in Debian's and Red Hat's places, then in ``PATH``.

    Raises:
        Blocked: ``postgres-missing`` or ``postgres-too-old``, with what to install.
    """
    if shutil.which("setpriv") is None:
        raise Blocked("setpriv-missing", "There is no program setpriv on this machine", "Install util-linux.")
    found = sorted(_present(wanted, folder), key=lambda each: (each.major, each.version))
    if not found:
        where = f"in {folder}" if folder else "on this machine"
        raise Blocked(
            "postgres-missing",
            f"PostgreSQL's programs ({', '.join(wanted)}) are not {where}",
            f"Install PostgreSQL (Debian: the package postgresql-{at_least or 'N'}), or name the folder of its "
            "programs in [recovery] postgres.",
        )
    fitting = [each for each in found if each.major >= at_least]
    if not fitting:
        raise Blocked(
            "postgres-too-old",
            f"The dump comes from PostgreSQL {at_least}, and the newest on this machine is {found[-1].version}, which "
            "cannot read it",
            f"Install PostgreSQL {at_least} or later (Debian: postgresql-{at_least}); versions live beside each other.",
        )
    return fitting[0] if at_least else fitting[-1]


def major_of(version: str | None) -> int | None:
    """15 of ``15.14``; None if it does not begin with a number."""
    match = re.match(r"\d+", version or "")
    return int(match.group()) if match else None


def needed(*versions: str | None) -> int:
    """The major version that can read what these made; 0: they tell none."""
    return max((major_of(version) or 0 for version in versions), default=0)


def _present(wanted: Sequence[str], folder: Path | None) -> list[Programs]:
    folders = [folder] if folder else [each for place in PLACES for each in sorted(Path("/").glob(place[1:]))]
    if folder is None and (found := shutil.which(wanted[0])):
        folders.append(Path(found).resolve().parent)
    programs = []
    for each in dict.fromkeys(folders):
        if all(os.access(each / name, os.X_OK) for name in wanted) and (version := _version(each / "pg_restore")):
            programs.append(Programs(each, version))
    return programs


def _version(program: Path) -> str | None:
    try:
        done = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=_SECONDS, check=False, cwd="/"
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = _VERSION.search(done.stdout)
    return match.group(1) + match.group(2) if match else None
