"""A backup of the real control plane, through its deployment; restored in rehearsal; its secrets seen nowhere."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

import pytest

from lab.postgresql import contents
from tests.hosts.conftest import HostsLab
from tests.hosts.product import Product, everything_stored
from tests.hosts.secrets_of_a_lab import command_lines, places
from tests.hosts.served import Served

# So large that its dump is under way while processes are looked at.
MEGABYTES = 48
COUNT = "SELECT count(*) FROM audit_logs"


@dataclass(frozen=True)
class Taken:
    """One set that was taken and rehearsed: the run, its id, and every command line that was seen meanwhile."""

    run: str
    set_id: str
    manifest: dict[str, object]
    rehearsal: dict[str, object]
    said: str
    command_lines: frozenset[str]


@pytest.fixture(scope="module")
def taken(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Taken:
    lab = served.hosts.lab
    contents.grow(lab, MEGABYTES)
    with command_lines() as lines:
        run = served.start("recovery-backup")
        served.wait(run, "COMPLETED")
        product = Product(served.hosts, tmp_path_factory.mktemp("rehearsal"))
        keyed = product.configured(DOWNTIME_RECOVERY__IDENTITY__FILE=str(lab.age_key))
        ended = keyed.run("rehearse-recovery", "--output", "json")
    newest = max(path.parent for path in lab.store.glob("*/manifest.json"))
    ended.expect(0)
    return Taken(
        run,
        newest.name,
        json.loads((newest / "manifest.json").read_text()),
        ended.document,
        ended.said,
        frozenset(lines.seen),
    )


def test_set_that_the_deployment_takes_is_whole_and_restored_row_by_row(taken: Taken, product: Product) -> None:
    parts = {f"{one['kind']}/{one['name']}": one for one in taken.manifest["parts"]}  # type: ignore[attr-defined]
    rows = parts["database/backend"]["contents"]["tables"]["public.audit_logs"]
    assert rows == int(contents.query(product.hosts.lab, COUNT))
    assert parts["metrics/thanos"]["contents"]["bytes"] > 0
    assert all(one["encrypted"] for one in parts.values())
    assert taken.rehearsal["set"] == taken.set_id
    assert taken.rehearsal["result"] == "PASS"
    verdict = product.run("check-recovery", "--output", "json").expect(0).document
    assert (verdict["verdict"], verdict["set"]) == ("passed", taken.set_id)


def test_passwords_of_the_database_are_stored_logged_and_published_nowhere(served: Served, taken: Taken) -> None:
    found = places(served, taken.run)
    found["the output"] = taken.said
    found["the cluster"] = everything_stored(served.hosts.api)
    assert taken.set_id in found["artifacts"], "the places are searched where the run's texts are"
    for path in served.hosts.lab.store.rglob("*"):
        if path.is_file():
            found[str(path)] = path.read_bytes().decode("latin-1")
    leaks = [
        f"{what} in {place}" for what, text in _secrets(served.hosts).items() for place in found if text in found[place]
    ]
    assert leaks == []


def test_passwords_of_the_database_stood_on_no_command_line_of_any_machine(served: Served, taken: Taken) -> None:
    assert any("pg_dump" in line for line in taken.command_lines), "the pod's processes were seen"
    assert any("pg_restore" in line for line in taken.command_lines)
    leaks = [what for what, text in _secrets(served.hosts).items() if any(text in line for line in taken.command_lines)]
    assert leaks == []


def _secrets(hosts: HostsLab) -> dict[str, str]:
    """The password as it is and in base64; and the key that opens the sets."""
    password = (hosts.lab.folder / "postgres-password").read_text().strip()
    key = hosts.lab.age_key.read_text().strip()
    assert len(password) > 8
    return {
        "password": password,
        "password in base64": base64.b64encode(password.encode()).decode().rstrip("="),
        "age key": key,
    }
