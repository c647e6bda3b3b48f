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

Standing = Callable[[], tuple[str, ...]]


class Ending:
    """What is known when a command ends badly.

    Attributes:
        node: the node that it is about, if it is about one.
        standing: asks what stands because of earlier commands.
    """

    def __init__(self, output: Output) -> None:
        self.output = output
        self.node = ""
        self.standing: Standing = tuple

    def about(self, node: str, standing: Standing) -> None:
        """Say which node the command is about now."""
        self.node, self.standing = node, standing


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
    stands = error.changed or end.standing()
    if end.output is Output.json:
        sys.stdout.write(json.dumps({"error": as_document(error, stands)}, indent=2) + "\n")
    else:
        sys.stderr.write(as_text(error, stands) + "\n")
    return error.exit_code


def as_document(error: DowntimeError, stands: tuple[str, ...]) -> dict[str, object]:
    """An error for programs."""
    return {
        "code": error.code,
        "message": error.message,
        "remedy": error.remedy,
        "changed": list(stands),
        "exit_code": error.exit_code,
    }


def as_text(error: DowntimeError, stands: tuple[str, ...]) -> str:
    """An error for people: what happened, what stands, what to do."""
    lines = [_sentence(error.message)]
    if stands:
        lines.append(f"Changed and still standing: {', '.join(stands)}.")
    elif "othing was changed" not in error.message:
        lines.append("Nothing was changed." if error.exit_code in (2, 3) else "Nothing that was changed still stands.")
    if error.remedy:
        lines.append(f"What to do: {_sentence(error.remedy)}")
    return "\n".join(lines)


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
        if end.node and end.standing()
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
