"""Plans, questions and reports in Markdown, for the Prefect UI and whatever else renders it. Pure.

What people and workloads are called, and the reasons that people give, come from outside: all of it is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from cluster import notice, showing_workloads
from cluster.plan import Finding, Forecast, Loss, Plan, Whereabouts, Workload
from cluster.question import TYPED, Question
from cluster.record import Approval
from cluster.report import Report
from cluster.showing import shown
from cluster.showing_time import clock, duration, moment
from cluster.verdict import Verdict

# What begins markup in the middle of a line: https://spec.commonmark.org/0.31.2/#backslash-escapes, and '@' and '://'
# for the links that GitHub's dialect makes of bare addresses.
_SPECIAL = re.compile(r"([\\`*_\[\]<>|~&#$@]|:(?=//)|(?<=www)\.)")

PROCEDURES = {
    "planned": "Planned maintenance",
    "unplanned": "Unplanned recovery",
    "remove": "Permanent removal",
    "rejoin": "Rejoin",
}
FATES = {
    "moves": "moves to another node, or waits in the queue",
    "waits": "waits in the queue",
    "needs-approval": "is evicted only if a person agrees",
    "lost": "is deleted, and nothing starts it again",
    "stays": "tolerates the drain, and stays",
}
WHEREABOUTS = {
    "running": "runs",
    "waiting": "waits",
    "finished": "has finished",
    "deleted": "was deleted",
    "suspended": "is suspended",
    "still-here": "is still on the node",
    "unknown": "is not known",
}
SUBJECTS = {
    "interactive": "interactive work",
    "tolerating": "pods that tolerate the drain",
    "return": "the return",
    "power-off": "the power",
    "dead-kubelet": "the machine with a dead kubelet",
    "removal": "the removal",
    "rejoin": "the machine that is to join",
    "lost-tolerance": "the loss of etcd's fault tolerance",
    "outage": "system pods on a volume of the node itself",
    "designation": "the node that stands in",
}


def escaped(text: str, longest: int = 300) -> str:
    """Text from outside, so that it shows as what it is: one line, nothing in it is markup."""
    return _SPECIAL.sub(r"\\\1", shown(text, longest))


def becomes(one: Workload) -> str:
    """What becomes of a workload, with the forecast if there is one."""
    if one.forecast is None:
        return FATES[one.fate]
    return f"{FATES[one.fate]}; forecast: {foretold(one.forecast)}"


def foretold(forecast: Forecast) -> str:
    """What a forecast says, in words."""
    said = {"fits-now": "fits now", "will-wait": "will wait", "unknown": "not known"}[forecast.says]
    link = ", because " if forecast.says == "will-wait" else ": "
    return f"{said}{link}{forecast.why}" if forecast.why else said


def workload_rows(plan: Plan) -> list[dict[str, str]]:
    """The workloads on the node as rows of a table."""
    return [_row(one) for one in plan.workloads]


def plan_markdown(plan: Plan) -> str:
    """The plan: what will be done, what forbids it, what to know."""
    verb = "what is left of it" if plan.continued else "the plan"
    roles = f", roles {escaped(', '.join(plan.roles))}" if plan.roles else ""
    parts = [
        f"# {PROCEDURES[plan.procedure]} of {escaped(plan.node)}: {verb}",
        f"{escaped(plan.node)} is a {plan.kind} node{roles} of the cluster at {escaped(plan.cluster)}.",
        *_findings("It can't go ahead", plan.blockers),
        *_findings("To know before", plan.warnings),
    ]
    if plan.steps:
        steps = (f"{at}. **{one.name}**: {escaped(one.summary)}" for at, one in enumerate(plan.steps, 1))
        parts += ["## Steps", "\n".join(steps)]
    if plan.workloads:
        rows = workload_rows(plan)
        parts += ["## Workloads on the node", _table(list(rows[0]), [list(row.values()) for row in rows])]
    if plan.stays:
        lines = (
            f"- {escaped(said, 2000)}{f'. {escaped(remedy, 2000)}' if remedy else ''}"
            for said, remedy in showing_workloads.stays(plan.stays)
        )
        parts += ["## What stays on the node", "\n".join(lines)]
    return _joined([*parts, *_losses(plan.losses), *_recovery(plan.recovery)])


def question_markdown(question: Question) -> str:
    """What a person is asked, with what is needed to answer it."""
    if question.subject in TYPED:
        return _joined(_typed_question(question))
    node = escaped(question.node)
    if question.subject == "dead-kubelet":
        return _joined(
            [
                f"# What is to be done with the machine of {node}, which runs?",
                f"The node {node} is down, but its machine answers over SSH: it is not off, only its kubelet does not "
                "report. Its workloads start elsewhere; its containers may still run, so nothing of it is released.",
                "See 'systemctl status kubelet' and 'journalctl -u kubelet' on it first, if you can.",
            ]
        )
    if question.subject == "designation":
        return _joined(_about_stand_in(question))
    if question.subject == "return":
        return _joined(
            [
                f"# Is the work on {node} done?",
                f"Its machine, when last looked at: {escaped(question.found)}." if question.found else "",
                f"{node} is drained and out of service. When the work is done (and the machine switched on, if that "
                "is a person's part), say so here: the node then returns to service.",
            ]
        )
    rows = [list(_row(one).values()) for one in question.workloads]
    return _joined(
        [
            f"# What is to happen with this interactive work on {node}?",
            "Nothing was evicted yet; the node is cordoned, so nothing new starts there. Interactive work does not "
            "come back by itself: talk to the owners, and let them save first.",
            "\n".join(f"- {escaped(one, 2000)}" for one in question.said),
            _table(list(_COLUMNS), rows),
        ]
    )


def _about_stand_in(question: Question) -> list[str]:
    node, rows = escaped(question.node), [[one.name, "; ".join(one.reasons)] for one in question.candidates]
    return [
        f"# Which node is to stand in for {node} as a Run:ai system node?",
        f"{escaped(question.found, 2000)}. Nothing was changed yet.",
        "The node that is named gets the label of a system node, and the system pods are seen to find a place there, "
        "before anything else is done. Those that could be, the best first:",
        _table(["node", "what speaks for and against it"], rows),
        "Another one than these: cancel this run, and start it again with 'designate'.",
    ]


def _typed_question(question: Question) -> list[str]:
    """What is answered by typing the node's name."""
    node = escaped(question.node)
    if question.subject == "power-off":
        return [
            f"# Is the machine of {node} off?",
            "Nothing proves it: no power controller says off. What comes next deletes the node's pods by force, "
            "and if the machine runs after all, they run twice, and write the same volumes.",
            "Go and look at the machine. The answer holds for 15 minutes, and the machine is looked at again right "
            "before it is used: answer when you are sure that it stays off.",
        ]
    if question.subject == "outage":
        return [
            f"# May these system pods be down for as long as {node} is?",
            f"They are bound to a volume of {node} itself, and no other node can run them. With its database the "
            "Run:ai control plane is down too: its users should know. Nothing was evicted yet.",
            "\n".join(f"- {escaped(pod)}" for pod in question.pods),
            f"If they may not: 'downtime abort {node}' takes the cordon off.",
        ]
    if question.subject == "lost-tolerance":
        return [
            f"# May etcd be left without a spare member by {node}?",
            f"{escaped(question.found, 2000)}.",
            f"If that is accepted, type the name of the node: watch the other control-plane nodes, and have {node} "
            "back (or another one in its place) soon. If it is not: bring the other members into order first; of a "
            f"downtime that is open, 'downtime abort {node}' backs out.",
        ]
    if question.subject == "rejoin":
        return [
            f"# Is this the machine that is to be {node}?",
            f"{escaped(question.found, 2000)}. Nothing was changed yet.",
            "What an earlier join left on this machine is reset, and it joins the cluster. See that it is the "
            "right one, a new or a reinstalled machine; then type the name of the node.",
        ]
    nothing = "Nothing is known that is lost with it: no volume lies on it alone, all pods can run elsewhere."
    return [
        f"# Is {node} to be removed for good?",
        "It is drained, its machine is reset, its Node deleted. Nothing was changed yet. The whole plan is "
        "among the artifacts of this run.",
        *(_losses(question.losses) or [nothing]),
    ]


def report_markdown(report: Report) -> str:
    """The report of a downtime."""
    if report.plan is not None:
        return plan_markdown(report.plan)
    parts = [f"# {escaped(headline(report))}"]
    if report.reason:
        parts.append(f"Reason: {escaped(report.reason, 500)}")
    if report.why is not None:
        why = report.why
        parts += [
            "## Why this run ended",
            f"{escaped(why.message, 2000)} `{why.code}`",
            f"What to do: {escaped(why.remedy, 2000)}" if why.remedy else "",
        ]
    if report.went or report.workloads:
        parts += ["## What ran on the node", _table(list(WHERE_COLUMNS), [list(row) for row in where_rows(report)])]
    if report.notices or report.obstacles:
        parts += ["## What its owners were told", "\n".join(f"- {escaped(one, 1000)}" for one in told(report))]
    if report.standing:
        parts += ["## Still standing", "\n".join(f"- {escaped(one)}" for one in report.standing)]
    parts += _findings("To see to", report.warnings)
    if report.steps:
        steps = [[name, time, said] for name, time, said in step_rows(report)]
        parts += ["## Steps", _table(["step", "UTC", "seen"], steps)]
    if report.approvals:
        parts += ["## Who decided what", "\n".join(f"- {escaped(one, 1000)}" for one in decisions(report))]
    return _joined([*parts, *_recovery(report.gate)])


def headline(report: Report) -> str:
    """The whole report in a sentence."""
    what = PROCEDURES[report.procedure]
    took = ""
    if report.opened is not None and report.updated is not None:
        took = f" after {duration((report.updated - report.opened).total_seconds())}"
    back = "is removed for good" if report.procedure == "remove" else "is back in service"
    return {
        "done": f"{report.node} {back}{took}",
        "aborted": f"{what} of {report.node} was backed out of{took}",
        "waiting": f"{what} of {report.node} goes on when somebody lets it",
        "failed": f"{what} of {report.node} failed{took}",
        "planned": f"{what} of {report.node} can go ahead",
        "blocked": f"{what} of {report.node} can't go ahead",
    }[report.outcome]


def step_rows(report: Report) -> list[tuple[str, str, str]]:
    """Each step that was begun: its name, when, and what was seen (or that it is not done)."""
    return [
        (name, clock(one.at), one.proof or ("done" if one.state == "done" else f"not done ({one.state})"))
        for name, one in report.steps.items()
    ]


def decisions(report: Report) -> list[str]:
    """Who decided what, and when."""
    return decided(report.approvals)


def decided(approvals: Iterable[Approval]) -> list[str]:
    """The same, of answers."""
    return [
        f"{moment(one.at)}: {one.who} answered '{one.answer}' about {SUBJECTS.get(one.subject, one.subject)}"
        f"{': ' + ', '.join(one.items) if one.items else ''}"
        for one in approvals
    ]


WHERE_COLUMNS = ("workload", "owner", "kind", "forecast", "after the drain", "now")
NOT_AS_FORECAST = {
    "worse": "NOT AS FORECAST: it did not fit",
    "better": "NOT AS FORECAST: it did not have to wait",
}


def told(report: Report) -> list[str]:
    """What the owners of interactive work were told, and what of the decisions could not be done."""
    hindered = [f"{moment(one.at)}: {one.item} could not be suspended: {one.said}" for one in report.obstacles]
    return [*notice.said(report.notices), *hindered]


def where_rows(report: Report) -> list[tuple[str, str, str, str, str, str]]:
    """Each workload that was on the node: whose it is, what was forecast, where it went, and where it is now."""
    now = {(one.namespace, one.workload): where_is(one) for one in report.workloads}
    went = {(one.namespace, one.workload): where_is(one) for one in report.went}
    first = {(one.namespace, one.workload): one for one in (*report.workloads, *report.went)}
    return [
        (
            f"{one.namespace}/{one.workload}",
            one.owner or "not known",
            one.kind,
            foretold(one.forecast) if one.forecast else "",
            went.get(key, ""),
            now.get(key, ""),
        )
        for key, one in first.items()
    ]


def where_is(one: Whereabouts) -> str:
    """Where a workload is, in words; marked if that is not as forecast."""
    said = f"{WHEREABOUTS[one.now]}{': ' + one.detail if one.detail else ''}"
    return f"{said} ({NOT_AS_FORECAST[one.held]})" if one.held in NOT_AS_FORECAST else said


def _losses(losses: Sequence[Loss]) -> list[str]:
    if not losses:
        return []
    rows = [[one.what, one.name, one.owner or "not known", one.why] for one in losses]
    return ["## What is lost with it", _table(LOSS_COLUMNS, rows)]


LOSS_COLUMNS = ("what", "name", "owner", "why")
_COLUMNS = ("workload", "owner", "kind", "GPUs", "pods", "what becomes of it")


def _row(one: Workload) -> dict[str, str]:
    cells = (
        f"{one.namespace}/{one.name}",
        one.owner or "not known",
        one.kind,
        showing_workloads.gpus(one),
        showing_workloads.pods(one),
        "; ".join(part for part in (becomes(one), showing_workloads.facts(one)) if part),
    )
    return dict(zip(_COLUMNS, cells, strict=True))


def _findings(title: str, found: Sequence[Finding]) -> list[str]:
    if not found:
        return []
    lines = (f"- {escaped(one.message, 2000)} `{one.code}`. {escaped(one.remedy, 2000)}" for one in found)
    return [f"## {title}", "\n".join(lines)]


def _recovery(verdict: Verdict | None) -> list[str]:
    if verdict is None:
        return []
    about = f", backup set {escaped(verdict.set)}" if verdict.set else ""
    lines = [[line.level, line.check, line.reason] for line in verdict.lines]
    title = f"## Recovery gate: {verdict.verdict}{about}"
    return [title, _table(["", "check", "found"], lines)] if lines else [title]


def _table(head: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    names = list(head)
    lines = [names, ["---"] * len(names), *([escaped(cell, 1000) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _joined(parts: Iterable[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"
