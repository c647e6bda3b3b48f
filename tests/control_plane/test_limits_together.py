"""``max_unavailable`` holds for two starts in the same instant, and counts nodes that are down for any reason."""

from __future__ import annotations

import pytest

from cluster.config import Settings
from cluster.errors import Blocked, Waiting
from cluster.max_unavailable import Limits
from cluster.options import PlannedOptions
from lab.api import Api
from lab.layout import Lab
from tests.control_plane import driving
from tests.control_plane.conftest import MakeNode
from tests.control_plane.protocol_settings import settings_of
from tests.control_plane.protocol_states import fleet_of
from tests.control_plane.removing import lose_power
from tests.control_plane.test_two_at_once import race

ROUNDS = 50
POOL = "limited"


@pytest.fixture
def pool(lab: Lab, lab_api: Api, make_node: MakeNode) -> tuple[Settings, list[str]]:
    """Three nodes of one node pool, of which one may be down."""
    names = [make_node().node for _ in range(3)]
    for name in names:
        lab_api.patch(f"/api/v1/nodes/{name}", {"metadata": {"labels": {"runai/node-pool": POOL}}})
    limits = Limits.model_validate({"pools": {POOL: 1}})
    return settings_of(lab).model_copy(update={"limits": limits}), names


def test_of_two_nodes_of_which_one_may_be_down_one_is_admitted(lab_api: Api, pool: tuple[Settings, list[str]]) -> None:
    settings, names = pool
    for number in range(ROUNDS):
        errors = race([(settings, node) for node in names[:2]])
        refused = [error for error in errors if error is not None]
        assert [error.code for error in refused] == ["max-unavailable"], f"round {number}: {errors}"
        ahead = names[errors.index(None)]
        assert [node for node in fleet_of(lab_api) if node in names] == [ahead]
        driving.abort(settings, ahead)


def test_open_record_counts_even_if_somebody_deleted_the_fleet(lab_api: Api, pool: tuple[Settings, list[str]]) -> None:
    settings, names = pool
    with pytest.raises(Waiting):
        driving.run(settings, names[0], PlannedOptions(interactive="evict", shut_down=False, hold=True))
    lab_api.call("DELETE", "/api/v1/namespaces/runai-downtime/configmaps/fleet")
    with pytest.raises(Blocked) as raised:
        driving.run(settings, names[1])
    assert raised.value.code == "max-unavailable"
    driving.abort(settings, names[0])
    assert names[0] not in fleet_of(lab_api)


def test_node_that_failed_counts_as_down(lab: Lab, lab_api: Api, pool: tuple[Settings, list[str]]) -> None:
    settings, names = pool
    lose_power(lab, lab_api, names[2])
    with pytest.raises(Blocked) as raised:
        driving.run(settings, names[0])
    assert raised.value.code == "max-unavailable"
    assert names[2] in raised.value.message
