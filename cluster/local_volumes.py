"""Volumes whose data lies on one node alone: what is lost for good when that node is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class LocalVolume(BaseModel):
    """One PersistentVolume that only one node can reach."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    claim: str = Field(default="", description="namespace/name of its claim; empty: nobody claimed it.")
    owner: str = Field(default="", description="Who uses it, as far as a pod on the node tells.")
