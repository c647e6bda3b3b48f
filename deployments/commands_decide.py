"""``downtime decide``: answering what a downtime asks, without going on with it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from deployments import choices
from deployments.choices import Output
from deployments.ending import ending
from deployments.interruption import orderly

if TYPE_CHECKING:
    from cluster.downtime import Downtime
    from cluster.errors import Misused
    from cluster.record import Record

WhoOption = Annotated[str, typer.Option(metavar="NAME", help="Who decided; else the user of this machine.")]
AnswerOption = Annotated[
    choices.DecisionChoice | None,
    typer.Option(
        help="All work not named: evict, its owners agreed; refuse: nothing is evicted, the node not drained."
    ),
]
EvictOption = Annotated[
    list[str] | None, typer.Option("--evict", metavar="NS/NAME", help="This workload is evicted: its owner agreed.")
]
WaitOption = Annotated[
    list[str] | None, typer.Option("--wait", metavar="NS/NAME", help="This workload is stopped by its owner: wait.")
]
SuspendOption = Annotated[
    list[str] | None, typer.Option("--suspend", metavar="NS/NAME", help="This workload is suspended by Run:ai.")
]
NowOption = Annotated[
    bool, typer.Option("--now", help="Do it although the notice period that 'status' shows is not over.")
]
ConfirmOffOption = Annotated[
    str, typer.Option(metavar="NODE", help="The machine is off, as you saw: its node's name, typed. Holds 15 minutes.")
]
DeadKubeletAnswer = Annotated[
    choices.DeadKubeletDecision | None,
    typer.Option(help="Of a node that is down while its machine answers: leave it, restart its kubelet, shut it down."),
]
AcceptFlappingOption = Annotated[
    str, typer.Option(metavar="NODE", help="The node may return although it keeps failing: its name, typed.")
]


def decide(
    node: choices.NodeArgument,
    interactive: AnswerOption = None,
    evict: EvictOption = None,
    wait: WaitOption = None,
    suspend: SuspendOption = None,
    now: NowOption = False,
    allow_tolerating: choices.ToleratingOption = "",
    accept_outage: choices.OutageOption = "",
    accept_lost_tolerance: choices.ToleranceOption = "",
    keep_designation: choices.KeepOption = False,
    confirm_off: ConfirmOffOption = "",
    dead_kubelet: DeadKubeletAnswer = None,
    accept_flapping: AcceptFlappingOption = "",
    who: WhoOption = "",
    config: choices.ConfigOption = None,
    output: choices.OutputOption = Output.text,
) -> None:
    """Answer what the downtime of a node asks. The answer holds for the workloads that are there now."""
    with orderly(), ending(output) as end:
        from cluster import coming_back, etcd_consent, proven_off
        from cluster import dead_kubelet as dead_kubelets
        from cluster import downtime as downtimes
        from cluster.names import node_name
        from deployments.commands_going_on import require_downtime
        from deployments.sessions import open_right_session

        node_name(node)
        typed = (allow_tolerating, accept_outage, accept_lost_tolerance, confirm_off, accept_flapping)
        each = _named(evict, wait, suspend)
        chosen = interactive is not None or each or dead_kubelet is not None or keep_designation
        if not chosen and not any(one.strip() for one in typed):
            raise _nothing_decided()
        end.about(node)
        session = open_right_session(config)
        end.about(node, lambda: session.standing(node))
        require_downtime(session, node)
        end.begun = True
        person = who.strip() or downtimes.who()
        with downtimes.go_on(session.api, session.settings, node) as downtime:
            decided = _answer(downtime, interactive, each, allow_tolerating.strip(), person, now=now)
            decided |= _about_system_pods(downtime, accept_outage.strip(), person, keep=keep_designation)
            if accept_lost_tolerance.strip():
                accepted = etcd_consent.accept(downtime, accept_lost_tolerance.strip(), person)
                decided["accept"] = [*decided.get("accept", []), *accepted]
            if confirm_off.strip():
                proven_off.confirm(downtime, confirm_off, person)
                decided["off"] = [downtime.node]
            if dead_kubelet is not None:
                dead_kubelets.answer(downtime, dead_kubelet.value, person)
                decided[dead_kubelet.value] = [downtime.node]
            if accept_flapping.strip():
                coming_back.accept_flapping(downtime, accept_flapping, person)
                decided["accept"] = [*decided.get("accept", []), downtime.node]
        _show(downtime.record, decided, interactive, output)


def _nothing_decided() -> Misused:
    from cluster.errors import Misused

    return Misused(
        "nothing-decided",
        "Nothing was decided",
        "Give --interactive evict (or refuse), --evict, --wait or --suspend NS/NAME, "
        '--allow-tolerating "reason", --accept-outage NODE, '
        "--accept-lost-tolerance NODE, --keep-designation, --confirm-off NODE, --accept-flapping NODE, or "
        "--dead-kubelet restart (or leave, or shut-down).",
    )


def _named(
    evict: list[str] | None, wait: list[str] | None, suspend: list[str] | None
) -> dict[Literal["evict", "wait", "suspend"], list[str]]:
    """The workloads that were named, by what was decided about them."""
    each: dict[Literal["evict", "wait", "suspend"], list[str]] = {}
    if evict:
        each["evict"] = evict
    if wait:
        each["wait"] = wait
    if suspend:
        each["suspend"] = suspend
    return each


def _answer(
    downtime: Downtime,
    interactive: choices.DecisionChoice | None,
    each: dict[Literal["evict", "wait", "suspend"], list[str]],
    allow_tolerating: str,
    who: str,
    *,
    now: bool,
) -> dict[str, list[str]]:
    from cluster import deciding

    decided: dict[str, list[str]] = {}
    if interactive is not None or each:
        rest: Literal["evict", "refuse"] | None = None
        if interactive is not None:
            rest = "evict" if interactive.value == "evict" else "refuse"
        decided = deciding.interactive(downtime, deciding.Decided(each, rest, now), who)
    if allow_tolerating:
        decided["allow"] = list(deciding.tolerating(downtime, allow_tolerating, who))
    return decided


def _about_system_pods(downtime: Downtime, accept_outage: str, who: str, *, keep: bool) -> dict[str, list[str]]:
    from cluster import deciding

    decided: dict[str, list[str]] = {}
    if accept_outage:
        decided["accept"] = list(deciding.outage(downtime, accept_outage, who))
    if keep:
        name = deciding.designation(downtime, who)
        decided["keep"] = [name] if name else []
    return decided


def _show(
    record: Record, decided: dict[str, list[str]], interactive: choices.DecisionChoice | None, output: Output
) -> None:
    refused = interactive is not None and interactive.value == "refuse" and bool(decided["refuse"])
    then = f"downtime {'abort' if refused else 'resume'} {record.node}"
    if output is Output.json:
        typer.echo(json.dumps({"node": record.node, "decided": decided, "next": then}, indent=2))
        return
    for answer, items in decided.items():
        typer.echo(f"{answer}: {', '.join(items)}" if items else f"{answer}: there is nothing (more) to decide")
    typer.echo(f"Now: {then}")
    if record.flow_run and os.environ.get("PREFECT_API_URL"):
        typer.echo(f"Its flow run {record.flow_run}, if it is suspended, can be resumed in the Prefect UI instead.")
