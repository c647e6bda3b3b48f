"""Crossing procedures: which may begin on a node that is in another one's downtime, and which may not."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from cluster import api as apis
from cluster import planners, planning
from cluster.config import Settings
from cluster.downtime import Start, enter
from cluster.errors import Blocked, DowntimeError, Waiting
from cluster.options import Options, PlannedOptions, Procedure, RejoinOptions, UnplannedOptions
from cluster.record import Record
from cluster.records import Records
from lab.layout import Lab
from tests.control_plane.conftest import MakeNode
from tests.control_plane.removing import WHO, options_of, settings_of

PROCEDURES: tuple[Procedure, ...] = ("planned", "unplanned", "remove", "rejoin")


class Expected(NamedTuple):
    """What must come of it: the record that is there then, or the refusal."""

    procedure: Procedure | None = None
    code: str = ""
    exit_code: int = 0


IN_DOWNTIME = Expected(code="in-downtime", exit_code=3)
OTHER_OPTIONS = Expected(code="other-options", exit_code=3)
TABLE: dict[tuple[Procedure, Procedure], Expected] = {
    ("planned", "planned"): Expected("planned"),
    # That the node is down is what somebody wanted.
    ("planned", "unplanned"): Expected(code="in-downtime-planned", exit_code=4),
    ("planned", "remove"): Expected("remove"),
    ("planned", "rejoin"): IN_DOWNTIME,
    ("unplanned", "planned"): IN_DOWNTIME,
    ("unplanned", "unplanned"): Expected("unplanned"),
    ("unplanned", "remove"): Expected("remove"),
    ("unplanned", "rejoin"): IN_DOWNTIME,
    ("remove", "planned"): IN_DOWNTIME,
    ("remove", "unplanned"): IN_DOWNTIME,
    ("remove", "remove"): Expected("remove"),
    ("remove", "rejoin"): IN_DOWNTIME,
    ("rejoin", "planned"): IN_DOWNTIME,
    ("rejoin", "unplanned"): IN_DOWNTIME,
    ("rejoin", "remove"): IN_DOWNTIME,
    ("rejoin", "rejoin"): Expected("rejoin"),
}


def chosen(procedure: Procedure, node: str, **more: Any) -> Options:
    """What is chosen for a procedure; nobody is asked."""
    match procedure:
        case "planned":
            return PlannedOptions(**{"reason": "fan", "interactive": "evict", **more})
        case "unplanned":
            return UnplannedOptions(**{"reason": "silent", "said_down": True, **more})
        case "remove":
            return options_of(node, **more)
        case "rejoin":
            return RejoinOptions(**{"reason": "repaired", "role": "gpu-worker", **more})


def begin(settings: Settings, node: str, options: Options) -> Record:
    """Plan, and enter; nothing is performed."""
    api = apis.connect(settings.cluster)
    _, made = planning.plan(api, settings, node, options)
    refusal = planners.refusal(made)
    if refusal is not None:
        raise refusal
    return enter_only(settings, node, options)


def enter_only(settings: Settings, node: str, options: Options) -> Record:
    """Enter on the ground of a plan that was made before the other downtime began."""
    procedure = next(one for one in PROCEDURES if type(chosen(one, node)) is type(options))
    with enter(apis.connect(settings.cluster), settings, Start(procedure, node, options, None, WHO)) as downtime:
        return downtime.record


def newest(settings: Settings, node: str) -> Record | None:
    return Records(apis.connect(settings.cluster)).read(node)


def test_the_table_has_every_pair() -> None:
    assert set(TABLE) == {(one, other) for one in PROCEDURES for other in PROCEDURES}


@pytest.mark.parametrize("present", PROCEDURES)
def test_what_may_begin_on_a_node_in_downtime(lab: Lab, make_node: MakeNode, present: Procedure) -> None:
    node = make_node().node
    settings = settings_of(lab)
    opened = enter_only(settings, node, chosen(present, node))
    # What is allowed changes the record, so it comes last.
    wanted = sorted(PROCEDURES, key=lambda one: (TABLE[present, one].code == "", one != present))
    for procedure in wanted:
        expected, options = TABLE[present, procedure], chosen(procedure, node)
        if expected.procedure is None:
            for way in (begin, enter_only):
                before = newest(settings, node)
                with pytest.raises(Waiting if expected.exit_code == 4 else Blocked) as raised:
                    way(settings, node, options)
                error: DowntimeError = raised.value
                assert (error.code, error.exit_code) == (expected.code, expected.exit_code), (procedure, error.message)
                assert present.split("-")[0] in error.message
                after = newest(settings, node)
                assert before is not None
                assert after is not None
                same = {"epoch": 0, "updated": opened.updated}
                assert before.model_copy(update=same) == after.model_copy(update=same)
            continue
        record = enter_only(settings, node, options)
        assert (record.id, record.procedure) == (opened.id, expected.procedure)
        assert (record.found, record.who) == (opened.found, opened.who)


@pytest.mark.parametrize("present", PROCEDURES)
def test_the_same_procedure_with_other_options_is_refused(lab: Lab, make_node: MakeNode, present: Procedure) -> None:
    node = make_node().node
    settings = settings_of(lab)
    enter_only(settings, node, chosen(present, node))
    with pytest.raises(Blocked) as raised:
        enter_only(settings, node, chosen(present, node, reason="another"))
    assert (raised.value.code, raised.value.exit_code) == ("other-options", 3)
    assert f"downtime resume {node}" in raised.value.remedy


@pytest.mark.parametrize("procedure", PROCEDURES)
def test_nothing_begins_while_somebody_acts_on_the_node(lab: Lab, make_node: MakeNode, procedure: Procedure) -> None:
    node = make_node().node
    settings = settings_of(lab)
    api = apis.connect(settings.cluster)
    start = Start("planned", node, chosen("planned", node), None, WHO)
    with enter(api, settings, start) as downtime:
        with pytest.raises(Blocked) as raised:
            enter_only(settings, node, chosen(procedure, node))
        assert (raised.value.code, raised.value.exit_code) == ("locked", 3)
        assert downtime.lock.holder in raised.value.message
        downtime.lock.check()
