"""What Run:ai's own controllers are known to do with workloads, done for a lab by one process.

Training is made anew up to its ``backoffLimit``, interactive work is not. A distributed job is a gang: when members are
missing for too long, the others are evicted, and it is started anew. What the annotation ``lab.runai/suspended`` says
``"true"`` of has no pods until the annotation is gone. Whether Run:ai counts a pod that a taint deleted against the
limit is not documented: here it counts, as it does for a Job.
"""

from __future__ import annotations

import sys

from lab import processes, state
from lab.layout import PROJECT, Lab

NAME = "workload-controller"


def start(lab: Lab) -> None:
    """Start it as a process of the lab. Raises LabError."""
    argv = [sys.executable, "-P", "-m", "lab.runai.controller", lab.name]
    log = lab.logs / f"{NAME}.log"
    state.add_process(lab, processes.start(NAME, argv, folder=lab.folder, log=log, env={"PYTHONPATH": str(PROJECT)}))
