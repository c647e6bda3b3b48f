"""Whether the disk for temporary files is full: then what a rehearsal meets says nothing about the backup.

PostgreSQL says so, but not always where it is heard: what it says may have to be written to that disk as well, and a
server that cannot write its log of changes just ends. So the room that is left counts too.
"""

from __future__ import annotations

import re
import shutil
import tempfile

from cluster.errors import Blocked

# A server that has less than two files of its log of changes (16 MiB each) left does not get far.
ROOM_BYTES = 32 << 20
_NO_SPACE = re.compile(r"No space left on device|Disk quota exceeded|could not (?:extend|write) file|ERROR:\s+53100\b")


def full(said: str = "", free: int | None = None) -> Blocked | None:
    """The error, if the disk is full; None: it is not.

    Args:
        said: what a program said meanwhile.
        free: bytes that were left at that moment; None: those that are left now.
    """
    place = tempfile.gettempdir()
    left = shutil.disk_usage(place).free if free is None else free
    if left >= ROOM_BYTES and not _NO_SPACE.search(said):
        return None
    return Blocked(
        "scratch-full",
        f"The disk with the folder for temporary files ({place}) is too small: a rehearsal restores the databases "
        "to it, and it is full",
        "Let TMPDIR name a folder with room for twice the databases, or name another server with --server; this says "
        "nothing about the backup.",
    )
