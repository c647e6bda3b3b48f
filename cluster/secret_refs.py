"""Secrets are named in the configuration, never written there.

A reference says where the value is: ``{ file = "…" }``, ``{ env = "…" }``, or ``{ secret = "namespace/name",
key = "…" }`` for a Kubernetes Secret. It is read only when it is needed, and what was read is told to the masker
first, so that it cannot appear in any text afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from cluster.config_paths import AnchoredPath
from cluster.errors import Misused
from cluster.masking import Masker

HOW = 'write a reference: { file = "PATH" }, { env = "VARIABLE" } or { secret = "namespace/name", key = "KEY" }'

ReadSecret = Callable[[str, str, str], bytes]
"""Reads (namespace, name, key) of a Kubernetes Secret; raises a DowntimeError if it cannot."""


class SecretRef(BaseModel):
    """Where a secret is: a file, an environment variable, or a key of a Kubernetes Secret. Exactly one of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: AnchoredPath | None = None
    env: str | None = None
    secret: str | None = None
    key: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _never_a_value(cls, given: Any) -> Any:
        if isinstance(given, (dict, SecretRef)):
            return given
        raise ValueError(f"a secret is never written here; {HOW}")

    @model_validator(mode="after")
    def _exactly_one(self) -> SecretRef:
        places = [place for place in (self.file, self.env, self.secret) if place is not None]
        if len(places) != 1 or (self.key is not None) != (self.secret is not None):
            raise ValueError(HOW)
        if self.env == "" or self.key == "" or (self.secret is not None and not all(_split(self.secret))):
            raise ValueError(HOW)
        return self

    def __str__(self) -> str:
        """The place, for messages."""
        if self.file is not None:
            return f"file {self.file}"
        if self.env is not None:
            return f"variable {self.env}"
        return f"key {self.key} of Secret {self.secret}"


def resolve(ref: SecretRef, masker: Masker, read_secret: ReadSecret | None = None) -> str:
    """The value that the reference names, without the line end that editors leave; registered with the masker.

    Args:
        ref: where the value is.
        masker: told of the value before anybody else sees it.
        read_secret: reads Kubernetes Secrets; without it such references are refused.

    Raises:
        Misused: ``secret-unreadable``: there is none, it is empty, or it is not text.
    """
    try:
        raw = _read(ref, read_secret)
        value = raw.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise _unreadable(ref, "it is not UTF-8 text") from None
    except OSError as error:
        raise _unreadable(ref, error.strerror or type(error).__name__) from None
    if not value:
        raise _unreadable(ref, "it is empty or not set")
    masker.register(value)
    return value


def _read(ref: SecretRef, read_secret: ReadSecret | None) -> bytes:
    if ref.file is not None:
        return ref.file.read_bytes()
    if ref.env is not None:
        return os.environ.get(ref.env, "").encode()
    if ref.secret is None or ref.key is None or read_secret is None:
        raise _unreadable(ref, "Kubernetes Secrets cannot be read here")
    namespace, name = _split(ref.secret)
    return read_secret(namespace, name, ref.key)


def _split(secret: str) -> tuple[str, str]:
    namespace, _, name = secret.partition("/")
    return namespace, "" if "/" in name else name


def _unreadable(ref: SecretRef, why: str) -> Misused:
    return Misused(
        "secret-unreadable",
        f"The secret in {ref} could not be read: {why}",
        "See that it exists, holds the value, and may be read by the user that runs this command.",
    )
