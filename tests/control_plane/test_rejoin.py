"""Rejoin on a real API server, with simulated hosts that join: the whole way, and what speaks against it."""

from __future__ import annotations

import pytest

from cluster.errors import Blocked, Failed
from cluster.options import RejoinOptions
from lab.api import Api
from lab.layout import Lab
from tests.control_plane import recovering, rejoining, removing
from tests.control_plane.conftest import MakeNode
from tests.control_plane.protocol_states import cordoned

REJOIN = RejoinOptions(reason="repaired")


@pytest.mark.long
def test_a_removed_node_comes_back_as_it_was(lab: Lab, lab_api: Api, make_node: MakeNode) -> None:
    node = make_node().node
    rejoining.mark(lab_api, node)
    rejoining.take_out(lab, node)
    assert not removing.there(lab_api, node)
    record = recovering.run(recovering.settings_of(lab), node, REJOIN)
    assert (record.phase, record.standing()) == ("closed", ())
    rejoining.require_as_it_was(lab_api, node)
    assert rejoining.tokens_for(lab_api, node) == []


@pytest.mark.long
def test_a_machine_that_is_another_node_is_left_alone(lab: Lab, lab_api: Api, make_node: MakeNode) -> None:
    node, other = make_node(), make_node()
    rejoining.take_out(lab, node.node)
    before = rejoining.machine(lab, other.node)
    wrong = RejoinOptions(reason="repaired", host=f"{other.address}:{other.port}", confirmed=node.node)
    with pytest.raises(Blocked, match=f"is the node {other.node}") as raised:
        recovering.run(recovering.settings_of(lab), node.node, wrong)
    assert raised.value.code in ("other-node", "host-key-unknown")
    assert rejoining.machine(lab, other.node) == before
    assert recovering.untouched(lab_api, other.node)


@pytest.mark.long
def test_a_join_that_fails_leaves_no_token_and_is_taken_up(lab: Lab, lab_api: Api, make_node: MakeNode) -> None:
    node = make_node().node
    rejoining.mark(lab_api, node)
    rejoining.take_out(lab, node)
    removing.fault(lab, node, "join-fails")
    with pytest.raises(Failed) as raised:
        recovering.run(recovering.settings_of(lab), node, REJOIN)
    assert raised.value.code == "join-failed"
    assert rejoining.tokens_for(lab_api, node) == []
    assert not removing.there(lab_api, node)
    removing.fault(lab, node, "join-fails", present=False)
    assert recovering.resume(recovering.settings_of(lab), node).phase == "closed"
    rejoining.require_as_it_was(lab_api, node)
    assert rejoining.tokens_for(lab_api, node) == []


@pytest.mark.long
def test_a_machine_that_lost_a_gpu_while_it_was_out_stays_cordoned_and_the_gpu_is_named(
    lab: Lab, lab_api: Api, make_node: MakeNode
) -> None:
    node = make_node().node
    rejoining.mark(lab_api, node)
    rejoining.take_out(lab, node)
    removing.fault(lab, node, "gpu-lost-on-host")
    with pytest.raises(Failed, match=r"7 of 8 GPUs; missing: GPU 3 \(GPU-[0-9a-f]{8}-0003") as raised:
        recovering.run(recovering.settings_of(lab), node, REJOIN)
    assert raised.value.code == "gpu-checks-failed"
    assert cordoned(lab_api, node)
    removing.fault(lab, node, "gpu-lost-on-host", present=False)
    assert recovering.resume(recovering.settings_of(lab), node).phase == "closed"
    rejoining.require_as_it_was(lab_api, node)
