"""The steps of a permanent removal, and those that back out of one."""

from __future__ import annotations

from cluster import (
    approving,
    closing,
    designating,
    evicting,
    eviction,
    gpus,
    machine,
    out_of_service,
    recovery,
    removal,
    resuming,
    scheduling,
    service_check,
    undesignating,
    waiting,
)
from cluster.step import Step

STEPS: tuple[Step, ...] = (
    recovery.RECOVERY_GATE,
    designating.DESIGNATE,
    scheduling.CORDON,
    approving.APPROVE_WORKLOADS,
    evicting.EVICT,
    scheduling.TAINT,
    eviction.SEE_GONE,
    resuming.RESUME_WORKLOADS,
    *removal.STEPS,
    out_of_service.CLEAR_OUT_OF_SERVICE,
    machine.SEE_OFF,
    waiting.APPROVE_RETURN,
    machine.SEE_BACK,
    scheduling.UNTAINT,
    gpus.SEE_GPUS,
    scheduling.UNCORDON,
    undesignating.UNDESIGNATE,
    service_check.SEE_SERVICE,
    closing.CLOSE,
)
