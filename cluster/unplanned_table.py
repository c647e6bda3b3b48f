"""What each step of unplanned recovery is."""

from __future__ import annotations

from cluster.closing import CLOSE
from cluster.coming_back import APPROVE_RETURN_OF_FAILED, SEE_BACK_OF_FAILED, STABLE
from cluster.dead_kubelet import SEE_MACHINE
from cluster.designating import DESIGNATE
from cluster.gpus import SEE_GPUS
from cluster.node_services import SEE_SERVICES
from cluster.out_of_service import CLEAR_OUT_OF_SERVICE, OUT_OF_SERVICE, POWER_ON_IN_SERVICE, PROVE_OFF
from cluster.power_reset import RESET
from cluster.scheduling import CORDON, TAINT, UNCORDON, UNTAINT
from cluster.service_check import SEE_SERVICE
from cluster.signs_of_life import JUDGE_DOWN, unless_back
from cluster.undesignating import UNDESIGNATE

DESIGNATE_FOR_FAILED, TAINT_OF_FAILED = unless_back(DESIGNATE), unless_back(TAINT)

STEPS = (
    JUDGE_DOWN,
    SEE_MACHINE,
    SEE_SERVICES,
    DESIGNATE_FOR_FAILED,
    CORDON,
    TAINT_OF_FAILED,
    RESET,
    PROVE_OFF,
    OUT_OF_SERVICE,
    CLEAR_OUT_OF_SERVICE,
    APPROVE_RETURN_OF_FAILED,
    POWER_ON_IN_SERVICE,
    SEE_BACK_OF_FAILED,
    STABLE,
    UNTAINT,
    SEE_GPUS,
    UNCORDON,
    UNDESIGNATE,
    SEE_SERVICE,
    CLOSE,
)
