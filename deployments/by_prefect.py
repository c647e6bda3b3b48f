"""Performing procedures as Prefect flows in this process: on the server of PREFECT_API_URL, else on an embedded one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cluster.downtime import Ask, Say
    from cluster.options import Options, PlannedOptions, RejoinOptions, RemoveOptions, UnplannedOptions
    from cluster.report import Report
    from deployments.sessions import Session


def run(session: Session, node: str, options: Options, say: Say, ask: Ask | None) -> Report:
    """A procedure, from the start or from where its record is.

    Raises:
        DowntimeError: as the steps do.
    """
    from cluster.options import PlannedOptions, RejoinOptions, RemoveOptions, UnplannedOptions

    with _prepared(session, say, ask):
        match options:
            case PlannedOptions():
                return _planned(node, options)
            case UnplannedOptions():
                return _unplanned(node, options)
            case RemoveOptions():
                return _remove(node, options)
            case RejoinOptions():
                return _rejoin(node, options)


def _planned(node: str, options: PlannedOptions) -> Report:
    from flows.planned_maintenance import planned_maintenance

    return planned_maintenance(
        node,
        reason=options.reason,
        interactive=options.interactive,
        shut_down=options.shut_down,
        power_on=options.power_on,
        hold=options.hold,
        eviction_minutes=options.eviction_minutes or 0,
        allow_tolerating=options.allow_tolerating,
        override_pdb=options.override_pdb,
        override_recovery_gate=options.override_recovery_gate,
        adopt_taint=options.adopt_taint,
        designate=options.designate,
        keep_designation=options.keep_designation,
        accept_outage=options.accept_outage,
    )


def _unplanned(node: str, options: UnplannedOptions) -> Report:
    from flows.unplanned_recovery import unplanned_recovery

    return unplanned_recovery(
        node,
        reason=options.reason,
        said_down=options.said_down,
        grace_seconds=options.grace_seconds,
        dead_kubelet=options.dead_kubelet,
        resets=options.resets,
        power_on=options.power_on,
        hold=options.hold,
        override_storm=options.override_storm,
        override_recovery_gate=options.override_recovery_gate,
        adopt_taint=options.adopt_taint,
        designate=options.designate,
        keep_designation=options.keep_designation,
    )


def _remove(node: str, options: RemoveOptions) -> Report:
    from flows.permanent_removal import permanent_removal

    return permanent_removal(
        node,
        confirm_node=options.confirmed,
        reason=options.reason,
        interactive=options.interactive,
        eviction_minutes=options.eviction_minutes or 0,
        allow_tolerating=options.allow_tolerating,
        override_pdb=options.override_pdb,
        override_recovery_gate=options.override_recovery_gate,
        adopt_taint=options.adopt_taint,
        designate=options.designate,
        accept_outage=options.accept_outage,
    )


def _rejoin(node: str, options: RejoinOptions) -> Report:
    from flows.rejoin import rejoin

    return rejoin(
        node,
        host=options.host,
        role=options.role,
        confirm_node=options.confirmed,
        reason=options.reason,
    )


def go_on(session: Session, node: str, say: Say, ask: Ask | None, *, abort: bool) -> Report:
    """Go on with the open downtime of a node, or back out of it.

    Raises:
        DowntimeError: as the steps do.
    """
    with _prepared(session, say, ask):
        if abort:
            from flows.abort_downtime import abort_downtime

            return abort_downtime(node)
        from flows.resume_downtime import resume_downtime

        return resume_downtime(node)


@contextmanager
def _prepared(session: Session, say: Say, ask: Ask | None) -> Iterator[None]:
    # Flows find the configuration by themselves, as they do when they are served.
    os.environ["DOWNTIME_CONFIG"] = str(session.settings.source)
    # A refusal is said in a sentence at the end; Prefect would print its traceback as well. Its server keeps all.
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    # Its own 20 s are too few for the very first start on a busy machine: that one makes the database.
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")
    where = os.environ.get("PREFECT_API_URL")
    say("prefect", f"the run is kept on {where}" if where else "starting the embedded API (some seconds)")
    from tasks.terminal import TERMINAL, Terminal

    token = TERMINAL.set(Terminal(say, ask))
    try:
        yield
    except RuntimeError as error:
        if "ephemeral Prefect API" not in str(error):
            raise
        from cluster.errors import Blocked

        remedy = "'--local' does the same without Prefect; or start a server, and set PREFECT_API_URL."
        raise Blocked("no-embedded-api", "Prefect's embedded API did not start", remedy) from None
    finally:
        TERMINAL.reset(token)
