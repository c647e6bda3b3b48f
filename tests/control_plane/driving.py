"""Procedures from a plain script: ``driving.py run|suspend|unplanned|remove|rejoin|resume|abort NODE [OPTIONS]``.

OPTIONS is a JSON object of ``PlannedOptions``. The exit status is the command's; the last line of the output is a JSON
object with ``exit``, ``code`` and ``message``. The configuration is found as the product finds it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from cluster import api as apis
from cluster import config, performing, planning, procedures, suspending, waiting
from cluster.config import Settings
from cluster.downtime import Ask, Downtime, Say, Start, enter, go_on, silent
from cluster.errors import Blocked, DowntimeError
from cluster.options import Options, PlannedOptions, RejoinOptions
from cluster.plan import Workload
from cluster.record import Record
from cluster.step import perform
from tests.control_plane import recovering, removing

WHO = "tester"
# Through everything without a person.
UNATTENDED = PlannedOptions(reason="test", interactive="evict", power_on="controller", hold=False)
# Several nodes may fail at once in a test, which is no storm.
OTHERS: dict[str, Options] = {
    "unplanned": recovering.UNATTENDED.model_copy(update={"grace_seconds": 3, "override_storm": "a test"}),
    "rejoin": RejoinOptions(reason="test"),
}


def run(
    settings: Settings, node: str, options: PlannedOptions = UNATTENDED, say: Say = silent, ask: Ask | None = None
) -> Record:
    """Plan, enter, perform; the record as it is at the end.

    Raises:
        DowntimeError: as the product does; the first blocker of the plan as ``Blocked``.
    """
    api = apis.connect(settings.cluster)
    _, plan = planning.plan(api, settings, node, options, depth="checksums")
    if plan.blockers:
        first = plan.blockers[0]
        raise Blocked(first.code, first.message, first.remedy)
    with enter(api, settings, Start("planned", node, options, plan.recovery, WHO), say, ask) as downtime:
        performing.perform_all(downtime)
        return downtime.record


def _all(downtime: Downtime, workloads: tuple[Workload, ...]) -> None:
    suspending.suspend(downtime, workloads, WHO)


def suspend(
    settings: Settings,
    node: str,
    options: PlannedOptions = UNATTENDED,
    say: Say = silent,
    suspends: Callable[[Downtime, tuple[Workload, ...]], None] = _all,
) -> Record:
    """Planned maintenance, in which workloads are suspended once the node is cordoned, as somebody decided then."""
    api = apis.connect(settings.cluster)
    _, plan = planning.plan(api, settings, node, options)
    with enter(api, settings, Start("planned", node, options, plan.recovery, WHO), say) as downtime:
        for name in ("recovery-gate", "cordon"):
            perform(downtime, procedures.table()[name])
        _, now = planning.look_again(downtime)
        suspends(downtime, now.workloads)
        performing.perform_all(downtime)
        return downtime.record


def resume(settings: Settings, node: str, say: Say = silent, ask: Ask | None = None) -> Record:
    """Go on with a downtime; who resumes one that waits for its return says thereby that the work is done."""
    api = apis.connect(settings.cluster)
    with go_on(api, settings, node, say, ask) as downtime:
        waiting.answer_by_resuming(downtime, WHO)
        performing.perform_all(downtime)
        return downtime.record


def abort(settings: Settings, node: str, say: Say = silent) -> Record:
    """Back out of a downtime."""
    api = apis.connect(settings.cluster)
    with go_on(api, settings, node, say, abort=True) as downtime:
        performing.perform_all(downtime)
        return downtime.record


def main(arguments: Sequence[str], out: Callable[[str], Any] = print) -> int:
    """The script."""
    command, node, *rest = arguments
    options = PlannedOptions.model_validate({**UNATTENDED.model_dump(), **json.loads(rest[0] if rest else "{}")})

    def say(step: str, text: str) -> None:
        out(f"{step}: {text}")

    try:
        settings = config.load()
        if command == "remove":
            removing.remove(settings, node)
        elif command in OTHERS:
            recovering.run(settings, node, OTHERS[command])
        elif command == "run":
            run(settings, node, options, say)
        elif command == "suspend":
            suspend(settings, node, options, say)
        else:
            {"resume": resume, "abort": abort}[command](settings, node, say)
    except DowntimeError as error:
        ending = {"exit": error.exit_code, "code": error.code, "message": str(error), "changed": list(error.changed)}
    else:
        ending = {"exit": 0, "code": "", "message": "", "changed": []}
    out(json.dumps(ending))
    return int(str(ending["exit"]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
