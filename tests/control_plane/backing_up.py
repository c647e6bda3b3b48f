"""Backups of a lab's cluster, of sources that a test makes: in this process, or in one that can be killed."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from cluster import backup, config, recovery
from cluster.api import Api, connect
from cluster.backup_report import BackupReport
from cluster.config import Settings
from cluster.errors import DowntimeError
from cluster.part_source import Gathered, Sink
from cluster.verdict import Verdict
from deployments.choices import Output
from deployments.ending import Ending, show
from deployments.interruption import orderly
from lab.layout import Lab
from tests.command_line import environment
from tests.unit.backup_sources import of_work, whole

# So that a lock that was left is free again soon.
LOCK_SECONDS = 3
PATIENCE_SECONDS = 10.0
CHUNK = bytes(range(256)) * 4096


def settings_of(lab: Lab, store: str | Path, **recovery_settings: Any) -> Settings:
    """The lab's configuration, with this store, and in the clear unless said otherwise."""
    given = {"store": str(store), "allow_plaintext": True, "recipients": [], **recovery_settings}
    loaded = config.load(lab.config)
    return loaded.model_copy(
        update={
            "cluster": loaded.cluster.model_copy(update={"lock_seconds": LOCK_SECONDS}),
            "recovery": loaded.recovery.model_copy(update=given),
        }
    )


def session(lab: Lab) -> Api:
    return connect(config.load(lab.config).cluster, PATIENCE_SECONDS)


@pytest.fixture(scope="module", name="settings")
def configured(lab: Lab) -> Settings:
    """The lab's own configuration."""
    return config.load(lab.config)


@pytest.fixture(scope="module", name="api")
def connected(settings: Settings) -> Api:
    """A session that is not patient for long."""
    return connect(settings.cluster, patience=5)


def take(lab: Lab, settings: Settings, gathered: Gathered | None = None, **more: Any) -> BackupReport:
    """Take a set; what is gathered is whole unless said otherwise."""
    found = gathered or whole()
    return backup.take(session(lab), settings, lambda _api, _settings: found, by="a test", **more)


def verdict(lab: Lab, settings: Settings) -> Verdict:
    """What the recovery gate says, all files read back."""
    return recovery.judge(session(lab), settings, "checksums")


def held(folder: Path) -> dict[str, str]:
    """All that is below a folder, by its content."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def begun(lab: Lab, store: Path, folder: Path) -> subprocess.Popen[str]:
    """Begin a backup whose dump never ends, and see it in the middle of that."""
    argv = [sys.executable, "-P", "-m", "tests.control_plane.backing_up", str(lab.config), str(store)]
    process = subprocess.Popen(
        argv, cwd=folder, env=environment(folder), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "half\n", process.stderr.read() if process.stderr else ""
    return process


def _endless(sink: Sink) -> None:
    for _ in range(8):
        sink.write(CHUNK)
    sys.stdout.write("half\n")
    sys.stdout.flush()
    while True:
        sink.write(CHUNK[:4096])
        time.sleep(0.05)


def main() -> int:
    """Take a backup that does not end, as the command does."""
    path, store = sys.argv[1:]
    loaded = config.load(Path(path))
    settings = loaded.model_copy(
        update={
            "cluster": loaded.cluster.model_copy(update={"lock_seconds": LOCK_SECONDS}),
            "recovery": loaded.recovery.model_copy(update={"store": store, "allow_plaintext": True, "recipients": []}),
        }
    )
    gathered = whole(dump=of_work("database", "backend", "postgresql/backend.dump", _endless))
    try:
        with orderly():
            backup.take(connect(settings.cluster), settings, lambda _api, _settings: gathered, by="a test")
    except DowntimeError as error:
        return show(error, Ending(Output.text))
    return 0


if __name__ == "__main__":
    sys.exit(main())
