"""A lab comes up fast and safely, beside others, and nothing of it stays, however it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import processes, state
from lab.binaries import link_commands
from lab.errors import LabError
from lab.layout import PROJECT, Lab
from lab.patience import until
from tests.control_plane.conftest import UP_SECONDS, lab_command


@pytest.fixture
def other(lab: Lab) -> Iterator[Lab]:
    """A name for a second lab, which is removed whatever happens. (The first one has built what both need.)"""
    second = Lab(f"{lab.name}-b")
    yield second
    result = lab_command("down", "--name", second.name, timeout=120)
    assert result.returncode == 0, result.stderr


def start_up(name: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "lab", "up", "--no-hosts", "--name", name]
    return subprocess.Popen(argv, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def listeners(lab: Lab) -> set[tuple[str, int]]:
    """Where the lab's processes listen, read from the kernel's tables."""
    sockets = set()
    for daemon in processes.marked(lab.folder):
        for descriptor in Path(f"/proc/{daemon.pid}/fd").iterdir():
            try:
                target = str(descriptor.readlink())
            except OSError:
                continue
            if target.startswith("socket:["):
                sockets.add(target[8:-1])
    found = set()
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in sockets:
                packed, port = fields[1].split(":")
                words = [bytes.fromhex(packed[i : i + 8])[::-1] for i in range(0, len(packed), 8)]
                found.add((socket.inet_ntop(family, b"".join(words)), int(port, 16)))
    return found


def test_second_lab_is_up_soon_and_shares_nothing(lab: Lab, other: Lab) -> None:
    began = time.monotonic()
    result = lab_command("up", "--no-hosts", "--name", other.name, "--output", "json")
    took = time.monotonic() - began
    assert result.returncode == 0, result.stderr
    assert took < 30, "under 10 s on an idle machine; this one runs other tests and labs as well"
    report = json.loads(result.stdout)
    assert report["kubeconfig"] == str(other.kubeconfig)
    assert report["healthy"] is True
    assert not {port for _, port in listeners(lab)} & {port for _, port in listeners(other)}
    assert not set(state.read(lab)["ports"].values()) & set(state.read(other)["ports"].values())
    assert lab_command("status", "--name", lab.name).returncode == 0


def test_up_again_says_so_and_changes_nothing(lab: Lab) -> None:
    before = [daemon.pid for daemon in state.processes(lab)]
    result = lab_command("up", "--no-hosts", "--name", lab.name)
    assert result.returncode == 0
    assert "is up already" in result.stderr
    assert [daemon.pid for daemon in state.processes(lab)] == before


def test_up_of_another_size_is_refused(lab: Lab) -> None:
    result = lab_command("up", "--no-hosts", "--name", lab.name, "--simulated", "1")
    assert result.returncode == 1
    assert "another kind or size" in result.stderr
    assert lab_command("status", "--name", lab.name).returncode == 0


def test_everything_listens_on_loopback_only(lab: Lab) -> None:
    found = listeners(lab)
    assert len(found) >= 9, "etcd twice, the API server, and six SSH servers"
    assert all(address.startswith("127.") for address, _ in found), found


def test_api_server_is_trusted_by_the_labs_authority_alone(lab: Lab) -> None:
    cluster = json.loads(lab.kubeconfig.read_text())["clusters"][0]["cluster"]
    assert "insecure-skip-tls-verify" not in cluster
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        urllib.request.urlopen(f"{cluster['server']}/version", timeout=10, context=ssl.create_default_context())


def test_secrets_of_the_lab_are_readable_by_its_owner_alone(lab: Lab) -> None:
    for path in (lab.ssh_key, lab.kubeconfig, *(lab.folder / "pki").iterdir(), *lab.simulated.glob("*.json")):
        assert path.stat().st_mode & 0o077 == 0, path


def test_configuration_names_what_the_lab_has(lab: Lab) -> None:
    config = tomllib.loads(lab.config.read_text())
    assert config["cluster"]["kubeconfig"] == str(lab.kubeconfig)
    assert set(config["hosts"]["addresses"]) >= {"master-1", "system-1", "system-2", "gpu-1", "gpu-2", "gpu-3"}
    assert config["recovery"]["store"] == lab.store.as_uri()
    assert Path(config["power"]["command"]["status"][0]).exists()


def test_down_leaves_neither_process_nor_folder(lab: Lab, other: Lab) -> None:
    assert lab_command("up", "--no-hosts", "--name", other.name).returncode == 0
    pids = [daemon.pid for daemon in state.processes(other)]
    assert lab_command("down", "--name", other.name, timeout=60).returncode == 0
    assert not other.folder.exists()
    assert processes.marked(other.folder) == []
    assert all(processes.start_time(pid) is None for pid in pids)
    assert lab_command("status", "--name", lab.name).returncode == 0, "the other lab still works"


def test_down_after_a_killed_up_finds_processes_that_were_not_written_down(lab: Lab, other: Lab) -> None:
    up = start_up(other.name)
    until(lambda: processes.marked(other.folder), seconds=60, what="no process of the lab")
    up.kill()
    up.communicate(timeout=30)
    state.update(other, processes=[])
    assert processes.marked(other.folder)
    assert lab_command("down", "--name", other.name, timeout=60).returncode == 0
    assert processes.marked(other.folder) == []
    assert not other.folder.exists()


def test_up_after_a_killed_up_starts_anew(lab: Lab, other: Lab) -> None:
    up = start_up(other.name)
    until(lambda: state.processes(other), seconds=60, what="no process of the lab")
    leftover = state.processes(other)[0]
    up.kill()
    up.communicate(timeout=30)
    result = lab_command("up", "--no-hosts", "--name", other.name)
    assert result.returncode == 0, result.stderr
    assert "left half-made" in result.stderr
    assert not leftover.alive()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_up_takes_away_what_it_had_made(lab: Lab, other: Lab, number: signal.Signals) -> None:
    up = start_up(other.name)
    until(lambda: processes.marked(other.folder), seconds=60, what="no process of the lab")
    up.send_signal(number)
    _, errors = up.communicate(timeout=60)
    assert up.returncode == 130, errors
    assert not other.folder.exists()
    assert processes.marked(other.folder) == []


def test_failed_up_shows_the_log_and_leaves_nothing_running(lab: Lab, other: Lab, tmp_path: Path) -> None:
    for name in ("etcd", "kube-apiserver", "kubectl"):
        (tmp_path / name).write_text("#!/bin/sh\necho no space left on the moon >&2\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    result = subprocess.run(
        [sys.executable, "-m", "lab", "up", "--no-hosts", "--name", other.name],
        cwd=PROJECT,
        env={**os.environ, "KUBEBUILDER_ASSETS": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=UP_SECONDS,
        check=False,
    )
    assert result.returncode == 1
    assert "has ended" in result.stderr or "ended at once" in result.stderr
    assert "no space left on the moon" in result.stderr
    assert "Traceback" not in result.stderr
    assert not other.folder.exists()
    assert processes.marked(other.folder) == []


def test_ready_made_binaries_are_used_and_a_missing_one_is_named(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kube = (lab.bin / "kubelet").resolve()
    ready_made, links = tmp_path / "assets", tmp_path / "bin"
    ready_made.mkdir()
    for name in ("etcd", "kube-apiserver", "kubectl"):
        (ready_made / name).symlink_to(kube)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(ready_made))
    link_commands(kube, links)
    assert (links / "etcd").readlink() == ready_made / "etcd"
    assert (links / "kube-scheduler").readlink() == kube
    (ready_made / "kubectl").unlink()
    with pytest.raises(LabError, match=r"KUBEBUILDER_ASSETS is set, but there is no program .*/kubectl"):
        link_commands(kube, links)


def test_missing_go_is_said_plainly(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "lab", "up", "--no-hosts", "--name", "no-go"],
        cwd=PROJECT,
        env={**os.environ, "PATH": "/nowhere", "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    assert "the command go is missing" in result.stderr
    assert not Lab("no-go").folder.exists()


def test_recycled_process_number_is_never_signalled() -> None:
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        began = processes.start_time(bystander.pid)
        assert began is not None
        processes.stop([processes.Daemon("etcd", bystander.pid, began - 1, "")], grace=0.2)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait(10)
