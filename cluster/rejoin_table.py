"""The steps of a rejoin."""

from __future__ import annotations

from cluster import closing, gpus, joining_control_plane, rejoining, restoring, scheduling

STEPS = (
    rejoining.PROVE_MACHINE,
    rejoining.CLEAR_MACHINE,
    rejoining.JOIN,
    rejoining.DELETE_TOKEN,
    rejoining.SEE_JOINED,
    joining_control_plane.SEE_MEMBER,
    scheduling.CORDON,
    restoring.UNTAINT_JOINING,
    restoring.RESTORE,
    gpus.SEE_GPUS,
    scheduling.UNCORDON,
    closing.CLOSE,
)
"""In the planner's order."""
