"""A lab is taken for left behind only when the test process that made it is gone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests import left_labs


def test_only_labs_of_tests_whose_process_is_gone_are_orphaned(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait(30)
    for name in (f"cp-{ended.pid}", f"test-{os.getpid()}", "demo", f"mine-{ended.pid}", f"cp-{ended.pid}-x"):
        (tmp_path / name).mkdir()
    assert left_labs.orphaned(tmp_path) == [f"cp-{ended.pid}"]
    assert left_labs.orphaned(tmp_path / "none") == []
