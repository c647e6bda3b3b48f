"""A secret that was read over SSH is shown by nothing that prints, and by no error."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.errors import Failed
from cluster.masking import Masker
from cluster.secret_text import Secret
from cluster.ssh import Ssh
from tests.unit import sshd

TOKEN = "abcdef.0123456789abcdef"
SUDO = 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"'


@pytest.fixture
def ssh(tmp_path: Path) -> Iterator[Ssh]:
    with sshd.started(tmp_path) as server:
        server.program("sudo", SUDO)
        with Ssh(server.host, server.settings(), Masker()) as opened:
            yield opened


def test_no_way_of_printing_shows_it() -> None:
    secret = Secret(TOKEN)
    assert secret.reveal() == TOKEN
    assert TOKEN not in f"{secret} {secret!r} {[secret]} {vars(Secret)}"
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def test_what_a_command_prints_arrives_unmasked_and_in_memory_alone(ssh: Ssh) -> None:
    found = ssh.run_secret(("printf", "%s", TOKEN))
    assert found.reveal() == TOKEN
    assert TOKEN not in ssh.run(("printf", "%s", TOKEN)).stdout


def test_a_command_that_fails_shows_its_masked_errors_and_not_its_output(ssh: Ssh) -> None:
    assert shutil.which("sh")
    script = f"echo {TOKEN[::-1]}; echo 'cannot, with {TOKEN}' >&2; exit 3"
    with pytest.raises(Failed) as raised:
        ssh.run_secret(("sh", "-c", script.replace(TOKEN[::-1], "seen-on-stdout")))
    assert raised.value.code == "remote-command-failed"
    assert "cannot, with" in raised.value.message
    assert TOKEN not in str(raised.value)
    assert ": cannot" in raised.value.message
