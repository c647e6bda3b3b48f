"""Every exception of the libraries becomes one of our errors: a code, a sentence, a remedy, no traceback's wording."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

import paramiko
import pytest
from paramiko.ssh_exception import BadAuthenticationType, NoValidConnectionsError

from cluster.errors import Blocked
from cluster.hosts import Host
from cluster.ssh_errors import UnknownHostKey, connecting, key_file, lost

HOST = Host("gpu-1", "10.0.0.7", 2222)
KEY = paramiko.PKey.from_type_string(
    "ssh-ed25519", bytes.fromhex("0000000b7373682d6564323535313900000020") + bytes(range(32))
)


def said(error: BaseException) -> Blocked:
    return connecting(error, HOST, "ops", Path("known_hosts"), 5)


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (UnknownHostKey("[10.0.0.7]:2222", KEY), "host-key-unknown", "no line for [10.0.0.7]:2222"),
        (paramiko.BadHostKeyException("10.0.0.7", KEY, KEY), "host-key-changed", "has changed"),
        (paramiko.AuthenticationException("Authentication failed."), "ssh-auth", "the user ops"),
        (BadAuthenticationType("Bad authentication type", ["password"]), "ssh-auth", "password"),
        (
            NoValidConnectionsError({("10.0.0.7", 2222): ConnectionRefusedError(errno.ECONNREFUSED, "refused!")}),
            "host-unreachable",
            "refused!",
        ),
        (TimeoutError("timed out"), "host-unreachable", "no answer within 5 s"),
        (socket.gaierror(-2, "Name or service not known"), "host-unreachable", "could not be resolved"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "host-unreachable", "No route to host"),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), "host-unreachable", "reset by peer"),
        (EOFError(), "host-unreachable", "closed the connection"),
        (paramiko.SSHException("Error reading SSH protocol banner"), "host-unreachable", "did not answer as an SSH"),
        (paramiko.SSHException("No existing session"), "host-unreachable", "did not answer as an SSH"),
        (paramiko.SSHException("Incompatible ssh peer (no acceptable kex)"), "host-unreachable", "no acceptable kex"),
        (paramiko.SSHException(""), "host-unreachable", "SSHException"),
    ],
)
def test_each_exception_has_its_code_and_words(error: BaseException, code: str, words: str) -> None:
    answer = said(error)
    assert answer.code == code
    assert answer.exit_code == 3
    assert words in answer.message
    assert "gpu-1 (10.0.0.7:2222)" in answer.message
    assert answer.remedy
    assert "\n" not in answer.message + answer.remedy


def test_unknown_and_changed_keys_are_two_different_sentences() -> None:
    unknown, changed = said(UnknownHostKey("x", KEY)), said(paramiko.BadHostKeyException("x", KEY, KEY))
    assert unknown.message != changed.message
    assert unknown.remedy != changed.remedy
    assert KEY.fingerprint in unknown.message
    assert KEY.fingerprint in changed.message


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file or directory"), "No such file"),
        (PermissionError(errno.EACCES, "Permission denied"), "Permission denied"),
        (TypeError("Password was not given but private key is encrypted"), "passphrase"),
        (paramiko.PasswordRequiredException("x"), "passphrase"),
        (ValueError("Could not deserialize key data."), "not a private key"),
    ],
)
def test_each_fault_of_a_key_file_is_named(error: BaseException, words: str) -> None:
    answer = key_file(error, Path("key"))
    assert (answer.code, words in answer.message) == ("ssh-key-file", True)


def test_a_lost_connection_is_said_with_and_without_a_cause() -> None:
    assert lost(None, HOST).code == lost(EOFError(), HOST).code == "ssh-lost"
    assert lost(None, HOST).message.endswith("while a command ran")
    assert lost(EOFError(), HOST).message.endswith("while a command ran: EOFError")
