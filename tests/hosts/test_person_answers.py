"""A maintenance that waits for people: nobody is at a terminal, so each question ends a command."""

from __future__ import annotations

import json

from lab.api import JSON, Api
from lab.patience import until
from lab.runai.objects import path
from lab.runai.workloads import Work, bare_pod, interactive
from tests.control_plane import suspending_there
from tests.hosts.product import Product, holder_of, nodes_down, the_record
from tests.hosts.standing import require_cycled_once, require_unmoved, see
from tests.hosts.work import pods_of, wait_running, working
from tests.notified import TOKEN, hook

NODE = "gpu-2"
PARKED = interactive("parked", Work(node=NODE, user="gus", gpus=0, grace_seconds=2))
THESIS = interactive("thesis", Work(node=NODE, user="fay", gpus=0))
NOTEBOOK = interactive("asked-about", Work(node=NODE, user="dora", gpus=0))


def newcomer() -> JSON:
    """Work that nobody was asked about; it comes to a cordoned node, since it does not ask the scheduler."""
    pod = bare_pod("newcomer", Work(user="emil", gpus=0))
    pod["spec"]["nodeName"] = NODE
    return pod


def test_each_answer_holds_for_what_was_shown_and_a_person_switches_the_machine_on(product: Product) -> None:
    hosts, api, before = product.hosts, product.hosts.api, see(product.hosts, NODE)
    with working(api, NOTEBOOK):
        asked = product.run("run", "planned", NODE, "--yes", "--power-on", "person", "--local").expect(4)
        assert "runai-team-a/asked-about (dora)" in asked.err
        require_waiting(product, "approve-workloads")
        assert not see(hosts, NODE).drained
        again = product.run("resume", NODE, "--local").expect(4)
        assert "asked-about" in again.err, "resuming is no consent"

        product.run("decide", NODE, "--interactive", "evict", "--who", "anna").expect(0)
        with working(api, newcomer()):
            more = product.run("resume", NODE, "--local").expect(4)
            assert "newcomer (emil)" in more.err
            assert "asked-about" not in more.err, "asked twice about the same"
            assert wait_running(api, NOTEBOOK) == NODE
            assert not see(hosts, NODE).drained
            product.run("decide", NODE, "--interactive", "evict", "--who", "ben").expect(0)

            off = product.run("resume", NODE, "--local").expect(4)
            assert f"downtime resume {NODE}" in off.err
            assert hosts.power(NODE, "status") == "off"
            require_waiting(product, "approve-return")
            assert not pods_of(api, newcomer())
        hosts.power(NODE, "on")
        product.run("resume", NODE, "--local").expect(0)
    require_cycled_once(hosts, NODE, before)
    record = the_record(api, NODE)
    answers = [(one["subject"], one["answer"], one["who"], len(one["items"])) for one in record["approvals"]]
    assert answers[0] == ("interactive", "evict", "anna", len(record["approvals"][0]["items"]))
    assert answers[1] == ("interactive", "evict", "ben", 1)
    assert answers[2][:2] == ("return", "done")
    assert len(answers) == 3


def test_refused_work_is_left_alone_and_backing_out_leaves_the_node_as_it_was(product: Product) -> None:
    hosts, api, before = product.hosts, product.hosts.api, see(product.hosts, NODE)
    with working(api, NOTEBOOK):
        was = pods_of(api, NOTEBOOK)[0]["metadata"]["uid"]
        product.run("run", "planned", NODE, "--yes", "--local").expect(4)
        product.run("decide", NODE, "--interactive", "refuse", "--who", "anna").expect(0)
        product.run("resume", NODE, "--local").expect(4)
        product.run("abort", NODE, "--local").expect(0)
        assert pods_of(api, NOTEBOOK)[0]["metadata"]["uid"] == was
    require_unmoved(hosts, NODE, before)
    record = the_record(api, NODE)
    assert (record["phase"], record["aborted"]) == ("closed", True)
    assert "taint" not in record["steps"]


def test_each_workload_as_it_was_decided_and_its_owner_is_told_once(product: Product) -> None:
    hosts, api, before = product.hosts, product.hosts.api, see(product.hosts, NODE)
    with hook() as told, suspending_there.running(hosts.lab) as rest, working(api, NOTEBOOK, THESIS, PARKED):
        urls = json.dumps([{"env": "HOOK"}])
        notify = {"HOOK": told.url, "DOWNTIME_NOTIFY__URLS": urls, "DOWNTIME_DRAIN__NOTICE_MINUTES": "0.2"}
        telling = product.configured(**notify, **rest.variables())
        asked = telling.run("run", "planned", NODE, "--yes", "--no-shut-down", "--no-hold", "--local").expect(4)
        assert "Told at" in asked.err
        telling.run("decide", NODE, "--evict", "runai-team-a/asked-about", "--who", "anna").expect(0)
        telling.run("decide", NODE, "--wait", "runai-team-a/thesis", "--who", "ben").expect(0)
        telling.run("decide", NODE, "--suspend", "runai-team-a/parked", "--who", "gus").expect(0)
        with working(api, newcomer()):
            more = telling.run("resume", NODE, "--local").expect(4)
            assert "newcomer (emil)" in more.err
            assert {wait_running(api, one) for one in (NOTEBOOK, THESIS, PARKED)} == {NODE}
            given = ("--interactive", "evict", "--now", "--who", "eva")  # also what the lab has there
            telling.run("decide", NODE, *given).expect(0)
            resumed = telling.start("resume", NODE, "--local")
            until(lambda: waits_for_its_owner(api) or not resumed.alive, seconds=90, what="it does not wait")
            assert resumed.alive, resumed.wait().said
            assert not see(hosts, NODE).drained
            api.delete(path(THESIS), propagationPolicy="Background")
            resumed.wait().expect(0)
            assert not pods_of(api, newcomer())
        assert wait_running(api, PARKED) == NODE, "what was suspended is not resumed"
    assert TOKEN not in json.dumps(the_record(api, NODE)) + asked.said + more.said
    assert ["asked-about" in text for text in told.texts] == [True, False]
    require_unmoved(hosts, NODE, before)
    answers = [(one["answer"], one["who"], len(one["items"])) for one in the_record(api, NODE)["approvals"]]
    assert answers == [
        ("evict", "anna", 1),
        ("wait", "ben", 1),
        ("suspend", "gus", 1),
        ("evict-now", "eva", len(the_record(api, NODE)["approvals"][3]["items"])),
    ]


def waits_for_its_owner(api: Api) -> bool:
    return "its owner stops" in str(the_record(api, NODE)["steps"])


def require_waiting(product: Product, step: str) -> None:
    """The downtime waits at a step: in the status, in the fleet, with the lock free and the node cordoned by us."""
    api = product.hosts.api
    status = product.run("status", NODE, "--output", "json").expect(0).document[0]
    assert status["now"]["step"] == step
    assert status["now"]["waits_for"]
    assert status["now"]["lock"]["holder"] == ""
    assert status["now"]["standing"][0] == "cordon"
    assert holder_of(api, NODE) == ""
    assert NODE in nodes_down(api)
