"""Where text for people goes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from deployments.choices import Output

if TYPE_CHECKING:
    from rich.console import Console

# Where there is no terminal, lines are not broken to fit one.
_WIDTH_IN_FILES = 160


def standard_output() -> Console:
    """The console of standard output."""
    return _console(stderr=False)


def progress(output: Output) -> Console:
    """The console for how far it is: beside the result, which in JSON must stand alone on standard output."""
    return _console(stderr=output is Output.json)


def somebody_is_there() -> bool:
    """Whether a person sits at this terminal and can be asked."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _WIDTH_IN_FILES
    # Names and reasons come from outside: nothing in them is markup, an emoji code, or something to highlight.
    return Console(stderr=stderr, width=width, markup=False, emoji=False, highlight=False)
