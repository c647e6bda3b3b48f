"""What a CSI driver and a kubelet do for volumes, for simulated nodes: the real controllers wait for both.

The attach-detach controller makes and deletes the VolumeAttachments, and a driver's external attacher says when one is
attached. A kubelet reports the volumes that it uses (``volumesInUse``): only because of that a volume of a dead node
stays attached until the out-of-service taint, or until six minutes after its pod is gone.
"""

from __future__ import annotations

import threading

from bench.work import DRIVER
from lab.api import Api, ApiError

ATTACHMENTS = "/apis/storage.k8s.io/v1/volumeattachments"
MANAGED = {"volumes.kubernetes.io/controller-managed-attach-detach": "true"}
_PAUSE = 0.25


class Attacher:
    """Attaches what is asked for, and keeps in mind which volume is attached where (volume name to node)."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._ended = threading.Event()
        self.attached: dict[str, str] = {}
        self._thread = threading.Thread(target=self._run, daemon=True)

    def prepare(self, node: str) -> None:
        """Let the controller attach volumes to a simulated node, as a kubelet asks for when it registers."""
        self._api.patch(f"/api/v1/nodes/{node}", {"metadata": {"annotations": MANAGED}})

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def _run(self) -> None:
        while not self._ended.wait(_PAUSE):
            try:
                self._look()
            except ApiError:
                continue

    def _look(self) -> None:
        seen: dict[str, str] = {}
        for one in self._api.items(ATTACHMENTS):
            node, volume = one["spec"]["nodeName"], one["spec"]["source"]["persistentVolumeName"]
            if not one.get("status", {}).get("attached"):
                path = f"{ATTACHMENTS}/{one['metadata']['name']}/status"
                self._api.patch(path, {"status": {"attached": True}})
            seen[volume] = node
        for volume, node in seen.items():
            if self.attached.get(volume) != node:
                self._in_use(node, [name for name, where in seen.items() if where == node])
        self.attached = seen

    def _in_use(self, node: str, volumes: list[str]) -> None:
        """What the kubelet of a node that just got a volume would report."""
        names = [f"kubernetes.io/csi/{DRIVER}^{volume.removeprefix('pv-')}" for volume in volumes]
        self._api.patch(f"/api/v1/nodes/{node}/status", {"status": {"volumesInUse": names}})
