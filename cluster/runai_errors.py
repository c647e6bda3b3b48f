"""What goes wrong with Run:ai's REST API, in its own words and with a remedy, without token and secret."""

from __future__ import annotations

import json
from typing import Any

from cluster.errors import Blocked
from cluster.showing import shown

_AGAIN = "Then run the same command again: 'downtime resume' goes on where it is."


class RunaiError(Blocked):
    """Run:ai's REST API refused, failed, or was not reached.

    Attributes:
        status: the HTTP status; 0: there was no answer (that could be read).
        own: it is the API that says so, in its own form, and not something before it (an ingress without a route).
    """

    status = 0
    own = False

    @property
    def certain(self) -> bool:
        """Whether what was asked for has surely not been done: the API itself refused it."""
        return 400 <= self.status < 500 and self.status != 408 and (self.own or self.status != 404)

    @property
    def for_all(self) -> bool:
        """Whether the next request would meet the same, perhaps after long: it is not about one workload."""
        return self.code != "runai-answer" and self._lasts

    @property
    def _lasts(self) -> bool:
        return self.status in (0, 401, 429) or self.status >= 500 or (self.status == 404 and not self.own)


def said(text: str) -> str:
    """The API's words: ``message (code N): details``, else the beginning of what it sent."""
    try:
        body: Any = json.loads(text)
        message = str(body["message"])
    except (ValueError, KeyError, TypeError):
        return shown(text.strip(), 200) or "it gave no reason"
    code = f" (code {body['code']})" if body.get("code") is not None else ""
    details = f": {body['details']}" if body.get("details") else ""
    return shown(f"{message}{code}{details}", 600)


def is_own(text: str) -> bool:
    """Whether an error is in the API's own form: a JSON document with its code and message."""
    try:
        body: Any = json.loads(text)
    except ValueError:
        return False
    return isinstance(body, dict) and "code" in body and "message" in body


def refused(status: int, words: str, asked: str, url: str, *, own: bool = True) -> RunaiError:
    """The error for an HTTP status.

    Args:
        words: as ``said`` tells them.
        asked: method and path.
        own: as ``is_own`` tells.
    """
    if status == 401:
        error = RunaiError(
            "runai-credentials",
            f"Run:ai's API at {url} does not accept the token that it gave itself ({asked}): {words}",
            "See that the service account (or application) of [runai] is enabled and has a role. " + _AGAIN,
        )
    elif status == 403:
        error = RunaiError(
            "runai-forbidden",
            f"Run:ai's API at {url} forbids {asked}: {words}",
            "Give the service account (or application) of [runai] a role that may see, suspend and resume workloads "
            "of all projects (docs/permissions.md). " + _AGAIN,
        )
    elif status == 404:
        error = RunaiError(
            "runai-not-found",
            f"Run:ai's API at {url} does not know what {asked} asks for: {words}",
            "See whether [runai] url is the control plane's, and whether the workload was deleted meanwhile.",
        )
    elif status == 429 or status >= 500:
        error = RunaiError(
            "runai-busy",
            f"Run:ai's API at {url} cannot answer now (HTTP {status} to {asked}): {words}",
            "Look at the health of Run:ai's control plane (pods in runai-backend). " + _AGAIN,
        )
    else:
        error = RunaiError(
            "runai-refused",
            f"Run:ai's API at {url} refused {asked} (HTTP {status}): {words}",
            "See its words; the Run:ai UI shows the workload.",
        )
    error.status, error.own = status, own
    return error


def login_refused(status: int, words: str, who: str, where: str, url: str) -> RunaiError:
    """The error when no token was given.

    Args:
        who: the client id.
        where: the place of the secret.
    """
    error = RunaiError(
        "runai-login",
        f"Run:ai's API at {url} gives {shown(who)} no token (HTTP {status}): {words}",
        f"See that client_id and grant under [runai] are right, and that its secret ({where}) is the present one. "
        + _AGAIN,
    )
    error.status = status
    return error


def unreachable(url: str, why: str) -> RunaiError:
    """The error for a request without an answer."""
    return RunaiError(
        "runai-unreachable",
        f"Run:ai's API at {url} cannot be reached: {why}",
        "Check the network, [runai] url, and Run:ai's control plane (it may run on the node that is down). " + _AGAIN,
    )


def untrusted(url: str, why: str) -> RunaiError:
    """The error for a certificate that nothing vouches for."""
    return RunaiError(
        "runai-certificate",
        f"The certificate of Run:ai's API at {url} cannot be verified: {why}. Nothing was sent",
        "Is it the right server? Name the authority that signed its certificate as ca_file under [runai].",
    )


def odd(url: str, asked: str, why: str) -> RunaiError:
    """The error for an answer that is not as documented."""
    return RunaiError(
        "runai-answer",
        f"Run:ai's API at {url} answered {asked} not as it is documented: {why}",
        "See whether [runai] url is the control plane's own address (and no portal or proxy before it), and which "
        "version it is.",
    )
