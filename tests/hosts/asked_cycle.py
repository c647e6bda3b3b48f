"""One maintenance of a real host through its deployment, that asks about interactive work: what was seen of it."""

from __future__ import annotations

from dataclasses import dataclass

from lab.api import JSON
from lab.runai.workloads import Work, interactive
from tests.hosts.product import holder_of, the_record
from tests.hosts.secrets_of_a_lab import command_lines
from tests.hosts.served import Served, sudo_with_password
from tests.hosts.standing import Standing, require_cycled_once, see
from tests.hosts.work import working
from tests.prefect_runs import in_shell, readme_commands

NODE = "gpu-1"
NOTEBOOK = interactive("thesis", Work(node=NODE, user="frida", gpus=0))
REASON = "new firmware for frida's rack"


@dataclass(frozen=True)
class Asked:
    """The cycle. ``waiting`` is the node while the run was suspended."""

    run: str
    before: Standing
    waiting: Standing
    holder_while_waiting: str
    record_while_waiting: JSON
    schema: JSON
    text: str
    refusals: list[JSON]
    accepted: str
    state: JSON
    record: JSON
    after: Standing
    command_lines: frozenset[str]


def asked_cycle(served: Served) -> Asked:
    """Start it, see it suspended, give answers that must be refused, then the README's; and wait for the end."""
    hosts = served.hosts
    before = see(hosts, NODE)
    with working(hosts.api, NOTEBOOK), sudo_with_password(hosts, NODE), command_lines() as lines:
        run = served.start(
            "planned-maintenance", node=NODE, reason=REASON, power_on="controller", hold=False, requested_by="frida"
        )
        served.wait(run, "PAUSED")
        waiting, holder, asked = see(hosts, NODE), holder_of(hosts.api, NODE), the_record(hosts.api, NODE)
        schema, text = served.form(run)
        bad: tuple[JSON, ...] = (
            {"decision": "perhaps", "who": "anna"},
            {"decision": "evict"},
            {"decision": "evict", "who": ""},
            {},
        )
        refusals = [served.answer(run, given) for given in bad]
        accepted = in_shell(readme_commands("/resume"), PREFECT_API_URL=served.prefect.url, run=run)
        state = served.wait(run, "COMPLETED")
        require_cycled_once(hosts, NODE, before)
        return Asked(
            run=run,
            before=before,
            waiting=waiting,
            holder_while_waiting=holder,
            record_while_waiting=asked,
            schema=schema,
            text=text,
            refusals=refusals,
            accepted=accepted,
            state=state,
            record=the_record(hosts.api, NODE),
            after=see(hosts, NODE),
            command_lines=frozenset(lines.seen),
        )
