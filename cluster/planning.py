"""Making a plan: look at the cluster, the machine and the backup store, then let the pure planner judge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster import admission, join_observation, node, planners, reach, recovery
from cluster.api import Api
from cluster.config import Settings
from cluster.errors import DowntimeError
from cluster.gate import Depth
from cluster.hosts import locate
from cluster.names import node_name
from cluster.observation import HostFacts, Observation, observe
from cluster.options import Options, PlannedOptions, RejoinOptions
from cluster.plan import Finding, Plan
from cluster.power import controller
from cluster.record import Record
from cluster.records import Records

if TYPE_CHECKING:
    from cluster.downtime import Downtime


def plan(
    api: Api, settings: Settings, name: str, options: Options, *, depth: Depth = "sizes"
) -> tuple[Observation, Plan]:
    """The plan of a procedure for a node, and what it was made from. Changes nothing.

    Args:
        depth: how deep the recovery gate looks: ``checksums`` before a run, ``sizes`` for a plan.

    Raises:
        Blocked: the node does not exist, or the cluster cannot be looked at.
    """
    record = Records(api).open_of(node_name(name))
    return _plan(api, settings, name, options, record, depth)


def look_again(downtime: Downtime) -> tuple[Observation, Plan]:
    """The plan of what is left of a downtime, from how things are now. The recovery gate is not judged again."""
    return _plan(downtime.api, downtime.settings, downtime.node, downtime.options, downtime.record, "sizes")


def _plan(
    api: Api, settings: Settings, name: str, options: Options, record: Record | None, depth: Depth
) -> tuple[Observation, Plan]:
    if isinstance(options, RejoinOptions):
        return _rejoin(api, settings, name, options, record)
    verdict = recovery.judge(api, settings, depth) if record is None else record.gate
    seen = observe(api, name, settings, down=admission.down(api) - {name}, recovery=verdict)
    still_to_stop = _stops_machine(options) and not (record is not None and record.done("shut-down"))
    if still_to_stop:
        host, power = _machine(api, settings, seen, name)
        seen = seen.model_copy(update={"host": host, "power_status": power})
    return seen, planners.plan(seen, options, settings, record)


def _rejoin(
    api: Api, settings: Settings, name: str, options: RejoinOptions, record: Record | None
) -> tuple[Observation, Plan]:
    seen = observe(api, name, settings, down=admission.down(api) - {name}, absent_ok=True)
    own = record if record is not None and record.procedure == "rejoin" else None
    joining = join_observation.look(api, settings, name, options, seen.node, own)
    seen = seen.model_copy(update={"joining": joining})
    return seen, planners.plan(seen, options, settings, record)


def _stops_machine(options: Options) -> bool:
    return options.shut_down if isinstance(options, PlannedOptions) else True


def _machine(api: Api, settings: Settings, seen: Observation, name: str) -> tuple[HostFacts, str]:
    """What the machine says of itself, and what its power controller says; each without the other, if need be."""
    status = "unknown"
    try:
        where = locate(settings.hosts, name, node.address(seen.node or {}))
        power = controller(settings.power, reach.MASKER)
        status = "none" if power.status_kind == "none" else power.status(where).state
        if status == "off":
            return HostFacts(), status
        with reach.session(api, settings, where) as ssh:
            boot = ssh.boot_id()
            if power.off_kind == "ssh":
                ssh.sudo_works()
            return HostFacts(reachable=True, boot_id=boot), status
    except DowntimeError as error:
        problem = Finding(code=error.code, message=error.message, remedy=error.remedy)
        return HostFacts(problem=problem), status
