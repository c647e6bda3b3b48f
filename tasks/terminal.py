"""The terminal of the person who runs a flow by the command, if there is one."""

from contextvars import ContextVar
from typing import NamedTuple

from cluster.downtime import Ask, Say


class Terminal(NamedTuple):
    """How to tell and to ask the person there; ``ask`` None: nobody can be asked."""

    say: Say
    ask: Ask | None


TERMINAL: ContextVar[Terminal | None] = ContextVar("terminal", default=None)
