"""A limit of the machine's kernel that labs with hosts outgrow, raised while there are any.

Each host holds about 15 inotify instances (systemd, kubelet, containerd, control plane; counted), all of them root's,
and Debian's limit for a user is 128: with a second lab, kubelets end with "too many open files".
"""

from __future__ import annotations

from pathlib import Path

from lab.engine import MACHINE

LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")
ENOUGH = 8192
BEFORE = MACHINE / "inotify-instances-before"


def lift() -> None:
    """Raise the limit, and remember what it was. The caller holds the machine's lock."""
    now = int(LIMIT.read_text())
    if now < ENOUGH:
        BEFORE.write_text(str(now))
        LIMIT.write_text(str(ENOUGH))


def restore() -> None:
    """Set the limit to what it was, unless somebody has changed it since. The caller holds the machine's lock."""
    if BEFORE.exists():
        if int(LIMIT.read_text()) == ENOUGH:
            LIMIT.write_text(BEFORE.read_text())
        BEFORE.unlink()
