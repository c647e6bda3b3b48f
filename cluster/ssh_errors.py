"""What went wrong with SSH, in words: exceptions of paramiko, invoke and the socket in, our errors out.

A pure function of the exception: nothing is raised here, and nothing connected to. Every answer is ``Blocked``: a
machine that cannot be reached or trusted is not acted upon.
"""

from __future__ import annotations

import socket
from pathlib import Path

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from paramiko.pkey import UnknownKeyType
from paramiko.ssh_exception import NoValidConnectionsError

from cluster.errors import Blocked
from cluster.hosts import Host


class UnknownHostKey(paramiko.SSHException):
    """The server's key is not in the known_hosts file. Raised by our policy, since paramiko's is only a text."""

    def __init__(self, name: str, key: paramiko.PKey) -> None:
        super().__init__(name)
        self.name = name
        self.key = key


def connecting(error: BaseException, host: Host, user: str, known_hosts: Path, timeout: float) -> Blocked:
    """Why no session could be opened."""
    # The order matters: the first ones are SSHExceptions and OSErrors too.
    if isinstance(error, UnknownHostKey):
        return Blocked(
            "host-key-unknown",
            f"The host key of {host} is not known: it shows {_named(error.key)}, and {known_hosts} has no line for "
            f"{error.name}",
            "Compare it with the machine's own (on its console: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub); "
            f'if it is the same, add the line "{error.name} KEYTYPE KEY" to that file.',
        )
    if isinstance(error, paramiko.BadHostKeyException):
        return Blocked(
            "host-key-changed",
            f"The host key of {host} has changed: it shows {_named(error.key)}, but {known_hosts} says "
            f"{_named(error.expected_key)}",
            "Another machine may be answering at this address. Only if the machine was installed anew, and its key "
            "compared on its console, replace the line in that file.",
        )
    if isinstance(error, paramiko.AuthenticationException):
        return Blocked(
            "ssh-auth",
            f"{host} does not let the user {user} in with the configured key: {_text(error)}",
            "See that the public key is in that user's authorized_keys on the machine, and user and key_file in "
            "[hosts].",
        )
    return Blocked(
        "host-unreachable",
        f"{host} cannot be reached over SSH: {_unreachable(error, timeout)}",
        "See that the machine is up, its SSH server runs, and the address under [hosts.addresses] and the port are "
        "right.",
    )


def key_file(error: BaseException, path: Path) -> Blocked:
    """Why the private key could not be loaded."""
    if isinstance(error, OSError):
        why = error.strerror or type(error).__name__
    elif isinstance(error, (TypeError, paramiko.PasswordRequiredException)):
        why = "it is protected by a passphrase"
    elif isinstance(error, (UnknownKeyType, UnsupportedAlgorithm)):
        why = "keys of this type are not supported"
    else:
        why = "it is not a private key"
    return Blocked(
        "ssh-key-file",
        f"The SSH key {path} cannot be used: {why}",
        "key_file in [hosts] names a private key (Ed25519, ECDSA or RSA) without a passphrase, which the user of this "
        "command can read.",
    )


def lost(error: BaseException | None, host: Host) -> Blocked:
    """The connection broke while a command ran: nobody knows whether it took effect."""
    why = f": {_text(error)}" if error is not None else ""
    return Blocked(
        "ssh-lost",
        f"The SSH connection to {host} broke while a command ran{why}",
        "See what became of the machine, then run it again.",
    )


def _unreachable(error: BaseException, timeout: float) -> str:
    if isinstance(error, NoValidConnectionsError):
        return " and ".join(sorted({_text(one) for one in error.errors.values()}))
    if isinstance(error, socket.gaierror):
        return f"its name could not be resolved ({error.strerror})"
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout:g} s"
    if isinstance(error, EOFError):
        return "it closed the connection"
    # paramiko has only these texts: a server that is slow to greet, and one that is slow to negotiate.
    if str(error).startswith("Error reading SSH protocol banner") or str(error) == "No existing session":
        return f"something accepts connections, but did not answer as an SSH server within {timeout:g} s"
    return _text(error)


def _text(error: BaseException) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return (text.strip() or type(error).__name__).splitlines()[0].rstrip(".")


def _named(key: paramiko.PKey) -> str:
    return f"{key.get_name()} {key.fingerprint}"
