"""One SSH conversation with a simulated host: the real protocol; only user ``ops`` with the lab's key gets in."""

from __future__ import annotations

import io
import logging
import socket
import threading
from collections.abc import Callable

import paramiko
from paramiko.common import (
    AUTH_FAILED,
    AUTH_SUCCESSFUL,
    OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED,
    OPEN_SUCCEEDED,
    cMSG_CHANNEL_SUCCESS,
)

from lab.pki import ssh_pair
from lab.simulated.answers import Answer
from lab.simulated.joining import JOINS

USER = "ops"
LOGGER = logging.getLogger("lab.ssh")


class Session(paramiko.ServerInterface):
    """Lets in who has the lab's key, and carries out commands; no shell, no forwarding, no other user."""

    def __init__(self, authorized: paramiko.PKey, carry_out: Callable[[str, str], Answer]) -> None:
        self._authorized = authorized
        self._carry_out = carry_out

    def get_allowed_auths(self, username: str) -> str:  # noqa: ARG002 - the interface's name
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        known = username == USER and key == self._authorized
        return AUTH_SUCCESSFUL if known else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:  # noqa: ARG002 - the interface's name
        if kind == "session":
            return OPEN_SUCCEEDED
        return OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_env_request(self, channel: paramiko.Channel, name: bytes, value: bytes) -> bool:  # noqa: ARG002
        return True

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=self._execute, args=(channel, command.decode(errors="replace")), daemon=True).start()
        return True

    def _execute(self, channel: paramiko.Channel, command: str) -> None:
        transport = channel.get_transport()
        if isinstance(transport, Talking) and not transport.accepted.acquire(timeout=10):
            return
        try:
            result = self._carry_out(command, _input(channel) if JOINS in command else "")
            channel.sendall(result.output.encode())
            channel.sendall_stderr(result.error.encode())
            channel.send_exit_status(result.status)
            channel.shutdown_write()
        except (OSError, EOFError, paramiko.SSHException) as error:
            LOGGER.info("lost the connection during %r: %s", command, error)
        finally:
            channel.close()


def _input(channel: paramiko.Channel) -> str:
    """All that the command is given, up to its end."""
    channel.settimeout(10)
    with channel.makefile("rb") as file:
        return file.read().decode()


class Talking(paramiko.Transport):
    """Tells when it has accepted a command: output that overtakes that answer is lost on the other side."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection)
        self.accepted = threading.Semaphore(0)

    def _send_user_message(self, data: paramiko.Message) -> None:
        super()._send_user_message(data)  # type: ignore[misc]
        if data.asbytes()[:1] == cMSG_CHANNEL_SUCCESS:
            self.accepted.release()


def load_key(private: str) -> paramiko.PKey:
    return paramiko.Ed25519Key.from_private_key(io.StringIO(private))


def other_key() -> paramiko.PKey:
    """A host key that nobody knows."""
    return load_key(ssh_pair()[0])


def converse(connection: socket.socket, key: paramiko.PKey, session: Session) -> paramiko.Transport:
    """Begin to speak SSH on a connection; the transport's own thread goes on. Raises what a bad peer causes."""
    transport = Talking(connection)
    transport.add_server_key(key)
    transport.banner_timeout = 10
    transport.auth_timeout = 10
    transport.start_server(event=threading.Event(), server=session)
    return transport
