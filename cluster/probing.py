"""Asking again and again, less and less often, until there is an answer or the deadline has passed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import tenacity

T = TypeVar("T")


def probe(check: Callable[[], T | None], deadline_seconds: float, first: float = 0.2, longest: float = 5.0) -> T | None:
    """Calls ``check`` until it answers something other than None; None when the deadline passed without an answer.

    It is called at least once, and a last time at the deadline. The pause between calls doubles from ``first`` to
    ``longest`` seconds. Measured by the monotonic clock: setting the machine's time changes nothing. What ``check``
    raises goes through; its own duration counts, so it must have a timeout of its own.
    """
    pause = tenacity.wait_exponential(multiplier=first, max=longest)

    def wait(state: tenacity.RetryCallState) -> float:
        left = deadline_seconds - (state.seconds_since_start or 0.0)
        return max(0.0, min(float(pause(state)), left))

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_result(lambda answer: answer is None),
        wait=wait,
        stop=tenacity.stop_after_delay(deadline_seconds),
        retry_error_callback=lambda _state: None,
    )
    return retrying(check)
