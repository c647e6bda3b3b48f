"""Performing procedures as Prefect flows in this process: on the server of PREFECT_API_URL, else on an embedded one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prefect import Flow

    from cluster.downtime import Ask, Say
    from cluster.options import Options
    from cluster.report import Report
    from deployments.sessions import Session


def run(session: Session, node: str, options: Options, say: Say, ask: Ask | None) -> Report:
    """A procedure, from the start or from where its record is.

    Raises:
        DowntimeError: as the steps do.
    """
    with _prepared(session, say, ask):
        done: Report = flow_of(options)(node, **parameters(options))
        return done


def flow_of(options: Options) -> Flow[..., Any]:
    """The flow of the procedure that these are the options of."""
    from cluster.options import PlannedOptions, RejoinOptions, RemoveOptions, UnplannedOptions

    match options:
        case PlannedOptions():
            from flows.planned_maintenance import planned_maintenance

            return planned_maintenance
        case UnplannedOptions():
            from flows.unplanned_recovery import unplanned_recovery

            return unplanned_recovery
        case RemoveOptions():
            from flows.permanent_removal import permanent_removal

            return permanent_removal
        case RejoinOptions():
            from flows.rejoin import rejoin

            return rejoin


def parameters(options: Options) -> dict[str, Any]:
    """The parameters of a flow that mean these options: of the same name, but for what a form can't say so."""
    chosen = options.model_dump()
    if "confirmed" in chosen:
        chosen["confirm_node"] = chosen.pop("confirmed")
    if "eviction_minutes" in chosen:
        chosen["eviction_minutes"] = chosen["eviction_minutes"] or 0
    if "notice_minutes" in chosen and chosen["notice_minutes"] is None:
        chosen["notice_minutes"] = -1
    return chosen


def go_on(session: Session, node: str, say: Say, ask: Ask | None, *, abort: bool) -> Report:
    """Go on with the open downtime of a node, or back out of it.

    Who resumes says that the work on the machine is done, if that is waited for; at a terminal they are asked.

    Raises:
        DowntimeError: as the steps do.
    """
    with _prepared(session, say, ask):
        if abort:
            from flows.abort_downtime import abort_downtime

            return abort_downtime(node)
        from flows.resume_downtime import resume_downtime

        return resume_downtime(node, work_done=ask is None)


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
