"""Whether the Run:ai service is well, and whether it is worse than it was."""

from __future__ import annotations

from cluster import service
from cluster.service import Controller, ServiceHealth


def _health(available: bool | None = True, found: bool = True, **controllers: tuple[int, int]) -> ServiceHealth:
    return ServiceHealth(
        found=found,
        available=available,
        reason="Reconciling" if available is False else "",
        controllers={
            f"runai/Deployment/{name}": Controller(wanted=wanted, ready=ready)
            for name, (wanted, ready) in controllers.items()
        },
    )


def test_a_healthy_service_is_not_degraded() -> None:
    assert service.degraded(_health(scheduler=(1, 1), idle=(0, 0))) == []


def test_what_is_wrong_is_named_with_its_numbers() -> None:
    assert service.degraded(_health(False, agent=(3, 1))) == [
        "runaiconfig runai/runai is not Available: Reconciling",
        "runai/Deployment/agent has 1 of 3 pods ready",
    ]
    assert service.degraded(_health(None)) == ["runaiconfig runai/runai does not say whether it is Available"]


def test_a_cluster_without_a_runaiconfig_says_that_it_was_not_found() -> None:
    assert service.degraded(ServiceHealth()) == ["runaiconfig runai/runai was not found"]


def test_a_service_that_was_degraded_before_need_not_be_better_afterwards() -> None:
    before = _health(False, agent=(3, 1), other=(1, 1))
    assert service.worse(before, before) == []
    assert service.worse(before, _health(True, agent=(3, 3), other=(1, 1))) == []


def test_worse_is_less_available_fewer_ready_or_gone() -> None:
    before = _health(True, agent=(3, 2), scheduler=(1, 1), gone=(1, 1))
    after = _health(False, agent=(3, 1), scheduler=(1, 1))
    assert service.worse(before, after) == [
        "runaiconfig runai/runai is not Available: Reconciling",
        "runai/Deployment/agent has 1 of 3 pods ready, before 2 of 3",
        "runai/Deployment/gone is gone",
    ]


def test_a_controller_that_was_scaled_down_meanwhile_is_no_worse() -> None:
    assert service.worse(_health(agent=(3, 3)), _health(agent=(1, 1))) == []


def test_a_runaiconfig_that_disappeared_is_worse() -> None:
    assert service.worse(_health(), _health(None, found=False)) == ["runaiconfig runai/runai was not found"]


def test_health_survives_the_record() -> None:
    health = _health(False, agent=(3, 1))
    assert ServiceHealth.model_validate(health.model_dump(mode="json")) == health
    assert (health.pods, health.ready, health.not_ready) == (3, 1, ("runai/Deployment/agent has 1 of 3",))
