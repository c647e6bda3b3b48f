"""The ways by which people are told something: apprise URLs, and (inside a Prefect run) Prefect's notification blocks.

A way that fails is named with its reason, and stops nothing. URLs hold tokens: the whole and its parts are masked in
every text of this process before the first of them is used.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from cluster.api import Api
from cluster.errors import DowntimeError
from cluster.notify_settings import NotifySettings
from cluster.reach import MASKER, secret_reader
from cluster.secret_refs import SecretRef, resolve
from cluster.watched import SilentError, watched

BLOCKS: ContextVar[Callable[[str, str, str], None] | None] = ContextVar("blocks", default=None)
"""Sends through a Prefect block: its name, subject, text. None: this run has no Prefect."""

# Shorter parts of a URL are words (a path, a flag), and no tokens: masking them would hide half of any text.
_SHORTEST_TOKEN = 8
_LONGEST_REASON = 300


class NotTold(Exception):
    """A notification that was not sent; its text says why."""


@dataclass(frozen=True)
class Notifier:
    """One way. ``send`` takes subject and text, and raises NotTold."""

    name: str
    send: Callable[[str, str], None]


class Outcome(NamedTuple):
    """By which ways it was told, and by which it was not, each with the reason."""

    told: tuple[str, ...]
    failed: tuple[str, ...]


def of(api: Api, settings: NotifySettings) -> tuple[list[Notifier], list[str]]:
    """The ways that are configured; and those that cannot be used, each with the reason."""
    found: list[Notifier] = []
    failed: list[str] = []
    for ref in settings.urls:
        try:
            urls = _urls(api, ref)
        except DowntimeError as error:
            failed.append(f"apprise ({ref}): {MASKER.mask(error.message)}")
            continue
        for number, url in enumerate(urls, 1):
            try:
                found.append(_by_apprise(ref, number, url))
            except NotTold as error:
                failed.append(str(error))
        if not urls:
            failed.append(f"apprise ({ref}): there is no URL")
    by_block = BLOCKS.get()
    for name in settings.blocks:
        if by_block is None:
            failed.append(f"block {name}: this run goes without Prefect, which has the block")
        else:
            found.append(_by_block(name, by_block))
    return found, failed


def send_all(notifiers: Sequence[Notifier], subject: str, body: str, seconds: float) -> Outcome:
    """Tell by all ways at once, each for at most so many seconds."""
    if not notifiers:
        return Outcome((), ())
    with ThreadPoolExecutor(len(notifiers), "notify") as threads:
        reasons = list(threads.map(lambda one: _send(one, subject, body, seconds), notifiers))
    ended = list(zip(notifiers, reasons, strict=True))
    return Outcome(
        tuple(one.name for one, why in ended if not why), tuple(f"{one.name}: {why}" for one, why in ended if why)
    )


def _send(notifier: Notifier, subject: str, body: str, seconds: float) -> str:
    """Why it was not told by this way; empty: it was."""
    try:
        watched(lambda _: notifier.send(subject, body), seconds, seconds)
    except SilentError:
        return f"no answer within {seconds:g} s"
    except Exception as error:  # noqa: BLE001 - whatever a notifier does, the downtime goes on, and it is said
        text = " ".join(str(error).split()) or type(error).__name__
        return MASKER.mask(text)[:_LONGEST_REASON]
    return ""


def _urls(api: Api, ref: SecretRef) -> list[str]:
    lines = [line.strip() for line in resolve(ref, MASKER, secret_reader(api)).splitlines()]
    found = [line for line in lines if line and not line.startswith("#")]
    for url in found:
        hide(url)
    return found


def hide(secret: str) -> None:
    """Mask a URL (or another secret) and what of it may be one by itself, from now on."""
    for part in secret_parts(secret):
        MASKER.register(part)


def secret_parts(url: str) -> set[str]:
    """The URL, and what of it may be a token: services have theirs in the user, the host, the path or the query."""
    parts = {url, url.partition("://")[2]}
    try:
        split = urlsplit(url)
    except ValueError:
        return parts
    place = split.netloc.rpartition("@")[2]
    host, _, port = place.partition(":")
    words = [*split.path.split("/"), *(value for _, value in parse_qsl(split.query)), split.username or ""]
    # A host with a dot in it is one; without, it may be the id of a bot or of a webhook.
    words += [host] if "." not in host else []
    words += [place, port] if port and not port.isdigit() else []
    tokens = {word for word in words if len(word) >= _SHORTEST_TOKEN} | {split.password or ""}
    return {one for one in parts | tokens | {unquote(token) for token in tokens} if one}


def _by_apprise(ref: SecretRef, number: int, url: str) -> Notifier:
    kind = url.partition("://")[0] if "://" in url else "apprise"
    place = f"{ref}, line {number}" if number > 1 else str(ref)

    name = f"{kind[:20]} ({place})"
    import apprise

    asset = apprise.AppriseAsset(app_id="downtime", async_mode=False, plugin_paths=[])
    with _Said():
        plugin = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
    if plugin is None or isinstance(plugin, dict):
        raise NotTold(f"{name}: apprise does not know this kind of URL, or it is incomplete")

    def send(subject: str, body: str) -> None:
        with _Said() as said:
            if not plugin.notify(body=body, title=subject):
                raise NotTold("; ".join(said.lines) or "it was refused, without a reason")

    return Notifier(name, send)


def _by_block(name: str, by_block: Callable[[str, str, str], None]) -> Notifier:
    return Notifier(f"block {name}", lambda subject, body: by_block(name, subject, body))


class _Said(logging.Handler):
    """What apprise complains about in this thread. It has no other way to say why something was not sent."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []
        self._thread = threading.get_ident()
        self._logger = logging.getLogger("apprise")

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.lines.append(record.getMessage())

    def __enter__(self) -> _Said:
        # Nothing of it reaches anybody unmasked.
        self._logger.propagate = False
        self._logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)
