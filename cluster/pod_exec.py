"""Runs a program in a pod through the API server, as ``kubectl exec`` does: binary, streamed, with its exit status.

Secrets go to the program's environment through its standard input, never through its arguments: those are in the URL,
so in the API server's audit log, and in the pod's list of processes. A small shell script in the pod says that it is
there, reads the environment, and becomes the program; what was refused before it spoke can be tried again, as nothing
was done yet and nothing secret was sent. Right after a restart a pod shows Ready while exec still says "pod does not
exist" (the kubelet has not yet seen it), so such refusals are waited out.

The framing: https://github.com/kubernetes/enhancements/tree/master/keps/sig-api-machinery/4006-transition-spdy-to-websockets
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from cluster.api import Api
from cluster.api_errors import Busy, NotFound
from cluster.api_socket import connect
from cluster.errors import Blocked, Failed, Misused, Unreachable
from cluster.programs import DEADLINES, Deadlines, Ended, tail
from cluster.reach import MASKER

if TYPE_CHECKING:
    from websocket import WebSocket

_INPUT, _OUTPUT, _ERROR, _STATUS = range(4)
# Sets what it reads as NAME=value, up to an empty line, and becomes the program that its arguments name.
_SHELL = 'echo +; while IFS= read -r line && [ -n "$line" ]; do export "$line"; done; exec "$@"'
_SPOKEN = b"+\n"
_START_SECONDS = 20.0
# Load balancers cut connections that are idle; a ping each this many seconds keeps one.
_BEAT_SECONDS = 10.0
_PIECE = 16_384
# The program, or the shell, is not in the image: to try again is of no use.
_NO_PROGRAM = re.compile(
    r"executable file not found|no such file or directory|exit code 12[67]|permission denied", re.I
)

# Said, with HTTP 400, of a pod that was just made and waits for its node.
_NO_NODE_YET = "does not have a host assigned"


@dataclass(frozen=True)
class Pod:
    """Where a program is to run; an empty container is the pod's only one."""

    namespace: str
    name: str
    container: str = ""

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Refused(Blocked):
    """Nothing could be run in the pod: nothing was done (``exec-refused``, ``exec-no-program``)."""


@contextmanager
def started(
    api: Api,
    pod: Pod,
    argv: Sequence[str],
    environment: Mapping[str, str] | None = None,
    deadlines: Deadlines = DEADLINES,
) -> Iterator[InPod]:
    """Run a program in the pod; it is cut off when the ``with`` is left.

    Args:
        argv: the program and its arguments: visible to many, so nothing secret.
        environment: variables for the program, secret ones too.

    Raises:
        Refused: it cannot be started, though it was tried for ``deadlines.refused`` seconds.
        Blocked: ``forbidden``, ``credentials``.
        Misused: a value has more than one line.
    """
    program = _started(api, pod, argv, _lines(environment or {}), deadlines)
    try:
        yield program
    finally:
        program.cut()


class InPod:
    """A program in a pod: a :class:`cluster.programs.Program`."""

    def __init__(self, socket: WebSocket, pod: Pod, name: str, deadlines: Deadlines) -> None:
        self._socket, self._pod, self._name, self._deadlines = socket, pod, name, deadlines
        self._until = time.monotonic() + deadlines.total
        self._beaten = time.monotonic()
        self._said = b""
        self._status: Ended | None = None
        # Output that came together with the sign of life.
        self._ahead = b""

    def write(self, data: bytes) -> None:
        """Give it more of its standard input. Where it has ended already, reading tells how, and what it said."""
        with suppress(OSError, _closed()):
            self.send(data)

    def send(self, data: bytes) -> None:
        """The same, raising what the connection raises."""
        for at in range(0, len(data), _PIECE):
            self._socket.send_binary(bytes([_INPUT]) + data[at : at + _PIECE])

    def chunks(self) -> Iterator[bytes]:
        """Its standard output as it comes. See :class:`cluster.programs.Program`."""
        if self._ahead:
            ahead, self._ahead = self._ahead, b""
            yield ahead
        while self._status is None:
            if data := self._next(self._deadlines.silence):
                yield data

    def beat(self) -> None:
        """Ping, if it is time."""
        now = time.monotonic()
        if now - self._beaten >= _BEAT_SECONDS and self._status is None:
            self._beaten = now
            with suppress(OSError, _closed()):
                self._socket.ping()

    def ended(self) -> Ended:
        """How it ended."""
        for _ in self.chunks():
            pass
        if self._status is None:
            raise AssertionError("the output ends with the status, or raises")
        return self._status

    def cut(self) -> None:
        """End the connection: the program's input ends, and it can write no more."""
        with suppress(OSError, _closed()):
            self._socket.shutdown()

    def await_sign(self) -> None:
        """See the shell in the pod speak, before anything is sent to it."""
        heard = b""
        while len(heard) < len(_SPOKEN):
            heard += self._next(_START_SECONDS)
            if self._status is not None:
                raise _NotStarted(self._status.summary)
        if not heard.startswith(_SPOKEN):
            raise _NotStarted(f"it answered {heard[:60]!r}")
        self._ahead = heard[len(_SPOKEN) :]

    def _next(self, silence: float) -> bytes:
        """The next piece of output; empty: there was none in this frame, or the program has ended."""
        since = time.monotonic()
        while True:
            now = time.monotonic()
            if now > self._until:
                raise self._failed("exec-timeout", f"did not end within {self._deadlines.total:g} s and was cut off")
            if now - since > silence:
                raise self._failed("exec-silent", f"wrote nothing for {silence:g} s and was cut off")
            frame = self._frame(min(_BEAT_SECONDS, silence))
            if frame is not None:
                return self._sorted(frame)
            self.beat()

    def _frame(self, seconds: float) -> bytes | None:
        import websocket

        self._socket.settimeout(seconds)
        try:
            opcode, frame = self._socket.recv_data_frame(control_frame=True)
        except websocket.WebSocketTimeoutException:
            return None
        except (OSError, websocket.WebSocketException) as error:
            raise self._broken(str(error)) from None
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            raise self._broken("the API server closed it")
        return bytes(frame.data) if opcode in (websocket.ABNF.OPCODE_BINARY, websocket.ABNF.OPCODE_TEXT) else None

    def _sorted(self, frame: bytes) -> bytes:
        channel, data = frame[:1], frame[1:]
        if channel == bytes([_OUTPUT]):
            return data
        if channel == bytes([_ERROR]):
            self._said = tail(self._said, data)
        elif channel == bytes([_STATUS]) and data:
            self._status = _status(data, self._said)
        return b""

    def _broken(self, why: str) -> Failed:
        return self._failed("exec-broken", f"was cut off: the connection broke ({why or 'no reason given'})")

    def _failed(self, code: str, what: str) -> Failed:
        said = f"; it had said: {Ended(0, self._said.decode(errors='replace')).summary}" if self._said else ""
        return Failed(
            code,
            MASKER.mask(f"{self._name} in pod {self._pod} {what}{said}"),
            "See whether the pod and its node are well, then run the same command again.",
        )


class _NotStarted(Exception):
    pass


def _started(api: Api, pod: Pod, argv: Sequence[str], first: bytes, deadlines: Deadlines) -> InPod:
    until, pause = time.monotonic() + deadlines.refused, 0.25
    while True:
        try:
            return _attempt(api, pod, argv, first, deadlines)
        except (_NotStarted, Failed, Blocked) as error:
            why = str(error) if isinstance(error, _NotStarted) else error.message
            passing = not isinstance(error, Blocked) or isinstance(error, (NotFound, Busy, Unreachable))
            if not passing and _NO_NODE_YET not in why:
                raise
            hopeless = _NO_PROGRAM.search(why)
            if hopeless or time.monotonic() + pause > until:
                raise _refused(pod, argv[0], why, bool(hopeless), deadlines.refused) from None
        time.sleep(pause)
        pause = min(2 * pause, 3.0)


def _attempt(api: Api, pod: Pod, argv: Sequence[str], first: bytes, deadlines: Deadlines) -> InPod:
    query = [("command", one) for one in ("sh", "-c", _SHELL, "sh", *argv)]
    query += [("stdin", "true"), ("stdout", "true"), ("stderr", "true")]
    query += [("container", pod.container)] if pod.container else []
    path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/exec"
    made = InPod(
        connect(api.opening(path), f"{path}?{urlencode(query)}", max(api.timeout, 5.0)), pod, argv[0], deadlines
    )
    try:
        made.await_sign()
        made.send(first)
    except (OSError, _closed()) as error:
        made.cut()
        raise _NotStarted(f"the connection broke ({error})") from None
    except BaseException:
        made.cut()
        raise
    return made


def _refused(pod: Pod, program: str, why: str, hopeless: bool, seconds: float) -> Refused:
    why = MASKER.mask(why)
    if hopeless:
        return Refused(
            "exec-no-program",
            f"{program} cannot be run in pod {pod}: {why}",
            "Its image lacks the program, or a shell; what it holds must be saved by other means.",
        )
    return Refused(
        "exec-refused",
        f"Nothing can be run in pod {pod}; it was tried for {seconds:g} s: {why}",
        f"See 'kubectl describe pod -n {pod.namespace} {pod.name}' and the node that it is on, then run it again.",
    )


def _status(data: bytes, said: bytes) -> Ended:
    """From the API server's Status object; a failure that is none of the program's is told in its words."""
    text = said.decode(errors="replace")
    try:
        status = json.loads(data)
        if status.get("status") == "Success":
            return Ended(0, text)
        causes = (status.get("details") or {}).get("causes") or ()
        codes = [int(one["message"]) for one in causes if one.get("reason") == "ExitCode"]
        if codes:
            return Ended(codes[0], text or str(status.get("message", "")))
        return Ended(-1, f"{text} {status.get('message', '')}".strip())
    except (ValueError, KeyError, AttributeError, TypeError):
        return Ended(-1, f"{text} {data[:200].decode(errors='replace')}".strip())


def _lines(environment: Mapping[str, str]) -> bytes:
    for name, value in environment.items():
        if "\n" in value or "\0" in value:
            raise Misused("bad-secret", f"The value of {name} has more than one line", "Give it a value of one line.")
    return "".join(f"{name}={value}\n" for name, value in environment.items()).encode() + b"\n"


def _closed() -> type[Exception]:
    import websocket

    return websocket.WebSocketException
