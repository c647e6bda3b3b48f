"""The lab's configuration, made impatient: what a test waits for on purpose lasts seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cluster import config
from cluster.config import Settings
from lab.layout import Lab

SECOND = 1 / 60
LOCK_SECONDS = 4


def settings_of(lab: Lab, *, kubeconfig: Path | None = None, **sections: dict[str, Any]) -> Settings:
    """The configuration as it is now (nodes that come later have no address in it), with values of sections changed."""
    base = config.load(lab.config)
    cluster: dict[str, Any] = {"lock_seconds": LOCK_SECONDS, "kubeconfig": kubeconfig or lab.kubeconfig}
    changes = {**sections, "cluster": {**cluster, **sections.get("cluster", {})}}
    return base.model_copy(
        update={name: getattr(base, name).model_copy(update=values) for name, values in changes.items()}
    )
