"""The deployment ``recovery-backup``: started over REST as a schedule would; nothing secret in what Prefect keeps."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cluster.backups import Store
from lab.api import Api
from lab.layout import Lab
from lab.patience import until
from lab.postgresql import server
from tests.control_plane.commands import NAMESPACE
from tests.control_plane.test_backup_command import LEASE, spellings
from tests.prefect_runs import Runs

pytestmark = pytest.mark.timeout(600)


def logs(runs: Runs, run: str) -> str:
    """What Prefect has kept of a run's logs until now."""
    return str(runs.prefect.call("POST", "/logs/filter", {"logs": {"flow_run_id": {"any_": [run]}}}))


def published(lab: Lab, api: Api, runs: Runs, run: str) -> dict[str, str]:
    """All that anybody can read of a run: name of the place to its content."""
    files = [path for folder in (lab.logs, lab.folder / "prefect") for path in folder.rglob("*") if path.is_file()]
    found = {str(path): path.read_bytes().decode("latin-1") for path in files}
    found["logs in Prefect"] = logs(runs, run)
    found["artifacts"] = str(runs.artifacts(run))
    found["flow run"] = str(runs.prefect.call("GET", f"/flow_runs/{run}"))
    found["records"] = str(api.items(f"{NAMESPACE}/configmaps")) + str(api.get(LEASE))
    found["events"] = str(api.items("/api/v1/events"))
    return found


def test_served_backup_takes_a_set_and_publishes_what_is_in_it_but_no_secret(
    lab: Lab, lab_api: Api, served: Runs
) -> None:
    run = served.start("recovery-backup", requested_by="a schedule")
    served.wait(run, "COMPLETED")
    store = Store(str(lab.store))
    newest = store.sets()[0].id
    manifest = store.read_manifest(newest)
    assert (manifest.schema_version, manifest.by) == (2, "a schedule")
    # Prefect keeps a run's logs some time after the run has ended.
    until(lambda: "database/backend" in logs(served, run), seconds=60, what=lambda: logs(served, run), every=0.5)
    places = published(lab, lab_api, served, run)
    assert newest in places["artifacts"]
    password = server.password(lab)
    assert [name for name, text in places.items() if any(one.decode() in text for one in spellings(password))] == []


def test_served_backup_that_fails_says_why_and_leaves_no_set(lab: Lab, lab_api: Api, served: Runs) -> None:
    aside = Path(f"{lab.store}-aside")
    shutil.move(lab.store, aside)
    try:
        run = served.start("recovery-backup")
        state = served.wait(run, "FAILED")
        assert "does not exist" in state["message"]
        assert not lab.store.exists(), "a mount that is missing is not written into"
    finally:
        shutil.move(aside, lab.store)
    found = published(lab, lab_api, served, run)
    assert not any(one.decode() in text for one in spellings(server.password(lab)) for text in found.values())


def test_nightly_schedule_is_an_example_that_somebody_switches_on(served: Runs) -> None:
    name = "/deployments/name/recovery-backup/recovery-backup"
    (schedule,) = served.prefect.call("GET", name)["schedules"]
    assert (schedule["active"], schedule["schedule"]["cron"]) == (False, "0 2 * * *")
