"""A served run tells owners through a block of Prefect's, and suspends by its form; no secret gets into Prefect."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab import prefect_service
from lab.api import Api
from lab.layout import PROJECT, Lab
from lab.patience import until
from lab.runai import objects, rest_process
from lab.runai.workloads import Work, interactive
from tests.control_plane import suspending_there
from tests.control_plane.conftest import MakeNode, MakeObject
from tests.control_plane.served import answers, the_record
from tests.control_plane.suspending_there import RestApi
from tests.notified import TOKEN, Hook, hook
from tests.prefect_runs import Runs

pytestmark = pytest.mark.timeout(900)
TEAM = "runai-team-a"
PASSWORD = "W0rdOfABlockThatNobodyMaySee"
SAVES = """
import json, sys
from prefect.blocks.notifications import CustomWebhookNotificationBlock as Webhook

for name, url in json.load(sys.stdin).items():
    Webhook(
        name=name,
        url=url,
        json_data={"title": "{{subject}}", "message": "{{body}}"},
        headers={"X-Token": "{{word}}"},
        secrets={"word": sys.argv[1]},
    ).save(name, overwrite=True)
"""


def save_blocks(lab: Lab, served: Runs, urls: dict[str, str]) -> None:
    """Custom webhooks, as an administrator makes them."""
    subprocess.run(
        [sys.executable, "-c", SAVES, PASSWORD],
        env={**os.environ, **prefect_service.environment(lab, served.prefect.url)},
        cwd=PROJECT,
        input=json.dumps(urls),
        text=True,
        check=True,
        timeout=120,
        stdout=subprocess.DEVNULL,
    )


@contextmanager
def configured(lab: Lab, rest: RestApi) -> Iterator[None]:
    """Meanwhile the configuration names the blocks, and Run:ai's API."""
    before = lab.config.read_text()
    more = f"""
[notify]
blocks = ["custom-webhook/ops", "custom-webhook/broken"]

[runai]
url = "{rest.url}"
client_id = "{rest_process.CLIENT}"
client_secret = {{ file = "{rest_process.secret_file(lab)}" }}
stop_minutes = 1
"""
    lab.config.write_text(before + more)
    try:
        yield
    finally:
        lab.config.write_text(before)


def kept_by_prefect(lab: Lab) -> dict[str, bytes]:
    """All that Prefect has written: its database, and the logs of the server and of the runs."""
    files = [one for one in [*(lab.folder / "prefect").rglob("*"), *lab.logs.glob("*")] if one.is_file()]
    assert any(one.name == "prefect.db" for one in files)
    return {one.name: one.read_bytes() for one in files if not one.name.startswith(rest_process.NAME)}


def test_owners_are_told_by_a_block_and_suspended_by_the_form_and_prefect_learns_no_secret(
    lab: Lab, lab_api: Api, make_node: MakeNode, make_object: MakeObject, served: Runs
) -> None:
    node = make_node(role="cpu").node
    with hook() as takes, hook() as refuses, suspending_there.running(lab) as rest, configured(lab, rest):
        refuses.behaves = "refuses"
        save_blocks(lab, served, {name: _http(one) for name, one in (("ops", takes), ("broken", refuses))})
        parked = make_object(interactive("parked", Work(node=node, user="anna", gpus=0, grace_seconds=1)))
        until(lambda: _phase(lab_api, "parked-0") == "Running", seconds=60, what="the notebook does not run")
        run = served.start("planned-maintenance", node=node, shut_down=False, hold=False, requested_by="frida")
        schema, text = served.wait_for_form(run, "interactive")
        assert schema["properties"]["decision"]["enum"] == ["evict", "wait", "suspend", "refuse"]
        assert "told" in text
        assert "block custom-webhook/broken" in text
        assert "500" in text
        (told,) = takes.texts
        assert f"{TEAM}/parked of anna" in told
        assert served.answer(run, {"decision": "suspend", "now": True, "who": "anna"})["status"] == "ACCEPT"
        served.wait(run, "COMPLETED")
        record = the_record(lab_api, node)
        assert answers(record) == [("interactive", "suspend-now", "anna")]
        assert [one["state"] for one in record["changes"] if one["what"].startswith("suspended ")] == ["undone"]
        until(lambda: _phase(lab_api, "parked-0") == "Running", seconds=60, what="it is not resumed")
        assert len(takes.told) == len(refuses.told) == 1
        report = served.artifacts(run)[f"report-{node}"]
        assert "is suspended" in report, "the report does not say where it went"
        kept = kept_by_prefect(lab)
        said = "\n".join((json.dumps(record), text, report, _logs(served, run)))
        for secret in (rest.secret, rest_process.TOKENS_BEGIN, PASSWORD):
            assert not [name for name, written in kept.items() if secret.encode() in written], secret
        # The address of such a webhook is no secret to Prefect, which keeps it where the block is.
        assert not [secret for secret in (rest.secret, rest_process.TOKENS_BEGIN, PASSWORD, TOKEN) if secret in said]
        lab_api.delete(objects.path(parked), propagationPolicy="Background")


def _http(one: Hook) -> str:
    return one.url.replace("json://", "http://")


def _phase(api: Api, name: str) -> str:
    found = api.find(f"/api/v1/namespaces/{TEAM}/pods/{name}") or {}
    return str(found.get("status", {}).get("phase"))


def _logs(runs: Runs, run: str) -> str:
    return str(runs.prefect.call("POST", "/logs/filter", {"logs": {"flow_run_id": {"any_": [run]}}}))
