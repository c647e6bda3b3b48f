"""``downtime backup`` on a lab with a real PostgreSQL: what a person, a script, and a thief would see of it."""

from __future__ import annotations

import base64
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyrage

from cluster.backup_report import BackupReport
from cluster.backups import Store
from lab.api import Api
from lab.layout import Lab
from lab.postgresql import programs, server
from lab.simulated import pod_exec
from tests.command_line import Ended
from tests.control_plane.backing_up import held
from tests.control_plane.commands import LEASES, command
from tests.unit.backup_sets import id_of

LEASE = f"{LEASES}/recovery-backup"
CLEAR = {"DOWNTIME_RECOVERY__ALLOW_PLAINTEXT": "true", "DOWNTIME_RECOVERY__RECIPIENTS": "[]"}
DATABASES = ("backend", "keycloak")


def backup(lab: Lab, folder: Path, *words: str, **variables: str) -> Ended:
    """Run the command, with a store in ``folder``."""
    store = folder / "store"
    store.mkdir(exist_ok=True)
    chosen = {"DOWNTIME_RECOVERY__STORE": str(store), **CLEAR, **variables}
    return command(lab, folder, "backup", *words, timeout=120, **chosen)


def spellings(password: str) -> list[bytes]:
    """How a password may stand in a text."""
    plain = password.encode()
    return [plain, base64.b64encode(plain), plain.hex().encode()]


def test_dumps_of_the_real_databases_can_be_read_and_hold_what_the_set_says(lab: Lab, tmp_path: Path) -> None:
    ended = backup(lab, tmp_path, "--accept-smaller", "--output", "json")
    assert ended.code == 0, ended.err
    report = BackupReport.model_validate_json(ended.out)
    assert "part: 1 of" in ended.err, "how far it is, beside the result"
    store = tmp_path / "store"
    manifest = Store(str(store)).read_manifest(report.set)
    assert manifest.smaller_accepted_by == report.by != "", "by whom later sets may be as small"
    parts = {part.title: part for part in manifest.parts}
    for name in DATABASES:
        part = parts[f"database/{name}"]
        assert part.path is not None
        assert part.contents is not None
        listing = subprocess.run(
            [programs.folder() / "pg_restore", "--list", store / report.set / part.path],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        ).stdout
        assert "TABLE DATA" in listing
        assert part.contents.tables
        assert part.began is not None
    assert report.check.verdict == "passed"


def test_password_of_the_database_stands_nowhere_but_in_the_encrypted_set(lab: Lab, tmp_path: Path) -> None:
    identity = pyrage.x25519.Identity.generate()
    recipient = f'["{identity.to_public()}"]'
    password = server.password(lab)
    closed = {"DOWNTIME_RECOVERY__RECIPIENTS": recipient, "DOWNTIME_RECOVERY__ALLOW_PLAINTEXT": "false"}
    ended = [backup(lab, tmp_path, "--output", how, **closed) for how in ("text", "json")]
    assert [one.code for one in ended] == [0, 0], ended
    seen = {"text": ended[0].out + ended[0].err, "json": ended[1].out + ended[1].err}
    texts = {name: text.encode() for name, text in seen.items()}
    texts |= {str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert len(texts) > 20
    leaks = [name for name, text in texts.items() if any(one in text for one in spellings(password))]
    assert leaks == []
    (values,) = list((tmp_path / "store").rglob(f"{ended[1].document['set']}/helm/runai-backend.json.age"))
    assert password.encode() in pyrage.decrypt(values.read_bytes(), [identity]), "it is in there, so it would be seen"


def test_wrong_password_is_told_without_it_and_no_set_is_begun(lab: Lab, tmp_path: Path) -> None:
    good = backup(lab, tmp_path, "--output", "json").document["set"]
    before, password = held(tmp_path / "store"), server.password(lab)
    server.set_password(lab, "another-one-entirely")
    try:
        ended = backup(lab, tmp_path)
    finally:
        server.set_password(lab, password)
    assert ended.code in (2, 3), ended
    assert "runai-backend-postgresql" in ended.err
    assert "another-one-entirely" not in ended.out + ended.err
    assert password not in ended.out + ended.err
    assert held(tmp_path / "store") == before
    assert [path.name for path in (tmp_path / "store").iterdir()] == [good]


def test_pod_that_dies_in_the_middle_of_the_dump_leaves_the_earlier_set_alone(
    lab: Lab, lab_api: Api, tmp_path: Path
) -> None:
    good = backup(lab, tmp_path, "--output", "json").document["set"]
    before = held(tmp_path / "store")
    with pod_exec.killed_after(lab, 200_000, times=20):
        ended = backup(lab, tmp_path)
    assert ended.code in (1, 3), ended
    assert "backend" in ended.err
    assert held(tmp_path / "store") == before
    assert [path.name for path in (tmp_path / "store").iterdir()] == [good]
    assert not lab_api.get(LEASE)["spec"].get("holderIdentity")
    assert backup(lab, tmp_path).code == 0, "and the next one works"


def test_what_is_wrong_with_the_configuration_is_told_before_anything_is_done(lab: Lab, tmp_path: Path) -> None:
    none = backup(lab, tmp_path, DOWNTIME_RECOVERY__STORE="")
    assert (none.code, "[recovery] store is not set" in none.err) == (2, True)
    key = backup(lab, tmp_path, DOWNTIME_RECOVERY__RECIPIENTS='["age1nonsense"]')
    assert (key.code, "is no public key" in key.err) == (2, True)
    plain = backup(lab, tmp_path, "--output", "json", DOWNTIME_RECOVERY__ALLOW_PLAINTEXT="false")
    assert (plain.code, plain.error["code"]) == (3, "no-recipients")
    gone = backup(lab, tmp_path, DOWNTIME_RECOVERY__STORE=str(tmp_path / "not-mounted"))
    assert (gone.code, "does not exist" in gone.err) == (3, True)
    assert list((tmp_path / "store").iterdir()) == []


def test_half_set_that_somebody_left_is_named_by_the_next_check(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "store" / id_of(datetime.now(UTC) - timedelta(hours=1))).mkdir(parents=True)
    assert backup(lab, tmp_path).code == 0
    shown = command(lab, tmp_path, "doctor", DOWNTIME_RECOVERY__STORE=str(tmp_path / "store")).out
    assert "recovery half-taken" in shown
