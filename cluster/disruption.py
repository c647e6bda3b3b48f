"""Which PodDisruptionBudgets a drain would violate. Pure.

Eviction by a ``NoExecute`` taint deletes pods without asking any budget (kubernetes/website#7829), so the question is
asked here, before the taint.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import BaseModel, ConfigDict

from cluster import pods as pod_
from cluster import workloads
from cluster.node import Object
from cluster.owners import Chains

_MOST_NAMED = 10


class Violation(BaseModel):
    """A budget, and the pods on the node that are more than it allows to disrupt."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pdb: str
    allowed: int
    pods: tuple[str, ...]
    owners: tuple[str, ...]

    def __str__(self) -> str:
        more = f" and {len(self.pods) - _MOST_NAMED} more" if len(self.pods) > _MOST_NAMED else ""
        return (
            f"{self.pdb} allows {self.allowed} disruption{'' if self.allowed == 1 else 's'} now, and the drain would "
            f"disrupt {len(self.pods)}: {', '.join(self.owners)} "
            f"(pod{'' if len(self.pods) == 1 else 's'} {', '.join(self.pods[:_MOST_NAMED])}{more})"
        )


def violations(pdbs: Iterable[Object], pods: Iterable[Object], owners: Chains) -> tuple[Violation, ...]:
    """The budgets that the drain of a node with these pods would violate.

    Counted are the pods that the drain takes away and that count as healthy for a budget: ready, and not being
    deleted already. A budget whose status is missing or older than its specification allows nothing: what it would
    allow is not known.
    """
    going = [pod for pod in pods if pod_.must_go(pod) and pod_.is_ready(pod) and not pod_.is_terminating(pod)]
    found = []
    for pdb in pdbs:
        chosen = [pod for pod in going if covers(pdb, pod)]
        allowed = _allowed(pdb)
        if len(chosen) > allowed:
            found.append(
                Violation(
                    pdb=pod_.full_name(pdb),
                    allowed=allowed,
                    pods=tuple(sorted(pod_.name(pod) for pod in chosen)),
                    owners=tuple(sorted({_named(pod, owners) for pod in chosen})),
                )
            )
    return tuple(found)


def _named(pod: Object, owners: Chains) -> str:
    """Which workload it is, and whose: who is asked in the first place is its researcher."""
    person = workloads.researcher([(pod, workloads.chain_of(pod, owners))])
    return f"{workloads.title_of(pod, owners)}{f' (of {person})' if person else ''}"


def covers(pdb: Object, pod: Object) -> bool:
    """Whether the budget is about the pod. ``policy/v1``: an empty selector selects all, none selects nothing."""
    selector = pod_.mapping(pdb.get("spec")).get("selector")
    if pod_.namespace(pdb) != pod_.namespace(pod) or not isinstance(selector, dict):
        return False
    return selects(selector, pod_.labels(pod))


def selects(selector: Object, labels: Mapping[str, str]) -> bool:
    """Whether a label selector (``matchLabels`` and ``matchExpressions``) selects something with these labels.

    An operator that is not known selects: rather one budget too many is asked.
    """
    wanted = pod_.mapping(selector.get("matchLabels"))
    return all(labels.get(str(key)) == value for key, value in wanted.items()) and all(
        _holds(one, labels) for one in pod_.objects(selector.get("matchExpressions"))
    )


def _holds(expression: Object, labels: Mapping[str, str]) -> bool:
    key, operator = str(expression.get("key")), expression.get("operator")
    values = expression.get("values") or ()
    if operator == "In":
        return key in labels and labels[key] in values
    if operator == "NotIn":
        return key not in labels or labels[key] not in values
    if operator == "DoesNotExist":
        return key not in labels
    return key in labels if operator == "Exists" else True


def _allowed(pdb: Object) -> int:
    status = pod_.mapping(pdb.get("status"))
    generation = pod_.number(pod_.mapping(pdb.get("metadata")).get("generation"))
    if pod_.number(status.get("observedGeneration")) < generation:
        return 0
    return int(pod_.number(status.get("disruptionsAllowed")))
