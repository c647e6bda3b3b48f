"""A secret on its way from one machine to another: in memory alone, and nothing that is printed shows it."""

from __future__ import annotations

from typing import NoReturn

from cluster.masking import MASK


class Secret:
    """A text that must not be seen. Whoever wants it must say so: :meth:`reveal`."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself: only to hand it over to what needs it."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __reduce__(self) -> NoReturn:
        # Prefect pickles what tasks return and what they are given.
        raise TypeError("a secret is not pickled")
