"""Secrets never reach a log, a report, a record or an error: every text passes a ``Masker`` first.

Two nets: the values that were resolved in this process (in every spelling that tools print them in), and shapes that
are secret whoever made them: kubeadm's bootstrap tokens and discovery hashes, private keys, passwords, Bearer tokens.
An image digest looks like a discovery hash and is masked too: that loses nothing that a person needs.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
from urllib.parse import quote

MASK = "•••"

# Lines shorter than this are not registered on their own when a secret has several: "{" would mask half of any text.
_SHORTEST_LINE = 6

_VALUE = r"""(?:"[^"\n]*"|'[^'\n]*'|[^\s,;&"'}\])]+)"""
_PEM = r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)"
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(_PEM, re.DOTALL), MASK),
    (re.compile(r"(?<![A-Za-z0-9])[a-z0-9]{6}\.[a-z0-9]{16}(?![A-Za-z0-9])"), MASK),
    (re.compile(r"sha256:[0-9a-fA-F]{64}"), f"sha256:{MASK}"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}"), rf"\1 {MASK}"),
    (re.compile(rf"(?i)([\w-]*(?:password|passwd|passphrase)[\"']?\s*[=:]\s*){_VALUE}"), rf"\1{MASK}"),
    (re.compile(rf"(?i)([\w-]*(?:secret|token|api[_-]?key|access[_-]?key|certificate-key)=){_VALUE}"), rf"\1{MASK}"),
    (re.compile(rf"(?i)(--(?:password|token|certificate-key)\s+){_VALUE}"), rf"\1{MASK}"),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+(?=@)"), rf"\1{MASK}"),
)


class Masker:
    """Replaces secrets in texts by ``•••``. Safe to use from several threads."""

    def __init__(self) -> None:
        self._values: frozenset[str] = frozenset()

    def register(self, value: str) -> None:
        """From now on mask this value wherever it appears: as it is, per line, quoted, escaped, or in base64."""
        lines = [line.strip() for line in value.splitlines()]
        parts = [value, value.strip(), *(line for line in lines if len(line) >= _SHORTEST_LINE)]
        # One assignment of a new set: readers in other threads see the old or the new one, never half of it.
        self._values = self._values | {text for part in parts for text in _spellings(part) if text.strip("•'").strip()}

    def mask(self, text: str) -> str:
        """The text without registered values and without what is secret by its shape."""
        text = _covered(text, self._values)
        for pattern, replacement in _SHAPES:
            text = pattern.sub(replacement, text)
        return text


def _spellings(value: str) -> set[str]:
    return {
        value,
        shlex.quote(value),
        quote(value, safe="", errors="replace"),
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        repr(value)[1:-1],
        base64.b64encode(value.encode(errors="surrogatepass")).decode(),
    }


def _covered(text: str, values: frozenset[str]) -> str:
    """Overlapping values are covered as one stretch: one after the other would leave the rest of the second."""
    spans: list[tuple[int, int]] = []
    for value in values:
        start = text.find(value)
        while start != -1:
            spans.append((start, start + len(value)))
            start = text.find(value, start + 1)
    pieces: list[str] = []
    position = 0
    for start, end in _merged(spans):
        pieces += [text[position:start], MASK]
        position = end
    return "".join([*pieces, text[position:]])


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
