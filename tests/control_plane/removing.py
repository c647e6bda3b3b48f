"""Permanent removal from a plain script, and what a test asks of the lab afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cluster import api as apis
from cluster import config, performing, planning
from cluster.config import Settings
from cluster.downtime import Ask, Start, enter, go_on, silent
from cluster.errors import Blocked
from cluster.options import RemoveOptions
from cluster.record import Record
from lab import power
from lab.api import Api
from lab.layout import Lab
from lab.patience import until
from lab.simulated.control import request

WHO = "tester"


def settings_of(lab: Lab, **sections: dict[str, Any]) -> Settings:
    """The configuration as it is now, made impatient, with values of sections changed."""
    base = config.load(lab.config)
    quick: dict[str, dict[str, Any]] = {
        "cluster": {"lock_seconds": 4},
        "hosts": {"connect_timeout": 1.0},
        "removal": {"away_seconds": 2.0, "reset_seconds": 10.0},
    }
    names = {*quick, *sections}
    return base.model_copy(
        update={
            name: getattr(base, name).model_copy(update={**quick.get(name, {}), **sections.get(name, {})})
            for name in names
        }
    )


def without_power(lab: Lab, **sections: dict[str, Any]) -> Settings:
    """The same, with no power controller that could be asked."""
    return settings_of(lab, power={"status": "none"}, **sections)


def options_of(node: str, **more: Any) -> RemoveOptions:
    """Through everything without a person, but for the proof that a machine is off."""
    return RemoveOptions(**{"reason": "test", "interactive": "evict", "confirmed": node, **more})


def remove(settings: Settings, node: str, ask: Ask | None = None, /, **more: Any) -> Record:
    """Plan, enter, perform; the record as it is at the end.

    Raises:
        DowntimeError: as the product does; the first blocker of the plan as ``Blocked``.
    """
    api, options = apis.connect(settings.cluster), options_of(node, **more)
    _, plan = planning.plan(api, settings, node, options, depth="checksums")
    if plan.blockers:
        first = plan.blockers[0]
        raise Blocked(first.code, first.message, first.remedy)
    with enter(api, settings, Start("remove", node, options, plan.recovery, WHO), silent, ask) as downtime:
        performing.perform_all(downtime)
        return downtime.record


def resume(settings: Settings, node: str, ask: Ask | None = None, *, abort: bool = False) -> Record:
    """Go on with an open downtime, or back out of it."""
    with go_on(apis.connect(settings.cluster), settings, node, silent, ask, abort=abort) as downtime:
        performing.perform_all(downtime)
        return downtime.record


def host(lab: Lab, node: str) -> dict[str, Any]:
    """The simulated host as it is kept: whether it is joined, whether its kubelet starts, and so on."""
    found: dict[str, Any] = json.loads(Path(lab.simulated / f"{node}.json").read_text())
    return found


def lose_power(lab: Lab, lab_api: Api, node: str) -> None:
    """Cut its power, and wait until the cluster has noticed."""
    power.power(lab, node, "off")
    see_not_ready(lab_api, node)


def see_not_ready(lab_api: Api, node: str) -> None:
    """Wait until the Node is not Ready."""

    def noticed() -> bool:
        found = lab_api.get(f"/api/v1/nodes/{node}")["status"]["conditions"]
        return any(one["type"] == "Ready" and one["status"] != "True" for one in found)

    until(noticed, seconds=90, what=f"{node} is still Ready")


def there(lab_api: Api, node: str) -> bool:
    """Whether there is a Node of that name."""
    return any(one["metadata"]["name"] == node for one in lab_api.items("/api/v1/nodes"))


def fault(lab: Lab, node: str, name: str, *, present: bool = True) -> None:
    """Set or clear a fault of a simulated host."""
    request(lab, do="fault", node=node, fault=name, present=present)
