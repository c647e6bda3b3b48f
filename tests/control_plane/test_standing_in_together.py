"""Two starts in the same instant, of which one needs the other's node: exactly one goes ahead, 50 of 50."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cluster.options import PlannedOptions
from lab.api import Api
from lab.layout import Lab
from tests.control_plane import driving
from tests.control_plane.conftest import MakeNode, MakeObject
from tests.control_plane.driving import UNATTENDED
from tests.control_plane.protocol_settings import settings_of
from tests.control_plane.protocol_states import fleet_of
from tests.control_plane.standing_in import LAB_SYSTEMS, Last, last_one, others_cordoned
from tests.control_plane.test_two_at_once import race

ROUNDS = pytest.mark.parametrize("rounds", [5, pytest.param(50, marks=[pytest.mark.long, pytest.mark.timeout(600)])])


@pytest.fixture
def last(lab_api: Api, make_node: MakeNode, make_object: MakeObject) -> Iterator[Last]:
    with others_cordoned(lab_api):
        yield last_one(lab_api, make_node, make_object)


def _one_goes_ahead(lab: Lab, api: Api, nodes: list[str], options: list[PlannedOptions], codes: set[str]) -> set[str]:
    """Start both at once, and back out of the one that goes ahead; which one that was."""
    settings = settings_of(lab)
    errors = race([(settings, node) for node in nodes], options)
    refused = [error for error in errors if error is not None]
    assert len(refused) == 1, errors
    assert refused[0].code in codes, errors
    ahead = nodes[errors.index(None)]
    assert [node for node in fleet_of(api) if node in nodes] == [ahead]
    driving.abort(settings, ahead)
    return {ahead}


@pytest.mark.long
@pytest.mark.timeout(600)
def test_of_the_last_two_system_nodes_one_goes_ahead_50_of_50(lab: Lab, lab_api: Api) -> None:
    for _ in range(50):
        _one_goes_ahead(lab, lab_api, list(LAB_SYSTEMS), [UNATTENDED, UNATTENDED], {"last-system-node"})


@ROUNDS
def test_node_that_is_to_stand_in_and_the_one_that_it_stands_in_for(
    lab: Lab, lab_api: Api, last: Last, rounds: int
) -> None:
    for _ in range(rounds):
        options = [last.options(), UNATTENDED]
        _one_goes_ahead(lab, lab_api, [last.system, last.spare], options, {"designated-node", "cannot-designate"})
        assert not last.labelled()


@ROUNDS
def test_two_system_nodes_that_need_the_same_node_to_stand_in(
    lab: Lab, lab_api: Api, last: Last, make_node: MakeNode, rounds: int
) -> None:
    other = make_node(role="system").node
    lab_api.patch(f"/api/v1/nodes/{other}", {"spec": {"unschedulable": True}})
    for _ in range(rounds):
        options = [last.options(), last.options()]
        _one_goes_ahead(lab, lab_api, [last.system, other], options, {"cannot-designate"})
