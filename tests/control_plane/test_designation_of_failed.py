"""The last system node fails, or goes for good: another one is designated, or nothing is done (exit 3)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cluster.errors import Blocked, Waiting
from lab.api import Api
from lab.layout import Lab
from lab.power import power
from lab.simulated.host import load
from tests.control_plane import recovering, removing
from tests.control_plane.conftest import MakeNode, MakeObject
from tests.control_plane.recovering import UNATTENDED
from tests.control_plane.standing_in import Last, last_one, others_cordoned

# A failure is noticed after tens of seconds, in each of them.
pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]


@pytest.fixture
def last(lab_api: Api, make_node: MakeNode, make_object: MakeObject) -> Iterator[Last]:
    with others_cordoned(lab_api):
        yield last_one(lab_api, make_node, make_object)


def test_last_system_node_that_failed_needs_another_one_designated(lab: Lab, lab_api: Api, last: Last) -> None:
    settings = recovering.settings_of(lab, drain={"takeover_minutes": 0.5})
    recovering.fail(lab, lab_api, load(lab.simulated / f"{last.system}.json"))
    with pytest.raises(Blocked) as raised:
        recovering.run(settings, last.system)
    assert (raised.value.code, raised.value.exit_code) == ("last-system-node", 3)
    assert last.spare in raised.value.remedy
    assert recovering.untouched(lab_api, last.system)

    options = UNATTENDED.model_copy(update={"designate": last.spare})
    record = recovering.run(settings, last.system, options)
    assert record.phase == "closed"
    assert record.done("designate")
    assert record.steps["designate"].at < record.steps["taint"].at
    assert last.all_on(last.system), last.where()
    assert not last.labelled()
    assert last.mark() == ""


def test_backing_out_leaves_the_label_where_it_is_needed_and_says_so(lab: Lab, lab_api: Api, last: Last) -> None:
    settings = recovering.settings_of(lab, drain={"takeover_minutes": 0.5})
    recovering.fail(lab, lab_api, load(lab.simulated / f"{last.system}.json"))
    options = UNATTENDED.model_copy(update={"designate": last.spare, "power_on": "person", "hold": True})
    with pytest.raises(Waiting):
        recovering.run(settings, last.system, options)
    assert last.all_on(last.spare)
    record = recovering.resume(settings, last.system, abort=True)
    assert (record.phase, record.aborted) == ("closed", True)
    assert f"{last.spare} stays a Run:ai system node" in record.steps["undesignate"].proof
    assert last.labelled()
    assert last.mark() == ""
    assert last.all_on(last.spare)
    power(lab, last.system, "on")


def test_removed_for_good_the_designated_one_stays_a_system_node(lab: Lab, lab_api: Api, last: Last) -> None:
    settings = removing.settings_of(lab, drain={"takeover_minutes": 0.5})
    with pytest.raises(Blocked) as raised:
        removing.remove(settings, last.system)
    assert raised.value.code == "last-system-node"
    record = removing.remove(settings, last.system, designate=last.spare)
    assert record.phase == "closed"
    assert not removing.there(lab_api, last.system)
    assert last.labelled()
    assert last.mark() == ""
    assert last.all_on(last.spare)
    assert record.standing() == ()
    assert [one.value for one in record.changes if one.what == "designation"] == [last.spare]
