"""The steps of a rejoin."""

from __future__ import annotations

from cluster import closing, gpus, rejoining, restoring, scheduling

STEPS = (
    rejoining.PROVE_MACHINE,
    rejoining.CLEAR_MACHINE,
    rejoining.JOIN,
    rejoining.DELETE_TOKEN,
    rejoining.SEE_JOINED,
    scheduling.CORDON,
    restoring.UNTAINT_JOINING,
    restoring.RESTORE,
    gpus.SEE_GPUS,
    scheduling.UNCORDON,
    closing.CLOSE,
)
"""In the planner's order."""
