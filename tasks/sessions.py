"""The configuration and the session with the cluster, opened once in a process."""

from functools import cache

from cluster import api as cluster_api
from cluster import config
from cluster.api import Api
from cluster.config import Settings


@cache
def settings() -> Settings:
    """The configuration.

    Raises:
        Misused: it is missing or malformed.
    """
    return config.load()


@cache
def api() -> Api:
    """The session with the configured cluster."""
    return cluster_api.connect(settings().cluster)
