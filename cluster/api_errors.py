"""What the API server answered when it was not what we asked for, as errors with a remedy."""

from __future__ import annotations

import json
from typing import Any

from cluster.errors import Blocked, DowntimeError, Unreachable

_NAMESPACE_ENDS = "NamespaceTerminating"


class Conflict(Blocked):
    """Somebody else changed the object in between (409), or it exists already."""


class NotFound(Blocked):
    """The object, or its kind, does not exist (404)."""


class NamespaceEnds(Blocked):
    """Nothing is created in a namespace that is being deleted (403): what is in it goes by itself."""


class Gone(Blocked):
    """A watch's resource version is too old (410): list again."""


class Busy(Blocked):
    """The server asks to come back later (429, 5xx).

    Attributes:
        said: its own words; of an eviction that is refused, with the budget that refuses it.
        retry_after: the seconds that it asks to wait; 0: it asks for none.
    """

    said = ""
    retry_after = 0.0


def from_status(status: int, text: str, method: str, path: str, retry_after: str = "") -> DowntimeError:
    """The error for an HTTP status of the API server; ``text`` is the body it sent.

    Args:
        retry_after: the header of that name.
    """
    said = _said(text)
    where = path.partition("?")[0]
    if status == 401:
        return Blocked(
            "credentials",
            "The API server does not accept these credentials: expired, revoked, or of another cluster.",
            "Log in again, or name a kubeconfig with valid credentials as [cluster] kubeconfig.",
        )
    if status == 403 and _NAMESPACE_ENDS in _reasons(text):
        return NamespaceEnds(
            "namespace-terminating",
            f"Nothing can be created at {where}, since its namespace is being deleted: {said}",
            "What is in it is deleted with it: wait for that, or see what holds it ('kubectl get namespace').",
        )
    if status == 403:
        return Blocked(
            "forbidden",
            f"The API server forbids what is needed: {said}",
            "Grant exactly that permission (docs/permissions.md has the whole list); "
            "'downtime doctor' checks every one.",
        )
    if status == 404:
        return NotFound("not-found", f"{where} does not exist: {said}", "Look whether it was deleted meanwhile.")
    if status == 409:
        return Conflict("conflict", f"{where} was changed by somebody else: {said}", "Run the same command again.")
    if status == 410:
        return Gone("gone", f"The watch of {where} is too old: {said}", "Run the same command again.")
    if status == 429 or status >= 500:
        busy = Busy(
            "api-busy",
            f"The API server cannot answer now (HTTP {status} to {method} {where}): {said}",
            "Look at the health of the control plane ('kubectl get --raw /readyz?verbose'), then run it again.",
        )
        busy.said = " ".join((said, *_causes(text)))
        # Seconds, as the API server says it; a date, which HTTP allows as well, would compare two clocks.
        busy.retry_after = float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0
        return busy
    return Blocked("api-refused", f"The API server refused {method} {where} (HTTP {status}): {said}", "See its words.")


def from_transport(error: BaseException, server: str) -> DowntimeError:
    """The error for a request that got no answer at all."""
    if isinstance(error, DowntimeError):
        return error
    reason = _reason(error)
    if "certificate" in reason.lower() and "verify" in reason.lower():
        return Blocked(
            "api-certificate",
            f"The certificate of the API server {server} cannot be verified: {reason}",
            "Is it the right cluster? The kubeconfig must hold that cluster's CA. Nothing was sent.",
        )
    return Unreachable(
        "api-unreachable",
        f"The API server {server} cannot be reached: {reason}",
        "Check the network and the control plane; then run the same command again.",
    )


def _said(text: str) -> str:
    try:
        body: Any = json.loads(text)
        return str(body["message"])[:500]
    except (ValueError, KeyError, TypeError):
        return text.strip()[:200] or "no reason given"


def _causes(text: str) -> list[str]:
    """The causes that a Status names: of a refused eviction the budget, and how many pods it needs."""
    try:
        return [str(one["message"])[:200] for one in json.loads(text)["details"]["causes"][:3]]
    except (ValueError, KeyError, TypeError):
        return []


def _reasons(text: str) -> list[str]:
    """The reasons of the causes that a Status names, as of ``NamespaceTerminatingCause`` in k8s.io/api/core/v1."""
    try:
        return [str(one.get("reason")) for one in json.loads(text)["details"]["causes"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


def _reason(error: BaseException) -> str:
    inner: Any = getattr(error, "reason", None)
    text = str(inner if inner is not None else error) or type(error).__name__
    if "Connection refused" in text:
        return "connection refused"
    if "timed out" in text.lower():
        return "no answer within the time limit"
    # The client library puts the name of the exception on a line of its own before what it says.
    return text.strip().splitlines()[-1][:200]
