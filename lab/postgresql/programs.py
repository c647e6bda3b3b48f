"""Where PostgreSQL's programs are on this machine, and as whom they run: they refuse to run as root."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError

DEBIAN = Path("/usr/lib/postgresql")
UNPRIVILEGED = "nobody"


@dataclass(frozen=True)
class Owner:
    """As whom a lab's PostgreSQL runs. ``uid`` and ``gid`` are -1 where that is who runs the lab."""

    uid: int
    gid: int

    @property
    def demoting(self) -> list[str]:
        """What a command line begins with. As root's files may lie where others can't look, looking stays allowed."""
        if self.uid < 0:
            return []
        as_whom = [f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups"]
        return ["setpriv", *as_whom, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search", "--"]

    def take(self, folder: Path) -> None:
        """Give it a folder."""
        if self.uid >= 0:
            os.chown(folder, self.uid, self.gid)


def owner() -> Owner:
    """Who this process is, or an unprivileged user instead of root."""
    if os.geteuid() != 0:
        return Owner(-1, -1)
    account = pwd.getpwnam(UNPRIVILEGED)
    return Owner(account.pw_uid, account.pw_gid)


def installed() -> bool:
    """Whether there is a PostgreSQL on this machine."""
    return bool(_found())


def folder() -> Path:
    """The folder of initdb, postgres, psql, pg_dump: the newest version installed. Raises LabError if there is none."""
    found = _found()
    if not found:
        raise LabError(
            "there is no PostgreSQL on this machine: install Debian's package postgresql-15 (or a newer one)"
        )
    return max(found, key=lambda path: int(path.parent.name))


def _found() -> list[Path]:
    return [path.parent for path in DEBIAN.glob("*/bin/postgres") if path.parent.parent.name.isdigit()]
