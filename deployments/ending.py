"""How commands end: an error is one sentence with its remedy and the right exit code, never a traceback."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from deployments.choices import Output
from deployments.interruption import Interrupted

if TYPE_CHECKING:
    from cluster.errors import DowntimeError

# What stands because of a node's downtime; None: nobody can say now.
Standing = tuple[str, ...] | None


class Ending:
    """What is known when a command ends badly.

    Attributes:
        node: the node that it is about, if it is about one.
        begun: whether its steps were begun.
    """

    def __init__(self, output: Output) -> None:
        self.output = output
        self.node = ""
        self.begun = False
        self._ask: Callable[[], Standing] = tuple

    def about(self, node: str, ask: Callable[[], Standing] | None = None) -> None:
        """Say which node the command is about now.

        Args:
            ask: asks the cluster what stands on it; without it the cluster was not asked for anything yet.
        """
        self.node, self._ask, self.begun = node, ask or _nobody_can_say, False

    def standing(self, error: DowntimeError | None = None) -> Standing:
        """What stands because of this command and earlier ones; None: nobody can say now."""
        if error is not None and error.changed:
            return error.changed
        known = self._ask()
        # Wrong usage is found before anything is looked at.
        return () if known is None and error is not None and error.exit_code == 2 else known


def _nobody_can_say() -> Standing:
    return None


@contextmanager
def ending(output: Output) -> Iterator[Ending]:
    """Turn whatever a command raises into its output and exit code."""
    end = Ending(output)
    try:
        yield end
    except (typer.Exit, typer.Abort):
        raise
    except BrokenPipeError:
        _silence()
        raise typer.Exit(1) from None
    except (KeyboardInterrupt, Interrupted) as error:
        raise typer.Exit(show(as_interrupted(error, end), end)) from None
    except Exception as error:  # noqa: BLE001 (the last resort: said in a sentence, kept in a file)
        raise typer.Exit(show(as_known(error), end)) from None


def show(error: DowntimeError, end: Ending) -> int:
    """Print an error; its exit code."""
    if end.output is Output.json:
        sys.stdout.write(json.dumps({"error": as_document(error, end)}, indent=2) + "\n")
    else:
        sys.stderr.write(as_text(error, end) + "\n")
    return error.exit_code


def as_document(error: DowntimeError, end: Ending) -> dict[str, object]:
    """An error for programs; ``changed`` is null when nobody can say what stands."""
    stands = end.standing(error)
    return {
        "code": error.code,
        "message": error.message,
        "remedy": error.remedy,
        "changed": None if stands is None else list(stands),
        "exit_code": error.exit_code,
    }


def as_text(error: DowntimeError, end: Ending) -> str:
    """An error for people: what happened, what stands as far as it is known, what to do."""
    lines, stands = [_sentence(error.message)], end.standing(error)
    if stands is None:
        lines.append(_not_known(end))
    elif stands:
        lines.append(f"Changed and still standing: {', '.join(stands)}.")
    elif "othing was changed" not in error.message:
        lines.append("Nothing was changed." if error.exit_code in (2, 3) else "Nothing that was changed still stands.")
    if error.remedy:
        lines.append(f"What to do: {_sentence(error.remedy)}")
    return "\n".join(lines)


def _not_known(end: Ending) -> str:
    this = "What this command and earlier ones" if end.begun else "This command changed nothing. What earlier ones"
    return (
        f"{this} changed on {end.node} is not known now: the cluster could not be asked. It is in the record there; "
        f"'downtime status {end.node}' shows it."
    )


def as_known(error: Exception) -> DowntimeError:
    """The error itself if it is one of ours; else one that says where the traceback was written."""
    from cluster.errors import DowntimeError, Failed

    if isinstance(error, DowntimeError):
        return error
    where = _write_traceback(error)
    return Failed(
        "unexpected",
        f"Something happened that this program does not know ({type(error).__name__})",
        f"The details are in {where}. 'downtime status' shows what is in downtime; the same command may be run again.",
    )


def as_interrupted(error: BaseException, end: Ending) -> DowntimeError:
    """The error of a command that was ended from outside."""
    from cluster.errors import Failed

    by = error.name if isinstance(error, Interrupted) else "SIGINT"
    remedy = (
        f"'downtime resume {end.node}' goes on (if it was waiting for the work on the machine, resuming says that the "
        f"work is done), 'downtime abort {end.node}' backs out."
        if end.node and end.standing() != ()
        else "Run the same command again."
    )
    return Failed("interrupted", f"Ended by {by}; the lock was released", remedy)


def _sentence(text: str) -> str:
    stripped = text.rstrip()
    return stripped if stripped.endswith((".", "!", "?")) else f"{stripped}."


def _write_traceback(error: Exception) -> Path:
    text = "".join(traceback.format_exception(error))
    for folder in (_state_folder(), Path(tempfile.gettempdir())):
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle, name = tempfile.mkstemp(".log", f"downtime-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-", folder)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
        except OSError:
            continue
        return Path(name)
    sys.stderr.write(text)
    return Path("standard error")


def _state_folder() -> Path:
    base = os.environ.get("XDG_STATE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".local" / "state") / "runai-downtime"
    except RuntimeError:  # no home
        return Path(tempfile.gettempdir())


def _silence() -> None:
    # Python would complain once more when it flushes standard output at its end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
