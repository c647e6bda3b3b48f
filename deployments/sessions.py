"""What a command works with: the configuration, and the session with the cluster."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from cluster.api import Api
    from cluster.config import Settings

# A person waits at the terminal: an API server that is gone is said soon. Long waits have their own patience.
_PATIENCE_SECONDS = 5.0


class Session(NamedTuple):
    """The configuration, and the session with the cluster."""

    settings: Settings
    api: Api

    def standing(self, node: str) -> tuple[str, ...] | None:
        """What stands because of the open downtime of a node; None: nobody can say now. Never raises."""
        from cluster.errors import DowntimeError
        from cluster.records import Records

        try:
            record = Records(self.api.with_patience(0)).open_of(node)
        except DowntimeError:
            return None
        return record.standing() if record is not None else ()


def open_session(config: Path | None, *, patience: float = _PATIENCE_SECONDS) -> Session:
    """Load the configuration and open a session with the cluster that it names, whichever that is.

    Args:
        patience: seconds for which an API server that is gone is tried again.

    Raises:
        Misused: the configuration or the kubeconfig cannot be used.
    """
    from cluster import api
    from cluster import config as configuration

    settings = configuration.load(config)
    return Session(settings, api.connect(settings.cluster, patience))


def open_right_session(config: Path | None, *, patience: float = _PATIENCE_SECONDS) -> Session:
    """The same, and make sure that it is the configured cluster.

    Raises:
        Misused: it is another cluster.
        Blocked: the API server cannot be asked.
    """
    from cluster.downtime import require_cluster

    session = open_session(config, patience=patience)
    require_cluster(session.api, session.settings)
    return session
