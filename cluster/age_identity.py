"""The private keys that sets can be decrypted with, as ``age-keygen`` or ``ssh-keygen`` wrote them.

A rehearsal needs one; nothing else of this product does. It is read by reference and lives in memory alone.
"""

from __future__ import annotations

from typing import Any

from cluster.errors import Misused

_SSH = "-----BEGIN "
_REMEDY = (
    "Let [recovery] identity name the file that age-keygen wrote, or an SSH private key (RSA or Ed25519) without a "
    "passphrase."
)


def identities(text: str) -> list[Any]:
    """The private keys in the text: an age identity file (a key a line, ``#`` for comments), or one SSH private key.

    Raises:
        Misused: ``bad-identity``: there is none in it, or one that cannot be read. The text is never shown.
    """
    from pyrage import IdentityError, ssh, x25519

    try:
        if text.lstrip().startswith(_SSH):
            # The last line end of a PEM file may have been taken off with that of a reference.
            return [ssh.Identity.from_buffer(f"{text.strip()}\n".encode())]
        lines = [line.strip() for line in text.splitlines()]
        found = [x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except IdentityError:
        raise Misused("bad-identity", "The private key for the backup sets cannot be read", _REMEDY) from None
    if not found:
        raise Misused("bad-identity", "There is no private key where the one for the backup sets should be", _REMEDY)
    return found
