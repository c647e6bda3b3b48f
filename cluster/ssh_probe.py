"""Whether anything answers where a machine's SSH server should be. For seeing a machine off, and back.

No key is checked and nobody logs in: a machine whose host key has changed is not silent. "silent" is what a machine
that is off looks like, and so does one behind a broken switch: it is proof of nothing by itself.
"""

from __future__ import annotations

import errno
import socket
import time
from dataclasses import dataclass
from typing import Literal

from cluster.hosts import Host

State = Literal["answers", "open", "refused", "silent", "unknown"]

# What the network says when nobody is there. "Network is unreachable" is not among them: then it is this machine that
# has no way there, and it knows nothing about the other.
_NOBODY = (errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.ETIMEDOUT)


@dataclass(frozen=True)
class Probe:
    """What was seen.

    answers: an SSH server greets. open: something accepts connections, but does not greet as an SSH server in time.
    refused: the machine (or a firewall) says no. silent: no answer at all. unknown: it could not even be tried.
    """

    state: State
    reason: str

    @property
    def silent(self) -> bool:
        """No answer at all."""
        return self.state == "silent"


def answers(host: Host, timeout: float) -> Probe:
    """Connects, and waits for the greeting of an SSH server; at most ``timeout`` seconds in all. Never raises."""
    deadline = time.monotonic() + timeout
    try:
        address = socket.getaddrinfo(host.address, host.port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        return Probe("unknown", f"the address {host.address} could not be resolved: {error.strerror or error}")
    with socket.socket(address[0], address[1]) as connection:
        connection.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            connection.connect(address[4])
        except TimeoutError:
            return Probe("silent", f"no answer within {timeout:g} s")
        except ConnectionRefusedError:
            return Probe("refused", "the connection was refused")
        except OSError as error:
            state: State = "silent" if error.errno in _NOBODY else "unknown"
            return Probe(state, error.strerror or type(error).__name__)
        return _greeting(connection, deadline)


def _greeting(connection: socket.socket, deadline: float) -> Probe:
    seen = b""
    try:
        # RFC 4253, 4.2: other lines may come before the one that begins with "SSH-".
        while len(seen) < 4096 and (left := deadline - time.monotonic()) > 0:
            connection.settimeout(left)
            data = connection.recv(1024)
            if not data:
                return Probe("open", "the connection was closed before a greeting")
            seen += data
            if any(line.startswith(b"SSH-") for line in seen.splitlines()):
                return Probe("answers", "an SSH server greets")
    except TimeoutError:
        pass
    except OSError as error:
        return Probe("open", f"the connection broke before a greeting: {error.strerror or type(error).__name__}")
    return Probe("open", "connections are accepted, but no SSH server greets")
