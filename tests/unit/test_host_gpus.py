"""A machine is asked of its GPUs over a real SSH server: what is not there, and what cannot be read, is told apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cluster import host_gpus
from cluster.config import ChecksSettings
from cluster.gpu_checks import GpuFacts
from cluster.masking import Masker
from cluster.ssh import Ssh
from tests.unit import sshd

ROW = "0, GPU-a, 00000000:18:00.0, NVIDIA A100-SXM4-80GB"
LOADED = "NVRM: loading NVIDIA UNIX x86_64 Kernel Module  550.54.15"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.Sshd]:
    with sshd.started(tmp_path_factory.mktemp("sshd")) as server:
        yield server


def asked(server: sshd.Sshd, smi: str, sudo: str = f"echo '{LOADED}'", **chosen: Any) -> GpuFacts:
    server.program("sudo", sudo)
    checks = ChecksSettings(nvidia_smi=["sh", "-c", smi], **chosen)
    with Ssh(server.host, server.settings(), Masker()) as ssh:
        return host_gpus.ask(ssh, checks)


def test_a_sound_machine_tells_its_gpus_and_its_log(server: sshd.Sshd) -> None:
    facts = asked(server, f"echo '{ROW}'")
    assert facts.listing is not None
    assert [one.uuid for one in facts.listing.devices] == ["GPU-a"]
    assert facts.log is not None
    assert (facts.log.whole, facts.log.failure) == (True, "")


def test_where_the_program_is_not_there_the_log_is_read_all_the_same(server: sshd.Sshd) -> None:
    log = "NVRM: loading NVIDIA UNIX x86_64 Kernel Module\nNVRM: Xid (PCI:0000:3b:00): 79, fallen off the bus"
    facts = asked(server, "exec no-such-program-as-nvidia-smi", sudo=f"printf '{log}\\n'")
    assert facts.listing is None
    assert facts.log is not None
    assert [one.number for one in facts.log.xids] == [79]
    assert facts.log.whole


def test_a_program_without_its_libraries_is_there_and_fails(server: sshd.Sshd) -> None:
    said = "nvidia-smi: error while loading shared libraries: libnvidia-ml.so.1: cannot open shared object file"
    facts = asked(server, f"echo '{said}' >&2; exit 127")
    assert facts.listing is not None
    assert facts.listing.failure == said


def test_a_program_that_waits_for_a_broken_gpu_is_not_waited_for(server: sshd.Sshd) -> None:
    facts = asked(server, "sleep 20", host_seconds=0.5)
    assert facts.listing is not None
    assert "did not end within 0.5 s" in facts.listing.failure


def test_a_log_that_sudo_does_not_allow_is_one_that_could_not_be_read(server: sshd.Sshd) -> None:
    facts = asked(server, f"echo '{ROW}'", sudo="echo 'sudo: a password is required' >&2; exit 1")
    assert facts.log is not None
    assert "asks for a password" in facts.log.failure


def test_a_log_that_is_not_wanted_is_not_read(server: sshd.Sshd) -> None:
    assert asked(server, f"echo '{ROW}'", xid=False).log is None
