"""What is seen of a node that is down, beyond what every procedure looks at. Plain values."""

from __future__ import annotations

from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from cluster.ssh_probe import State

ANSWERS = "the machine answers over SSH"
"""What the record says of a step that waits while it is not off."""


class OutageFacts(BaseModel):
    """The node's signs of life, and those of the cluster around it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    last_renewal: AwareDatetime | None = Field(default=None, description="Of the node's lease; None: there is none.")
    lease_seconds: float = Field(default=40, description="How long that lease lives without renewal.")
    ssh: State = Field(default="unknown", description="What is at the SSH port of the node's machine.")
    api_ready: bool | None = Field(default=None, description="What /readyz says; None: it could not be asked.")
    answering: int = Field(default=0, description="Of the hosts without a record that are not ready: how many answer.")
    asked: int = Field(default=0, description="How many of those were asked.")
    returns: tuple[datetime, ...] = Field(default=(), description="When it came back from earlier failures.")
    attachments: tuple[str, ...] = Field(default=(), description="VolumeAttachments to the node.")

    def silent_for(self, now: datetime) -> float:
        """Seconds since the last renewal of its lease; without a lease for ever."""
        return float("inf") if self.last_renewal is None else max(0.0, (now - self.last_renewal).total_seconds())
