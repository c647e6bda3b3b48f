"""What is lost with a node that goes for good: volumes that lie on it alone, and pods that can run nowhere else."""

from __future__ import annotations

from typing import Any

from cluster.api import Api
from cluster.observation import Observation


def of(api: Api, seen: Observation) -> dict[str, Any]:
    """The fields of the observation that tell it."""
    return {}
