"""One forecast as the product makes it, in a process of its own whose time and memory are measured.

``python -m bench.forecasting CONFIGURATION NODE`` prints the seconds that it took, the pods that it forecast, and how
many of them were said to fit.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from cluster import api, config, forecasting
from cluster.observation import Observation
from cluster.plan import Plan, Workload


def main(configuration: str, node: str) -> None:
    """Make the forecast of all pods that leave a node, each as a workload of its own."""
    session = api.connect(config.load(Path(configuration)).cluster)
    found = session.get(f"/api/v1/nodes/{node}")
    pods = session.list("/api/v1/pods", fields=f"spec.nodeName={node}")
    work = tuple(
        Workload(
            name=pod["metadata"]["name"],
            namespace=pod["metadata"]["namespace"],
            kind="training",
            pods=(pod["metadata"]["name"],),
            fate="moves",
        )
        for pod in pods
        if forecasting.moves(pod)
    )
    seen = Observation(taken=datetime.now(UTC), node_name=node, node=found, pods=tuple(pods))
    made = Plan(procedure="planned", node=node, cluster=session.server, feasible=True, workloads=work)
    began = time.monotonic()
    told = forecasting.of(session, seen, made)
    seconds = time.monotonic() - began
    said = Counter(one.forecast.says for one in told.workloads if one.forecast)
    if said["unknown"] or not said:
        raise SystemExit("nothing was forecast")
    print(f"{seconds:.3f} {sum(said.values())} {said['fits-now']}")


if __name__ == "__main__":
    main(*sys.argv[1:])
