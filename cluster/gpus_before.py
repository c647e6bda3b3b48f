"""What is written down of a node's GPUs before anything is changed: what tells later whether they are well.

How many can be allocated does not tell which one is missing, nor whether what serves them is back.
"""

from __future__ import annotations

from cluster import gpu_daemons, host_gpus, node
from cluster.api import Api, Object
from cluster.config import Settings
from cluster.errors import DowntimeError
from cluster.nvidia_smi import Device
from cluster.record import Found


def of(api: Api, settings: Settings, found_node: Object, found: Found) -> Found:
    """What was found of a node that is up, with the DaemonSets that have a Ready pod there, and the machine's GPUs.

    One without GPUs stays as it is.

    Raises:
        DowntimeError: the API server cannot be reached, or forbids to look.
    """
    if not any(found.gpus.values()):
        return found
    pods = api.list("/api/v1/pods", fields=f"spec.nodeName={node.name(found_node)}")
    devices = _devices(api, settings, found_node)
    return found.model_copy(update={"daemons": gpu_daemons.ready(pods), "devices": devices})


def _devices(api: Api, settings: Settings, found_node: Object) -> tuple[Device, ...]:
    """None, where the machine has no ``nvidia-smi`` or does not tell: what is lost is then counted, and not named."""
    if not (host_gpus.possible(settings) and settings.checks.gpu_count and node.ready(found_node)):
        return ()
    try:
        listing = host_gpus.look(api, settings, found_node, log=False).listing
    except DowntimeError:
        return ()
    return listing.devices if listing is not None else ()
