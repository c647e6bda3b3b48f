"""What can go wrong, said for the person at 3 a.m.

Every error that a user can cause or must act on is a ``DowntimeError``: a code, one sentence of what happened, and
the remedy. The exit code of the command follows from the class alone, so that no caller has to guess it.
"""

from __future__ import annotations


class DowntimeError(Exception):
    """Something that a person must know: ``code`` (kebab-case), what happened, what to do, what was changed.

    Attributes:
        code: a stable kebab-case word, for scripts and tests.
        message: one sentence that says what happened.
        remedy: what to do now.
        changed: what this run had changed before it happened and still stands; empty: nothing.
    """

    exit_code = 1

    def __init__(self, code: str, message: str, remedy: str, changed: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.remedy = remedy
        self.changed = changed

    def __str__(self) -> str:
        return f"{self.message} [{self.code}] {self.remedy}".strip()

    def __reduce__(self) -> tuple[type[DowntimeError], tuple[str, str, str, tuple[str, ...]]]:
        # Prefect pickles exceptions of tasks: the default would call __init__ with the message alone.
        return type(self), (self.code, self.message, self.remedy, self.changed)


class Failed(DowntimeError):
    """Failed while running (exit 1): something was changed, and stands."""


class Misused(DowntimeError):
    """Wrong usage or configuration, or the wrong cluster (exit 2): nothing was changed."""

    exit_code = 2


class Blocked(DowntimeError):
    """Refused before the next change (exit 3): a check failed or could not be made."""

    exit_code = 3


class Waiting(DowntimeError):
    """A person or a machine is waited for (exit 4): nothing is wrong; the record says where to go on."""

    exit_code = 4


class LockLost(Failed):
    """The lock was taken over by somebody else: this process must change nothing more."""


class Unreachable(Blocked):
    """The API server cannot be reached, or did not answer in time (exit 3)."""
