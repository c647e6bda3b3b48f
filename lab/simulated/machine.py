"""A simulated machine that runs: its listening SSH port while it is on, its conversations, and its power."""

from __future__ import annotations

import logging
import selectors
import socket
import threading
from collections.abc import Callable, Sequence

import paramiko

from lab.errors import LabError
from lab.layout import Lab
from lab.simulated import joining
from lab.simulated.answers import Answer
from lab.simulated.commands import answer
from lab.simulated.host import FAULTS, Host
from lab.simulated.ssh_server import Session, converse, load_key, other_key

LOGGER = logging.getLogger("lab.machine")
SHUTDOWN_SECONDS = 0.3
BOOT_SECONDS = 0.3


class Machine:
    """One host in the simulator.

    ``changed`` is called after each change of power or faults; ``peers`` tells all hosts of the lab.
    """

    def __init__(
        self,
        lab: Lab,
        host: Host,
        authorized: paramiko.PKey,
        selector: selectors.BaseSelector,
        changed: Callable[[], None],
        peers: Callable[[], Sequence[Host]] = tuple,
    ) -> None:
        self.host = host
        self._lab = lab
        self._authorized = authorized
        self._selector = selector
        self._changed = changed
        self._peers = peers
        self._lock = threading.RLock()
        self._listener: socket.socket | None = None
        self._dark: list[socket.socket] = []
        self._closed = False
        self._connections: list[socket.socket | paramiko.Transport] = []
        self._key = load_key(host.host_key)
        self._settle()

    def power(self, action: str) -> str:
        """Do what a power controller is asked: on, off, reset or status. Returns on or off. Raises LabError."""
        with self._lock:
            if "power-unknown" in self.host.faults:
                raise LabError(f"the power controller of {self.host.node} does not answer")
            if action in ("off", "reset") and self.host.power == "on":
                self.host.go_off()
                self._settle()
            if action in ("on", "reset") and self.host.power == "off":
                self.host.boot()
                self._later(BOOT_SECONDS, self._settle)
            if action != "status":
                self.host.save(self._lab.simulated)
                LOGGER.info("%s: power %s, now %s", self.host.node, action, self.host.power)
                self._changed()
            return self.host.power

    def fault(self, name: str, present: bool) -> None:
        """Set or clear a fault. Raises LabError for an unknown one."""
        if name not in FAULTS:
            raise LabError(f"no fault {name!r}; there are: {', '.join(sorted(FAULTS))}")
        with self._lock:
            self.host.faults = sorted({*self.host.faults, name} if present else {*self.host.faults} - {name})
            self.host.save(self._lab.simulated)
            self._key = other_key() if "host-key-changed" in self.host.faults else load_key(self.host.host_key)
            self._settle()
            self._changed()

    def close(self) -> None:
        """Give the address back for good: a boot that is still under way must not take it again."""
        with self._lock:
            self._closed = True
            self._silence()
            self._enlighten()

    def accept(self) -> None:
        """Take a connection that is waiting."""
        with self._lock:
            if self._listener is None:
                return
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections = [one for one in self._connections if not _ended(one)]
            if "ssh-hangs" in self.host.faults:
                self._connections.append(connection)
                return
            try:
                self._connections.append(converse(connection, self._key, Session(self._authorized, self._carry_out)))
            except (OSError, EOFError, paramiko.SSHException) as error:
                LOGGER.info("%s: %s", self.host.node, error)
                connection.close()

    def _carry_out(self, command: str, given: str) -> Answer:
        def more(host: Host, words: Sequence[str], as_root: bool) -> Answer | None:
            return joining.answer(self._lab, host, words, as_root, given)

        with self._lock:
            result = answer(self.host, command, more, self._peers())
            for one in (*([self.host] if result.changed else []), *result.also):
                one.save(self._lab.simulated)
        LOGGER.info("%s: %r: exit status %d", self.host.node, command, result.status)
        if result.changed:
            self._changed()
        if result.power:
            booted = self.host.booted
            self._later(SHUTDOWN_SECONDS, lambda: self._shut_down(booted, result.power))
        return result

    def _shut_down(self, booted: float, action: str) -> None:
        """What was asked for over SSH; too late if the machine has been power-cycled meanwhile."""
        with self._lock:
            if self.host.booted != booted or self.host.power != "on":
                return
            self.host.go_off()
            self._settle()
            if action == "reset":
                self.host.boot()
                self._later(BOOT_SECONDS, self._settle)
            self.host.save(self._lab.simulated)
            LOGGER.info("%s: %s over SSH, now %s", self.host.node, action, self.host.power)
        self._changed()

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        timer = threading.Timer(seconds, action)
        timer.daemon = True
        timer.start()

    def _settle(self) -> None:
        """Listen if, and only if, the machine is one that would."""
        with self._lock:
            if self._closed:
                return
            if self.host.power != "on" or "never-boots" in self.host.faults:
                self._silence()
                self._dark = self._dark or dark_port(self.host.address, self.host.port)
                return
            self._enlighten()
            if "ssh-refused" in self.host.faults:
                self._silence()
            elif self._listener is None:
                self._listener = bound(self.host.address, self.host.port)
                self._listener.listen(32)
                self._selector.register(self._listener, selectors.EVENT_READ, self.accept)

    def _enlighten(self) -> None:
        for one in self._dark:
            one.close()
        self._dark = []

    def _silence(self) -> None:
        if self._listener is not None:
            self._selector.unregister(self._listener)
            self._listener.close()
            self._listener = None
        for connection in self._connections:
            connection.close()
        self._connections = []


def bound(address: str, port: int) -> socket.socket:
    """A socket at this address that waits for nobody."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((address, port))
    made.settimeout(0)
    return made


def dark_port(address: str, port: int) -> list[socket.socket]:
    """Sockets that make a port silent, as a machine's is that has no power: connecting is not refused, but unanswered.

    Linux drops what asks for a connection while a listener's queue is full, and this one's is full for good.
    """
    listener = bound(address, port)
    listener.listen(0)
    waiting = [socket.socket() for _ in range(2)]
    for one in waiting:
        one.settimeout(0)
        one.connect_ex((address, port))
    return [listener, *waiting]


def _ended(connection: socket.socket | paramiko.Transport) -> bool:
    return isinstance(connection, paramiko.Transport) and not connection.is_active()
