"""Paths in the configuration: relative ones belong to the folder of the file that says them.

The folder is not the current one: services are started from anywhere, and ``downtime serve`` changes into an empty
folder of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

_folder: ContextVar[Path | None] = ContextVar("folder of the configuration file", default=None)


@contextmanager
def relative_to(folder: Path) -> Iterator[None]:
    """While this is open, validated paths are taken as relative to ``folder``."""
    token = _folder.set(folder)
    try:
        yield
    finally:
        _folder.reset(token)


def anchored(path: Path) -> Path:
    """The path with ``~`` expanded, made absolute by the folder of the configuration (else by the current folder)."""
    try:
        path = path.expanduser()
    except RuntimeError:
        raise ValueError("'~' cannot be expanded: this user has no home folder; write the path in full") from None
    return (_folder.get() or Path.cwd()) / path


AnchoredPath = Annotated[Path, AfterValidator(anchored)]
