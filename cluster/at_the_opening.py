"""What a downtime finds of a node when it is opened: all that the way back is measured by."""

from __future__ import annotations

from cluster import csi_plugins, formerly, service
from cluster.api import Api, Object
from cluster.config import Settings
from cluster.record import Found


def found_of(found: Object, api: Api, settings: Settings) -> Found:
    """The Node as it is, the service's health, the node plugins of volumes that a drain takes away; and whether work
    can be suspended.

    Args:
        found: the Node as the API sent it; empty: there is none.
    """
    health = service.gather(api).model_dump(mode="json")
    csi = csi_plugins.on(api, found["metadata"]["name"]) if found else ()
    return formerly.found_of(found).model_copy(
        update={"service": health, "csi": csi, "runai": settings.runai is not None}
    )
