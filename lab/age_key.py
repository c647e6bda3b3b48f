"""The key pair that a lab's backup sets are encrypted for."""

from __future__ import annotations

import pyrage

from lab.layout import Lab
from lab.state import write_atomically


def recipient(lab: Lab) -> str:
    """The lab's public key; the pair is made the first time, its private half readable by its owner alone."""
    if not lab.age_key.exists():
        write_atomically(lab.age_key, f"{pyrage.x25519.Identity.generate()}\n")
    return str(pyrage.x25519.Identity.from_str(lab.age_key.read_text().strip()).to_public())
