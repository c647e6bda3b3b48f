"""Workloads evicted before the taint: by a removal, by a run that is served, and by processes that are killed at it."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import get_args

import pytest

from cluster.errors import Failed
from lab.api import Api
from lab.layout import Lab
from lab.patience import until
from lab.runai.workloads import Work, disruption_budget, interactive
from tests.control_plane import removing
from tests.control_plane.conftest import MakeNode, MakeObject
from tests.control_plane.kill_chains import at_once
from tests.control_plane.kill_ground import Ground, Killing, When
from tests.control_plane.killing_proxy import Relay
from tests.control_plane.protocol_settings import SECOND
from tests.control_plane.protocol_states import (
    Ending,
    cordoned,
    drained,
    ending_of,
    machine_of,
    record_of,
    untouched,
)
from tests.prefect_runs import Runs

NAMESPACE = "runai-team-a"
WHENS: tuple[When, ...] = get_args(When)


@dataclass(frozen=True)
class Place:
    """A node, and the uid of a pod that runs there."""

    node: str
    uid: str


MakePlace = Callable[[str], Place]


@pytest.fixture
def place(lab_api: Api, make_node: MakeNode, make_object: MakeObject) -> MakePlace:
    """Makes a node without GPUs on which a workload of this name runs."""

    def make(name: str) -> Place:
        node = make_node(role="cpu").node
        make_object(interactive(name, Work(node=node, user="grace", gpus=0, grace_seconds=1)))

        def running() -> list[str]:
            pods = lab_api.items(f"/api/v1/namespaces/{NAMESPACE}/pods?fieldSelector=spec.nodeName={node}")
            return [pod["metadata"]["uid"] for pod in pods if pod["status"].get("phase") == "Running"]

        until(running, seconds=30, what=f"{name} does not run on {node}")
        return Place(node, running()[0])

    return make


def uids(api: Api) -> set[str]:
    return {pod["metadata"]["uid"] for pod in api.items(f"/api/v1/namespaces/{NAMESPACE}/pods")}


def evicted_before_the_taint(api: Api, node: str) -> None:
    record = record_of(api, node)
    assert record is not None
    steps = record["steps"]
    assert (steps["evict"]["state"], steps["taint"]["state"]) == ("done", "done")
    assert steps["evict"]["at"] <= steps["taint"]["at"]
    assert "no pod left that is evicted before the taint" in steps["evict"]["proof"]


def test_removal_evicts_what_its_budget_allows_and_names_who_blocks(
    lab: Lab, lab_api: Api, place: MakePlace, make_object: MakeObject
) -> None:
    made = place("held-fast")
    budget = make_object(disruption_budget("fast", NAMESPACE, {"release": "held-fast"}))["metadata"]["name"]
    path = f"/apis/policy/v1/namespaces/{NAMESPACE}/poddisruptionbudgets/{budget}"
    until(lambda: lab_api.get(path).get("status", {}).get("expectedPods"), seconds=20, what="no budget is judged")
    settings = removing.settings_of(lab, drain={"eviction_minutes": 4 * SECOND})
    with pytest.raises(Failed) as failed:
        removing.remove(settings, made.node, eviction=True)
    assert failed.value.code == "eviction-refused"
    assert f"{NAMESPACE}/held-fast-0 (of grace): refused" in failed.value.message
    assert failed.value.changed == ("cordon",)
    assert cordoned(lab_api, made.node)
    assert not drained(lab_api, made.node)
    assert made.uid in uids(lab_api)
    lab_api.delete(path)
    record = removing.resume(settings, made.node)
    assert (record.phase, record.aborted) == ("closed", False)
    assert made.uid not in uids(lab_api)
    assert not removing.there(lab_api, made.node)
    evicted_before_the_taint(lab_api, made.node)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_served_run_evicts_before_the_taint(lab_api: Api, place: MakePlace, served: Runs) -> None:
    made = place("served-away")
    run = served.start(
        "planned-maintenance",
        node=made.node,
        interactive="evict",
        eviction=True,
        power_on="controller",
        hold=False,
    )
    served.wait(run, "COMPLETED")
    evicted_before_the_taint(lab_api, made.node)
    assert made.uid not in uids(lab_api)
    assert untouched(lab_api, made.node)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_killed_around_each_write_of_the_eviction_it_ends_in_the_same_state(
    lab: Lab, lab_api: Api, relay: Relay, tmp_path: Path, place: MakePlace
) -> None:
    ground = Ground(lab, lab_api, relay, tmp_path)
    quiet = place("quiet")
    script = Killing()
    ended = ground.under(script, "run", quiet.node, eviction=True)
    assert ended.status == 0, ended.said
    expected = ending_of(lab, lab_api, quiet.node)
    evicted_before_the_taint(lab_api, quiet.node)
    labels = [one for one in script.written if ": evict " in one]
    assert [one.split(": evict ")[1].split(";")[0] for one in labels] == ["intended", "intended", "done"], labels
    assert "workloads known" in labels[1], "what is there was written down before the first of it went"
    cases = [(label, when) for label in dict.fromkeys(labels) for when in WHENS]
    places = [place(f"killed-{number}") for number in range(len(cases))]
    at_once(
        [partial(killed_and_resumed, ground, one, *case, expected) for one, case in zip(places, cases, strict=True)], 3
    )


def killed_and_resumed(ground: Ground, where: Place, label: str, when: When, expected: Ending) -> None:
    node = where.node
    script = Killing(when=when, wanted=label)
    ended = ground.under(script, "run", node, eviction=True)
    assert ended.status == -signal.SIGKILL, f"not killed {when} {label}: {ended.said}"
    assert not drained(ground.api, node), "the taint comes after the eviction"
    before = machine_of(ground.lab, node)
    ended = ground.finish("resume", node)
    assert ended.status == 0, f"killed {when} {label}: {ended.said}"
    assert replace(ending_of(ground.lab, ground.api, node)) == expected, f"killed {when} {label}"
    evicted_before_the_taint(ground.api, node)
    assert where.uid not in uids(ground.api)
    assert machine_of(ground.lab, node).powered_off - before.powered_off == 1
