"""Where rehearsals of a test have their servers, and what of them is running."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder for temporary files that an unprivileged user may enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="dt-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def servers(folder: Path) -> list[str]:
    """The command lines of servers in a folder; their backends name no folder, and end with them."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if f"{folder}/downtime-rehearsal-" in line:
                found.append(line)
    return found
