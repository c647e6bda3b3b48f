"""The lock of a node: who may act now. A Lease, held by a thread that renews it.

Taken over only after it stood still for its whole duration on the taker's own monotonic clock: the clocks of two
machines are never compared. ``leaseTransitions`` counts the holders and is the epoch that fences their writes.

What cannot be fenced (SSH, power) runs inside :meth:`Lock.for_at_least`, which makes the lease itself longer than
the command may take.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from cluster import names
from cluster.api import Api, Object
from cluster.api_errors import Conflict, NotFound
from cluster.errors import Blocked, DowntimeError, LockLost
from cluster.records import ensure_namespace
from cluster.watching import until

_LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{names.NAMESPACE}/leases"
_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(frozen=True)
class Purpose:
    """What a lock is for, if it is not a node's: how its Lease is called, and what messages say.

    Attributes:
        lease: the name of the Lease.
        doing: what its holder does (``is taking a backup``).
        wait: what to do while somebody else holds it.
        again: what to do after it was lost.
    """

    lease: str
    doing: str
    wait: str
    again: str


def _of_node(node: str) -> Purpose:
    return Purpose(
        names.object_name(node),
        f"is acting on {node}",
        f"Wait until it is through, or end it there; 'downtime status {node}' shows how far it is.",
        f"'downtime status {node}' shows how far it got; 'downtime resume {node}' goes on.",
    )


class Lock:
    """The lock of one node. Acquire it, and leave it by :meth:`release`.

    Args:
        node: what is locked.
        seconds: how long the lease lives without renewal; it is renewed three times as often.
        times: so many times as long, renewed as often: where it is known that the API server will be away for a while.
        purpose: of a lock that is not a node's.
    """

    def __init__(self, api: Api, node: str, seconds: int, times: int = 1, purpose: Purpose | None = None) -> None:
        # Acquiring may wait for a server that restarts; renewing is tried again by the thread.
        self._patient = api
        # A request that hangs must leave time for another one.
        self._api = api.with_patience(0, timeout=seconds / 6)
        self._node = node
        self._purpose = purpose or _of_node(node)
        self._every = seconds / 3
        self._normal = seconds * times
        self._seconds = self._normal
        self.holder = f"{socket.gethostname()}/{os.getpid()}/{uuid.uuid4().hex[:8]}"
        self.epoch = 0
        self._expires = 0.0
        self._guard = threading.Lock()
        self._stop = threading.Event()
        self._lost = ""
        self._thread: threading.Thread | None = None

    def acquire(self, above: int = 0, patience: float = 0.0) -> None:
        """Take the lock; wait, if it has a holder, until that one is seen alive or its lease has run out.

        Args:
            above: the epoch in the node's record. The new one is greater, even if somebody deleted the Lease.
            patience: for how many seconds a holder who is alive is waited for.

        Raises:
            Blocked: ``locked``: somebody who is alive holds it.
        """
        ensure_namespace(self._patient)
        end = _now() + patience
        while True:
            lease = self._patient.get(self._path)
            # Our own: it was written, and the answer was lost.
            if lease is not None and _holder(lease) not in ("", self.holder):
                try:
                    self._see_still(lease)
                except Blocked as error:
                    if error.code != "locked" or _now() >= end:
                        raise
                    continue
            if self._take(lease, above):
                break
        self._thread = threading.Thread(target=self._renew_until_stopped, name=f"lock-{self._node}", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Be sure that the lock is still held.

        Raises:
            LockLost: it is not, or nobody can say: the lease ran out on this process's own clock.
        """
        if self._lost or _now() >= self._expires:
            raise self._loss(self._lost or "the lease ran out before it could be renewed")

    @property
    def taken(self) -> bool:
        """Whether it is known to be somebody else's: it will not come back."""
        return bool(self._lost)

    def _loss(self, why: str) -> LockLost:
        return LockLost(
            "lock-lost",
            f"The lock of {self._node} was lost ({why}); nothing more is changed",
            self._purpose.again,
        )

    @contextmanager
    def for_at_least(self, seconds: float) -> Iterator[None]:
        """Hold a lease that outlives a command of at most ``seconds``, renewed at the start and as it runs.

        Raises:
            LockLost: the lease could not be renewed: the command must not start.
        """
        self._seconds = max(self._normal, int(seconds) + 5)
        try:
            self._renew()
            self.check()
            if _now() + seconds > self._expires:
                # The renewal failed, and what is left of the old lease is shorter than the command may take.
                raise self._loss("it could not be renewed for a command that takes longer than it lasts")
            yield
        finally:
            # Shortened at once: whoever takes over from a process that dies now would wait for all of it.
            self._seconds = self._normal
            self._renew()
        self.check()

    def release(self) -> None:
        """Give the lock back, if it is still ours. Never raises: who leaves has done what he could."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(self._api.timeout * 2)
        with self._guard:
            try:
                lease = self._api.get(self._path)
                if lease is not None and self._ours(lease):
                    lease["spec"]["holderIdentity"] = ""
                    lease["spec"]["leaseDurationSeconds"] = 1
                    self._api.replace(self._path, lease)
            except DowntimeError:
                pass  # it runs out by itself
            self._expires = 0.0

    @property
    def _path(self) -> str:
        return f"{_LEASES}/{self._purpose.lease}"

    def _ours(self, lease: Object) -> bool:
        spec = lease["spec"]
        return _holder(lease) == self.holder and int(spec.get("leaseTransitions") or 0) == self.epoch

    def _see_still(self, lease: Object) -> None:
        seen = lease["metadata"]["resourceVersion"]
        duration = float(lease["spec"].get("leaseDurationSeconds") or self._normal)

        def moved(objects: dict[str, Object]) -> Object | None:
            now = next(iter(objects.values()), None)
            if now is None:
                return {"spec": {}}  # deleted: nobody holds it
            return now if now["metadata"]["resourceVersion"] != seen else None

        name = f"metadata.name={self._purpose.lease}"
        now = until(self._patient, _LEASES, moved, duration, fields=name, every=duration + 1)
        if now is None or not _holder(now):
            return
        holder = _holder(now)
        raise Blocked(
            "locked",
            f"{holder} {self._purpose.doing} at this moment; nothing was changed",
            self._purpose.wait,
        )

    def _take(self, lease: Object | None, above: int) -> bool:
        started = _now()
        try:
            if lease is None:
                self.epoch = above + 1
                self._patient.create(_LEASES, self._body())
            else:
                self.epoch = max(above, int(lease["spec"].get("leaseTransitions") or 0)) + 1
                lease["spec"] = self._body()["spec"]
                self._patient.replace(self._path, lease)
        except (Conflict, NotFound):
            return False
        self._expires = started + self._seconds
        return True

    def _body(self) -> Object:
        now = datetime.now(UTC).strftime(_TIME)
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": self._purpose.lease,
                "namespace": names.NAMESPACE,
                "labels": {names.NODE_LABEL: names.node_label(self._node)},
            },
            "spec": {
                "holderIdentity": self.holder,
                "leaseDurationSeconds": self._seconds,
                "leaseTransitions": self.epoch,
                "acquireTime": now,
                "renewTime": now,
            },
        }

    def _renew_until_stopped(self) -> None:
        while not self._stop.wait(self._every):
            self._renew()
            if self._lost:
                return

    def _renew(self) -> None:
        with self._guard:
            if self._stop.is_set() or self._lost:
                return
            # Also when it ran out, as it does while an API server restarts. Whoever saw it stand still for its whole
            # duration takes over what he saw: one of his write and this one meets a conflict, and stops. Until it is
            # renewed, check() lets nothing be done.
            started = _now()
            try:
                lease = self._api.get(self._path)
                if lease is None or not self._ours(lease):
                    self._lost = f"taken over by {_holder(lease) or 'somebody'}" if lease else "the lease was deleted"
                    return
                lease["spec"]["renewTime"] = datetime.now(UTC).strftime(_TIME)
                lease["spec"]["leaseDurationSeconds"] = self._seconds
                self._api.replace(self._path, lease)
                self._expires = started + self._seconds
            except DowntimeError:
                return  # tried again, until somebody else is seen to hold it


def _now() -> float:
    # time.monotonic() stands still while a Linux machine sleeps, and a lease would outlive a night in a closed laptop.
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def _holder(lease: Object) -> str:
    return str(lease["spec"].get("holderIdentity") or "")


def current_holder(api: Api, node: str) -> str:
    """Who holds the lock of a node by its Lease, alive or not; empty: nobody."""
    lease = api.get(f"{_LEASES}/{names.object_name(node)}")
    return _holder(lease) if lease is not None else ""
