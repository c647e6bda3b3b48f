"""Whom a session is opened with: only hosts whose key is known, and with the configured key alone."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.config import HostsSettings
from cluster.errors import Blocked, Misused
from cluster.hosts import Host
from cluster.masking import Masker
from cluster.ssh import Ssh
from tests.unit import sshd


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.Sshd]:
    with sshd.started(tmp_path_factory.mktemp("sshd")) as server:
        yield server


def refused(host: Host, settings: HostsSettings) -> Blocked:
    with pytest.raises(Blocked) as caught, Ssh(host, settings, Masker()):
        pass
    assert caught.value.remedy
    assert host.node in caught.value.message or caught.value.code in {"no-known-hosts", "ssh-key-file"}
    return caught.value


def name(server: sshd.Sshd) -> str:
    return f"[{server.host.address}]:{server.host.port}"


def test_a_known_key_gets_in(server: sshd.Sshd) -> None:
    with Ssh(server.host, server.settings(), Masker()) as ssh:
        assert ssh.run(("echo", "in")).stdout == "in\n"


def test_an_unknown_key_is_refused_and_not_added(server: sshd.Sshd) -> None:
    known = server.known_hosts(f"another.example {server.host_key}")
    before = known.read_text()
    error = refused(server.host, server.settings(known_hosts=known))
    assert error.code == "host-key-unknown"
    assert "ssh-ed25519 SHA256:" in error.message
    assert name(server) in error.remedy
    assert known.read_text() == before


def test_a_key_known_for_another_port_only_is_unknown(server: sshd.Sshd) -> None:
    known = server.known_hosts(f"{server.host.address} {server.host_key}")
    assert refused(server.host, server.settings(known_hosts=known)).code == "host-key-unknown"


def test_a_changed_key_is_refused(server: sshd.Sshd, tmp_path: Path) -> None:
    other = sshd.make_key(tmp_path / "other")
    error = refused(server.host, server.settings(known_hosts=server.known_hosts(f"{name(server)} {other}")))
    assert error.code == "host-key-changed"
    assert error.message.count("SHA256:") == 2


def test_a_key_of_another_type_is_a_changed_key(server: sshd.Sshd) -> None:
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = generate_private_key(SECP256R1()).public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    error = refused(server.host, server.settings(known_hosts=server.known_hosts(f"{name(server)} {key}")))
    assert error.code == "host-key-changed"


def test_a_revoked_key_is_refused_though_another_line_allows_it(server: sshd.Sshd) -> None:
    known = server.known_hosts(f"{name(server)} {server.host_key}", f"@revoked * {server.host_key}")
    assert refused(server.host, server.settings(known_hosts=known)).code == "host-key-unknown"


def test_comments_blank_lines_and_keys_of_unknown_types_are_passed_over(server: sshd.Sshd) -> None:
    known = server.known_hosts(
        "# comment", "", f"{name(server)} ssh-fancy AAAA", f"a.example,{name(server)} {server.host_key} with a comment"
    )
    with Ssh(server.host, server.settings(known_hosts=known), Masker()) as ssh:
        assert ssh.run(("true",)).exit_code == 0


@pytest.mark.parametrize("content", [None, "gpu-7 ssh-ed25519 not*base64", b"\xff\xfe\x00"])
def test_a_missing_or_damaged_known_hosts_file_opens_nothing(
    server: sshd.Sshd, tmp_path: Path, content: str | bytes | None
) -> None:
    path = tmp_path / "known_hosts"
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    error = refused(server.host, server.settings(known_hosts=path))
    assert error.code == "no-known-hosts"
    assert str(path) in error.message


def test_the_users_own_ssh_files_change_nothing(
    server: sshd.Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key in ~/.ssh does not get in, a line in ~/.ssh/known_hosts is not believed, ~/.ssh/config is not read."""
    folder = tmp_path / ".ssh"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    (folder / "known_hosts").write_text(f"{name(server)} {server.host_key}\n")
    (folder / "config").write_text("Host *\n  Port 1\n  HostName 127.0.0.9\n  ProxyCommand false\n")
    (tmp_path / ".fabric.yaml").write_text("run:\n  dry: true\n")
    for suffix in ("", ".pub"):
        (folder / f"id_ed25519{suffix}").write_bytes((server.folder / f"client{suffix}").read_bytes())
    assert refused(server.host, server.settings(known_hosts=server.known_hosts())).code == "host-key-unknown"
    sshd.make_key(tmp_path / "stranger")
    assert refused(server.host, server.settings(key_file=tmp_path / "stranger")).code == "ssh-auth"
    with Ssh(server.host, server.settings(), Masker()) as ssh:
        assert ssh.run(("echo", "really")).stdout == "really\n"


def test_a_wrong_key_or_user_is_refused_in_words(server: sshd.Sshd, tmp_path: Path) -> None:
    sshd.make_key(tmp_path / "stranger")
    error = refused(server.host, server.settings(key_file=tmp_path / "stranger"))
    assert error.code == "ssh-auth"
    assert "authorized_keys" in error.remedy
    assert refused(server.host, server.settings(user="nobody-of-that-name")).code == "ssh-auth"


def test_a_key_file_that_cannot_be_used_is_named(server: sshd.Sshd, tmp_path: Path) -> None:
    missing = refused(server.host, server.settings(key_file=tmp_path / "none"))
    assert (missing.code, "No such file" in missing.message) == ("ssh-key-file", True)
    folder = refused(server.host, server.settings(key_file=tmp_path))
    assert (folder.code, "directory" in folder.message) == ("ssh-key-file", True)
    (tmp_path / "text").write_text("hush-hush, no key\n")
    text = refused(server.host, server.settings(key_file=tmp_path / "text"))
    assert (text.code, "not a private key" in text.message) == ("ssh-key-file", True)
    assert "hush" not in str(text)


def test_a_key_with_a_passphrase_is_refused_without_asking(server: sshd.Sshd, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.BestAvailableEncryption(b"x"),
    )
    (tmp_path / "locked").write_bytes(key)
    error = refused(server.host, server.settings(key_file=tmp_path / "locked"))
    assert (error.code, "passphrase" in error.message) == ("ssh-key-file", True)


def test_a_closed_port_is_unreachable_and_refused(server: sshd.Sshd) -> None:
    error = refused(Host("gpu-7", "127.0.0.1", sshd.free_port()), server.settings())
    assert (error.code, "refused" in error.message.lower()) == ("host-unreachable", True)


def test_a_name_that_does_not_resolve_is_unreachable(server: sshd.Sshd) -> None:
    error = refused(Host("gpu-7", "no-such-host.invalid"), server.settings())
    assert (error.code, "could not be resolved" in error.message) == ("host-unreachable", True)


def test_a_server_that_never_greets_does_not_hold_us(server: sshd.Sshd) -> None:
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen(5)
        began = time.monotonic()
        error = refused(Host("gpu-7", *hole.getsockname()), server.settings(connect_timeout=0.5))
    assert (error.code, "did not answer as an SSH server" in error.message) == ("host-unreachable", True)
    assert time.monotonic() - began < 5


def test_a_machine_that_does_not_even_accept_is_given_up(server: sshd.Sshd) -> None:
    with sshd.deaf() as host:
        began = time.monotonic()
        error = refused(host, server.settings(connect_timeout=0.5))
    assert (error.code, "no answer within 0.5 s" in error.message) == ("host-unreachable", True)
    assert time.monotonic() - began < 5


def test_a_server_that_is_none_is_unreachable(server: sshd.Sshd) -> None:
    with socket.socket() as web:
        web.bind(("127.0.0.1", 0))
        web.listen(5)
        with sshd.greeting(web, b"HTTP/1.1 400 Bad Request\r\n\r\n"):
            error = refused(Host("gpu-7", *web.getsockname()), server.settings(connect_timeout=2))
    assert error.code == "host-unreachable"


@pytest.mark.parametrize("missing", ["user", "key_file", "known_hosts"])
def test_incomplete_settings_are_a_matter_of_configuration(server: sshd.Sshd, missing: str) -> None:
    with pytest.raises(Misused) as caught:
        Ssh(server.host, server.settings(**{missing: None}), Masker())
    assert caught.value.code == "hosts-not-configured"


def test_nothing_is_printed_by_the_libraries(server: sshd.Sshd) -> None:
    """Paramiko logs tracebacks of what it also raises; in a process of its own, since pytest catches logs."""
    script = (
        "import sys, pathlib\n"
        "from cluster.config import HostsSettings\n"
        "from cluster.errors import Blocked\n"
        "from cluster.hosts import Host\n"
        "from cluster.masking import Masker\n"
        "from cluster.ssh import Ssh\n"
        "settings = HostsSettings.model_validate_json(sys.argv[1])\n"
        "for port in sys.argv[2:]:\n"
        "    try:\n"
        "        with Ssh(Host('gpu-7', '127.0.0.1', int(port)), settings, Masker()): print('in')\n"
        "    except Blocked as error: print(error.code)\n"
    )
    settings = server.settings(known_hosts=server.known_hosts(), connect_timeout=1)
    with socket.socket() as web:
        web.bind(("127.0.0.1", 0))
        web.listen(5)
        with sshd.greeting(web, b"HTTP/1.1 400 Bad Request\r\n\r\n"):
            ports = (str(web.getsockname()[1]), str(server.host.port))
            command = (sys.executable, "-c", script, settings.model_dump_json(), *ports)
            done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert (done.stdout, done.stderr) == ("host-unreachable\nhost-key-unknown\n", "")
