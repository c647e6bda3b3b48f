"""The storm guard: many nodes silent at once is not many broken machines, it is one broken network. Pure.

Taking such nodes for dead would move all workloads of a healthy cluster, or power machines off that work. So the
automatic answer to a dead node is blocked while

- the API server does not call itself ready, in a cluster of any size;
- with three nodes or more: over 40 % of those without a record are not ready (those in downtime are down on purpose);
- with three nodes or more: of the hosts that are not ready, more than half answer over SSH. One host alone that answers
  is no storm but a dead kubelet, which is treated as such: so at least two must have been asked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from cluster.inventory import NodeSummary
from cluster.plan import Finding

FEWEST_NODES = 3
MOST_PERCENT = 40
_FEWEST_ASKED = 2
_OVERRIDE = 'if they really failed: --override-storm "reason", which is recorded.'


def judge(
    nodes: Iterable[NodeSummary],
    with_record: Collection[str],
    readyz_ok: bool | None,
    ssh_answers_of_not_ready: tuple[int, int] = (0, 0),
) -> list[Finding]:
    """What speaks for a storm.

    Args:
        nodes: all nodes of the cluster.
        with_record: names of those with an open record.
        readyz_ok: whether ``/readyz`` said that the API server is ready; None: it could not be asked.
        ssh_answers_of_not_ready: of the hosts without a record whose nodes are not ready: how many answered over SSH,
            and how many were asked.
    """
    known = list(nodes)
    found = [] if readyz_ok else [_api(readyz_ok)]
    if len(known) < FEWEST_NODES:
        return found
    rest = [one for one in known if one.name not in with_record]
    silent = sorted(one.name for one in rest if not one.ready)
    if len(silent) * 100 > MOST_PERCENT * len(rest):
        found.append(
            Finding(
                code="storm",
                message=f"{len(silent)} of {len(rest)} nodes that are not in downtime are not ready "
                f"({_listed(silent)}), over {MOST_PERCENT} %: that is rather the network or the "
                "control plane than the machines",
                remedy=f"Look at the network between the control plane and the nodes first; {_OVERRIDE}",
            )
        )
    answering, asked = ssh_answers_of_not_ready
    if asked >= _FEWEST_ASKED and answering * 2 > asked:
        found.append(
            Finding(
                code="storm-hosts-answer",
                message=f"{answering} of {asked} hosts whose nodes are not ready answer over SSH: the machines are "
                "up, and only the control plane does not hear of them",
                remedy=f"Look at the API server's address and load balancer, and at the kubelets; {_OVERRIDE}",
            )
        )
    return found


def _api(readyz_ok: bool | None) -> Finding:
    said = "could not be asked whether it is ready" if readyz_ok is None else "says that it is not ready"
    return Finding(
        code="storm-api",
        message=f"The API server {said} (/readyz): what it tells of the nodes cannot be relied on",
        remedy=f"See 'kubectl get --raw /readyz?verbose' and bring the control plane into order; {_OVERRIDE}",
    )


def _listed(names: list[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
