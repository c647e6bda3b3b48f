"""Commands as root through sudo, never interactively; and recognising that sudo, not the command, said no.

sudo's own exit code is 1, like that of many commands, so its sentences are looked at. They are translated where the
machine's locale is not English: ``LC_ALL=C`` is set for it. Sentences are those of sudo 1.9 and sudo-rs 0.2.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

Refusal = Literal["password", "wrong-password", "not-allowed", "tty", "missing"]

_SENTENCES: tuple[tuple[Refusal, re.Pattern[str]], ...] = (
    ("missing", re.compile(r"^(env: .sudo.: No such file or directory|.*\bsudo: (command )?not found)$", re.M)),
    ("wrong-password", re.compile(r"^(Sorry, try again\.|sudo: .*incorrect (password|authentication) attempt)", re.M)),
    ("wrong-password", re.compile(r"^sudo: (Authentication failed|Incorrect password|no password was provided)", re.M)),
    (
        "not-allowed",
        re.compile(r"^(\S+ is not in the sudoers file|Sorry, user \S+ (is not allowed to|may not)) ?", re.M),
    ),
    ("not-allowed", re.compile(r"^(sudo: )?I'm sorry \S+\. I'm afraid I can't do that", re.M)),
    ("tty", re.compile(r"^sudo: (sorry, )?you must have a tty", re.M)),
    ("password", re.compile(r"^sudo: (a password is required|a terminal is required|no tty present)", re.M)),
    ("password", re.compile(r"^sudo: interactive authentication is required", re.M)),
)


def without_password(argv: Sequence[str], *, listing: bool = False) -> tuple[str, ...]:
    """The command as root; refused where sudo would ask for a password. ``listing``: only whether it may be run."""
    return ("env", "LC_ALL=C", "sudo", "-n", *_listing(listing), "--", *argv)


def with_password(argv: Sequence[str], *, listing: bool = False) -> tuple[str, ...]:
    """The command as root; the first line of its input is the password.

    ``-k`` ignores a remembered password: sudo would not read that line then, and the command would. For the same
    reason this is only for commands that sudo has just refused to run without one.
    """
    return ("env", "LC_ALL=C", "sudo", "-k", "-S", "-p", "", *_listing(listing), "--", *argv)


def refusal(exit_code: int, stderr: str) -> Refusal | None:
    """Why sudo did not run the command; None: it did (the exit code is the command's own)."""
    if exit_code not in (1, 127):
        return None
    for why, sentence in _SENTENCES:
        if sentence.search(stderr):
            return why
    return None


def _listing(wanted: bool) -> tuple[str, ...]:
    return ("-l",) if wanted else ()
