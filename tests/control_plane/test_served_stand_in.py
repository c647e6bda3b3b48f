"""The last system node through the deployments: a form offers who could stand in, and the run goes on with the one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.api import Api
from tests.control_plane.conftest import MakeNode, MakeObject
from tests.control_plane.protocol_states import untouched
from tests.control_plane.served import answers, record_of, see_released, the_record
from tests.control_plane.standing_in import Last, last_one, others_cordoned
from tests.prefect_runs import Runs

pytestmark = [pytest.mark.timeout(900), pytest.mark.long]


@pytest.fixture
def last(lab_api: Api, make_node: MakeNode, make_object: MakeObject) -> Iterator[Last]:
    with others_cordoned(lab_api):
        yield last_one(lab_api, make_node, make_object)


def test_form_offers_who_could_stand_in_and_takes_the_typed_choice(last: Last, served: Runs) -> None:
    run = served.start("planned-maintenance", node=last.system, shut_down=False, requested_by="frida")
    schema, text = served.wait_for_form(run, "designation")
    assert set(schema["properties"]) == {"designate", "who"}
    assert f"# Which node is to stand in for {last.system} as a Run:ai system node?" in text
    assert f"| {last.spare} | room for all system pods; no GPUs; no interactive work |" in text
    assert "master-1" not in text
    assert record_of(last.api, last.system) is None
    assert not last.labelled()
    for wrong in (last.system, "master-1", f"{last.spare}0", ""):
        assert served.answer(run, {"designate": wrong, "who": "anna"})["status"] == "REJECT"

    assert served.answer(run, {"designate": last.spare, "who": "anna"})["status"] == "ACCEPT"
    served.wait_for_form(run, "return")
    see_released(last.api, last.system)
    record = the_record(last.api, last.system)
    assert record["options"]["designate"] == last.spare
    assert answers(record) == [("designation", "designate", "anna")]
    assert last.all_on(last.spare)
    assert last.labelled()

    # It goes through its flow from the top, with parameters that name nobody.
    assert served.answer(run, {"work": "done", "who": "ben"})["status"] == "ACCEPT"
    served.wait(run, "COMPLETED")
    assert the_record(last.api, last.system)["phase"] == "closed"
    assert untouched(last.api, last.system)
    assert not last.labelled()
    assert last.all_on(last.system)
    report = served.artifacts(run)[f"report-{last.system}"]
    assert f"anna answered 'designate' about the node that stands in: {last.spare}" in report
