"""What somebody else set on the node stays, what is ours goes, whatever others do in the middle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cluster.config import Settings
from cluster.errors import DowntimeError
from lab.api import Api
from lab.layout import Lab
from tests.control_plane import driving
from tests.control_plane.conftest import MakeNode
from tests.control_plane.driving import UNATTENDED
from tests.control_plane.protocol_settings import settings_of
from tests.control_plane.protocol_states import DRAIN, cordoned, drained, mark_of, node_of, record_of

HOLDING = UNATTENDED.model_copy(update={"shut_down": False, "hold": True})
OTHER = {"key": "maintenance", "value": "disk", "effect": "NoSchedule"}


@pytest.fixture
def node(make_node: MakeNode) -> str:
    return make_node().node


@pytest.fixture
def settings(lab: Lab, node: str) -> Settings:
    """Read after the node was made: its address is in it."""
    return settings_of(lab)


def taints_of(api: Api, node: str) -> list[dict[str, Any]]:
    return list(node_of(api, node)["spec"].get("taints", []))


def set_taints(api: Api, node: str, *taints: dict[str, Any]) -> None:
    api.patch(f"/api/v1/nodes/{node}", {"spec": {"taints": list(taints)}})


def set_cordon(api: Api, node: str, cordon: bool | None) -> None:
    api.patch(f"/api/v1/nodes/{node}", {"spec": {"unschedulable": cordon}})


def until_return(settings: Settings, node: str, **choices: object) -> None:
    """Drain the node, until the run waits for a person."""
    with pytest.raises(DowntimeError) as waiting:
        driving.run(settings, node, HOLDING.model_copy(update=choices))
    assert waiting.value.code == "waiting-for-return"


def changes_of(api: Api, node: str) -> set[tuple[str, str]]:
    record = record_of(api, node)
    assert record is not None
    assert record["phase"] == "closed"
    return {(change["what"], change["state"]) for change in record.get("changes", [])}


@pytest.mark.parametrize("back", [driving.resume, driving.abort])
def test_drain_taint_set_by_hand_before_stays(
    lab_api: Api, settings: Settings, node: str, back: Callable[[Settings, str], object]
) -> None:
    set_taints(lab_api, node, DRAIN, OTHER)
    until_return(settings, node)
    assert mark_of(lab_api, node) is not None
    back(settings, node)
    assert [taint["key"] for taint in taints_of(lab_api, node)] == ["runai", "maintenance"]
    assert not cordoned(lab_api, node)
    assert mark_of(lab_api, node) is None
    assert changes_of(lab_api, node) == {("cordon", "undone")}


@pytest.mark.parametrize("back", [driving.resume, driving.abort])
def test_node_cordoned_before_stays_cordoned(
    lab_api: Api, settings: Settings, node: str, back: Callable[[Settings, str], object]
) -> None:
    set_cordon(lab_api, node, True)
    until_return(settings, node)
    assert drained(lab_api, node)
    back(settings, node)
    assert cordoned(lab_api, node)
    assert not drained(lab_api, node)
    assert changes_of(lab_api, node) == {("taint", "undone")}


def test_adopted_taint_is_removed_and_those_beside_it_are_not(lab_api: Api, settings: Settings, node: str) -> None:
    set_taints(lab_api, node, OTHER, DRAIN)
    until_return(settings, node, adopt_taint=True)
    mark = mark_of(lab_api, node)
    assert mark is not None
    assert set(mark["owns"]) == {"cordon", "taint"}
    driving.resume(settings, node)
    assert [taint["key"] for taint in taints_of(lab_api, node)] == ["maintenance"]
    assert changes_of(lab_api, node) == {("cordon", "undone"), ("taint", "undone")}


@pytest.mark.parametrize("back", [driving.resume, driving.abort])
def test_taint_that_somebody_removed_in_the_middle_is_not_missed_on_the_way_back(
    lab_api: Api, settings: Settings, node: str, back: Callable[[Settings, str], object]
) -> None:
    until_return(settings, node)
    set_taints(lab_api, node)
    back(settings, node)
    assert taints_of(lab_api, node) == []
    assert not cordoned(lab_api, node)
    assert mark_of(lab_api, node) is None


@pytest.mark.parametrize("back", [driving.resume, driving.abort])
def test_node_that_somebody_uncordoned_in_the_middle_is_not_cordoned_at_the_end(
    lab_api: Api, settings: Settings, node: str, back: Callable[[Settings, str], object]
) -> None:
    until_return(settings, node)
    set_cordon(lab_api, node, None)
    back(settings, node)
    assert not cordoned(lab_api, node)
    assert not drained(lab_api, node)
    assert mark_of(lab_api, node) is None


def test_cordon_taken_off_before_the_taint_does_not_stop_the_drain(lab_api: Api, settings: Settings, node: str) -> None:
    def uncordon(step: str, text: str) -> None:
        if step == "cordon" and "by this downtime" in text:
            set_cordon(lab_api, node, None)

    with pytest.raises(DowntimeError, match="waiting-for-return"):
        driving.run(settings, node, HOLDING, uncordon)
    assert drained(lab_api, node)
    driving.resume(settings, node)
    assert not cordoned(lab_api, node)
    assert not drained(lab_api, node)


def test_what_others_write_on_the_node_meanwhile_survives(lab_api: Api, settings: Settings, node: str) -> None:
    added: list[str] = []

    def interfere(step: str, _: str) -> None:
        key = f"others/{step}"
        body: dict[str, Any] = {"metadata": {"labels": {key: "1"}, "annotations": {key: "1"}}}
        lab_api.patch(f"/api/v1/nodes/{node}", body)
        added.append(key)

    with pytest.raises(DowntimeError, match="waiting-for-return"):
        driving.run(settings, node, HOLDING, interfere)
    set_taints(lab_api, node, *taints_of(lab_api, node), OTHER)
    record = driving.resume(settings, node, interfere)
    # It was there before, and comes back only once somebody takes the taint off.
    away = "taints keep them away: runai/runai-container-toolkit (maintenance=disk:NoSchedule)"
    assert away in record.steps["see-gpus"].proof
    found = node_of(lab_api, node)
    assert len(set(added)) > 8
    assert set(added) <= set(found["metadata"]["labels"])
    assert set(added) <= set(found["metadata"]["annotations"])
    assert [taint["key"] for taint in taints_of(lab_api, node)] == ["maintenance"]
    assert mark_of(lab_api, node) is None


def test_mark_that_cannot_be_read_makes_nothing_ours(lab_api: Api, settings: Settings, node: str) -> None:
    set_taints(lab_api, node, DRAIN)
    set_cordon(lab_api, node, True)
    lab_api.patch(f"/api/v1/nodes/{node}", {"metadata": {"annotations": {"runai-downtime/owns": "{"}}})
    until_return(settings, node)
    driving.resume(settings, node)
    assert drained(lab_api, node)
    assert cordoned(lab_api, node)
