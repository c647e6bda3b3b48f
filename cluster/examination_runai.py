"""Whether Run:ai's REST API is reached, takes the credentials, and shows workloads. Nothing is suspended."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from cluster import runai_api
from cluster.api import Api
from cluster.config import Settings
from cluster.errors import DowntimeError
from cluster.runai_config import is_loopback
from cluster.verdict import Line

_CHECK = "runai api"
# Somebody waits at the terminal.
_PATIENCE_SECONDS = 5.0


def lines(api: Api, settings: Settings) -> Iterator[Line]:
    """The line of the API, if it is configured."""
    found = settings.runai
    if found is None:
        return
    quick = found.model_copy(update={"patience": min(found.patience, _PATIENCE_SECONDS)})
    try:
        with runai_api.opened(api, settings.model_copy(update={"runai": quick})) as rest:
            rest.see()
    except DowntimeError as error:
        yield Line(level="FAILED", check=_CHECK, reason=error.message, remedy=error.remedy)
        return
    reason = (
        f"{found.url} gives {found.client_id} a token and shows workloads; whether it may suspend is seen only then"
    )
    if urlsplit(found.url).scheme == "http" and not is_loopback(urlsplit(found.url).hostname or ""):
        yield Line(
            level="WARN",
            check=_CHECK,
            reason=f"{reason}. Secret and token go there in the clear",
            remedy="Write url with https under [runai], and take allow_http out.",
        )
        return
    yield Line(level="PASS", check=_CHECK, reason=reason)
