"""Whether the ways by which owners are told can be used. Nobody is told anything."""

from __future__ import annotations

from collections.abc import Iterator

from cluster import notifiers
from cluster.api import Api
from cluster.config import Settings
from cluster.verdict import Line

_CHECK = "notify"


def lines(api: Api, settings: Settings) -> Iterator[Line]:
    """A line for each way, if some are configured. One that fails stops no downtime."""
    usable, failed = notifiers.of(api, settings.notify.model_copy(update={"blocks": []}))
    for one in usable:
        reason = "apprise knows this kind of URL; whether it is taken there is seen only when somebody is told"
        yield Line(level="PASS", check=f"{_CHECK} {one.name}", reason=reason)
    for why in failed:
        remedy = "Correct [notify]: until then the owners of interactive work are not told by this way."
        yield Line(level="WARN", check=_CHECK, reason=why, remedy=remedy)
    for name in settings.notify.blocks:
        yield Line(level="PASS", check=f"{_CHECK} block {name}", reason="it is loaded only when somebody is told")
