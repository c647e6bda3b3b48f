"""Making a plan: look at the cluster, the machine and the backup store, then let the pure planner judge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster import (
    admission,
    api_endpoint,
    crossing,
    etcd,
    forecasting,
    host_reset,
    join_observation,
    losses,
    node,
    outage,
    plan_details,
    planners,
    procedures,
    reach,
    recovery,
    taking_over,
)
from cluster.api import Api
from cluster.config import Settings
from cluster.errors import DowntimeError
from cluster.gate import Depth
from cluster.hosts import locate
from cluster.names import node_name
from cluster.observation import HostFacts, Observation, observe
from cluster.options import Options, PlannedOptions, RejoinOptions, RemoveOptions, UnplannedOptions
from cluster.plan import Finding, Plan
from cluster.power import controller
from cluster.record import DELETED, RESET, Record
from cluster.records import Records

if TYPE_CHECKING:
    from cluster.downtime import Downtime

_POWER_OFF = ("systemctl", "poweroff")


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
    seen, made = _plan(api, settings, name, options, record, depth)
    return seen, forecasting.of(api, seen, made)


def run_depth(options: Options) -> Depth:
    """How deep the recovery gate looks before a run: reading a set back would let the workloads of a dead node wait."""
    if isinstance(options, UnplannedOptions) and options.resets == 0 and options.dead_kubelet != "shut-down":
        return "sizes"
    return "checksums"


def look_again(downtime: Downtime) -> tuple[Observation, Plan]:
    """The plan of what is left of a downtime, from how things are now. The recovery gate is not judged again."""
    return _plan(downtime.api, downtime.settings, downtime.node, downtime.options, downtime.record, "sizes")


def _plan(
    api: Api, settings: Settings, name: str, options: Options, record: Record | None, depth: Depth
) -> tuple[Observation, Plan]:
    seen, made = _judged(api, settings, name, options, record, depth)
    return seen, plan_details.of(api, seen, made, settings.drain.service_namespaces)


def _judged(
    api: Api, settings: Settings, name: str, options: Options, record: Record | None, depth: Depth
) -> tuple[Observation, Plan]:
    if isinstance(options, RejoinOptions):
        return _rejoin(api, settings, name, options, record)
    begun = record is not None and not _takes_over(options, record)
    verdict = record.gate if record is not None and begun else recovery.judge(api, settings, depth)
    others = admission.others(api, name)
    # A removal that was begun may have deleted the Node already.
    gone_ok = begun and isinstance(options, RemoveOptions)
    seen = observe(api, name, settings, down=others.down, recovery=verdict, absent_ok=gone_ok)
    seen = taking_over.look(
        api, seen.model_copy(update={"designated": dict(others.designated)}), record if begun else None
    )
    if _etcd_matters(seen, options, record):
        asked = {"etcd": etcd.look(api, settings, name), "server_addresses": api_endpoint.addresses(api.server)}
        seen = seen.model_copy(update=asked)
    if isinstance(options, UnplannedOptions):
        seen = outage.look(api, settings, seen, record)
        return seen, planners.plan(seen, options, settings, record)
    if isinstance(options, RemoveOptions):
        seen = seen.model_copy(update=losses.of(api, seen))
    if _still_to_stop(options, record):
        reset = isinstance(options, RemoveOptions)
        host, power = _machine(api, settings, seen, name, host_reset.RESET if reset else _POWER_OFF)
        seen = seen.model_copy(update={"host": host, "power_status": power})
    return seen, planners.plan(seen, options, settings, record)


def _etcd_matters(seen: Observation, options: Options, record: Record | None) -> bool:
    """Whether a control-plane node is still to go down, or what is left of etcd is to be told."""
    if seen.node is None or node.kind(seen.node) != "control-plane":
        return False
    # Of an only one it is clear, and asking takes seconds.
    if not any(one.kind == "control-plane" and one.name != seen.node_name for one in seen.nodes):
        return False
    if isinstance(options, RemoveOptions):
        return _still_to_stop(options, record)
    return record is None or bool({"taint", "shut-down"} & set(procedures.left(record)))


def _rejoin(
    api: Api, settings: Settings, name: str, options: RejoinOptions, record: Record | None
) -> tuple[Observation, Plan]:
    seen = observe(api, name, settings, down=admission.down(api) - {name}, absent_ok=True)
    own = record if record is not None and record.procedure == "rejoin" else None
    joining = join_observation.look(api, settings, name, options, seen.node, own)
    seen = seen.model_copy(update={"joining": joining})
    return seen, planners.plan(seen, options, settings, record)


def _takes_over(options: Options, record: Record) -> bool:
    return isinstance(options, RemoveOptions) and crossing.may_take_over(record, "remove")


def _still_to_stop(options: Options, record: Record | None) -> bool:
    if isinstance(options, RemoveOptions):
        return record is None or not any(change.what in (RESET, DELETED) for change in record.changes)
    stops = options.shut_down if isinstance(options, PlannedOptions) else True
    return stops and not (record is not None and record.done("shut-down"))


def _machine(
    api: Api, settings: Settings, seen: Observation, name: str, as_root: tuple[str, ...]
) -> tuple[HostFacts, str]:
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
            if power.off_kind == "ssh" or as_root != _POWER_OFF:
                ssh.sudo_works(as_root)
            return HostFacts(reachable=True, boot_id=boot), status
    except DowntimeError as error:
        problem = Finding(code=error.code, message=error.message, remedy=error.remedy)
        return HostFacts(problem=problem), status
