"""The API server is killed in the middle of a recovery, a removal, a rejoin: borne, or everything is resumable."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from cluster.api_errors import Busy
from cluster.errors import LockLost, Unreachable
from cluster.options import Options, RejoinOptions
from cluster.record import Record
from lab import control_plane
from lab.api import Api
from lab.layout import Lab
from lab.patience import until
from tests.control_plane import recovering, rejoining, removing
from tests.control_plane.conftest import MakeNode, MakeObject
from tests.control_plane.protocol_states import fleet_of
from tests.control_plane.recovering import OUT, fail, is_there, notebook, taints, untouched
from tests.control_plane.test_api_server_restarted import answers, restarts

__all__ = ["restarts"]

# Minutes of it: that the API server may restart at all is in another file.
pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]

SLOW_LOCK: dict[str, dict[str, Any]] = {"cluster": {"lock_seconds": 15}}


class Restarting:
    """Restarts the API server when a step says its first word; ``run`` is the procedure until then, and after it."""

    def __init__(self, lab: Lab, api: Api, restarts: list[threading.Thread], at: str) -> None:
        self._lab, self._api, self._restarts, self._at = lab, api, restarts, at

    def say(self, step: str, _: str) -> None:
        if step == self._at and not self._restarts:
            control_plane.stop_apiserver(self._lab)
            thread = threading.Thread(target=control_plane.start_apiserver, args=(self._lab,))
            thread.start()
            self._restarts.append(thread)

    def through(self, node: str, options: Options, **sections: dict[str, Any]) -> Record:
        settings = recovering.settings_of(self._lab, **{**SLOW_LOCK, **sections})
        try:
            record = recovering.run(settings, node, options, self.say)
        except (Unreachable, Busy, LockLost):
            self._restarts[0].join(120)
            until(lambda: answers(self._api), seconds=60, what="the API server does not answer")
            record = recovering.resume(settings, node)
        assert self._restarts, "it was never restarted"
        self._restarts[0].join(120)
        assert (record.phase, record.aborted, record.standing()) == ("closed", False, ())
        assert node not in fleet_of(self._api)
        return record


@pytest.mark.parametrize("at", ["taint", "out-of-service", "power-on", "stable"])
def test_recovery_goes_on(
    lab: Lab, lab_api: Api, make_node: MakeNode, make_object: MakeObject, restarts: list[threading.Thread], at: str
) -> None:
    host = make_node()
    stuck = notebook(lab_api, make_object, host.node)
    fail(lab, lab_api, host)
    # To an API server that was away, all nodes are silent at first.
    options = recovering.UNATTENDED.model_copy(update={"override_storm": "a test"})
    Restarting(lab, lab_api, restarts, at).through(host.node, options)
    assert not is_there(lab_api, stuck)
    assert OUT not in taints(lab_api, host.node)
    assert untouched(lab_api, host.node)


@pytest.mark.parametrize("at", ["taint", "reset-host", "delete-node"])
def test_removal_goes_on(
    lab: Lab, lab_api: Api, make_node: MakeNode, restarts: list[threading.Thread], at: str
) -> None:
    node = make_node().node
    quick = {"away_seconds": 2.0, "reset_seconds": 10.0}
    record = Restarting(lab, lab_api, restarts, at).through(node, removing.options_of(node), removal=quick)
    assert record.kept is not None
    assert not removing.there(lab_api, node)
    machine = rejoining.machine(lab, node)
    assert (machine.joined, machine.kubelet_starts, machine.power) == (False, False, "on")


@pytest.mark.parametrize("at", ["join", "see-joined", "restore"])
def test_rejoin_goes_on_and_no_token_stays(
    lab: Lab, lab_api: Api, make_node: MakeNode, restarts: list[threading.Thread], at: str
) -> None:
    node = make_node().node
    rejoining.mark(lab_api, node)
    rejoining.take_out(lab, node)
    Restarting(lab, lab_api, restarts, at).through(node, RejoinOptions(reason="repaired"))
    rejoining.require_as_it_was(lab_api, node)
    assert rejoining.tokens_for(lab_api, node) == []
