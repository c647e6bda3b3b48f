"""Runs a program that is measured: how long it takes, and how much memory it needs itself."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from lab.errors import LabError
from lab.layout import PROJECT


def run(
    argv: Sequence[str],
    output: int = subprocess.PIPE,
    given: bytes = b"",
    ends: Sequence[int] = (0,),
    **environment: str,
) -> tuple[float, float, bytes]:
    """Seconds from start to end, the peak memory in MiB of the program itself, and what it said.

    Args:
        output: where its output goes; what goes to a file is not among what it said.
        given: its standard input.
        ends: the exit statuses with which it may end; with another one LabError is raised.
    """
    path = os.pathsep.join(filter(None, (str(PROJECT), os.environ.get("PYTHONPATH"))))
    variables = {**os.environ, "PYTHONPATH": path, **environment}
    began = time.monotonic()
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=output, env=variables)
    try:
        if process.stdin is None:
            raise AssertionError("it was started with a pipe")
        process.stdin.write(given)
        process.stdin.close()
        said = process.stdout.read() if process.stdout is not None else b""
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        process.kill()
        raise
    seconds = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in ends:
        raise LabError(f"{Path(argv[0]).name} ended with {process.returncode}")
    return seconds, usage.ru_maxrss / 1024, said
