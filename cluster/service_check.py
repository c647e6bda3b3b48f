"""The Run:ai service after a downtime: no worse than it was before, or the downtime is not over."""

from __future__ import annotations

from cluster import daemons_elsewhere, probing, service
from cluster.downtime import Downtime
from cluster.errors import Failed
from cluster.service import ServiceHealth
from cluster.step import Seen, Step

# Pods of the service may just be moving back: they get as long as an image pull and a start need.
_SECONDS = 300.0


def _as_before(downtime: Downtime) -> Seen | None:
    found, elsewhere = _look(downtime)
    return None if found else Seen("; but ".join(["the Run:ai service is no worse than before", *elsewhere]))


def _look(downtime: Downtime) -> tuple[list[str], list[str]]:
    """What is worse than before, and what is worse only because of other nodes."""
    before, after = _before(downtime), service.gather(downtime.api)
    elsewhere = daemons_elsewhere.of(downtime.api, downtime.node, before, after)
    return service.worse(before, after, elsewhere), sorted(elsewhere.values())


def _before(downtime: Downtime) -> ServiceHealth:
    return ServiceHealth.model_validate(downtime.record.found.service)


def _see_as_before(downtime: Downtime) -> Seen:
    seen = probing.probe(lambda: _as_before(downtime), _SECONDS, first=1.0)
    if seen is not None:
        return seen
    found, _ = _look(downtime)
    raise Failed(
        "service-worse",
        f"{downtime.node} is back in service, but the Run:ai service is worse than before: {'; '.join(found)}",
        f"See to these; then 'downtime resume {downtime.node}' looks again and closes the record.",
    )


SEE_SERVICE = Step("see-service", _as_before, _see_as_before, during="returning")
