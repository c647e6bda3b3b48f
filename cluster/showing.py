"""Text that may be shown: with the secrets of URLs hidden, and in one line of printable characters."""

from __future__ import annotations

import re

# The first alternative takes a password with an unescaped '/' or '@' in it: rather too much hidden than too little.
_USERINFO = re.compile(r"://(?:[^\s/?#@]*:\S*|[^\s/?#]*)@")
_QUERY = re.compile(r"(://[^\s?#]*)[?#]\S*")


def masked(url: str) -> str:
    """The text with the user, password and query of each URL in it hidden."""
    return _QUERY.sub(r"\1?***", _USERINFO.sub("://***@", url))


def shown(text: str, longest: int = 300) -> str:
    """Text from elsewhere, in one line of printable characters, cut."""
    line = "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))
    return line if len(line) <= longest else f"{line[: longest - 1]}…"
