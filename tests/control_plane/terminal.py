"""A person at a terminal."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from pathlib import Path

from lab.layout import Lab
from tests.command_line import arguments, environment


def at_a_terminal(
    lab: Lab, folder: Path, words: tuple[str, ...], answers: tuple[tuple[str, str], ...], **variables: str
) -> tuple[int, str]:
    """Run a command at a terminal, and type each answer once its question is there."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        arguments(*words),
        cwd=folder,
        env=environment(folder, DOWNTIME_CONFIG=str(lab.config), TERM="xterm", **variables),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    left, seen, deadline = list(answers), "", time.monotonic() + 120
    try:
        while time.monotonic() < deadline:
            if not select.select([ours], [], [], 1)[0]:
                continue
            try:
                data = os.read(ours, 65536)
            except OSError:  # the other end was closed
                break
            seen += data.decode(errors="replace")
            if left and seen.endswith(left[0][0]):
                os.write(ours, f"{left.pop(0)[1]}\n".encode())
        return process.wait(10), seen
    finally:
        process.kill()
        process.wait(10)
        os.close(ours)
