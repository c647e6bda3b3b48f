"""Switching machines off and on from outside, and asking whether they are.

Proof that a machine is off is one thing only: ``status()`` whose ``state`` is ``off``. Everything else, a failing or
slow command, any other word, no controller, is ``unknown``, which proves nothing.

Kinds: ``command`` runs the argument lists of ``[power.command]`` without a shell; ``person`` (on) and ``none``
(status) mean that there is no controller; ``ssh`` (off) is done by ``cluster.ssh.Ssh.power_off`` and not here.
``redfish`` is not built yet.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Literal, Protocol

from cluster.config import PowerSettings
from cluster.errors import Blocked, DowntimeError, Failed, Misused, Waiting
from cluster.hosts import Host
from cluster.masking import Masker
from cluster.probing import probe

State = Literal["on", "off", "unknown"]
_LARGEST = 64 * 1024


@dataclass(frozen=True)
class PowerStatus:
    """What the power controller says, and why it is unknown if it is."""

    state: State
    reason: str = ""


class Power(Protocol):
    """A power controller, as far as one is configured."""

    @property
    def off_kind(self) -> Literal["ssh", "command"]:
        """Who switches machines off."""

    @property
    def on_kind(self) -> Literal["person", "command"]:
        """Who switches them on."""

    @property
    def status_kind(self) -> Literal["none", "command"]:
        """Who knows whether they are."""

    def off_command(self, host: Host) -> None:
        """Cuts the power. Only for ``off_kind`` "command"."""

    def on(self, host: Host) -> None:
        """Gives power, or raises Waiting("power-on-by-person") where a person does."""

    def reset(self, host: Host) -> None:
        """Cuts and gives power at once, whatever the machine is doing."""

    def status(self, host: Host) -> PowerStatus:
        """Whether it has power. Never raises: what cannot be said is ``unknown``."""


def controller(settings: PowerSettings, masker: Masker) -> Power:
    """The power controller of the configuration.

    Raises:
        Misused: ``power-not-built``: ``redfish`` is asked for.
    """
    off, on, status = settings.off, settings.on, settings.status
    if off == "redfish" or on == "redfish" or status == "redfish":
        raise Misused(
            "power-not-built",
            'The power kind "redfish" is not built yet',
            'Use "command" in [power], with a program that talks to your management controllers.',
        )
    return _ByCommand(settings, masker, off, on, status)


def wait_for_status(power: Power, host: Host, wanted: Literal["on", "off"], deadline_seconds: float) -> PowerStatus:
    """Asks with back-off until the controller says ``wanted`` or the deadline has passed; the last answer.

    It does not raise when the deadline passes: the caller compares ``state`` and knows what that means for its step.
    """
    last = PowerStatus("unknown", "not asked yet")

    def check() -> PowerStatus | None:
        nonlocal last
        last = power.status(host)
        return last if last.state == wanted else None

    return probe(check, deadline_seconds) or last


@dataclass(frozen=True)
class _ByCommand:
    settings: PowerSettings
    masker: Masker
    off_kind: Literal["ssh", "command"]
    on_kind: Literal["person", "command"]
    status_kind: Literal["none", "command"]

    def off_command(self, host: Host) -> None:
        if self.off_kind != "command":
            raise Misused(
                "no-power-off-command",
                f"{host.node} is switched off over SSH, not by a command",
                'Set off = "command" in [power], and [power.command] off.',
            )
        self._act("off", self.settings.command.off, host)

    def on(self, host: Host) -> None:
        if self.on_kind == "person":
            raise Waiting(
                "power-on-by-person",
                f"{host.node} has to be switched on by a person",
                f"Switch the machine on, then run 'downtime resume {host.node}'.",
            )
        self._act("on", self.settings.command.on, host)

    def reset(self, host: Host) -> None:
        self._act("reset", self.settings.command.reset, host)

    def status(self, host: Host) -> PowerStatus:
        if self.status_kind == "none" or self.settings.command.status is None:
            return PowerStatus("unknown", "no power controller that can be asked is configured")
        try:
            ended = _run(_argv(self.settings.command.status, host), self.settings.command.timeout)
        except DowntimeError as error:
            return PowerStatus("unknown", self.masker.mask(error.message))
        if ended.code != 0:
            return PowerStatus("unknown", f"the status command {ended.how}: {self._shown(ended.said)}")
        word = ended.stdout.strip()
        if word == "on":
            return PowerStatus("on")
        if word == "off":
            return PowerStatus("off")
        return PowerStatus("unknown", f"the status command printed {self._shown(word, 200)!r}, neither on nor off")

    def _shown(self, text: str, most: int = 500) -> str:
        # Masked before it is cut: of half a secret nobody would know that it is one.
        return self.masker.mask(text)[:most]

    def _act(self, action: str, argv: Sequence[str] | None, host: Host) -> None:
        if argv is None:
            raise Misused(
                "no-power-command",
                f"There is no command to power {action} {host.node}",
                f'Give the argument list "{action}" under [power.command] in the configuration.',
            )
        ended = _run(_argv(argv, host), self.settings.command.timeout)
        if ended.code != 0:
            raise Failed(
                "power-command-failed",
                f"The command to power {action} {host.node} {ended.how}: {self._shown(ended.said)}",
                f"See why it failed, look at the machine, then run 'downtime resume {host.node}'.",
            )


@dataclass(frozen=True)
class _Ended:
    code: int
    stdout: str
    stderr: str

    @property
    def how(self) -> str:
        return f"exited with {self.code}" if self.code >= 0 else f"was ended by signal {-self.code}"

    @property
    def said(self) -> str:
        return " ".join((self.stderr.strip() or self.stdout.strip() or "it printed nothing").split())


def _argv(template: Sequence[str], host: Host) -> list[str]:
    values = {"node": host.node, "address": host.address}
    # One pass over each item: what was put in is not looked at again.
    return [re.sub(r"\{(node|address)\}", lambda match: values[match[1]], item) for item in template]


def _run(argv: Sequence[str], timeout: float) -> _Ended:
    """Runs without a shell, without input, in a session of its own that is killed whole when the time is over.

    Output goes to files: a program left in the background would hold a pipe open, and reading it would never end.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True, close_fds=True
            )
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
            raise Blocked(
                "power-command-missing",
                f"The power command {argv[0]} could not be started: {why}",
                "Correct [power.command] in the configuration, or install the program.",
            ) from None
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Failed(
                "power-command-timeout",
                f"The power command {argv[0]} did not end within {timeout:g} s and was killed",
                "Look at the machine: it may or may not have been switched. Raise [power.command] timeout if need be.",
            ) from None
        finally:
            _end(process)
        return _Ended(code, _text(out), _text(err))


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(_LARGEST).decode(errors="replace")
