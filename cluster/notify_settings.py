"""``[notify]``: through what the owners of interactive work are told that its node goes down."""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict, PositiveFloat, field_validator

from cluster.secret_refs import SecretRef

# A type and a name, as Prefect writes them: https://docs.prefect.io/v3/concepts/blocks
_BLOCK = re.compile(r"[a-z0-9-]+/[a-z0-9-]+")


class NotifySettings(BaseModel):
    """``[notify]``: who is told. Nothing is known of people but what these ways lead to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    urls: list[SecretRef] = []
    """Where apprise URLs are, one a line. They hold tokens, so they are never written here."""
    blocks: list[str] = []
    """Prefect's notification blocks, as ``type/name``: "slack-webhook/ops". Their secrets are Prefect's matter."""
    send_seconds: PositiveFloat = 20
    """How long one of them may take; all are told at once."""
    events: bool = True
    """Where a notice is given: an Event about each of the workload's pods, for ``kubectl describe pod``."""

    @field_validator("blocks")
    @classmethod
    def _blocks(cls, blocks: list[str]) -> list[str]:
        for name in blocks:
            if not _BLOCK.fullmatch(name):
                raise ValueError(f'{name!r}: write a block as "type/name", for example "slack-webhook/ops"')
        return blocks

    @property
    def any(self) -> bool:
        """Whether somebody is told at all."""
        return bool(self.urls or self.blocks)
