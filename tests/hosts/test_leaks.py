"""No secret that a maintenance uses is ever found where it does not belong, though all of them were used."""

from __future__ import annotations

import pytest

from tests.hosts.asked_cycle import NODE, REASON, Asked
from tests.hosts.secrets_of_a_lab import places, secrets_of
from tests.hosts.served import Served
from tests.hosts.standing import require_cycled_once


@pytest.fixture(scope="module")
def found(served: Served, asked: Asked) -> dict[str, str]:
    return places(served, asked.run)


def test_sudo_password_was_needed_and_worked(served: Served, asked: Asked, found: dict[str, str]) -> None:
    require_cycled_once(served.hosts, NODE, asked.before)
    assert "COMMAND=/usr/bin/systemctl poweroff" in found[f"journal of {NODE}"]


def test_places_are_searched_where_the_runs_texts_are(found: dict[str, str]) -> None:
    """What is no secret is found, so a secret would be."""
    for place in ("cluster", "flow run", "artifacts"):
        assert REASON in found[place] or REASON.replace("'", "\\'") in found[place], place
    databases = [name for name in found if name.endswith((".db", ".db-wal"))]
    assert any(REASON in found[name] for name in databases)
    assert any("COMPLETED" in found[name] or "Completed" in found[name] for name in databases)
    assert any("frida" in text for name, text in found.items() if name.endswith("downtime-serve.log"))


def test_no_secret_is_stored_logged_or_published(served: Served, found: dict[str, str]) -> None:
    leaks = [
        f"{secret} in {place}"
        for secret, spellings in secrets_of(served).items()
        for place, text in found.items()
        if any(spelling in text for spelling in spellings)
    ]
    assert leaks == []


def test_no_secret_stood_on_a_command_line_of_any_machine(served: Served, asked: Asked) -> None:
    assert any("systemctl poweroff" in line for line in asked.command_lines), "the hosts' processes were not seen"
    assert any("prefect" in line for line in asked.command_lines)
    for secret, spellings in secrets_of(served).items():
        leaks = [line for line in asked.command_lines if any(spelling in line for spelling in spellings)]
        assert leaks == [], secret
