"""Serving the flows: what the Prefect UI, schedules and the REST API can start.

Flows run in child processes that are started with the current folder on ``sys.path``. A foreign ``tasks.py`` there
would be imported instead of ours, so serving moves into an empty folder of its own, and flows are named by module.
"""

import os
import tempfile
from pathlib import Path
from typing import Any

from prefect import serve as prefect_serve
from prefect.deployments.runner import RunnerDeployment
from prefect.flows import Flow
from prefect.schedules import Cron
from prefect.types.entrypoint import EntrypointType
from pydantic import BaseModel

from cluster import config
from cluster.options import PlannedOptions, RejoinOptions, RemoveOptions, UnplannedOptions
from deployments import parameter_forms
from flows.abort_downtime import abort_downtime
from flows.permanent_removal import permanent_removal
from flows.planned_maintenance import planned_maintenance
from flows.recovery_backup import recovery_backup
from flows.recovery_check import recovery_check
from flows.recovery_rehearsal import recovery_rehearsal
from flows.rejoin import rejoin
from flows.resume_downtime import resume_downtime
from flows.unplanned_recovery import unplanned_recovery

# Sunday night; paused, and for no node: whoever wants it names the node and switches it on.
_WEEKLY = Cron(
    "0 3 * * 0",
    timezone="UTC",
    active=False,
    slug="weekly",
    parameters={"node": "name-of-a-node", "reason": "weekly maintenance", "interactive": "refuse"},
)

# In the night, before the working day; paused, until a store is configured and somebody switches it on.
_NIGHTLY = Cron("0 2 * * *", timezone="UTC", active=False, slug="nightly", parameters={"requested_by": "schedule"})

# After the nightly backup, and before anybody wants to take a node down; paused, as that is.
_MORNING = Cron("0 6 * * *", timezone="UTC", active=False, slug="morning")

# While nobody works; paused, as those are.
_SATURDAYS = Cron("0 4 * * 6", timezone="UTC", active=False, slug="weekly", parameters={"requested_by": "schedule"})


def all_deployments(rehearses: bool = True) -> list[RunnerDeployment]:
    """Every deployment that is served.

    Args:
        rehearses: sets can be read here; else a schedule of rehearsals could only fail, and there is none.
    """
    return [
        _deployment(planned_maintenance, "planned", PlannedOptions, schedules=[_WEEKLY]),
        _deployment(unplanned_recovery, "unplanned", UnplannedOptions),
        _deployment(permanent_removal, "remove", RemoveOptions),
        _deployment(rejoin, "rejoin", RejoinOptions),
        _deployment(resume_downtime, "any"),
        _deployment(abort_downtime, "any"),
        _deployment(recovery_backup, "recovery", schedules=[_NIGHTLY]),
        _deployment(recovery_check, "recovery", schedules=[_MORNING]),
        _deployment(recovery_rehearsal, "recovery", schedules=[_SATURDAYS] if rehearses else []),
    ]


def _deployment(
    flow: Flow[..., Any], tag: str, options: type[BaseModel] | None = None, **more: Any
) -> RunnerDeployment:
    made = flow.to_deployment(
        name=flow.name,
        description=flow.description,
        tags=["runai-downtime", tag],
        entrypoint_type=EntrypointType.MODULE_PATH,
        **more,
    )
    # Only inside an event loop would it be something else: a coroutine.
    assert isinstance(made, RunnerDeployment)
    parameter_forms.complete(made._parameter_openapi_schema.properties, options)
    return made


def serve(limit: int = 8) -> None:
    """Serve until the process is ended.

    Args:
        limit: how many flow runs may be under way at once. A suspended run does not count.

    Raises:
        Misused: the configuration is missing or malformed: said now, not when the first run starts.
    """
    settings = config.load()
    source: Path = settings.source.resolve()
    rehearses = settings.recovery.identity is not None or settings.recovery.allow_plaintext
    os.environ["DOWNTIME_CONFIG"] = str(source)
    with tempfile.TemporaryDirectory(prefix="downtime-serve-") as empty:
        os.chdir(empty)
        # A schedule that somebody switched on stays on when this process is restarted.
        prefect_serve(*all_deployments(rehearses), limit=limit, pause_on_shutdown=False, print_starting_message=False)
