"""What a backup ends with: the set that was taken, what the gate says of it, and what was removed."""

from __future__ import annotations

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from cluster.verdict import Verdict


class TakenPart(BaseModel):
    """One part of the set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field(description="Its kind and name.")
    path: str | None = Field(default=None, description="The file in the set; none: somebody else's backup is declared.")
    bytes: int | None = Field(default=None, description="The size of the file.")
    clear_bytes: int | None = Field(default=None, description="The size of what is in it.")
    encrypted: bool = False
    declared: str = Field(default="", description="Where that other backup is.")


class BackupReport(BaseModel):
    """A backup set that was taken, read back and found good."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    set: str = Field(description="The id of the set: its folder in the store.")
    store: str
    cluster: str = Field(description="uid of the cluster that it is of.")
    by: str
    began: AwareDatetime
    finished: AwareDatetime
    bytes: int = Field(description="Of all files together.")
    recipients: tuple[str, ...] = Field(default=(), description="Whom it is encrypted for; none: it is in the clear.")
    parts: tuple[TakenPart, ...]
    check: Verdict = Field(description="What the recovery gate says of it, all files read back.")
    warnings: tuple[str, ...] = ()
    removed: tuple[str, ...] = Field(default=(), description="Older sets that are not kept any more.")
