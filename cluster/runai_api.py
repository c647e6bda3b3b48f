"""What is asked of Run:ai's REST API: pods of a node, one workload, its suspension and resumption."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar
from urllib.parse import quote

from cluster import runai_errors, runai_http, runai_workloads
from cluster.api import Api
from cluster.config import Settings
from cluster.errors import Misused
from cluster.masking import Masker
from cluster.reach import MASKER, secret_reader
from cluster.runai_errors import RunaiError
from cluster.runai_http import Around, Session
from cluster.runai_workloads import Collection, RestPod, RestWorkload
from cluster.secret_refs import resolve
from cluster.secret_text import Secret

T = TypeVar("T")
_PAGE = 500
_MOST_PAGES = 100


class RunaiApi:
    """The API, for what this product needs. Use ``opened``.

    Args:
        cluster_id: Run:ai's id of the cluster; empty: the control plane has only one.
    """

    def __init__(self, session: Session, cluster_id: str) -> None:
        self._session = session
        self._cluster_id = cluster_id

    @property
    def url(self) -> str:
        """The control plane's address, for messages."""
        return self._session.url

    def pods_on(self, node: str) -> tuple[RestPod, ...]:
        """The pods on a node that have not ended.

        Raises:
            RunaiError: as the session does, or the answer is not as documented.
        """
        filters = [("filterBy", f"nodeName=={node}")]
        if self._cluster_id:
            filters.append(("filterBy", f"clusterId=={self._cluster_id}"))
        found, path = list[RestPod](), "/api/v1/workloads/pods"
        for _ in range(_MOST_PAGES):
            # Only "full" answers name the project.
            more = [("completed", "false"), ("verbosity", "full"), ("limit", str(_PAGE)), ("offset", str(len(found)))]
            document = self._session.call("GET", path, [*filters, *more])
            page = self._understood(runai_workloads.page, document, f"GET {path}")
            # Older versions may not know the filter: what is on another node is none of ours.
            found += page.pods
            if not page.next or not page.pods:
                return tuple(one for one in found if one.node in (None, node))
        raise runai_errors.odd(self.url, f"GET {path}", f"it has more than {_MOST_PAGES} pages")

    def see(self) -> None:
        """See that workloads are shown at all.

        Raises:
            RunaiError: as ``pods_on``.
        """
        path = "/api/v1/workloads/pods"
        document = self._session.call("GET", path, [("limit", "1")])
        self._understood(runai_workloads.page, document, f"GET {path}")

    def workload(self, id_: str) -> RestWorkload | None:
        """One workload, as it is now; None: there is none (any more).

        Raises:
            RunaiError: as ``pods_on``.
        """
        path = f"/api/v1/workloads/{quote(id_, safe='')}"
        try:
            document = self._session.call("GET", path)
        except RunaiError as error:
            if error.code == "runai-not-found" and error.own:
                return None
            raise
        return self._understood(runai_workloads.workload, document, f"GET {path}")

    def suspend(self, collection: Collection, id_: str, around: Around = nullcontext) -> None:
        """Ask for a suspension. That it is accepted does not say that it is done.

        Args:
            around: each try happens inside of what this gives.

        Raises:
            RunaiError: as the session does.
        """
        self._session.call("POST", f"{_path(collection, id_)}/suspend", around=around)

    def resume(self, collection: Collection, id_: str, around: Around = nullcontext) -> None:
        """Ask for a resumption, as ``suspend``."""
        self._session.call("POST", f"{_path(collection, id_)}/resume", around=around)

    def _understood(self, read: Callable[[Any], T], document: Any, asked: str) -> T:
        try:
            return read(document)
        except ValueError as error:
            raise runai_errors.odd(self.url, asked, self._session.masked(str(error))) from None


def _path(collection: Collection, id_: str) -> str:
    return f"/api/v1/workloads/{collection}/{quote(id_, safe='')}"


@contextmanager
def opened(api: Api, settings: Settings) -> Iterator[RunaiApi]:
    """The configured API, until the end of the ``with``.

    Args:
        api: where the secret is read from, if it is in a Kubernetes Secret.

    Raises:
        Misused: it is not configured, or its secret or its certificate authorities cannot be read.
    """
    found = settings.runai
    if found is None:
        raise Misused(
            "no-runai-api",
            "Run:ai's REST API is not configured: workloads are neither suspended nor resumed",
            "Write [runai] with url, client_id and client_secret into the configuration.",
        )
    masker = Masker()
    secret = resolve(found.client_secret, MASKER, secret_reader(api))
    masker.register(secret)
    with runai_http.opened(found, Secret(secret), masker) as session:
        yield RunaiApi(session, found.cluster_id)
