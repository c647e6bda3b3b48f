"""The deployment ``recovery-rehearsal``: a set restored by a run, whose end tells automations how it was."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.backups import Store
from lab.layout import Lab
from lab.postgresql import server
from tests.control_plane.test_backup_command import spellings
from tests.control_plane.test_served_backup import logs
from tests.prefect_runs import Runs

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def taken(lab: Lab, served: Runs) -> Iterator[Path]:
    """A set of the lab's cluster, which a test may damage; it is gone afterwards."""
    store = Store(str(lab.store))
    before = {entry.id for entry in store.sets()}
    served.wait(served.start("recovery-backup", requested_by="a test"), "COMPLETED")
    (new,) = {entry.id for entry in store.sets()} - before
    yield lab.store / new
    shutil.rmtree(lab.store / new)


def notes(folder: Path) -> list[dict[str, object]]:
    return [json.loads(file.read_text()) for file in sorted(folder.glob("rehearsals/*.json"))]


def test_a_served_rehearsal_restores_the_newest_set_and_ends_as_the_set_deserves(
    lab: Lab, served: Runs, taken: Path
) -> None:
    run = served.start("recovery-rehearsal", requested_by="a schedule")
    served.wait(run, "COMPLETED")
    text = served.artifacts(run)["recovery-rehearsal"]
    assert f"# The set {taken.name} can be restored" in text
    assert "| PASS | database/backend rows |" in text
    assert [(note["result"], note["by"]) for note in notes(taken)] == [("PASS", "a schedule")]

    (taken / "postgresql" / "keycloak.dump").unlink()
    run = served.start("recovery-rehearsal", backup_set=taken.name)
    message = served.wait(run, "FAILED")["message"]
    assert f"The set {taken.name} could not be restored as it should be: database/keycloak: " in message
    text = served.artifacts(run)["recovery-rehearsal"]
    assert "could NOT be restored" in text
    assert "| FAILED | database/keycloak |" in text
    assert [note["result"] for note in notes(taken)] == ["PASS", "FAILED"]
    told = text + logs(served, run)
    assert not any(one.decode() in told for one in spellings(server.password(lab)))


def test_a_served_rehearsal_that_cannot_be_made_fails_and_publishes_no_result(served: Runs) -> None:
    run = served.start("recovery-rehearsal", backup_set="no-such-set")
    assert "no-such-set has no manifest.json" in served.wait(run, "FAILED")["message"]
    assert "recovery-rehearsal" not in served.artifacts(run)


def test_weekly_schedule_is_an_example_that_somebody_switches_on(served: Runs) -> None:
    name = "/deployments/name/recovery-rehearsal/recovery-rehearsal"
    (schedule,) = served.prefect.call("GET", name)["schedules"]
    assert (schedule["active"], schedule["schedule"]["cron"]) == (False, "0 4 * * 6")
